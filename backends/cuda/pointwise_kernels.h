// CUDA kernels of a formula. A file for nvcc compiles and enters them:
//
//   #include "my_formula.h"  // struct MyFormula, the same as for the CPU
//   #include "ebb/backends/cuda/pointwise_kernels.h"
//   EBB_CUDA_FORMULA(MyFormula)
//
// ebb::pointwise(MyFormula{}, x, t), called from any file, then also runs on the GPU.
//
// Layout: a thread processes 16 bytes of each operand at a time. It loads operands that are
// contiguous and of the right type with one instruction, and gathers strided, broadcast and
// converted operands element by element. There is one kernel per pass. Blocks process memory in
// order: on an H100, a grid that covers all elements reaches 100 % of a copy's bandwidth, one that
// strides over them 92 %. Memory traffic: each input is read once, each output written once.
#pragma once

#include <utility>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/core/formula.h"
#include "ebb/core/pointwise.h"

namespace ebb::cuda {

struct PointwiseInput {
  enum class Mode : uint8_t { Direct, Constant, Gathered };
  const void* data;  ///< null for a constant that is `value`
  double value;
  Strides strides;
  DType dtype;
  Mode mode;
};

struct PointwiseOutput {
  void* data;  ///< null if not needed
  DType dtype;
  bool direct;  ///< has the type of the computation, and is aligned
};

/// The operands of one launch. With `total`, the first output is summed into it instead of being
/// stored.
template <int Inputs, int Outputs> struct PointwiseArguments {
  Space space;
  PointwiseInput in[Inputs];
  PointwiseOutput out[Outputs];
  void* total;
  double* partials;
  unsigned* ticket;
};

/// Returns the operands of a launch for a call.
void prepare_pointwise(const PointwiseCall& call, Space& space, PointwiseInput* in,
                       PointwiseOutput* out);

namespace detail {

constexpr bool has_value(Pass s) {
  return s == Pass::ValueGradientFirst || s == Pass::ValueGradient;
}
constexpr int wanted_partials(Pass s, int arity) {
  return s == Pass::GradientFirst || s == Pass::ValueGradientFirst ? 1 : arity;
}
constexpr int pass_inputs(Pass s, int arity) {
  return s == Pass::Value ? arity : s == Pass::SecondOrder ? 2 * arity + 1 : arity + 1;
}
constexpr int pass_outputs(Pass s, int arity) {
  return s == Pass::Value         ? 1
         : s == Pass::SecondOrder ? arity + 1
                                  : wanted_partials(s, arity) + has_value(s);
}

// C is the type in which the formula computes.
template <Pass S, class F, class C, size_t... I>
__device__ __forceinline__ void pass_element(const F& f, const C* in, C* out,
                                             std::index_sequence<I...> inputs) {
  constexpr int N = sizeof...(I);
  if constexpr (S == Pass::Value) {
    out[0] = f(in[I]...);
  } else if constexpr (S == Pass::SecondOrder) {
    differentiate_twice(f, in, in + N + 1, in[N], out, out[N], inputs);
  } else {
    constexpr int wanted = wanted_partials(S, N), first = has_value(S);
    C value, partials[wanted];
    differentiate<wanted>(f, in, value, partials, inputs);
    if constexpr (has_value(S)) out[0] = in[N] * value;
#pragma unroll
    for (int k = 0; k < wanted; ++k) out[first + k] = in[N] * partials[k];
  }
}

// Loads and stores of single elements. Separate functions, which all kernels of a file share.
template <class T, int V>
__device__ __attribute__((noinline)) Pack<T, V> gather_pack(const Space& space,
                                                            const PointwiseInput& in, int64_t at,
                                                            int count) {
  Pack<T, V> x;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    // Past the end it reads any element, whose result is not stored.
    const int64_t element = at + (v < count ? v : 0);
    const int64_t offset =
        in.mode == PointwiseInput::Mode::Gathered ? offset_of(space, in.strides, element) : element;
    x.v[v] = load_as<T>(in.data, in.dtype, offset);
  }
  return x;
}

template <class T, int V>
__device__ __attribute__((noinline)) void scatter_pack(const PointwiseOutput& out, int64_t at,
                                                       int count, Pack<T, V> y) {
#pragma unroll
  for (int v = 0; v < V; ++v) {
    if (v < count) store_as(out.data, out.dtype, at + v, y.v[v]);
  }
}

template <class T> __device__ __attribute__((noinline)) T load_constant(const PointwiseInput& in) {
  return in.data ? load_as<T>(in.data, in.dtype, 0) : static_cast<T>(in.value);
}

template <class T, int V>
__device__ __forceinline__ Pack<T, V> load_pack(const Space& space, const PointwiseInput& in,
                                                T constant, int64_t at, int count) {
  if (in.mode == PointwiseInput::Mode::Direct && count == V) {
    return *reinterpret_cast<const Pack<T, V>*>(static_cast<const T*>(in.data) + at);
  }
  if (in.mode == PointwiseInput::Mode::Constant) {
    Pack<T, V> x;
#pragma unroll
    for (int v = 0; v < V; ++v) x.v[v] = constant;
    return x;
  }
  return gather_pack<T, V>(space, in, at, count);
}

template <class T, int V>
__device__ __forceinline__ void store_pack(const PointwiseOutput& out, int64_t at, int count,
                                           const Pack<T, V>& y) {
  if (!out.data) return;
  if (out.direct && count == V) *reinterpret_cast<Pack<T, V>*>(static_cast<T*>(out.data) + at) = y;
  else scatter_pack<T, V>(out, at, count, y);
}

// Kernels of the second order are long and rarely used, so they process one element at a time.
template <class T> constexpr int pack_of(Pass s) { return s == Pass::SecondOrder ? 1 : kPack<T>; }
constexpr int packs_of(Pass s) { return s == Pass::SecondOrder ? 1 : 2; }

template <class F, class T, int N, Pass S>
__global__ void __launch_bounds__(kThreads) pointwise_kernel(
    F f, const __grid_constant__ PointwiseArguments<pass_inputs(S, N), pass_outputs(S, N)> a) {
  constexpr bool all = S == Pass::SecondOrder || (S != Pass::Value && wanted_partials(S, N) > 1);
  using C = Compute<F, T, all>;
  constexpr int V = pack_of<T>(S), inputs = pass_inputs(S, N), outputs = pass_outputs(S, N);
  T constants[inputs];
#pragma unroll
  for (int k = 0; k < inputs; ++k) {
    constants[k] =
        a.in[k].mode == PointwiseInput::Mode::Constant ? load_constant<T>(a.in[k]) : T(0);
  }
  double sum = 0;
  const auto count_at = [&](int64_t at) {
    return static_cast<int>(a.space.numel - at < V ? a.space.numel - at : V);
  };
  const auto load = [&](Pack<T, V>(&x)[inputs], int64_t at) {
#pragma unroll
    for (int k = 0; k < inputs; ++k)
      x[k] = load_pack<T, V>(a.space, a.in[k], constants[k], at, count_at(at));
  };
  // A thread loads all of its packs before it computes with the first one.
  constexpr int packs = packs_of(S);
  constexpr int64_t step = int64_t{kThreads} * V;
  for (int64_t base = blockIdx.x * packs * step + threadIdx.x * V; base < a.space.numel;
       base += gridDim.x * packs * step) {
    Pack<T, V> x[packs][inputs];
#pragma unroll
    for (int u = 0; u < packs; ++u) {
      if (base + u * step < a.space.numel) load(x[u], base + u * step);
    }
#pragma unroll
    for (int u = 0; u < packs; ++u) {
      const int64_t at = base + u * step;
      if (at >= a.space.numel) break;
      const int count = count_at(at);
      Pack<T, V> y[outputs];
#pragma unroll
      for (int v = 0; v < V; ++v) {
        C in[inputs], out[outputs];
#pragma unroll
        for (int k = 0; k < inputs; ++k) in[k] = static_cast<C>(x[u][k].v[v]);
        pass_element<S>(f, in, out, std::make_index_sequence<N>{});
#pragma unroll
        for (int k = 0; k < outputs; ++k) y[k].v[v] = static_cast<T>(out[k]);
      }
      if (a.total) {
        T part = T(0);
#pragma unroll
        for (int v = 0; v < V; ++v) part += v < count ? y[0].v[v] : T(0);
        sum += static_cast<double>(part);
      }
#pragma unroll
      for (int k = 0; k < outputs; ++k) store_pack(a.out[k], at, count, y[k]);
    }
  }
  if (a.total && grid_sum(sum, a.partials, a.ticket))
    *static_cast<T*>(a.total) = static_cast<T>(sum);
}

template <class F, class T, int N, Pass S> void launch_pointwise(const PointwiseCall& call) {
  PointwiseArguments<pass_inputs(S, N), pass_outputs(S, N)> a;
  prepare_pointwise(call, a.space, a.in, a.out);
  a.total = call.sum_first ? call.out[0]->raw() : nullptr;
  if (a.space.numel == 0 && !a.total) return;
  a.partials = context().partials;
  a.ticket = context().ticket;
  constexpr int tile = kThreads * pack_of<T>(S) * packs_of(S);
  // A sum has a part for each block, so that their number is limited.
  const dim3 grid = a.total ? grid_for(a.space.numel, tile)
                            : dim3(static_cast<unsigned>((a.space.numel + tile - 1) / tile));
  launch(pointwise_kernel<F, T, N, S>, grid, kThreads, *static_cast<const F*>(call.formula), a);
}

}  // namespace detail

