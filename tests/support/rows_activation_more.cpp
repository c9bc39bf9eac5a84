// Rows of the rarer activations. Their values at kinks are torch's.
#include <cmath>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

double sigma(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }

Input around(Values kinks) {
  Input input{.low = -4, .high = 4, .extremes = {300, -300, kInf, kNaN, 0}, .kinks = kinks};
  input.extremes.insert(input.extremes.end(), kinks.begin(), kinks.end());
  return input;
}

std::vector<OpRow> exponential_rows() {
  const double alpha = 1.6732632423543772, scale = 1.0507009873554805;
  OpRow scaled = unary_row(
      "selu", [](const Tensor& x) { return selu(x); },
      [=](double x) { return x > 0 ? scale * x : scale * alpha * std::expm1(x); }, around({0}));
  scaled.points = {{{0}, 0, {alpha * scale}, {0}},
                   {{2}, 2 * scale, {scale}, {0}},
                   {{-kInf}, -alpha * scale, {0}}};
  OpRow smooth = unary_row(
      "celu", [](const Tensor& x) { return celu(x, 1.5); },
      [](double x) { return x > 0 ? x : 1.5 * std::expm1(x / 1.5); }, around({0}));
  smooth.points = {{{0}, 0, {1}, {0}}, {{2}, 2, {1}, {0}}, {{-kInf}, -1.5, {0}}};
  smooth.bad.push_back({"alpha", [] { celu(zeros({2}), 0); }, "alpha other than 0"});
  OpRow gated = unary_row(
      "mish", [](const Tensor& x) { return mish(x); },
      [](double x) { return x * std::tanh(std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x)))); },
      {.extremes = {300, -300, kInf, kNaN, 0, 40, -40}});
  gated.points = {{{0}, 0, {0.6}}, {{300}, 300, {1}, {0}}, {{-300}, 0, {0}}};
  gated.third_order = true;
  OpRow shrunk = unary_row(
      "tanhshrink", [](const Tensor& x) { return tanhshrink(x); },
      [](double x) { return x - std::tanh(x); }, {.extremes = {300, -300, kInf, kNaN, 0, 1e-3}});
  shrunk.points = {{{0}, 0, {0}, {0}}, {{300}, 299, {1}, {0}}, {{kInf}, kInf, {1}}};
  shrunk.third_order = true;
  OpRow divided = unary_row(
      "softsign", [](const Tensor& x) { return softsign(x); },
      [](double x) { return x / (1 + std::fabs(x)); }, around({0}));
  divided.points = {
      {{0}, 0, {1}}, {{3}, 0.75, {1.0 / 16}, {-1.0 / 32}}, {{-1}, -0.5, {0.25}, {0.25}}};
  return {scaled, smooth, gated, shrunk, divided};
}

