#include "ebb/autograd/inspect/anomaly.h"

#include <cmath>

#include "ebb/autograd/graph/node.h"

namespace ebb {
namespace {

struct Range {
  double low = INFINITY, high = -INFINITY;
  bool finite = true;
};

Range range_of(const Tensor& tensor) {
  Range range;
  if (!tensor.defined() || !is_floating(tensor.dtype())) return range;
  for (double v : tensor.to_vector<double>()) {
    if (!std::isfinite(v)) range.finite = false;
    range.low = std::fmin(range.low, v);
    range.high = std::fmax(range.high, v);
  }
  return range;
}

std::string range_text(const Tensor& tensor, const Range& range) {
  return to_text(tensor.shape()) + " in [" + to_text(range.low) + ", " + to_text(range.high) + "]";
}

std::string place_text() {
  const std::source_location& at = detail::call_site;
  return at.line() ? std::string(" at ") + at.file_name() + ":" + std::to_string(at.line())
                   : std::string();
}

}  // namespace

void detail::check_result(std::string_view op, const Tensor& result,
                          std::span<const Tensor* const> inputs) {
  if (range_of(result).finite) return;
  std::string text;
  for (const Tensor* input : inputs) {
    const Range range = range_of(*input);
    // If an input is not finite, the op at fault has been reported, or the input is user data.
    if (!range.finite) return;
    text += (text.empty() ? "" : ", ") + range_text(*input, range);
  }
  fail(op, "made the first NaN or infinity", place_text(), " from inputs ", text);
}

void check_gradients(const Node& node, std::span<const Tensor> results,
                     std::span<const Tensor> gradients) {
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].defined() || range_of(results[i]).finite) continue;
    std::string text;
    for (const Tensor& g : gradients) {
      if (g.defined()) text += (text.empty() ? "" : ", ") + range_text(g, range_of(g));
    }
    fail("backward", describe(node), "the gradient of input ", i, ", ", results[i].shape(),
         ", has a NaN or infinity, made from gradients ", text);
  }
}

}  // namespace ebb
