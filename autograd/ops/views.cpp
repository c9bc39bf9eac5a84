#include "ebb/autograd/ops/views.h"

#include <algorithm>

#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

// Returns the target of a reshape, with -1 replaced by the size.
Shape infer_shape(const Tensor& x, const Shape& asked) {
  check_defined("reshape", x);
  Shape shape = asked;
  int unknown = -1;
  for (int i = 0; i < shape.dim(); ++i) {
    if (shape[i] == -1 && unknown < 0) {
      unknown = i;
      shape[i] = 1;
    } else if (shape[i] < 0) {
      fail("reshape", "shape ", asked, " has a negative size");
    }
  }
  const int64_t known = shape.numel("reshape");
  if (unknown >= 0 && known > 0 && x.numel() % known == 0) shape[unknown] = x.numel() / known;
  else if (unknown >= 0)
    fail("reshape", "cannot infer -1 in ", asked, " for a tensor of shape ", x.shape());
  else if (known != x.numel()) {
    fail("reshape", "shape ", asked, " takes ", known, " elements, tensor of shape ", x.shape(),
         " has ", x.numel());
  }
  return shape;
}

// Computes strides that show the elements of x as `shape` without a copy. Returns false if there
// are none.
bool view_strides(const Tensor& x, const Shape& shape, Shape& strides) {
  if (x.is_contiguous() || x.numel() == 0) {
    strides = contiguous_strides(shape);
    return true;
  }
  strides = shape;
  int from = x.dim() - 1, to = shape.dim() - 1;
  while (from >= 0) {
    // Matches a group of dims of x that form one contiguous dim with dims of shape that have as
    // many elements.
    int64_t step = x.strides()[from], group = x.shape()[from];
    while (from > 0 && (x.shape()[from - 1] == 1 || x.strides()[from - 1] == step * group)) {
      group *= x.shape()[--from];
    }
    --from;
    int64_t filled = 1;
    while (to >= 0 && filled < group) {
      strides[to] = step * filled;
      filled *= shape[to--];
    }
    if (filled != group) return false;
  }
  for (; to >= 0; --to) strides[to] = 1;  // leading sizes of 1
  return true;
}

struct Reshape {
  static constexpr std::string_view name = "reshape";
  struct State {
    Shape input;
  };
  static Shape shape(const Tensor& x, const Shape& asked) { return infer_shape(x, asked); }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Shape&) {
    state.input = x.shape();
    Shape strides;
    if (view_strides(x, shape, strides)) return make_view(x, shape, strides);
    return make_view(x.contiguous(), shape, contiguous_strides(shape));
  }
  static Tensor backward(const State& state, const Tensor& g) { return reshape(g, state.input); }
};

struct Permute {
  static constexpr std::string_view name = "permute";
  struct State {
    Shape inverse;
  };
  static Shape shape(const Tensor& x, const Shape& asked) {
    check_defined(name, x);
    Shape order;
    bool seen[kMaxDims] = {};
    for (int64_t d : asked) {
      order.push_back(normalize_dim(name, d, x.dim()));
      if (seen[order.back()]) fail(name, "dim ", d, " appears twice in ", asked);
      seen[order.back()] = true;
    }
    if (order.dim() != x.dim())
      fail(name, "order ", asked, " does not name the ", x.dim(), " dims of ", x.shape());
    return order;
  }
  static Tensor forward(State& state, const Shape& order, const Tensor& x, const Shape&) {
    Shape sizes = order, strides = order;
    state.inverse = order;
    for (int i = 0; i < order.dim(); ++i) {
      const int from = static_cast<int>(order[i]);
      sizes[i] = x.shape()[from];
      strides[i] = x.strides()[from];
      state.inverse[from] = i;
    }
    return make_view(x, sizes, strides);
  }
  static Tensor backward(const State& state, const Tensor& g) { return permute(g, state.inverse); }
};

