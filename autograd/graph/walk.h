// One traversal from the results of a graph to its leaves. Internal to the engine, which documents
// the order.
#pragma once

#include <algorithm>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/graph/hooks.h"
#include "ebb/autograd/graph/node_extras.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"

namespace ebb {

namespace detail {
/// The node whose backward is running on this thread, and the number of traversals that are
/// running.
extern constinit thread_local Node* running_node;
extern constinit thread_local int walks_running;
uint64_t next_walk_id();
/// Warns once per process, on stderr, that a leaf owns a gradient whose graph owns the leaf.
void say_that_leaves_own_their_graph();
}  // namespace detail

/// One traversal of a graph. Its state in the nodes (pending gradients, queued) is cleared also if
/// it throws.
class Walk {
 public:
  Walk(bool create_graph, bool retain_graph)
      : create_graph_(create_graph), retain_graph_(retain_graph) {
    if (detail::walks_running >= kMaxNestedBackward) {
      fail("backward", detail::running_node ? describe(*detail::running_node) : std::string(),
           "backward() or grad() inside of a backward is nested ", detail::walks_running,
           " levels deep: the limit is ", kMaxNestedBackward);
    }
    ++detail::walks_running;
    heap_.swap(spare_heap);
  }
  ~Walk() {
    for (Node* node : heap_) {
      for (int i = 0; i < node->output_count(); ++i) node->output(i).pending = Tensor();
      node->queued_ = false;
      node->release();
    }
    heap_.clear();
    heap_.swap(spare_heap);
    --detail::walks_running;
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  /// Requests the gradients of these inputs only. Leaves then accumulate nothing, and nodes that do
  /// not lead to the inputs are not run. If ends is true, the traversal stops at the inputs.
  void ask_for(std::span<const Tensor> inputs, bool ends) {
    captures_ = inputs;
    results_.resize(inputs.size());
    ends_at_captures_ = ends;
  }

  void run(std::span<const Tensor> roots, std::span<const Tensor> seeds, bool unit_seed) {
    if (!captures_.empty()) mark_needed(roots);
    for (size_t i = 0; i < roots.size(); ++i) {
      add_gradient(roots[i].node(), roots[i].impl()->output_index, seeds[i]);
    }
    root_ = unit_seed && roots.size() == 1 ? roots[0].node() : nullptr;
    const GradMode mode(create_graph_);
    while (!heap_.empty()) {
      std::pop_heap(heap_.begin(), heap_.end(), shallower);
      const Ref<Node> node = Ref<Node>::adopt(heap_.back());
      heap_.pop_back();
      node->queued_ = false;
      if (node->extras_if_any()) [[unlikely]]
        process<true>(*node);
      else process<false>(*node);
    }
  }

  std::vector<Tensor> take_results() { return std::move(results_); }

  /// Adds a gradient to that of a leaf.
  void accumulate(LeafNode& leaf, const Tensor& incoming) const {
    if (!leaf.grad.defined()) {
      // The buffer becomes the gradient if no other tensor shares it; it must not change later.
      leaf.grad = create_graph_ || (incoming.is_unique() && incoming.is_contiguous())
                      ? incoming
                      : incoming.clone();
    } else if (!create_graph_ && leaf.grad.is_unique() && !leaf.grad.requires_grad()) {
      leaf.grad.add_(incoming);
    } else {
      leaf.grad = add(leaf.grad, incoming);
    }
    if (create_graph_ && leaf.grad.requires_grad()) detail::say_that_leaves_own_their_graph();
  }

 private:
  static bool shallower(const Node* a, const Node* b) { return a->depth() < b->depth(); }

  // Finds the nodes that lead to a captured input, depth-first with an explicit stack.
  void mark_needed(std::span<const Tensor> roots) {
    id_ = detail::next_walk_id();
    struct Visit {
      Node* node;
      size_t next;
    };
    std::vector<Visit> stack;
    std::vector<Node*> captured;
    for (const Tensor& input : captures_) captured.push_back(input.node());
    const auto enter = [&](Node* node) {
      if (node->mark_ == id_) return;
      node->mark_ = id_;
      node->needed_ = std::find(captured.begin(), captured.end(), node) != captured.end();
      if (!(ends_at_captures_ && node->needed_)) stack.push_back({node, 0});
    };
    for (const Tensor& root : roots) {
      enter(root.node());
      while (!stack.empty()) {
        Visit& visit = stack.back();
        const auto edges = visit.node->edges();
        if (visit.next < edges.size()) {
          Node* target = edges[visit.next++].node();
          if (target) enter(target);
          continue;
        }
        for (const Edge& edge : edges) {
          if (edge.node() && edge.node()->needed_) visit.node->needed_ = true;
        }
        stack.pop_back();
      }
    }
  }

  bool is_wanted(Node* node) const {
    return captures_.empty() || (node->mark_ == id_ && node->needed_);
  }

  // maker: the node whose backward computed the gradient, for its input `input`. Null for an
  // initial gradient.
  void add_gradient(Node* node, uint32_t index, Tensor gradient, const Node* maker = nullptr,
                    size_t input = 0) {
    if (!is_wanted(node)) return;
    Node::Output& out = node->output(static_cast<int>(index));
    const bool same = gradient.shape() == out.shape;
    if (gradient.dtype() != out.dtype || !(same || broadcasts_to(out.shape, gradient.shape())))
        [[unlikely]] {
      const std::string of =
          maker ? describe(*maker) + "backward gave for input " + std::to_string(input)
                : describe(*node) + "got";
      fail("backward", of, " a gradient of ", gradient.shape(), " ", gradient.dtype(),
           ", expected ", out.shape, " ", out.dtype);
    }
    if (!same) gradient = sum_to(gradient, out.shape);
    out.masked = false;  // the sum is masked only if all its terms are
    if (!out.pending.defined()) {
      out.pending = std::move(gradient);
    } else if (!create_graph_ && out.pending.is_unique() && out.pending.is_contiguous()) {
      out.pending.add_(gradient);
    } else {
      out.pending = add(out.pending, gradient);
    }
    if (!node->queued_) {
      node->queued_ = true;
      node->retain();
      heap_.push_back(node);
      std::push_heap(heap_.begin(), heap_.end(), shallower);
    }
  }

  // kHooks: the node may have hooks. A separate instance without hooks keeps nodes without hooks
  // fast.
  template <bool kHooks> void process(Node& node) {
    if constexpr (kHooks) run_hooks(node);
    if (!captures_.empty()) capture(node);
    if (node.is_leaf()) {
      if (captures_.empty()) gather(static_cast<LeafNode&>(node));
      return clear_pending(node);
    }
    if (!captures_.empty() && !leads_on(node)) return clear_pending(node);
    if (node.released_) {
      fail("backward", describe(node),
           "the graph was freed by an earlier backward: pass retain_graph = true to that one");
    }
    run_node<kHooks>(node);
    if (!retain_graph_) {
      node.release_saved();
      node.released_ = true;
    }
  }

  static void clear_pending(Node& node) {
    for (int i = 0; i < node.output_count(); ++i) node.output(i).pending = Tensor();
  }

  template <bool kHooks> void run_node(Node& node) {
    const auto edges = node.edges();
    Tensor inline_gradients[1], inline_results[4];
    std::vector<Tensor> many_gradients, many_results;
    std::span<Tensor> gradients(inline_gradients, 1),
        results(inline_results, std::min<size_t>(edges.size(), 4));
    if (node.output_count() > 1) {
      many_gradients.resize(static_cast<size_t>(node.output_count()));
      gradients = many_gradients;
    }
    if (edges.size() > 4) {
      many_results.resize(edges.size());
      results = many_results;
    }
    for (int i = 0; i < node.output_count(); ++i) {
      gradients[static_cast<size_t>(i)] = std::move(node.output(i).pending);
    }
    if constexpr (kHooks) {
      // Prehooks may change the initial gradient of 1.
      if (!node.extras().prehooks.empty()) root_ = nullptr;
      detail::run_prehooks(node, gradients);
    }
    BackwardContext context{create_graph_, retain_graph_, &node == root_, edges, &node};
    context.state.unseen = !kHooks && !create_graph_;
    if (!captures_.empty()) {
      context.state.unseen = false;
      for (size_t i = 0; i < edges.size() && i < 64; ++i) {
        if (edges[i].node() && !is_wanted(edges[i].node()))
          context.state.unwanted |= uint64_t{1} << i;
      }
    }
    Node* outer = std::exchange(detail::running_node, &node);
    try {
      const BackwardScope scope(node.made_at());
      node.backward(context, gradients, results);
    } catch (...) {
      detail::running_node = outer;
      throw;
    }
    detail::running_node = outer;
    if (anomaly_detection()) [[unlikely]]
      check_gradients(node, results, gradients);
    if constexpr (kHooks) detail::run_node_hooks(node, results, gradients);
    uint64_t masked = context.state.masked_results;
    for (size_t i = 0; i < edges.size(); ++i, masked >>= 1) {
      if (edges[i].node() && results[i].defined()) {
        add_gradient(edges[i].node(), edges[i].index, std::move(results[i]), &node, i);
        if (masked & 1) edges[i].node()->output(static_cast<int>(edges[i].index)).masked = true;
      }
    }
  }

  void run_hooks(Node& node) {
    Node::Extras& extras = node.extras();
    if (!extras.hooks.empty()) {
      detail::run_tensor_hooks(node);
      root_ = nullptr;  // hooks may change the initial gradient of 1
    }
    for (auto& [output, kept] : extras.kept) {
      const Tensor& gradient = node.output(output).pending;
      if (!gradient.defined() || !captures_.empty()) continue;
      kept = kept.defined() ? add(kept, gradient) : gradient;
    }
  }

  // Returns true if running the node contributes to a requested gradient.
  bool leads_on(const Node& node) const {
    const auto edges = node.edges();
    return std::any_of(edges.begin(), edges.end(),
                       [&](const Edge& e) { return e.node() && is_wanted(e.node()); });
  }

  void capture(Node& node) {
    for (size_t i = 0; i < captures_.size(); ++i) {
      if (captures_[i].node() != &node) continue;
      results_[i] = node.output(static_cast<int>(captures_[i].impl()->output_index)).pending;
    }
  }

  void gather(LeafNode& leaf) {
    const Tensor incoming = std::move(leaf.output(0).pending);
    if (incoming.defined()) accumulate(leaf, incoming);
  }

  static thread_local std::vector<Node*> spare_heap;

  bool create_graph_;
  bool retain_graph_;
  bool ends_at_captures_ = false;
  uint64_t id_ = 0;
  Node* root_ = nullptr;
  std::vector<Node*> heap_;  // owned references
  std::span<const Tensor> captures_;
  std::vector<Tensor> results_;
};

}  // namespace ebb
