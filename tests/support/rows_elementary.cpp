// Rows of elementary functions and conversions.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {

std::vector<OpRow> elementary_rows() {
  const Input positive{.low = 0.3, .high = 3, .extremes = {0, -1, kInf, kNaN, 1e-30, 1e30}};
  OpRow e = unary_row(
      "exp", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); },
      {.extremes = {1000, -1000, kInf, -kInf, kNaN, 0}});
  e.covers = {"exp", "exp_backward"};
  OpRow ln = unary_row(
      "log", [](const Tensor& x) { return log(x); }, [](double x) { return std::log(x); },
      positive);
  ln.points = {{{1}, 0, {1}, {-1}}, {{0}, -kInf, {kInf}}};
  OpRow ln1 = unary_row(
      "log1p", [](const Tensor& x) { return log1p(x); }, [](double x) { return std::log1p(x); },
      {.low = -0.5, .high = 2, .extremes = {-1, -2, 1e-30, -1e-12, kInf, kNaN}});
  OpRow e1 = unary_row(
      "expm1", [](const Tensor& x) { return expm1(x); }, [](double x) { return std::expm1(x); },
      {.extremes = {1e-30, -1e-12, 1000, -1000, kInf, -kInf, kNaN}});
  OpRow root = unary_row(
      "sqrt", [](const Tensor& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); },
      positive);
  root.points = {{{4}, 2, {0.25}, {-1.0 / 32}}, {{0}, 0, {kInf}}};
  OpRow bell = unary_row(
      "erf", [](const Tensor& x) { return erf(x); }, [](double x) { return std::erf(x); },
      {.extremes = {10, -10, kInf, -kInf, kNaN, 1e-20}});
  std::vector<OpRow> rows{e, ln, ln1, e1, root, bell};
  for (OpRow& row : rows) {
    row.third_order = true;
    row.f32_tolerance = {1.2e-7, 1e-45};  // 1 ulp
    row.f64_tolerance = {2.3e-16 * 2, 1e-300};
  }
  OpRow size = unary_row(
      "abs", [](const Tensor& x) { return abs(x); }, [](double x) { return std::fabs(x); },
      {.extremes = {kInf, -kInf, kNaN, -0.0}, .kinks = {0}});
  size.points = {{{0}, 0, {0}}, {{-2}, 2, {-1}}, {{2}, 2, {1}}};
  size.zero_second = {0};
  OpRow side = unary_row(
      "sign", [](const Tensor& x) { return sign(x); },
      [](double x) { return x > 0   ? 1
                            : x < 0 ? -1
                                    : 0; },
      {.extremes = {0, kInf, -kInf, kNaN}, .kinks = {0}});
  side.zero_gradient = side.zero_second = {0};
  for (OpRow* row : {&size, &side}) {
    row->has_integers = true;
    row->bad.erase(row->bad.begin());
  }
  rows.push_back(size);
  rows.push_back(side);

  OpRow wide = unary_row(
      "to_f64_and_back", [](const Tensor& x) { return (x.to(f64) * 3).to(x.dtype()); },
      [](double x) { return 3 * x; }, {.extremes = {kNaN, kInf}});
  wide.covers = {"to"};
  wide.zero_second = {0};
  OpRow copy = unary_row(
      "clone", [](const Tensor& x) { return x.clone(); }, [](double x) { return x; });
  copy.zero_second = {0};
  wide.bad = {{"undefined", [] { Tensor().to(f64); }, "undefined tensor"}};
  copy.bad = {{"undefined", [] { Tensor().clone(); }, "undefined tensor"}};
  rows.push_back(wide);
  rows.push_back(copy);
  return rows;
}

}  // namespace ebb::test
