// Random numbers: element i is a function of (seed, offset + i). A thread draws four consecutive
// elements of a contiguous tensor, and writes them with one instruction. Otherwise it draws one.
// Traffic: one write.
#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/core/draw.h"

namespace ebb::cuda {
namespace {

constexpr int kDraws = 4;

// The numbers of one tensor. moved: the distance by which the generator has advanced since the step
// was captured, or null.
struct Draws {
  PhiloxKeys keys;
  uint64_t offset;
  const uint64_t* moved;
  double a, b;

  template <Distribution kKind, class T> __device__ T at(uint64_t start, int64_t i) const {
    return draw_number<T>(kKind, keys, start + static_cast<uint64_t>(i), a, b);
  }
  __device__ uint64_t start() const { return moved ? offset + *moved : offset; }
};

template <Distribution kKind, class T>
__global__ void __launch_bounds__(kThreads)
    draw_contiguous(T* out, int64_t count, const __grid_constant__ Draws draws) {
  const uint64_t start = draws.start();
  for (int64_t i = first_item() * kDraws; i < count; i += item_step() * kDraws) {
    Pack<T, kDraws> drawn;
#pragma unroll
    for (int k = 0; k < kDraws; ++k) drawn.v[k] = draws.at<kKind, T>(start, i + k);
    if (i + kDraws <= count) {
      *reinterpret_cast<Pack<T, kDraws>*>(out + i) = drawn;
      continue;
    }
#pragma unroll
    for (int k = 0; k < kDraws; ++k) {
      if (i + k < count) out[i + k] = drawn.v[k];
    }
  }
}

template <Distribution kKind, class T>
__global__ void __launch_bounds__(kThreads)
    draw_strided(T* out, const __grid_constant__ Space space,
                 const __grid_constant__ Strides strides, const __grid_constant__ Draws draws) {
  const uint64_t start = draws.start();
  for (int64_t i = first_item(); i < space.numel; i += item_step())
    out[offset_of(space, strides, i)] = draws.at<kKind, T>(start, i);
}

template <class Body> void dispatch_distribution(Distribution kind, const Body& body) {
  switch (kind) {
    case Distribution::Uniform: return body.template operator()<Distribution::Uniform>();
    case Distribution::Normal: return body.template operator()<Distribution::Normal>();
    case Distribution::Bernoulli: return body.template operator()<Distribution::Bernoulli>();
  }
}

}  // namespace

void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a, double b) {
  if (out.numel() == 0) return;
  Shape strides = out.strides();
  Strides steps;
  const Space space = make_space(out.shape(), &strides, 1, &steps);
  const Draws draws{PhiloxKeys(seed), offset, captured_offset(seed, offset, out.numel()), a, b};
  dispatch_floating(out.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    const bool contiguous =
        out.is_contiguous() && reinterpret_cast<uintptr_t>(to) % sizeof(Pack<T, kDraws>) == 0;
    dispatch_distribution(kind, [&]<Distribution kKind>() {
      if (contiguous) {
        launch(draw_contiguous<kKind, T>, grid_for(space.numel, kThreads * kDraws), kThreads, to,
               space.numel, draws);
      } else {
        launch(draw_strided<kKind, T>, grid_for(space.numel), kThreads, to, space, steps, draws);
      }
    });
  });
}

}  // namespace ebb::cuda
