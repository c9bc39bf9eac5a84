// Rows of trigonometry, rounding, reciprocals and tests for special values.
#include <cmath>

#include "ebb/autograd/ops/elementary.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// erfinv by bisection of the C library's erf, which shares nothing with ours; erfc where erf is
// near 1.
double inverse_erf(double x) {
  if (!(std::fabs(x) <= 1)) return kNaN;
  if (std::fabs(x) == 1) return std::copysign(kInf, x);
  double low = 0, high = 7;
  for (int i = 0; i < 200; ++i) {
    const double middle = (low + high) / 2;
    const bool below =
        std::fabs(x) < 0.5 ? std::erf(middle) < std::fabs(x) : std::erfc(middle) > 1 - std::fabs(x);
    (below ? low : high) = middle;
  }
  return std::copysign((low + high) / 2, x);
}

std::vector<OpRow> angle_rows() {
  const Input angles{.low = -6, .high = 6, .extremes = {kInf, -kInf, kNaN, 1e5, -1e18, 1e-30, 0}};
  OpRow sine =
      unary(
          "sin", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); })
          .on(angles)
          .at(point(0).value(0).gradient(1).second(0))
          .at(point(M_PI / 2).value(1).gradient(0).second(-1))
          .at(point(kInf).value(kNaN).gradient(kNaN));
  OpRow cosine =
      unary(
          "cos", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); })
          .on(angles)
          .at(point(0).value(1).gradient(0).second(-1))
          .at(point(-kInf).value(kNaN).gradient(kNaN));
  OpRow tangent =
      unary(
          "tan", [](const Tensor& x) { return tan(x); }, [](double x) { return std::tan(x); })
          .on(input().between(-1.2, 1.2).including(kInf, kNaN, 1e5, 1e-30, 0, 3))
          .at(point(0).value(0).gradient(1).second(0))
          .at(point(M_PI / 4).value(1).gradient(2).second(4));
  OpRow inverse = unary(
                      "erfinv", [](const Tensor& x) { return erfinv(x); }, inverse_erf)
                      .on(input()
                              .between(-0.95, 0.95)
                              .including(1, -1, 1.5, kNaN, 0.9999, -0.99999988, 1e-30, 0))
                      .at(point(0).value(0).gradient(std::sqrt(M_PI) / 2).second(0))
                      .at(point(1).value(kInf).gradient(kInf))
                      .at(point(2).value(kNaN).gradient(kNaN));
  std::vector<OpRow> rows{sine, cosine, tangent, inverse};
  for (OpRow& row : rows) {
    row.third_order = true;
    row.f32_tolerance = {2.4e-7, 1e-45};
    row.f64_tolerance = {1e-15, 1e-300};
  }
  rows[3].f64_tolerance.absolute = 1e-50;  // 0 by bisection is not 0
  rows.push_back(binary(
                     "atan2", [](const Tensor& y, const Tensor& x) { return atan2(y, x); },
                     [](double y, double x) { return std::atan2(y, x); })
                     .on(input().between(0.3, 2).including(0, -0.0, kInf, kNaN, 0, -2),
                         input().including(-1, -1, kInf, 1, 0, 0))
                     .third_order()
                     .at(point(0, 0).value(0).gradient(0, 0))
                     .at(point(0, 2).value(0).gradient(0.5, 0))
                     .at(point(0, -2).value(M_PI).gradient(-0.5, 0))
                     .at(point(3, 0).value(M_PI / 2).gradient(0, -1.0 / 3)));
  return rows;
}

std::vector<OpRow> remainder_rows() {
  OpRow rest = binary(
                   "fmod", [](const Tensor& x, const Tensor& y) { return fmod(x, y); },
                   [](double x, double y) { return std::fmod(x, y); })
                   .on(input().between(1.1, 1.9).including(5, -5, 5, kInf, 1, kNaN),
                       input().between(0.96, 1.04).including(3, 3, 0, 1, kInf, 1))
                   .zero_second(0, 1)
                   .at(point(5, 3).value(2).gradient(1, -1))
                   .at(point(-5, 3).value(-2).gradient(1, 1))
                   .at(point(5, -3).value(2).gradient(1, 1));
  OpRow by_number = unary(
                        "fmod_number", [](const Tensor& x) { return fmod(x, 3); },
                        [](double x) { return std::fmod(x, 3); })
                        .on(input().between(3.1, 5.9).including(-5, kInf, kNaN, 6, 1e10))
                        .covers("fmod")
                        .zero_second(0);
  return {rest, by_number};
}

