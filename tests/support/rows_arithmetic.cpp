// Rows of + - * / and their forms with a scalar, pow, maximum, minimum, clamp, where, and in-place
// sums.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

std::vector<OpRow> operator_rows() {
  OpRow plus = binary(
                   "add", [](const Tensor& a, const Tensor& b) { return a + b; },
                   [](double a, double b) { return a + b; })
                   .zero_second(0, 1)
                   .also_integers();
  OpRow minus = binary(
                    "sub", [](const Tensor& a, const Tensor& b) { return a - b; },
                    [](double a, double b) { return a - b; })
                    .zero_second(0, 1)
                    .also_integers();
  OpRow times = binary(
                    "mul", [](const Tensor& a, const Tensor& b) { return a * b; },
                    [](double a, double b) { return a * b; })
                    .on(input().including(kInf, 0, -kInf, kNaN), input().including(2, -3, 0, 1))
                    .third_order()
                    .zero_third(0, 1)
                    .also_integers();
  // Keeps a distance from 0, where finite differences fail.
  OpRow over =
      binary(
          "div", [](const Tensor& a, const Tensor& b) { return a / b; },
          [](double a, double b) { return a / b; })
          .on(input().including(1, -1, 0, kInf), input().between(0.5, 2).including(0, 0, 0, 2))
          .third_order();
  return {plus, minus, times, over};
}

std::vector<OpRow> scalar_rows() {
  OpRow minus = unary(
      "neg", [](const Tensor& x) { return -x; }, [](double x) { return -x; });
  OpRow add_c = unary(
      "add_scalar", [](const Tensor& x) { return x + 3; }, [](double x) { return x + 3; });
  OpRow sub_c =
      unary(
          "sub_scalar", [](const Tensor& x) { return x - 3; }, [](double x) { return x - 3; })
          .covers("add_scalar");
  OpRow mul_c = unary(
      "mul_scalar", [](const Tensor& x) { return 3 * x; }, [](double x) { return 3 * x; });
  OpRow c_sub = unary(
      "scalar_sub", [](const Tensor& x) { return 3 - x; }, [](double x) { return 3 - x; });
  for (OpRow* row : {&minus, &add_c, &sub_c, &mul_c, &c_sub}) row->has_integers = true;
  OpRow div_c = unary(
      "div_scalar", [](const Tensor& x) { return x / 3; }, [](double x) { return x / 3; });
  OpRow c_div = unary(
                    "scalar_div", [](const Tensor& x) { return 3 / TensorArg(x); },
                    [](double x) { return 3 / x; })
                    .on(input().between(0.5, 2).including(0, kInf, -kInf));
  std::vector<OpRow> rows{minus, add_c, sub_c, mul_c, c_sub, div_c};
  for (OpRow& row : rows) {
    row.zero_second = {0};
    if (row.has_integers) row.bad.erase(row.bad.begin());
  }
  for (OpRow* row : {&rows.back(), &c_div})  // integers are divided in f32
    row->bad.front() = {"undefined", [] { (void)(Tensor() / 3); }, "undefined tensor"};
  rows.push_back(c_div);
  return rows;
}

std::vector<OpRow> power_rows() {
  OpRow power =
      binary(
          "pow", [](const Tensor& x, const Tensor& y) { return pow(x, y); },
          [](double x, double y) { return std::pow(x, y); })
          .on(input().between(0.5, 2).including(0, 0, -2, 4), input().including(0, 2, 3, 0.5))
          .third_order()
          .at(point(0, 2).value(0).gradient(0, 0))
          .at(point(0, 0).value(1).gradient(0, 0))
          .at(point(3, 0).value(1).gradient(0, std::log(3.0)))
          .at(point(-2, 3).value(-8).gradient(12, kNaN))
          .at(point(1, 5).value(1).gradient(5, 0));
  OpRow cube = unary(
                   "pow_scalar", [](const Tensor& x) { return pow(x, 3.0); },
                   [](double x) { return x * x * x; })
                   .on(input().including(0, -2))
                   .third_order()
                   .at(point(0).value(0).gradient(0).second(0))
                   .at(point(-1).value(-1).gradient(3).second(-6));
  OpRow root = unary(
                   "pow_half", [](const Tensor& x) { return pow(x, 0.5); },
                   [](double x) { return std::sqrt(x); })
                   .on(input().between(0.5, 2).including(0, 4))
                   .covers("sqrt");
  OpRow one =
      unary(
          "pow_one", [](const Tensor& x) { return pow(x, 1.0); }, [](double x) { return x; })
          .covers("pow_scalar")
          .zero_second(0)
          .at(point(0).value(0).gradient(1).second(0));
  OpRow none =
      unary(
          "pow_zero", [](const Tensor& x) { return pow(x, 0.0); }, [](double) { return 1; })
          .covers("pow_scalar")
          .zero_gradient(0)
          .zero_second(0)
          .at(point(0).value(1).gradient(0).second(0));
  OpRow two =
      unary(
          "square", [](const Tensor& x) { return square(x); }, [](double x) { return x * x; })
          .third_order()
          .zero_third(0);
  return {power, cube, root, one, none, two};
}

