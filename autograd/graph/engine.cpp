#include "ebb/autograd/graph/engine.h"

#include <atomic>
#include <cstdio>

#include "ebb/autograd/graph/walk.h"

namespace ebb {

constinit thread_local Node* detail::running_node = nullptr;
constinit thread_local int detail::walks_running = 0;

uint64_t detail::next_walk_id() {
  static std::atomic<uint64_t> counter{0};
  return ++counter;
}

void detail::say_that_leaves_own_their_graph() {
  static std::atomic<bool> said{false};
  if (said.exchange(true)) return;
  std::fputs(
      "[ebb] backward() with create_graph: each leaf now owns the graph of its own gradient, and "
      "neither is freed until the gradient is cleared with set_grad({}) or zero_grad(); grad() "
      "makes no such cycle\n",
      stderr);
}

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

// Returns the checked upstream gradient of one output, or a cached 1. unread: its value is not
// read.
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
    // A traversal may have returned the 1 as a gradient, which the caller may keep and change.
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

void backward(std::initializer_list<Tensor> outputs, std::initializer_list<Tensor> gradients,
              bool retain_graph, bool create_graph) {
  backward(std::span(outputs.begin(), outputs.size()),
           std::span(gradients.begin(), gradients.size()), retain_graph, create_graph);
}

void Tensor::backward_with(const BackwardOptions& options) const {
  if (options.inputs.empty())
    return backward(options.gradient, options.retain_graph, options.create_graph);
  check_root("backward", *this);
  for (const Tensor& input : options.inputs) {
    check_defined("backward", input);
    if (!input.requires_grad() || !input.is_leaf())
      fail("backward", "input ", input, " is not a leaf that requires grad");
  }
  const Tensor seed = seed_for("backward", *this, options.gradient);
  Walk walk(options.create_graph, options.retain_graph || options.create_graph);
  walk.ask_for(options.inputs, false);
  walk.run({this, 1}, {&seed, 1}, false);
  std::vector<Tensor> found = walk.take_results();
  const GradMode mode(options.create_graph);
  for (size_t i = 0; i < found.size(); ++i) {
    const Tensor gradient = std::move(found[i]);
    const auto same = [&](const Tensor& earlier) {
      return earlier.node() == options.inputs[i].node();
    };
    const auto here = options.inputs.begin() + static_cast<std::ptrdiff_t>(i);
    if (!gradient.defined() || std::any_of(options.inputs.begin(), here, same)) continue;
    walk.accumulate(static_cast<LeafNode&>(*options.inputs[i].node()), gradient);
  }
}

std::vector<Tensor> grad(std::span<const Tensor> outputs, std::span<const Tensor> inputs,
                         GradOptions options) {
  const std::vector<Tensor> seeds = seeds_for("grad", outputs, options.grad_outputs);
  for (const Tensor& input : inputs) {
    check_defined("grad", input);
    if (!input.requires_grad()) fail("grad", "input ", input, " does not require grad");
  }
  if (inputs.empty()) fail("grad", "expected at least one input");
  Walk walk(options.create_graph, options.retain_graph || options.create_graph);
  walk.ask_for(inputs, false);
  walk.run(outputs, seeds, false);
  std::vector<Tensor> results = walk.take_results();
  for (size_t i = 0; i < results.size(); ++i) {
    if (results[i].defined()) continue;
    if (options.materialize_grads) {
      results[i] = zeros_like(inputs[i]);
    } else if (!options.allow_unused) {
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

std::vector<Tensor> grad(const Tensor& output, std::span<const Tensor> inputs,
                         GradOptions options) {
  return grad(std::span(&output, 1), inputs, std::move(options));
}

Tensor grad(const Tensor& output, const Tensor& input, GradOptions options) {
  return grad(std::span(&output, 1), std::span(&input, 1), std::move(options))[0];
}

std::vector<Tensor> detail::inner_grad(std::span<const Tensor> outputs,
                                       std::span<const Tensor> grad_outputs,
                                       std::span<const Tensor> inputs, bool create_graph) {
  Walk walk(create_graph, true);
  walk.ask_for(inputs, true);
  walk.run(outputs, grad_outputs, false);
  return walk.take_results();
}

}  // namespace ebb
