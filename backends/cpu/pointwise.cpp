// Pointwise calls on the CPU: divides the operands into blocks and runs a formula's kernel on each.
//
// Contiguous operands of the right type are read and written in place. Strided, broadcast and
// converted operands are first packed into a block in the L1 cache (a broadcast scalar once per
// chunk). Parallel over chunks. Their bounds, and with them the order of a sum, do not depend on
// the number of threads.
#include "ebb/backends/cpu/pointwise_kernels.h"

#include <algorithm>
#include <cstring>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/strided.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

// Elements per block. There are at most 14 blocks of doubles (56 KB), and usually far fewer.
constexpr int64_t kBlock = 512;
constexpr int64_t kChunk = 32 * 1024;  // elements that a thread processes at a time

template <class From, class To>
void pack(const std::byte* base, StridedCursor& cursor, int64_t n, To* to) {
  const auto* from = reinterpret_cast<const From*>(base);
  while (n > 0) {
    const int64_t run = std::min(n, cursor.run_left());
    const From* p = from + cursor.offset();
    const int64_t stride = cursor.run_stride();
    if (stride == 1 && std::is_same_v<From, To>) {
      std::memcpy(to, p, static_cast<size_t>(run) * sizeof(To));
    } else if (stride == 1) {
      for (int64_t i = 0; i < run; ++i) to[i] = operand_as<To>(p[i]);
    } else if (stride == 0) {
      std::fill_n(to, run, operand_as<To>(*p));
    } else {
      for (int64_t i = 0; i < run; ++i) to[i] = operand_as<To>(p[i * stride]);
    }
    cursor.advance(run);
    to += run;
    n -= run;
  }
}

struct Operand {
  enum class Kind : uint8_t { Direct, Constant, Packed } kind;
  const std::byte* data;
  DType dtype;
  Shape strides;
};

// A prepared call. Several threads may call run() for different chunks.
template <class T> class Runner {
 public:
  Runner(const PointwiseCall& call, BlockKernel kernel) : call_(call), kernel_(kernel) {
    for (const Tensor* in : call.in) {
      Operand& o = operands_[inputs_++];
      o = {Operand::Kind::Packed, in->raw(), in->dtype(), {}};
      if (in->numel() == 1) {
        o.kind = Operand::Kind::Constant;
      } else if (in->dtype() == dtype_of<T> && in->is_contiguous() && in->shape() == *call.shape) {
        o.kind = Operand::Kind::Direct;
      } else {
        o.strides = broadcast_strides(in->shape(), in->strides(), *call.shape);
      }
    }
  }

  void run(int64_t begin, int64_t end, double* sum) const {
    alignas(64) T blocks[kMaxPassInputs + kMaxPassOutputs][kBlock];
    const void* in[kMaxPassInputs];
    void* out[kMaxPassOutputs];
    Shape shape = *call_.shape;  // the cursors need at least one dim
    if (shape.dim() == 0) shape.push_back(1);
    fill_constants(blocks, std::min(kBlock, end - begin));
    double total = 0;
    for (int64_t at = begin; at < end; at += kBlock) {
      const int64_t n = std::min(kBlock, end - at);
      for (int k = 0; k < inputs_; ++k) in[k] = input_block(k, shape, at, n, blocks[k]);
      for (size_t k = 0; k < call_.out.size(); ++k)
        out[k] = output_block(k, at, blocks[kMaxPassInputs + k]);
      kernel_(call_.formula, n, in, out);
      for (size_t k = 0; k < call_.out.size(); ++k)
        convert_output(k, at, n, blocks[kMaxPassInputs + k]);
      if (sum) total += row_sum(static_cast<const T*>(out[0]), n);
    }
    if (sum) *sum = total;
  }

 private:
  void fill_constants(T (*blocks)[kBlock], int64_t n) const {
    for (int k = 0; k < inputs_; ++k) {
      const Operand& o = operands_[k];
      if (o.kind != Operand::Kind::Constant) continue;
      const T value = dispatch_all(o.dtype, [&]<class From>(From) {
        return operand_as<T>(*reinterpret_cast<const From*>(o.data));
      });
      std::fill_n(blocks[k], n, value);
    }
  }

  const void* input_block(int k, const Shape& shape, int64_t at, int64_t n, T* block) const {
    const Operand& o = operands_[k];
    if (o.kind == Operand::Kind::Direct) return reinterpret_cast<const T*>(o.data) + at;
    if (o.kind == Operand::Kind::Packed) {
      Shape strides = o.strides;
      if (strides.dim() == 0) strides.push_back(0);
      StridedCursor cursor(shape, strides);
      cursor.seek(at);
      dispatch_all(o.dtype, [&]<class From>(From) { pack<From>(o.data, cursor, n, block); });
    }
    return block;
  }

  bool is_stored(size_t k) const { return call_.out[k] && !(k == 0 && call_.sum_first); }

  void* output_block(size_t k, int64_t at, T* block) const {
    if (is_stored(k) && call_.out[k]->dtype() == dtype_of<T>)
      return reinterpret_cast<T*>(call_.out[k]->raw()) + at;
    return block;
  }

  void convert_output(size_t k, int64_t at, int64_t n, const T* block) const {
    if (!is_stored(k) || call_.out[k]->dtype() == dtype_of<T>) return;
    dispatch_all(call_.out[k]->dtype(), [&]<class To>(To) {
      To* to = reinterpret_cast<To*>(call_.out[k]->raw()) + at;
      for (int64_t i = 0; i < n; ++i) to[i] = static_cast<To>(block[i]);
    });
  }

  const PointwiseCall& call_;
  BlockKernel kernel_;
  int inputs_ = 0;
  Operand operands_[kMaxPassInputs];
};

