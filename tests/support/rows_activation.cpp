// Rows of activations. The values at kinks are torch's.
#include "ebb/autograd/ops/activation.h"

#include <cmath>

#include "ebb/tests/support/op_row.h"

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
  OpRow rectified =
      unary(
          "relu", [](const Tensor& x) { return relu(x); }, [](double x) { return x < 0 ? 0 : x; })
          .on(kinked)
          .covers("relu", "relu_backward")
          .at(point(0).value(0).gradient(0).second(0))
          .at(point(2).value(2).gradient(1).second(0))
          .at(point(-2).value(0).gradient(0).second(0));
  OpRow leaky = unary(
                    "leaky_relu", [](const Tensor& x) { return leaky_relu(x, 0.1); },
                    [](double x) { return x > 0 ? x : 0.1 * x; })
                    .on(kinked)
                    .at(point(0).value(0).gradient(0.1).second(0))
                    .at(point(2).value(2).gradient(1).second(0))
                    .at(point(-2).value(-0.2).gradient(0.1).second(0));
  OpRow hard = unary(
                   "hardtanh", [](const Tensor& x) { return hardtanh(x, -1, 1.5); },
                   [](double x) { return x < -1    ? -1
                                         : x > 1.5 ? 1.5
                                                   : x; })
                   .on(input().including(kInf, -kInf, kNaN, -1, 1.5).avoiding(-1, 1.5))
                   .at(point(-1).value(-1).gradient(0))
                   .at(point(1.5).value(1.5).gradient(0))
                   .at(point(0).value(0).gradient(1))
                   .at(point(3).value(1.5).gradient(0))
                   .refuses(
                       "bounds", [] { hardtanh(zeros({2}), 1, -1); },
                       "min_val 1 is greater than max_val -1");
  std::vector<OpRow> rows{rectified, leaky, hard};
  for (OpRow& row : rows) row.zero_second = {0};
  rows.push_back(unary(
                     "elu", [](const Tensor& x) { return elu(x, 1.5); },
                     [](double x) { return x > 0 ? x : 1.5 * std::expm1(x); })
                     .on(input().including(300, -300, kInf, -kInf, kNaN, 0, -1e-20).avoiding(0))
                     .at(point(0).value(0).gradient(1.5).second(0))
                     .at(point(2).value(2).gradient(1).second(0))
                     .at(point(-300).value(-1.5).gradient(0).second(0)));
  return rows;
}

std::vector<OpRow> smooth_rows() {
  OpRow s = unary(
                "sigmoid", [](const Tensor& x) { return sigmoid(x); }, sigma)
                .on(wide)
                .covers("sigmoid", "sigmoid_backward")
                .at(point(0).value(0.5).gradient(0.25).second(0))
                .at(point(300).value(1).gradient(0).second(0))
                .at(point(-kInf).value(0).gradient(0).second(0))
                .at(point(kInf).value(1).gradient(0).second(0));
  OpRow log_s = unary(
                    "logsigmoid", [](const Tensor& x) { return logsigmoid(x); },
                    [](double x) { return -stable_softplus(-x); })
                    .on(wide)
                    .at(point(0).value(-std::log(2.0)).gradient(0.5).second(-0.25))
                    .at(point(-300).value(-300).gradient(1))
                    .at(point(300).value(0).gradient(0))
                    .at(point(-kInf).value(-kInf).gradient(1));
  OpRow t =
      unary(
          "tanh", [](const Tensor& x) { return tanh(x); }, [](double x) { return std::tanh(x); })
          .on(wide)
          .covers("tanh", "tanh_backward")
          .at(point(0).value(0).gradient(1).second(0))
          .at(point(300).value(1).gradient(0).second(0))
          .at(point(-kInf).value(-1).gradient(0).second(0));
  OpRow plus = unary(
                   "softplus", [](const Tensor& x) { return softplus(x, 2, kFar); },
                   [](double x) { return stable_softplus(2 * x) / 2; })
                   .on(wide)
                   .at(point(0).value(std::log(2.0) / 2).gradient(0.5).second(0.5))
                   .at(point(300).value(300).gradient(1).second(0))
                   .at(point(-kInf).value(0).gradient(0).second(0));
  OpRow linear_above =
      unary(
          "softplus_threshold", [](const Tensor& x) { return softplus(x, 1, 1.5); },
          [](double x) { return x > 1.5 ? x : stable_softplus(x); })
          .on(input().including(300, -300, kInf, -kInf, kNaN, 1.5, 20).avoiding(1.5))
          .covers("softplus")
          .at(point(1.5).value(stable_softplus(1.5)).gradient(sigma(1.5)).second(0))
          .at(point(2).value(2).gradient(1).second(0));
  OpRow swish =
      unary(
          "silu", [](const Tensor& x) { return silu(x); }, [](double x) { return x * sigma(x); })
          .on(wide)
          .at(point(0).value(0).gradient(0.5).second(0.5))
          .at(point(300).value(300).gradient(1).second(0))
          .at(point(-300).value(0).gradient(0));
  std::vector<OpRow> rows{s, log_s, t, plus, linear_above, swish};
  for (OpRow& row : rows) row.third_order = true;
  return rows;
}

std::vector<OpRow> gelu_rows() {
  OpRow exact = unary(
                    "gelu", [](const Tensor& x) { return gelu(x); },
                    [](double x) { return x * (0.5 * (1 + std::erf(x / std::sqrt(2.0)))); })
                    .on(wide)
                    .at(point(0).value(0).gradient(0.5).second(2 / std::sqrt(2 * M_PI)))
                    .at(point(300).value(300).gradient(1).second(0))
                    .at(point(-300).value(0).gradient(0).second(0));
  OpRow approximate =
      unary(
          "gelu_tanh", [](const Tensor& x) { return gelu(x, GeluApproximate::Tanh); },
          [](double x) {
            const double u = std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
            return 0.5 * x * (1 + std::tanh(u));
          })
          .on(input().including(300, -300, kInf, -kInf, kNaN, 0, 40, -40))
          .at(point(0).value(0).gradient(0.5))
          .at(point(300).value(300).gradient(1))
          .at(point(-300).value(0).gradient(0));
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