struct Slice {
  static constexpr std::string_view name = "slice";
  struct Plan {
    int dim;
    int64_t start, count;
  };
  struct State {
    Shape input;
    int dim;
    int64_t start, step;
  };
  static Plan shape(const Tensor& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
    check_defined(name, x);
    if (x.dim() == 0) fail(name, "a 0-d tensor cannot be sliced");
    if (step < 1) fail(name, "expected a step of at least 1, got ", step);
    const int d = normalize_dim(name, dim, x.dim());
    const int64_t size = x.shape()[d];
    const auto bound = [&](int64_t i) {
      return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size);
    };
    const int64_t first = bound(start), last = std::max(bound(stop), first);
    return {d, first, last > first ? (last - first - 1) / step + 1 : 0};
  }
  static Tensor forward(State& state, const Plan& plan, const Tensor& x, int64_t, int64_t, int64_t,
                        int64_t step) {
    state = {x.shape(), plan.dim, plan.start, step};
    Shape sizes = x.shape(), strides = x.strides();
    sizes[plan.dim] = plan.count;
    if (plan.count > 1) strides[plan.dim] *= step;  // step is less than the size here
    return make_view(x, sizes, strides, plan.count ? plan.start * x.strides()[plan.dim] : 0);
  }
  static Tensor backward(const State& s, const Tensor& g) {
    return slice_scatter(g, s.input, s.dim, s.start, s.step);
  }
};

struct SliceScatter {
  static constexpr std::string_view name = "slice_scatter";
  struct State {
    int dim;
    int64_t start, stop, step;
  };
  static int shape(const Tensor& x, const Shape& shape, int64_t dim, int64_t start, int64_t step) {
    check_defined(name, x);
    if (x.dim() == 0) fail(name, "a 0-d tensor is no slice");
    const int d = normalize_dim(name, dim, x.dim());
    Shape expected = shape;
    if (shape.dim() == x.dim()) expected[d] = x.shape()[d];
    const int64_t n = x.shape()[d];
    const bool fits = expected == x.shape() && step >= 1;
    const bool inside =
        fits &&
        (n == 0 || (start >= 0 && start < shape[d] && n - 1 <= (shape[d] - 1 - start) / step));
    if (!inside) {
      fail(name, "a slice of shape ", x.shape(), " does not fit ", shape, " at ", start, " by ",
           step, " along dim ", d);
    }
    return d;
  }
  static Tensor forward(State& state, int dim, const Tensor& x, const Shape& shape, int64_t,
                        int64_t start, int64_t step) {
    const int64_t count = x.shape()[dim];
    state = {dim, start, count ? start + (count - 1) * step + 1 : start, step};
    Tensor out = zeros(shape, {.dtype = x.dtype(), .device = x.device()});
    Tensor window = slice(out, dim, state.start, state.stop, step);
    backend(x.device()).copy(window, x);
    return out;
  }
  static Tensor backward(const State& s, const Tensor& g) {
    return slice(g, s.dim, s.start, s.stop, s.step);
  }
};

struct Expand {
  static constexpr std::string_view name = "expand";
  struct State {};
  static Shape shape(const Tensor& x, const Shape& asked) {
    check_defined(name, x);
    Shape shape = asked;
    const int lead = shape.dim() - x.dim();
    for (int i = 0; i < shape.dim(); ++i) {
      if (shape[i] == -1 && i >= lead && lead >= 0) shape[i] = x.shape()[i - lead];
      if (shape[i] < 0) fail(name, "shape ", x.shape(), " does not broadcast to ", asked);
    }
    if (!broadcasts_to(x.shape(), shape))
      fail(name, "shape ", x.shape(), " does not broadcast to ", asked);
    shape.numel(name);  // throws Error if it is too large
    return shape;
  }
  static Tensor forward(State&, const Shape& shape, const Tensor& x, const Shape&) {
    return make_view(x, shape, broadcast_strides(x.shape(), x.strides(), shape));
  }
  static Tensor backward(const State&, const Tensor& g) {
    return g;
  }  // the engine sums it to the shape of the input
};

