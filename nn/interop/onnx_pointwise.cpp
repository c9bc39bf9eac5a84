// ONNX nodes of the ops that compute element by element. Inputs broadcast as in NumPy on both
// sides.
#include "ebb/autograd/ops/formulas/activation.h"
#include "ebb/autograd/ops/formulas/arithmetic.h"
#include "ebb/nn/interop/onnx_tracer.h"

namespace ebb::detail {
namespace {

using Call = OnnxCall;

// One node of this type with all inputs.
template <OnnxType type> std::string same(Call& c) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.in(i));
  return c.node(type.text, inputs);
}
// The same for numbers. Booleans count as 0 and 1 in Ebb, and not at all in ONNX.
template <OnnxType type> std::string numbers(Call& c) {
  if (c.compute_dtype() == DType::Bool) c.unsupported("arithmetic of bool tensors");
  return same<type>(c);
}
template <OnnxType type> std::string logical(Call& c) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) {
    const std::string name = c.raw(i);
    inputs.push_back(c.input(i).dtype() == DType::Bool ? name : c.cast(name, DType::Bool));
  }
  return c.node(type.text, inputs);
}

std::string sigmoid(Call& c, const std::string& x) { return c.node("Sigmoid", {x}); }
std::string tanh(Call& c, const std::string& x) { return c.node("Tanh", {x}); }
std::string relu(Call& c, const std::string& x) { return c.node("Relu", {x}); }
std::string softplus(Call& c, const std::string& x) { return c.node("Softplus", {x}); }
std::string neg(Call& c, const std::string& x) { return c.node("Neg", {x}); }
std::string add(Call& c, const std::string& a, const std::string& b) {
  return c.node("Add", {a, b});
}
std::string sub(Call& c, const std::string& a, const std::string& b) {
  return c.node("Sub", {a, b});
}
std::string mul(Call& c, const std::string& a, const std::string& b) {
  return c.node("Mul", {a, b});
}
std::string div(Call& c, const std::string& a, const std::string& b) {
  return c.node("Div", {a, b});
}
std::string clip(Call& c, const std::string& x, double low, double high) {
  return c.node("Clip", {x, c.number(low), c.number(high)});
}
// The parameter of a formula with one number.
template <class Formula> std::string number_of(Call& c, double Formula::*member) {
  return c.number(c.option<Formula>().*member);
}
float as_float(double x) { return static_cast<float>(x); }

std::string softplus_of(Call& c) {
  const auto& f = c.option<formulas::Softplus>();
  const std::string x = c.in(0), z = mul(c, x, c.number(f.beta));
  const std::string smooth = div(c, softplus(c, z), c.number(f.beta));
  return c.node("Where", {c.node("Greater", {z, c.number(f.threshold)}), x, smooth});
}

std::string gelu_of(Call& c) {
  const std::string x = c.in(0);
  const std::string phi = c.node("Erf", {mul(c, x, c.number(0.70710678118654752))});
  return mul(c, x, mul(c, c.number(0.5), add(c, phi, c.number(1))));
}

std::string gelu_tanh_of(Call& c) {
  const std::string x = c.in(0), cube = mul(c, mul(c, x, x), x);
  const std::string u = add(c, x, mul(c, cube, c.number(0.044715)));
  return mul(c, x, sigmoid(c, mul(c, u, c.number(2 * 0.79788456080286536))));
}

std::string where_of(Call& c) {
  const auto value = [&](size_t i) {
    return c.input(i).dtype() == c.result().dtype() ? c.raw(i)
                                                    : c.cast(c.raw(i), c.result().dtype());
  };
  const std::string condition =
      c.input(0).dtype() == DType::Bool ? c.raw(0) : c.cast(c.raw(0), DType::Bool);
  return c.node("Where", {condition, value(1), value(2)});
}

