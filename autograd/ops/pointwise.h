// Pointwise ops: a graph node from one formula.
//
//   struct Cube { template <class T> EBB_HD T operator()(T x) const { return x * x * x; } };
//   Tensor y = ebb::pointwise(Cube{}, x);
//
// A formula uses the scalar functions of core/scalar.h. Outside of namespace ebb call them
// ebb::exp, ebb::where, and so on: an unqualified exp may be that of the C library, which is not
// vectorized. Vectorized passes compute value, gradient and second order with dual numbers. Higher
// orders call the formula with tensors (Expr). Inputs broadcast, and all floating inputs must have
// the same dtype. Optional members of a formula:
//
//   name               the name in messages and pictures (`static constexpr std::string_view`)
//   gradient(x...)     returns Partials{d0, d1, ...}: another derivative than that of the formula,
//                      or a cheaper expression
//   second(x..., c...) returns Partials of s = sum_k c_k grad_k by each x, followed by s itself
//   OutputGradient     a formula of (y, g) that computes the gradient from the output y, which is
//                      saved instead of the input
//   compute_in_f64     f32 tensors are computed in f64 and rounded once, which is slower: for
//                      formulas that cancel
//   partials_in_f64    the same, but only if the gradient of another input than the first is needed
//   linear             all partials are constants, so nothing is saved
//   masks              a bit mask of conditions: inputs of any dtype that have no gradient
//   no_gradient        the result has no gradient
//   boolean            the result is a bool tensor (comparisons)
//   has_integers       the formula also takes i64 and u8 tensors, without gradient
//   promotes_integers  integer and bool tensors next to floating ones are converted; implies
//                      has_integers
//   has_bool           the formula also takes bool tensors as 0 and 1; the result is true where it
//                      is not 0
//
// In debug builds (without NDEBUG) of the file that uses the formula, an explicit gradient is
// compared with the derivative of the formula whenever a gradient is computed. Throws Error if they
// differ, except at a kink.
#pragma once

#include <array>
#include <memory>
#include <typeinfo>

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

/// The properties of a formula that the graph uses. There is one static object per formula and
/// arity.
struct FormulaOp : FormulaTable {
  using OutputRule = Tensor (*)(const void* formula, const Tensor& y, const Tensor& g);
  using Constants = void (*)(const void* formula, double* partials);
  using Compose = void (*)(const void* formula, const Expr* x, const Expr* c, const Expr& g,
                           Expr* dx, Expr& dg);
  using Check = void (*)(const void* formula, const double* x, double* given, double* derived);

  std::string_view gradient_name;  ///< of the node of the first order: "pow_backward"
  std::string_view second_name;    ///< of the node of the second order: "pow_double_backward"
  size_t size;                     ///< bytes of the formula object
  const std::type_info* type;      ///< of the formula
  uint32_t masks;                  ///< inputs that are conditions
  bool boolean;                    ///< returns a bool tensor
  bool has_integers;               ///< has a kernel for i64
  bool promotes_integers;          ///< converts integer tensors next to floating ones
  bool has_bool;                   ///< takes bool tensors as integers of 0 and 1
  OutputRule output_rule;          ///< computes the gradient from the output, or null
  Constants constants;             ///< returns the partials of a linear formula, or null
  Compose compose;                 ///< the second order with recorded tensors, or null
  /// Computes the explicit partials and those of the formula, for comparison; null in release
  /// builds.
  Check check;
};

/// The largest size of a formula object, which has only parameters and is trivially copyable.
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

/// Compares an explicit gradient with the derivative of the formula at some of the elements. Throws
/// Error if they differ, unless they agree right next to the element, because a convention at a
/// kink is not a mistake.
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

/// Throws the Error of an op for numbers that got a bool tensor.
[[noreturn]] void refuse_bool(std::string_view op, const Tensor& x);
Tensor call_pointwise(const FormulaOp& op, const void* formula,
                      std::span<const Tensor* const> inputs);
/// Records an op whose result, `made`, has been computed elsewhere.
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
          &typeid(F),
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

/// Returns f(x, rest...) for every element, recorded in the graph.
///
/// Shape: inputs broadcast, and the result has the broadcast shape. Throws Error if dtypes or
/// devices differ, or if an input is not floating.
template <class F, class... Rest>
Tensor pointwise(const F& formula, const TensorArg& x, const Rest&... rest) {
  constexpr int N = 1 + sizeof...(Rest);
  const Tensor* inputs[] = {&*x, &static_cast<const Tensor&>(rest)...};
  return detail::call_pointwise(detail::formula_op<F, N, false>(), &formula, inputs);
}

namespace detail {

/// Returns pointwise(formula, x). It does not compute the value if `value` is the result already.
template <class F>
Tensor pointwise_as_given(const F& formula, const Tensor& value, const Tensor& x) {
  if (!value.defined()) return pointwise(formula, x);
  const Tensor* inputs[] = {&x};
  record_pointwise(formula_op<F, 1, false>(), &formula, inputs, value);
  return value;
}

/// Returns a weighted, scaled sum over a pointwise loss: scale * sum(weight * f(inputs)).
Tensor pointwise_sum(const FormulaOp& op, const void* formula,
                     std::span<const Tensor* const> inputs, const Tensor& weight, double scale);

}  // namespace detail
}  // namespace ebb