std::vector<OpRow> bound_rows() {
  const auto propagate = [](double a, double b, double chosen) {
    return std::isnan(a) || std::isnan(b) ? kNaN : chosen;
  };
  OpRow larger = binary(
                     "maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); },
                     [=](double a, double b) { return propagate(a, b, std::max(a, b)); })
                     .on(input().including(kNaN, 1, kInf, -kInf), input().including(1, kNaN, 0, 0));
  OpRow smaller =
      binary(
          "minimum", [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
          [=](double a, double b) { return propagate(a, b, std::min(a, b)); })
          .on(input().including(kNaN, 1, kInf, -kInf), input().including(1, kNaN, 0, 0));
  larger = Row(larger)
               .at(point(1, 1).value(1).gradient(0.5, 0.5))
               .at(point(2, 1).value(2).gradient(1, 0))
               .at(point(1, 2).value(2).gradient(0, 1));
  smaller = Row(smaller)
                .at(point(1, 1).value(1).gradient(0.5, 0.5))
                .at(point(2, 1).value(1).gradient(0, 1))
                .at(point(1, 2).value(1).gradient(1, 0));
  for (OpRow* row : {&larger, &smaller}) {
    row->zero_second = {0, 1};
    row->has_integers = true;
  }
  const Input around{.extremes = {kNaN, kInf, -kInf, -1, 1}, .kinks = {-1, 1}};
  OpRow both = unary(
                   "clamp", [](const Tensor& x) { return clamp(x, -1, 1); },
                   [](double x) { return x < -1  ? -1
                                         : x > 1 ? 1
                                                 : x; })
                   .on(around)
                   .at(point(-1).value(-1).gradient(1))
                   .at(point(1).value(1).gradient(1))
                   .at(point(2).value(1).gradient(0))
                   .at(point(-2).value(-1).gradient(0))
                   .at(point(0.5).value(0.5).gradient(1));
  OpRow low = unary(
                  "clamp_min", [](const Tensor& x) { return clamp_min(x, -1); },
                  [](double x) { return x < -1 ? -1 : x; })
                  .on(around)
                  .at(point(-1).value(-1).gradient(1))
                  .at(point(-2).value(-1).gradient(0))
                  .at(point(0).value(0).gradient(1));
  OpRow high = unary(
                   "clamp_max", [](const Tensor& x) { return clamp_max(x, 1); },
                   [](double x) { return x > 1 ? 1 : x; })
                   .on(around)
                   .at(point(1).value(1).gradient(1))
                   .at(point(2).value(1).gradient(0))
                   .at(point(0).value(0).gradient(1));
  std::vector<OpRow> rows{larger, smaller, both, low, high};
  for (OpRow& row : rows) {
    if (row.inputs.size() == 1) row.zero_second = {0};
  }
  return rows;
}

OpRow where_row() {
  return Row("where")
      .calls([](const Tensor& a, const Tensor& b, const Tensor& c) { return where(a, b, c); })
      .on(mask({2, 3}, {1, 0, 1, 0, 0, 1}), input({2, 3}).including(kNaN, kInf), input({2, 3}))
      .expects([](const Arrays& in) -> Arrays {
        const Shape two = broadcast_shapes("reference", in[1].shape, in[2].shape);
        return {make_array(broadcast_shapes("reference", in[0].shape, two), [&](const Shape& at) {
          return broadcast_at(in[0], at) != 0 ? broadcast_at(in[1], at) : broadcast_at(in[2], at);
        })};
      })
      .zero_second(1, 2)
      .broadcasts({3}, {2, 1}, {})
      .broadcasts({2, 1}, {2, 3}, {3})
      .empty({0}, {0}, {})
      .scalars()
      .refuses(
          "shapes", [] { where(zeros({2}), zeros({3}), zeros({3})); }, "do not broadcast")
      .refuses(
          "dtypes", [] { where(zeros({2}), zeros({2}), zeros({2}, {.dtype = f64})); },
          "dtypes differ");
}

// add_(other, alpha) in place, on a copy. It is not recorded.
OpRow add_scaled_row() {
  return binary(
             "add_scaled",
             [](const Tensor& a, const Tensor& b) {
               const NoGrad guard;
               Tensor out = a.clone();
               out.add_(b, 0.5);
               return out;
             },
             [](double a, double b) { return a + 0.5 * b; })
      .without_gradient()
      .without_broadcasts()
      .broadcasts({3, 4}, {4})
      .broadcasts({3, 4}, {})
      .empty({0, 3}, {3})
      .without_refusals()
      .refuses(
          "shape",
          [] {
            zeros({3}).add_(zeros({2, 3}), 0.5);
          },
          "source (2, 3) does not broadcast to (3,)")
      .refuses(
          "dtypes", [] { zeros({3}).add_(zeros({3}, {.dtype = f64}), 0.5); }, "dtypes differ");
}

}  // namespace

