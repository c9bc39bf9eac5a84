// Pointwise calls: the request of the graph to a backend for an op that is defined by a formula.
//
// A formula is a struct with a templated call operator over a scalar type (see core/scalar.h). Each
// device has its own table of kernels for each formula. The graph passes the table on without
// reading it.
#pragma once

#include <cstdint>
#include <span>
#include <type_traits>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The most inputs of a formula.
inline constexpr int kMaxArity = 4;

/// The results of one pass over memory. x are the N inputs of formula f, d_k = df/dx_k, and
/// s = sum_k c_k g d_k.
///
/// | pass               | in                    | out                                             |
/// |--------------------|-----------------------|-------------------------------------------------|
/// | Value              | x                     | f                                               |
/// | GradientFirst      | x, g                  | g d_0                                           |
/// | Gradient           | x, g                  | g d_0, ..., g d_{N-1}                           |
/// | ValueGradientFirst | x, w                  | w f, w d_0                                      |
/// | ValueGradient      | x, w                  | w f, w d_0, ..., w d_{N-1}                      |
/// | SecondOrder        | x, g, c_0 ... c_{N-1} | ds/dx_0, ..., ds/dx_{N-1}, ds/dg                |
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

/// Returns an element as an operand of a formula that computes in To. Only conditions can have a
/// wider dtype than To. For them, only the sign and the difference from 0 are kept, so that 0.5 is
/// true in a formula of integers.
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

/// The slot for the CUDA kernels of a formula, which a file compiled by nvcc fills (enter_formulas
/// in backends/cuda/pointwise_kernels.h). Null if there are none. WithValue is true for the formula
/// of a loss.
template <class F, int N, bool WithValue> struct CudaSlot {
  static inline const void* kernels = nullptr;
};

/// The name of a formula and its kernels on each device, in a format that only the device reads.
struct FormulaTable {
  std::string_view name;
  int arity;
  const void* cpu_kernels;
  const void* const* cuda_kernels;  ///< the slot
};

struct PointwiseCall {
  const FormulaTable* table;
  const void* formula;  ///< the formula object with its parameters
  Pass pass;
  /// F32 or F64; I64 for Value of formulas with has_integers.
  DType compute;
  /// The shape of every output. Inputs broadcast to it and are converted to `compute`.
  const Shape* shape;
  /// Inputs on the device. All except the first may be 0-d tensors on the CPU.
  std::span<const Tensor* const> in;
  /// Contiguous outputs, converted from `compute`; null for those that are not needed.
  std::span<Tensor* const> out;
  bool sum_first = false;  ///< out[0] is 0-d and receives the sum over all elements
};

}  // namespace ebb