struct Cat {
  static constexpr std::string_view name = "cat";
  struct Plan {
    int dim;
    Shape out;
  };
  struct State {
    int dim = 0;
    std::vector<int64_t> sizes;
  };
  static Plan shape(const std::vector<Tensor>& tensors, int64_t dim) {
    if (tensors.empty()) fail(name, "expected at least one tensor");
    std::vector<const Tensor*> list;
    for (const Tensor& t : tensors) {
      check_defined(name, t);
      list.push_back(&t);
    }
    check_same_kind(name, list);
    if (tensors[0].dim() == 0) fail(name, "0-d tensors cannot be joined: stack them");
    Plan plan{normalize_dim(name, dim, tensors[0].dim()), tensors[0].shape()};
    for (size_t i = 1; i < tensors.size(); ++i) {
      Shape rest = tensors[i].shape();
      if (rest.dim() == plan.out.dim()) rest[plan.dim] = plan.out[plan.dim];
      if (!(rest == plan.out)) {
        fail(name, "shapes ", tensors[0].shape(), " and ", tensors[i].shape(),
             " differ outside of dim ", plan.dim);
      }
      plan.out[plan.dim] = checked_add(name, plan.out[plan.dim], tensors[i].shape()[plan.dim]);
    }
    return plan;
  }
  static Tensor forward(State& state, const Plan& plan, const std::vector<Tensor>& tensors,
                        int64_t) {
    state.dim = plan.dim;
    Tensor out = empty(plan.out, {.dtype = tensors[0].dtype(), .device = tensors[0].device()});
    int64_t at = 0;
    for (const Tensor& t : tensors) {
      const int64_t n = t.shape()[plan.dim];
      state.sizes.push_back(n);
      Tensor window = slice(out, plan.dim, at, at + n);
      backend(t.device()).copy(window, t);
      at += n;
    }
    return out;
  }
  static std::vector<Tensor> backward(const State& state, const Tensor& g) {
    std::vector<Tensor> gradients;
    int64_t at = 0;
    for (int64_t n : state.sizes) {
      gradients.push_back(slice(g, state.dim, at, at + n));
      at += n;
    }
    return gradients;
  }
};

struct Alias {
  static constexpr std::string_view name = "alias";
  struct State {};
  static int shape(const Tensor& x) {
    check_defined(name, x);
    return 0;
  }
  static Tensor forward(State&, int, const Tensor& x) {
    return make_view(x, x.shape(), x.strides());
  }
  static Tensor backward(const State&, const Tensor& g) { return g; }
};

}  // namespace

Tensor reshape(const TensorArg& x, const Shape& shape) { return apply<Reshape>(*x, shape); }
Tensor permute(const TensorArg& x, const Shape& order) { return apply<Permute>(*x, order); }
Tensor expand(const TensorArg& x, const Shape& shape) { return apply<Expand>(*x, shape); }
Tensor alias(const TensorArg& x) { return apply<Alias>(*x); }
Tensor cat(const TensorsArg& tensors, int64_t dim) { return apply<Cat>(*tensors, dim); }
Tensor slice(const TensorArg& x, int64_t dim, int64_t start, int64_t stop, int64_t step) {
  return apply<Slice>(*x, dim, start, stop, step);
}
Tensor slice_scatter(const TensorArg& x, const Shape& shape, int64_t dim, int64_t start,
                     int64_t step) {
  return apply<SliceScatter>(*x, shape, dim, start, step);
}

