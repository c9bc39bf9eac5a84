// The cases of tests/parity/optimizers.txt: PyTorch's optimizers over 200 steps (optimizers.py),
// run by Ebb.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <functional>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "ebb/ebb.h"

namespace ebb::test {

using Words = std::map<std::string, double>;

struct OptimizerCase {
  std::string optimizer = {}, text = {};
  Words options = {}, way = {};
  std::vector<double> values = {};

  double of_way(const std::string& name, double otherwise) const {
    const auto entry = way.find(name);
    return entry == way.end() ? otherwise : entry->second;
  }
};

constexpr int kOptimizerSteps = 200;
constexpr int kSavedSteps[] = {1, 2, 3, 7, 20, 60, 130, 200};

inline Words read_words(std::istream& in) {
  Words words;
  for (std::string word; in >> word && word != ";";) {
    const size_t equals = word.find('=');
    words[word.substr(0, equals)] = std::stod(word.substr(equals + 1));
  }
  return words;
}

inline std::vector<OptimizerCase> optimizer_cases(const std::string& name = "optimizers.txt") {
  std::ifstream file(EBB_SOURCE_DIR "/tests/parity/" + name);
  std::vector<OptimizerCase> cases;
  for (std::string line; std::getline(file, line);) {
    std::istringstream in(line);
    OptimizerCase c;
    c.text = line.substr(0, line.find(';', line.find(';') + 1));
    in >> c.optimizer;
    c.options = read_words(in);
    c.way = read_words(in);
    for (double value; in >> value;) c.values.push_back(value);
    cases.push_back(std::move(c));
  }
  return cases;
}

// Sets the options that have the names of words.
template <class O> O read_options(const Words& words) {
  O o;
  size_t used = 0;
  const auto set = [&](const char* name, auto& member) {
    const auto entry = words.find(name);
    if (entry == words.end()) return;
    using Member = std::remove_reference_t<decltype(member)>;
    if constexpr (std::is_enum_v<Member>)
      member = static_cast<Member>(static_cast<int>(entry->second));
    else member = static_cast<Member>(entry->second);
    ++used;
  };
  set("lr", o.lr);
  if constexpr (requires { o.momentum; }) set("momentum", o.momentum);
  if constexpr (requires { o.dampening; }) set("dampening", o.dampening);
  if constexpr (requires { o.weight_decay; }) set("weight_decay", o.weight_decay);
  if constexpr (requires { o.nesterov; }) set("nesterov", o.nesterov);
  if constexpr (requires { o.maximize; }) set("maximize", o.maximize);
  if constexpr (requires { o.beta1; }) set("beta1", o.beta1), set("beta2", o.beta2);
  if constexpr (requires { o.eps; }) set("eps", o.eps);
  if constexpr (requires { o.amsgrad; }) set("amsgrad", o.amsgrad);
  if constexpr (requires { o.decoupled_weight_decay; })
    set("decoupled_weight_decay", o.decoupled_weight_decay);
  if constexpr (requires { o.momentum_decay; }) set("momentum_decay", o.momentum_decay);
  if constexpr (requires { o.alpha; }) set("alpha", o.alpha);
  if constexpr (requires { o.centered; }) set("centered", o.centered);
  if constexpr (requires { o.lr_decay; }) set("lr_decay", o.lr_decay);
  if constexpr (requires { o.initial_accumulator_value; })
    set("initial_accumulator_value", o.initial_accumulator_value);
  if constexpr (requires { o.rho; }) set("rho", o.rho);
  if constexpr (requires { o.eta_plus; }) {
    set("eta_minus", o.eta_minus), set("eta_plus", o.eta_plus);
    set("step_size_min", o.step_size_min), set("step_size_max", o.step_size_max);
  }
  if constexpr (requires { o.lambd; }) set("lambd", o.lambd), set("t0", o.t0);
  if constexpr (requires { o.beta2_decay; }) {
    set("beta2_decay", o.beta2_decay), set("eps2", o.eps2), set("d", o.d);
    double eps1 = -1;
    set("eps1", eps1);
    if (eps1 >= 0) o.eps1 = eps1;
  }
  if constexpr (requires { o.ns_steps; })
    set("ns_steps", o.ns_steps), set("adjust_lr_fn", o.adjust_lr_fn);
  EXPECT_EQ(used, words.size()) << "unknown options";
  return o;
}

using NamedTensors = std::vector<nn::NamedTensor>;

// The first parameter in one group and the others in a second one, where there are two.
template <class O, class Options>
std::unique_ptr<nn::Optimizer> make_grouped(const OptimizerCase& c, const NamedTensors& p) {
  const auto options = read_options<Options>(c.options);
  Words second = c.options;
  bool grouped = false;
  for (const auto& [name, value] : c.way) {
    if (name.starts_with("groups.")) second[name.substr(7)] = value, grouped = true;
  }
  if (!grouped) return std::make_unique<O>(p, options);
  auto optimizer = std::make_unique<O>(NamedTensors{p[0]}, options);
  optimizer->add_param_group(NamedTensors(p.begin() + 1, p.end()), read_options<Options>(second));
  return optimizer;
}

// Null for an optimizer that Ebb lacks.
inline std::unique_ptr<nn::Optimizer> make_optimizer(const OptimizerCase& c,
                                                     const NamedTensors& p) {
  using namespace nn;
  const std::string& n = c.optimizer;
  if (n == "SGD") return make_grouped<SGD, SGDOptions>(c, p);
  if (n == "Adam") return make_grouped<Adam, AdamOptions>(c, p);
  if (n == "AdamW") return make_grouped<AdamW, AdamWOptions>(c, p);
  if (n == "Adamax") return make_grouped<Adamax, AdamaxOptions>(c, p);
  if (n == "NAdam") return make_grouped<NAdam, NAdamOptions>(c, p);
  if (n == "RAdam") return make_grouped<RAdam, RAdamOptions>(c, p);
  if (n == "RMSprop") return make_grouped<RMSprop, RMSpropOptions>(c, p);
  if (n == "Adagrad") return make_grouped<Adagrad, AdagradOptions>(c, p);
  if (n == "Adadelta") return make_grouped<Adadelta, AdadeltaOptions>(c, p);
  if (n == "Rprop") return make_grouped<Rprop, RpropOptions>(c, p);
  if (n == "ASGD") return make_grouped<ASGD, ASGDOptions>(c, p);
  if (n == "Lion") return make_grouped<Lion, LionOptions>(c, p);
  if (n == "LAMB") return make_grouped<LAMB, LAMBOptions>(c, p);
  if (n == "Muon") return make_grouped<Muon, MuonOptions>(c, p);
  if (n == "Adafactor") return make_grouped<Adafactor, AdafactorOptions>(c, p);
  return nullptr;
}

inline std::vector<Shape> shapes_of(const OptimizerCase& c) {
  if (c.optimizer == "Muon") return {{2, 3}, {3, 2}, {3, 3}};
  return {{2, 3}, {4}, {}};
}

inline Tensor formula_tensor(const Shape& shape, const std::function<double(int64_t)>& f) {
  std::vector<double> values;
  for (int64_t i = 0; i < shape.numel(); ++i) values.push_back(f(i));
  return from_data(values, shape);
}

// One case: parameters, an optimizer, and the gradients of each step.
class OptimizerRun {
 public:
  OptimizerRun(const OptimizerCase& c, Device device, DType dtype) : case_(c), device_(device) {
    for (const Shape& shape : shapes_of(c)) {
      const double k = static_cast<double>(parameters.size());
      const Tensor start = formula_tensor(
          shape, [k](int64_t i) { return std::sin(0.9 * static_cast<double>(i) + 1.7 * k + 0.3); });
      parameters.emplace_back("p" + std::to_string(parameters.size()),
                              start.to(dtype).to(device).requires_grad_());
      // where a captured step reads its gradients
      gradients.push_back(zeros(shape, {.dtype = dtype, .device = device}));
    }
    optimizer = make_optimizer(c, parameters);
    if (!optimizer) return;
    if (c.of_way("ema", 0) > 0) optimizer->average_weights(c.of_way("ema", 0));
    const double inf = INFINITY;
    optimizer->set_grad_options({.max_norm = c.of_way("max_norm", inf),
                                 .max_value = c.of_way("max_value", inf),
                                 .accumulate = static_cast<int64_t>(c.of_way("accumulate", 1))});
  }

