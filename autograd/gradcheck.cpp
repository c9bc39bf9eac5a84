#include "ebb/autograd/gradcheck.h"

#include <cmath>

#include "ebb/autograd/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"

namespace ebb {
namespace {

constexpr size_t kMaxLines = 8;

std::vector<std::vector<double>> values_of(const std::vector<Tensor>& tensors) {
  std::vector<std::vector<double>> values;
  for (const Tensor& t : tensors) {
    values.push_back(t.defined() && is_floating(t.dtype()) ? t.to_vector<double>() : std::vector<double>());
  }
  return values;
}

class Checker {
  using Jacobian = std::vector<std::vector<double>>;  // one an output, row-major

 public:
  // upstreams: how many of the inputs, at the end, are upstreams, on which a gradient depends in any case.
  Checker(std::string_view op, const TensorFunction& f, std::vector<Tensor> inputs, GradcheckOptions options,
          size_t upstreams = 0)
      : op_(op),
        f_(f),
        inputs_(std::move(inputs)),
        options_(options),
        own_(inputs_.size() - upstreams),
        upstreams_(upstreams) {}

  GradcheckReport run() {
    check_inputs();
    const std::vector<Tensor> outputs = f_(inputs_);
    if (outputs.empty()) fail(op_, "the function returned no outputs");
    center_ = values_of(outputs);
    // All analytic gradients first: moving an input is an in-place change, after which the graph refuses to run.
    std::vector<Jacobian> analytic(inputs_.size());
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (is_checked(i)) analytic[i] = analytic_jacobian(inputs_[i], outputs);
    }
    for (size_t i = 0; i < inputs_.size(); ++i) {
      if (is_checked(i)) check_input(i, outputs.size(), analytic[i]);
    }
    if (report_.compared == 0) problem("nothing was compared: no input that requires grad, or no output element");
    else if (!options_.allow_zero) check_influence();
    finish();
    return report_;
  }

 private:
  void check_inputs() const {
    for (size_t i = 0; i < inputs_.size(); ++i) {
      const Tensor& x = inputs_[i];
      if (!x.defined() || !x.requires_grad()) continue;
      if (x.dtype() != DType::F64) fail(op_, "input ", i, " is ", x.dtype(), ": finite differences need f64");
      if (!x.is_leaf()) fail(op_, "input ", i, " ", x, " is not a leaf: detach() it");
      if (x.numel() == 0) fail(op_, "input ", i, " of shape ", x.shape(), " is empty: there is nothing to check");
    }
  }

  // Order 1: every input must matter. Order 2: one of them; most functions are linear in some.
  void check_influence() {
    size_t checked = 0, zero = 0;
    for (size_t i = 0; i < own_; ++i) checked += is_checked(i);
    for (int i : report_.zero_inputs) zero += static_cast<size_t>(i) < own_;
    if (zero == 0 || (upstreams_ > 0 && zero < checked)) return;
    std::string which;
    for (int i : report_.zero_inputs) which += (which.empty() ? "" : ", ") + std::to_string(i);
    problem("vacuous: every analytic and every numeric gradient by input " + which +
            " is zero; choose inputs where the function varies, or set allow_zero");
  }

  bool is_checked(size_t i) const { return inputs_[i].defined() && inputs_[i].requires_grad(); }

  void check_input(size_t i, size_t outputs, const Jacobian& analytic) {
    bool depends = false;
    const int64_t n = inputs_[i].numel();
    Tensor position = inputs_[i].detach();  // shares the elements: moving it moves the input
    for (int64_t j = 0; j < n; ++j) {
      const auto [above, below] = evaluate_beside(position, j);
      for (size_t o = 0; o < outputs; ++o) {
        for (size_t k = 0; k < center_[o].size(); ++k) {
          const double slope = (above[o][k] - below[o][k]) / (2 * options_.eps);
          const double gradient =
              analytic[o].empty() ? 0 : analytic[o][k * static_cast<size_t>(n) + static_cast<size_t>(j)];
          depends |= slope != 0 || gradient != 0;
          compare({static_cast<int>(o), static_cast<int>(i), static_cast<int64_t>(k), j, gradient, slope},
                  (above[o][k] - center_[o][k]) / options_.eps, (center_[o][k] - below[o][k]) / options_.eps);
        }
      }
    }
    if (!depends) report_.zero_inputs.push_back(static_cast<int>(i));
  }

