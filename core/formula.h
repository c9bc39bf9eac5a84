// Formulas: how a value and its partial derivatives come out of one struct with a templated call operator.
#pragma once

#include <cstddef>
#include <utility>

#include "ebb/core/scalar.h"

namespace ebb {

/// What a formula's own gradient() returns: N partial derivatives.
template <class T, int N> struct Partials { T d[N]; };
template <class T, class... Rest> Partials(T, Rest...) -> Partials<T, 1 + sizeof...(Rest)>;

/// value = f(x...), partials = df/dx_k by dual numbers: the derivative of the formula's text.
/// Only the first `Wanted` partials are computed.
template <int Wanted, class F, class T, size_t... I>
EBB_HD void differentiate_text(const F& f, const T* x, T& value, T* partials, std::index_sequence<I...>) {
  using D = Dual<T, Wanted>;
  const D r = f((static_cast<int>(I) < Wanted ? D::input(x[I], static_cast<int>(I)) : D(x[I]))...);
  value = r.v;
#pragma GCC unroll 4
  for (int k = 0; k < Wanted; ++k) partials[k] = r.d[k];
}

/// The same by the formula's own gradient(x...) where it has one.
template <int Wanted, class F, class T, size_t... I>
EBB_HD void differentiate(const F& f, const T* x, T& value, T* partials, std::index_sequence<I...> inputs) {
  if constexpr (requires { f.gradient(x[I]...); }) {
    (void)inputs;
    value = f(x[I]...);
    const auto own = f.gradient(x[I]...);
#pragma GCC unroll 4
    for (int k = 0; k < Wanted; ++k) partials[k] = own.d[k];
  } else {
    differentiate_text<Wanted>(f, x, value, partials, inputs);
  }
}

}  // namespace ebb
