#include "ebb/nn/optim/lbfgs.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kOp = "LBFGS";
constexpr std::string_view kState = "LBFGS state";

double dot(const Tensor& a, const Tensor& b) { return sum(a * b).item(); }
double largest(const Tensor& x) { return x.numel() == 0 ? 0 : amax(abs(x)).item(); }

// Returns the minimum of the cubic with two values and slopes, within bounds.
double cubic_minimum(double x1, double f1, double g1, double x2, double f2, double g2, double low,
                     double high) {
  const double d1 = g1 + g2 - 3 * (f1 - f2) / (x1 - x2);
  const double square = d1 * d1 - g1 * g2;
  if (!(square >= 0)) return (low + high) / 2;
  const double d2 = std::sqrt(square);
  const double at = x1 <= x2 ? x2 - (x2 - x1) * ((g2 + d2 - d1) / (g2 - g1 + 2 * d2))
                             : x1 - (x1 - x2) * ((g1 + d2 - d1) / (g1 - g2 + 2 * d2));
  return std::min(std::max(at, low), high);
}

}  // namespace

LBFGS::LBFGS(std::vector<NamedTensor> parameters, LBFGSOptions options) : options_(options) {
  const LBFGSOptions& o = options_;
  set_lr(o.lr);
  if (o.max_iter < 1 || o.max_eval.value_or(1) < 1 || o.history_size < 1) {
    fail(kOp, "expected max_iter, max_eval and history_size of at least 1, got ", o.max_iter, ", ",
         o.max_eval.value_or(1), " and ", o.history_size);
  }
  if (!(o.tolerance_grad >= 0) || !(o.tolerance_change >= 0)) {
    fail(kOp, "expected tolerances of at least 0, got ", o.tolerance_grad, " and ",
         o.tolerance_change);
  }
  std::map<const TensorImpl*, std::string_view> tensors;
  for (const auto& [name, p] : parameters) {
    check_defined(kOp, p);
    const auto [earlier, is_new] = tensors.emplace(p.impl(), name);
    if (!is_new) fail(kOp, "parameter ", name, " is the same tensor as ", earlier->second);
    if (!p.requires_grad()) {
      frozen_.push_back(p);
      continue;
    }
    names_.push_back(name);
    params_.push_back(p);
    shapes_.push_back(p.shape());
    numel_ += p.numel();
  }
  if (params_.empty()) fail(kOp, "got no parameter that requires grad");
  check();
}

void LBFGS::set_lr(double lr) {
  if (!(lr >= 0) || !std::isfinite(lr))
    fail(kOp, "expected a learning rate of at least 0, got ", lr);
  options_.lr = lr;
}

void LBFGS::check() const {
  for (size_t k = 0; k < params_.size(); ++k) {
    const Tensor& p = params_[k];
    const auto refuse = [&](const auto&... why) {
      fail(kOp, "parameter ", names_[k], " ", why...);
    };
    if (!p.requires_grad()) refuse("was frozen: make a new optimizer for what is left");
    if (!p.is_leaf()) refuse("of shape ", p.shape(), " is the result of an op, not a leaf");
    if (!(p.shape() == shapes_[k])) refuse("has shape ", p.shape(), " now, expected ", shapes_[k]);
    if (!p.is_contiguous()) refuse("of shape ", p.shape(), " is not contiguous");
    if (p.device() != params_[0].device() || p.dtype() != params_[0].dtype())
      refuse("is ", p, ", but ", names_[0], " is ", params_[0], ": expected one device and dtype");
  }
  for (const Tensor& p : frozen_) {
    if (p.requires_grad()) fail(kOp, p, " was thawed: make a new optimizer that updates it");
  }
}

void LBFGS::zero_grad() {
  for (const Tensor& p : params_) {
    if (p.requires_grad()) p.set_grad({});
  }
}

