// Node: one recorded op, with edges to the nodes that made its inputs.
//
// Ownership: a tensor owns the node that made it, a node owns the nodes of its inputs (edges point from results to
// inputs), so a graph lives as long as a result of it. The graph itself has no cycles. There is one way to make one: after
// backward() with create_graph a leaf's node owns its gradient, whose graph owns the leaf (GradOptions::create_graph).
// Thread-safety: a graph is built and walked by one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <span>
#include <string_view>
#include <vector>

#include "ebb/autograd/graph/call_site.h"
#include "ebb/core/memory.h"
#include "ebb/core/tensor.h"

namespace ebb {

class Node;

/// Points to an output of the node that made an input; empty when that input wants no gradient.
struct Edge {
  Ref<GraphNode> target;
  uint32_t index = 0;

  Node* node() const;
};

/// How the walk that calls backward goes on, which inputs want a gradient, and what is known of gradients on the way.
struct BackwardContext {
  bool create_graph = false;
  bool retain_graph = false;
  bool unit_seed =
      false;  ///< the upstream is known to be 1 without looking: this node is the root of backward()
  std::span<const Edge> edges;
  const Node* node = nullptr;  ///< whose backward it is
  uint64_t unwanted =
      0;  ///< bit i: input i leads to nothing that was asked for (inputs above 63 are wanted)
  bool unseen =
      false;  ///< true if the gradients between this node and its inputs are not observed (no hooks)
  mutable uint64_t masked_results =
      0;  ///< bit i: input i's gradient stays masked with the one that mark_masked told of

  /// True when input i wants a gradient. Computing others is allowed, and wasted.
  bool needs(int i) const {
    return static_cast<bool>(edges[static_cast<size_t>(i)].target) &&
           !(i < 64 && (unwanted >> i & 1));
  }
  /// Where input i came out of a ReLU that its op ended with, and only that op will see the gradient made for it: the
  /// mask by which a product may set that gradient to 0 in passing, and then says so. Else undefined. REQUIRES i < 64.
  Tensor relu_mask(int i) const;
  void mark_masked(int i) const;
  /// True when the gradient that came is 0 already where the op's ReLU gave 0: all that adds up to it was marked.
  bool is_masked() const;
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

  /// The op's name: "mul", "softmax".
  virtual std::string_view name() const = 0;
  /// Writes the gradients of the inputs. gradients: one an output; undefined means zero. results: one an input, all
  /// undefined at first; what stays undefined is zero. A result may have the shape that its input was broadcast to.
  virtual void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                        std::span<Tensor> results) = 0;
  /// Forgets what was saved for backward.
  virtual void release_saved() {}
  /// Bytes that it keeps alive for backward.
  virtual int64_t saved_bytes() const { return 0; }
  virtual bool is_leaf() const { return false; }
  /// Where the op ends with a ReLU: the mask that its product left (MatmulArgs::relu_mask); else undefined.
  virtual Tensor relu_mask() const { return {}; }
  /// True if backward does not read the gradient that it is given, when called with unit_seed and
  /// without retain_graph. Saves a kernel on an accelerator.
  virtual bool ignores_unit_seed() const { return false; }

  // ---- the graph around it ----
  std::span<const Edge> edges() const {
    return {edge_count_ > kInlineEdges ? more_edges_.get() : edges_, edge_count_};
  }
  /// 1 + the depth of the deepest input: consumers are always deeper than what they consume.
  uint32_t depth() const { return depth_; }
  int output_count() const { return static_cast<int>(output_count_); }
  /// The line that called the op; its line() is 0 when that is not known.
  const std::source_location& made_at() const { return made_at_; }
  /// True when an earlier backward has freed what it saved.
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

  /// Notes what output `index` looks like.
  void note_output(const Tensor& tensor, int index) {
    Output& out = output(index);
    out.shape = tensor.shape();
    out.dtype = tensor.dtype();
  }
  /// Makes `tensor` output `index` of this node. REQUIRES that nobody else holds the tensor's body yet.
  void attach(const Tensor& tensor, int index = 0) {
    note_output(tensor, index);
    tensor.impl()->node = Ref<GraphNode>::share(this);
    tensor.impl()->output_index = static_cast<uint32_t>(index);
  }

  // ---- hooks: functions of the user's that walks call with gradients; an undefined gradient is zero ----
  /// Called before backward with the gradients of the outputs. The defined ones of the list that it returns replace
  /// them; an empty list leaves all. Under create_graph what it computes is recorded. Errors when they do not fit, and
  /// on the node of a leaf, which has no backward.
  HookHandle register_prehook(NodePreHook hook);
  /// Called after backward with the gradients of the inputs, which it may replace likewise, and of the outputs.
  HookHandle register_hook(NodeHook hook);

  /// One output: what its gradient must look like, and the gradient that has come together so far in a walk.
  struct Output {
    Tensor pending;
    Shape shape;
    DType dtype = DType::F32;
    bool masked = false;  ///< all that came together was marked by mark_masked
  };
  Output& output(int i) {
    return output_count_ > 1 ? more_outputs_[static_cast<size_t>(i)] : output_;
  }
  const Output& output(int i) const {
    return output_count_ > 1 ? more_outputs_[static_cast<size_t>(i)] : output_;
  }

  /// Rare things, made on demand: hooks, kept gradients.
  struct Extras {
    struct OutputHook {
      int output;
      std::shared_ptr<Hook> hook;
    };
    std::vector<OutputHook> hooks;  ///< of tensors; one that was removed is empty
    std::vector<std::shared_ptr<NodePreHook>> prehooks;
    std::vector<std::shared_ptr<NodeHook>> node_hooks;
    std::vector<std::pair<int, Tensor>> kept;  ///< retain_grad(): output, gradient

    Extras();
    ~Extras();  // not inline: nodes that have none are freed the faster
  };
  Extras& extras() {
    if (!extras_) extras_ = std::make_unique<Extras>();
    return *extras_;
  }
  Extras* extras_if_any() const { return extras_.get(); }

 private:
  friend class Walk;
  static constexpr uint32_t kInlineEdges = 3;

  uint32_t depth_ = 0;
  uint32_t edge_count_ = 0;
  uint32_t output_count_;
  bool queued_ = false;    // waits in a walk's heap
  bool released_ = false;  // a walk has used and freed it
  bool needed_ =
      false;  // leads to an input that grad() was asked for; valid while mark_ is the walk's
  uint64_t mark_ = 0;  // the walk that looked at it last
  std::source_location made_at_ = detail::call_site;
  Edge edges_[kInlineEdges];
  Output output_;
  std::unique_ptr<Edge[]> more_edges_;
  std::unique_ptr<Output[]> more_outputs_;
  std::unique_ptr<Extras> extras_;
};

inline Node* Edge::node() const { return static_cast<Node*>(target.get()); }
inline Node* Tensor::node() const { return static_cast<Node*>(body("node").node.get()); }

/// The node of a leaf: where its gradient gathers. Holds no reference to the leaf's elements.
class LeafNode final : public Node {
 public:
  LeafNode() : Node(1) {}
  std::string_view name() const override { return "leaf"; }
  void backward(const BackwardContext&, std::span<const Tensor>, std::span<Tensor>) override {}
  bool is_leaf() const override { return true; }

  Tensor grad;
};

/// "mul (2, 3) f32 (made at file.cpp:12): ", how errors name a node.
std::string describe(const Node& node);
/// What the backward of an op without derivative throws.
[[noreturn]] void fail_without_derivative(const Node& node);

}  // namespace ebb