std::vector<OpRow> reciprocal_rows() {
  const Input positive{.low = 0.3, .high = 3, .extremes = {0, -1, kInf, kNaN, 1e-30, 1e30}};
  OpRow root = unary(
                   "rsqrt", [](const Tensor& x) { return rsqrt(x); },
                   [](double x) { return 1 / std::sqrt(x); })
                   .on(positive)
                   .at(point(4).value(0.5).gradient(-1.0 / 16).second(3.0 / 128))
                   .at(point(0).value(kInf).gradient(-kInf));
  OpRow inverse = unary(
                      "reciprocal", [](const Tensor& x) { return reciprocal(x); },
                      [](double x) { return 1 / x; })
                      .on(positive)
                      .at(point(2).value(0.5).gradient(-0.25).second(0.25))
                      .at(point(0).value(kInf).gradient(-kInf))
                      .at(point(-kInf).value(0).gradient(0));
  root.third_order = inverse.third_order = true;
  return {root, inverse};
}

std::vector<OpRow> rounding_rows() {
  const Input numbers{.low = -2.9,
                      .high = 2.9,
                      .extremes = {kInf, -kInf, kNaN, 0.5, 1.5, 2.5, -0.5, -1.5, 16777217, -0.2, 2},
                      .kinks = {-2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5}};
  std::vector<OpRow> rows{
      unary(
          "floor", [](const Tensor& x) { return floor(x); }, [](double x) { return std::floor(x); })
          .on(numbers),
      unary(
          "ceil", [](const Tensor& x) { return ceil(x); }, [](double x) { return std::ceil(x); })
          .on(numbers),
      unary(
          "round", [](const Tensor& x) { return round(x); },
          [](double x) {
            return std::fabs(x - std::trunc(x)) == 0.5 ? 2 * std::round(x / 2) : std::round(x);
          })
          .on(numbers),
      unary(
          "trunc", [](const Tensor& x) { return trunc(x); }, [](double x) { return std::trunc(x); })
          .on(numbers)};
  for (OpRow& row : rows) {
    row.zero_gradient = row.zero_second = {0};
    row.has_integers = true;
    row.bad.erase(row.bad.begin());
    row.f32_tolerance = row.f64_tolerance = {0, 0};
  }
  rows[2] = Row(rows[2])
                .at(point(0.5).value(0).gradient(0))
                .at(point(1.5).value(2).gradient(0))
                .at(point(-2.5).value(-2).gradient(0))
                .at(point(2.500001).value(3).gradient(0));
  return rows;
}

std::vector<OpRow> special_value_rows() {
  const Input values{.extremes = {kNaN, kInf, -kInf, 0, 1e38, 1e-45}};
  std::vector<OpRow> rows{
      unary(
          "isnan", [](const Tensor& x) { return isnan(x); }, [](double x) { return std::isnan(x); })
          .on(values),
      unary(
          "isinf", [](const Tensor& x) { return isinf(x); }, [](double x) { return std::isinf(x); })
          .on(values),
      unary(
          "isfinite", [](const Tensor& x) { return isfinite(x); },
          [](double x) { return std::isfinite(x); })
          .on(values)};
  for (OpRow& row : rows) {
    row.differentiable = false;
    row.has_integers = true;
    row.out_dtype = boolean;
    row.bad.erase(row.bad.begin());
  }
  return rows;
}

}  // namespace

std::vector<OpRow> trigonometry_rows() {
  std::vector<OpRow> rows;
  for (auto part :
       {angle_rows, remainder_rows, reciprocal_rows, rounding_rows, special_value_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
