#include "ebb/autograd/anomaly.h"

#include <cmath>

#include "ebb/autograd/node.h"

namespace ebb {

constinit thread_local bool detail::anomaly_on = false;

namespace {

thread_local std::source_location last_location;
thread_local bool has_location = false;
constinit thread_local int composite_depth = 0;

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

std::string location_text() {
  if (!has_location) return "";
  return std::string(" at ") + last_location.file_name() + ":" + std::to_string(last_location.line());
}

}  // namespace

void detail::note_location(const std::source_location& where) {
  if (composite_depth > 0) return;
  last_location = where;
  has_location = true;
}

CompositeScope::CompositeScope() { ++composite_depth; }
CompositeScope::~CompositeScope() { --composite_depth; }

void BackwardScope::enter(const Node& node) {
  before_ = last_location;
  had_location_ = has_location;
  ++composite_depth;
  const Node::Extras* extras = node.extras_if_any();
  has_location = extras && extras->has_location;
  if (has_location) last_location = extras->made_at;
}
void BackwardScope::leave() {
  --composite_depth;
  last_location = before_;
  has_location = had_location_;
}

void note_result(std::string_view op, Node* node, const Tensor& result, std::span<const Tensor* const> inputs) {
  if (node && has_location) {
    node->extras().made_at = last_location;
    node->extras().has_location = true;
  }
  if (range_of(result).finite) return;
  std::string text;
  for (const Tensor* input : inputs) {
    const Range range = range_of(*input);
    if (!range.finite) return;  // it came in; the op that made it has been named, or it is the user's data
    text += (text.empty() ? "" : ", ") + to_text(input->shape()) + " in [" + to_text(range.low) + ", " +
            to_text(range.high) + "]";
  }
  fail(op, "made the first NaN or infinity", location_text(), " from inputs ", text);
}

void check_gradients(const Node& node, std::span<const Tensor> gradients) {
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!gradients[i].defined() || range_of(gradients[i]).finite) continue;
    fail("backward", describe(node), "the gradient of input ", i, ", ", gradients[i].shape(),
         ", has a NaN or infinity");
  }
}

}  // namespace ebb