const OnnxTable kActivations = {
    {"relu", numbers<"Relu">},
    {"sigmoid", numbers<"Sigmoid">},
    {"tanh", numbers<"Tanh">},
    {"softsign", numbers<"Softsign">},
    {"hardswish", numbers<"HardSwish">},
    {"prelu", numbers<"PRelu">},
    {"leaky_relu",
     [](Call& c) {
       return c.node("LeakyRelu", {c.in(0)},
                     {{"alpha", as_float(c.option<formulas::LeakyRelu>().slope)}});
     }},
    {"elu",
     [](Call& c) {
       return c.node("Elu", {c.in(0)}, {{"alpha", as_float(c.option<formulas::Elu>().alpha)}});
     }},
    {"celu",
     [](Call& c) {
       return c.node("Celu", {c.in(0)}, {{"alpha", as_float(c.option<formulas::Celu>().alpha)}});
     }},
    {"selu",
     [](Call& c) {
       return c.node("Selu", {c.in(0)},
                     {{"alpha", as_float(formulas::Selu::alpha)},
                      {"gamma", as_float(formulas::Selu::scale)}});
     }},
    {"logsigmoid", [](Call& c) { return neg(c, softplus(c, neg(c, c.in(0)))); }},
    {"softplus", softplus_of},
    {"gelu", gelu_of},
    {"gelu_tanh", gelu_tanh_of},
    {"silu",
     [](Call& c) {
       const std::string x = c.in(0);
       return mul(c, x, sigmoid(c, x));
     }},
    {"mish",
     [](Call& c) {
       const std::string x = c.in(0);
       return mul(c, x, tanh(c, softplus(c, x)));
     }},
    {"hardtanh",
     [](Call& c) {
       const auto& f = c.option<formulas::Hardtanh>();
       return clip(c, c.in(0), f.low, f.high);
     }},
    {"relu6", [](Call& c) { return clip(c, c.in(0), 0, 6); }},
    {"hardsigmoid",
     [](Call& c) {
       return c.node("HardSigmoid", {c.in(0)}, {{"alpha", as_float(1.0 / 6)}, {"beta", 0.5f}});
     }},
    {"hardshrink",
     [](Call& c) {
       const float bound = as_float(c.option<formulas::Hardshrink>().bound);
       return c.node("Shrink", {c.in(0)}, {{"lambd", bound}, {"bias", 0.0f}});
     }},
    {"softshrink",
     [](Call& c) {
       const float bound = as_float(c.option<formulas::Softshrink>().bound);
       return c.node("Shrink", {c.in(0)}, {{"lambd", bound}, {"bias", bound}});
     }},
    {"tanhshrink",
     [](Call& c) {
       const std::string x = c.in(0);
       return sub(c, x, tanh(c, x));
     }},
    {"threshold",
     [](Call& c) {
       const auto& f = c.option<formulas::Threshold>();
       const std::string x = c.in(0);
       return c.node("Where",
                     {c.node("LessOrEqual", {x, c.number(f.bound)}), c.number(f.value), x});
     }},
    {"gate_sigmoid", [](Call& c) { return sigmoid(c, add(c, c.in(0), c.in(1))); }},
    {"gate_tanh", [](Call& c) { return tanh(c, add(c, c.in(0), c.in(1))); }},
    {"gate_relu", [](Call& c) { return relu(c, add(c, c.in(0), c.in(1))); }},
    {"gru_candidate", [](Call& c) { return tanh(c, add(c, c.in(0), mul(c, c.in(1), c.in(2)))); }},
    {"gru_state",
     [](Call& c) {
       const std::string n = c.in(0);
       return add(c, n, mul(c, c.in(1), sub(c, c.in(2), n)));
     }},
    {"lstm_cell",
     [](Call& c) { return add(c, mul(c, c.in(0), c.in(1)), mul(c, c.in(2), c.in(3))); }},
    {"lstm_state", [](Call& c) { return mul(c, c.in(0), tanh(c, c.in(1))); }},
};