/// The kernels of one formula on the GPU.
struct FormulaKernels {
  using Launch = void (*)(const PointwiseCall& call);
  Launch floating[kPassCount][2];  ///< by pass and F32 / F64
  Launch integer_value;            ///< over int64_t, or null
};

template <class F, int N, bool WithValue> consteval FormulaKernels formula_kernels() {
  FormulaKernels k{};
  const auto set = [&k]<class T>(T, int type) {
    const auto enter = [&]<Pass S>() {
      k.floating[static_cast<int>(S)][type] = &detail::launch_pointwise<F, T, N, S>;
    };
    enter.template operator()<Pass::Value>();
    if constexpr (!requires { F::no_gradient; }) {
      enter.template operator()<Pass::GradientFirst>();
      enter.template operator()<Pass::Gradient>();
      enter.template operator()<Pass::SecondOrder>();
    }
    if constexpr (WithValue) {
      enter.template operator()<Pass::ValueGradientFirst>();
      enter.template operator()<Pass::ValueGradient>();
    }
  };
  set(float{}, 0);
  set(double{}, 1);
  if constexpr (requires { F::has_integers; })
    k.integer_value = &detail::launch_pointwise<F, int64_t, N, Pass::Value>;
  return k;
}

template <class F, int N, bool WithValue>
inline constexpr FormulaKernels kFormulaKernels = formula_kernels<F, N, WithValue>();

/// Enters the kernels of formulas. WithValue is true for formulas of losses.
template <bool WithValue, class... F> bool enter_formulas() {
  ((CudaSlot<F, formula_arity<F>(), WithValue>::kernels =
        &kFormulaKernels<F, formula_arity<F>(), WithValue>),
   ...);
  return true;
}

}  // namespace ebb::cuda

#define EBB_CUDA_NAME_(line) ebb_cuda_formula_##line
#define EBB_CUDA_NAME(line) EBB_CUDA_NAME_(line)
/// Enters the kernels of formula F before main(). Used at namespace scope of a file for nvcc.
#define EBB_CUDA_FORMULA(F) \
  static const bool EBB_CUDA_NAME(__LINE__) = ebb::cuda::enter_formulas<false, F>();
/// Does the same for a formula that nn::pointwise_loss sums: enters its pointwise kernels, and
/// those of the sum with the gradient.
#define EBB_CUDA_LOSS(F) \
  static const bool EBB_CUDA_NAME(__LINE__) = ebb::cuda::enter_formulas<true, F>();
