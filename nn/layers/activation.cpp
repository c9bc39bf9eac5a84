#include "ebb/nn/layers/activation.h"

namespace ebb::nn {

PReLU::PReLU(PReLUOptions options) {
  if (options.num_parameters < 1)
    fail("PReLU", "expected num_parameters >= 1, got ", options.num_parameters);
  weight = add_parameter("weight",
                         full({options.num_parameters}, options.init, {.dtype = options.dtype}));
}

Tensor Softmax2d::forward(const Tensor& x) const {
  check_defined("Softmax2d", x);
  if (x.dim() != 3 && x.dim() != 4)
    fail("Softmax2d", "expected input (C, H, W) or (N, C, H, W), got ", x.shape());
  return softmax(x, -3);
}

}  // namespace ebb::nn