  // One backward for each output element: rows of the Jacobian, (outputs' elements, input's elements).
  Jacobian analytic_jacobian(const Tensor& input, const std::vector<Tensor>& outputs) const {
    Jacobian jacobian(outputs.size());
    for (size_t o = 0; o < outputs.size(); ++o) {
      const Tensor& out = outputs[o];
      if (!out.defined() || !out.requires_grad()) continue;
      for (int64_t k = 0; k < out.numel(); ++k) {
        Tensor one = zeros(out.shape(), {.dtype = out.dtype()});
        one.mutable_data<double>()[k] = 1;
        const Tensor row = grad(std::span(&out, 1), std::span(&input, 1),
                                {.grad_outputs = {one}, .retain_graph = true, .allow_unused = true})[0];
        const std::vector<double> values =
            row.defined() ? row.to_vector<double>() : std::vector<double>(static_cast<size_t>(input.numel()));
        jacobian[o].insert(jacobian[o].end(), values.begin(), values.end());
      }
    }
    return jacobian;
  }

  std::pair<std::vector<std::vector<double>>, std::vector<std::vector<double>>> evaluate_beside(Tensor& x, int64_t j) {
    int64_t offset = 0, rest = j;
    for (int d = x.dim() - 1; d >= 0; --d) {
      offset += rest % x.shape()[d] * x.strides()[d];
      rest /= x.shape()[d];
    }
    double* element = x.mutable_data<double>() + offset;
    const double before = *element;
    *element = before + options_.eps;
    auto above = values_of(f_(inputs_));
    *element = before - options_.eps;
    auto below = values_of(f_(inputs_));
    *element = before;
    return {std::move(above), std::move(below)};
  }

  void compare(const GradcheckFailure& f, double right, double left) {
    ++report_.compared;
    const double error = std::fabs(f.analytic - f.numeric);
    // One-sided slopes of a smooth function differ by eps times its curvature.
    const bool kink = std::fabs(right - left) > std::sqrt(options_.eps) * (1 + std::fabs(right) + std::fabs(left));
    if (!kink && error <= options_.atol + options_.rtol * std::fabs(f.numeric)) {
      report_.max_error = std::max(report_.max_error, error);
      return;
    }
    report_.failures.push_back(f);
    report_.max_error = std::isnan(error) ? error : std::max(report_.max_error, error);
    std::string text = "output " + to_text(f.output) + " [" + to_text(f.output_index) + "] by input " +
                       to_text(f.input) + " [" + to_text(f.input_index) + "]: analytic " + to_text(f.analytic) +
                       ", numeric " + to_text(f.numeric);
    if (!std::isfinite(error)) text += ": not finite; move the input to where the function is finite";
    else if (kink) {
      text +=
          ": a kink inside the step (slope " + to_text(left) + " left, " + to_text(right) + " right); move the input";
    } else {
      text += ", relative error " + to_text(error / std::fmax(std::fabs(f.numeric), 1e-300));
    }
    problem(text);
  }

  void problem(const std::string& text) {
    report_.passed = false;
    if (lines_++ < kMaxLines) report_.message.append(report_.message.empty() ? "" : "; ").append(text);
  }

  void finish() {
    if (lines_ > kMaxLines) report_.message += "; and " + std::to_string(lines_ - kMaxLines) + " more";
    if (!report_.passed && options_.raise) fail(op_, report_.message);
  }

  std::string_view op_;
  const TensorFunction& f_;
  std::vector<Tensor> inputs_;
  GradcheckOptions options_;
  GradcheckReport report_;
  std::vector<std::vector<double>> center_;
  size_t own_, upstreams_;
  size_t lines_ = 0;
};

}  // namespace

GradcheckReport gradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs, GradcheckOptions options) {
  return Checker("gradcheck", f, inputs, options).run();
}

GradcheckReport gradgradcheck(const TensorFunction& f, const std::vector<Tensor>& inputs, GradcheckOptions options) {
  const std::vector<Tensor> outputs = f(inputs);
  std::vector<Tensor> all = inputs;
  Generator generator{options.seed, 0};
  std::vector<size_t> live;  // outputs that have a gradient
  for (size_t o = 0; o < outputs.size(); ++o) {
    if (!outputs[o].defined() || !outputs[o].requires_grad()) continue;
    live.push_back(o);
    all.push_back(randn(outputs[o].shape(), {.dtype = outputs[o].dtype()}, &generator).requires_grad_());
  }
  if (live.empty()) fail("gradgradcheck", "no output requires grad: there is nothing to check");
  const size_t n = inputs.size();
  const TensorFunction gradient = [&](const std::vector<Tensor>& at) {
    const std::vector<Tensor> arguments(at.begin(), at.begin() + static_cast<std::ptrdiff_t>(n));
    const std::vector<Tensor> results = f(arguments);
    std::vector<Tensor> roots, wanted;
    for (size_t o : live) roots.push_back(results[o]);
    for (const Tensor& x : arguments) {
      if (x.defined() && x.requires_grad()) wanted.push_back(x);
    }
    std::vector<Tensor> upstreams(at.begin() + static_cast<std::ptrdiff_t>(n), at.end());
    return grad(roots, wanted, {.grad_outputs = upstreams, .create_graph = true, .allow_unused = true});
  };
  return Checker("gradgradcheck", gradient, all, options, live.size()).run();
}

}  // namespace ebb
