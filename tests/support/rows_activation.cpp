// Rows of activations. The values at kinks are torch's.
#include "ebb/autograd/ops/activation.h"

#include <cmath>

#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

constexpr double kFar = std::numeric_limits<double>::infinity();
const Input wide{.extremes = {300, -300, 1e4, -1e4, kInf, -kInf, kNaN, 0, 40, -40}};
const Input kinked{.extremes = {300, -300, kInf, -kInf, kNaN, 0}, .kinks = {0}};

double sigma(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double stable_softplus(double x) {
  return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))) + (std::isnan(x) ? x : 0);
}

std::vector<OpRow> rectifier_rows() {
  OpRow rectified = unary_row(
      "relu", [](const Tensor& x) { return relu(x); }, [](double x) { return x < 0 ? 0 : x; },
      kinked);
  rectified.covers = {"relu", "relu_backward"};
  rectified.points = {{{0}, 0, {0}, {0}}, {{2}, 2, {1}, {0}}, {{-2}, 0, {0}, {0}}};
  OpRow leaky = unary_row(
      "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.1); },
      [](double x) { return x > 0 ? x : 0.1 * x; }, kinked);
  leaky.points = {{{0}, 0, {0.1}, {0}}, {{2}, 2, {1}, {0}}, {{-2}, -0.2, {0.1}, {0}}};
  OpRow hard = unary_row(
      "hardtanh", [](const Tensor& x) { return hardtanh(x, -1, 1.5); },
      [](double x) { return x < -1    ? -1
                            : x > 1.5 ? 1.5
                                      : x; },
      {.extremes = {kInf, -kInf, kNaN, -1, 1.5}, .kinks = {-1, 1.5}});
  hard.points = {{{-1}, -1, {0}}, {{1.5}, 1.5, {0}}, {{0}, 0, {1}}, {{3}, 1.5, {0}}};
  hard.bad.push_back(
      {"bounds", [] { hardtanh(zeros({2}), 1, -1); }, "min_val 1 is greater than max_val -1"});
  std::vector<OpRow> rows{rectified, leaky, hard};
  for (OpRow& row : rows) row.zero_second = {0};
  OpRow exponential = unary_row(
      "elu", [](const Tensor& x) { return elu(x, 1.5); },
      [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); },
      {.extremes = {300, -300, kInf, -kInf, kNaN, 0, -1e-20}, .kinks = {0}});
  exponential.points = {{{0}, 0, {1.5}, {0}}, {{2}, 2, {1}, {0}}, {{-300}, -1.5, {0}, {0}}};
  rows.push_back(exponential);
  return rows;
}

std::vector<OpRow> smooth_rows() {
  OpRow s = unary_row(
      "sigmoid", [](const Tensor& x) { return sigmoid(x); }, sigma, wide);
  s.covers = {"sigmoid", "sigmoid_backward"};
  s.points = {
      {{0}, 0.5, {0.25}, {0}}, {{300}, 1, {0}, {0}}, {{-kInf}, 0, {0}, {0}}, {{kInf}, 1, {0}, {0}}};
  OpRow log_s = unary_row(
      "logsigmoid", [](const Tensor& x) { return logsigmoid(x); },
      [](double x) { return -stable_softplus(-x); }, wide);
  log_s.points = {{{0}, -std::log(2.0), {0.5}, {-0.25}},
                  {{-300}, -300, {1}},
                  {{300}, 0, {0}},
                  {{-kInf}, -kInf, {1}}};
  OpRow t = unary_row(
      "tanh", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); }, wide);
  t.covers = {"tanh", "tanh_backward"};
  t.points = {{{0}, 0, {1}, {0}}, {{300}, 1, {0}, {0}}, {{-kInf}, -1, {0}, {0}}};
  OpRow plus = unary_row(
      "softplus", [](const Tensor& x) { return softplus(x, 2, kFar); },
      [](double x) { return stable_softplus(2 * x) / 2; }, wide);
  plus.points = {
      {{0}, std::log(2.0) / 2, {0.5}, {0.5}}, {{300}, 300, {1}, {0}}, {{-kInf}, 0, {0}, {0}}};
  OpRow linear_above = unary_row(
      "softplus_threshold", [](const Tensor& x) { return softplus(x, 1, 1.5); },
      [](double x) { return x > 1.5 ? x : stable_softplus(x); },
      {.extremes = {300, -300, kInf, -kInf, kNaN, 1.5, 20}, .kinks = {1.5}});
  linear_above.covers = {"softplus"};
  linear_above.points = {{{1.5}, stable_softplus(1.5), {sigma(1.5)}, {0}}, {{2}, 2, {1}, {0}}};
  OpRow swish = unary_row(
      "silu", [](const Tensor& x) { return silu(x); }, [](double x) { return x * sigma(x); }, wide);
  swish.points = {{{0}, 0, {0.5}, {0.5}}, {{300}, 300, {1}, {0}}, {{-300}, 0, {0}}};
  std::vector<OpRow> rows{s, log_s, t, plus, linear_above, swish};
  for (OpRow& row : rows) row.third_order = true;
  return rows;
}

std::vector<OpRow> gelu_rows() {
  OpRow exact = unary_row(
      "gelu", [](const Tensor& x) { return gelu(x); },
      [](double x) { return x * (0.5 * (1 + std::erf(x / std::sqrt(2.0)))); }, wide);
  exact.points = {
      {{0}, 0, {0.5}, {2 / std::sqrt(2 * M_PI)}}, {{300}, 300, {1}, {0}}, {{-300}, 0, {0}, {0}}};
  OpRow approximate = unary_row(
      "gelu_tanh", [](const Tensor& x) { return gelu(x, GeluApproximate::Tanh); },
      [](double x) {
        const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
        return 0.5 * x * (1 + std::tanh(u));
      },
      {.extremes = {300, -300, kInf, -kInf, kNaN, 0, 40, -40}});
  approximate.points = {{{0}, 0, {0.5}}, {{300}, 300, {1}}, {{-300}, 0, {0}}};
  exact.third_order = approximate.third_order = true;
  return {exact, approximate};
}

}  // namespace

std::vector<OpRow> activation_rows() {
  std::vector<OpRow> rows;
  for (auto part : {rectifier_rows, smooth_rows, gelu_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
