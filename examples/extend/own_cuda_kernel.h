// What the file for nvcc and the file for the C++ compiler share. No more of Ebb than both can read: the words of
// formulas.
#pragma once

#include <ebb/core/formula.h>

#include <cstdint>
#include <string_view>

/// x tanh(softplus(x)): a formula in a header, so that nvcc makes its kernels for the GPU as well.
struct Mish {
  static constexpr std::string_view name = "mish";
  template <class T> EBB_HD T operator()(T x) const { return x * ebb::tanh(ebb::softplus(x)); }
};

/// A loss: log(cosh(x - t)).
struct LogCoshLoss {
  static constexpr std::string_view name = "log_cosh_loss";
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = ebb::abs(x - t);
    return d + ebb::log1p(ebb::exp(-2 * d)) - T(0.6931471805599453);
  }
};

/// Where the median of x[i - 1], x[i], x[i + 1] lies; the ends stay.
template <class T> EBB_HD int64_t median3_at(const T* x, int64_t i, int64_t n) {
  if (i == 0 || i == n - 1) return i;
  const bool first_rises = x[i - 1] < x[i], then_rises = x[i] < x[i + 1],
             ends_rise = x[i - 1] < x[i + 1];
  return first_rises == then_rises ? i : first_rises == ends_rise ? i + 1 : i - 1;
}

/// Starts the kernel on a stream (a cudaStream_t). T: float, double.
template <class T> void launch_median3(const T* x, T* y, int64_t* chosen, int64_t n, void* stream);
