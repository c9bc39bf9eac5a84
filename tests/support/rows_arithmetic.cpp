// Rows of + - * / and their forms with a scalar, pow, maximum, minimum, clamp, where, and in-place
// sums.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

std::vector<OpRow> operator_rows() {
  OpRow plus = binary_row(
      "add", [](const Tensor& a, const Tensor& b) { return a + b; },
      [](double a, double b) { return a + b; });
  plus.zero_second = {0, 1};
  plus.has_integers = true;
  OpRow minus = binary_row(
      "sub", [](const Tensor& a, const Tensor& b) { return a - b; },
      [](double a, double b) { return a - b; });
  minus.zero_second = {0, 1};
  minus.has_integers = true;
  OpRow times = binary_row(
      "mul", [](const Tensor& a, const Tensor& b) { return a * b; },
      [](double a, double b) { return a * b; }, {.extremes = {kInf, 0, -kInf, kNaN}},
      {.extremes = {2, -3, 0, 1}});
  times.third_order = times.has_integers = true;
  times.zero_third = {0, 1};
  // Keeps a distance from 0, where finite differences fail.
  OpRow over = binary_row(
      "div", [](const Tensor& a, const Tensor& b) { return a / b; },
      [](double a, double b) { return a / b; }, {.extremes = {1, -1, 0, kInf}},
      {.low = 0.5, .high = 2, .extremes = {0, 0, 0, 2}});
  over.third_order = true;
  return {plus, minus, times, over};
}

std::vector<OpRow> scalar_rows() {
  OpRow minus = unary_row(
      "neg", [](const Tensor& x) { return -x; }, [](double x) { return -x; });
  OpRow add_c = unary_row(
      "add_scalar", [](const Tensor& x) { return x + 3; }, [](double x) { return x + 3; });
  OpRow sub_c = unary_row(
      "sub_scalar", [](const Tensor& x) { return x - 3; }, [](double x) { return x - 3; });
  sub_c.covers = {"add_scalar"};
  OpRow mul_c = unary_row(
      "mul_scalar", [](const Tensor& x) { return 3 * x; }, [](double x) { return 3 * x; });
  OpRow c_sub = unary_row(
      "scalar_sub", [](const Tensor& x) { return 3 - x; }, [](double x) { return 3 - x; });
  for (OpRow* row : {&minus, &add_c, &sub_c, &mul_c, &c_sub}) row->has_integers = true;
  OpRow div_c = unary_row(
      "div_scalar", [](const Tensor& x) { return x / 3; }, [](double x) { return x / 3; });
  OpRow c_div = unary_row(
      "scalar_div", [](const Tensor& x) { return 3 / TensorArg(x); },
      [](double x) { return 3 / x; }, {.low = 0.5, .high = 2, .extremes = {0, kInf, -kInf}});
  std::vector<OpRow> rows{minus, add_c, sub_c, mul_c, c_sub, div_c};
  for (OpRow& row : rows) {
    row.zero_second = {0};
    if (row.has_integers) row.bad.erase(row.bad.begin());
  }
  rows.push_back(c_div);
  return rows;
}

