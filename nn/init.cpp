#include "ebb/nn/init.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"

namespace ebb::nn::init {
namespace {

void check_weight(std::string_view op, const Tensor& tensor) {
  check_defined(op, tensor);
  if (!is_floating(tensor.dtype())) fail(op, "expected a floating tensor, got ", tensor.dtype());
}

void check_matrix(std::string_view op, const Tensor& tensor) {
  check_weight(op, tensor);
  if (tensor.dim() != 2) fail(op, "expected a tensor of two dims, got ", tensor.shape());
}

struct Fans {
  double in, out;
};

Fans fans(std::string_view op, const Tensor& weight) {
  check_weight(op, weight);
  if (weight.dim() < 2) fail(op, "expected a weight of at least two dims, got ", weight.shape());
  const double field = static_cast<double>(weight.numel()) /
                       static_cast<double>(std::max<int64_t>(weight.size(0) * weight.size(1), 1));
  return {static_cast<double>(weight.size(1)) * field, static_cast<double>(weight.size(0)) * field};
}

double kaiming_deviation(std::string_view op, const Tensor& weight, double a, Mode mode,
                         Nonlinearity nonlinearity) {
  const Fans f = fans(op, weight);
  return calculate_gain(nonlinearity, a) / std::sqrt(mode == Mode::FanIn ? f.in : f.out);
}

// Copies values in row-major order to a tensor of any dtype, strides and device.
Tensor put(Tensor tensor, const std::vector<double>& values) {
  const NoGrad guard;
  tensor.copy_(from_data(values, tensor.shape()));
  return tensor;
}

// Replaces a (rows, columns), rows >= columns, by the Q of its QR decomposition, which has
// orthonormal columns. The signs make it uniformly distributed (Mezzadri 2007). Uses Householder
// reflections.
void orthonormalize(std::vector<double>& a, int64_t rows, int64_t columns) {
  const auto at = [&](int64_t i, int64_t j) -> double& {
    return a[static_cast<size_t>(i * columns + j)];
  };
  std::vector<std::vector<double>> reflections;
  std::vector<double> signs;
  const auto reflect = [&](const std::vector<double>& v, int64_t first, int64_t from_column) {
    for (int64_t j = from_column; j < columns; ++j) {
      double dot = 0;
      for (int64_t i = first; i < rows; ++i) dot += v[static_cast<size_t>(i)] * at(i, j);
      for (int64_t i = first; i < rows; ++i) at(i, j) -= 2 * dot * v[static_cast<size_t>(i)];
    }
  };
  for (int64_t k = 0; k < columns; ++k) {
    std::vector<double> v(static_cast<size_t>(rows), 0.0);
    double norm = 0;
    for (int64_t i = k; i < rows; ++i) norm += at(i, k) * at(i, k);
    norm = std::sqrt(norm);
    const double sign = at(k, k) < 0 ? -1 : 1;
    signs.push_back(-sign);  // the sign of R's diagonal element
    for (int64_t i = k; i < rows; ++i) v[static_cast<size_t>(i)] = at(i, k);
    v[static_cast<size_t>(k)] += sign * norm;
    double length = 0;
    for (double x : v) length += x * x;
    length = std::sqrt(length);
    if (length > 0) {
      for (double& x : v) x /= length;
    }
    reflect(v, k, k);
    reflections.push_back(std::move(v));
  }
  std::fill(a.begin(), a.end(), 0.0);
  for (int64_t k = 0; k < columns; ++k) at(k, k) = 1;
  for (int64_t k = columns - 1; k >= 0; --k) reflect(reflections[static_cast<size_t>(k)], k, 0);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) at(i, j) *= signs[static_cast<size_t>(j)];
  }
}

double normal_cdf(double x) { return 0.5 * std::erfc(-x / std::sqrt(2.0)); }

// Returns the inverse of normal_cdf by bisection and Newton's method, accurate to rounding.
double normal_quantile(double p) {
  double low = -40, high = 40;
  for (int i = 0; i < 60; ++i) {
    const double middle = 0.5 * (low + high);
    (normal_cdf(middle) < p ? low : high) = middle;
  }
  return 0.5 * (low + high);
}

std::vector<double> numbers(const Tensor& random) { return random.to_vector<double>(); }

}  // namespace

double calculate_gain(Nonlinearity nonlinearity, double a) {
  switch (nonlinearity) {
    case Nonlinearity::Tanh: return 5.0 / 3;
    case Nonlinearity::ReLU: return std::sqrt(2.0);
    case Nonlinearity::LeakyReLU: return std::sqrt(2 / (1 + a * a));
    case Nonlinearity::SELU: return 0.75;
    default: return 1;
  }
}

Tensor uniform_(Tensor tensor, double a, double b, Generator* generator) {
  const NoGrad guard;
  ebb::uniform_(tensor, a, b, generator);
  return tensor;
}

Tensor normal_(Tensor tensor, double mean, double std, Generator* generator) {
  const NoGrad guard;
  ebb::normal_(tensor, mean, std, generator);
  return tensor;
}

