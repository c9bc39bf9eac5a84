// Finds the op at fault: compares the gradient of every recorded result with central differences.
#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/check/values.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"

namespace ebb {
namespace {

constexpr size_t kMostOps = 512;  // each needs two evaluations

Tensor random_like(const Tensor& t, Generator& generator) {
  return randn(t.shape(), {.dtype = t.dtype(), .device = t.device()}, &generator);
}

double dot(const Tensor& a, const Tensor& b) {
  const std::vector<double> x = a.to_vector<double>(), y = b.to_vector<double>();
  double total = 0;
  for (size_t i = 0; i < x.size(); ++i) total += x[i] * y[i];
  return total;
}

// Replaces the elements of a result that has just been computed, for all its handles. Other tensors
// do not change.
void displace(const Tensor& t, const Tensor& direction, double by) {
  const NoGrad guard;
  Tensor moved = t.detach().clone();
  moved.add_(direction, by);
  TensorImpl& to = *t.impl();
  const TensorImpl& from = *moved.impl();
  to.storage = from.storage;
  to.data = from.data;
  to.strides = from.strides;
  to.contiguous = from.contiguous;
}

class Search {
 public:
  Search(const TensorFunction& f, const std::vector<Tensor>& inputs,
         const GradcheckOptions& options)
      : f_(f), inputs_(inputs), options_(options), generator_{options.seed + 1, 0} {}

  std::vector<std::string> run() {
    record();
    if (results_.empty() || results_.size() > kMostOps || roots_.empty()) return {};
    find_gradients();
    for (size_t k = 0; k < results_.size(); ++k) right_[key(results_[k].tensor)] = is_right(k);
    // A wrong gradient explains the wrong gradients that are computed from it.
    for (const Result& r : results_) {
      if (outputs_are_right(*r.tensor.node())) continue;
      for (const Edge& edge : r.tensor.node()->edges())
        explained_.insert({edge.node(), edge.index});
    }
    std::vector<std::string> found, lost;
    for (size_t k = results_.size(); k-- > 0;) {
      if (!outputs_are_right(*results_[k].tensor.node())) continue;
      if (has_wrong_input(*results_[k].tensor.node()) && !contains(found, results_[k].label)) {
        found.push_back(results_[k].label);
      }
    }
    if (!found.empty()) return found;
    for (const Result& r : results_) {
      if (!r.backward_of.empty() && !contains(lost, r.backward_of)) lost.push_back(r.backward_of);
    }
    std::string text = "no op at all: values leave the graph (detach(), data(), item())";
    for (size_t i = 0; i < lost.size(); ++i) text += (i ? ", " : " in the backward of ") + lost[i];
    return {text};
  }

 private:
  struct Result {
    Tensor tensor;
    std::string label, backward_of;
    Tensor gradient;
  };
  using Key = std::pair<const Node*, uint32_t>;
  static Key key(const Tensor& t) { return {t.node(), t.impl()->output_index}; }
  static bool contains(const std::vector<std::string>& list, const std::string& text) {
    return std::find(list.begin(), list.end(), text) != list.end();
  }

  static bool counts(const OpEvent& e) { return e.node && e.result.requires_grad(); }

  void record() {
    const OpObserver watch([this](const OpEvent& e) {
      if (!counts(e)) return;
      std::string label = describe(*e.node);
      label.resize(label.size() - 2);  // the colon
      const Node* running = detail::current_node();
      if (running) label += " in the backward of " + std::string(running->name());
      results_.push_back(
          {e.result, label, running ? std::string(running->name()) : std::string(), Tensor()});
    });
    outputs_ = f_(inputs_);
    for (const Tensor& out : outputs_) {
      upstreams_.push_back(out.defined() && is_floating(out.dtype()) ? random_like(out, generator_)
                                                                     : Tensor());
      if (!out.defined() || !out.requires_grad()) continue;
      roots_.push_back(out);
      seeds_.push_back(upstreams_.back());
    }
  }

  void find_gradients() {
    std::vector<Tensor> wanted;
    for (const Result& r : results_) wanted.push_back(r.tensor);
    for (const Tensor& x : inputs_) {
      if (x.defined() && x.requires_grad()) wanted.push_back(x);
    }
    const std::vector<Tensor> gradients =
        grad(roots_, wanted, {.grad_outputs = seeds_, .retain_graph = true, .allow_unused = true});
    for (size_t k = 0; k < results_.size(); ++k) results_[k].gradient = gradients[k];
    for (size_t i = results_.size(); i < wanted.size(); ++i) {
      if (gradients[i].defined()) right_[key(wanted[i])] = leaf_is_right(wanted[i], gradients[i]);
    }
  }

  // Returns sum_o <u_o, f_o>, with the k-th recorded result perturbed.
  double value_with(size_t k, const Tensor& direction, double by) {
    size_t at = 0;
    const OpObserver watch([&](const OpEvent& e) {
      if (counts(e) && at++ == k) displace(e.result, direction, by);
    });
    return value();
  }
  double value() {
    const std::vector<Tensor> outputs = f_(inputs_);
    double total = 0;
    for (size_t o = 0; o < outputs.size(); ++o) {
      if (upstreams_[o].defined()) total += dot(outputs[o], upstreams_[o]);
    }
    scale_ = std::fabs(total);
    return total;
  }

  // Tighter than the check itself, because a wrong term of a gradient must be visible among right
  // ones.
  bool agree(double analytic, double numeric) const {
    return std::fabs(analytic - numeric) <= 1e-7 * (1 + scale_) + 1e-5 * std::fabs(numeric);
  }
  bool is_right(size_t k) {
    const Result& r = results_[k];
    if (!r.gradient.defined()) return true;  // no output depends on it
    const Tensor direction = random_like(r.tensor, generator_);
    const double above = value_with(k, direction, options_.eps),
                 below = value_with(k, direction, -options_.eps);
    return agree(dot(r.gradient, direction), (above - below) / (2 * options_.eps));
  }
  bool leaf_is_right(const Tensor& leaf, const Tensor& gradient) {
    const Tensor direction = random_like(leaf, generator_);
    detail::RestoreInput moved(leaf);
    moved.input().copy_(moved.before() + direction * options_.eps);
    const double above = value();
    moved.input().copy_(moved.before() - direction * options_.eps);
    const double below = value();
    return agree(dot(gradient, direction), (above - below) / (2 * options_.eps));
  }

  bool outputs_are_right(const Node& node) const {
    for (int i = 0; i < node.output_count(); ++i) {
      const auto at = right_.find({&node, static_cast<uint32_t>(i)});
      if (at != right_.end() && !at->second) return false;
    }
    return true;
  }
  bool has_wrong_input(const Node& node) const {
    for (const Edge& edge : node.edges()) {
      const Key input{edge.node(), edge.index};
      const auto at = right_.find(input);
      if (at != right_.end() && !at->second && !explained_.contains(input)) return true;
    }
    return false;
  }

  const TensorFunction& f_;
  const std::vector<Tensor>& inputs_;
  const GradcheckOptions& options_;
  Generator generator_;
  std::vector<Tensor> outputs_, upstreams_, roots_, seeds_;
  std::vector<Result> results_;
  double scale_ = 0;           // magnitude of the values whose differences are computed
  std::map<Key, bool> right_;  // true if the gradient of a tensor is the derivative
  std::set<Key> explained_;
};

}  // namespace

std::vector<std::string> detail::find_suspects(const TensorFunction& f,
                                               const std::vector<Tensor>& inputs,
                                               const GradcheckOptions& options) {
  return Search(f, inputs, options).run();
}

}  // namespace ebb
