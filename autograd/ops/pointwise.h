// Pointwise ops: a graph node from one formula.
//
//   struct Cube { template <class T> EBB_HD T operator()(T x) const { return x * x * x; } };
//   Tensor y = ebb::pointwise(Cube{}, x);
//
// A formula uses the scalar functions of core/scalar.h. Outside of namespace ebb call them ebb::exp, ebb::where ...:
// a bare exp may be the C library's, which does not vectorise. Value, gradient and second order come from it by dual
// numbers, in vectorised passes; higher orders by calling it on tensors (Expr). Inputs broadcast; all floating inputs
// share a dtype. A formula may state:
//   name                 for messages and pictures (`static constexpr std::string_view`)
//   gradient(x...)       returns Partials{d0, d1 ...} where its derivative is not that of its text, or is cheaper
//   second(x..., c...)   returns Partials of sum_k c_k grad_k by each x, and as the last one that sum itself, likewise
//   OutputGradient       a formula of (y, g): the gradient from the output (one input); then the output is saved
//   compute_in_f64                 it may cancel: f32 tensors are computed in f64 and rounded once; costs speed
//   partials_in_f64            the same where the gradient of another input than the first is asked for
//   linear               true when all partials are constants: then nothing is saved
//   masks                a mask of inputs that may have any dtype and get no gradient (conditions)
//   no_gradient, boolean the result has no gradient; it is a bool tensor (comparisons)
//   has_integers         int64 and u8 tensors may be used too, without gradient
//   promotes_integers    integer and bool tensors may stand beside floating ones, and are converted; so has_integers
//   has_bool             bool tensors may be used too: computed on 0 and 1, the result is true where it is not 0
// A gradient that is given by hand is held against the derivative of the text in debug builds (without NDEBUG) of the
// file that uses the formula, whenever a gradient is asked for: an Error unless they agree, or differ at a kink alone.
#pragma once

#include <array>
#include <memory>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/expr.h"
#include "ebb/autograd/ops/registry.h"
#include "ebb/backends/cpu/pointwise_kernels.h"
#include "ebb/core/pointwise.h"

#if !defined(EBB_CHECK_GRADIENTS)
#if defined(NDEBUG)
#define EBB_CHECK_GRADIENTS 0
#else
#define EBB_CHECK_GRADIENTS 1
#endif
#endif

namespace ebb {

/// A formula as the graph sees it; one static object for each (formula, arity).
struct FormulaOp : FormulaTable {
  using OutputRule = Tensor (*)(const void* formula, const Tensor& y, const Tensor& g);
  using Constants = void (*)(const void* formula, double* partials);
  using Compose = void (*)(const void* formula, const Expr* x, const Expr* c, const Expr& g,
                           Expr* dx, Expr& dg);
  using Check = void (*)(const void* formula, const double* x, double* given, double* derived);

