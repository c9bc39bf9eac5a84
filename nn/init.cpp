#include "ebb/nn/init.h"

#include <cmath>

#include "ebb/core/grad_mode.h"

namespace ebb::nn::init {
namespace {

struct Fans {
  double in, out;
};

Fans fans(std::string_view op, const Tensor& weight) {
  check_defined(op, weight);
  if (weight.dim() < 2) fail(op, "expected a weight of at least two dims, got ", weight.shape());
  const double field = static_cast<double>(weight.numel()) /
                       static_cast<double>(std::max<int64_t>(weight.size(0) * weight.size(1), 1));
  return {static_cast<double>(weight.size(1)) * field, static_cast<double>(weight.size(0)) * field};
}

double kaiming_deviation(std::string_view op, const Tensor& weight, double a, Mode mode,
                         Nonlinearity nonlinearity) {
  const Fans f = fans(op, weight);
  return gain(nonlinearity, a) / std::sqrt(mode == Mode::FanIn ? f.in : f.out);
}

}  // namespace

double gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::Tanh: return 5.0 / 3;
    case Nonlinearity::ReLU: return std::sqrt(2.0);
    case Nonlinearity::LeakyReLU: return std::sqrt(2 / (1 + a * a));
    default: return 1;
  }
}

void kaiming_uniform_(Tensor& weight, double a, Mode mode, Nonlinearity nonlinearity,
                      Generator* generator) {
  const NoGrad guard;
  const double bound =
      std::sqrt(3.0) * kaiming_deviation("kaiming_uniform_", weight, a, mode, nonlinearity);
  uniform_(weight, -bound, bound, generator);
}

void kaiming_normal_(Tensor& weight, double a, Mode mode, Nonlinearity nonlinearity,
                     Generator* generator) {
  const NoGrad guard;
  normal_(weight, 0, kaiming_deviation("kaiming_normal_", weight, a, mode, nonlinearity),
          generator);
}

void xavier_uniform_(Tensor& weight, double gain, Generator* generator) {
  const NoGrad guard;
  const Fans f = fans("xavier_uniform_", weight);
  const double bound = gain * std::sqrt(6 / (f.in + f.out));
  uniform_(weight, -bound, bound, generator);
}

void xavier_normal_(Tensor& weight, double gain, Generator* generator) {
  const NoGrad guard;
  const Fans f = fans("xavier_normal_", weight);
  normal_(weight, 0, gain * std::sqrt(2 / (f.in + f.out)), generator);
}

}  // namespace ebb::nn::init
