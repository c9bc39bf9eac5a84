// Clips gradients between backward() and the step() of an optimizer: torch.nn.utils.clip_grad_norm_
// and clip_grad_value_.
#pragma once

#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn::utils {

/// Scales all gradients by one factor, so that their total norm is at most max_norm. Returns the
/// norm before scaling: a 0-d f64 tensor on the device of the parameters. It does not wait for the
/// device, unless error_if_nonfinite is true.
///
/// norm = (sum over all elements of |g|^p)^(1/p), or the largest |g| for p = infinity. Each
/// gradient is multiplied by min(1, max_norm / (norm + 1e-6)), as in torch. Parameters without a
/// gradient are skipped. Without gradients the norm is 0. Throws Error if max_norm is negative or
/// NaN, if norm_type is not positive, if parameters are on different devices, and, with
/// error_if_nonfinite, if the norm is NaN or infinite. If it throws, no gradient has changed.
///
///     loss.backward();
///     nn::utils::clip_grad_norm_(model.parameters(), 1.0);
///     optimizer.step();
Tensor clip_grad_norm_(const std::vector<Tensor>& parameters, double max_norm, double norm_type = 2,
                       bool error_if_nonfinite = false);

/// Clamps every element of every gradient to [-clip_value, clip_value]. NaN stays NaN. Throws Error
/// if clip_value is negative or NaN.
void clip_grad_value_(const std::vector<Tensor>& parameters, double clip_value);

}  // namespace ebb::nn::utils