std::vector<OpRow> piecewise_rows() {
  OpRow six = unary_row(
      "relu6", [](const Tensor& x) { return relu6(x); },
      [](double x) { return x < 0   ? 0
                            : x > 6 ? 6
                                    : x; }, around({0, 6}));
  six.inputs[0].high = 9;
  six.points = {{{0}, 0, {0}}, {{6}, 6, {0}}, {{3}, 3, {1}}, {{7}, 6, {0}}};
  OpRow gate = unary_row(
      "hardsigmoid", [](const Tensor& x) { return hardsigmoid(x); },
      [](double x) {
        return (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6;
      },
      around({-3, 3}));
  gate.points = {{{-3}, 0, {0}}, {{3}, 1, {0}}, {{0}, 0.5, {1.0 / 6}}, {{-kInf}, 0, {0}}};
  OpRow hard = unary_row(
      "hardshrink", [](const Tensor& x) { return hardshrink(x, 0.75); },
      [](double x) { return std::fabs(x) <= 0.75 ? 0 : x; }, around({-0.75, 0.75}));
  hard.points = {{{0.75}, 0, {0}}, {{-0.75}, 0, {0}}, {{1}, 1, {1}}, {{-kInf}, -kInf, {1}}};
  OpRow soft = unary_row(
      "softshrink", [](const Tensor& x) { return softshrink(x, 0.75); },
      [](double x) {
        return x > 0.75 ? x - 0.75 : x < -0.75 ? x + 0.75 : std::isnan(x) ? x : 0;
      },
      around({-0.75, 0.75}));
  soft.points = {{{0.75}, 0, {0}}, {{-0.75}, 0, {0}}, {{1}, 0.25, {1}}, {{-1}, -0.25, {1}}};
  soft.bad.push_back({"lambd", [] { softshrink(zeros({2}), -1); }, "expected lambd >= 0, got -1"});
  OpRow above = unary_row(
      "threshold", [](const Tensor& x) { return threshold(x, 0.5, 7); },
      [](double x) { return x <= 0.5 ? 7 : x; }, around({0.5}));
  above.points = {{{0.5}, 7, {0}}, {{1}, 1, {1}}, {{-kInf}, 7, {0}}};
  std::vector<OpRow> rows{six, gate, hard, soft, above};
  for (OpRow& row : rows) row.zero_second = {0};
  OpRow swish = unary_row(
      "hardswish", [](const Tensor& x) { return hardswish(x); },
      [](double x) {
        return x * (x < -3 ? 0 : x > 3 ? 6 : x + 3) / 6;
      },
      around({-3, 3}));
  swish.points = {
      {{-3}, 0, {0}, {0}}, {{3}, 3, {1}, {0}}, {{0}, 0, {0.5}, {1.0 / 3}}, {{4}, 4, {1}, {0}}};
  rows.push_back(swish);
  return rows;
}

std::vector<OpRow> prelu_rows() {
  const auto sloped = [](double x, double w) { return x > 0 ? x : w * x; };
  OpRow one{
      .name = "prelu",
      .op = [](const Tensors& in) -> Tensors { return {prelu(in[0], in[1])}; },
      .inputs = {{.shape = {2, 3}, .extremes = {kInf, kNaN, 0}, .kinks = {0}}, {.shape = {1}}},
      .reference = each(sloped)};
  one.empty = {{0, 3}, {1}};
  one.has_empty = one.has_scalar = true;
  one.bad = {{"channels",
              [] {
                prelu(zeros({2, 3}), zeros({2}));
              },
              "one for each channel (dim 1 of input (2, 3)), got (2,)"},
             {"no channels", [] { prelu(zeros({3}), zeros({3})); }, "got (3,)"},
             {"undefined", [] { prelu(zeros({3}), Tensor()); }, "undefined tensor"}};
  OpRow channels = one;
  channels.name = "prelu_channels";
  channels.covers = {"prelu"};
  channels.inputs = {{.shape = {2, 3, 2}, .kinks = {0}}, {.shape = {3}}};
  channels.reference = [=](const Arrays& in) -> Arrays {
    return {make_array(in[0].shape, [&](const Shape& at) {
      return sloped(in[0].v[static_cast<size_t>(ravel(at, in[0].shape))],
                    in[1].v[static_cast<size_t>(at[1])]);
    })};
  };
  channels.empty = {{0, 3, 2}, {3}};
  channels.has_scalar = false;
  OpRow each_channel = one;  // a weight each, so that points can say both
  each_channel.name = "prelu_each_channel";
  each_channel.covers = {"prelu"};
  each_channel.op = [](const Tensors& in) -> Tensors {
    return {squeeze(prelu(unsqueeze(in[0], 0), in[1]), 0)};
  };
  each_channel.inputs = {{.shape = {4}, .kinks = {0}}, {.shape = {4}}};
  each_channel.has_empty = false;
  each_channel.points = {
      {{0, 0.25}, 0, {0.25, 0}, {0, 1}}, {{2, 0.25}, 2, {1, 0}}, {{-2, 0.25}, -0.5, {0.25, -2}}};
  return {one, channels, each_channel};
}

OpRow glu_row() {
  OpRow row{.name = "glu",
            .covers = {"slice", "mul"},
            .op = [](const Tensors& in) -> Tensors { return {glu(in[0], 1)}; },
            .inputs = {{.shape = {2, 4, 3}, .extremes = {300, -300, kNaN}}},
            .reference = [](const Arrays& in) -> Arrays {
              const Array& x = in[0];
              const int64_t half = x.shape[1] / 2;
              return {make_array({x.shape[0], half, x.shape[2]}, [&](const Shape& at) {
                Shape gate = at;
                gate[1] += half;
                return x.v[static_cast<size_t>(ravel(at, x.shape))] *
                       sigma(x.v[static_cast<size_t>(ravel(gate, x.shape))]);
              })};
            },
            .third_order = true};
  row.empty = {{0, 4, 3}};
  row.has_empty = true;
  row.bad = {{"odd",
              [] {
                glu(zeros({2, 3}));
              },
              "even size along dim 1, got shape (2, 3)"},
             {"0-d", [] { glu(zeros({})); }, "0-d"},
             {"dim", [] { glu(zeros({2}), 1); }, "dim 1 is out of range"},
             {"integers", [] { glu(zeros({2}, {.dtype = i64})); }, "i64"}};
  return row;
}

// With a generator of its own the noise is the same in each call.
OpRow gumbel_row() {
  const auto noise = [](int64_t n) {
    Generator generator{5, 0};
    Values v = rand({n}, {.dtype = f64}, &generator).to_vector<double>();
    for (double& u : v) u = -std::log(-std::log1p(-u));
    return v;
  };
  OpRow row{.name = "gumbel_softmax",
            .covers = {"softmax"},
            .op = [](const Tensors& in) -> Tensors {
              Generator generator{5, 0};
              return {gumbel_softmax(in[0], 0.5, false, 1, &generator)};
            },
            .inputs = {{.shape = {2, 3, 2}}},
            .reference = [=](const Arrays& in) -> Arrays {
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
            }};
  row.captured = false;  // what is drawn is fixed when the step is captured
  row.bad = {{"tau", [] { gumbel_softmax(zeros({2}), 0); }, "expected tau > 0, got 0"},
             {"dim", [] { gumbel_softmax(zeros({2}), 1, false, 1); }, "dim 1 is out of range"},
             {"integers", [] { gumbel_softmax(zeros({2}, {.dtype = i64})); }, "i64"}};
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
