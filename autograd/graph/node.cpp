// The descriptions of nodes in errors, and the tensors that nodes keep.
#include "ebb/autograd/graph/node.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/graph/node_extras.h"
#include "ebb/autograd/graph/saved.h"

namespace ebb {

Saved Saved::output(const Tensor& tensor, int index) {
  Saved saved(make_view(tensor, tensor.shape(), tensor.strides()));
  saved.output_index_ = index;
  return saved;
}

Tensor Saved::get() const {
  if (!tensor_.defined()) return tensor_;
  Node* running = detail::current_node();
  if (tensor_.version() != version_) {
    fail("backward", running ? describe(*running) : std::string(), "tensor ", tensor_,
         " was changed in place after it was saved (version ", tensor_.version(), ", saved at ",
         version_, ")");
  }
  if (output_index_ < 0 || !grad_enabled() || !running) return tensor_;
  Tensor linked = make_view(tensor_, tensor_.shape(), tensor_.strides());
  linked.impl()->node = Ref<GraphNode>::share(running);
  linked.impl()->output_index = static_cast<uint32_t>(output_index_);
  return linked;
}

Node::Extras& Node::extras() {
  if (!extras_) extras_.reset(new Extras);
  return *extras_;
}
void Node::DeleteExtras::operator()(Extras* extras) const { delete extras; }

Tensor detail::relu_mask_of(const BackwardContext& context, int i) {
  const Node* maker = context.state.unseen ? context.edges[static_cast<size_t>(i)].node() : nullptr;
  return maker && !maker->extras_if_any() ? maker->relu_mask() : Tensor();
}

void detail::mark_masked(const BackwardContext& context, int i) {
  const Edge& edge = context.edges[static_cast<size_t>(i)];
  const Node::Output& so_far = edge.node()->output(static_cast<int>(edge.index));
  if (so_far.masked || !so_far.pending.defined()) {
    context.state.masked_results |= uint64_t{1} << i;
  }
}

bool detail::is_masked(const BackwardContext& context) { return context.node->output(0).masked; }

std::string describe(const Node& node) {
  std::string text(node.name());
  for (int i = 0; i < node.output_count(); ++i) {
    text += (i ? ", " : " ") + to_text(node.output(i).shape) + " " + to_text(node.output(i).dtype);
  }
  if (const std::source_location& at = node.made_at(); at.line() != 0) {
    text += " (made at " + std::string(at.file_name()) + ":" + std::to_string(at.line()) + ")";
  }
  return text + ": ";
}

void fail_without_derivative(const Node& node) {
  fail("backward", describe(node),
       "this op has no derivative: detach() its input if no gradient is meant to pass");
}

}  // namespace ebb
