#include "run.h"

#include <set>

#include "ebb/autograd/graph/engine.h"
#include "ebb/core/backend.h"
#include "ops.h"

namespace ebb::parity {
namespace {

using Form = Call (*)(Arguments&);
constexpr double kSecondOrder = 10;  // the factor on its tolerances

std::string quoted(const std::string& name) { return "'" + name + "'"; }

Tensor on_device(const Case& c, const std::string& name, Device device) {
  return c.tensor(name).to(device);
}

/// The function or module of an op with copies of the tensors, prepared so that only the call
/// remains.
class Invocation {
 public:
  Invocation(const Case& c, Form form, Device device) : case_(c), arguments_(c, tensors_) {
    for (const auto* names : {&c.inputs, &c.tensor_options}) {
      for (const std::string& name : *names) tensors_[name] = on_device(c, name, device).detach();
    }
    for (const std::string& name : c.grad_of) {
      if (!tensors_.contains(name))
        throw Problem("grad_of names " + quoted(name) + ", which is no input");
      tensors_[name].requires_grad_();
    }
    call_ = form(arguments_);
    arguments_.check_all_read();
  }
  Invocation(const Invocation&) = delete;
  Invocation& operator=(const Invocation&) = delete;

  Tensors run() const { return call_(); }
  /// Returns the tensors of grad_of after the run.
  Tensors leaves() const {
    Tensors found;
    for (const std::string& name : case_.grad_of) found.push_back(tensors_.at(name));
    return found;
  }

 private:
  const Case& case_;
  std::map<std::string, Tensor> tensors_;
  Arguments arguments_;
  Call call_;
};

/// Compares results with the expected ones of the case, and records differences.
class Comparison {
 public:
  Comparison(const Case& c, Device device, Outcome& outcome)
      : case_(c), device_(device), outcome_(outcome) {}

  void outputs(const Tensors& got);
  void gradients(const Tensors& outputs, const Tensors& leaves);
  /// Reports an expected result that was not compared, because it is a mistake in the file.
  void nothing_left() const;

 private:
  void check(const std::string& name, const Tensor& got, double widen = 1, const char* how = "");
  void check_each(const std::string& kind, const Tensors& got, double widen = 1,
                  const char* how = "");
  Tensors each(const std::string& kind) const;
  std::vector<std::string> result_names(const std::string& kind, size_t count) const;