  // Sets the gradients, rate and frozen parameters of step t, from 1. `part` of a step that is
  // accumulated.
  void prepare(int t, int part = 0) {
    const auto parts = static_cast<int>(case_.of_way("accumulate", 1));
    const double at = t * parts + part;
    for (size_t k = 0; k < parameters.size(); ++k) {
      const Tensor g = formula_tensor(parameters[k].second.shape(), [&](int64_t i) {
        return std::sin(1.3 * at + 0.7 * static_cast<double>(i) + 2.1 * static_cast<double>(k)) *
               (1 + 0.5 * std::cos(0.37 * at));
      });
      gradients[k].copy_(g);
    }
    if (part > 0) return;
    if (const double every = case_.of_way("lr_halves", 0); every > 0)
      optimizer->set_lr_factor(std::pow(0.5, (t - 1) / static_cast<int>(every)));
    if (case_.way.contains("frozen.tensor")) {
      const bool frozen = t >= case_.way.at("frozen.from") && t < case_.way.at("frozen.until");
      parameters[static_cast<size_t>(case_.way.at("frozen.tensor"))].second.requires_grad_(!frozen);
    }
  }

  void step() {
    optimizer->zero_grad();
    for (size_t k = 0; k < parameters.size(); ++k) {
      const Tensor& p = parameters[k].second;
      if (!p.requires_grad()) continue;
      const Tensor earlier = p.grad();
      const NoGrad guard;
      p.set_grad(earlier.defined() ? earlier + gradients[k] : gradients[k].clone());
    }
    optimizer->step();
  }

  void whole_step(int t) {
    for (int part = 0; part < static_cast<int>(case_.of_way("accumulate", 1)); ++part) {
      prepare(t, part);
      step();
    }
  }

  // The parameters, or their averages.
  std::vector<double> values() const {
    std::vector<double> all;
    const bool averages = case_.of_way("ema", 0) > 0;
    for (const auto& [name, tensor] : averages ? optimizer->averages() : parameters) {
      for (double value : tensor.to_vector<double>()) all.push_back(value);
    }
    return all;
  }

  NamedTensors parameters;
  std::vector<Tensor> gradients;
  std::unique_ptr<nn::Optimizer> optimizer;

 private:
  const OptimizerCase& case_;
  Device device_;
};

inline void expect_close(const std::vector<double>& got, const double* want, double tolerance,
                         int step) {
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::fabs(got[i] - want[i]), tolerance * std::max(1e-2, std::fabs(want[i])))
        << "element " << i << " after step " << step << ": " << got[i] << ", expected " << want[i];
  }
}

}  // namespace ebb::test