Tensor LBFGS::flat_gradient() const {
  std::vector<Tensor> parts;
  for (size_t k = 0; k < params_.size(); ++k) {
    const Tensor g = params_[k].grad();
    if (!g.defined()) {
      fail(kOp, "parameter ", names_[k], " of shape ", shapes_[k],
           " received no gradient: the loss does not reach it (freeze it with "
           "requires_grad_(false) before the optimizer is made if that is meant)");
    }
    parts.push_back(reshape(g.detach(), {g.numel()}));
  }
  const Tensor flat = cat(parts, 0);
  return options_.maximize ? -flat : flat;
}

// Returns the loss with the sign that is minimized, and stores its gradients in the parameters.
double LBFGS::evaluate(const std::function<Tensor()>& closure, Tensor* loss) {
  Tensor value;
  {
    const GradMode recording(true);
    value = closure();
  }
  check_defined(kOp, value);
  if (value.numel() != 1) fail(kOp, "expected a loss of one element, got ", value);
  ++func_evals_;
  if (loss) *loss = value.detach();
  return value.item() * (options_.maximize ? -1 : 1);
}

// p = p + t d.
void LBFGS::move(double t) {
  int64_t at = 0;
  for (Tensor& p : params_) {
    const int64_t n = p.numel();
    p.add_(reshape(slice(d_, 0, at, at + n), p.shape()), t);
    at += n;
  }
}

LBFGS::Point LBFGS::evaluate_at(const std::function<Tensor()>& closure,
                                const std::vector<Tensor>& x, double t) {
  move(t);
  const double loss = evaluate(closure);
  const Tensor gradient = flat_gradient();
  for (size_t k = 0; k < params_.size(); ++k) params_[k].copy_(x[k]);
  return {loss, gradient, dot(gradient, d_)};
}

// Finds a step that satisfies the strong Wolfe conditions: first an interval that contains one, and
// then a point in this interval.
LBFGS::Found LBFGS::strong_wolfe(const std::function<Tensor()>& closure, double t,
                                 const Point& start, int64_t most) {
  constexpr double c1 = 1e-4, c2 = 0.9;
  std::vector<Tensor> x;
  for (const Tensor& p : params_) x.push_back(p.detach().clone());
  struct End {
    double t;
    Point point;
  };
  const double length = largest(d_);
  Point now = evaluate_at(closure, x, t);
  int64_t evaluations = 1, iteration = 0;
  const auto is_flat = [&](const Point& p) { return std::fabs(p.slope) <= -c2 * start.slope; };
  const auto rises = [&](double at, const Point& p) {
    return p.loss > start.loss + c1 * at * start.slope;
  };
  End before{0, start};
  std::vector<End> bracket;
  bool done = false;
  for (; iteration < most; ++iteration) {
    if (rises(t, now) || (iteration > 1 && now.loss >= before.point.loss)) {
      bracket = {before, {t, now}};
      break;
    }
    if (is_flat(now)) {
      bracket = {{t, now}};
      done = true;
      break;
    }
    if (now.slope >= 0) {
      bracket = {before, {t, now}};
      break;
    }
    const double least = t + 0.01 * (t - before.t), longest = t * 10;
    const double next = cubic_minimum(before.t, before.point.loss, before.point.slope, t, now.loss,
                                      now.slope, least, longest);
    before = {t, now};
    t = next;
    now = evaluate_at(closure, x, t);
    ++evaluations;
  }
  if (iteration == most) bracket = {{0, start}, {t, now}};

  bool insufficient = false;
  // A bracket of one point is a result.
  size_t low = bracket.size() == 1 || bracket[0].point.loss <= bracket[1].point.loss ? 0 : 1;
  size_t high = 1 - low;
  while (!done && iteration < most) {
    const double left = std::min(bracket[0].t, bracket[1].t);
    const double right = std::max(bracket[0].t, bracket[1].t);
    if ((right - left) * length < options_.tolerance_change) break;
    t = cubic_minimum(bracket[0].t, bracket[0].point.loss, bracket[0].point.slope, bracket[1].t,
                      bracket[1].point.loss, bracket[1].point.slope, left, right);
    // A point near an end twice in a row, or at it, is moved inside.
    const double margin = 0.1 * (right - left);
    if (std::min(right - t, t - left) < margin) {
      if (insufficient || t >= right || t <= left) {
        t = std::fabs(t - right) < std::fabs(t - left) ? right - margin : left + margin;
        insufficient = false;
      } else {
        insufficient = true;
      }
    } else {
      insufficient = false;
    }
    now = evaluate_at(closure, x, t);
    ++evaluations;
    ++iteration;
    if (rises(t, now) || now.loss >= bracket[low].point.loss) {
      bracket[high] = {t, now};
      low = bracket[0].point.loss <= bracket[1].point.loss ? 0 : 1;
      high = 1 - low;
      continue;
    }
    if (is_flat(now)) done = true;
    else if (now.slope * (bracket[high].t - bracket[low].t) >= 0) bracket[high] = bracket[low];
    bracket[low] = {t, now};
  }
  return {bracket[low].point, bracket[low].t, evaluations};
}

