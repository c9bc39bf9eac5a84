// L-BFGS: a quasi-Newton method for whole batches.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "ebb/nn/optim/optimizer_base.h"

namespace ebb::nn {

enum class LineSearch { None, StrongWolfe };

struct LBFGSOptions {
  double lr = 1;
  int64_t max_iter = 20;                 ///< iterations of one step()
  std::optional<int64_t> max_eval = {};  ///< evaluations of one step(), or max_iter * 5 / 4
  double tolerance_grad = 1e-7;          ///< stops when no |gradient| is larger
  double tolerance_change = 1e-9;        ///< stops when parameters or loss change by less
  int64_t history_size = 100;
  LineSearch line_search_fn = LineSearch::None;
  bool maximize = false;
};

/// Minimizes a function whose value and gradients a closure computes, with the curvature of the
/// last history_size steps (Nocedal and Wright, Algorithm 7.4). torch.optim.LBFGS, with its line
/// search (strong Wolfe conditions).
///
///     nn::LBFGS optimizer(model.named_parameters(),
///                         {.line_search_fn = nn::LineSearch::StrongWolfe});
///     optimizer.step([&] {
///       optimizer.zero_grad();
///       Tensor loss = nn::mse_loss(model(x), target);
///       loss.backward();
///       return loss;
///     });
///
/// A step evaluates the closure several times and reads losses on the host. It therefore cannot be
/// captured, and the closure must compute the same function each time. Parameters that do not
/// require grad at construction are not changed. The state consists of vectors over all parameters,
/// so freezing or thawing one of them later is an Error. Not thread-safe.
class LBFGS {
 public:
  /// Throws Error as other optimizers do, for dtypes that differ, and for options out of range.
  explicit LBFGS(std::vector<NamedTensor> parameters, LBFGSOptions options = {});
  explicit LBFGS(const std::vector<Tensor>& parameters, LBFGSOptions options = {})
      : LBFGS(numbered(parameters), options) {}

  /// Makes up to max_iter iterations and returns the loss of the first evaluation. Throws Error
  /// that names a parameter which received no gradient or cannot be updated. The parameters then
  /// have the values of the last evaluation.
  Tensor step(const std::function<Tensor()>& closure);
  /// Clears the gradients of all parameters.
  void zero_grad();

  double lr() const { return options_.lr; }
  /// Throws Error unless lr is finite and at least 0.
  void set_lr(double lr);
  /// Returns the number of evaluations and of iterations so far.
  int64_t func_evals() const { return func_evals_; }
  int64_t n_iter() const { return n_iter_; }

  /// Returns the state for a checkpoint: counts, the last direction, gradient and step, and the
  /// history.
  std::vector<NamedTensor> state_dict() const;
  /// Restores a state. Throws Error if a name, size, dtype or count does not fit, and changes
  /// nothing then.
  void load_state_dict(const std::vector<NamedTensor>& state);

 private:
  struct Point {
    double loss;
    Tensor gradient;
    double slope;  // along the direction
  };
  struct Found {
    Point point;
    double t;
    int64_t evaluations;
  };
  struct Pair {
    Tensor y, s;
    double rho;
  };
  void check() const;
  Tensor flat_gradient() const;
  double evaluate(const std::function<Tensor()>& closure, Tensor* loss = nullptr);
  Point evaluate_at(const std::function<Tensor()>& closure, const std::vector<Tensor>& x, double t);
  Found strong_wolfe(const std::function<Tensor()>& closure, double t, const Point& start,
                     int64_t most);
  void move(double t);
  void new_direction(const Tensor& gradient);
  void remember(const Tensor& gradient);

  std::vector<std::string> names_;
  std::vector<Tensor> params_;
  std::vector<Shape> shapes_;
  std::vector<Tensor> frozen_;
  int64_t numel_ = 0;
  LBFGSOptions options_;
  int64_t func_evals_ = 0, n_iter_ = 0;
  Tensor d_, previous_gradient_;  // vectors over all parameters
  double t_ = 0, h_diag_ = 1;
  std::vector<Pair> history_;
};

}  // namespace ebb::nn