Tensor trunc_normal_(Tensor tensor, double mean, double std, double a, double b,
                     Generator* generator) {
  constexpr const char* op = "trunc_normal_";
  check_weight(op, tensor);
  if (!(a < b)) fail(op, "expected a < b, got ", a, " and ", b);
  if (!(std > 0)) fail(op, "expected a std above 0, got ", std);
  const double low = normal_cdf((a - mean) / std), high = normal_cdf((b - mean) / std);
  Tensor uniform = empty(tensor.shape(), f64);
  ebb::uniform_(uniform, 0, 1, generator);
  std::vector<double> values = numbers(uniform);
  for (double& v : values) {
    v = std::clamp(mean + std * normal_quantile(low + v * (high - low)), a, b);
  }
  return put(tensor, values);
}

Tensor constant_(Tensor tensor, double value) {
  const NoGrad guard;
  check_weight("constant_", tensor);
  tensor.fill_(value);
  return tensor;
}

Tensor ones_(Tensor tensor) { return constant_(std::move(tensor), 1); }
Tensor zeros_(Tensor tensor) { return constant_(std::move(tensor), 0); }

Tensor eye_(Tensor tensor) {
  check_matrix("eye_", tensor);
  const NoGrad guard;
  tensor.copy_(eye(tensor.size(0), tensor.size(1)).to(tensor.dtype()));
  return tensor;
}

Tensor dirac_(Tensor tensor, int64_t groups) {
  constexpr const char* op = "dirac_";
  check_weight(op, tensor);
  if (tensor.dim() < 3 || tensor.dim() > 5) {
    fail(op, "expected a weight of 3 to 5 dims, got ", tensor.shape());
  }
  if (groups < 1 || tensor.size(0) % groups != 0) {
    fail(op, "expected groups that divide the ", tensor.size(0), " output channels, got ", groups);
  }
  const int64_t out = tensor.size(0), in = tensor.size(1), per_group = out / groups;
  int64_t kernel = 1, center = 0;
  for (int d = 2; d < tensor.dim(); ++d) {
    center = center * tensor.size(d) + tensor.size(d) / 2;
    kernel *= tensor.size(d);
  }
  std::vector<double> values(static_cast<size_t>(tensor.numel()), 0.0);
  for (int64_t g = 0; g < groups && kernel > 0; ++g) {
    for (int64_t d = 0; d < std::min(per_group, in); ++d) {
      values[static_cast<size_t>(((g * per_group + d) * in + d) * kernel + center)] = 1;
    }
  }
  return put(tensor, values);
}

Tensor xavier_uniform_(Tensor weight, double gain, Generator* generator) {
  const Fans f = fans("xavier_uniform_", weight);
  const double bound = gain * std::sqrt(6 / (f.in + f.out));
  return init::uniform_(weight, -bound, bound, generator);
}

Tensor xavier_normal_(Tensor weight, double gain, Generator* generator) {
  const Fans f = fans("xavier_normal_", weight);
  return init::normal_(weight, 0, gain * std::sqrt(2 / (f.in + f.out)), generator);
}

Tensor kaiming_uniform_(Tensor weight, double a, Mode mode, Nonlinearity nonlinearity,
                        Generator* generator) {
  const double bound =
      std::sqrt(3.0) * kaiming_deviation("kaiming_uniform_", weight, a, mode, nonlinearity);
  return init::uniform_(weight, -bound, bound, generator);
}

Tensor kaiming_normal_(Tensor weight, double a, Mode mode, Nonlinearity nonlinearity,
                       Generator* generator) {
  return init::normal_(
      weight, 0, kaiming_deviation("kaiming_normal_", weight, a, mode, nonlinearity), generator);
}

Tensor orthogonal_(Tensor weight, double gain, Generator* generator) {
  constexpr const char* op = "orthogonal_";
  fans(op, weight);
  if (weight.numel() == 0) return weight;
  const int64_t rows = weight.size(0), columns = weight.numel() / rows;
  const int64_t tall = std::max(rows, columns), thin = std::min(rows, columns);
  std::vector<double> q = numbers(randn({tall, thin}, f64, generator));
  orthonormalize(q, tall, thin);
  std::vector<double> values(q.size());
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j) {
      const int64_t from = rows >= columns ? i * thin + j : j * thin + i;
      values[static_cast<size_t>(i * columns + j)] = gain * q[static_cast<size_t>(from)];
    }
  }
  return put(weight, values);
}

Tensor sparse_(Tensor tensor, double sparsity, double std, Generator* generator) {
  constexpr const char* op = "sparse_";
  check_matrix(op, tensor);
  if (!(sparsity >= 0 && sparsity <= 1)) {
    fail(op, "expected a sparsity from 0 to 1, got ", sparsity);
  }
  const int64_t rows = tensor.size(0), columns = tensor.size(1);
  std::vector<double> values = numbers(randn({rows, columns}, f64, generator));
  for (double& v : values) v *= std;
  const auto zeros = static_cast<int64_t>(std::ceil(sparsity * static_cast<double>(rows)));
  for (int64_t j = 0; j < columns; ++j) {
    const std::vector<int64_t> order = randperm(rows, generator).to_vector<int64_t>();
    for (int64_t k = 0; k < zeros; ++k) {
      values[static_cast<size_t>(order[static_cast<size_t>(k)] * columns + j)] = 0;
    }
  }
  return put(tensor, values);
}

}  // namespace ebb::nn::init
