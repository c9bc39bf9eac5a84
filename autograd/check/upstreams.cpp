#include "ebb/autograd/check/upstreams.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <set>

#include "ebb/autograd/check/values.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"

namespace ebb {
namespace {

using Tensors = std::vector<Tensor>;
using detail::Values;

constexpr size_t kMostNodes = 512;  // to find the one at fault; each needs a backward
constexpr double kTolerance = 1e-6;

// Returns the values of tensors of any dtype.
Values all_values(const Tensors& tensors) {
  Values values;
  for (const Tensor& t : tensors)
    values.push_back(t.defined() ? t.to_vector<double>() : std::vector<double>());
  return values;
}

double largest(const std::vector<double>& values) {
  double most = 0;
  for (double v : values) most = std::isfinite(v) ? std::fmax(most, std::fabs(v)) : v;
  return most;
}

// Returns the first difference of two lists that is larger than rounding, "input 1, element 3: got
// 2, expected 5", or "". It skips values that are not finite, which the comparison with finite
// differences checks.
std::string difference(const Values& got, const Values& want) {
  for (size_t i = 0; i < want.size(); ++i) {
    const double scale = largest(want[i]);
    if (!std::isfinite(scale)) continue;
    for (size_t k = 0; k < std::max(got[i].size(), want[i].size()); ++k) {
      const double g = k < got[i].size() ? got[i][k] : 0, w = k < want[i].size() ? want[i][k] : 0;
      if (std::fabs(g - w) <= kTolerance * scale + 1e-300) continue;
      return "tensor " + to_text(i) + ", element " + to_text(k) + ": got " + to_text(g) +
             ", expected " + to_text(w);
    }
  }
  return "";
}

// Returns a x + b y. An undefined tensor counts as 0.
Values combine(double a, const Values& x, double b, const Values& y) {
  Values sum = x.size() > y.size() ? x : y;
  for (size_t i = 0; i < sum.size(); ++i) {
    sum[i].resize(std::max(x[i].size(), y[i].size()));
    for (size_t k = 0; k < sum[i].size(); ++k)
      sum[i][k] = (k < x[i].size() ? a * x[i][k] : 0) + (k < y[i].size() ? b * y[i][k] : 0);
  }
  return sum;
}

class UpstreamChecker {
 public:
  UpstreamChecker(const TensorFunction& f, const Tensors& inputs, const Tensors& outputs,
                  uint64_t seed)
      : f_(f), inputs_(inputs), generator_{seed + 2, 0} {
    for (const Tensor& x : inputs) {
      if (x.defined() && x.requires_grad()) wanted_.push_back(x);
    }
    for (const Tensor& out : outputs) {
      if (out.defined() && out.requires_grad()) roots_.push_back(out);
    }
    original_ = all_values(inputs);
    output_values_ = all_values(outputs);
  }

  std::vector<std::string> run() {
    if (wanted_.empty() || roots_.empty()) return {};
    for (const Tensor& root : roots_)
      seeds_.push_back(randn(root.shape(), {.dtype = root.dtype()}, &generator_));
    expected_ = gradients(roots_, seeds_);
    check_linear();
    if (problems_.empty() && roots_.size() > 1) check_each_output();
    if (problems_.empty()) check_strided();
    if (problems_.empty()) check_expanded();
    if (problems_.empty()) check_inputs();
    return problems_;
  }

 private:
  // Computes u^T J, and checks that u does not change.
  Values gradients(const Tensors& roots, const Tensors& seeds) {
    const Values before = all_values(seeds);
    const Tensors found =
        grad(roots, wanted_, {.grad_outputs = seeds, .retain_graph = true, .allow_unused = true});
    if (!detail::same_bits(all_values(seeds), before) && !wrote_) {
      wrote_ = true;
      problems_.push_back("a backward writes into its upstream, which others may hold");
    }
    return all_values(found);
  }

  void check_linear() {
    Tensors other, mixed;
    for (size_t o = 0; o < roots_.size(); ++o) {
      other.push_back(randn(roots_[o].shape(), {.dtype = roots_[o].dtype()}, &generator_));
      const NoGrad guard;
      Tensor sum = seeds_[o].clone();
      sum.mul_(2);
      sum.add_(other.back(), -3);
      mixed.push_back(sum);
    }
    const Values want = combine(2, expected_, -3, gradients(roots_, other));
    const std::string text = difference(gradients(roots_, mixed), want);
    if (!text.empty()) {
      problems_.push_back(
          "backward is not linear in its upstream: for upstreams 2u - 3v, gradient of " + text);
    }
  }