// Appends the last step and the change of the gradient to the history, if the curvature along it is
// positive.
void LBFGS::remember(const Tensor& gradient) {
  const Tensor y = gradient - previous_gradient_, s = d_ * t_;
  const double ys = dot(y, s);
  if (!(ys > 1e-10)) return;
  if (static_cast<int64_t>(history_.size()) == options_.history_size)
    history_.erase(history_.begin());
  history_.push_back({y, s, 1 / ys});
  h_diag_ = ys / dot(y, y);
}

// Computes d = -H g, where the history defines the inverse Hessian H.
void LBFGS::new_direction(const Tensor& gradient) {
  Tensor q = -gradient;
  std::vector<double> alpha(history_.size());
  for (size_t i = history_.size(); i-- > 0;) {
    alpha[i] = dot(history_[i].s, q) * history_[i].rho;
    q.add_(history_[i].y, -alpha[i]);
  }
  q.mul_(h_diag_);
  for (size_t i = 0; i < history_.size(); ++i) {
    const double beta = dot(history_[i].y, q) * history_[i].rho;
    q.add_(history_[i].s, alpha[i] - beta);
  }
  d_ = q;
}

Tensor LBFGS::step(const std::function<Tensor()>& closure) {
  const NoGrad guard;
  check();
  for (Tensor* t : {&d_, &previous_gradient_}) {  // follow the parameters
    if (t->defined()) *t = t->to(params_[0].device()).to(params_[0].dtype());
  }
  for (Pair& pair : history_) {
    for (Tensor* t : {&pair.y, &pair.s}) *t = t->to(params_[0].device()).to(params_[0].dtype());
  }
  const LBFGSOptions& o = options_;
  const int64_t most_evaluations = o.max_eval.value_or(o.max_iter * 5 / 4);
  Tensor first_loss;
  double loss = evaluate(closure, &first_loss);
  int64_t evaluations = 1;
  Tensor gradient = flat_gradient();
  if (largest(gradient) <= o.tolerance_grad) return first_loss;
  for (int64_t i = 1; i <= o.max_iter; ++i) {
    if (++n_iter_ == 1) {
      d_ = -gradient;
      history_.clear();
      h_diag_ = 1;
    } else {
      remember(gradient);
      new_direction(gradient);
    }
    previous_gradient_ = gradient;
    const double previous_loss = loss;
    t_ = n_iter_ == 1 ? std::min(1.0, 1 / sum(abs(gradient)).item()) * o.lr : o.lr;
    const double slope = dot(gradient, d_);
    if (slope > -o.tolerance_change) break;
    int64_t used = 0;
    bool is_small = false;
    if (o.line_search_fn == LineSearch::StrongWolfe) {
      const Found found =
          strong_wolfe(closure, t_, {loss, gradient, slope}, most_evaluations - evaluations);
      loss = found.point.loss;
      gradient = found.point.gradient;
      t_ = found.t;
      used = found.evaluations;
      move(t_);
      is_small = largest(gradient) <= o.tolerance_grad;
    } else {
      move(t_);
      if (i != o.max_iter) {  // the next step() evaluates at the last point
        loss = evaluate(closure);
        gradient = flat_gradient();
        is_small = largest(gradient) <= o.tolerance_grad;
        used = 1;
      }
    }
    evaluations += used;
    if (i == o.max_iter || evaluations >= most_evaluations || is_small) break;
    if (largest(d_) * std::fabs(t_) <= o.tolerance_change) break;
    if (std::fabs(loss - previous_loss) < o.tolerance_change) break;
  }
  for (const Tensor& p : params_) p.impl()->storage->bump_version();
  return first_loss;
}

