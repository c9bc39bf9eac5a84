// Random numbers: element i is a function of (seed, offset + i). One thread per element. Traffic:
// one write.
#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

// moved: the distance by which the generator has advanced since the step was captured, or null.
template <class T>
__global__ void __launch_bounds__(kThreads)
    random_kernel(Distribution kind, const __grid_constant__ Space space,
                  const __grid_constant__ Strides strides, T* out, uint64_t seed, uint64_t offset,
                  const uint64_t* moved, double a, double b) {
  if (moved) offset += *moved;
  for (int64_t i = first_item(); i < space.numel; i += item_step()) {
    out[offset_of(space, strides, i)] =
        draw_number<T>(kind, seed, offset + static_cast<uint64_t>(i), a, b);
  }
}

}  // namespace

void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a, double b) {
  if (out.numel() == 0) return;
  Shape strides = out.strides();
  Strides steps;
  const Space space = make_space(out.shape(), &strides, 1, &steps);
  const uint64_t* moved = captured_offset(seed, offset, out.numel());
  dispatch_floating(out.dtype(), [&]<class T>(T) {
    launch(random_kernel<T>, grid_for(space.numel), kThreads, kind, space, steps,
           reinterpret_cast<T*>(out.raw()), seed, offset, moved, a, b);
  });
}

}  // namespace ebb::cuda