  // Calls backward for each output separately, so that nodes with several outputs get undefined
  // upstream gradients.
  void check_each_output() {
    Values sum(wanted_.size());
    for (size_t o = 0; o < roots_.size(); ++o)
      sum = combine(1, sum, 1, gradients({roots_[o]}, {seeds_[o]}));
    const std::string text = difference(sum, expected_);
    if (!text.empty()) {
      problems_.push_back(
          "the gradients of single outputs do not add up to those of all outputs: an op with "
          "several outputs does not treat an undefined upstream as zero: gradient of " +
          text);
    }
  }

  // ---- upstreams that are not contiguous ----

  static std::string describe_node(const Node& node) {
    std::string text = describe(node);
    text.resize(text.size() - 2);  // the colon
    return text;
  }

  std::vector<Node*> nodes_of_graph() const {
    std::vector<Node*> nodes;
    std::set<Node*> seen;
    const auto enter = [&](Node* node) {
      if (node && !node->is_leaf() && seen.insert(node).second) nodes.push_back(node);
    };
    for (const Tensor& root : roots_) enter(root.node());
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const Edge& edge : nodes[i]->edges()) enter(edge.node());
    }
    return nodes;
  }

  // Returns the gradients if these nodes receive strided upstream gradients with the same values.
  Values gradients_with_spread(std::span<Node* const> nodes) {
    std::vector<HookHandle> handles;
    for (Node* node : nodes) {
      handles.push_back(node->register_prehook([](std::span<const Tensor> upstreams) {
        Tensors spread;
        for (const Tensor& g : upstreams)
          spread.push_back(g.defined() ? detail::spread_out(g) : Tensor());
        return spread;
      }));
    }
    struct Remove {
      std::vector<HookHandle>& handles;
      ~Remove() {
        for (HookHandle& handle : handles) handle.remove();
      }
    } const remove{handles};
    return gradients(roots_, seeds_);
  }

  // Passes strided upstream gradients to all ops of the graph. If that changes a gradient, it tries
  // the ops one by one.
  void check_strided() {
    const std::vector<Node*> nodes = nodes_of_graph();
    const std::string text = difference(gradients_with_spread(nodes), expected_);
    if (text.empty()) return;
    std::string which;
    for (size_t i = 0; i < std::min(nodes.size(), kMostNodes) && which.empty(); ++i) {
      if (!difference(gradients_with_spread({&nodes[i], 1}), expected_).empty())
        which = describe_node(*nodes[i]) + ": ";
    }
    problems_.push_back(
        which +
        "backward depends on the memory layout of its upstream: with one that is not "
        "contiguous, gradient of " +
        text + "; call contiguous() before data()");
  }

  // Uses an expanded upstream gradient, as sum(y).backward() does.
  void check_expanded() {
    Tensors expanded, full_seeds;
    for (const Tensor& root : roots_) {
      Tensor buffer = full({std::max<int64_t>(1, root.numel())},
                           std::numeric_limits<double>::quiet_NaN(), {.dtype = root.dtype()});
      make_view(buffer, {}, {}).fill_(1.5);
      Shape strides = root.shape();
      for (int d = 0; d < strides.dim(); ++d) strides[d] = 0;
      expanded.push_back(make_view(buffer, root.shape(), strides));
      full_seeds.push_back(full(root.shape(), 1.5, {.dtype = root.dtype()}));
    }
    const Values want = gradients(roots_, full_seeds);
    const std::string text = difference(gradients(roots_, expanded), want);
    if (!text.empty()) {
      problems_.push_back(
          "backward depends on the memory layout of its upstream: with one that is expanded "
          "(stride 0), as sum(y).backward() gives, gradient of " +
          text + "; call contiguous() before data()");
    }
  }

  // ---- inputs that are not contiguous ----