std::vector<OpRow> arithmetic_rows() {
  std::vector<OpRow> rows;
  for (auto part : {operator_rows, scalar_rows, power_rows, bound_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  rows.push_back(where_row());
  rows.push_back(add_scaled_row());
  return rows;
}

std::vector<OpRow> comparison_rows() {
  const Input left{.extremes = {1, kNaN, 0, kInf}}, right{.extremes = {1, 0, kNaN, kInf}};
  std::vector<OpRow> rows{
      binary(
          "less", [](const Tensor& a, const Tensor& b) { return a < b; },
          [](double a, double b) { return a < b; })
          .on(left, right),
      binary(
          "less_equal", [](const Tensor& a, const Tensor& b) { return a <= b; },
          [](double a, double b) { return a <= b; })
          .on(left, right),
      binary(
          "greater", [](const Tensor& a, const Tensor& b) { return a > b; },
          [](double a, double b) { return a > b; })
          .on(left, right),
      binary(
          "greater_equal", [](const Tensor& a, const Tensor& b) { return a >= b; },
          [](double a, double b) { return a >= b; })
          .on(left, right),
      binary(
          "eq", [](const Tensor& a, const Tensor& b) { return a == b; },
          [](double a, double b) { return a == b; })
          .on(left, right),
      binary(
          "not_equal", [](const Tensor& a, const Tensor& b) { return a != b; },
          [](double a, double b) { return a != b; })
          .on(left, right),
      binary(
          "logical_and", [](const Tensor& a, const Tensor& b) { return logical_and(a, b); },
          [](double a, double b) { return a != 0 && b != 0; })
          .on(input().including(0, 0, 1), input().including(0, 1, 0)),
      binary(
          "logical_or", [](const Tensor& a, const Tensor& b) { return logical_or(a, b); },
          [](double a, double b) { return a != 0 || b != 0; })
          .on(input().including(0, 0, 1), input().including(0, 1, 0)),
  };
  rows.push_back(unary(
                     "logical_not", [](const Tensor& a) { return logical_not(a); },
                     [](double a) { return a == 0; })
                     .on(input().including(0, 1, kNaN)));
  rows.back().bad.erase(rows.back().bad.begin());  // it supports integers
  for (OpRow& row : rows) {
    row.differentiable = false;
    row.has_integers = true;
    row.out_dtype = boolean;
  }
  return rows;
}

}  // namespace ebb::test
