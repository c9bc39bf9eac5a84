// Node: one recorded op, with edges to the nodes that created its inputs.
//
// Ownership: a tensor owns the node that created it, and a node owns the nodes of its inputs (edges
// point from results to inputs). A graph therefore lives as long as one of its results, and has no
// cycles, with one exception: after backward() with create_graph, the node of a leaf owns its
// gradient, whose graph owns the leaf (GradOptions::create_graph). Thread-safety: one thread at a
// time may build or traverse a graph.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <span>
#include <string_view>
#include <vector>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/autograd/graph/relu_masks.h"
#include "ebb/core/memory.h"
#include "ebb/core/tensor.h"

namespace ebb {

class Node;

/// Refers to an output of the node that created an input. Empty if the input needs no gradient.
struct Edge {
  Ref<GraphNode> target;
  uint32_t index = 0;

  Node* node() const;
};

/// The arguments of a node's backward in addition to the gradients.
struct BackwardContext {
  bool create_graph = false;
  bool retain_graph = false;
  /// True if the upstream gradient is known to be 1, because this node is the root of backward().
  bool unit_seed = false;
  std::span<const Edge> edges;
  const Node* node = nullptr;  ///< the node whose backward runs
  detail::TraversalState state = {};

  /// Returns true if the gradient of input i is needed. Computing others is allowed, but useless.
  bool needs(int i) const {
    return static_cast<bool>(edges[static_cast<size_t>(i)].target) &&
           !(i < 64 && (state.unwanted >> i & 1));
  }
};

using Hook = std::function<Tensor(const Tensor&)>;
using NodePreHook = std::function<std::vector<Tensor>(std::span<const Tensor> outputs)>;
using NodeHook = std::function<std::vector<Tensor>(std::span<const Tensor> inputs,
                                                   std::span<const Tensor> outputs)>;

class Node : public GraphNode {
 public:
  /// REQUIRES outputs >= 1.
  explicit Node(int outputs) : output_count_(static_cast<uint32_t>(outputs)) {
    if (outputs > 1) more_outputs_ = std::make_unique<Output[]>(static_cast<size_t>(outputs));
  }
  ~Node() override = default;

  static void* operator new(size_t bytes) { return memory::allocate(bytes); }
  static void operator delete(void* block, size_t bytes) { memory::deallocate(block, bytes); }

  /// Returns the name of the op: "mul", "softmax".
  virtual std::string_view name() const = 0;
  /// Computes the gradients of the inputs.
  ///
  /// gradients: one per output; an undefined gradient is zero. results: one per input, all
  /// undefined at first; those that stay undefined are zero. A result may have the shape that its
  /// input was broadcast to.
  virtual void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                        std::span<Tensor> results) = 0;
  /// Frees what was saved for backward.
  virtual void release_saved() {}
  /// Returns the number of bytes that the node keeps alive for backward.
  virtual int64_t saved_bytes() const { return 0; }
  virtual bool is_leaf() const { return false; }
  /// Returns the mask that the product of this op left, if the op ends with ReLU: see relu_masks.h.
  /// Else undefined.
  virtual Tensor relu_mask() const { return {}; }
  /// Returns true if backward does not read its upstream gradient when it is called with unit_seed
  /// and without retain_graph. This saves a kernel on an accelerator.
  virtual bool ignores_unit_seed() const { return false; }

  // ---- the graph around it ----
  std::span<const Edge> edges() const {
    return {edge_count_ > kInlineEdges ? more_edges_.get() : edges_, edge_count_};
  }
  /// Returns 1 + the depth of the deepest input, so consumers are deeper than their inputs.
  uint32_t depth() const { return depth_; }
  int output_count() const { return static_cast<int>(output_count_); }
  /// Returns the source location of the call of the op. Its line() is 0 if it is not known.
  const std::source_location& made_at() const { return made_at_; }
  /// Returns true if an earlier backward has freed what the node saved.
  bool is_released() const { return released_; }