  void check_inputs() {
    const Values now = all_values(inputs_);
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (!difference({now[i]}, {original_[i]}).empty())
        problems_.push_back("the function changes its input " + to_text(i));
    }
    if (!problems_.empty()) return;
    Tensors spread, leaves, found, roots, outputs;
    for (const Tensor& x : inputs_) {
      spread.push_back(x.defined() ? detail::spread_out(x) : x);
      if (!x.defined() || !x.requires_grad()) continue;
      // A leaf that is given twice stays one leaf.
      const auto same = std::find_if(inputs_.begin(), inputs_.end(), [&](const Tensor& other) {
        return other.defined() && other.requires_grad() && other.node() == x.node();
      });
      const auto first = static_cast<size_t>(same - inputs_.begin());
      if (first + 1 < spread.size()) spread.back() = spread[first];
      else spread.back().requires_grad_();
      leaves.push_back(spread.back());
    }
    try {
      outputs = f_(spread);
      for (const Tensor& out : outputs) {
        if (out.defined() && out.requires_grad()) roots.push_back(out);
      }
      if (outputs.size() != output_values_.size()) return;
      for (size_t o = 0; o < outputs.size(); ++o) {
        // The gradient by the argument, of a function that reads the input directly.
        if (!outputs[o].defined() && !output_values_[o].empty()) return;
      }
      const std::string text = difference(all_values(outputs), output_values_);
      if (!text.empty()) {
        problems_.push_back(
            "values depend on the strides of the inputs: with inputs that are "
            "not contiguous, output " +
            text + "; call contiguous() before data()");
      }
      if (!problems_.empty() || roots.size() != roots_.size()) return;
      found = grad(roots, leaves, {.grad_outputs = seeds_, .allow_unused = true});
    } catch (const std::exception&) {
      return;  // refusing such inputs is safe
    }
    Values got = all_values(found);
    for (size_t i = 0; i < found.size(); ++i) {
      if (!found[i].defined()) got[i] = expected_[i];  // f reads the input directly
    }
    const std::string text = difference(got, expected_);
    if (!text.empty()) {
      problems_.push_back(
          "backward depends on the strides of the inputs: with inputs that are "
          "not contiguous, gradient of " +
          text + "; call contiguous() before data()");
    }
  }

  const TensorFunction& f_;
  const Tensors& inputs_;
  Generator generator_;
  Tensors wanted_, roots_, seeds_;
  Values original_, output_values_, expected_;
  std::vector<std::string> problems_;
  bool wrote_ = false;
};

// Returns the addresses of the elements.
std::vector<const std::byte*> addresses(const Tensor& t) {
  std::vector<const std::byte*> list;
  for (int64_t i = 0; i < t.numel(); ++i) {
    int64_t offset = 0, rest = i;
    for (int d = t.dim() - 1; d >= 0; --d) {
      offset += rest % t.shape()[d] * t.strides()[d];
      rest /= t.shape()[d];
    }
    list.push_back(t.raw() + offset * static_cast<int64_t>(size_of(t.dtype())));
  }
  return list;
}

// Returns true if elements along a dim are one element, as after expand().
bool has_repeats(const Tensor& t) {
  for (int d = 0; d < t.dim(); ++d) {
    if (t.size(d) > 1 && t.strides()[d] == 0) return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> detail::check_upstreams(const TensorFunction& f, const Tensors& inputs,
                                                 const Tensors& outputs, uint64_t seed) {
  return UpstreamChecker(f, inputs, outputs, seed).run();
}

Tensor detail::spread_out(const Tensor& t) {
  const NoGrad guard;
  const bool floating = is_floating(t.dtype());
  Tensor buffer = full({2 * t.numel() + 1}, floating ? std::numeric_limits<double>::quiet_NaN() : 0,
                       {.dtype = t.dtype()});
  Shape strides = t.shape();
  int64_t step = 2;
  for (int d = 0; d < strides.dim(); ++d) {
    strides[d] = step;
    step *= std::max<int64_t>(1, t.shape()[d]);
  }
  Tensor spread = make_view(buffer, t.shape(), strides);
  if (!floating) make_view(buffer, t.shape(), strides, 1).copy_(t.detach());
  spread.copy_(t.detach());
  return spread;
}

std::string detail::shared_memory(const Tensors& inputs) {
  // Returns true if the input must be examined: it is not contiguous, or shares its storage with
  // another input.
  const auto may_share = [&](const Tensor& t) {
    return !t.is_contiguous() || std::any_of(inputs.begin(), inputs.end(), [&](const Tensor& u) {
      return u.defined() && u.impl() != t.impl() && u.impl()->storage == t.impl()->storage;
    });
  };
  std::map<const std::byte*, size_t> owner;  // of an element that is changed
  std::set<const TensorImpl*> seen;          // the same tensor may be given twice
  for (const bool moved : {true, false}) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Tensor& x = inputs[i];
      if (!x.defined() || x.requires_grad() != moved) continue;
      if (!may_share(x) || !seen.insert(x.impl()).second) continue;
      if (moved && has_repeats(x)) return "elements of input " + to_text(i) + " share memory";
      if (!moved && owner.empty()) continue;
      for (const std::byte* address : addresses(x)) {
        const auto found = owner.find(address);
        if (found == owner.end()) {
          if (moved) owner[address] = i;
          continue;
        }
        const auto [first, last] = std::minmax(i, found->second);
        return first == last ? "elements of input " + to_text(i) + " share memory"
                             : "elements of inputs " + to_text(first) + " and " + to_text(last) +
                                   " share memory";
      }
    }
  }
  return "";
}

}  // namespace ebb
