#include "ebb/autograd/check/checker.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ebb/autograd/check/upstreams.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"

namespace ebb::detail {
namespace {

constexpr size_t kMaxLines = 8;
constexpr int kProjections = 2;  // in fast mode: a wrong one that passes both is unlikely
// The largest number of elements that full mode compares after fast mode has failed.
constexpr double kLargestJacobian = 1 << 20;

}  // namespace

void Checker::add_faults_of(const TensorFunction& f, const std::vector<Tensor>& inputs,
                            const std::vector<Tensor>& outputs) {
  const auto elsewhere = [](const Tensor& t) { return t.defined() && t.device() != Device::cpu(); };
  if (std::any_of(inputs.begin(), inputs.end(), elsewhere) ||
      std::any_of(outputs.begin(), outputs.end(), elsewhere))
    return;
  for (const std::string& fault : check_upstreams(f, inputs, outputs, options_.seed))
    faults_.push_back(fault);
}

GradcheckReport Checker::run() {
  check_inputs();
  outputs_ = f_(inputs_);
  if (outputs_.empty()) fail(op_, "the function returned no outputs");
  center_ = values_of(outputs_);
  if (!same_bits(center_, evaluate())) {
    problem(
        "the function gives two results for the same inputs: it draws random numbers or keeps a "
        "state; give it a "
        "generator with a fixed seed");
  } else {
    add_faults_of(f_, inputs_, outputs_);
    report_faults();
    if (options_.fast) check_projections();
    else check_elements();
  }
  if (report_.compared == 0 && report_.passed) {
    problem("nothing was compared: no input that requires grad, or no output element");
  } else {
    if (!options_.allow_zero) check_influence();
    if (report_.passed) check_scale();
  }
  finish();
  return report_;
}

void Checker::check_inputs() const {
  for (size_t i = 0; i < inputs_.size(); ++i) {
    const Tensor& x = inputs_[i];
    if (!x.defined() || !x.requires_grad()) continue;
    if (x.dtype() != DType::F64)
      fail(op_, "input ", i, " is ", x.dtype(), ": finite differences need f64");
    if (!x.is_leaf()) fail(op_, "input ", i, " ", x, " is not a leaf: detach() it");
    if (x.numel() == 0)
      fail(op_, "input ", i, " of shape ", x.shape(), " is empty: there is nothing to check");
  }
  const std::string shared = shared_memory(inputs_);
  if (!shared.empty()) fail(op_, shared, ": moving one would move another; clone() it");
}

Values Checker::evaluate() const {
  const std::vector<Tensor> outputs = f_(inputs_);
  if (outputs.size() != outputs_.size()) {
    fail(op_, "the function returned ", outputs_.size(), " outputs, and ", outputs.size(),
         " for other values of its inputs");
  }
  Values values = values_of(outputs);
  for (size_t o = 0; o < values.size(); ++o) {
    if (values[o].size() == center_[o].size()) continue;
    fail(op_, "output ", o, " had ", center_[o].size(), " elements, and ", values[o].size(),
         " for other values of the inputs");
  }
  return values;
}

void Checker::report_faults() {
  for (const std::string& fault : faults_) {
    wrong_ = true;
    problem(fault);
  }
}

void Checker::check_influence() {
  size_t checked = 0, zero = 0;
  for (size_t i = 0; i < own_; ++i) checked += is_checked(i);
  for (int i : report_.zero_inputs) zero += static_cast<size_t>(i) < own_;
  if (zero == 0 || (upstreams_ > 0 && zero < checked)) return;
  std::string which;
  for (int i : report_.zero_inputs) which += (which.empty() ? "" : ", ") + std::to_string(i);
  problem("vacuous: every analytic and every numeric gradient by input " + which +
          " is zero; choose inputs where the function varies, or set allow_zero");
}

void Checker::check_scale() {
  double center = 0;
  for (const auto& values : center_) {
    for (double v : values) center = std::fmax(center, std::fabs(v));
  }
  const double rounding = 16 * std::numeric_limits<double>::epsilon() * (1 + center) / options_.eps;
  double most = 0;
  std::string which;
  for (size_t i = 0; i < own_; ++i) {
    if (!is_checked(i) || most_[i] == 0) continue;
    if (options_.allow_zero && most_[i] <= rounding) continue;
    if (most_[i] > options_.atol) {
      if (upstreams_ > 0) return;
      continue;
    }
    which += (which.empty() ? "" : ", ") + std::to_string(i);
    most = std::fmax(most, most_[i]);
  }
  if (which.empty()) return;
  problem("every |numeric| by input " + which + " is below atol = " + to_text(options_.atol) +
          " (the largest is " + to_text(most) +
          "), so that any gradient would pass: scale the function, or pass a smaller atol");
}

// ---- every element ----

void Checker::check_elements() {
  // All analytic gradients come first, because changing an input in place makes the graph
  // unusable.
  std::vector<Jacobian> analytic(inputs_.size());
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (is_checked(i)) analytic[i] = analytic_jacobian(inputs_[i]);
  }
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (is_checked(i)) check_input(i, analytic[i]);
  }
}

