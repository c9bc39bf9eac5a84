// The register tiles of convolutions of stride 1 on plain planes, in GCC vector extensions.
//
// Lanes are neighbors in a row of y. The input of a tile is a padded copy of x, whose rows are
// long enough for whole vectors. Forward: kOutputs output channels by R rows by V vectors stay in
// registers for all channels and taps; each step loads vectors of x and broadcasts a weight.
// Gradient of the weight: O output channels by the K taps of a kernel row stay in registers for all
// rows of a few images; each step loads a vector of y's gradient for each channel.
//
// Everything is always inlined: see gemm_tile.h.
#pragma once

#include "ebb/backends/cpu/gemm_tile.h"

namespace ebb::cpu::detail {

/// Output channels of a forward tile.
template <class S> inline constexpr int kOutputs = S::Set::kRegisters == 32 ? 8 : 4;
/// Output channels of a tile of the weight's gradient, for kernel rows of K taps.
template <class S, int K>
inline constexpr int kGradientOutputs = S::Set::kRegisters == 32 ? (K <= 3 ? 8 : 4)
                                        : K <= 3                 ? 3
                                                                 : 2;

/// Rows `begin` to `end` of up to kOutputs output channels of one image.
struct ForwardRows {
  const float* in;  // (channels, plane): the padded image
  int64_t channels, plane, row_step;
  const float* weights;  // (channels, kernel height, kernel width, kOutputs)
  int64_t kernel_height;
  float* y;  // of the first output channel
  int64_t y_plane, y_width;
  int64_t outputs;    // <= kOutputs
  const float* bias;  // of these outputs, or null
  int64_t begin, end;
};

/// The gradient of the weights of up to kGradientOutputs output channels for one input channel and
/// one row of the kernel, over some images: added to `sums`.
struct GradientRows {
  const float* in;  // of the channel, from the kernel's row on; images in_image apart
  int64_t in_image, row_step;
  const float* y;  // of the first output channel; images y_image apart
  int64_t y_image, y_plane, y_height, y_width;
  int64_t images, outputs;
  float* sums;  // (outputs, K), output channels sum_step apart
  int64_t sum_step;
};

template <class T, int Bytes> struct LaneMask {
  typedef T Type __attribute__((vector_size(Bytes)));
};

// Stores the first `count` lanes.
template <class S>
[[gnu::always_inline]] inline void store_part(float* to, const typename S::Vec& from,
                                              int64_t count) {
  alignas(64) float lanes[S::kLanes];
  store<S>(lanes, from);
  for (int64_t i = 0; i < count; ++i) to[i] = lanes[i];
}

template <class S, int R, int V, int K>
[[gnu::always_inline]] inline void forward_tile(const ForwardRows& j, int64_t row, int64_t column) {
  using Vec = typename S::Vec;
  constexpr int kO = kOutputs<S>, kL = S::kLanes;
  Vec acc[kO][R][V];
#pragma GCC unroll 8
  for (int o = 0; o < kO; ++o) {
    const Vec start = Vec{} + (j.bias && o < j.outputs ? j.bias[o] : 0.0f);
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) acc[o][r][v] = start;
    }
  }
  const float* w = j.weights;
  for (int64_t c = 0; c < j.channels; ++c) {
    const float* in = j.in + c * j.plane + row * j.row_step + column;
#pragma GCC unroll 1
    for (int64_t p = 0; p < j.kernel_height; ++p, in += j.row_step) {
#pragma GCC unroll 8
      for (int q = 0; q < K; ++q, w += kO) {
        Vec x[R][V];
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
          for (int v = 0; v < V; ++v) load<S>(x[r][v], in + r * j.row_step + q + v * kL);
        }
#pragma GCC unroll 8
        for (int o = 0; o < kO; ++o) {
          const float s = w[o];
#pragma GCC unroll 8
          for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
            for (int v = 0; v < V; ++v) acc[o][r][v] += s * x[r][v];
          }
        }
      }
    }
  }
  // The last vector of a row may be stored as a whole where the next row is stored after it.
  const bool spills = j.y_width <= 2 * kL;
#pragma GCC unroll 8
  for (int o = 0; o < kO; ++o) {
    if (o >= j.outputs) continue;
    float *const plane = j.y + o * j.y_plane, *const end = plane + j.y_plane;
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) {
#pragma GCC unroll 8
      for (int v = 0; v < V; ++v) {
        float* to = plane + (row + r) * j.y_width + column + v * kL;
        const int64_t left = j.y_width - column - v * kL;
        if (left >= kL || (spills && to + kL <= end)) store<S>(to, acc[o][r][v]);
        else store_part<S>(to, acc[o][r][v], left);
      }
    }
  }
}

