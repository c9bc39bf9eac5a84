#include "ebb/autograd/check/gradcheck.h"

#include "ebb/autograd/check/checker.h"
#include "ebb/autograd/graph/engine.h"

namespace ebb {
namespace {

using detail::Checker;

GradcheckReport check_second_order(const TensorFunction& f, const std::vector<Tensor>& inputs,
                                   const GradcheckOptions& options) {
  const std::vector<Tensor> outputs = f(inputs);
  std::vector<Tensor> all = inputs;
  Generator generator{options.seed, 0};
  std::vector<size_t> live;  // outputs that have a gradient
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o].defined() || !outputs[o].requires_grad()) continue;
    live.push_back(o);
    all.push_back(
        randn(outputs[o].shape(), {.dtype = outputs[o].dtype()}, &generator).requires_grad_());
  }
  if (live.empty()) fail("gradgradcheck", "no output requires grad: there is nothing to check");
  const size_t n = inputs.size();
  const TensorFunction gradient = [&](const std::vector<Tensor>& at) {
    const std::vector<Tensor> arguments(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(n));
    const std::vector<Tensor> results = f(arguments);
    if (results.size() != outputs.size()) {
      fail("gradgradcheck", "the function returned ", outputs.size(), " outputs, and ",
           results.size(), " for other values of its inputs");
    }
    for (size_t o : live) {
      if (results[o].shape() == outputs[o].shape()) continue;
      fail("gradgradcheck", "output ", o, " had shape ", outputs[o].shape(), ", and ",
           results[o].shape(), " for other values of the inputs");
    }
    std::vector<Tensor> roots, wanted;
    for (size_t o : live) roots.push_back(results[o]);
    for (const Tensor& x : arguments) {
      if (x.defined() && x.requires_grad()) wanted.push_back(x);
    }
    std::vector<Tensor> upstreams(at.begin() + static_cast<std::ptrdiff_t>(n), at.end());
    return grad(roots, wanted,
                {.grad_outputs = upstreams, .create_graph = true, .allow_unused = true});
  };
  Checker checker("gradgradcheck", gradient, all, options, live.size());
  checker.add_faults_of(f, inputs, outputs);
  return checker.run();
}

// Runs check(). Exceptions that the function or unusable arguments cause become a report as well,
// unless options.raise.
template <class Check> GradcheckReport reported(const GradcheckOptions& options, Check&& check) {
  const GradMode on(true);
  GradcheckReport report;
  report.passed = false;
  try {
    return check();
  } catch (const std::exception& error) {
    if (options.raise) throw;
    report.message = error.what();
  } catch (...) {
    if (options.raise) throw;
    report.message = "the function threw what is not a std::exception";
  }
  return report;
}

}  // namespace

GradcheckReport gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                          GradcheckOptions options) {
  return reported(options, [&] { return Checker("gradcheck", f, inputs, options).run(); });
}

GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs,
                              GradcheckOptions options) {
  return reported(options, [&] { return check_second_order(f, inputs, options); });
}

}  // namespace ebb
