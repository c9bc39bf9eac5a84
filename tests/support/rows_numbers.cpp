// Rows of ops with a C++ number as an operand.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {

std::vector<OpRow> number_rows() {
  OpRow quotient = unary(
                       "floor_divide", [](const Tensor& x) { return floor_divide(x, -3); },
                       [](double x) { return std::floor(x / -3); })
                       .on(input().between(-9, 9).including(kNaN, -6, 6, 0))
                       .without_gradient()
                       .also_integers()
                       .without_refusals()
                       .refuses(
                           "zero", [] { floor_divide(zeros({2}, {.dtype = i64}), 0); }, "divisor")
                       .refuses(
                           "undefined", [] { floor_divide(Tensor(), 2); }, "undefined tensor");
  OpRow larger = unary(
                     "maximum_number", [](const Tensor& x) { return maximum(x, 0.5); },
                     [](double x) { return x < 0.5 ? 0.5 : x; })
                     .on(input().including(kNaN, kInf, 0.5).avoiding(0.5))
                     .covers("maximum")
                     .at(point(0.5).value(0.5).gradient(0.5))
                     .at(point(1).value(1).gradient(1))
                     .at(point(0).value(0.5).gradient(0));
  OpRow smaller = unary(
                      "minimum_number", [](const Tensor& x) { return minimum(0.5, x); },
                      [](double x) { return x > 0.5 ? 0.5 : x; })
                      .on(input().including(kNaN, -kInf, 0.5).avoiding(0.5))
                      .covers("minimum")
                      .at(point(0.5).value(0.5).gradient(0.5))
                      .at(point(1).value(0.5).gradient(0))
                      .at(point(0).value(0).gradient(1));
  OpRow power = unary(
                    "pow_of_number", [](const Tensor& x) { return pow(2.0, x); },
                    [](double x) { return std::pow(2.0, x); })
                    .on(input().including(0, -1, kInf, -kInf))
                    .covers("pow")
                    .third_order();
  OpRow clamped = unary(
                      "clamp_low", [](const Tensor& x) { return clamp(x, 0); },
                      [](double x) { return x < 0 ? 0 : x; })
                      .on(input().including(kNaN, kInf, -kInf, 0).avoiding(0))
                      .covers("clamp")
                      .at(point(0).value(0).gradient(1))
                      .at(point(kInf).value(kInf).gradient(1));
  OpRow chosen =
      Row("where_number")
          .covers("where")
          .calls([](const Tensor& a, const Tensor& b) { return where(a, 0.5, b) + where(a, b, 2); })
          .on(mask({2, 3}, {1, 0, 1, 0, 0, 1}), input({2, 3}))
          .expects([](const Arrays& in) -> Arrays {
            Array out = in[1];
            for (size_t i = 0; i < out.v.size(); ++i) out.v[i] += in[0].v[i] != 0 ? 0.5 : 2;
            return {out};
          })
          .zero_second(1)
          .refuses(
              "integers",
              [] { where(zeros({2}, {.dtype = boolean}), 0.5, zeros({2}, {.dtype = i64})); }, "0.5")
          .refuses(
              "undefined", [] { where(zeros({2}), 0.5, Tensor()); }, "undefined tensor");
  for (OpRow* row : {&larger, &smaller, &clamped}) row->zero_second = {0};
  for (OpRow* row : {&larger, &smaller}) {
    row->bad = {{"integers", [] { maximum(zeros({2}, {.dtype = i64}), 0.5); }, "0.5"},
                {"undefined", [] { minimum(0.5, Tensor()); }, "undefined tensor"}};
  }
  return {quotient, larger, smaller, power, clamped, chosen};
}

}  // namespace ebb::test
