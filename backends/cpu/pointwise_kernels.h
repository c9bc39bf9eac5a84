// The CPU kernels of a formula: loops over contiguous blocks, which the compiler vectorizes.
//
// Layout: every operand is a contiguous block of n elements of one type. pointwise.cpp divides
// tensors into blocks that fit into the L1 cache, and packs strided, broadcast and converted
// operands. One set of loops therefore suffices, and a value does not depend on its position in a
// tensor. The loops are compiled for several instruction sets (EBB_KERNEL). Traffic: each
// input is read once and each output written once. This header is public, because ebb::pointwise
// instantiates it in the user's file.
#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "ebb/core/formula.h"
#include "ebb/core/pointwise.h"

namespace ebb {

namespace cpu {

using BlockKernel = void (*)(const void* formula, int64_t n, const void* const* in,
                             void* const* out);

/// The kernels of one formula on the CPU.
struct BlockKernels {
  /// By pass, and by F32 and F64.
  BlockKernel floating[kPassCount][2];
  /// The kernel for int64_t, or null.
  BlockKernel integer_value;
};

template <class F, class T, size_t... I>
EBB_KERNEL void value_loop(const F& f, int64_t n, T* out, std::index_sequence<I...>,
                           const T* const* in) {
  using C = Compute<F, T>;
  const T* x[] = {in[I]...};
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(f(static_cast<C>(x[I][i])...));
}

// Computes g d_k for the first `Wanted` partials, and w f if Value. Pass documents in and out.
template <class F, class T, int Wanted, bool Value, size_t... I, size_t... K>
EBB_KERNEL void gradient_loop(const F& f, int64_t n, const T* const* in, T* const* out,
                              std::index_sequence<I...> inputs, std::index_sequence<K...>) {
  using C = Compute<F, T, (Wanted > 1)>;
  const T* x[] = {in[I]...};
  const T* upstream = in[sizeof...(I)];
  T* d[] = {out[K + Value]...};
  T* value_out = out[0];
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const C at[] = {static_cast<C>(x[I][i])...};
    C value, partials[Wanted];
    differentiate<Wanted>(f, at, value, partials, inputs);
    const C g = static_cast<C>(upstream[i]);
    if constexpr (Value) value_out[i] = static_cast<T>(g * value);
    ((d[K][i] = static_cast<T>(g * partials[K])), ...);
  }
}

// Computes the gradient and its derivative in the direction c in one pass, with duals of duals.
template <class F, class T, size_t... I>
EBB_KERNEL void second_order_loop(const F& f, int64_t n, const T* const* in, T* const* out,
                                  std::index_sequence<I...> inputs) {
  constexpr int N = sizeof...(I);
  using C = Compute<F, T, true>;
  const T* x[] = {in[I]...};
  const T* upstream = in[N];
  const T* c[] = {in[N + 1 + I]...};
  T* dx[] = {out[I]...};
  T* dg = out[N];
  EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) {
    const C at[] = {static_cast<C>(x[I][i])...}, directions[] = {static_cast<C>(c[I][i])...};
    C by_x[N], by_g;
    differentiate_twice(f, at, directions, static_cast<C>(upstream[i]), by_x, by_g, inputs);
    ((dx[I][i] = static_cast<T>(by_x[I])), ...);
    dg[i] = static_cast<T>(by_g);
  }
}

/// A formula that has a cheaper one for arguments near 0: is_near(x...) says of which ones, and
/// near() returns it. Both have the same bits there.
template <class F, class T>
concept HasNear = std::is_same_v<T, float> && requires(const F& f) {
  f.near();
};

template <class F, class T, size_t... I>
EBB_KERNEL bool all_near(const F& f, int64_t n, const T* const* in, std::index_sequence<I...>) {
  const T* x[] = {in[I]...};
  uint32_t far = 0;
  for (int64_t i = 0; i < n; ++i) far |= f.is_near(x[I][i]...) ? 0u : 1u;
  return far == 0;
}

template <class F, class T, int N> struct Blocks {
  using Inputs = std::make_index_sequence<N>;
  static const F& formula(const void* f) { return *static_cast<const F*>(f); }
  static const T* const* typed(const void* const* p) {
    return reinterpret_cast<const T* const*>(p);
  }
  static T* const* typed(void* const* p) { return reinterpret_cast<T* const*>(p); }

  static void value(const void* f, int64_t n, const void* const* in, void* const* out) {
    if constexpr (HasNear<F, T>) {
      if (all_near(formula(f), n, typed(in), Inputs{})) {
        const auto near = formula(f).near();
        return value_loop(near, n, static_cast<T*>(out[0]), Inputs{}, typed(in));
      }
    }
    value_loop<F, T>(formula(f), n, static_cast<T*>(out[0]), Inputs{}, typed(in));
  }
  template <int Wanted, bool Value>
  static void gradient(const void* f, int64_t n, const void* const* in, void* const* out) {
    gradient_loop<F, T, Wanted, Value>(formula(f), n, typed(in), typed(out), Inputs{},
                                       std::make_index_sequence<Wanted>{});
  }
  static void second_order(const void* f, int64_t n, const void* const* in, void* const* out) {
    second_order_loop<F, T>(formula(f), n, typed(in), typed(out), Inputs{});
  }
};

/// Returns the kernels of formula F with N inputs. WithValue adds the passes that losses use. A
/// formula defines `no_gradient` if it has none (comparisons), and `has_integers` if it supports
/// int64_t.
template <class F, int N, bool WithValue> consteval BlockKernels block_kernels() {
  BlockKernels k{};
  const auto set = [&k]<class T>(T, int type) {
    using B = Blocks<F, T, N>;
    k.floating[static_cast<int>(Pass::Value)][type] = &B::value;
    if constexpr (!requires { F::no_gradient; }) {
      k.floating[static_cast<int>(Pass::GradientFirst)][type] = &B::template gradient<1, false>;
      k.floating[static_cast<int>(Pass::Gradient)][type] = &B::template gradient<N, false>;
      k.floating[static_cast<int>(Pass::SecondOrder)][type] = &B::second_order;
    }
    if constexpr (WithValue) {
      k.floating[static_cast<int>(Pass::ValueGradientFirst)][type] = &B::template gradient<1, true>;
      k.floating[static_cast<int>(Pass::ValueGradient)][type] = &B::template gradient<N, true>;
    }
  };
  set(float{}, 0);
  set(double{}, 1);
  if constexpr (requires { F::has_integers; }) k.integer_value = &Blocks<F, int64_t, N>::value;
  return k;
}

/// The kernel table of formula F with N inputs.
template <class F, int N, bool WithValue>
inline constexpr BlockKernels kBlockKernels = block_kernels<F, N, WithValue>();

}  // namespace cpu
}  // namespace ebb
