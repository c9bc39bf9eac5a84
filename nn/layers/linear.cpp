#include "ebb/nn/layers/linear.h"

#include <cmath>

#include "ebb/core/random.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

Linear::Linear(int64_t in_features, int64_t out_features, LinearOptions options) {
  if (in_features < 1 || out_features < 1) {
    fail("Linear", "expected at least 1 feature on both sides, got ", in_features, " in and ",
         out_features, " out");
  }
  const double bound = 1 / std::sqrt(static_cast<double>(in_features));
  Tensor w = empty({out_features, in_features}, {.dtype = options.dtype});
  uniform_(w, -bound, bound);
  weight = add_parameter("weight", w);
  if (!options.bias) return;
  Tensor b = empty({out_features}, {.dtype = options.dtype});
  uniform_(b, -bound, bound);
  bias = add_parameter("bias", b);
}

std::string Linear::extra_repr() const {
  return detail::options_text({{"in_features", weight.size(1)},
                               {"out_features", weight.size(0)},
                               {"bias", bias.defined()}});
}

}  // namespace ebb::nn
