#include "ebb/autograd/ops/indexing.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

// Throws Error unless index fits x in every dim except `dim`, for gather and scatter_add. Returns
// the dim.
int check_index(std::string_view op, const Shape& x, int64_t dim, const Tensor& index,
                Device device) {
  check_defined(op, index);
  if (index.dtype() != DType::I64) fail(op, "index must be i64, got ", index.dtype());
  if (index.device() != device) fail(op, "devices differ: ", device, " and ", index.device());
  const int d = normalize_dim(op, dim, x.dim());
  bool fits = index.dim() == x.dim();
  for (int i = 0; fits && i < x.dim(); ++i) fits = i == d || index.shape()[i] <= x[i];
  if (!fits) fail(op, "index ", index.shape(), " does not fit ", x, " outside of dim ", d);
  backend(device).check_indices(op, index, x.dim() ? x[d] : 1, std::nullopt);
  return d;
}

struct ScatterAdd {
  static constexpr std::string_view name = "scatter_add";
  struct State {
    Tensor index;
    int dim = 0;
  };
  static int shape(const Tensor& src, const Shape& shape, int64_t dim, const Tensor& index);
  static Tensor forward(State& state, int dim, const Tensor& src, const Shape& shape, int64_t,
                        const Tensor& index) {
    state = {index, dim};
    Tensor out = zeros(shape, {.dtype = src.dtype(), .device = src.device()});
    backend(src.device()).scatter_add(out, dim, index, src);
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g) {
    return {gather(g, state.dim, state.index), Tensor()};
  }
};

int ScatterAdd::shape(const Tensor& src, const Shape& shape, int64_t dim, const Tensor& index) {
  check_floating(name, src);
  check_defined(name, index);
  (void)shape.numel(name);
  if (!(src.shape() == index.shape()))
    fail(name, "index ", index.shape(), " does not match src ", src.shape());
  return check_index(name, shape, dim, index, src.device());
}

struct Gather {
  static constexpr std::string_view name = "gather";
  struct State {
    Tensor index;
    int dim = 0;
    Shape input;
  };
  static int shape(const Tensor& x, int64_t dim, const Tensor& index) {
    check_defined(name, x);
    return check_index(name, x.shape(), dim, index, x.device());
  }
  static Tensor forward(State& state, int dim, const Tensor& x, int64_t, const Tensor& index) {
    state = {index, dim, x.shape()};
    Tensor out = empty(index.shape(), {.dtype = x.dtype(), .device = x.device()});
    backend(x.device()).gather(out, x, dim, index);
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g) {
    return {scatter_add(g, state.input, state.dim, state.index), Tensor()};
  }
};

}  // namespace

Tensor gather(const TensorArg& x, int64_t dim, const Tensor& index) {
  return apply<Gather>(*x, dim, index);
}

Tensor scatter_add(const TensorArg& src, const Shape& shape, int64_t dim, const Tensor& index) {
  return apply<ScatterAdd>(*src, shape, dim, index);
}

Tensor index_select(const TensorArg& x, int64_t dim, const Tensor& index) {
  const CompositeScope scope(x);
  check_defined("index_select", x);
  check_defined("index_select", index);
  if (index.dim() != 1) fail("index_select", "index must have one dimension, got ", index.shape());
  if (x->dim() == 0) fail("index_select", "a 0-d tensor cannot be indexed");
  const int d = normalize_dim("index_select", dim, x->dim());
  Shape column, shape = x->shape();
  for (int i = 0; i < x->dim(); ++i) column.push_back(i == d ? index.numel() : 1);
  shape[d] = index.numel();
  return gather(x, d, expand(reshape(index, column), shape));
}

Tensor one_hot(const TensorArg& classes, int64_t num_classes, DType dtype) {
  const CompositeScope scope(classes);
  check_defined("one_hot", classes);
  if (classes->dtype() != DType::I64 && classes->dtype() != DType::U8) {
    fail("one_hot", "classes must be i64 or u8, got ", classes->dtype());
  }
  if (num_classes < 1) fail("one_hot", "num_classes must be at least 1, got ", num_classes);
  Shape shape = classes->shape();
  shape.push_back(num_classes);
  (void)shape.numel("one_hot");
  const Tensor index = classes->to(DType::I64);
  backend(index.device()).check_indices("one_hot", index, num_classes, std::nullopt);
  const Tensor range = arange(num_classes, index.device());
  return eq(unsqueeze(index, -1), range).to(dtype);
}

}  // namespace ebb
