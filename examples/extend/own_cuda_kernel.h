// Included by the file for nvcc and by the file for the C++ compiler. It includes only the part of
// Ebb that both can compile: the scalar functions of formulas.
#pragma once

#include <ebb/core/formula.h>

#include <cstdint>
#include <string_view>

/// x tanh(softplus(x)). The formula is in a header, so that nvcc can compile its kernels for the
/// GPU.
struct SoftRamp {
  static constexpr std::string_view name = "soft_ramp";
  template <class T> EBB_HD T operator()(T x) const { return x * ebb::tanh(ebb::softplus(x)); }
};

/// The loss log(cosh(x - t)).
struct LogCoshLoss {
  static constexpr std::string_view name = "log_cosh_loss";
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = ebb::abs(x - t);
    return d + ebb::log1p(ebb::exp(-2 * d)) - T(0.6931471805599453);
  }
};

/// Returns the index of the median of x[i - 1], x[i] and x[i + 1]; at both ends, returns i.
template <class T> EBB_HD int64_t median3_at(const T* x, int64_t i, int64_t n) {
  if (i == 0 || i == n - 1) return i;
  const bool first_rises = x[i - 1] < x[i], then_rises = x[i] < x[i + 1],
             ends_rise = x[i - 1] < x[i + 1];
  return first_rises == then_rises ? i : first_rises == ends_rise ? i + 1 : i - 1;
}

/// Launches the kernel on a stream (a cudaStream_t). T is float or double.
template <class T> void launch_median3(const T* x, T* y, int64_t* chosen, int64_t n, void* stream);
