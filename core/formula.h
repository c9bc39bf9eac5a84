// Formulas: computes the value and the partial derivatives of a struct with a templated call
// operator.
#pragma once

#include <cstddef>
#include <type_traits>
#include <utility>

#include "ebb/core/scalar.h"

namespace ebb {

/// N partial derivatives: the result of a formula's own gradient().
template <class T, int N> struct Partials { T d[N]; };
template <class T, class... Rest> Partials(T, Rest...) -> Partials<T, 1 + sizeof...(Rest)>;

/// Returns the number of inputs of formula F.
template <class F> consteval int formula_arity() {
  if (std::is_invocable_v<const F&, float>) return 1;
  if (std::is_invocable_v<const F&, float, float>) return 2;
  if (std::is_invocable_v<const F&, float, float, float>) return 3;
  if (std::is_invocable_v<const F&, float, float, float, float>) return 4;
  return 0;
}

/// The type in which formula F computes value and derivatives for elements of type T.
///
/// A formula declares `compute_in_f64` if it subtracts numbers that may be nearly equal. It then
/// computes f32 in f64 and rounds once. It declares `partials_in_f64` if only its derivatives by
/// inputs other than the first need this. It then computes in f64 if those derivatives are needed
/// (kAll).
template <class F> inline constexpr bool computes_in_f64 = requires { F::compute_in_f64; };
template <class F> inline constexpr bool computes_partials_in_f64 = requires {
  F::partials_in_f64;
};
template <class F, class T, bool kAll = false>
using Compute =
    std::conditional_t<std::is_same_v<T, float> &&
                           (computes_in_f64<F> || (kAll && computes_partials_in_f64<F>)),
                       double, T>;

/// Computes value = f(x...) and, with dual numbers, the first `Wanted` partials df/dx_k: the
/// derivative of the formula as it is written.
template <int Wanted, class F, class T, size_t... I>
EBB_HD void differentiate_text(const F& f, const T* x, T& value, T* partials,
                               std::index_sequence<I...>) {
  using D = Dual<T, Wanted>;
  const D r = f((static_cast<int>(I) < Wanted ? D::input(x[I], static_cast<int>(I)) : D(x[I]))...);
  value = r.v;
  EBB_UNROLL
  for (int k = 0; k < Wanted; ++k) partials[k] = r.d[k];
}

/// Computes the same with the formula's own gradient(x...), if it defines one.
template <int Wanted, class F, class T, size_t... I>
EBB_HD void differentiate(const F& f, const T* x, T& value, T* partials,
                          std::index_sequence<I...> inputs) {
  if constexpr (requires { f.gradient(x[I]...); }) {
    (void)inputs;
    value = f(x[I]...);
    const auto own = f.gradient(x[I]...);
    EBB_UNROLL
    for (int k = 0; k < Wanted; ++k) partials[k] = own.d[k];
  } else {
    differentiate_text<Wanted>(f, x, value, partials, inputs);
  }
}

namespace detail {
/// Returns sum_k c_k d_k over the partials that can differ from zero. A direction of 0 contributes
/// nothing, also where the partial is infinite or NaN, because f need not have a derivative by an
/// input that does not change.
template <class T, size_t... K>
EBB_HD T sum_along(const T* c, const Dual<T, sizeof...(K)>& partial, std::index_sequence<K...>) {
  T sum = T(0);
  ((sum =
        partial.has(static_cast<int>(K)) ? sum + where(c[K] == 0, T(0), c[K] * partial.d[K]) : sum),
   ...);
  return sum;
}
}  // namespace detail

/// Computes the second order in one element: dx_k = ds/dx_k and dg = ds/dg, with s = sum_k c_k g
/// df/dx_k. Uses the formula's own second(x..., c...) if it defines one, else duals of duals.
template <class F, class T, size_t... I>
EBB_HD void differentiate_twice(const F& f, const T* x, const T* c, T g, T* dx, T& dg,
                                std::index_sequence<I...> inputs) {
  constexpr int N = sizeof...(I);
  if constexpr (requires { f.second(x[I]..., x[I]...); }) {
    const auto own = f.second(x[I]..., c[I]...);
    ((dx[I] = g * own.d[I]), ...);
    dg = own.d[N];
  } else {
    using D = Dual<T, N>;
    const D at[N] = {D::input(x[I], static_cast<int>(I))...};
    D value, partials[N];
    differentiate<N>(f, at, value, partials, inputs);
    dg = T(0);
    ((dg += where(c[I] == 0, T(0), c[I] * partials[I].v)), ...);
    ((dx[I] = g * detail::sum_along(c, partials[I], inputs)), ...);
  }
}

/// Computes the same for recorded tensors (T = Expr). An absent direction is the constant 0.
template <class F, class T, size_t... I>
void compose_twice(const F& f, const T* x, const T* c, const T& g, T* dx, T& dg,
                   std::index_sequence<I...> inputs) {
  constexpr int N = sizeof...(I);
  if constexpr (requires { f.second(x[I]..., x[I]...); }) {
    const auto own = f.second(x[I]..., c[I]...);
    ((dx[I] = g * own.d[I]), ...);
    dg = own.d[N];
  } else {
    using D = Dual<T, 1>;
    D at[N], value, partials[N];
    const auto absent = [&](size_t k) { return c[k].is_constant() && c[k].constant() == 0; };
    ((at[I] = absent(I) ? D(x[I]) : D::along(x[I], c[I])), ...);
    differentiate<N>(f, at, value, partials, inputs);
    dg = T(0);
    ((dg = absent(I) ? dg : dg + c[I] * partials[I].v), ...);
    ((dx[I] = partials[I].has(0) ? g * partials[I].d[0] : T(0)), ...);
  }
}

}  // namespace ebb