void Checker::check_input(size_t i, const Jacobian& analytic) {
  bool depends = false;
  const int64_t n = inputs_[i].numel();
  for (int64_t j = 0; j < n; ++j) {
    const auto [above, below] = evaluate_beside(inputs_[i], j);
    for (size_t o = 0; o < outputs_.size(); ++o) {
      for (size_t k = 0; k < center_[o].size(); ++k) {
        const double slope = (above[o][k] - below[o][k]) / (2 * options_.eps);
        const double gradient =
            analytic[o].empty() ? 0
                                : analytic[o][k * static_cast<size_t>(n) + static_cast<size_t>(j)];
        depends |= slope != 0 || gradient != 0;
        compare({static_cast<int>(o), static_cast<int>(i), static_cast<int64_t>(k), j, gradient,
                 slope, 0},
                (above[o][k] - center_[o][k]) / options_.eps,
                (center_[o][k] - below[o][k]) / options_.eps);
      }
    }
  }
  if (!depends) report_.zero_inputs.push_back(static_cast<int>(i));
}

Checker::Jacobian Checker::analytic_jacobian(const Tensor& input) const {
  Jacobian jacobian(outputs_.size());
  for (size_t o = 0; o < outputs_.size(); ++o) {
    const Tensor& out = outputs_[o];
    if (!out.defined() || !out.requires_grad()) continue;
    for (int64_t k = 0; k < out.numel(); ++k) {
      Tensor one = zeros(out.shape(), {.dtype = out.dtype()});
      one.mutable_data<double>()[k] = 1;
      const Tensor row =
          grad(std::span(&out, 1), std::span(&input, 1),
               {.grad_outputs = {one}, .retain_graph = true, .allow_unused = true})[0];
      const std::vector<double> values =
          row.defined() ? row.to_vector<double>()
                        : std::vector<double>(static_cast<size_t>(input.numel()));
      jacobian[o].insert(jacobian[o].end(), values.begin(), values.end());
    }
  }
  return jacobian;
}

std::pair<Values, Values> Checker::evaluate_beside(const Tensor& x, int64_t j) {
  int64_t offset = 0, rest = j;
  for (int d = x.dim() - 1; d >= 0; --d) {
    offset += rest % x.shape()[d] * x.strides()[d];
    rest /= x.shape()[d];
  }
  RestoreInput input(x);
  double* element = input.input().mutable_data<double>() + offset;
  const double before = *element;
  *element = before + options_.eps;
  Values above = evaluate();
  *element = before - options_.eps;
  Values below = evaluate();
  return {std::move(above), std::move(below)};
}

// ---- random projections: u^T J v ----

void Checker::check_projections() {
  std::vector<Tensor> wanted, roots;
  std::vector<size_t> numbers;
  double elements = 0, output_elements = 0;
  for (size_t i = 0; i < inputs_.size(); ++i) {
    if (!is_checked(i)) continue;
    wanted.push_back(inputs_[i]);
    numbers.push_back(i);
    elements += static_cast<double>(inputs_[i].numel());
  }
  for (const Tensor& out : outputs_) {
    if (out.defined() && out.requires_grad()) roots.push_back(out);
  }
  for (const auto& values : center_) output_elements += static_cast<double>(values.size());
  if (wanted.empty() || output_elements == 0) return;
  Generator generator{options_.seed, 0};
  std::vector<Values> upstreams, gradients;  // of all projections, before an input changes
  for (int p = 0; p < kProjections; ++p) project(wanted, roots, generator, upstreams, gradients);
  std::vector<bool> zero(wanted.size(), true);
  for (int p = 0; p < kProjections; ++p) {
    for (size_t w = 0; w < wanted.size(); ++w) {
      zero[w] = compare_projection(wanted[w], numbers[w], upstreams[static_cast<size_t>(p)],
                                   gradients[static_cast<size_t>(p)][w], generator) &&
                zero[w];
    }
  }
  if (!report_.passed && elements * output_elements <= kLargestJacobian) {  // find the element
    report_ = {};
    lines_ = 0;
    report_faults();
    outputs_ = f_(inputs_);
    check_elements();
    if (report_.passed && faults_.empty())
      problem("projections differ, elements do not: eps, atol and rtol do not suit this function");
    return;
  }
  for (size_t w = 0; w < wanted.size(); ++w) {
    if (zero[w]) report_.zero_inputs.push_back(static_cast<int>(numbers[w]));
  }
}