const OnnxTable kArithmetic = {
    {"add", numbers<"Add">},
    {"sub", numbers<"Sub">},
    {"mul", numbers<"Mul">},
    {"div", numbers<"Div">},
    {"neg", numbers<"Neg">},
    {"pow", numbers<"Pow">},
    {"maximum", numbers<"Max">},
    {"minimum", numbers<"Min">},
    {"exp", numbers<"Exp">},
    {"log", numbers<"Log">},
    {"sqrt", numbers<"Sqrt">},
    {"erf", numbers<"Erf">},
    {"abs", numbers<"Abs">},
    {"sign", numbers<"Sign">},
    {"floor", numbers<"Floor">},
    {"ceil", numbers<"Ceil">},
    {"round", numbers<"Round">},
    {"sin", numbers<"Sin">},
    {"cos", numbers<"Cos">},
    {"tan", numbers<"Tan">},
    {"reciprocal", numbers<"Reciprocal">},
    {"less", numbers<"Less">},
    {"less_equal", numbers<"LessOrEqual">},
    {"greater", numbers<"Greater">},
    {"greater_equal", numbers<"GreaterOrEqual">},
    {"eq", same<"Equal">},
    {"not_equal", [](Call& c) { return c.node("Not", {same<"Equal">(c)}); }},
    {"logical_and", logical<"And">},
    {"logical_or", logical<"Or">},
    {"logical_not", logical<"Not">},
    {"isnan", numbers<"IsNaN">},
    {"isinf", numbers<"IsInf">},
    {"isfinite",
     [](Call& c) {
       const std::string x = c.in(0);
       return c.node("Not", {c.node("Or", {c.node("IsNaN", {x}), c.node("IsInf", {x})})});
     }},
    {"where", where_of},
    {"add_scalar", [](Call& c) { return add(c, c.in(0), number_of(c, &formulas::AddScalar::c)); }},
    {"mul_scalar", [](Call& c) { return mul(c, c.in(0), number_of(c, &formulas::MulScalar::c)); }},
    {"div_scalar", [](Call& c) { return div(c, c.in(0), number_of(c, &formulas::DivScalar::c)); }},
    {"scalar_sub", [](Call& c) { return sub(c, number_of(c, &formulas::ScalarSub::c), c.in(0)); }},
    {"scalar_div", [](Call& c) { return div(c, number_of(c, &formulas::ScalarDiv::c), c.in(0)); }},
    {"add_scaled",
     [](Call& c) {
       return add(c, c.in(0), mul(c, c.in(1), number_of(c, &formulas::AddScaled::alpha)));
     }},
    {"pow_scalar",
     [](Call& c) {
       return c.node("Pow", {c.in(0), number_of(c, &formulas::PowScalar::exponent)});
     }},
    {"square",
     [](Call& c) {
       const std::string x = c.in(0);
       return mul(c, x, x);
     }},
    {"rsqrt", [](Call& c) { return c.node("Reciprocal", {c.node("Sqrt", {c.in(0)})}); }},
    {"log1p", [](Call& c) { return c.node("Log", {add(c, c.in(0), c.number(1))}); }},
    {"expm1", [](Call& c) { return sub(c, c.node("Exp", {c.in(0)}), c.number(1)); }},
    {"trunc",
     [](Call& c) {
       const std::string x = c.in(0), size = c.node("Floor", {c.node("Abs", {x})});
       return mul(c, c.node("Sign", {x}), size);
     }},
    {"clamp_min",
     [](Call& c) {
       return c.node("Max", {c.in(0), number_of(c, &formulas::ClampMin::bound)});
     }},
    {"clamp_max",
     [](Call& c) {
       return c.node("Min", {c.in(0), number_of(c, &formulas::ClampMax::bound)});
     }},
    {"clamp",
     [](Call& c) {
       const auto& f = c.option<formulas::Clamp>();
       return clip(c, c.in(0), f.low, f.high);
     }},
};

}  // namespace

const OnnxTable& onnx_pointwise_ops() {
  static const OnnxTable all = [] {
    OnnxTable table = kActivations;
    table.insert(kArithmetic.begin(), kArithmetic.end());
    return table;
  }();
  return all;
}

}  // namespace ebb::detail