Tensor flatten(const TensorArg& x, int64_t first, int64_t last) {
  const CompositeScope scope(x);
  check_defined("flatten", x);
  if (x->dim() == 0) return reshape(x, {1});
  const int a = normalize_dim("flatten", first, x->dim()),
            b = normalize_dim("flatten", last, x->dim());
  if (a > b) fail("flatten", "first dim ", a, " is after last dim ", b);
  Shape shape;
  int64_t merged = 1;
  for (int i = 0; i < x->dim(); ++i) {
    if (i < a || i > b) shape.push_back(x->shape()[i]);
    else merged *= x->shape()[i];
    if (i == b) shape.push_back(merged);
  }
  return reshape(x, shape);
}

Tensor transpose(const TensorArg& x, int64_t a, int64_t b) {
  check_defined("transpose", x);
  if (x->dim() == 0) fail("transpose", "a 0-d tensor has no dims to swap");
  const int first = normalize_dim("transpose", a, x->dim()),
            second = normalize_dim("transpose", b, x->dim());
  Shape order;
  for (int i = 0; i < x->dim(); ++i) order.push_back(i == first ? second : i == second ? first : i);
  return permute(x, order);
}

Tensor unsqueeze(const TensorArg& x, int64_t dim) {
  check_defined("unsqueeze", x);
  const int at = normalize_dim("unsqueeze", dim, x->dim() + 1);
  Shape shape = x->shape();
  shape.insert(at, 1);
  return reshape(x, shape);
}

Tensor squeeze(const TensorArg& x, int64_t dim) {
  check_defined("squeeze", x);
  Shape shape = x->shape();
  const int at = normalize_dim("squeeze", dim, x->dim());
  if (x->dim() == 0 || shape[at] != 1)
    fail("squeeze", "dim ", dim, " of shape ", shape, " is not of size 1");
  shape.erase(at);
  return reshape(x, shape);
}

Tensor select(const TensorArg& x, int64_t dim, int64_t index) {
  const CompositeScope scope(x);
  check_defined("select", x);
  if (x->dim() == 0) fail("select", "a 0-d tensor cannot be indexed");
  const int d = normalize_dim("select", dim, x->dim());
  const int64_t size = x->shape()[d], i = index < 0 ? index + size : index;
  if (i < 0 || i >= size)
    fail("select", "index ", index, " is out of range for dim ", d, " of shape ", x->shape());
  return squeeze(slice(x, d, i, i + 1), d);
}

Tensor stack(const TensorsArg& arg, int64_t dim) {
  const CompositeScope scope(arg);
  const std::vector<Tensor>& tensors = *arg;
  if (tensors.empty()) fail("stack", "expected at least one tensor");
  std::vector<Tensor> lifted;
  for (const Tensor& t : tensors) {
    check_defined("stack", t);
    if (!(t.shape() == tensors[0].shape()))
      fail("stack", "shapes differ: ", tensors[0].shape(), " and ", t.shape());
    lifted.push_back(unsqueeze(t, dim));
  }
  return cat(lifted, normalize_dim("stack", dim, tensors[0].dim() + 1));
}

Tensor squeeze(const TensorArg& x) {
  const CompositeScope scope(x);
  check_defined("squeeze", x);
  Shape shape;
  for (const int64_t size : x->shape()) {
    if (size != 1) shape.push_back(size);
  }
  return reshape(x, shape);
}

Tensor t(const TensorArg& x) {
  const CompositeScope scope(x);
  check_defined("t", x);
  if (x->dim() > 2) fail("t", "expected at most two dims, got shape ", x->shape());
  return x->dim() < 2 ? alias(x) : transpose(x, 0, 1);
}

Tensor view(const TensorArg& x, const Shape& shape) {
  const CompositeScope scope(x);
  check_defined("view", x);
  Tensor result = reshape(x, shape);
  if (result.numel() > 0 && result.impl()->storage.get() != x->impl()->storage.get()) {
    fail("view", "shape ", shape, " of ", *x, " with strides ", x->strides(),
         " needs a copy: use reshape()");
  }
  return result;
}

}  // namespace ebb