// ---- state ----

std::vector<NamedTensor> LBFGS::state_dict() const {
  const auto like = [&](const Tensor& t) {
    return t.defined()
               ? t.to(params_[0].device()).to(params_[0].dtype())
               : zeros({numel_}, {.dtype = params_[0].dtype(), .device = params_[0].device()});
  };
  const auto kept = static_cast<int64_t>(history_.size());
  std::vector<double> rho;
  std::vector<Tensor> y, s;
  for (const Pair& pair : history_) {
    rho.push_back(pair.rho);
    y.push_back(like(pair.y));
    s.push_back(like(pair.s));
  }
  const Tensor none =
      zeros({0, numel_}, {.dtype = params_[0].dtype(), .device = params_[0].device()});
  return {{"counts", from_data(std::vector<int64_t>{func_evals_, n_iter_, kept}, {3})},
          {"scalars", from_data(std::vector<double>{t_, h_diag_}, {2})},
          {"d", like(d_)},
          {"prev_flat_grad", like(previous_gradient_)},
          {"ro", from_data(rho, {kept})},
          {"old_dirs", y.empty() ? none : stack(y, 0)},
          {"old_stps", s.empty() ? none : stack(s, 0)}};
}

void LBFGS::load_state_dict(const std::vector<NamedTensor>& state) {
  const NoGrad guard;
  int64_t kept = 0;
  for (const auto& [name, tensor] : state) {
    if (name == "ro") kept = tensor.numel();
  }
  if (kept > options_.history_size) {
    fail(kOp, "the state has a history of ", kept, " steps, expected at most ",
         options_.history_size);
  }
  const TensorOptions like{.dtype = params_[0].dtype(), .device = params_[0].device()};
  const std::vector<NamedTensor> target = {{"counts", zeros({3}, {.dtype = DType::I64})},
                                           {"scalars", zeros({2}, {.dtype = DType::F64})},
                                           {"d", zeros({numel_}, like)},
                                           {"prev_flat_grad", zeros({numel_}, like)},
                                           {"ro", zeros({kept}, {.dtype = DType::F64})},
                                           {"old_dirs", zeros({kept, numel_}, like)},
                                           {"old_stps", zeros({kept, numel_}, like)}};
  load_state(target, state, kState);
  const std::vector<int64_t> counts = target[0].second.to_vector<int64_t>();
  const std::vector<double> scalars = target[1].second.to_vector<double>(),
                            rho = target[4].second.to_vector<double>();
  if (counts[0] < 0 || counts[1] < 0 || counts[2] != kept)
    fail(kOp, "the state's counts are out of range: ", counts[0], ", ", counts[1], ", ", counts[2]);
  func_evals_ = counts[0];
  n_iter_ = counts[1];
  t_ = scalars[0];
  h_diag_ = scalars[1];
  d_ = n_iter_ > 0 ? target[2].second : Tensor();
  previous_gradient_ = n_iter_ > 0 ? target[3].second : Tensor();
  history_.clear();
  for (int64_t i = 0; i < kept; ++i) {
    history_.push_back(
        {target[5].second[i].clone(), target[6].second[i].clone(), rho[static_cast<size_t>(i)]});
  }
}

}  // namespace ebb::nn
