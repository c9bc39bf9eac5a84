#include "ebb/autograd/graph/hooks.h"

#include "ebb/autograd/graph/node_extras.h"
#include "ebb/autograd/ops/reduce.h"

namespace ebb {
namespace {

// A hook is owned by its list. Its handle has a weak reference and clears the hook.
template <class F> std::shared_ptr<F> shared(F hook, HookHandle& handle) {
  auto entry = std::make_shared<F>(std::move(hook));
  handle = HookHandle([weak = std::weak_ptr<F>(entry)] {
    if (const auto f = weak.lock()) *f = nullptr;
  });
  return entry;
}

template <class F>
HookHandle enter(const Node& node, std::vector<std::shared_ptr<F>>& list, F hook) {
  if (node.is_leaf()) {
    fail("register_hook", describe(node),
         "the node of a leaf has no backward: use the tensor's register_hook");
  }
  std::erase_if(list, [](const auto& entry) { return !*entry; });
  HookHandle handle;
  list.push_back(shared(std::move(hook), handle));
  return handle;
}

bool fits(const Tensor& gradient, const Node::Output& output) {
  return gradient.shape() == output.shape && gradient.dtype() == output.dtype;
}

// Returns the output whose gradient is that of input i, or null if it needs no gradient.
const Node::Output* source_of(const Node& node, size_t i) {
  const Edge& edge = node.edges()[i];
  return edge.node() ? &edge.node()->output(static_cast<int>(edge.index)) : nullptr;
}

// Replaces gradients by those that a hook returned. like(i) has the shape and dtype that gradient i
// must have.
template <class Like>
void replace(const Node& node, const char* what, std::span<Tensor> gradients,
             std::vector<Tensor> returned, Like like) {
  if (returned.empty()) return;
  if (returned.size() != gradients.size()) {
    fail("backward", describe(node), "a hook returned ", returned.size(), " gradients for ",
         gradients.size(), " ", what, "s");
  }
  for (size_t i = 0; i < gradients.size(); ++i) {
    if (!returned[i].defined()) continue;
    const Node::Output* want = like(i);
    if (!want)
      fail("backward", describe(node), "a hook gave a gradient to ", what, " ", i,
           ", which wants none");
    if (!fits(returned[i], *want)) {
      fail("backward", describe(node), "a hook replaced the gradient of ", what, " ", i, ", ",
           want->shape, " ", want->dtype, ", by ", returned[i]);
    }
    gradients[i] = std::move(returned[i]);
  }
}

}  // namespace

// Lists and hooks are copied before they run: a hook may register others, and remove itself.

void detail::run_tensor_hooks(Node& node) {
  const auto list = node.extras().hooks;
  for (const auto& [output, entry] : list) {
    Tensor& gradient = node.output(output).pending;
    const Hook hook = *entry;
    if (!hook || !gradient.defined()) continue;
    Tensor replaced = hook(gradient);
    if (!replaced.defined()) continue;
    if (!fits(replaced, node.output(output))) {
      fail("backward", describe(node), "a hook replaced the gradient ", gradient, " by ", replaced);
    }
    gradient = std::move(replaced);
  }
}

void detail::run_prehooks(const Node& node, std::span<Tensor> gradients) {
  const auto list = node.extras_if_any()->prehooks;
  for (const auto& entry : list) {
    const NodePreHook hook = *entry;
    if (!hook) continue;
    replace(node, "output", gradients, hook(gradients),
            [&](size_t i) { return &node.output(static_cast<int>(i)); });
  }
}

void detail::run_node_hooks(const Node& node, std::span<Tensor> results,
                            std::span<const Tensor> gradients) {
  const auto list = node.extras_if_any()->node_hooks;
  if (list.empty()) return;
  for (size_t i = 0; i < results.size();
       ++i) {  // backward may leave them in the shape of a broadcast
    const Node::Output* like = source_of(node, i);
    if (like && results[i].defined()) results[i] = sum_to(results[i], like->shape);
  }
  for (const auto& entry : list) {
    const NodeHook hook = *entry;
    if (!hook) continue;
    replace(node, "input", results, hook(results, gradients),
            [&](size_t i) { return source_of(node, i); });
  }
}

HookHandle Node::register_prehook(NodePreHook hook) {
  return enter(*this, extras().prehooks, std::move(hook));
}

HookHandle Node::register_hook(NodeHook hook) {
  return enter(*this, extras().node_hooks, std::move(hook));
}

HookHandle Tensor::add_hook(std::function<Tensor(const Tensor&)> hook) const {
  check_defined("register_hook", *this);
  if (!requires_grad()) fail("register_hook", *this, " does not require grad");
  auto& list = node()->extras().hooks;
  std::erase_if(list, [](const auto& of_output) { return !*of_output.hook; });
  HookHandle handle;
  list.push_back({static_cast<int>(impl_->output_index), shared(std::move(hook), handle)});
  return handle;
}

}  // namespace ebb
