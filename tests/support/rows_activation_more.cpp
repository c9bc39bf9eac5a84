// Rows of the rarer activations. Their values at kinks are torch's.
#include <cmath>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

double sigma(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

Input around(Values kinks) {
  Input wide{.low = -4, .high = 4, .extremes = {300, -300, kInf, kNaN, 0}, .kinks = kinks};
  wide.extremes.insert(wide.extremes.end(), kinks.begin(), kinks.end());
  return wide;
}

std::vector<OpRow> exponential_rows() {
  const double alpha = 1.6732632423543772, scale = 1.0507009873554805;
  OpRow scaled = unary(
                     "selu", [](const Tensor& x) { return selu(x); },
                     [=](double x) { return x > 0 ? scale * x : scale * alpha * std::expm1(x); })
                     .on(around({0}))
                     .at(point(0).value(0).gradient(alpha * scale).second(0))
                     .at(point(2).value(2 * scale).gradient(scale).second(0))
                     .at(point(-kInf).value(-alpha * scale).gradient(0));
  OpRow smooth = unary(
                     "celu", [](const Tensor& x) { return celu(x, 1.5); },
                     [](double x) { return x > 0 ? x : 1.5 * std::expm1(x / 1.5); })
                     .on(around({0}))
                     .at(point(0).value(0).gradient(1).second(0))
                     .at(point(2).value(2).gradient(1).second(0))
                     .at(point(-kInf).value(-1.5).gradient(0))
                     .refuses(
                         "alpha", [] { celu(zeros({2}), 0); }, "alpha other than 0");
  OpRow gated = unary(
                    "mish", [](const Tensor& x) { return mish(x); },
                    [](double x) {
                      return x * std::tanh(std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))));
                    })
                    .on(input().including(300, -300, kInf, kNaN, 0, 40, -40))
                    .third_order()
                    .at(point(0).value(0).gradient(0.6))
                    .at(point(300).value(300).gradient(1).second(0))
                    .at(point(-300).value(0).gradient(0));
  OpRow shrunk = unary(
                     "tanhshrink", [](const Tensor& x) { return tanhshrink(x); },
                     [](double x) { return x - std::tanh(x); })
                     .on(input().including(300, -300, kInf, kNaN, 0, 1e-3))
                     .third_order()
                     .at(point(0).value(0).gradient(0).second(0))
                     .at(point(300).value(299).gradient(1).second(0))
                     .at(point(kInf).value(kInf).gradient(1));
  OpRow divided = unary(
                      "softsign", [](const Tensor& x) { return softsign(x); },
                      [](double x) { return x / (1 + std::fabs(x)); })
                      .on(around({0}))
                      .at(point(0).value(0).gradient(1))
                      .at(point(3).value(0.75).gradient(1.0 / 16).second(-1.0 / 32))
                      .at(point(-1).value(-0.5).gradient(0.25).second(0.25));
  return {scaled, smooth, gated, shrunk, divided};
}

