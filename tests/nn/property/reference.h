// The same models and optimizers, written naively in plain doubles; nothing of Ebb but
// draw_number() for dropout.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "ebb/core/draw.h"
#include "ebb/tests/nn/property/spec.h"

namespace ebb::test::property {

using Doubles = std::vector<double>;

struct Param {
  Doubles value = {}, grad = {};  // grad is empty when there is none
  Doubles first = {}, second = {};
  bool requires_grad = true;
  int64_t steps = 0;
};

enum class Rule { SGD, Adam, AdamW, RMSprop };

struct RuleOptions {
  Rule rule = Rule::SGD;
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  double beta1 = 0.9, beta2 = 0.999, eps = 1e-2;
};

/// One call of a layer: a chain of these is a model with all its nesting undone.
struct Call {
  Kind kind;
  int weight, bias;  // in params; -1 for none
  double p;
  int node;
};

class Reference {
 public:
  explicit Reference(const Spec& spec) : training(spec.nodes.size(), true), spec_(spec) {
    weights_.assign(spec.nodes.size(), -1);
    biases_.assign(spec.nodes.size(), -1);
    unroll(0);
  }

  // ---- the model ----
  std::vector<Param> params;   // each once
  std::vector<bool> training;  // by node
  bool narrow = true;          // f32
  Generator generator;
  bool fragile = false;  // rounding to f32 may have decided something, or the model diverges

  /// The parameters of a node alone, in Ebb's order.
  std::vector<int> own(int node) const {
    std::vector<int> all;
    for (int index : {weights_[at(node)], biases_[at(node)]}) {
      if (index >= 0) all.push_back(index);
    }
    return all;
  }
  const std::vector<Call>& calls() const { return calls_; }
  int width() const { return spec_.width; }

  template <class F> void below(int node, F&& each) const {
    each(node);
    for (int part : spec_.nodes[at(node)].parts) below(part, each);
  }
  void train(int node, bool on) {
    below(node, [&](int n) { training[at(n)] = on; });
  }
  void convert(bool to_narrow) {
    if (to_narrow == narrow) return;
    narrow = to_narrow;
    for (Param& p : params) {
      p.grad.clear();
      if (!narrow) continue;
      for (Doubles* list : {&p.value, &p.first, &p.second}) {
        for (double& v : *list) v = static_cast<float>(v);
      }
    }
  }

  /// rows: (n, width). training_now: by node.
  Doubles forward(const Doubles& rows, const std::vector<bool>& training_now) {
    inputs_.clear();
    masks_.clear();
    Doubles x = rows;
    for (const Call& call : calls_) {
      inputs_.push_back(x);
      masks_.emplace_back();
      x = forward_one(call, x, training_now[at(call.node)], masks_.back());
    }
    return x;
  }

  /// Mean squared error of a batch; its gradients are added to those of the parameters.
  double loss_and_gradients(const Doubles& rows, const Doubles& targets) {
    const Doubles y = forward(rows, training);
    double loss = 0;
    Doubles g(y.size());
    for (size_t i = 0; i < y.size(); ++i) {
      const double d = y[i] - targets[i];
      loss += d * d / static_cast<double>(y.size());
      g[i] = 2 * d / static_cast<double>(y.size());
    }
    for (size_t c = calls_.size(); c-- > 0;) g = backward_one(calls_[c], inputs_[c], masks_[c], g);
    return loss;
  }

  void zero_grad() {
    for (Param& p : params) {
      if (p.requires_grad) p.grad.clear();
    }
  }

  // ---- the optimizer ----
  RuleOptions rule;
  double factor = 1;
  int64_t steps = 0;

  void new_optimizer(const RuleOptions& options) {
    rule = options;
    factor = 1;
    steps = 0;
    for (Param& p : params) {
      p.steps = 0;
      p.first.assign(p.value.size(), 0);
      p.second.assign(p.value.size(), 0);
    }
  }

  void step() {
    ++steps;
    const double lr = rule.lr * factor;
    for (Param& p : params) {
      if (!p.requires_grad) continue;
      const double t = static_cast<double>(++p.steps);
      for (size_t i = 0; i < p.value.size(); ++i) {
        double& v = p.value[i];
        double g = p.grad[i];
        if (rule.rule == Rule::AdamW) v -= lr * rule.weight_decay * v;
        else g += rule.weight_decay * v;
        if (rule.rule == Rule::SGD) {
          if (rule.momentum != 0) {
            double& b = p.first[i];
            b = p.steps == 1 ? g : rule.momentum * b + (1 - rule.dampening) * g;
            g = rule.nesterov ? g + rule.momentum * b : b;
          }
          v -= lr * g;
        } else if (rule.rule == Rule::RMSprop) {
          p.second[i] = 0.99 * p.second[i] + 0.01 * g * g;
          p.first[i] = 0.5 * p.first[i] + g / (std::sqrt(p.second[i]) + rule.eps);
          v -= lr * p.first[i];
        } else {
          p.first[i] = rule.beta1 * p.first[i] + (1 - rule.beta1) * g;
          p.second[i] = rule.beta2 * p.second[i] + (1 - rule.beta2) * g * g;
          const double mean = p.first[i] / (1 - std::pow(rule.beta1, t));
          const double square = p.second[i] / (1 - std::pow(rule.beta2, t));
          v -= lr * mean / (std::sqrt(square) + rule.eps);
        }
        fragile |= !(std::fabs(v) < 100);
      }
    }
  }

