// Initialization of weights: torch.nn.init. Each function fills a tensor in place, without
// recording, and returns it.
//
// Tensors that require grad can be filled. Handles and views of a tensor see the new values. The
// fans of a weight (out, in, ...) are fan_in = in times the product of the other sizes, and fan_out
// = out times that product. Random numbers come from `generator`, or from the default generator of
// the thread if it is null. All functions throw Error for undefined and integer tensors. Functions
// that use fans throw Error for fewer than two dims.
#pragma once

#include "ebb/core/random.h"

namespace ebb::nn::init {

enum class Mode { FanIn, FanOut };
enum class Nonlinearity { Linear, Sigmoid, Tanh, ReLU, LeakyReLU, SELU };

/// Returns the factor that keeps the variance through an activation, torch.nn.init.calculate_gain:
/// sqrt(2) for relu, sqrt(2 / (1 + a^2)) for leaky_relu with slope a, 5 / 3 for tanh, 3 / 4 for
/// selu, 1 for the others.
double calculate_gain(Nonlinearity nonlinearity, double a = 0.01);

/// Fills with numbers that are uniform in [a, b).
Tensor uniform_(Tensor tensor, double a = 0, double b = 1, Generator* generator = nullptr);
/// Fills with normal numbers.
Tensor normal_(Tensor tensor, double mean = 0, double std = 1, Generator* generator = nullptr);
/// Fills with normal numbers between a and b, by inversion of the distribution function. Throws
/// Error unless a < b and std > 0.
Tensor trunc_normal_(Tensor tensor, double mean = 0, double std = 1, double a = -2, double b = 2,
                     Generator* generator = nullptr);
/// Fills with one value, with 1, or with 0.
Tensor constant_(Tensor tensor, double value);
Tensor ones_(Tensor tensor);
Tensor zeros_(Tensor tensor);
/// Fills a matrix with ones on the diagonal and zeros elsewhere. Throws Error unless it has two
/// dims.
Tensor eye_(Tensor tensor);
/// Fills the weight (out, in, k...) of a convolution so that it copies its input channels, within
/// each of `groups` groups: the center element of the kernel from input i to output i is 1, and all
/// others are 0. Throws Error unless the weight has 3 to 5 dims and groups divides out.
Tensor dirac_(Tensor tensor, int64_t groups = 1);

/// Fills uniformly in +-gain sqrt(6 / (fan_in + fan_out)) (Glorot and Bengio 2010).
Tensor xavier_uniform_(Tensor weight, double gain = 1, Generator* generator = nullptr);
/// Fills with normal numbers of deviation gain sqrt(2 / (fan_in + fan_out)).
Tensor xavier_normal_(Tensor weight, double gain = 1, Generator* generator = nullptr);
/// Fills uniformly in +-gain sqrt(3 / fan) (He et al. 2015), with the gain of `nonlinearity`. a is
/// the negative slope of leaky_relu.
Tensor kaiming_uniform_(Tensor weight, double a = 0, Mode mode = Mode::FanIn,
                        Nonlinearity nonlinearity = Nonlinearity::LeakyReLU,
                        Generator* generator = nullptr);
/// Fills with normal numbers of deviation gain / sqrt(fan).
Tensor kaiming_normal_(Tensor weight, double a = 0, Mode mode = Mode::FanIn,
                       Nonlinearity nonlinearity = Nonlinearity::LeakyReLU,
                       Generator* generator = nullptr);
/// Fills with gain times a random (semi-)orthogonal matrix. The weight, flattened to (out, rest),
/// has orthonormal rows, or orthonormal columns if out is larger (Saxe et al. 2013). It is computed
/// on the host in f64, by Householder reflections of normal numbers.
Tensor orthogonal_(Tensor weight, double gain = 1, Generator* generator = nullptr);
/// Fills a matrix (rows, columns) with normal numbers of deviation std and sets ceil(sparsity rows)
/// elements of each column, chosen at random, to 0 (Martens 2010). Throws Error unless it has two
/// dims and 0 <= sparsity <= 1.
Tensor sparse_(Tensor tensor, double sparsity, double std = 0.01, Generator* generator = nullptr);

}  // namespace ebb::nn::init
