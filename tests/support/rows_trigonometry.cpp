// Rows of trigonometry, rounding, reciprocals and tests for special values.
#include <cmath>

#include "ebb/autograd/ops/elementary.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

// erfinv by bisection of the C library's erf, which shares nothing with ours; erfc where erf is near 1.
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
  OpRow sine = unary_row(
      "sin", [](const Tensor& x) { return sin(x); }, [](double x) { return std::sin(x); }, angles);
  sine.points = {{{0}, 0, {1}, {0}}, {{M_PI / 2}, 1, {0}, {-1}}, {{kInf}, kNaN, {kNaN}}};
  OpRow cosine = unary_row(
      "cos", [](const Tensor& x) { return cos(x); }, [](double x) { return std::cos(x); }, angles);
  cosine.points = {{{0}, 1, {0}, {-1}}, {{-kInf}, kNaN, {kNaN}}};
  OpRow tangent = unary_row(
      "tan", [](const Tensor& x) { return tan(x); }, [](double x) { return std::tan(x); },
      {.low = -1.2, .high = 1.2, .extremes = {kInf, kNaN, 1e5, 1e-30, 0, 3}});
  tangent.points = {{{0}, 0, {1}, {0}}, {{M_PI / 4}, 1, {2}, {4}}};
  OpRow inverse = unary_row(
      "erfinv", [](const Tensor& x) { return erfinv(x); }, inverse_erf,
      {.low = -0.95, .high = 0.95, .extremes = {1, -1, 1.5, kNaN, 0.9999, -0.99999988, 1e-30, 0}});
  inverse.points = {{{0}, 0, {std::sqrt(M_PI) / 2}, {0}}, {{1}, kInf, {kInf}}, {{2}, kNaN, {kNaN}}};
  std::vector<OpRow> rows{sine, cosine, tangent, inverse};
  for (OpRow& row : rows) {
    row.third_order = true;
    row.f32_tolerance = {2.4e-7, 1e-45};
    row.f64_tolerance = {1e-15, 1e-300};
  }
  rows[3].f64_tolerance.absolute = 1e-50;  // 0 by bisection is not 0
  OpRow angle = binary_row(
      "atan2", [](const Tensor& y, const Tensor& x) { return atan2(y, x); },
      [](double y, double x) { return std::atan2(y, x); },
      {.low = 0.3, .high = 2, .extremes = {0, -0.0, kInf, kNaN, 0, -2}},
      {.extremes = {-1, -1, kInf, 1, 0, 0}});
  angle.third_order = true;
  angle.points = {{{0, 0}, 0, {0, 0}},

                  {{0, 2}, 0, {0.5, 0}},
                  {{0, -2}, M_PI, {-0.5, 0}},
                  {{3, 0}, M_PI / 2, {0, -1.0 / 3}}};
  rows.push_back(angle);
  return rows;
}

std::vector<OpRow> remainder_rows() {
  OpRow rest = binary_row(
      "fmod", [](const Tensor& x, const Tensor& y) { return fmod(x, y); },
      [](double x, double y) { return std::fmod(x, y); },
      {.low = 1.1, .high = 1.9, .extremes = {5, -5, 5, kInf, 1, kNaN}},
      {.low = 0.96, .high = 1.04, .extremes = {3, 3, 0, 1, kInf, 1}});
  rest.zero_second = {0, 1};
  rest.points = {{{5, 3}, 2, {1, -1}}, {{-5, 3}, -2, {1, 1}}, {{5, -3}, 2, {1, 1}}};
  OpRow by_number = unary_row(
      "fmod_number", [](const Tensor& x) { return fmod(x, 3); },
      [](double x) { return std::fmod(x, 3); },
      {.low = 3.1, .high = 5.9, .extremes = {-5, kInf, kNaN, 6, 1e10}});
  by_number.covers = {"fmod"};
  by_number.zero_second = {0};
  return {rest, by_number};
}

std::vector<OpRow> reciprocal_rows() {
  const Input positive{.low = 0.3, .high = 3, .extremes = {0, -1, kInf, kNaN, 1e-30, 1e30}};
  OpRow root = unary_row(
      "rsqrt", [](const Tensor& x) { return rsqrt(x); }, [](double x) { return 1 / std::sqrt(x); },
      positive);
  root.points = {{{4}, 0.5, {-1.0 / 16}, {3.0 / 128}}, {{0}, kInf, {-kInf}}};
  OpRow inverse = unary_row(
      "reciprocal", [](const Tensor& x) { return reciprocal(x); }, [](double x) { return 1 / x; },
      positive);
  inverse.points = {{{2}, 0.5, {-0.25}, {0.25}}, {{0}, kInf, {-kInf}}, {{-kInf}, 0, {0}}};
  root.third_order = inverse.third_order = true;
  return {root, inverse};
}

std::vector<OpRow> rounding_rows() {
  const Input numbers{.low = -2.9,
                      .high = 2.9,
                      .extremes = {kInf, -kInf, kNaN, 0.5, 1.5, 2.5, -0.5, -1.5, 16777217, -0.2, 2},
                      .kinks = {-2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 2.5}};
  std::vector<OpRow> rows{unary_row(
                              "floor", [](const Tensor& x) { return floor(x); },
                              [](double x) { return std::floor(x); }, numbers),
                          unary_row(
                              "ceil", [](const Tensor& x) { return ceil(x); },
                              [](double x) { return std::ceil(x); }, numbers),
                          unary_row(
                              "round", [](const Tensor& x) { return round(x); },
                              [](double x) {
                                return std::fabs(x - std::trunc(x)) == 0.5 ? 2 * std::round(x / 2)
                                                                           : std::round(x);
                              },
                              numbers),
                          unary_row(
                              "trunc", [](const Tensor& x) { return trunc(x); },
                              [](double x) { return std::trunc(x); }, numbers)};
  for (OpRow& row : rows) {
    row.zero_gradient = row.zero_second = {0};
    row.has_integers = true;
    row.bad.erase(row.bad.begin());
    row.f32_tolerance = row.f64_tolerance = {0, 0};
  }
  rows[2].points = {{{0.5}, 0, {0}}, {{1.5}, 2, {0}}, {{-2.5}, -2, {0}}, {{2.500001}, 3, {0}}};
  return rows;
}

std::vector<OpRow> special_value_rows() {
  const Input values{.extremes = {kNaN, kInf, -kInf, 0, 1e38, 1e-45}};
  std::vector<OpRow> rows{unary_row(
                              "isnan", [](const Tensor& x) { return isnan(x); },
                              [](double x) { return std::isnan(x); }, values),
                          unary_row(
                              "isinf", [](const Tensor& x) { return isinf(x); },
                              [](double x) { return std::isinf(x); }, values),
                          unary_row(
                              "isfinite", [](const Tensor& x) { return isfinite(x); },
                              [](double x) { return std::isfinite(x); }, values)};
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
