// Pointwise calls: what the graph asks of a backend for an op that is given by one formula.
//
// A formula is a struct with a templated call operator over a scalar type (see core/scalar.h). Each device keeps, for
// each formula, a table of kernels of its own kind; the graph passes the table through without looking inside.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The most inputs of a formula.
inline constexpr int kMaxArity = 4;

/// What one pass over memory computes. x: the N inputs of formula f; d_k = df/dx_k.
///
/// | pass              | in              | out                                           |
/// |--------------------|-----------------|-----------------------------------------------|
/// | Value              | x               | f                                             |
/// | GradientFirst      | x, g            | g d_0                                         |
/// | Gradient           | x, g            | g d_0, ..., g d_{N-1}                         |
/// | ValueGradientFirst | x, w            | w f, w d_0                                    |
/// | ValueGradient      | x, w            | w f, w d_0, ..., w d_{N-1}                    |
/// | SecondOrder        | x, g, c_0 ... c_{N-1} | with s = sum_k c_k g d_k: ds/dx_0, ..., ds/dx_{N-1}, ds/dg |
enum class Pass : uint8_t {
  Value,
  GradientFirst,
  Gradient,
  ValueGradientFirst,
  ValueGradient,
  SecondOrder
};
inline constexpr int kPassCount = 6;
inline constexpr int kMaxPassInputs = 2 * kMaxArity + 1;
inline constexpr int kMaxPassOutputs = kMaxArity + 1;

/// Returns an element as an operand of a formula that computes in To. Only conditions may have a wider dtype than that:
/// of them the sign and the difference from 0 are kept, so that 0.5 stays true among integers.
template <class To, class From> EBB_HD To operand_as(From x) {
  if constexpr (std::is_floating_point_v<From> && std::is_integral_v<To>) {
    return x < 0 ? To(-1) : x == 0 ? To(0) : To(1);
  } else if constexpr (std::is_same_v<From, double> && std::is_same_v<To, float>) {
    const To near = static_cast<To>(x);
    return near == 0 && x != 0 ? (x < 0 ? To(-1) : To(1)) : near;
  } else {
    return static_cast<To>(x);
  }
}

/// Where the CUDA kernels of a formula are entered, by a file that nvcc compiled (EBB_CUDA_FORMULA in
/// backends/cuda/pointwise_kernels.h); null without. WithValue: the formula is that of a loss.
template <class F, int N, bool WithValue> struct CudaSlot {
  static inline const void* kernels = nullptr;
};

/// One formula as the library sees it: its name, and its kernels on each device, in a form that only the device knows.
struct FormulaTable {
  std::string_view name;
  int arity;
  const void* cpu_kernels;
  const void* const* cuda_kernels;  ///< the slot
};

struct PointwiseCall {
  const FormulaTable* table;
  const void* formula;  ///< the formula object: its parameters
  Pass pass;
  DType compute;       ///< F32 or F64; I64 for Value of formulas that integers have
  const Shape* shape;  ///< of every output; inputs broadcast to it and are converted to `compute`
  std::span<const Tensor* const>
      in;                        ///< of the device; but for the first, a number may lie on the CPU
  std::span<Tensor* const> out;  ///< contiguous; null where not wanted; converted from `compute`
  bool sum_first = false;        ///< out[0] is 0-d and receives the sum over all elements
};

}  // namespace ebb
