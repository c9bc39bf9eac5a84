// Activations and other layers without parameters, as modules with torch's names.
// autograd/ops/activation.h has the formulas.
#pragma once

#include <string>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

class ReLU : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::relu(x); }
};

class LeakyReLU : public Layer {
 public:
  explicit LeakyReLU(double negative_slope = 0.01) : negative_slope_(negative_slope) {}
  Tensor forward(const Tensor& x) const override { return ebb::leaky_relu(x, negative_slope_); }
  std::string extra_repr() const override;

 private:
  double negative_slope_;
};

class ELU : public Layer {
 public:
  explicit ELU(double alpha = 1) : alpha_(alpha) {}
  Tensor forward(const Tensor& x) const override { return ebb::elu(x, alpha_); }
  std::string extra_repr() const override;

 private:
  double alpha_;
};

class Sigmoid : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::sigmoid(x); }
};

class LogSigmoid : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::logsigmoid(x); }
};

class Tanh : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::tanh(x); }
};

class Softplus : public Layer {
 public:
  explicit Softplus(double beta = 1, double threshold = 20) : beta_(beta), threshold_(threshold) {}
  Tensor forward(const Tensor& x) const override { return ebb::softplus(x, beta_, threshold_); }
  std::string extra_repr() const override;

 private:
  double beta_, threshold_;
};

class GELU : public Layer {
 public:
  explicit GELU(GeluApproximate approximate = GeluApproximate::None) : approximate_(approximate) {}
  Tensor forward(const Tensor& x) const override { return ebb::gelu(x, approximate_); }
  std::string extra_repr() const override;
  GeluApproximate approximate() const { return approximate_; }

 private:
  GeluApproximate approximate_;
};

class SiLU : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::silu(x); }
};

class Hardtanh : public Layer {
 public:
  explicit Hardtanh(double min_val = -1, double max_val = 1)
      : min_val_(min_val), max_val_(max_val) {}
  Tensor forward(const Tensor& x) const override { return ebb::hardtanh(x, min_val_, max_val_); }
  std::string extra_repr() const override;

 private:
  double min_val_, max_val_;
};

class SELU : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::selu(x); }
};

class CELU : public Layer {
 public:
  explicit CELU(double alpha = 1) : alpha_(alpha) {}
  Tensor forward(const Tensor& x) const override { return ebb::celu(x, alpha_); }
  std::string extra_repr() const override;

 private:
  double alpha_;
};

class ReLU6 : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::relu6(x); }
};

class Mish : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::mish(x); }
};

class Hardswish : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::hardswish(x); }
};

class Hardsigmoid : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::hardsigmoid(x); }
};

class Hardshrink : public Layer {
 public:
  explicit Hardshrink(double lambd = 0.5) : lambd_(lambd) {}
  Tensor forward(const Tensor& x) const override { return ebb::hardshrink(x, lambd_); }
  std::string extra_repr() const override;

 private:
  double lambd_;
};

class Softshrink : public Layer {
 public:
  explicit Softshrink(double lambd = 0.5) : lambd_(lambd) {}
  Tensor forward(const Tensor& x) const override { return ebb::softshrink(x, lambd_); }
  std::string extra_repr() const override;

 private:
  double lambd_;
};

class Tanhshrink : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::tanhshrink(x); }
};

class Softsign : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return ebb::softsign(x); }
};

class Threshold : public Layer {
 public:
  Threshold(double threshold, double value) : threshold_(threshold), value_(value) {}
  Tensor forward(const Tensor& x) const override { return ebb::threshold(x, threshold_, value_); }
  std::string extra_repr() const override;

 private:
  double threshold_, value_;
};

struct PReLUOptions {
  int64_t num_parameters = 1;
  double init = 0.25;
  DType dtype = DType::F32;
};

/// Computes prelu with a trained weight: one for all channels, or one per channel (dim 1).
///
/// Parameter: weight (num_parameters), which starts as init. Throws Error unless num_parameters >=
/// 1.
class PReLU : public Layer {
 public:
  explicit PReLU(PReLUOptions options = {});
  Tensor forward(const Tensor& x) const override { return ebb::prelu(x, weight); }
  std::string extra_repr() const override;

  Tensor weight;
};

class GLU : public Layer {
 public:
  explicit GLU(int64_t dim = -1) : dim_(dim) {}
  Tensor forward(const Tensor& x) const override { return ebb::glu(x, dim_); }
  std::string extra_repr() const override;

 private:
  int64_t dim_;
};

class Softmax : public Layer {
 public:
  explicit Softmax(int64_t dim) : dim_(dim) {}
  Tensor forward(const Tensor& x) const override { return ebb::softmax(x, dim_); }
  std::string extra_repr() const override;

 private:
  int64_t dim_;
};

/// Computes softmax over the channels of (C, H, W) or (N, C, H, W). Throws Error for other numbers
/// of dims.
class Softmax2d : public Layer {
 public:
  Tensor forward(const Tensor& x) const override;
};

class LogSoftmax : public Layer {
 public:
  explicit LogSoftmax(int64_t dim) : dim_(dim) {}
  Tensor forward(const Tensor& x) const override { return ebb::log_softmax(x, dim_); }
  std::string extra_repr() const override;

 private:
  int64_t dim_;
};

class Softmin : public Layer {
 public:
  explicit Softmin(int64_t dim) : dim_(dim) {}
  Tensor forward(const Tensor& x) const override { return ebb::softmin(x, dim_); }
  std::string extra_repr() const override;

 private:
  int64_t dim_;
};

/// Merges dims first to last: (N, C, H, W) -> (N, C H W).
class Flatten : public Layer {
 public:
  explicit Flatten(int64_t first = 1, int64_t last = -1) : first_(first), last_(last) {}
  Tensor forward(const Tensor& x) const override { return ebb::flatten(x, first_, last_); }
  std::string extra_repr() const override;

 private:
  int64_t first_, last_;
};

/// Splits one dim into several: (N, C H W) -> (N, C, H, W) for dim 1 and sizes {C, H, W}. One of
/// the sizes may be -1. Throws Error unless their product is the size of the dim.
///
///     nn::Unflatten images(1, {1, 28, 28});
class Unflatten : public Layer {
 public:
  Unflatten(int64_t dim, const Shape& unflattened_size) : dim_(dim), sizes_(unflattened_size) {}
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;

 private:
  int64_t dim_;
  Shape sizes_;
};

class Identity : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return x; }
};

}  // namespace ebb::nn
