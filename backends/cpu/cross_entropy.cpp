// Cross-entropy over class indices: computes loss and gradient of a row together.
//
// Layout: input (N, C, inner) contiguous. If inner = 1, rows are read in place, and short rows in
// blocks. If inner > 1, the classes of each position are first copied into a row. Each row is
// passed over three times in cache: maximum, exponentials (written to the gradient), scale.
// Parallel over positions; the total is summed in f64, in an order that does not depend on the
// number of threads. Traffic: the input is read once and the gradient written once.
#include <cmath>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

constexpr double kNearlyOne = 1 + 1e-6;

// Computes gradient = factor (A softmax - a). On entry gradient contains e^(x - max).
template <class T>
EBB_MULTIVERSION void smooth_gradient(T* gradient, T softmax_factor, T share, const T* weight,
                                      int64_t n) {
  if (weight) {
EBB_INDEPENDENT
    for (int64_t c = 0; c < n; ++c) gradient[c] = gradient[c] * softmax_factor - share * weight[c];
  } else {
EBB_INDEPENDENT
    for (int64_t c = 0; c < n; ++c) gradient[c] = gradient[c] * softmax_factor - share;
  }
}

template <class T>
EBB_MULTIVERSION void short_exp(const T* x, int64_t rows, int64_t n, T* e, T* top, double* sum,
                                double* log_sum) {
  exp_short_rows(x, rows, n, e, top, sum, log_sum);
}

// Returns sum_c w_c (x_c - shift).
template <class T> double weighted_sum(const T* x, T shift, const T* weight, int64_t n) {
  double total = 0;
  for (int64_t c = 0; c < n; ++c)
    total += static_cast<double>((weight ? weight[c] : T(1)) * (x[c] - shift));
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
    for (int64_t c = 0; c < classes_; ++c)
      weight_sum_ += weight_ ? static_cast<double>(weight_[c]) : 1;
    if (args.mean) scale_ = 1 / selected_weight();
  }

  void run() {
    const int64_t grain = row_grain(classes_);
    const int64_t chunks = (positions_ + grain - 1) / grain;
    const Temporary<double> totals(chunks);
    parallel_for(positions_, grain, [&](int64_t begin, int64_t end) {
      const bool few = classes_ > 0 && classes_ <= kShortRow;
      totals[begin / grain] = inner_ > 1 ? strided(begin, end)
                              : few      ? short_rows(begin, end)
                                         : long_rows(begin, end);
    });
    if (!args_.total) return;
    double total = 0;
    for (int64_t c = 0; c < chunks; ++c) total += totals[c];
    // If the weights sum to 0, the mean is NaN, even if label smoothing makes the total nonzero.
    *reinterpret_cast<T*>(args_.total->raw()) =
        static_cast<T>(std::isinf(scale_) ? 0 * scale_ : total * scale_);
  }

 private:
  int64_t target(int64_t i) const {
    return args_.target->dtype() == DType::I64
               ? reinterpret_cast<const int64_t*>(args_.target->raw())[i]
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

  // Each of these functions computes positions begin .. end and returns the sum of their losses.
  double long_rows(int64_t begin, int64_t end) const {
    double total = 0;
    for (int64_t i = begin; i < end; ++i) {
      total += position(i, input_ + i * classes_, gradient_ ? gradient_ + i * classes_ : nullptr);
    }
    return total;
  }

  double short_rows(int64_t begin, int64_t end) const {
    T unwanted[kShortBlock], top[kShortRows];
    double sum[kShortRows], log_sum[kShortRows];
    const int64_t step = cpu::short_rows(classes_);
    double total = 0;
    for (int64_t at = begin; at < end; at += step) {
      const int64_t rows = std::min(step, end - at);
      const T* x = input_ + at * classes_;
      T* e = gradient_ ? gradient_ + at * classes_ : unwanted;
      short_exp(x, rows, classes_, e, top, sum, log_sum);
      for (int64_t r = 0; r < rows; ++r) {
        T* gradient = gradient_ ? e + r * classes_ : nullptr;
        total += finish(at + r, x + r * classes_, {top[r], sum[r], log_sum[r]}, gradient);
      }
    }
    return total;
  }

  double strided(int64_t begin, int64_t end) const {
    const Temporary<T> row(classes_), row_gradient(classes_);
    double total = 0;
    for (int64_t i = begin; i < end; ++i) {
      const int64_t base = i / inner_ * classes_ * inner_ + i % inner_;
      for (int64_t c = 0; c < classes_; ++c) row[c] = input_[base + c * inner_];
      total += position(i, row.data(), gradient_ ? row_gradient.data() : nullptr);
      if (!gradient_) continue;
      for (int64_t c = 0; c < classes_; ++c) gradient_[base + c * inner_] = row_gradient[c];
    }
    return total;
  }

  double position(int64_t i, const T* x, T* gradient) const {
    const T top = row_max(x, classes_);
    const double sum =
        gradient ? row_exp(x, top, classes_, gradient) : row_exp_sum(x, top, classes_);
    return finish(i, x, {top, sum, std::log(sum)}, gradient);
  }

  struct RowSums {
    T top;
    double sum, log_sum;  // the sum of e^(x - top), and its log
  };

  // Stores the loss of position i and returns it. Computes its gradient from e^(x - top) if
  // requested.
  double finish(int64_t i, const T* x, const RowSums& row, T* gradient) const {
    const int64_t t = target(i);
    if (t == args_.ignore_index) {
      if (gradient) std::fill_n(gradient, classes_, T(0));
      if (losses_) losses_[i] = T(0);
      return 0;
    }
    const double smoothing = args_.label_smoothing, hit = (1 - smoothing) * weight_of(t);
    const double share = smoothing / static_cast<double>(classes_);
    double log_sum = row.log_sum;
    if (row.sum < kNearlyOne && x[t] == row.top) {  // in 1 + the others, the others lose digits
      log_sum = std::log1p(row_exp_sum(x, row.top, t) +
                           row_exp_sum(x + t + 1, row.top, classes_ - t - 1));
    }
    double loss = -hit * (static_cast<double>(x[t] - row.top) - log_sum);
    if (smoothing > 0)
      loss -= share * (weighted_sum(x, row.top, weight_, classes_) - weight_sum_ * log_sum);
    if (losses_) losses_[i] = static_cast<T>(loss);
    if (!gradient) return loss;
    const bool sure = 2 * static_cast<double>(gradient[t]) > row.sum;
    const double factor = scale_ * (upstream_ ? static_cast<double>(upstream_[i]) : 1);
    const T softmax_factor = static_cast<T>(factor * (hit + share * weight_sum_) / row.sum);
    if (smoothing > 0) {
      smooth_gradient(gradient, softmax_factor, static_cast<T>(factor * share), weight_, classes_);
    } else if (classes_ <= kShortRow) {
      // Inline, because a call would take longer than the work.
      for (int64_t c = 0; c < classes_; ++c) gradient[c] *= softmax_factor;
    } else {
      row_scale(gradient, softmax_factor, classes_);
    }
    gradient[t] -= static_cast<T>(factor * hit);
    // The gradients of a row sum to 0. If p_t is near 1, p_t - 1 loses digits, but the others do
    // not.
    if (sure && std::isfinite(factor)) {
      gradient[t] = T(0);
      gradient[t] = static_cast<T>(0 - row_sum(gradient, classes_));
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
  if (args.losses || args.total)
    check_indices("cross_entropy", *args.target, args.input->shape()[1], args.ignore_index);
  dispatch_floating(args.input->dtype(), [&]<class T>(T) { CrossEntropy<T>(args).run(); });
}

}  // namespace ebb::cpu
