// Clipping of gradients between backward() and an optimizer's step(): torch.nn.utils.clip_grad_norm_ and
// clip_grad_value_.
#pragma once

#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn::utils {

/// Scales all gradients by one factor so that their total norm is at most max_norm, and returns the norm that they had
/// before: a 0-d f64 tensor on the device of the parameters, which nothing here waits for.
///
/// Formula: norm = (sum over all elements of |g|^p)^(1/p), the largest |g| for p = infinity; each gradient is multiplied by
/// min(1, max_norm / (norm + 1e-6)), as in torch. Parameters without a gradient are left out; the norm of no gradient is 0.
/// Throws Error on a negative or NaN max_norm, on a norm_type that is not positive, on parameters on different devices, and,
/// when error_if_nonfinite, on a norm that is NaN or infinite; then no gradient is changed.
///
///     loss.backward();
///     nn::utils::clip_grad_norm_(model.parameters(), 1.0);
///     optimizer.step();
Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type = 2,
                       bool error_if_nonfinite = false);

/// Clamps every element of every gradient to [-clip_value, clip_value]; NaN stays NaN. Throws Error on a negative or NaN
/// clip_value.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace ebb::nn::utils
