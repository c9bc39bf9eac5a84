// Checks of a backward that gradcheck makes in addition to the values of its gradients. Internal to
// autograd/check.
//
// With the Jacobian J of f, backward computes J^T u from an upstream gradient u. It must therefore
// be linear in u, for all strides of u, also if only some of the outputs have a gradient, and it
// must not change u. Likewise, inputs with other strides must give the same values and gradients.
// Finite differences do not find such faults, because they use contiguous upstream gradients of
// ones.
#pragma once

#include <string>
#include <vector>

#include "ebb/autograd/check/functional.h"

namespace ebb::detail {

/// Returns the faults, one line each, or an empty list.
///
/// outputs is f(inputs), recorded, and its graph is kept. All tensors are on the CPU. seed is that
/// of the random upstream gradients.
std::vector<std::string> check_upstreams(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                         const std::vector<Tensor>& outputs, uint64_t seed);

/// Returns a tensor with the values of t that is not contiguous, without a graph. Its elements are
/// in the order of a transposed tensor, with NaN between them (other elements of t for integers),
/// so that code that reads them as contiguous gives a wrong result.
Tensor spread_out(const Tensor& t);

/// Returns "elements of input 0 share memory", or a text about two inputs, if changing one element
/// of an input that requires grad would change another element. Returns "" otherwise.
std::string shared_memory(const std::vector<Tensor>& inputs);

}  // namespace ebb::detail
