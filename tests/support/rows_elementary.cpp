// Rows of elementary functions and conversions.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {

std::vector<OpRow> elementary_rows() {
  const Input positive{.low = 0.3, .high = 3, .extremes = {0, -1, kInf, kNaN, 1e-30, 1e30}};
  OpRow e = unary(
                "exp", [](const Tensor& x) { return exp(x); }, [](double x) { return std::exp(x); })
                .on(input().including(1000, -1000, kInf, -kInf, kNaN, 0))
                .covers("exp", "exp_backward");
  OpRow ln =
      unary(
          "log", [](const Tensor& x) { return log(x); }, [](double x) { return std::log(x); })
          .on(positive)
          .at(point(1).value(0).gradient(1).second(-1))
          .at(point(0).value(-kInf).gradient(kInf));
  OpRow ln1 =
      unary(
          "log1p", [](const Tensor& x) { return log1p(x); }, [](double x) { return std::log1p(x); })
          .on(input().between(-0.5, 2).including(-1, -2, 1e-30, -1e-12, kInf, kNaN));
  OpRow e1 =
      unary(
          "expm1", [](const Tensor& x) { return expm1(x); }, [](double x) { return std::expm1(x); })
          .on(input().including(1e-30, -1e-12, 1000, -1000, kInf, -kInf, kNaN));
  OpRow root =
      unary(
          "sqrt", [](const Tensor& x) { return sqrt(x); }, [](double x) { return std::sqrt(x); })
          .on(positive)
          .at(point(4).value(2).gradient(0.25).second(-1.0 / 32))
          .at(point(0).value(0).gradient(kInf));
  OpRow bell =
      unary(
          "erf", [](const Tensor& x) { return erf(x); }, [](double x) { return std::erf(x); })
          .on(input().including(10, -10, kInf, -kInf, kNaN, 1e-20));
  std::vector<OpRow> rows{e, ln, ln1, e1, root, bell};
  for (OpRow& row : rows) {
    row.third_order = true;
    row.f32_tolerance = {1.2e-7, 1e-45};  // 1 ulp
    row.f64_tolerance = {2.3e-16 * 2, 1e-300};
  }
  OpRow size =
      unary(
          "abs", [](const Tensor& x) { return abs(x); }, [](double x) { return std::fabs(x); })
          .on(input().including(kInf, -kInf, kNaN, -0.0).avoiding(0))
          .zero_second(0)
          .at(point(0).value(0).gradient(0))
          .at(point(-2).value(2).gradient(-1))
          .at(point(2).value(2).gradient(1));
  OpRow side = unary(
                   "sign", [](const Tensor& x) { return sign(x); },
                   [](double x) { return x > 0   ? 1
                                         : x < 0 ? -1
                                                 : 0; })
                   .on(input().including(0, kInf, -kInf, kNaN).avoiding(0))
                   .zero_gradient(0)
                   .zero_second(0);
  for (OpRow* row : {&size, &side}) {
    row->has_integers = true;
    row->bad.erase(row->bad.begin());
  }
  rows.push_back(size);
  rows.push_back(side);

  OpRow wide = unary(
                   "to_f64_and_back", [](const Tensor& x) { return (x.to(f64) * 3).to(x.dtype()); },
                   [](double x) { return 3 * x; })
                   .on(input().including(kNaN, kInf))
                   .covers("to")
                   .zero_second(0);
  OpRow copy = unary(
                   "clone", [](const Tensor& x) { return x.clone(); }, [](double x) { return x; })
                   .zero_second(0);
  wide = Row(wide).without_refusals().refuses(
      "undefined", [] { (void)Tensor().to(f64); }, "undefined tensor");
  copy = Row(copy).without_refusals().refuses(
      "undefined", [] { (void)Tensor().clone(); }, "undefined tensor");
  rows.push_back(wide);
  rows.push_back(copy);
  return rows;
}

}  // namespace ebb::test
