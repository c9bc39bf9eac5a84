// Converts parameters to one vector and back: torch.nn.utils.parameters_to_vector and
// vector_to_parameters.
#pragma once

#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn::utils {

/// Returns all elements of the parameters in order, as a tensor (N), recorded in the graph. Throws
/// Error unless all parameters have the same dtype and device, and for an empty list.
Tensor parameters_to_vector(const std::vector<Tensor>& parameters);

/// Copies the elements of `vector` (N) to the parameters, in order and in place. Throws Error, and
/// changes nothing, unless N is the number of elements of all parameters, and dtypes and devices
/// agree.
///
///     Tensor w = nn::utils::parameters_to_vector(model.parameters()).detach();
///     nn::utils::vector_to_parameters(w * 0.5, model.parameters());
void vector_to_parameters(const Tensor& vector, const std::vector<Tensor>& parameters);

}  // namespace ebb::nn::utils
