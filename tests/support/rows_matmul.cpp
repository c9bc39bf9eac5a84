// Rows of matrix products.
#include "ebb/autograd/ops/matmul.h"

#include <algorithm>
#include <cmath>

#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// torch.matmul, computed by three loops.
Arrays multiply(const Arrays& in) {
  Array a = in[0], b = in[1];
  const bool row = a.shape.dim() == 1, column = b.shape.dim() == 1;
  if (row) a.shape.insert(0, 1);
  if (column) b.shape.push_back(1);
  const auto batch_of = [](const Shape& s) { return Shape(std::span(s.begin(), s.end() - 2)); };
  Shape shape = broadcast_shapes("reference", batch_of(a.shape), batch_of(b.shape));
  const int lead = shape.dim();
  const int64_t m = a.shape[a.shape.dim() - 2], k = a.shape.back(), n = b.shape.back();
  shape.push_back(m);
  shape.push_back(n);
  Array out = make_array(shape, [&](const Shape& at) {
    double sum = 0;
    Shape left = at, right = at;
    for (int64_t i = 0; i < k; ++i) {
      left[lead + 1] = i;
      right[lead] = i;
      sum += broadcast_at(a, left) * broadcast_at(b, right);
    }
    return sum;
  });
  if (column) out.shape.erase(lead + 1);
  if (row) out.shape.erase(lead);
  return {out};
}

OpRow product_row(const std::string& name, const Shape& a, const Shape& b) {
  OpRow row = Row(name)
                  .covers("matmul")
                  .calls([](const Tensor& a, const Tensor& b) { return matmul(a, b); })
                  .on(input(a), input(b))
                  .expects(multiply)
                  .within_f32(2e-6)
                  .bits_depend_on_layout();  // the order of the sum may depend on the layout
  row = Row(row)
            .without_refusals()
            .refuses(
                "sizes",
                [] {
                  matmul(zeros({2, 3}), zeros({2, 3}));
                },
                "shapes (2, 3) and (2, 3) do not fit")
            .refuses(
                "batch",
                [] {
                  matmul(zeros({2, 3, 4}), zeros({3, 4, 5}));
                },
                "(2,) and (3,) do not broadcast")
            .refuses(
                "0-d",
                [] {
                  matmul(zeros({}), zeros({2, 3}));
                },
                "0-d operand")
            .refuses(
                "dtypes",
                [] {
                  matmul(zeros({2, 3}), zeros({3, 2}, {.dtype = f64}));
                },
                "dtypes differ")
            .refuses(
                "integers",
                [] {
                  matmul(zeros({2, 3}, {.dtype = i64}), zeros({3, 2}, {.dtype = i64}));
                },
                "got i64")
            .refuses(
                "undefined",
                [] {
                  matmul(zeros({2, 3}), Tensor());
                },
                "undefined tensor");
  return row;
}

OpRow linear_row(const std::string& name, const Shape& shape, bool with_bias,
                 Activation activation) {
  const bool smooth = activation == Activation::GeluTanh;
  const int64_t units = smooth ? 8 : 5;  // for 8 units cuBLASLt computes GELU as an epilogue
  OpRow row = Row(name)
                  .covers("linear")
                  .calls([=](const Tensor& a, const Tensor& b, const Tensor& c) {
                    return linear(a, b, with_bias ? c : Tensor(), activation);
                  })
                  .on(input(shape), input({units, 3}))
                  .within_f32(2e-6)
                  .bits_depend_on_layout()
                  .third_order(activation != Activation::Relu);
  if (!smooth) row.zero_third = {0, 1};
  if (with_bias) {
    row.inputs.push_back({.shape = {units}});
    if (!smooth) row.zero_third.push_back(2);
    if (!smooth) row.zero_second.push_back(2);
  }
  row.reference = [=](const Arrays& in) -> Arrays {
    Shape out = in[0].shape;
    out[out.dim() - 1] = in[1].shape[0];
    return {make_array(out, [&](const Shape& at) {
      const int64_t o = at.back();
      double sum = with_bias ? in[2].v[static_cast<size_t>(o)] : 0;
      Shape from = at;
      for (int64_t i = 0; i < in[1].shape[1]; ++i) {
        from[from.dim() - 1] = i;
        sum += in[0].v[static_cast<size_t>(ravel(from, in[0].shape))] *
               in[1].v[static_cast<size_t>(ravel({o, i}, in[1].shape))];
      }
      if (smooth)
        return sum *
               (0.5 + 0.5 * std::tanh(std::sqrt(2 / M_PI) * (sum + 0.044715 * sum * sum * sum)));
      return activation == Activation::Relu ? std::max(sum, 0.0) : sum;
    })};
  };
  row.empty = {{0, 3}, {units, 3}, {units}};
  if (!with_bias) row.empty.pop_back();
  row.has_empty = shape.dim() == 2;
  row = Row(row)
            .without_refusals()
            .refuses(
                "input",
                [] {
                  linear(zeros({2, 4}), zeros({5, 3}));
                },
                "input (2, 4) does not fit weight (5, 3)")
            .refuses(
                "bias",
                [] {
                  linear(zeros({2, 3}), zeros({5, 3}), zeros({3}));
                },
                "bias (3,) does not fit weight (5, 3): expected (5,)")
            .refuses(
                "weight",
                [] {
                  linear(zeros({2, 3}), zeros({3}));
                },
                "weight (3,)")
            .refuses(
                "0-d",
                [] {
                  linear(zeros({}), zeros({5, 3}));
                },
                "input ()")
            .refuses(
                "dtypes",
                [] {
                  linear(zeros({2, 3}), zeros({5, 3}), zeros({5}, {.dtype = f64}));
                },
                "dtypes differ")
            .refuses(
                "undefined",
                [] {
                  linear(zeros({2, 3}), Tensor());
                },
                "undefined tensor");
  return row;
}

}  // namespace

