#include "ebb/autograd/graph/engine.h"

#include <algorithm>
#include <atomic>

#include "ebb/autograd/graph/hooks.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

constinit thread_local Node* running_node = nullptr;

uint64_t next_walk_id() {
  static std::atomic<uint64_t> counter{0};
  return ++counter;
}

bool shallower(const Node* a, const Node* b) { return a->depth() < b->depth(); }

}  // namespace

/// One walk through a graph. Its state in the nodes (pending gradients, queued) is cleared however it ends.
class Walk {
 public:
  Walk(bool create_graph, bool retain_graph)
      : create_graph_(create_graph), retain_graph_(retain_graph) {
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
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  /// Only these inputs are asked for: leaves do not gather, and nodes that do not lead to them are not run.
  /// ends: the walk does not look beyond them.
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

 private:
  // Finds the nodes that lead to a captured input: depth-first with a stack of its own.
  void mark_needed(std::span<const Tensor> roots) {
    id_ = next_walk_id();
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

  // maker: whose backward made it, as the gradient of its input; null for a seed.
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
    out.masked = false;  // one that is not masked makes a sum that is not
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

  // kHooks: there may be some. What is compiled without them costs nodes that have none nothing.
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
           "the graph was freed by an earlier backward: pass retain_graph = true to that one to "
           "walk it twice");
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
      if (!node.extras().prehooks.empty())
        root_ = nullptr;  // they may make the seed another than 1
      detail::run_prehooks(node, gradients);
    }
    BackwardContext context{create_graph_, retain_graph_, &node == root_, edges, &node};
    context.unseen = !kHooks && !create_graph_;
    if (!captures_.empty()) {
      context.unseen = false;
      for (size_t i = 0; i < edges.size() && i < 64; ++i) {
        if (edges[i].node() && !is_wanted(edges[i].node())) context.unwanted |= uint64_t{1} << i;
      }
    }
    Node* outer = std::exchange(running_node, &node);
    try {
      const BackwardScope scope(node.made_at());
      node.backward(context, gradients, results);
    } catch (...) {
      running_node = outer;
      throw;
    }
    running_node = outer;
    if (anomaly_detection()) [[unlikely]]
      check_gradients(node, results, gradients);
    if constexpr (kHooks) detail::run_node_hooks(node, results, gradients);
    uint64_t masked = context.masked_results;
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
      root_ = nullptr;  // they may make the seed another than 1
    }
    for (auto& [output, kept] : extras.kept) {
      const Tensor& gradient = node.output(output).pending;
      if (!gradient.defined() || !captures_.empty()) continue;
      kept = kept.defined() ? add(kept, gradient) : gradient;
    }
  }

  // True when running the node brings a gradient to something that was asked for.
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
    Tensor& incoming = leaf.output(0).pending;
    if (!incoming.defined()) return;
    if (!leaf.grad.defined()) {
      // The buffer becomes the gradient when nobody else sees it; it must not change under somebody's eyes later.
      leaf.grad = create_graph_ || (incoming.is_unique() && incoming.is_contiguous())
                      ? incoming
                      : incoming.clone();
    } else if (!create_graph_ && leaf.grad.is_unique() && !leaf.grad.requires_grad()) {
      leaf.grad.add_(incoming);
    } else {
      leaf.grad = add(leaf.grad, incoming);
    }
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

thread_local std::vector<Node*> Walk::spare_heap;

