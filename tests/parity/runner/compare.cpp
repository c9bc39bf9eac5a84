#include "compare.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>

namespace ebb::parity {
namespace {

std::string number(double value, DType dtype) {
  if (std::isnan(value)) return "nan";  // without the sign that printf shows
  char text[32];
  std::snprintf(text, sizeof text, "%.*g", dtype == DType::F32 ? 9 : 17, value);
  return text;
}

double scale(const std::vector<double>& values) {
  double largest = 0;
  for (double v : values) {
    if (std::isfinite(v)) largest = std::max(largest, std::abs(v));
  }
  return largest;
}

// Returns the difference in units of the tolerance. At most 1 counts as equal.
double miss(double expected, double got, double allowed) {
  if (expected == got || (std::isnan(expected) && std::isnan(got))) return 0;
  if (!std::isfinite(expected) || !std::isfinite(got)) return HUGE_VAL;
  return allowed > 0 ? std::abs(got - expected) / allowed : HUGE_VAL;
}

std::string position(const Shape& shape, int64_t flat) {
  Shape index = shape;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    index[i] = flat % shape[i];
    flat /= shape[i];
  }
  return to_text(index);
}

}  // namespace

Tolerance default_tolerance(DType dtype) {
  if (dtype == DType::F64) return {1e-12, 1e-9};
  if (dtype == DType::F32) return {1e-6, 2e-5};
  return {};
}

std::optional<std::string> difference(const Tensor& expected, const Tensor& got,
                                      Tolerance tolerance) {
  const DType dtype = expected.dtype();
  if (got.defined() && got.dtype() != dtype)
    return "expected dtype " + to_text(dtype) + ", got " + to_text(got.dtype());
  if (got.defined() && got.shape() != expected.shape()) {
    return "expected shape " + to_text(expected.shape()) + ", got " + to_text(got.shape());
  }
  const std::vector<double> want = expected.to_vector<double>();
  const std::vector<double> have =
      got.defined() ? got.to_vector<double>() : std::vector<double>(want.size(), 0.0);
  const double floor = tolerance.absolute * scale(want);
  const auto allowed = [&](size_t i) {
    return std::isfinite(want[i]) ? floor + tolerance.relative * std::abs(want[i]) : 0;
  };

  size_t worst = 0, count = 0;
  double largest = 1;
  for (size_t i = 0; i < want.size(); ++i) {
    const double m = miss(want[i], have[i], allowed(i));
    if (m <= 1) continue;
    if (m > largest) worst = i, largest = m;
    ++count;
  }
  if (count == 0) return std::nullopt;
  return "at " + position(expected.shape(), static_cast<int64_t>(worst)) + " expected " +
         number(want[worst], dtype) + ", got " + number(have[worst], dtype) + ", tolerance " +
         number(allowed(worst), DType::F32) + "; " + std::to_string(count) + " of " +
         std::to_string(want.size()) + " differ";
}

double relative_error(const Tensor& expected, const Tensor& got) {
  const std::vector<double> want = expected.to_vector<double>();
  const std::vector<double> have =
      got.defined() ? got.to_vector<double>() : std::vector<double>(want.size(), 0.0);
  if (want.size() != have.size()) return HUGE_VAL;
  double largest = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (std::isfinite(want[i])) largest = std::max(largest, std::abs(have[i] - want[i]));
  }
  const double size = scale(want);
  return largest == 0 ? 0 : size > 0 ? largest / size : HUGE_VAL;
}

bool identical(const Tensor& a, const Tensor& b) {
  if (a.dtype() != b.dtype() || a.shape() != b.shape()) return false;
  return std::ranges::equal(a.to_vector<double>(), b.to_vector<double>(), {},
                            std::bit_cast<uint64_t, double>, std::bit_cast<uint64_t, double>);
}

}  // namespace ebb::parity