  std::string_view gradient_name;  ///< of the node of the first order: "pow_backward"
  std::string_view second_name;    ///< of that of the second: "pow_double_backward"
  size_t size;                     ///< bytes of the formula object
  uint32_t masks;                  ///< inputs that are conditions
  bool boolean;                    ///< gives a bool tensor
  bool has_integers;               ///< has a kernel for i64
  bool promotes_integers;          ///< takes integer tensors beside floating ones, converted
  bool has_bool;                   ///< bool tensors are integers of 0 and 1 to it
  OutputRule output_rule;          ///< gradient from the output, or null
  Constants constants;             ///< partials of a linear formula, or null
  Compose compose;  ///< the second order as tensors, recorded; null without a gradient
  Check
      check;  ///< in debug builds: partials as given by hand and as derived from the text; else null
};

/// The largest formula object: parameters only, trivially copyable.
inline constexpr size_t kMaxFormulaBytes = 48;

namespace detail {

template <class F> constexpr std::string_view formula_name() {
  if constexpr (requires { F::name; }) return F::name;
  else return "pointwise";
}

// formula_name<F>() with a suffix.
template <class F, size_t Length> constexpr auto name_with(const char (&suffix)[Length]) {
  std::array<char, formula_name<F>().size() + Length - 1> text{};
  size_t at = 0;
  for (char c : formula_name<F>()) text[at++] = c;
  for (size_t i = 0; i + 1 < Length; ++i) text[at++] = suffix[i];
  return text;
}
template <class F> inline constexpr auto kGradientName = name_with<F>("_backward");
template <class F> inline constexpr auto kSecondName = name_with<F>("_double_backward");

template <class F, int N, size_t... I>
void constant_partials(const void* formula, double* partials, std::index_sequence<I...> inputs) {
  const double x[N] = {};
  double value;
  differentiate<N>(*static_cast<const F*>(formula), x, value, partials, inputs);
}

/// Holds a gradient given by hand against the derivative of the formula at some of the elements. Throws Error where
/// they differ, unless they agree right beside it: a convention at a kink is not a mistake.
void check_given_gradient(const FormulaOp& op, const void* formula,
                          std::span<const Tensor* const> x);

#if EBB_CHECK_GRADIENTS
template <class F, size_t... I> constexpr bool has_given_gradient(std::index_sequence<I...>) {
  if constexpr (requires { typename F::OutputGradient; }) return true;
  else return requires(const F& f, double x) {
      f.gradient((static_cast<void>(I), x)...);
    };
}
template <class F, int N, size_t... I>
void both_gradients(const void* formula, const double* x, double* given, double* derived,
                    std::index_sequence<I...> inputs) {
  const F& f = *static_cast<const F*>(formula);
  double value;
  differentiate_text<N>(f, x, value, derived, inputs);
  if constexpr (requires { typename F::OutputGradient; }) {
    using Rule = typename F::OutputGradient;
    if constexpr (std::is_constructible_v<Rule, const F&>) given[0] = Rule(f)(value, 1.0);
    else given[0] = Rule{}(value, 1.0);
  } else {
    differentiate<N>(f, x, value, given, inputs);
  }
}
#endif

/// Throws the Error of an op that computes with numbers and got a bool tensor.
[[noreturn]] void refuse_bool(std::string_view op, const Tensor& x);
Tensor call_pointwise(const FormulaOp& op, const void* formula,
                      std::span<const Tensor* const> inputs);
/// Records what call_pointwise would have made.
void record_pointwise(const FormulaOp& op, const void* formula,
                      std::span<const Tensor* const> inputs, const Tensor& made);

template <class F, int N, bool Loss> const FormulaOp& formula_op();

template <class F, int N, bool Loss> constexpr FormulaOp make_formula_op() {
  static_assert(std::is_trivially_copyable_v<F> && sizeof(F) <= kMaxFormulaBytes,
                "formulas hold plain parameters");
  static_assert(N >= 1 && N <= kMaxArity);
  using Inputs = std::make_index_sequence<N>;
  FormulaOp::OutputRule output_rule = nullptr;
  FormulaOp::Constants constants = nullptr;
  FormulaOp::Compose compose = nullptr;
  if constexpr (requires { typename F::OutputGradient; }) {
    static_assert(N == 1, "a gradient from the output needs one input");
    output_rule = [](const void* f, const Tensor& y, const Tensor& g) {
      using Rule = typename F::OutputGradient;
      const Rule rule = [f] {
        if constexpr (std::is_constructible_v<Rule, const F&>)
          return Rule(*static_cast<const F*>(f));
        else return (void)f, Rule{};
      }();
      const Tensor* in[] = {&y, &g};
      return call_pointwise(formula_op<typename F::OutputGradient, 2, false>(), &rule, in);
    };
  }
  if constexpr (requires { F::linear; }) {
    constants = [](const void* f, double* partials) {
      constant_partials<F, N>(f, partials, Inputs{});
    };
  }
  if constexpr (!requires { F::no_gradient; }) {
    compose = [](const void* f, const Expr* x, const Expr* c, const Expr& g, Expr* dx, Expr& dg) {
      compose_twice(*static_cast<const F*>(f), x, c, g, dx, dg, Inputs{});
    };
  }
  FormulaOp::Check check = nullptr;
#if EBB_CHECK_GRADIENTS
  if constexpr (has_given_gradient<F>(Inputs{})) {
    check = [](const void* f, const double* x, double* given, double* derived) {
      both_gradients<F, N>(f, x, given, derived, Inputs{});
    };
  }
#endif
  uint32_t masks = 0;
  if constexpr (requires { F::masks; }) masks = F::masks;
  constexpr bool boolean = requires { F::boolean; };
  constexpr bool has_integers = requires { F::has_integers; };
  constexpr bool has_bool = requires { F::has_bool; }
  || boolean;
  return {{formula_name<F>(), N, &cpu::kBlockKernels<F, N, Loss>, &CudaSlot<F, N, Loss>::kernels},
          {kGradientName<F>.data(), kGradientName<F>.size()},
          {kSecondName<F>.data(), kSecondName<F>.size()},
          sizeof(F),
          masks,
          boolean,
          has_integers,
          requires { F::promotes_integers; },
          has_bool,
          output_rule,
          constants,
          compose,
          check};
}

template <class F, int N, bool Loss> struct FormulaHolder {
  static inline constinit FormulaOp op = make_formula_op<F, N, Loss>();
  static inline const RegisterOp registered{
      formula_name<F>()};  // at program start: op_names() lists it
};

template <class F, int N, bool Loss> const FormulaOp& formula_op() {
  (void)FormulaHolder<F, N, Loss>::registered;
  return FormulaHolder<F, N, Loss>::op;
}

}  // namespace detail

/// f(x, rest...) for every element, recorded in the graph.
/// Shapes: inputs broadcast; the result has the broadcast shape. Throws Error when dtypes or devices differ, or when
/// an input is not floating.
template <class F, class... Rest>
Tensor pointwise(const F& formula, const TensorArg& x, const Rest&... rest) {
  constexpr int N = 1 + sizeof...(Rest);
  const Tensor* inputs[] = {&*x, &static_cast<const Tensor&>(rest)...};
  return detail::call_pointwise(detail::formula_op<F, N, false>(), &formula, inputs);
}

namespace detail {

/// pointwise(formula, x), computed unless `value` is its result already.
template <class F>
Tensor pointwise_as_given(const F& formula, const Tensor& value, const Tensor& x) {
  if (!value.defined()) return pointwise(formula, x);
  const Tensor* inputs[] = {&x};
  record_pointwise(formula_op<F, 1, false>(), &formula, inputs, value);
  return value;
}

/// How a weighted, reduced sum over a pointwise loss is taken: scale * sum(weight * f(inputs)).
Tensor pointwise_sum(const FormulaOp& op, const void* formula,
                     std::span<const Tensor* const> inputs, const Tensor& weight, double scale);

}  // namespace detail
}  // namespace ebb