namespace {

void check_root(std::string_view op, const Tensor& output) {
  check_defined(op, output);
  if (!grad_enabled())
    fail(op, "called inside no_grad on the output ", output, ": end the guard's scope before it");
  if (!output.requires_grad()) {
    fail(
        op, "the output ", output,
        " does not require grad: no graph was recorded (under no_grad, or no input requires grad)");
  }
}

// True if the initial gradient of a backward from this output is not read.
bool ignores_seed(const Tensor& output, bool retain_graph) {
  const Node& root = *output.node();
  return !retain_graph && !root.extras_if_any() && root.ignores_unit_seed() && !anomaly_detection();
}

// The upstream of one output: the one given, checked, or a cached 1. unread: its value does not matter.
Tensor seed_for(std::string_view op, const Tensor& output, const Tensor& given,
                bool unread = false) {
  if (given.defined()) {
    if (!(given.shape() == output.shape()) || given.dtype() != output.dtype() ||
        given.device() != output.device()) {
      fail(op, "gradient ", given, " does not match output ", output);
    }
    return given;
  }
  if (output.numel() != 1) {
    fail(op, "output of shape ", output.shape(), " is not a scalar: pass a gradient of its shape");
  }
  thread_local Tensor ones_cache[2];
  if (output.dim() == 0 && output.device() == Device::cpu()) {
    // A walk may have handed it out as somebody's gradient, who may keep and change it: then it is theirs.
    Tensor& one = ones_cache[output.dtype() == DType::F64];
    if (!one.defined() || !one.is_unique() || one.version() != 0)
      one = scalar(1, {.dtype = output.dtype()});
    return one;
  }
  if (unread) return empty(output.shape(), {.dtype = output.dtype(), .device = output.device()});
  return ones_like(output);
}

std::vector<Tensor> seeds_for(std::string_view op, std::span<const Tensor> outputs,
                              std::span<const Tensor> given) {
  if (outputs.empty()) fail(op, "expected at least one output");
  if (!given.empty() && given.size() != outputs.size()) {
    fail(op, "got ", given.size(), " gradients for ", outputs.size(), " outputs");
  }
  std::vector<Tensor> seeds;
  for (size_t i = 0; i < outputs.size(); ++i) {
    check_root(op, outputs[i]);
    seeds.push_back(seed_for(op, outputs[i], given.empty() ? Tensor() : given[i]));
  }
  return seeds;
}

}  // namespace

Node* detail::current_node() { return running_node; }

void backward(std::span<const Tensor> outputs, std::span<const Tensor> gradients, bool retain,
              bool create_graph) {
  const std::vector<Tensor> seeds = seeds_for("backward", outputs, gradients);
  Walk walk(create_graph, retain || create_graph);
  walk.run(outputs, seeds, gradients.empty());
}

void Tensor::backward(const Tensor& gradient, bool retain_graph, bool create_graph) const {
  check_root("backward", *this);
  const bool retains = retain_graph || create_graph;
  const bool unread =
      !gradient.defined() && device() != Device::cpu() && ignores_seed(*this, retains);
  const Tensor seed = seed_for("backward", *this, gradient, unread);
  Walk walk(create_graph, retains);
  walk.run({this, 1}, {&seed, 1}, !gradient.defined());
}

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         GradOptions options) {
  const std::vector<Tensor> seeds = seeds_for("grad", outputs, options.grad_outputs);
  for (const Tensor& input : inputs) {
    check_defined("grad", input);
    if (!input.requires_grad()) fail("grad", "input ", input, " does not require grad");
  }
  if (inputs.empty()) return {};
  Walk walk(options.create_graph, options.retain_graph || options.create_graph);
  walk.ask_for(inputs, false);
  walk.run(outputs, seeds, false);
  std::vector<Tensor> results = walk.take_results();
  for (size_t i = 0; i < results.size(); ++i) {
    if (!results[i].defined() && !options.allow_unused) {
      fail("grad", "input ", i, " ", inputs[i],
           " has no influence on the outputs: pass allow_unused = true if that is meant");
    }
  }
  return results;
}

std::vector<Tensor> grad(const Tensor& output, std::initializer_list<Tensor> inputs,
                         GradOptions options) {
  return grad(std::span(&output, 1), std::span(inputs.begin(), inputs.size()), std::move(options));
}

Tensor grad(const Tensor& output, const Tensor& input, GradOptions options) {
  return grad(std::span(&output, 1), std::span(&input, 1), std::move(options))[0];
}

std::vector<Tensor> detail::inner_grad(std::span<const Tensor> outputs,
                                       std::span<const Tensor> grad_outputs,
                                       std::span<const Tensor> inputs) {
  Walk walk(true, true);
  walk.ask_for(inputs, true);
  walk.run(outputs, grad_outputs, false);
  return walk.take_results();
}

}  // namespace ebb
