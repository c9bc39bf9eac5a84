#include "ebb/autograd/ops/sorting.h"

#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

RowsShape rows_along(const Tensor& x, int dim) {
  RowsShape rows{1, 1, 1};
  for (int i = 0; i < x.dim(); ++i)
    (i < dim ? rows.outer : i > dim ? rows.inner : rows.n) *= x.shape()[i];
  return rows;
}

// The first k elements of the sorted order along dim.
struct Sort {
  static constexpr std::string_view name = "sort";
  struct State {
    Tensor index;
    Shape input;
    int dim = 0;
  };
  static int shape(const Tensor&, int dim, int64_t, bool) { return dim; }
  static std::array<Tensor, 2> forward(State& state, int dim, const Tensor& x, int, int64_t k,
                                       bool descending) {
    Shape shape = x.shape();
    if (x.dim() > 0) shape[dim] = k;
    Tensor values = empty(shape, {.dtype = x.dtype(), .device = x.device()});
    Tensor index = empty(shape, {.dtype = DType::I64, .device = x.device()});
    backend(x.device()).sort(values, index, x.contiguous(), rows_along(x, dim), k, descending);
    state = {index, x.shape(), dim};
    return {values, index};
  }
  static Tensor backward(const State& state, std::span<const Tensor> g) {
    return scatter_add(g[0], state.input, state.dim, state.index);
  }
};

std::tuple<Tensor, Tensor> sorted(std::string_view op, const Tensor& x, int64_t dim, int64_t k,
                                  bool descending) {
  check_defined(op, x);
  const int d = normalize_dim(op, dim, x.dim());
  const int64_t n = x.dim() == 0 ? 1 : x.shape()[d];
  const std::array<Tensor, 2> both = apply<Sort>(x, d, k < 0 ? n : k, descending);
  return {both[0], both[1]};
}

Tensor run_scan(ScanKind kind, const Tensor& x, const Tensor* b, int dim, bool reverse) {
  Tensor out = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
  backend(x.device()).scan(kind, out, x.contiguous(), b, rows_along(x, dim), reverse);
  return out;
}

struct LinearRecurrence {
  static constexpr std::string_view name = "linear_recurrence";
  struct State {
    Saved a, s;
    int dim;
    bool reverse;
  };
  static int shape(const Tensor& a, const Tensor&, int dim, bool) {
    check_floating(name, a);
    return dim;
  }
  static Tensor forward(State& state, int dim, const Tensor& a, const Tensor& b, int,
                        bool reverse) {
    const Tensor addend = b.contiguous();
    Tensor out = run_scan(ScanKind::Recurrence, a, &addend, dim, reverse);
    state = {Saved(a), Saved::output(out), dim, reverse};
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g);
};

// Returns x shifted by one along dim, away from the start of the recurrence, where `first` is
// inserted.
Tensor moved_on(const Tensor& x, int dim, bool reverse, double first) {
  if (x.dim() == 0 || x.shape()[dim] == 0) return full(x.shape(), first, {x.dtype(), x.device()});
  Shape edge = x.shape();
  edge[dim] = 1;
  const Tensor start = full(edge, first, {.dtype = x.dtype(), .device = x.device()});
  const int64_t n = x.shape()[dim];
  return reverse ? cat({slice(x, dim, 1, n), start}, dim)
                 : cat({start, slice(x, dim, 0, n - 1)}, dim);
}

// Backward is a recurrence from the end, t_i = g_i + a_(i+1) t_(i+1). Then ds/db = t and ds/da_i =
// t_i s_(i-1).
std::array<Tensor, 2> LinearRecurrence::backward(const State& state, const Tensor& g) {
  const Tensor a = state.a.get(), s = state.s.get();
  const Tensor t = detail::linear_recurrence(moved_on(a, state.dim, !state.reverse, 0), g,
                                             state.dim, !state.reverse);
  return {mul(t, moved_on(s, state.dim, state.reverse, 0)), t};
}

template <bool kProduct> struct Cumulative {
  static constexpr std::string_view name = kProduct ? "cumprod" : "cumsum";
  struct State {
    Saved x, out;
    int dim;
    bool reverse;
  };
  static int shape(const Tensor& x, int64_t dim, bool) {
    check_defined(name, x);
    return normalize_dim(name, dim, x.dim());
  }
  static Tensor forward(State& state, int dim, const Tensor& x, int64_t, bool reverse) {
    const Tensor in = is_floating(x.dtype()) ? x : x.to(DType::I64);
    Tensor out = run_scan(kProduct ? ScanKind::Product : ScanKind::Sum, in, nullptr, dim, reverse);
    state.dim = dim;
    state.reverse = reverse;
    if (kProduct) {
      state.x = Saved(x);
      state.out = Saved::output(out);
    }
    return out;
  }
  // For products: the product before x_i, times the sum over k >= i of g_k and the factors between,
  // which is a recurrence.
  static Tensor backward(const State& state, const Tensor& g) {
    if constexpr (!kProduct) {
      return apply<Cumulative<false>>(g, int64_t{state.dim}, !state.reverse);
    } else {
      const Tensor after = detail::linear_recurrence(
          moved_on(state.x.get(), state.dim, !state.reverse, 0), g, state.dim, !state.reverse);
      return mul(moved_on(state.out.get(), state.dim, state.reverse, 1), after);
    }
  }
};

}  // namespace