std::vector<OpRow> matmul_rows() {
  std::vector<OpRow> rows{product_row("matmul", {3, 4}, {4, 2}),
                          product_row("matmul_dot", {4}, {4}),
                          product_row("matmul_vector", {3, 4}, {4}),
                          product_row("matmul_row", {4}, {4, 3}),
                          product_row("matmul_batched", {2, 3, 4}, {2, 4, 2}),
                          product_row("matmul_batch_vector", {2, 2, 3}, {3})};
  rows[0].third_order = true;
  rows[0].zero_third = {0, 1};
  rows[0].empty = {{0, 4}, {4, 2}};
  rows[4] = Row(rows[4])
                .without_broadcasts()
                .broadcasts({2, 1, 2, 3}, {3, 3, 2})
                .broadcasts({2, 3}, {2, 3, 2})
                .broadcasts({2, 2, 3}, {3, 2});
  rows[4].empty = {{2, 0, 4}, {2, 4, 2}};
  OpRow nothing = product_row("matmul_over_nothing", {2, 0}, {0, 3});
  nothing.differentiable = false;  // the result is 0, and gradients are empty
  rows[0].has_empty = rows[4].has_empty = true;
  rows.push_back(nothing);
  rows.push_back(Row("mm")
                     .covers("matmul")
                     .calls([](const Tensor& a, const Tensor& b) { return mm(a, b); })
                     .on(input({3, 4}), input({4, 2}))
                     .expects(multiply)
                     .within_f32(2e-6)
                     .bits_depend_on_layout()
                     .refuses(
                         "dims",
                         [] {
                           mm(zeros({2, 3, 4}), zeros({4, 5}));
                         },
                         "got (2, 3, 4) and (4, 5)"));
  rows.push_back(Row("mv")
                     .covers("matmul")
                     .calls([](const Tensor& a, const Tensor& b) { return mv(a, b); })
                     .on(input({3, 4}), input({4}))
                     .expects(multiply)
                     .within_f32(2e-6)
                     .bits_depend_on_layout()
                     .refuses(
                         "dims",
                         [] {
                           mv(zeros({3, 4}), zeros({4, 1}));
                         },
                         "got (3, 4) and (4, 1)"));
  rows.push_back(linear_row("linear", {4, 3}, true, Activation::None));
  rows.push_back(linear_row("linear_no_bias", {4, 3}, false, Activation::None));
  rows.push_back(linear_row("linear_3d", {2, 2, 3}, true, Activation::None));
  rows.push_back(linear_row("linear_1d", {3}, true, Activation::None));
  rows.push_back(linear_row("linear_relu", {4, 3}, true, Activation::Relu));
  rows.push_back(linear_row("linear_gelu", {4, 3}, true, Activation::GeluTanh));
  rows.push_back(linear_row("linear_gelu_3d", {2, 2, 3}, false, Activation::GeluTanh));
  return rows;
}

}  // namespace ebb::test
