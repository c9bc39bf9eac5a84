// Initialisation of weights, in place and without recording. Fans of a weight (out, in, ...): fan_in = in times the
// rest, fan_out = out times the rest. Throws Error on tensors of fewer than two dims.
#pragma once

#include "ebb/core/random.h"

namespace ebb::nn::init {

enum class Mode { FanIn, FanOut };

/// The gain that keeps the variance through an activation, torch.nn.init.calculate_gain: relu sqrt(2), leaky_relu
/// sqrt(2 / (1 + a^2)), tanh 5 / 3, others 1.
enum class Nonlinearity { Linear, Sigmoid, Tanh, ReLU, LeakyReLU };
double gain(Nonlinearity nonlinearity, double a = 0.01);

/// Uniform in +-gain sqrt(3 / fan) (He et al. 2015). a: the negative slope of leaky_relu.
void kaiming_uniform_(Tensor& weight, double a = 0, Mode mode = Mode::FanIn,
                      Nonlinearity nonlinearity = Nonlinearity::LeakyReLU,
                      Generator* generator = nullptr);
/// Normal with deviation gain / sqrt(fan).
void kaiming_normal_(Tensor& weight, double a = 0, Mode mode = Mode::FanIn,
                     Nonlinearity nonlinearity = Nonlinearity::LeakyReLU,
                     Generator* generator = nullptr);
/// Uniform in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
void xavier_uniform_(Tensor& weight, double gain = 1, Generator* generator = nullptr);
/// Normal with deviation gain sqrt(2 / (fan_in + fan_out)).
void xavier_normal_(Tensor& weight, double gain = 1, Generator* generator = nullptr);

}  // namespace ebb::nn::init
