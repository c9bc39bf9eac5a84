// The loops of autograd/ops/recurrent.cpp: where the rows of each step are, the rows before them,
// and calls of the backend that write into place. Nothing here is recorded.
#pragma once

#include <vector>

#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/recurrent.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {

/// Rows `start ... start + count - 1` of a packed matrix.
struct StepRows {
  int64_t start, count;
  /// Returns them as a view of x, which is contiguous.
  Tensor of(const Tensor& x) const {
    const int64_t width = x.shape()[1];
    return make_view(x, {count, width}, {width, 1}, start * width);
  }
};

/// The steps in the order in which they are computed: step at(0), at(1) ...
class StepList {
 public:
  explicit StepList(const SequenceSteps& steps)
      : sizes_(steps.batch_sizes), reverse_(steps.reverse) {
    int64_t row = 0;
    for (int64_t size : sizes_) {
      starts_.push_back(row);
      row += size;
    }
  }
  size_t count() const { return sizes_.size(); }
  size_t at(size_t i) const { return reverse_ ? count() - 1 - i : i; }
  StepRows rows(size_t i) const { return {starts_[at(i)], sizes_[at(i)]}; }
  const std::vector<int64_t>& sizes() const { return sizes_; }
  const std::vector<int64_t>& starts() const { return starts_; }
  bool reverse() const { return reverse_; }
  /// Returns the number of sequences.
  int64_t most() const { return sizes_.empty() ? 0 : sizes_[0]; }

 private:
  std::vector<int64_t> sizes_, starts_;
  bool reverse_;
};

/// The states in front of each step, taken from the states of all rows and the first ones.
class PreviousRows {
 public:
  PreviousRows(const Tensor& states, const Tensor& first, const StepList& steps)
      : states_(states), first_(first), steps_(steps) {}

  /// Returns the states before the i-th step: a view, or a copy where sequences start here.
  Tensor at(size_t i) const {
    const int64_t rows = steps_.rows(i).count;
    const int64_t known = i == 0 ? 0 : std::min(rows, steps_.rows(i - 1).count);
    if (known == 0) return front(first_, rows);
    const Tensor before = StepRows{steps_.rows(i - 1).start, known}.of(states_);
    if (known == rows) return before;
    return cat({before, slice(first_, 0, known, rows)});
  }
  /// Returns the states before all rows, in the order of the rows.
  Tensor all() const {
    const size_t n = steps_.count();
    if (n == 0 || steps_.most() == 0) return front(first_, 0);
    const int64_t rows = states_.shape()[0], last = rows - steps_.most();
    if (steps_.sizes().back() == steps_.most()) {  // equal lengths
      const Tensor known =
          slice(states_, 0, steps_.reverse() ? steps_.most() : 0, steps_.reverse() ? rows : last);
      return steps_.reverse() ? cat({known, first_}) : cat({first_, known});
    }
    std::vector<Tensor> parts(n);
    for (size_t i = 0; i < n; ++i) parts[steps_.at(i)] = at(i);
    return cat(parts);
  }
  /// Returns the last state of each sequence, as a copy.
  Tensor last() const {
    const size_t n = steps_.count();
    if (n == 0) return first_.clone();
    if (steps_.reverse()) return steps_.rows(n - 1).of(states_).clone();
    std::vector<Tensor> parts;
    int64_t ended = 0;
    for (size_t t = n; t-- > 0;) {
      const int64_t size = steps_.sizes()[t];
      if (size == ended) continue;
      parts.push_back(StepRows{steps_.starts()[t] + ended, size - ended}.of(states_));
      ended = size;
    }
    if (parts.empty()) return first_.clone();
    return parts.size() == 1 ? parts[0].clone() : cat(parts);
  }

 private:
  static Tensor front(const Tensor& x, int64_t rows) { return StepRows{0, rows}.of(x); }

  const Tensor states_, first_;
  const StepList& steps_;
};

/// Computes out = f(x...) into a contiguous tensor.
template <class F, class... X> void compute(Tensor& out, const F& formula, const X&... x) {
  if (out.numel() == 0) return;
  const Tensor* in[] = {&x...};
  Tensor* outputs[] = {&out};
  backend(out.device())
      .pointwise({.table = &detail::formula_op<F, static_cast<int>(sizeof...(X)), false>(),
                  .formula = &formula,
                  .pass = Pass::Value,
                  .compute = out.dtype(),
                  .shape = &out.shape(),
                  .in = in,
                  .out = outputs});
}

/// Returns blocks `first ... first + count - 1` of n columns each, as a view of a matrix.
inline Tensor columns(const Tensor& x, int64_t first, int64_t count, int64_t n) {
  return make_view(x, {x.shape()[0], count * n}, x.strides(), first * n);
}

/// Computes out = a b, or a b^T, [+ bias] for matrices; out is contiguous.
inline void product_into(Tensor& out, const Tensor& a, const Tensor& b, bool transposed = false,
                         const Tensor& bias = {}) {
  if (out.numel() == 0) return;
  const Shape &m = a.shape(), &n = b.shape(), &i = a.strides(), &j = b.strides();
  const Tensor left = make_view(a, {1, m[0], m[1]}, {0, i[0], i[1]});
  const Tensor right = transposed ? make_view(b, {1, n[1], n[0]}, {0, j[1], j[0]})
                                  : make_view(b, {1, n[0], n[1]}, {0, j[0], j[1]});
  backend(out.device())
      .matmul({.a = &left, .b = &right, .bias = bias.defined() ? &bias : nullptr, .out = &out});
}

/// The operands of the forward loop.
struct StepLoop {
  Tensor gates, weight, bias;
  Tensor q = {};  ///< (rows, gates)

  /// Returns state weight^T + bias, written into the rows of q.
  Tensor product(const StepRows& at, const Tensor& state) const {
    Tensor out = at.of(q);
    product_into(out, state, weight, true, bias);
    return out;
  }
};

/// Returns g^T x, and the sums of the columns of g where wanted.
inline std::pair<Tensor, Tensor> weight_gradients(const Tensor& g, const Tensor& x,
                                                  bool wants_bias) {
  const Shape &m = g.shape(), &n = x.shape(), &i = g.strides(), &j = x.strides();
  Tensor product = empty({m[1], n[1]}, options_like(g)), sums;
  if (wants_bias) sums = empty({m[1]}, options_like(g));
  const Tensor left = make_view(g, {1, m[1], m[0]}, {0, i[1], i[0]});
  const Tensor right = make_view(x, {1, n[0], n[1]}, {0, j[0], j[1]});
  backend(g.device())
      .matmul({.a = &left, .b = &right, .out = &product, .a_sum = wants_bias ? &sums : nullptr});
  return {product, sums};
}

}  // namespace ebb
