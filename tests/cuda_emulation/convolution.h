// The products of a convolution on the host, NCHW.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace ebb::emulation {

using Sizes = std::array<std::int64_t, 4>;
using Pair = std::array<std::int64_t, 2>;  // of the height and the width

struct Window {
  Pair stride, before, behind, dilation;

  // Returns true if the window takes x and w to these sizes of y.
  bool gives(const Sizes& x, const Sizes& w, const Sizes& y) const {
    if (x[0] != y[0] || w[0] != y[1] || x[1] % w[1] != 0 || w[0] % (x[1] / w[1]) != 0) return false;
    for (std::size_t i = 0; i < 2; ++i) {
      const std::int64_t reach = (w[2 + i] - 1) * dilation[i] + 1;
      const std::int64_t room = x[2 + i] + before[i] + behind[i] - reach;
      if (before[i] < 0 || behind[i] < 0 || stride[i] < 1 || dilation[i] < 1 || room < 0 ||
          room / stride[i] + 1 != y[2 + i])
        return false;
    }
    return true;
  }
};

// Calls visit(offset in x, offset in w, offset in y) for each product.
template <typename Visit>
void each_product(const Window& window, const Sizes& x, const Sizes& w, const Sizes& y,
                  const Visit& visit) {
  const std::int64_t channels = w[1], outputs = w[0] / (x[1] / channels);  // of a group
  std::int64_t at_y = 0;
  const auto one_output = [&](std::int64_t n, std::int64_t o, std::int64_t i, std::int64_t j) {
    std::int64_t at_w = o * channels * w[2] * w[3];
    for (std::int64_t c = 0; c < channels; ++c) {
      const std::int64_t plane = n * x[1] + o / outputs * channels + c;
      for (std::int64_t p = 0; p < w[2]; ++p) {
        for (std::int64_t q = 0; q < w[3]; ++q, ++at_w) {
          const std::int64_t r = i * window.stride[0] - window.before[0] + p * window.dilation[0],
                             t = j * window.stride[1] - window.before[1] + q * window.dilation[1];
          if (r < 0 || r >= x[2] || t < 0 || t >= x[3]) continue;
          visit((plane * x[2] + r) * x[3] + t, at_w, at_y);
        }
      }
    }
  };
  for (std::int64_t n = 0; n < y[0]; ++n) {
    for (std::int64_t o = 0; o < y[1]; ++o) {
      for (std::int64_t i = 0; i < y[2]; ++i) {
        for (std::int64_t j = 0; j < y[3]; ++j, ++at_y) one_output(n, o, i, j);
      }
    }
  }
}

}  // namespace ebb::emulation
