// softmax and log_softmax: one struct with two forms. The gradient is a separate op, so every order
// follows.
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

RowsShape rows_along(const Tensor& x, int dim) {
  RowsShape rows{1, 1, 1};
  for (int i = 0; i < x.dim(); ++i)
    (i < dim ? rows.outer : i > dim ? rows.inner : rows.n) *= x.shape()[i];
  return rows;
}

// The gradient from the output y and the upstream gradient g: y (g - sum g y), or g - e^y sum g for
// log_softmax.
template <bool kLog> struct SoftmaxBackward {
  static constexpr std::string_view name = kLog ? "log_softmax_backward" : "softmax_backward";
  struct State {
    Saved y, g;
    int dim;
  };
  static RowsShape shape(const Tensor& y, const Tensor&, int dim) { return rows_along(y, dim); }
  static Tensor forward(State& state, const RowsShape& rows, const Tensor& y, const Tensor& g,
                        int dim) {
    state = {Saved(y), Saved(g), dim};
    Tensor out = empty_like(y);
    backend(y.device()).softmax_backward(kLog, out, y.contiguous(), g.contiguous(), rows);
    return out;
  }
  // Computes the derivative of this formula with public ops. u is the upstream gradient of this op.
  static std::array<Tensor, 2> backward(const State& state, const Tensor& u) {
    const Tensor y = state.y.get(), g = state.g.get();
    const Shape dims{state.dim};
    if constexpr (kLog) {
      const Tensor p = exp(y), up = mul(u, p);
      return {neg(mul(up, sum(g, dims, true))), sub(u, sum(up, dims, true))};
    } else {
      const Tensor gy = sum(mul(g, y), dims, true), uy = sum(mul(u, y), dims, true);
      return {sub(mul(u, sub(g, gy)), mul(g, uy)), mul(y, sub(u, uy))};
    }
  }
};

template <bool kLog> struct SoftmaxOp {
  static constexpr std::string_view name = kLog ? "log_softmax" : "softmax";
  struct State {
    Saved y;
    int dim;
  };
  static int shape(const Tensor& x, int64_t dim) {
    check_floating(name, x);
    return normalize_dim(name, dim, x.dim());
  }
  static Tensor forward(State& state, int dim, const Tensor& x, int64_t) {
    Tensor out = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    backend(x.device()).softmax(kLog, out, x.contiguous(), rows_along(x, dim));
    state = {Saved::output(out), dim};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return apply<SoftmaxBackward<kLog>>(state.y.get(), g, state.dim);
  }
};

}  // namespace

Tensor softmax(const TensorArg& x, int64_t dim) { return apply<SoftmaxOp<false>>(*x, dim); }
Tensor log_softmax(const TensorArg& x, int64_t dim) { return apply<SoftmaxOp<true>>(*x, dim); }

}  // namespace ebb
