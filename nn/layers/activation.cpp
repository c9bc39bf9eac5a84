#include "ebb/nn/layers/activation.h"

#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

using detail::options_text;
using detail::Repr;

PReLU::PReLU(PReLUOptions options) {
  if (options.num_parameters < 1)
    fail("PReLU", "expected num_parameters >= 1, got ", options.num_parameters);
  weight = add_parameter("weight",
                         full({options.num_parameters}, options.init, {.dtype = options.dtype}));
}

Tensor Unflatten::forward(const Tensor& x) const {
  check_defined("Unflatten", x);
  const int dim = normalize_dim("Unflatten", dim_, x.dim());
  int64_t known = 1, open = 0;
  for (int64_t n : sizes_) {
    if (n == -1) ++open;
    else known *= n < 0 ? 0 : n;
  }
  const int64_t size = x.dim() == 0 ? 1 : x.shape()[dim];
  if (x.dim() == 0 || sizes_.empty() || open > 1 ||
      (open == 0 ? known != size : known == 0 || size % known != 0)) {
    fail("Unflatten", "expected sizes with the product of dim ", dim, " of ", x.shape(), ", got ",
         sizes_);
  }
  Shape shape;
  for (int i = 0; i < x.dim(); ++i) {
    if (i != dim) shape.push_back(x.shape()[i]);
    if (i != dim) continue;
    for (int64_t n : sizes_) shape.push_back(n == -1 ? size / known : n);
  }
  return reshape(x, shape);
}

std::string LeakyReLU::extra_repr() const {
  return options_text({{"negative_slope", negative_slope_}});
}
std::string ELU::extra_repr() const { return options_text({{"alpha", alpha_}}); }
std::string Softplus::extra_repr() const {
  return options_text({{"beta", beta_}, {"threshold", threshold_}});
}
std::string GELU::extra_repr() const {
  return options_text({{"approximate", approximate_ == GeluApproximate::Tanh ? "tanh" : "none"}});
}
std::string Hardtanh::extra_repr() const {
  return options_text({{"min_val", min_val_}, {"max_val", max_val_}});
}
std::string CELU::extra_repr() const { return options_text({{"alpha", alpha_}}); }
std::string Hardshrink::extra_repr() const { return Repr(lambd_).text(); }
std::string Softshrink::extra_repr() const { return Repr(lambd_).text(); }
std::string Threshold::extra_repr() const {
  return options_text({{"threshold", threshold_}, {"value", value_}});
}
std::string PReLU::extra_repr() const { return options_text({{"num_parameters", weight.size(0)}}); }
std::string GLU::extra_repr() const { return options_text({{"dim", dim_}}); }
std::string Softmax::extra_repr() const { return options_text({{"dim", dim_}}); }
std::string LogSoftmax::extra_repr() const { return options_text({{"dim", dim_}}); }
std::string Softmin::extra_repr() const { return options_text({{"dim", dim_}}); }
std::string Flatten::extra_repr() const {
  return options_text({{"start_dim", first_}, {"end_dim", last_}});
}
// A tuple also of one size.
std::string Unflatten::extra_repr() const {
  return options_text({{"dim", dim_}}) + ", unflattened_size=" + to_text(sizes_);
}

Tensor Softmax2d::forward(const Tensor& x) const {
  check_defined("Softmax2d", x);
  if (x.dim() != 3 && x.dim() != 4)
    fail("Softmax2d", "expected input (C, H, W) or (N, C, H, W), got ", x.shape());
  return softmax(x, -3);
}

}  // namespace ebb::nn
