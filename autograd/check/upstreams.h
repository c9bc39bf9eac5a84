// Checks of a backward that gradcheck makes in addition to the values of its gradients. Internal to
// autograd/check.
//
// With J the Jacobian of f, backward computes J^T u from an upstream u. So it has to be linear in
// u, whatever the strides of u are, also when only some of the outputs have a gradient, and it must
// leave u alone. The same holds of f and its inputs: other strides, same values and gradients.
// Finite differences do not see these faults, because they try unit upstreams that are contiguous.
#pragma once

#include <string>
#include <vector>

#include "ebb/autograd/check/functional.h"

namespace ebb::detail {

/// Returns what is wrong, one line each; empty when nothing is.
/// outputs: f(inputs), recorded; their graph is kept. wanted: the inputs that require grad. All on
/// the CPU. seed: of the random upstreams.
std::vector<std::string> check_upstreams(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                         const std::vector<Tensor>& outputs, uint64_t seed);

/// Returns a tensor of the values of t whose elements are apart and in the order of a transposed
/// tensor, with NaN between them (other elements of t, for integers): code that reads them as if
/// they were contiguous gives a wrong result. No graph.
Tensor spread_out(const Tensor& t);

/// Returns "elements of input 0 share memory", or of two inputs, when moving one element of an
/// input that requires grad would move another; "" when none does.
std::string shared_memory(const std::vector<Tensor>& inputs);

}  // namespace ebb::detail
