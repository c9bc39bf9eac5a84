// Arithmetic, reductions, activations and matrix products. For an absent option, Ebb's default
// applies.
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ops.h"

namespace ebb::parity {
namespace {

// Returns a Call of f with the positional inputs.
template <class F> Call one(F f) {
  return [f] { return Tensors{f()}; };
}

template <Tensor (*f)(const TensorArg&)> Call unary(Arguments& a) {
  return one([x = a.input()] { return f(x); });
}

template <Tensor (*f)(const TensorArg&, const Tensor&)> Call binary(Arguments& a) {
  return one([x = a.inputs(2)] { return f(x[0], x[1]); });
}

template <Tensor (*f)(const TensorArg&, int64_t)> Call along_dim(Arguments& a) {
  return one([x = a.input(), dim = a.required<int64_t>("dim")] { return f(x, dim); });
}

template <Tensor (*f)(const TensorArg&, const Shape&, bool)> Call reduce(Arguments& a) {
  std::vector<int64_t> dims;
  bool keepdim = false;
  a.read("dim", dims);
  a.read("keepdim", keepdim);
  return one([x = a.input(), dims, keepdim] { return f(x, Shape(dims), keepdim); });
}

template <Tensor (*f)(const TensorArg&, int64_t, bool)> Call arg_reduce(Arguments& a) {
  bool keepdim = false;
  a.read("keepdim", keepdim);
  return one(
      [x = a.input(), dim = a.required<int64_t>("dim"), keepdim] { return f(x, dim, keepdim); });
}

Call clamp_call(Arguments& a) {
  double low = 0, high = 0;
  const bool has_low = a.read("min", low), has_high = a.read("max", high);
  if (!has_low && !has_high) throw Problem("options min and max are both missing");
  return one([=, x = a.input()] {
    return !has_high ? clamp_min(x, low) : !has_low ? clamp_max(x, high) : clamp(x, low, high);
  });
}

Call pow_call(Arguments& a) {
  double exponent = 0;
  if (a.read("exponent", exponent))
    return one([x = a.input(), exponent] { return pow(x, exponent); });
  return binary<pow>(a);
}

Call linear_call(Arguments& a) {
  return one([x = a.inputs(2, 3)] { return linear(x[0], x[1], x.size() == 3 ? x[2] : Tensor()); });
}

Call leaky_relu_call(Arguments& a) {
  double slope = 0;
  const bool given = a.read("negative_slope", slope);
  return one([=, x = a.input()] { return given ? leaky_relu(x, slope) : leaky_relu(x); });
}

Call elu_call(Arguments& a) {
  double alpha = 0;
  const bool given = a.read("alpha", alpha);
  return one([=, x = a.input()] { return given ? elu(x, alpha) : elu(x); });
}

Call gelu_call(Arguments& a) {
  GeluApproximate approximate{};
  const bool given = a.read("approximate", approximate);
  return one([=, x = a.input()] { return given ? gelu(x, approximate) : gelu(x); });
}

Call softplus_call(Arguments& a) {
  double beta = 1, threshold = 0;
  a.read("beta", beta);
  const bool given = a.read("threshold", threshold);
  return one(
      [=, x = a.input()] { return given ? softplus(x, beta, threshold) : softplus(x, beta); });
}

Call hardtanh_call(Arguments& a) {
  double low = -1, high = 0;
  a.read("min_val", low);
  const bool given = a.read("max_val", high);
  return one([=, x = a.input()] { return given ? hardtanh(x, low, high) : hardtanh(x, low); });
}

constexpr Op kOps[] = {
    {"abs", unary<abs>},
    {"erf", unary<erf>},
    {"exp", unary<exp>},
    {"expm1", unary<expm1>},
    {"log", unary<log>},
    {"log1p", unary<log1p>},
    {"neg", unary<neg>},
    {"sign", unary<sign>},
    {"sqrt", unary<sqrt>},
    {"square", unary<square>},
    {"clamp", clamp_call},
    {"pow", pow_call},

    {"add", binary<add>},
    {"div", binary<div>},
    {"maximum", binary<maximum>},
    {"minimum", binary<minimum>},
    {"mul", binary<mul>},
    {"sub", binary<sub>},
    {"matmul", binary<matmul>},
    {"linear", linear_call},

    {"amax", reduce<amax>},
    {"amin", reduce<amin>},
    {"logsumexp", reduce<logsumexp>},
    {"mean", reduce<mean>},
    {"sum", reduce<sum>},
    {"argmax", arg_reduce<argmax>},
    {"argmin", arg_reduce<argmin>},

    {"elu", elu_call},
    {"gelu", gelu_call},
    {"hardtanh", hardtanh_call},
    {"leaky_relu", leaky_relu_call},
    {"logsigmoid", unary<logsigmoid>},
    {"relu", unary<relu>},
    {"sigmoid", unary<sigmoid>},
    {"silu", unary<silu>},
    {"softplus", softplus_call},
    {"tanh", unary<tanh>},
    {"log_softmax", along_dim<log_softmax>},
    {"softmax", along_dim<softmax>},
    {"softmin", along_dim<softmin>},
};

}  // namespace

std::span<const Op> basic_ops() { return kOps; }

}  // namespace ebb::parity