template <class S, int V, int K>
[[gnu::always_inline]] inline void forward_column(const ForwardRows& j, int64_t column) {
  constexpr int R = V == 1 ? 3 : 1;
  int64_t row = j.begin;
  for (; row + R <= j.end; row += R) forward_tile<S, R, V, K>(j, row, column);
  if constexpr (R == 3) {
    if (row + 2 <= j.end) {
      forward_tile<S, 2, V, K>(j, row, column);
      row += 2;
    }
    if (row < j.end) forward_tile<S, 1, V, K>(j, row, column);
  }
}

template <class S, int K> [[gnu::always_inline]] inline void forward_rows(const ForwardRows& j) {
  const int64_t step = 2 * S::kLanes;
  for (int64_t column = 0; column < j.y_width; column += step) {
    if (j.y_width - column <= S::kLanes) forward_column<S, 1, K>(j, column);
    else forward_column<S, 2, K>(j, column);
  }
}

template <class S, int O, int K>
[[gnu::always_inline]] inline void gradient_rows(const GradientRows& j) {
  using Vec = typename S::Vec;
  using Mask = typename LaneMask<int32_t, S::Set::kBytes>::Type;
  constexpr int kL = S::kLanes;
  const int64_t vectors = (j.y_width + kL - 1) / kL, left = j.y_width - (vectors - 1) * kL;
  Mask last;  // the lanes of a row's last vector: others would give 0 times infinity
  for (int i = 0; i < kL; ++i) last[i] = i < left ? -1 : 0;
  int64_t plane[O];
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o) plane[o] = std::min<int64_t>(o, j.outputs - 1) * j.y_plane;
  Vec acc[O][K] = {};
  for (int64_t n = 0; n < j.images; ++n) {
    for (int64_t row = 0; row < j.y_height; ++row) {
      const float *in = j.in + n * j.in_image + row * j.row_step,
                  *y = j.y + n * j.y_image + row * j.y_width;
      Vec x[K], d;
      for (int64_t v = 0; v + 1 < vectors; ++v, in += kL, y += kL) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) load<S>(x[k], in + k);
#pragma GCC unroll 8
        for (int o = 0; o < O; ++o) {
          load<S>(d, y + plane[o]);
#pragma GCC unroll 8
          for (int k = 0; k < K; ++k) acc[o][k] += d * x[k];
        }
      }
#pragma GCC unroll 8
      for (int k = 0; k < K; ++k) {
        load<S>(x[k], in + k);
        x[k] = reinterpret_cast<Vec>(reinterpret_cast<Mask>(x[k]) & last);
      }
#pragma GCC unroll 8
      for (int o = 0; o < O; ++o) {
        load<S>(d, y + plane[o]);
        d = reinterpret_cast<Vec>(reinterpret_cast<Mask>(d) & last);
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) acc[o][k] += d * x[k];
      }
    }
  }
#pragma GCC unroll 8
  for (int o = 0; o < O; ++o) {
    if (o >= j.outputs) continue;
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) j.sums[o * j.sum_step + k] += horizontal_sum<S>(acc[o][k]);
  }
}

/// A sum of n numbers, which is added to *sum.
struct PlaneSum {
  const float* y;
  int64_t n;
  double* sum;
};

// Lanes are f32 within 1024 numbers, and f64 beyond.
template <class S> [[gnu::always_inline]] inline void add_plane_sum(const PlaneSum& j) {
  using Vec = typename S::Vec;
  constexpr int kL = S::kLanes, kBlock = 1024;
  double sum = 0;
  const float* y = j.y;
  for (int64_t left = j.n; left > 0; left -= kBlock) {
    const float* const end = y + std::min<int64_t>(left, kBlock);
    Vec acc[4] = {}, x;
    for (; y + 4 * kL <= end; y += 4 * kL) {
#pragma GCC unroll 4
      for (int v = 0; v < 4; ++v) {
        load<S>(x, y + v * kL);
        acc[v] += x;
      }
    }
    for (; y + kL <= end; y += kL) {
      load<S>(x, y);
      acc[0] += x;
    }
    acc[0] = (acc[0] + acc[1]) + (acc[2] + acc[3]);
    float rest = horizontal_sum<S>(acc[0]);
    for (; y < end; ++y) rest += *y;
    sum += static_cast<double>(rest);
  }
  *j.sum += sum;
}

}  // namespace ebb::cpu::detail
