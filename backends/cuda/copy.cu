// Fill and copy with any strides and between dtypes, and triangles of matrices. The CUDA runtime
// makes contiguous copies of one dtype. In other copies a thread processes one element. Traffic:
// each element is read and written once.
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

struct CopyPlan {
  Space space;
  Strides to, from;
};

template <class To, class From>
__global__ void __launch_bounds__(kThreads)
    copy_kernel(const __grid_constant__ CopyPlan plan, To* to, const From* from) {
  for (int64_t i = first_item(); i < plan.space.numel; i += item_step()) {
    to[offset_of(plan.space, plan.to, i)] = convert<To>(from[offset_of(plan.space, plan.from, i)]);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    triangle_kernel(T* to, const T* from, int64_t numel, int64_t rows, int64_t columns,
                    int64_t diagonal, bool upper) {
  for (int64_t i = first_item(); i < numel; i += item_step()) {
    const int64_t apart = i % columns - i / columns % rows;
    to[i] = (upper ? apart >= diagonal : apart <= diagonal) ? from[i] : T(0);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    fill_kernel(const __grid_constant__ Space space, const __grid_constant__ Strides strides, T* to,
                T value) {
  for (int64_t i = first_item(); i < space.numel; i += item_step())
    to[offset_of(space, strides, i)] = value;
}

}  // namespace

void copy(Tensor& out, const Tensor& in) {
  if (out.numel() == 0) return;
  if (const std::optional<ValueRule> rule = conversion_rule(in.dtype(), out.dtype()))
    check_values("to", in, *rule);
  if (out.dtype() == in.dtype() && out.is_contiguous() && in.is_contiguous() &&
      out.shape() == in.shape()) {
    const size_t bytes = static_cast<size_t>(out.numel()) * size_of(out.dtype());
    check(cudaMemcpyAsync(out.raw(), in.raw(), bytes, cudaMemcpyDeviceToDevice, context().stream),
          "copy");
    return;
  }
  Shape strides[2] = {out.strides(), broadcast_strides(in.shape(), in.strides(), out.shape())};
  Strides steps[2];
  const Space space = make_space(out.shape(), strides, 2, steps);
  dispatch_all(out.dtype(), [&]<class To>(To) {
    dispatch_all(in.dtype(), [&]<class From>(From) {
      launch(copy_kernel<To, From>, grid_for(space.numel), kThreads,
             CopyPlan{space, steps[0], steps[1]}, reinterpret_cast<To*>(out.raw()),
             reinterpret_cast<const From*>(in.raw()));
    });
  });
}

void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal, bool upper) {
  const int64_t numel = matrices.outer * matrices.n * matrices.inner;
  if (numel == 0) return;
  dispatch_all(in.dtype(), [&]<class T>(T) {
    launch(triangle_kernel<T>, grid_for(numel), kThreads, reinterpret_cast<T*>(out.raw()),
           reinterpret_cast<const T*>(in.raw()), numel, matrices.n, matrices.inner, diagonal,
           upper);
  });
}

void fill(Tensor& out, Scalar value) {
  if (out.numel() == 0) return;
  const size_t bytes = static_cast<size_t>(out.numel()) * size_of(out.dtype());
  const double number = value.to_double();
  if (number == 0 && !std::signbit(number) && out.is_contiguous()) {
    check(cudaMemsetAsync(out.raw(), 0, bytes, context().stream), "fill");
    return;
  }
  Shape strides = out.strides();
  Strides steps;
  const Space space = make_space(out.shape(), &strides, 1, &steps);
  dispatch_all(out.dtype(), [&]<class T>(T) {
    launch(fill_kernel<T>, grid_for(space.numel), kThreads, space, steps,
           reinterpret_cast<T*>(out.raw()), value.to<T>("fill"));
  });
}

}  // namespace ebb::cuda
