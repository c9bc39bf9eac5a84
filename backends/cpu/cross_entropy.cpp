// Cross-entropy over class indices: loss and gradient of a row in one visit.
//
// Layout: input (N, C, inner) contiguous; inner = 1 works on the rows where they lie, inner > 1 copies each position's
// classes into a row first. Passes over a row in cache: maximum, exponentials (into the gradient), scale. Parallel over
// positions; the total is summed in f64 in an order that does not depend on threads.
// Traffic: the input read once, the gradient written once.
#include <cmath>
#include <vector>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"

namespace ebb::cpu {
namespace {

// gradient = factor (A softmax - a), where gradient holds e^(x - max) on entry.
template <class T>
EBB_MULTIVERSION void smooth_gradient(T* gradient, T softmax_factor, T share, const T* weight, int64_t n) {
  if (weight) {
#pragma GCC ivdep
    for (int64_t c = 0; c < n; ++c) gradient[c] = gradient[c] * softmax_factor - share * weight[c];
  } else {
#pragma GCC ivdep
    for (int64_t c = 0; c < n; ++c) gradient[c] = gradient[c] * softmax_factor - share;
  }
}

// sum_c w_c (x_c - shift)
template <class T> double weighted_sum(const T* x, T shift, const T* weight, int64_t n) {
  double total = 0;
  for (int64_t c = 0; c < n; ++c) total += static_cast<double>((weight ? weight[c] : T(1)) * (x[c] - shift));
  return total;
}

template <class T> class CrossEntropy {
 public:
  explicit CrossEntropy(const CrossEntropyArgs& args)
      : args_(args),
        positions_(args.target->numel()),
        classes_(args.input->shape()[1]),
        inner_(args.input->dim() > 2 ? args.input->shape()[2] : 1),
        input_(reinterpret_cast<const T*>(args.input->raw())),
        weight_(args.weight ? reinterpret_cast<const T*>(args.weight->raw()) : nullptr),
        upstream_(args.upstream ? reinterpret_cast<const T*>(args.upstream->raw()) : nullptr),
        gradient_(args.gradient ? reinterpret_cast<T*>(args.gradient->raw()) : nullptr),
        losses_(args.losses ? reinterpret_cast<T*>(args.losses->raw()) : nullptr) {
    for (int64_t c = 0; c < classes_; ++c) weight_sum_ += weight_ ? static_cast<double>(weight_[c]) : 1;
    if (args.mean) scale_ = 1 / selected_weight();
  }

  void run() {
    const int64_t grain = row_grain(classes_);
    std::vector<double> totals(args_.total ? static_cast<size_t>((positions_ + grain - 1) / grain) : 0);
    parallel_for(positions_, grain, [&](int64_t begin, int64_t end) {
      double total = 0;
      std::vector<T> row(inner_ > 1 ? static_cast<size_t>(classes_) : 0), row_gradient(row.size());
      for (int64_t i = begin; i < end; ++i) {
        const double loss = inner_ == 1 ? at_row(i) : at_strided(i, row.data(), row_gradient.data());
        if (losses_) losses_[i] = static_cast<T>(loss);
        total += loss;
      }
      if (args_.total) totals[static_cast<size_t>(begin / grain)] = total;
    });
    if (!args_.total) return;
    double total = 0;
    for (double t : totals) total += t;
    // Weights that sum to 0 leave no mean: NaN, also where smoothing makes the total other than 0.
    *reinterpret_cast<T*>(args_.total->raw()) = static_cast<T>(std::isinf(scale_) ? 0 * scale_ : total * scale_);
  }

 private:
  int64_t target(int64_t i) const {
    return args_.target->dtype() == DType::I64 ? reinterpret_cast<const int64_t*>(args_.target->raw())[i]
                                               : reinterpret_cast<const uint8_t*>(args_.target->raw())[i];
  }
  double weight_of(int64_t c) const { return weight_ ? static_cast<double>(weight_[c]) : 1; }

  double selected_weight() const {
    double total = 0;
    for (int64_t i = 0; i < positions_; ++i) {
      if (target(i) != args_.ignore_index) total += weight_of(target(i));
    }
    return total;
  }

  double at_row(int64_t i) const {
    return position(i, input_ + i * classes_, gradient_ ? gradient_ + i * classes_ : nullptr);
  }

  double at_strided(int64_t i, T* row, T* row_gradient) const {
    const int64_t base = i / inner_ * classes_ * inner_ + i % inner_;
    for (int64_t c = 0; c < classes_; ++c) row[c] = input_[base + c * inner_];
    const double loss = position(i, row, gradient_ ? row_gradient : nullptr);
    if (gradient_) {
      for (int64_t c = 0; c < classes_; ++c) gradient_[base + c * inner_] = row_gradient[c];
    }
    return loss;
  }

  // Loss of position i, unscaled; its gradient, scaled, where wanted.
  double position(int64_t i, const T* x, T* gradient) const {
    const int64_t t = target(i);
    if (t == args_.ignore_index) {
      if (gradient) std::fill_n(gradient, classes_, T(0));
      return 0;
    }
    const T top = row_max(x, classes_);
    const double sum = gradient ? row_exp(x, top, classes_, gradient) : row_exp_sum(x, top, classes_);
    const double log_sum = std::log(sum);
    const double smoothing = args_.label_smoothing, hit = (1 - smoothing) * weight_of(t);
    const double share = smoothing / static_cast<double>(classes_);
    double loss = -hit * (static_cast<double>(x[t] - top) - log_sum);
    if (smoothing > 0) loss -= share * (weighted_sum(x, top, weight_, classes_) - weight_sum_ * log_sum);
    if (gradient) {
      const bool sure = 2 * static_cast<double>(gradient[t]) > sum;
      const double factor = scale_ * (upstream_ ? static_cast<double>(upstream_[i]) : 1);
      const T softmax_factor = static_cast<T>(factor * (hit + share * weight_sum_) / sum);
      if (smoothing > 0) {
        smooth_gradient(gradient, softmax_factor, static_cast<T>(factor * share), weight_, classes_);
      } else {
        row_scale(gradient, softmax_factor, classes_);
      }
      gradient[t] -= static_cast<T>(factor * hit);
      // A row's gradients add up to 0. Where p_t is near 1, p_t - 1 has lost its digits, but the others have not.
      if (sure && std::isfinite(factor)) {
        gradient[t] = T(0);
        gradient[t] = static_cast<T>(0 - row_sum(gradient, classes_));
      }
    }
    return loss;
  }

  const CrossEntropyArgs& args_;
  int64_t positions_, classes_, inner_;
  const T* input_;
  const T* weight_;
  const T* upstream_;
  T* gradient_;
  T* losses_;
  double weight_sum_ = 0;
  double scale_ = 1;
};

}  // namespace

void cross_entropy(const CrossEntropyArgs& args) {
  dispatch_floating(args.input->dtype(), [&]<class T>(T) { CrossEntropy<T>(args).run(); });
}

}  // namespace ebb::cpu
