// Common parts of the nodes of pointwise ops. Internal to autograd/ops.
#pragma once

#include <cstring>
#include <span>

#include "ebb/autograd/ops/pointwise.h"

namespace ebb::detail {

/// A copy of a formula object, for the nodes that need it.
struct FormulaBytes {
  alignas(16) std::byte bytes[kMaxFormulaBytes];
  FormulaBytes() = default;
  FormulaBytes(const FormulaOp& op, const void* formula) { std::memcpy(bytes, formula, op.size); }
};

/// Returns the shape that all inputs broadcast to. Throws Error that names op if they do not
/// broadcast.
Shape broadcast_all(std::string_view op, std::span<const Tensor* const> inputs);

/// Runs one pass of the formula on the device of the inputs. Pass documents in and out.
void run_pass(const FormulaOp& op, const void* formula, Pass pass, const Shape& shape,
              DType compute, std::span<const Tensor* const> in, std::span<Tensor* const> out,
              bool sum_first = false);

/// Computes results[k] = g df/dx_k for each k in the mask `wanted`, and records it if recording is
/// on. g has the shape that x broadcasts to.
void pointwise_gradient(const FormulaOp& op, const FormulaBytes& formula, std::span<const Tensor> x,
                        const Tensor& g, uint32_t wanted, std::span<Tensor> results);

}  // namespace ebb::detail