 private:
  static size_t at(int i) { return static_cast<size_t>(i); }

  int new_param(int size) {
    params.push_back({.value = Doubles(at(size))});
    return static_cast<int>(params.size()) - 1;
  }

  void unroll(int node) {
    const Node& n = spec_.nodes[at(node)];
    if (n.kind == Kind::Chain) {
      for (int part : n.parts) unroll(part);
      return;
    }
    if (n.kind <= Kind::Tied && weights_[at(node)] < 0) {
      weights_[at(node)] = new_param(width() * width());
      if (n.kind != Kind::Tied && n.bias) biases_[at(node)] = new_param(width());
    }
    const int w = weights_[at(node)], b = biases_[at(node)];
    if (n.kind == Kind::Tied) {
      calls_.push_back({Kind::Linear, w, -1, 0, node});
      calls_.push_back({Kind::Tanh, -1, -1, 0, node});
      calls_.push_back({Kind::Linear, w, -1, 0, node});
    } else {
      calls_.push_back({n.kind, w, b, n.p, node});
    }
  }

  static double scale_of(Kind kind) {
    return kind == Kind::DoubledLinear || kind == Kind::DoubledReLU ? 2 : 1;
  }

  Doubles forward_one(const Call& call, const Doubles& x, bool in_training, Doubles& mask) {
    const size_t n = at(width());
    const double scale = scale_of(call.kind);
    Doubles y = x;
    switch (call.kind) {
      case Kind::Linear:
      case Kind::DoubledLinear:
        for (size_t row = 0; row < x.size() / n; ++row) {
          for (size_t o = 0; o < n; ++o) {
            double sum = call.bias >= 0 ? params[at(call.bias)].value[o] : 0;
            for (size_t i = 0; i < n; ++i)
              sum += x[row * n + i] * params[at(call.weight)].value[o * n + i];
            y[row * n + o] = scale * sum;
          }
        }
        break;
      case Kind::ReLU:
      case Kind::DoubledReLU:
        for (double& v : y) {
          fragile |= narrow && v != 0 && std::fabs(v) < 1e-4;
          v = v > 0 ? scale * v : 0;
        }
        break;
      case Kind::GELU:
        for (double& v : y) v = 0.5 * v * (1 + std::tanh(kRoot * (v + 0.044715 * v * v * v)));
        break;
      case Kind::Tanh:
        for (double& v : y) v = std::tanh(v);
        break;
      case Kind::Sigmoid:
        for (double& v : y) v = 1 / (1 + std::exp(-v));
        break;
      case Kind::Dropout:
        if (!in_training || call.p == 0) break;
        for (double& v : y) {
          mask.push_back(draw_number<double>(Distribution::Bernoulli, PhiloxKeys(generator.seed),
                                             generator.offset++, 1 - call.p, 0) /
                         (1 - call.p));
          v *= mask.back();
        }
        break;
      default: break;
    }
    return y;
  }

  Doubles backward_one(const Call& call, const Doubles& x, const Doubles& mask, const Doubles& g) {
    const size_t n = at(width());
    const double scale = scale_of(call.kind);
    Doubles dx = g;
    switch (call.kind) {
      case Kind::Linear:
      case Kind::DoubledLinear:
        for (size_t row = 0; row < x.size() / n; ++row) {
          for (size_t i = 0; i < n; ++i) {
            double sum = 0;
            for (size_t o = 0; o < n; ++o) {
              const double up = scale * g[row * n + o];
              sum += up * params[at(call.weight)].value[o * n + i];
              add_gradient(call.weight, o * n + i, up * x[row * n + i]);
              if (i == 0 && call.bias >= 0) add_gradient(call.bias, o, up);
            }
            dx[row * n + i] = sum;
          }
        }
        break;
      case Kind::ReLU:
      case Kind::DoubledReLU:
        for (size_t i = 0; i < x.size(); ++i) dx[i] = x[i] > 0 ? scale * g[i] : 0;
        break;
      case Kind::GELU:
        for (size_t i = 0; i < x.size(); ++i) {
          const double v = x[i], t = std::tanh(kRoot * (v + 0.044715 * v * v * v));
          dx[i] *= 0.5 * (1 + t) + 0.5 * v * (1 - t * t) * kRoot * (1 + 3 * 0.044715 * v * v);
        }
        break;
      case Kind::Tanh:
        for (size_t i = 0; i < x.size(); ++i) dx[i] *= 1 - std::tanh(x[i]) * std::tanh(x[i]);
        break;
      case Kind::Sigmoid:
        for (size_t i = 0; i < x.size(); ++i) {
          const double s = 1 / (1 + std::exp(-x[i]));
          dx[i] *= s * (1 - s);
        }
        break;
      case Kind::Dropout:
        for (size_t i = 0; i < mask.size(); ++i) dx[i] *= mask[i];
        break;
      default: break;
    }
    return dx;
  }

  void add_gradient(int param, size_t i, double g) {
    Param& p = params[at(param)];
    if (!p.requires_grad) return;
    if (p.grad.empty()) p.grad.assign(p.value.size(), 0);
    p.grad[i] += g;
  }

  static constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)

  Spec spec_;
  std::vector<int> weights_, biases_;  // by node
  std::vector<Call> calls_;
  std::vector<Doubles> inputs_, masks_;  // by call
};

}  // namespace ebb::test::property
