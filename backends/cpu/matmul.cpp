// Batched products: one GEMM per matrix. Batches of small matrices run in parallel. Large matrices
// run one after the other, each on all threads.
#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/parallel.h"

namespace ebb::cpu {

namespace {

void sum_rows(Tensor& out, const Tensor& a) {
  const int64_t m = a.shape()[1], k = a.shape()[2];
  if (a.strides()[1] == 1 && a.strides()[2] == m) return reduce(ReduceKind::Sum, out, a, {1, k, m});
  Tensor dense = empty(a.shape(), {.dtype = a.dtype()});
  copy(dense, a);
  reduce(ReduceKind::Sum, out, dense, {m, k, 1});
}

}  // namespace

void matmul(const MatmulArgs& args) {
  const Tensor &a = *args.a, &b = *args.b;
  Tensor& out = *args.out;
  if (args.a_sum) sum_rows(*args.a_sum, a);
  if (out.numel() == 0) return;
  const int64_t batch = a.shape()[0], m = a.shape()[1], k = a.shape()[2], n = b.shape()[2];
  dispatch_floating(a.dtype(), [&]<class T>(T) {
    const auto one = [&](int64_t i) {
      gemm(Gemm<T>{.m = m,
                   .n = n,
                   .k = k,
                   .a = reinterpret_cast<const T*>(a.raw()) + i * a.strides()[0],
                   .a_row = a.strides()[1],
                   .a_col = a.strides()[2],
                   .b = reinterpret_cast<const T*>(b.raw()) + i * b.strides()[0],
                   .b_row = b.strides()[1],
                   .b_col = b.strides()[2],
                   .c = reinterpret_cast<T*>(out.raw()) + i * m * n,
                   .c_row = n,
                   .accumulate = false,
                   .bias = args.bias ? reinterpret_cast<const T*>(args.bias->raw()) : nullptr,
                   .relu = args.relu});
    };
    const int64_t work = m * n * k;
    if (batch == 1 || work > 256 * 1024) {
      for (int64_t i = 0; i < batch; ++i) one(i);
      return;
    }
    parallel_for(batch, std::max<int64_t>(1, 512 * 1024 / std::max<int64_t>(work, 1)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t i = begin; i < end; ++i) one(i);
                 });
  });
}

}  // namespace ebb::cpu
