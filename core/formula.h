// Formulas: how a value and its partial derivatives come out of one struct with a templated call operator.
#pragma once

#include <cstddef>
#include <utility>

#include "ebb/core/scalar.h"

namespace ebb {

/// What a formula's own gradient() returns: N partial derivatives.
template <class T, int N> struct Partials { T d[N]; };
template <class T, class... Rest> Partials(T, Rest...) -> Partials<T, 1 + sizeof...(Rest)>;

/// value = f(x...), partials = df/dx_k: by the formula's own gradient(x...) when it has one, else by dual numbers.
/// Only the first `Wanted` partials are computed.
template <int Wanted, class F, class T, size_t... I>
EBB_HD void differentiate(const F& f, const T* x, T& value, T* partials, std::index_sequence<I...>) {
  if constexpr (requires { f.gradient(x[I]...); }) {
    value = f(x[I]...);
    const auto own = f.gradient(x[I]...);
#pragma GCC unroll 4
    for (int k = 0; k < Wanted; ++k) partials[k] = own.d[k];
  } else {
    using D = Dual<T, Wanted>;
    const D r = f((static_cast<int>(I) < Wanted ? D::input(x[I], static_cast<int>(I)) : D(x[I]))...);
    value = r.v;
#pragma GCC unroll 4
    for (int k = 0; k < Wanted; ++k) partials[k] = r.d[k];
  }
}

}  // namespace ebb