  const Case& case_;
  const Device device_;
  Outcome& outcome_;
  std::set<std::string> compared_;
};

void Comparison::check(const std::string& name, const Tensor& got, double widen, const char* how) {
  const Tensor& expected = case_.tensor(name);
  const Tolerance tolerance =
      case_.tolerance.value_or(default_tolerance(expected.dtype())).times(widen);
  compared_.insert(name);
  if (const auto text = difference(expected, got, tolerance))
    outcome_.problems.push_back(name + how + ": " + *text);
  double& error = outcome_.error[name.starts_with("grad2") ? 2 : name.starts_with("grad") ? 1 : 0];
  error = std::max(error, relative_error(expected, got));
  outcome_.dtype = expected.dtype();
}

void Comparison::check_each(const std::string& kind, const Tensors& got, double widen,
                            const char* how) {
  for (size_t i = 0; i < got.size(); ++i) check(kind + "/" + case_.grad_of[i], got[i], widen, how);
}

Tensors Comparison::each(const std::string& kind) const {
  Tensors found;
  for (const std::string& name : case_.grad_of)
    found.push_back(on_device(case_, kind + "/" + name, device_));
  return found;
}

// Returns "output", or "output/0", "output/1" ... for several outputs.
std::vector<std::string> Comparison::result_names(const std::string& kind, size_t count) const {
  if (count == 1) return {kind};
  std::vector<std::string> names;
  for (size_t i = 0; i < count; ++i) names.push_back(kind + "/" + std::to_string(i));
  return names;
}

void Comparison::outputs(const Tensors& got) {
  const auto names = result_names("output", got.size());
  for (size_t i = 0; i < got.size(); ++i) check(names[i], got[i]);
}

/// Returns d(sum(seeds * of)) / d leaves, undefined if there is no path.
Tensors differentiate(const Tensors& of, const Tensors& leaves, const Tensors& seeds, bool create,
                      bool retain) {
  Tensors live, upstream;
  for (size_t i = 0; i < of.size(); ++i) {
    if (!of[i].defined() || !of[i].requires_grad()) continue;
    live.push_back(of[i]);
    upstream.push_back(seeds[i]);
  }
  if (live.empty()) return Tensors(leaves.size());
  return grad(live, leaves,
              {.grad_outputs = upstream,
               .create_graph = create,
               .retain_graph = retain,
               .allow_unused = true});
}

// Computes order 1 without a graph of its own, and also with one if order 2 follows, because ops
// may compute these differently.
void Comparison::gradients(const Tensors& outputs, const Tensors& leaves) {
  Tensors upstream;
  for (const std::string& name : result_names("upstream", outputs.size())) {
    upstream.push_back(on_device(case_, name, device_));
  }
  check_each("grad", differentiate(outputs, leaves, upstream, false, case_.second));
  if (!case_.second) return;
  const Tensors first = differentiate(outputs, leaves, upstream, true, true);
  check_each("grad", first, 1, " (create_graph)");
  check_each("grad2", differentiate(first, leaves, each("direction"), false, false), kSecondOrder);
}

void Comparison::nothing_left() const {
  for (const auto& [name, tensor] : case_.tensors) {
    const std::string kind = name.substr(0, name.find('/'));
    const bool expected = kind == "output" || kind == "grad" || kind == "grad2";
    if (expected && !compared_.contains(name))
      throw Problem("nothing was compared with " + quoted(name));
  }
}

bool is_vacuous(const Case& c) {
  if (c.error) return false;
  for (const std::string& name : c.grad_of) {
    const auto found = c.tensors.find("grad/" + name);
    if (found == c.tensors.end()) continue;
    for (const double value : found->second.to_vector<double>()) {
      if (value != 0) return false;
    }
  }
  return true;
}

void run_error_case(const Case& c, const Op& op, Device device, Outcome& outcome) {
  for (const Form form : {op.function, op.module}) {
    if (!form) continue;
    const Invocation invocation(c, form, device);
    try {
      invocation.run();
      backend(device).synchronize();  // throws errors that kernels have found
      outcome.problems.push_back(form == op.module ? "error: the module throws nothing"
                                                   : "error: nothing is thrown");
    } catch (const Error& error) {
      outcome.thrown = error.what();
    }
  }
}

void run_value_case(const Case& c, const Op& op, Device device, Outcome& outcome) {
  const Invocation function(c, op.function, device);
  const Tensors outputs = function.run();
  Comparison comparison(c, device, outcome);
  comparison.outputs(outputs);
  if (op.module) {
    const Tensors same = Invocation(c, op.module, device).run();
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (!identical(outputs[i], same[i]))
        outcome.problems.push_back("output: the module gives another one");
    }
  }
  if (!c.grad_of.empty()) comparison.gradients(outputs, function.leaves());
  comparison.nothing_left();
}

}  // namespace

Computed compute(const Case& c, Device device) {
  const Invocation function(c, find_op(c.op).function, device);
  Computed computed{function.run(), {}};
  Tensors seeds;
  for (const Tensor& output : computed.outputs) seeds.push_back(ones_like(output.detach()));
  computed.gradients = differentiate(computed.outputs, function.leaves(), seeds, false, false);
  return computed;
}

Outcome run_case(const Case& c, Device device) {
  Outcome outcome;
  outcome.vacuous = is_vacuous(c);
  try {
    const Op& op = find_op(c.op);
    (c.error ? run_error_case : run_value_case)(c, op, device, outcome);
  } catch (const std::exception& error) {
    outcome.problems.push_back(error.what());
  }
  return outcome;
}

}  // namespace ebb::parity