void Checker::project(const std::vector<Tensor>& wanted, const std::vector<Tensor>& roots,
                      Generator& generator, std::vector<Values>& upstreams,
                      std::vector<Values>& gradients) const {
  std::vector<Tensor> seeds;
  upstreams.emplace_back();
  for (size_t o = 0; o < outputs_.size(); ++o) {
    upstreams.back().emplace_back();
    if (center_[o].empty()) continue;
    const Tensor u = randn(outputs_[o].shape(), {.dtype = DType::F64}, &generator);
    upstreams.back().back() = u.to_vector<double>();
    if (outputs_[o].requires_grad()) seeds.push_back(u.to(outputs_[o].dtype()));
  }
  std::vector<Tensor> found(wanted.size());
  if (!roots.empty()) {
    found =
        grad(roots, wanted, {.grad_outputs = seeds, .retain_graph = true, .allow_unused = true});
  }
  gradients.push_back(values_of(found));
}

bool Checker::compare_projection(const Tensor& x, size_t input, const Values& u,
                                 const std::vector<double>& gradient, Generator& generator) {
  const Tensor v = randn(x.shape(), {.dtype = DType::F64}, &generator);
  RestoreInput moved(x);
  moved.input().copy_(moved.before() + v * options_.eps);
  const Values above = evaluate();
  moved.input().copy_(moved.before() - v * options_.eps);
  const Values below = evaluate();
  double analytic = 0, right = 0, left = 0;
  const std::vector<double> direction = v.to_vector<double>();
  for (size_t i = 0; i < gradient.size(); ++i) analytic += gradient[i] * direction[i];
  for (size_t o = 0; o < u.size(); ++o) {
    for (size_t k = 0; k < u[o].size(); ++k) {
      right += u[o][k] * (above[o][k] - center_[o][k]) / options_.eps;
      left += u[o][k] * (center_[o][k] - below[o][k]) / options_.eps;
    }
  }
  compare({-1, static_cast<int>(input), -1, -1, analytic, (right + left) / 2, 0}, right, left);
  return analytic == 0 && right == 0 && left == 0;
}

// ---- the report ----

void Checker::compare(GradcheckFailure f, double right, double left) {
  ++report_.compared;
  double& most = most_[static_cast<size_t>(f.input)];
  most = std::fmax(most, std::fabs(f.numeric));
  const double error = std::fabs(f.analytic - f.numeric);
  // One-sided slopes of a smooth function differ by eps times its curvature.
  const bool kink =
      std::fabs(right - left) > std::sqrt(options_.eps) * (1 + std::fabs(right) + std::fabs(left));
  if (!kink && error <= options_.atol + options_.rtol * std::fabs(f.numeric)) {
    report_.max_error = std::max(report_.max_error, error);
    return;
  }
  f.relative_error =
      f.numeric == 0 ? std::numeric_limits<double>::infinity() : error / std::fabs(f.numeric);
  report_.failures.push_back(f);
  report_.max_error = std::isnan(error) ? error : std::max(report_.max_error, error);
  const std::string location = location_of(f);
  std::string text =
      location + ": analytic " + to_text(f.analytic) + ", numeric " + to_text(f.numeric);
  if (!std::isfinite(error))
    text += ": not finite; move the input to where the function is finite" + value_of(f);
  else if (kink) {
    text += ": a kink inside the step (slope " + to_text(left) + " left, " + to_text(right) +
            " right); move the input" + value_of(f) + " by more than " + to_text(options_.eps);
  } else {
    if (f.numeric != 0) text += ", relative error " + to_text(f.relative_error);
    wrong_ = true;
  }
  problem(text);
}

std::string Checker::location_of(const GradcheckFailure& f) const {
  const std::string input = " by input " + to_text(f.input);
  if (f.input_index < 0) return "a random projection of the outputs" + input;
  const auto output = static_cast<size_t>(f.output);
  return "output " + to_text(f.output) + " " + place_in(outputs_[output].shape(), f.output_index) +
         input + " " + place_in(inputs_[static_cast<size_t>(f.input)].shape(), f.input_index);
}

std::string Checker::value_of(const GradcheckFailure& f) const {
  if (f.input_index < 0) return "";
  const Tensor& x = inputs_[static_cast<size_t>(f.input)];
  return ", which is " + to_text(x.to_vector<double>()[static_cast<size_t>(f.input_index)]) + ",";
}

void Checker::problem(const std::string& text) {
  report_.passed = false;
  if (lines_++ < kMaxLines)
    report_.message.append(report_.message.empty() ? "" : "; ").append(text);
}

void Checker::finish() {
  if (lines_ > kMaxLines)
    report_.message += "; and " + std::to_string(lines_ - kMaxLines) + " more";
  if (wrong_ && options_.suspect) {
    outputs_.clear();
    try {
      report_.suspects = find_suspects(f_, inputs_, options_);
    } catch (const std::exception&) {  // the function may throw for perturbed values
    }
    for (size_t i = 0; i < report_.suspects.size() && i < 3; ++i) {
      report_.message += (i ? " or " : "; suspect: ") + report_.suspects[i];
    }
  }
  if (!report_.passed && options_.raise) fail(op_, report_.message);
}

}  // namespace ebb::detail