std::vector<OpRow> piecewise_rows() {
  OpRow six = unary(
                  "relu6", [](const Tensor& x) { return relu6(x); },
                  [](double x) { return x < 0   ? 0
                                        : x > 6 ? 6
                                                : x; })
                  .on(around({0, 6}));
  six.inputs[0].high = 9;
  six = Row(six)
            .at(point(0).value(0).gradient(0))
            .at(point(6).value(6).gradient(0))
            .at(point(3).value(3).gradient(1))
            .at(point(7).value(6).gradient(0));
  OpRow gate = unary(
                   "hardsigmoid", [](const Tensor& x) { return hardsigmoid(x); },
                   [](double x) {
                     return (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6;
                   })
                   .on(around({-3, 3}))
                   .at(point(-3).value(0).gradient(0))
                   .at(point(3).value(1).gradient(0))
                   .at(point(0).value(0.5).gradient(1.0 / 6))
                   .at(point(-kInf).value(0).gradient(0));
  OpRow hard = unary(
                   "hardshrink", [](const Tensor& x) { return hardshrink(x, 0.75); },
                   [](double x) { return std::fabs(x) <= 0.75 ? 0 : x; })
                   .on(around({-0.75, 0.75}))
                   .at(point(0.75).value(0).gradient(0))
                   .at(point(-0.75).value(0).gradient(0))
                   .at(point(1).value(1).gradient(1))
                   .at(point(-kInf).value(-kInf).gradient(1));
  OpRow soft = unary(
                   "softshrink", [](const Tensor& x) { return softshrink(x, 0.75); },
                   [](double x) {
                     return x > 0.75 ? x - 0.75 : x < -0.75 ? x + 0.75 : std::isnan(x) ? x : 0;
                   })
                   .on(around({-0.75, 0.75}))
                   .at(point(0.75).value(0).gradient(0))
                   .at(point(-0.75).value(0).gradient(0))
                   .at(point(1).value(0.25).gradient(1))
                   .at(point(-1).value(-0.25).gradient(1))
                   .refuses(
                       "lambd", [] { softshrink(zeros({2}), -1); }, "expected lambd >= 0, got -1");
  OpRow above = unary(
                    "threshold", [](const Tensor& x) { return threshold(x, 0.5, 7); },
                    [](double x) { return x <= 0.5 ? 7 : x; })
                    .on(around({0.5}))
                    .at(point(0.5).value(7).gradient(0))
                    .at(point(1).value(1).gradient(1))
                    .at(point(-kInf).value(7).gradient(0));
  std::vector<OpRow> rows{six, gate, hard, soft, above};
  for (OpRow& row : rows) row.zero_second = {0};
  rows.push_back(unary(
                     "hardswish", [](const Tensor& x) { return hardswish(x); },
                     [](double x) {
                       return x * (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6;
                     })
                     .on(around({-3, 3}))
                     .at(point(-3).value(0).gradient(0).second(0))
                     .at(point(3).value(3).gradient(1).second(0))
                     .at(point(0).value(0).gradient(0.5).second(1.0 / 3))
                     .at(point(4).value(4).gradient(1).second(0)));
  return rows;
}

std::vector<OpRow> prelu_rows() {
  const auto sloped = [](double x, double w) { return x > 0 ? x : w * x; };
  OpRow one = Row("prelu")
                  .calls([](const Tensor& a, const Tensor& b) { return prelu(a, b); })
                  .on(input({2, 3}).including(kInf, kNaN, 0).avoiding(0), input({1}))
                  .expects(each(sloped))
                  .empty({0, 3}, {1})
                  .scalars()
                  .refuses(
                      "channels",
                      [] {
                        prelu(zeros({2, 3}), zeros({2}));
                      },
                      "one for each channel (dim 1 of input (2, 3)), got (2,)")
                  .refuses(
                      "no channels", [] { prelu(zeros({3}), zeros({3})); }, "got (3,)")
                  .refuses(
                      "undefined", [] { prelu(zeros({3}), Tensor()); }, "undefined tensor");
  OpRow channels = Row(one)
                       .named("prelu_channels")
                       .covers("prelu")
                       .on(input({2, 3, 2}).avoiding(0), input({3}))
                       .expects([=](const Arrays& in) {
                         return make_array(in[0].shape, [&](const Shape& at) {
                           return sloped(in[0].v[static_cast<size_t>(ravel(at, in[0].shape))],
                                         in[1].v[static_cast<size_t>(at[1])]);
                         });
                       })
                       .empty({0, 3, 2}, {3})
                       .without_scalars();
  // One weight per element, so that points can state both.
  OpRow each_channel = Row(one)
                           .named("prelu_each_channel")
                           .covers("prelu")
                           .calls([](const Tensor& x, const Tensor& weight) {
                             return squeeze(prelu(unsqueeze(x, 0), weight), 0);
                           })
                           .on(input({4}).avoiding(0), input({4}))
                           .without_empty()
                           .at(point(0, 0.25).value(0).gradient(0.25, 0).second(0, 1))
                           .at(point(2, 0.25).value(2).gradient(1, 0))
                           .at(point(-2, 0.25).value(-0.5).gradient(0.25, -2));
  return {one, channels, each_channel};
}

OpRow glu_row() {
  return Row("glu")
      .covers("slice", "mul")
      .calls([](const Tensor& x) { return glu(x, 1); })
      .on(input({2, 4, 3}).including(300, -300, kNaN))
      .expects([](const Arrays& in) -> Arrays {
        const Array& x = in[0];
        const int64_t half = x.shape[1] / 2;
        return {make_array({x.shape[0], half, x.shape[2]}, [&](const Shape& at) {
          Shape gate = at;
          gate[1] += half;
          return x.v[static_cast<size_t>(ravel(at, x.shape))] *
                 sigma(x.v[static_cast<size_t>(ravel(gate, x.shape))]);
        })};
      })
      .third_order()
      .empty({0, 4, 3})
      .refuses(
          "odd",
          [] {
            glu(zeros({2, 3}));
          },
          "even size along dim 1, got shape (2, 3)")
      .refuses(
          "0-d", [] { glu(zeros({})); }, "0-d")
      .refuses(
          "dim", [] { glu(zeros({2}), 1); }, "dim 1 is out of range")
      .refuses(
          "integers", [] { glu(zeros({2}, {.dtype = i64})); }, "i64");
}

// Each call constructs the same generator, so that its noise is the same.
OpRow gumbel_row() {
  const auto noise = [](int64_t n) {
    Generator generator{5, 0};
    Values v = rand({n}, {.dtype = f64}, &generator).to_vector<double>();
    for (double& u : v) u = -std::log(-std::log1p(-u));
    return v;
  };
  OpRow row = Row("gumbel_softmax")
                  .covers("softmax")
                  .calls([](const Tensors& in) -> Tensors {
                    Generator generator{5, 0};
                    return {gumbel_softmax(in[0], 0.5, false, 1, &generator)};
                  })
                  .on(input({2, 3, 2}))
                  .expects([=](const Arrays& in) -> Arrays {
                    Array out = in[0];
                    const Values g = noise(out.shape.numel());
                    for (size_t i = 0; i < out.v.size(); ++i)
                      out.v[i] = std::exp((out.v[i] + g[i]) / 0.5);
                    Array shares = out;
                    for (int64_t i = 0; i < out.shape.numel(); ++i) {
                      const Shape at = unravel(i, out.shape);
                      double total = 0;
                      for (int64_t k = 0; k < out.shape[1]; ++k)
                        total += out.v[static_cast<size_t>(ravel({at[0], k, at[2]}, out.shape))];
                      shares.v[static_cast<size_t>(i)] /= total;
                    }
                    return {shares};
                  });
  row.captured = false;  // a capture would fix the drawn numbers
  row = Row(row)
            .without_refusals()
            .refuses(
                "tau", [] { gumbel_softmax(zeros({2}), 0); }, "expected tau > 0, got 0")
            .refuses(
                "dim", [] { gumbel_softmax(zeros({2}), 1, false, 1); }, "dim 1 is out of range")
            .refuses(
                "integers", [] { gumbel_softmax(zeros({2}, {.dtype = i64})); }, "i64");
  return row;
}

}  // namespace

std::vector<OpRow> more_activation_rows() {
  std::vector<OpRow> rows;
  for (auto part : {exponential_rows, piecewise_rows, prelu_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  rows.push_back(glu_row());
  rows.push_back(gumbel_row());
  return rows;
}

}  // namespace ebb::test
