#include "ebb/autograd/ops/tensor_index.h"

#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/parts.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace indexing {

Slice::Slice(std::optional<int64_t> from, std::optional<int64_t> to, std::optional<int64_t> by)
    : start(from.value_or(0)),
      stop(to.value_or(std::numeric_limits<int64_t>::max())),
      step(by.value_or(1)) {
  if (step < 1) fail("index", "expected a step of at least 1, got ", step);
}

TensorIndex::TensorIndex(const char* ellipsis) : value(Ellipsis) {
  if (std::string_view(ellipsis) != "...")
    fail("index", "expected \"...\", got \"", ellipsis, "\"");
}

}  // namespace indexing

namespace {

using indexing::TensorIndex;

struct Chosen {
  int dim;  // of the view
  Tensor index;
};

// x after all indices that give views, and the tensors that are left.
struct Partly {
  Tensor view;
  std::vector<Chosen> chosen;
};

int dims_of(const TensorIndex& index) {
  if (std::holds_alternative<std::nullopt_t>(index.value)) return 0;
  if (std::holds_alternative<indexing::EllipsisIndexType>(index.value)) return 0;
  const Tensor* tensor = std::get_if<Tensor>(&index.value);
  if (!tensor) return 1;
  check_defined("index", *tensor);
  return tensor->dtype() == DType::Bool ? tensor->dim() : 1;
}

Partly view_of(std::string_view op, const Tensor& x, const std::vector<TensorIndex>& indices) {
  check_defined(op, x);
  int named = 0, ellipses = 0;
  for (const TensorIndex& index : indices) {
    named += dims_of(index);
    ellipses += std::holds_alternative<indexing::EllipsisIndexType>(index.value);
  }
  if (named > x.dim())
    fail(op, "expected at most ", x.dim(), " indices for shape ", x.shape(), ", got ", named);
  if (ellipses > 1) fail(op, "expected one Ellipsis, got ", ellipses);
  Partly partly{x, {}};
  int dim = 0;
  for (const TensorIndex& index : indices) {
    if (const int64_t* i = std::get_if<int64_t>(&index.value)) {
      partly.view = select(partly.view, dim, *i);
    } else if (const auto* s = std::get_if<indexing::Slice>(&index.value)) {
      partly.view = slice(partly.view, dim++, s->start, s->stop, s->step);
    } else if (std::holds_alternative<std::nullopt_t>(index.value)) {
      partly.view = unsqueeze(partly.view, dim++);
    } else if (const Tensor* t = std::get_if<Tensor>(&index.value)) {
      if (t->device() != x.device()) fail(op, "devices differ: ", x.device(), " and ", t->device());
      if (t->dtype() != DType::Bool && t->dtype() != DType::I64)
        fail(op, "expected an index of i64 or a mask of bool, got ", t->dtype());
      partly.chosen.push_back({dim, *t});
      dim += dims_of(index);
    } else {
      dim += x.dim() - named;
    }
  }
  return partly;
}

// A mask over k dims as the k tensors of the indices of its true elements.
std::vector<Chosen> without_masks(const Partly& partly) {
  std::vector<Chosen> all;
  for (const Chosen& c : partly.chosen) {
    if (c.index.dtype() != DType::Bool) {
      all.push_back(c);
      continue;
    }
    for (int i = 0; i < c.index.dim(); ++i) {
      if (c.index.shape()[i] != partly.view.shape()[c.dim + i])
        fail("index", "mask ", c.index.shape(), " does not fit dims ", c.dim, " to ",
             c.dim + c.index.dim() - 1, " of shape ", partly.view.shape());
    }
    if (c.index.dim() == 0) fail("index", "a mask without dims is not supported");
    const Tensor positions = nonzero(c.index);
    for (int i = 0; i < c.index.dim(); ++i) all.push_back({c.dim + i, select(positions, 1, i)});
  }
  return all;
}

// Chooses along dims [first, first + size of chosen) by tensors of i64.
Tensor choose(const Tensor& x, int first, const std::vector<Chosen>& chosen) {
  Shape shape;
  for (const Chosen& c : chosen) shape = broadcast_shapes("index", shape, c.index.shape());
  const TensorOptions i64_here{.dtype = DType::I64, .device = x.device()};
  Tensor position = zeros({}, i64_here);
  int64_t count = 1;
  for (size_t k = 0; k < chosen.size(); ++k) {
    const int64_t n = x.shape()[first + static_cast<int>(k)];
    const Tensor& index = chosen[k].index;
    const Tensor at = where(index < 0, index + n, index);
    backend(x.device()).check_indices("index", at.contiguous(), n, std::nullopt);
    position = position * n + at;
    count *= n;
  }
  position = expand(position, shape);
  Shape flat, out;
  for (int i = 0; i < first; ++i) flat.push_back(x.shape()[i]);
  out = flat;
  flat.push_back(count);
  for (int64_t size : shape) out.push_back(size);
  for (int i = first + static_cast<int>(chosen.size()); i < x.dim(); ++i) {
    flat.push_back(x.shape()[i]);
    out.push_back(x.shape()[i]);
  }
  return reshape(index_select(reshape(x, flat), first, reshape(position, {-1})), out);
}

void check_no_choice(const Partly& partly) {
  if (!partly.chosen.empty())
    fail("index_put_",
         "expected numbers, slices or one mask of x's shape: tensors of indices are not supported");
}

// The mask of x[mask] = value, or null.
const Tensor* whole_mask(const Tensor& x, const std::vector<TensorIndex>& indices) {
  if (indices.size() != 1 || !x.defined()) return nullptr;
  const Tensor* mask = std::get_if<Tensor>(&indices[0].value);
  if (!mask || !mask->defined() || mask->dtype() != DType::Bool) return nullptr;
  return mask->shape() == x.shape() ? mask : nullptr;
}

}  // namespace