template <class T> void run_call(const PointwiseCall& call, BlockKernel kernel) {
  const int64_t n = call.shape->numel();
  if (!call.sum_first && n == 0) return;
  const Runner<T> runner(call, kernel);
  const int64_t chunks = (n + kChunk - 1) / kChunk;
  const Temporary<double> sums(call.sum_first ? chunks : 0);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    runner.run(begin, end, call.sum_first ? &sums[begin / kChunk] : nullptr);
  });
  if (!call.sum_first) return;
  double total = 0;
  for (int64_t c = 0; c < chunks; ++c) total += sums[c];
  *reinterpret_cast<T*>(call.out[0]->raw()) = static_cast<T>(total);
}

// The common case in small networks: few contiguous elements of one shape and type. Needs no
// preparation.
bool run_plain(const PointwiseCall& call, BlockKernel kernel) {
  if (call.sum_first) return false;
  const void* in[kMaxPassInputs];
  void* out[kMaxPassOutputs];
  const int64_t n = call.shape->numel();
  if (n > kChunk) return false;
  for (size_t k = 0; k < call.in.size(); ++k) {
    const Tensor& t = *call.in[k];
    if (t.numel() != n || t.dtype() != call.compute || !t.is_contiguous() ||
        !(t.shape() == *call.shape))
      return false;
    in[k] = t.raw();
  }
  for (size_t k = 0; k < call.out.size(); ++k) {
    if (!call.out[k] || call.out[k]->dtype() != call.compute) return false;
    out[k] = call.out[k]->raw();
  }
  kernel(call.formula, n, in, out);
  return true;
}

}  // namespace

void pointwise(const PointwiseCall& call) {
  const auto* kernels = static_cast<const BlockKernels*>(call.table->cpu_kernels);
  if (call.compute == DType::I64) {
    if (!run_plain(call, kernels->integer_value)) run_call<int64_t>(call, kernels->integer_value);
    return;
  }
  const BlockKernel kernel =
      kernels->floating[static_cast<int>(call.pass)][call.compute == DType::F64];
  if (run_plain(call, kernel)) return;
  if (call.compute == DType::F64) run_call<double>(call, kernel);
  else run_call<float>(call, kernel);
}

}  // namespace ebb::cpu
