// Trigonometry, rounding, tests for special values, and the rarer activations.
#include "ebb/autograd/ops/elementary.h"
#include "ebb/nn/layers/activation.h"
#include "ops.h"

namespace ebb::parity {
namespace {

template <class F> Call one(F f) {
  return [f] { return Tensors{f()}; };
}

template <Tensor (*f)(const TensorArg&)> Call unary(Arguments& a) {
  return one([x = a.input()] { return f(x); });
}

template <Tensor (*f)(const TensorArg&, const Tensor&)> Call binary(Arguments& a) {
  return one([x = a.inputs(2)] { return f(x[0], x[1]); });
}

// A layer without options.
template <class Layer> Call layer(Arguments& a) {
  return one([x = a.input()] { return Layer()(x); });
}

// An activation with one number, which may be absent: f(x, number) or f(x).
template <Tensor (*f)(const TensorArg&, double), class Layer>
Call with_number(Arguments& a, const char* name, bool module) {
  double number = 0;
  const bool given = a.read(name, number);
  return one([=, x = a.input()] {
    const Layer layer = given ? Layer(number) : Layer();
    return module || !given ? layer(x) : f(x, number);
  });
}

Call celu_call(Arguments& a) { return with_number<celu, nn::CELU>(a, "alpha", false); }
Call celu_module(Arguments& a) { return with_number<celu, nn::CELU>(a, "alpha", true); }
Call hardshrink_call(Arguments& a) {
  return with_number<hardshrink, nn::Hardshrink>(a, "lambd", false);
}
Call hardshrink_module(Arguments& a) {
  return with_number<hardshrink, nn::Hardshrink>(a, "lambd", true);
}
Call softshrink_call(Arguments& a) {
  return with_number<softshrink, nn::Softshrink>(a, "lambd", false);
}
Call softshrink_module(Arguments& a) {
  return with_number<softshrink, nn::Softshrink>(a, "lambd", true);
}

Call threshold_call(Arguments& a) {
  return one([x = a.input(), bound = a.required<double>("threshold"),
              value = a.required<double>("value")] { return threshold(x, bound, value); });
}
Call threshold_module(Arguments& a) {
  return one([x = a.input(), bound = a.required<double>("threshold"),
              value = a.required<double>("value")] { return nn::Threshold(bound, value)(x); });
}

Call glu_call(Arguments& a) {
  int64_t dim = -1;
  const bool given = a.read("dim", dim);
  return one([=, x = a.input()] { return given ? glu(x, dim) : glu(x); });
}
Call glu_module(Arguments& a) {
  int64_t dim = -1;
  const bool given = a.read("dim", dim);
  return one([=, x = a.input()] { return given ? nn::GLU(dim)(x) : nn::GLU()(x); });
}

constexpr Op kOps[] = {
    {"sin", unary<sin>},
    {"cos", unary<cos>},
    {"tan", unary<tan>},
    {"erfinv", unary<erfinv>},
    {"rsqrt", unary<rsqrt>},
    {"reciprocal", unary<reciprocal>},
    {"floor", unary<floor>},
    {"ceil", unary<ceil>},
    {"round", unary<round>},
    {"trunc", unary<trunc>},
    {"isnan", unary<isnan>},
    {"isinf", unary<isinf>},
    {"isfinite", unary<isfinite>},
    {"atan2", binary<atan2>},
    {"fmod", binary<fmod>},

    {"selu", unary<selu>, layer<nn::SELU>},
    {"celu", celu_call, celu_module},
    {"relu6", unary<relu6>, layer<nn::ReLU6>},
    {"mish", unary<mish>, layer<nn::Mish>},
    {"hardswish", unary<hardswish>, layer<nn::Hardswish>},
    {"hardsigmoid", unary<hardsigmoid>, layer<nn::Hardsigmoid>},
    {"hardshrink", hardshrink_call, hardshrink_module},
    {"softshrink", softshrink_call, softshrink_module},
    {"tanhshrink", unary<tanhshrink>, layer<nn::Tanhshrink>},
    {"softsign", unary<softsign>, layer<nn::Softsign>},
    {"threshold", threshold_call, threshold_module},
    {"prelu", binary<prelu>},
    {"glu", glu_call, glu_module},
};

}  // namespace

std::span<const Op> elementary_ops() { return kOps; }

}  // namespace ebb::parity