std::vector<OpRow> power_rows() {
  OpRow power = binary_row(
      "pow", [](const Tensor& x, const Tensor& y) { return pow(x, y); },
      [](double x, double y) { return std::pow(x, y); },
      {.low = 0.5, .high = 2, .extremes = {0, 0, -2, 4}}, {.extremes = {0, 2, 3, 0.5}});
  power.third_order = true;
  power.points = {{{0, 2}, 0, {0, 0}},
                  {{0, 0}, 1, {0, 0}},
                  {{3, 0}, 1, {0, std::log(3.0)}},
                  {{-2, 3}, -8, {12, kNaN}},
                  {{1, 5}, 1, {5, 0}}};
  OpRow cube = unary_row(
      "pow_scalar", [](const Tensor& x) { return pow(x, 3.0); }, [](double x) { return x * x * x; },
      {.extremes = {0, -2}});
  cube.third_order = true;
  cube.points = {{{0}, 0, {0}, {0}}, {{-1}, -1, {3}, {-6}}};
  OpRow root = unary_row(
      "pow_half", [](const Tensor& x) { return pow(x, 0.5); },
      [](double x) { return std::sqrt(x); }, {.low = 0.5, .high = 2, .extremes = {0, 4}});
  root.covers = {"sqrt"};
  OpRow one = unary_row(
      "pow_one", [](const Tensor& x) { return pow(x, 1.0); }, [](double x) { return x; });
  one.covers = {"pow_scalar"};
  one.zero_second = {0};
  one.points = {{{0}, 0, {1}, {0}}};
  OpRow none = unary_row(
      "pow_zero", [](const Tensor& x) { return pow(x, 0.0); }, [](double) { return 1; });
  none.covers = {"pow_scalar"};
  none.zero_gradient = none.zero_second = {0};
  none.points = {{{0}, 1, {0}, {0}}};
  OpRow two = unary_row(
      "square", [](const Tensor& x) { return square(x); }, [](double x) { return x * x; });
  two.third_order = true;
  two.zero_third = {0};
  return {power, cube, root, one, none, two};
}

std::vector<OpRow> bound_rows() {
  const auto propagate = [](double a, double b, double chosen) {
    return std::isnan(a) || std::isnan(b) ? kNaN : chosen;
  };
  OpRow larger = binary_row(
      "maximum", [](const Tensor& a, const Tensor& b) { return maximum(a, b); },
      [=](double a, double b) { return propagate(a, b, std::max(a, b)); },
      {.extremes = {kNaN, 1, kInf, -kInf}}, {.extremes = {1, kNaN, 0, 0}});
  OpRow smaller = binary_row(
      "minimum", [](const Tensor& a, const Tensor& b) { return minimum(a, b); },
      [=](double a, double b) { return propagate(a, b, std::min(a, b)); },
      {.extremes = {kNaN, 1, kInf, -kInf}}, {.extremes = {1, kNaN, 0, 0}});
  larger.points = {{{1, 1}, 1, {0.5, 0.5}}, {{2, 1}, 2, {1, 0}}, {{1, 2}, 2, {0, 1}}};
  smaller.points = {{{1, 1}, 1, {0.5, 0.5}}, {{2, 1}, 1, {0, 1}}, {{1, 2}, 1, {1, 0}}};
  for (OpRow* row : {&larger, &smaller}) {
    row->zero_second = {0, 1};
    row->has_integers = true;
  }
  const Input around{.extremes = {kNaN, kInf, -kInf, -1, 1}, .kinks = {-1, 1}};
  OpRow both = unary_row(
      "clamp", [](const Tensor& x) { return clamp(x, -1, 1); },
      [](double x) { return x < -1  ? -1
                            : x > 1 ? 1
                                    : x; }, around);
  both.points = {{{-1}, -1, {1}}, {{1}, 1, {1}}, {{2}, 1, {0}}, {{-2}, -1, {0}}, {{0.5}, 0.5, {1}}};
  OpRow low = unary_row(
      "clamp_min", [](const Tensor& x) { return clamp_min(x, -1); },
      [](double x) { return x < -1 ? -1 : x; }, around);
  low.points = {{{-1}, -1, {1}}, {{-2}, -1, {0}}, {{0}, 0, {1}}};
  OpRow high = unary_row(
      "clamp_max", [](const Tensor& x) { return clamp_max(x, 1); },
      [](double x) { return x > 1 ? 1 : x; }, around);
  high.points = {{{1}, 1, {1}}, {{2}, 1, {0}}, {{0}, 0, {1}}};
  std::vector<OpRow> rows{larger, smaller, both, low, high};
  for (OpRow& row : rows) {
    if (row.inputs.size() == 1) row.zero_second = {0};
  }
  return rows;
}