Tensor index(const TensorArg& x, const std::vector<TensorIndex>& indices) {
  const CompositeScope scope(x);
  const Partly partly = view_of("index", x, indices);
  if (partly.chosen.empty()) return alias(partly.view);
  const std::vector<Chosen> chosen = without_masks(partly);
  bool adjacent = true;
  for (size_t k = 1; k < chosen.size(); ++k) adjacent &= chosen[k].dim == chosen[k - 1].dim + 1;
  if (adjacent) return choose(partly.view, chosen[0].dim, chosen);
  Shape order;
  for (const Chosen& c : chosen) order.push_back(c.dim);
  for (int d = 0; d < partly.view.dim(); ++d) {
    bool taken = false;
    for (const Chosen& c : chosen) taken |= c.dim == d;
    if (!taken) order.push_back(d);
  }
  return choose(permute(partly.view, order), 0, chosen);
}

Tensor index_put_(Tensor x, const std::vector<TensorIndex>& indices, const Tensor& value) {
  check_defined("index_put_", value);
  if (const Tensor* mask = whole_mask(x, indices)) {
    if (value.numel() != 1)
      fail("index_put_", "expected one value for a mask, got shape ", value.shape());
    const NoGrad guard;
    const Tensor values = where(*mask, reshape(value.detach(), {}).to(x.dtype()), x.detach());
    x.copy_(values);
    return x;
  }
  Partly partly = view_of("index_put_", x, indices);
  check_no_choice(partly);
  partly.view.copy_(value);
  return x;
}

Tensor index_put_(Tensor x, const std::vector<TensorIndex>& indices, Scalar value) {
  if (const Tensor* mask = whole_mask(x, indices)) {
    value.check_exact("index_put_", x.dtype());
    const Tensor values = where(*mask, value, x.detach());
    x.copy_(values);
    return x;
  }
  Partly partly = view_of("index_put_", x, indices);
  check_no_choice(partly);
  partly.view.fill_(value);
  return x;
}

std::vector<Tensor> unbind(const TensorArg& x, int64_t dim) {
  const CompositeScope scope(x);
  check_defined("unbind", x);
  if (x->dim() == 0) fail("unbind", "a 0-d tensor cannot be split");
  const int d = normalize_dim("unbind", dim, x->dim());
  detail::check_parts("unbind", x->shape()[d]);
  std::vector<Tensor> parts;
  for (int64_t i = 0; i < x->shape()[d]; ++i) parts.push_back(select(x, d, i));
  return parts;
}

}  // namespace ebb