  void reserve_edges(uint32_t count) {
    edge_count_ = count;
    if (count > kInlineEdges) more_edges_ = std::make_unique<Edge[]>(count);
  }
  void set_edge(uint32_t i, const Tensor& input) {
    if (!input.defined() || !input.impl()->node) return;
    Edge& edge = (edge_count_ > kInlineEdges ? more_edges_.get() : edges_)[i];
    edge.target = input.impl()->node;
    edge.index = input.impl()->output_index;
    depth_ = std::max(depth_, static_cast<Node*>(edge.target.get())->depth_ + 1);
  }

  /// Notes the shape and dtype of output `index`.
  void note_output(const Tensor& tensor, int index) {
    Output& out = output(index);
    out.shape = tensor.shape();
    out.dtype = tensor.dtype();
  }
  /// Makes `tensor` output `index` of this node. REQUIRES that the caller has the only handle of
  /// the tensor.
  void attach(const Tensor& tensor, int index = 0) {
    note_output(tensor, index);
    tensor.impl()->node = Ref<GraphNode>::share(this);
    tensor.impl()->output_index = static_cast<uint32_t>(index);
  }

  // ---- hooks ----
  /// Registers a function that is called before backward with the gradients of the outputs.
  ///
  /// An undefined gradient is zero. The defined gradients of the list that it returns replace them;
  /// an empty list replaces none. Under create_graph its computations are recorded. Throws Error
  /// for the node of a leaf, which has no backward. Backward throws Error if a gradient does not
  /// fit.
  HookHandle register_prehook(NodePreHook hook);
  /// Registers a function that is called after backward with the gradients of the inputs, which it
  /// may replace in the same way, and those of the outputs.
  HookHandle register_hook(NodeHook hook);

  // ---- for the engine ----
  /// The shape and dtype of one output, and the sum of the gradients that have arrived for it.
  struct Output {
    Tensor pending;
    Shape shape;
    DType dtype = DType::F32;
    bool masked = false;  ///< all terms of `pending` have been masked, see relu_masks.h
  };
  Output& output(int i) {
    return output_count_ > 1 ? more_outputs_[static_cast<size_t>(i)] : output_;
  }
  const Output& output(int i) const {
    return output_count_ > 1 ? more_outputs_[static_cast<size_t>(i)] : output_;
  }

  /// Hooks and kept gradients, which are created on demand: node_extras.h.
  struct Extras;
  Extras& extras();
  Extras* extras_if_any() const { return extras_.get(); }

 private:
  friend class Walk;
  static constexpr uint32_t kInlineEdges = 3;

  uint32_t depth_ = 0;
  uint32_t edge_count_ = 0;
  uint32_t output_count_;
  bool queued_ = false;    // is in the heap of a traversal
  bool released_ = false;  // a traversal has used and freed it
  // Leads to an input whose gradient grad() computes. Valid while mark_ is the id of the traversal.
  bool needed_ = false;
  uint64_t mark_ = 0;  // the id of the last traversal that visited the node
  std::source_location made_at_ = detail::call_site;
  Edge edges_[kInlineEdges];
  Output output_;
  std::unique_ptr<Edge[]> more_edges_;
  std::unique_ptr<Output[]> more_outputs_;
  struct DeleteExtras {
    void operator()(Extras* extras) const;
  };
  std::unique_ptr<Extras, DeleteExtras> extras_;
};

inline Node* Edge::node() const { return static_cast<Node*>(target.get()); }
inline Node* Tensor::node() const { return static_cast<Node*>(body("node").node.get()); }

/// The node of a leaf, which accumulates its gradient. It has no reference to the elements of the
/// leaf.
class LeafNode final : public Node {
 public:
  LeafNode() : Node(1) {}
  std::string_view name() const override { return "leaf"; }
  void backward(const BackwardContext&, std::span<const Tensor>, std::span<Tensor>) override {}
  bool is_leaf() const override { return true; }

  Tensor grad;
};

/// Returns the description of a node in errors: "mul (2, 3) f32 (made at file.cpp:12): ".
std::string describe(const Node& node);
/// Throws the Error of the backward of an op without a derivative.
[[noreturn]] void fail_without_derivative(const Node& node);

}  // namespace ebb