OpRow where_row() {
  OpRow row{
      .name = "where",
      .op = [](const Tensors& in) -> Tensors { return {where(in[0], in[1], in[2])}; },
      .inputs = {mask({2, 3}, {1, 0, 1, 0, 0, 1}),
                 {.shape = {2, 3}, .extremes = {kNaN, kInf}},
                 {.shape = {2, 3}}},
      .reference = [](const Arrays& in) -> Arrays {
        const Shape two = broadcast_shapes("reference", in[1].shape, in[2].shape);
        return {make_array(broadcast_shapes("reference", in[0].shape, two), [&](const Shape& at) {
          return broadcast_at(in[0], at) != 0 ? broadcast_at(in[1], at) : broadcast_at(in[2], at);
        })};
      },
      .zero_second = {1, 2}};
  row.broadcast = {{{3}, {2, 1}, {}}, {{2, 1}, {2, 3}, {3}}};
  row.empty = {{0}, {0}, {}};
  row.has_empty = row.has_scalar = true;
  row.bad = {{"shapes", [] { where(zeros({2}), zeros({3}), zeros({3})); }, "do not broadcast"},
             {"dtypes", [] { where(zeros({2}), zeros({2}), zeros({2}, {.dtype = f64})); },
              "dtypes differ"}};
  return row;
}

// add_(other, alpha) in place, on a copy. It is not recorded.
OpRow add_scaled_row() {
  OpRow row = binary_row(
      "add_scaled",
      [](const Tensor& a, const Tensor& b) {
        const NoGrad guard;
        Tensor out = a.clone();
        out.add_(b, 0.5);
        return out;
      },
      [](double a, double b) { return a + 0.5 * b; });
  row.differentiable = false;
  row.broadcast = {{{3, 4}, {4}}, {{3, 4}, {}}};
  row.empty = {{0, 3}, {3}};
  row.bad = {{"shape",
              [] {
                zeros({3}).add_(zeros({2, 3}), 0.5);
              },
              "source (2, 3) does not broadcast to (3,)"},
             {"dtypes", [] { zeros({3}).add_(zeros({3}, {.dtype = f64}), 0.5); }, "dtypes differ"}};
  return row;
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
      binary_row(
          "less", [](const Tensor& a, const Tensor& b) { return a < b; },
          [](double a, double b) { return a < b; }, left, right),
      binary_row(
          "less_equal", [](const Tensor& a, const Tensor& b) { return a <= b; },
          [](double a, double b) { return a <= b; }, left, right),
      binary_row(
          "greater", [](const Tensor& a, const Tensor& b) { return a > b; },
          [](double a, double b) { return a > b; }, left, right),
      binary_row(
          "greater_equal", [](const Tensor& a, const Tensor& b) { return a >= b; },
          [](double a, double b) { return a >= b; }, left, right),
      binary_row(
          "eq", [](const Tensor& a, const Tensor& b) { return a == b; },
          [](double a, double b) { return a == b; }, left, right),
      binary_row(
          "not_equal", [](const Tensor& a, const Tensor& b) { return a != b; },
          [](double a, double b) { return a != b; }, left, right),
      binary_row(
          "logical_and", [](const Tensor& a, const Tensor& b) { return logical_and(a, b); },
          [](double a, double b) { return a != 0 && b != 0; }, {.extremes = {0, 0, 1}},
          {.extremes = {0, 1, 0}}),
      binary_row(
          "logical_or", [](const Tensor& a, const Tensor& b) { return logical_or(a, b); },
          [](double a, double b) { return a != 0 || b != 0; }, {.extremes = {0, 0, 1}},
          {.extremes = {0, 1, 0}}),
  };
  rows.push_back(unary_row(
      "logical_not", [](const Tensor& a) { return logical_not(a); },
      [](double a) { return a == 0; }, {.extremes = {0, 1, kNaN}}));
  rows.back().bad.erase(rows.back().bad.begin());  // it supports integers
  for (OpRow& row : rows) {
    row.differentiable = false;
    row.has_integers = true;
    row.out_dtype = boolean;
  }
  return rows;
}

}  // namespace ebb::test