Tensor detail::linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, bool reverse) {
  return apply<LinearRecurrence>(a, b, static_cast<int>(dim), reverse);
}

Tensor detail::product_of_others_before(const Tensor& x, int dim, bool reverse) {
  return moved_on(apply<Cumulative<true>>(x, int64_t{dim}, reverse), dim, reverse, 1);
}

Tensor cumsum(const TensorArg& x, int64_t dim) { return apply<Cumulative<false>>(*x, dim, false); }
Tensor cumprod(const TensorArg& x, int64_t dim) { return apply<Cumulative<true>>(*x, dim, false); }

std::tuple<Tensor, Tensor> sort(const TensorArg& x, int64_t dim, bool descending) {
  return sorted("sort", *x, dim, -1, descending);
}

Tensor argsort(const TensorArg& x, int64_t dim, bool descending) {
  check_defined("argsort", x);
  return std::get<1>(sorted("argsort", x->detach(), dim, -1, descending));
}

std::tuple<Tensor, Tensor> topk(const TensorArg& x, int64_t k, int64_t dim, bool largest) {
  check_defined("topk", x);
  const int d = normalize_dim("topk", dim, x->dim());
  const int64_t n = x->dim() == 0 ? 1 : x->shape()[d];
  if (k < 0 || k > n) {
    fail("topk", "expected k from 0 to ", n, ", the size of dim ", d, " of shape ", x->shape(),
         ", got ", k);
  }
  if (x->dim() == 0 && k == 0) fail("topk", "expected k = 1 of a 0-d tensor, got 0");
  return sorted("topk", *x, dim, k, largest);
}

Tensor bernoulli(const TensorArg& p, Generator* generator) {
  const CompositeScope scope(p);
  check_floating("bernoulli", p);
  const NoGrad guard;
  backend(p->device()).check_values("bernoulli", *p, {0, 1, "expected probabilities from 0 to 1"});
  Tensor u = empty(p->shape(), {.dtype = DType::F64, .device = p->device()});
  uniform_(u, 0, 1, generator);
  return less(u, p->detach().to(DType::F64)).to(p->dtype());
}

Tensor multinomial(const TensorArg& weights, int64_t num_samples, bool replacement,
                   Generator* generator) {
  const CompositeScope scope(weights);
  check_floating("multinomial", weights);
  if (weights->dim() != 1 && weights->dim() != 2)
    fail("multinomial", "expected weights (C) or (N, C), got ", weights->shape());
  const int64_t classes = weights->shape().back();
  if (num_samples < 1 || classes < 1 || (!replacement && num_samples > classes)) {
    fail("multinomial", "expected ", replacement ? "at least 1 sample" : "1 to ",
         replacement ? "" : std::to_string(classes) + " samples without replacement",
         " of weights ", weights->shape(), ", got ", num_samples);
  }
  const NoGrad guard;
  Backend& device = backend(weights->device());
  const double largest = std::numeric_limits<double>::max(),
               least = std::numeric_limits<double>::denorm_min();
  const Tensor w = weights->detach().to(DType::F64);
  device.check_values("multinomial", w, {0, largest, "expected finite weights of at least 0"});
  Shape shape = w.shape();
  shape[w.dim() - 1] = replacement ? num_samples : classes;
  Tensor noise = empty(shape, {.dtype = DType::F64, .device = w.device()});
  uniform_(noise, 0, 1, generator);
  if (!replacement) {  // the smallest of exponentially distributed times with rates w
    const Tensor times = clamp_min(neg(log1p(neg(noise))), least);
    const auto [rates, index] = topk(div(w, times), num_samples, -1);
    device.check_values("multinomial", rates,
                        {least, std::numeric_limits<double>::infinity(),
                         "expected at least num_samples weights above 0 in each row"});
    return index;
  }
  const Tensor sums = cumsum(w, -1), totals = slice(sums, -1, classes - 1, classes);
  device.check_values("multinomial", totals,
                      {least, largest, "expected rows of weights with a finite sum above 0"});
  Tensor index = empty(shape, {.dtype = DType::I64, .device = w.device()});
  device.search_sorted(index, sums, mul(noise, totals));
  return index;
}

}  // namespace ebb
