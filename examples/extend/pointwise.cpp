// A pointwise op is one formula. Ebb derives gradients of every order, and the compiler generates
// vectorized kernels.
#include "check.h"

using ebb::Tensor;

/// log(cosh x), stable for all x.
struct LogCosh {
  static constexpr std::string_view name = "log_cosh";
  template <class T> EBB_HD T operator()(T x) const {
    const T a = ebb::abs(x);
    return a + ebb::log1p(ebb::exp(T(-2) * a)) - T(0.6931471805599453);
  }
};
Tensor log_cosh(const ebb::TensorArg& x) { return ebb::pointwise(LogCosh{}, x); }

/// a b + c with two inputs, which broadcast, and a parameter.
struct MulAdd {
  static constexpr std::string_view name = "mul_add";
  double c;
  template <class T> EBB_HD T operator()(T a, T b) const { return a * b + T(c); }
};
Tensor mul_add(const ebb::TensorArg& a, const Tensor& b, double c) {
  return ebb::pointwise(MulAdd{c}, a, b);
}

/// x / (1 + |x|) with an explicit gradient: 1 / (1 + |x|)^2. A debug build compares it with the
/// derivative of the formula.
struct Softsign {
  static constexpr std::string_view name = "softsign";
  template <class T> EBB_HD T operator()(T x) const { return x / (1 + ebb::abs(x)); }
  template <class T> EBB_HD auto gradient(T x) const {
    const T d = 1 + ebb::abs(x);
    return ebb::Partials<T, 1>{{1 / (d * d)}};
  }
};
Tensor softsign(const ebb::TensorArg& x) { return ebb::pointwise(Softsign{}, x); }

/// 2^x. Its gradient y log 2 is computed from the output, so the graph keeps only the output.
struct Exp2Backward {
  static constexpr std::string_view name = "exp2_backward";
  template <class T> EBB_HD T operator()(T y, T g) const { return g * y * T(0.6931471805599453); }
};
struct Exp2 {
  static constexpr std::string_view name = "exp2";
  template <class T> EBB_HD T operator()(T x) const { return ebb::exp(x * T(0.6931471805599453)); }
  using OutputGradient = Exp2Backward;
};
Tensor exp2(const ebb::TensorArg& x) { return ebb::pointwise(Exp2{}, x); }

int main() {
  return run([] {
    const Tensor x = leaf({3, 4});
    for (auto op : {log_cosh, softsign, exp2}) {
      const auto f = [op](const std::vector<Tensor>& in) { return std::vector<Tensor>{op(in[0])}; };
      ebb::gradcheck(f, {x});
      ebb::gradgradcheck(f, {x});
    }
    const auto f = [](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{mul_add(in[0], in[1], 0.5)};
    };
    ebb::gradcheck(f, {x, leaf({4})});
    ebb::gradgradcheck(f, {x, leaf({4})});
    expect("the gradient of log_cosh is tanh", ebb::grad(ebb::sum(log_cosh(x)), x), ebb::tanh(x));
    const Tensor third = ebb::tensor({0.5}, ebb::f64).requires_grad_();
    Tensor d = ebb::sum(log_cosh(third));
    for (int order = 1; order <= 3; ++order)
      d = ebb::sum(ebb::grad(d, third, {.create_graph = true}));
    const double t = std::tanh(0.5);
    expect("its third order", d, ebb::scalar(-2 * t * (1 - t * t), {.dtype = ebb::f64}));
  });
}
