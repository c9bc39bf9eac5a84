#include "ebb/autograd/ops/rearrange.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/parts.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

struct Flip {
  static constexpr std::string_view name = "flip";
  struct State {
    Shape dims;
  };
  static Shape shape(const Tensor& x, const Shape& dims) {
    check_defined(name, x);
    bool seen[kMaxDims] = {};
    Shape found;
    for (int64_t d : dims) {
      const int at = normalize_dim(name, d, x.dim());
      if (seen[at]) fail(name, "dim ", d, " appears twice in ", dims);
      seen[at] = true;
      found.push_back(at);
    }
    return found;
  }
  static Tensor forward(State& state, const Shape& dims, const Tensor& x, const Shape&) {
    state.dims = dims;
    Tensor out = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    if (x.numel() == 0) return out;
    Shape strides = x.strides();
    int64_t start = 0;
    for (int64_t d : dims) {
      if (x.dim() == 0) continue;
      const int at = static_cast<int>(d);
      start += (x.shape()[at] - 1) * strides[at];
      strides[at] = -strides[at];
    }
    backend(x.device()).copy(out, make_view(x, x.shape(), strides, start));
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) { return flip(g, state.dims); }
};

// The diagonal of the last two dims. Its gradient is zeros with g on the diagonal.
int64_t diagonal_length(int64_t rows, int64_t columns, int64_t offset) {
  return std::max<int64_t>(
      0, offset >= 0 ? std::min(rows, columns - offset) : std::min(rows + offset, columns));
}
Tensor view_diagonal(const Tensor& x, int64_t offset) {
  const int rows = x.dim() - 2, columns = x.dim() - 1;
  const int64_t length = diagonal_length(x.shape()[rows], x.shape()[columns], offset);
  Shape shape = x.shape(), strides = x.strides();
  const int64_t start = length == 0   ? 0
                        : offset >= 0 ? offset * strides[columns]
                                      : -offset * strides[rows];
  strides[rows] += strides[columns];
  shape[rows] = length;
  shape.erase(columns);
  strides.erase(columns);
  return make_view(x, shape, strides, shape.numel() > 0 ? start : 0);
}

Tensor diagonal_matrix(const Tensor& x, int64_t offset, int64_t rows, int64_t columns);

struct Diagonal {
  static constexpr std::string_view name = "diagonal";
  struct State {
    int64_t offset, rows, columns;
  };
  static int shape(const Tensor& x, int64_t) {
    check_defined(name, x);
    return 0;
  }
  static Tensor forward(State& state, int, const Tensor& x, int64_t offset) {
    state = {offset, x.shape()[x.dim() - 2], x.shape()[x.dim() - 1]};
    return view_diagonal(x, offset);
  }
  static Tensor backward(const State& s, const Tensor& g) {
    return diagonal_matrix(g, s.offset, s.rows, s.columns);
  }
};

struct DiagonalMatrix {
  static constexpr std::string_view name = "diag";
  struct State {
    int64_t offset;
  };
  static int shape(const Tensor& x, int64_t, int64_t, int64_t) {
    check_defined(name, x);
    return 0;
  }
  static Tensor forward(State& state, int, const Tensor& x, int64_t offset, int64_t rows,
                        int64_t columns) {
    state.offset = offset;
    Shape shape = x.shape();
    shape[x.dim() - 1] = rows;
    shape.push_back(columns);
    Tensor out = zeros(shape, {.dtype = x.dtype(), .device = x.device()});
    Tensor line = view_diagonal(out, offset);
    if (line.numel() > 0) backend(x.device()).copy(line, x);
    return out;
  }
  static Tensor backward(const State& s, const Tensor& g) {
    return diagonal(g, s.offset, g.dim() - 2, g.dim() - 1);
  }
};

Tensor diagonal_matrix(const Tensor& x, int64_t offset, int64_t rows, int64_t columns) {
  return apply<DiagonalMatrix>(x, offset, rows, columns);
}

// Throws Error unless the mask is bool and on the device of x.
void check_mask(std::string_view op, const Tensor& x, const Tensor& mask) {
  check_defined(op, x);
  check_defined(op, mask);
  if (mask.dtype() != DType::Bool) fail(op, "expected a mask of bool, got ", mask.dtype());
  if (mask.device() != x.device()) fail(op, "devices differ: ", x.device(), " and ", mask.device());
}

RowsShape matrices_of(std::string_view op, const Tensor& x) {
  check_defined(op, x);
  if (x.dim() < 2) fail(op, "expected at least 2 dims, got shape ", x.shape());
  const int64_t rows = x.shape()[x.dim() - 2], columns = x.shape()[x.dim() - 1];
  return {x.numel() == 0 ? 0 : x.numel() / (rows * columns), rows, columns};
}

// tril and triu. They select elements, so the gradient is the same triangle of the upstream.
template <bool kUpper> struct Triangle {
  static constexpr std::string_view name = kUpper ? "triu" : "tril";
  struct State {
    int64_t diagonal;
  };
  static RowsShape shape(const Tensor& x, int64_t) { return matrices_of(name, x); }
  static Tensor forward(State& state, RowsShape matrices, const Tensor& x, int64_t diagonal) {
    state.diagonal = diagonal;
    Tensor out = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    diagonal = std::clamp(diagonal, -matrices.n, matrices.inner);
    backend(x.device()).triangle(out, x.contiguous(), matrices, diagonal, kUpper);
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return apply<Triangle>(g, state.diagonal);
  }
};

}  // namespace

Tensor narrow(const TensorArg& x, int64_t dim, int64_t start, int64_t length) {
  const CompositeScope scope(x);
  check_defined("narrow", x);
  if (x->dim() == 0) fail("narrow", "a 0-d tensor cannot be narrowed");
  const int d = normalize_dim("narrow", dim, x->dim());
  const int64_t size = x->shape()[d], first = start < 0 ? start + size : start;
  if (first < 0 || first > size || length < 0 || length > size - first) {
    fail("narrow", "elements ", start, " to ", checked_add("narrow", start, length),
         " are not in dim ", d, " of shape ", x->shape());
  }
  return slice(x, d, first, first + length);
}

std::vector<Tensor> split(const TensorArg& x, int64_t size, int64_t dim) {
  const CompositeScope scope(x);
  check_defined("split", x);
  if (x->dim() == 0) fail("split", "a 0-d tensor cannot be split");
  const int d = normalize_dim("split", dim, x->dim());
  const int64_t n = x->shape()[d];
  if (size < 0 || (size == 0 && n > 0)) fail("split", "expected a size of at least 1, got ", size);
  if (size > 0) detail::check_parts("split", n / size);
  std::vector<Tensor> parts;
  for (int64_t at = 0; at < n; at += size) parts.push_back(slice(x, d, at, std::min(n, at + size)));
  if (parts.empty()) parts.push_back(slice(x, d, 0, 0));
  return parts;
}

std::vector<Tensor> split(const TensorArg& x, const std::vector<int64_t>& sizes, int64_t dim) {
  const CompositeScope scope(x);
  check_defined("split", x);
  if (x->dim() == 0) fail("split", "a 0-d tensor cannot be split");
  const int d = normalize_dim("split", dim, x->dim());
  int64_t total = 0;
  for (int64_t n : sizes) {
    if (n < 0 || n > x->shape()[d] - total) {
      fail("split", "expected sizes that add up to dim ", d, " of shape ", x->shape(), ", got ", n,
           " after ", total);
    }
    total += n;
  }
  if (total != x->shape()[d]) {
    fail("split", "expected sizes that add up to dim ", d, " of shape ", x->shape(), ", got ",
         total);
  }
  std::vector<Tensor> parts;
  int64_t at = 0;
  for (int64_t n : sizes) {
    parts.push_back(slice(x, d, at, at + n));
    at += n;
  }
  return parts;
}

std::vector<Tensor> chunk(const TensorArg& x, int64_t chunks, int64_t dim) {
  const CompositeScope scope(x);
  check_defined("chunk", x);
  if (x->dim() == 0) fail("chunk", "a 0-d tensor cannot be split");
  if (chunks < 1) fail("chunk", "expected at least 1 chunk, got ", chunks);
  const int64_t n = x->shape()[normalize_dim("chunk", dim, x->dim())];
  if (n == 0) detail::check_parts("chunk", chunks);
  if (n == 0) return std::vector<Tensor>(static_cast<size_t>(chunks), slice(x, dim, 0, 0));
  return split(x, n / chunks + (n % chunks != 0), dim);
}

Tensor repeat(const TensorArg& x, const Shape& repeats) {
  const CompositeScope scope(x);
  check_defined("repeat", x);
  const int lead = repeats.dim() - x->dim();
  if (lead < 0) {
    fail("repeat", "expected a number for each dim of shape ", x->shape(), ", got ", repeats);
  }
  Shape shape;
  for (int i = 0; i < repeats.dim(); ++i) {
    if (repeats[i] < 0) fail("repeat", "expected numbers of at least 0, got ", repeats);
    shape.push_back(i < lead ? 1 : x->shape()[i - lead]);
  }
  Tensor out = reshape(x, shape);
  for (int d = repeats.dim() - 1; d >= 0; --d) {  // dim d as (times, size)
    if (repeats[d] == 1) continue;
    int64_t outer = 1, inner = 1;
    for (int i = 0; i < repeats.dim(); ++i) (i < d ? outer : inner) *= shape[i];
    shape[d] = checked_mul("repeat", shape[d], repeats[d]);
    out = reshape(expand(reshape(out, {outer, 1, inner}), {outer, repeats[d], inner}), shape);
  }
  return out.impl() == x->impl() ? x->clone() : out;
}

Tensor flip(const TensorArg& x, const Shape& dims) { return apply<Flip>(*x, dims); }

Tensor roll(const TensorArg& x, const Shape& shifts, const Shape& dims) {
  const CompositeScope scope(x);
  check_defined("roll", x);
  if (dims.empty()) {
    if (shifts.dim() != 1) fail("roll", "expected one shift without dims, got ", shifts);
    return reshape(roll(reshape(x, {-1}), shifts, {0}), x->shape());
  }
  if (shifts.dim() != dims.dim())
    fail("roll", "expected a shift for each dim, got ", shifts, " and dims ", dims);
  Tensor out = *x;
  for (int i = 0; i < dims.dim(); ++i) {
    const int d = normalize_dim("roll", dims[i], x->dim());
    const int64_t n = x->dim() == 0 ? 1 : x->shape()[d];
    if (n < 2) continue;
    const int64_t by = (shifts[i] % n + n) % n;
    if (by > 0) out = cat({slice(out, d, n - by, n), slice(out, d, 0, n - by)}, d);
  }
  return out.impl() == x->impl() ? x->clone() : out;
}

Tensor tril(const TensorArg& x, int64_t diagonal) { return apply<Triangle<false>>(*x, diagonal); }
Tensor triu(const TensorArg& x, int64_t diagonal) { return apply<Triangle<true>>(*x, diagonal); }

Tensor diagonal(const TensorArg& x, int64_t offset, int64_t dim1, int64_t dim2) {
  const CompositeScope scope(x);
  check_defined("diagonal", x);
  if (x->dim() < 2) fail("diagonal", "expected at least 2 dims, got shape ", x->shape());
  const int rows = normalize_dim("diagonal", dim1, x->dim()),
            columns = normalize_dim("diagonal", dim2, x->dim());
  if (rows == columns) fail("diagonal", "expected two different dims, got ", dim1, " and ", dim2);
  Shape order;
  for (int i = 0; i < x->dim(); ++i) {
    if (i != rows && i != columns) order.push_back(i);
  }
  order.push_back(rows);
  order.push_back(columns);
  return apply<Diagonal>(permute(x, order), offset);
}

Tensor diag(const TensorArg& x, int64_t offset) {
  const CompositeScope scope(x);
  check_defined("diag", x);
  if (x->dim() == 2) return diagonal(x, offset);
  if (x->dim() != 1) fail("diag", "expected a vector or a matrix, got shape ", x->shape());
  if (offset == std::numeric_limits<int64_t>::min())
    fail("diag", "diagonal ", offset, " is out of range");
  const int64_t n = checked_add("diag", x->numel(), std::abs(offset));
  return diagonal_matrix(x, offset, n, n);
}

Tensor masked_fill(const TensorArg& x, const Tensor& mask, Scalar value) {
  const CompositeScope scope(x);
  check_mask("masked_fill", x, mask);
  broadcast_shapes("masked_fill", x->shape(), mask.shape());
  value.check_exact("masked_fill", x->dtype());
  return where(mask, value, x);
}

Tensor masked_select(const TensorArg& x, const Tensor& mask) {
  const CompositeScope scope(x);
  check_mask("masked_select", x, mask);
  const Shape shape = broadcast_shapes("masked_select", x->shape(), mask.shape());
  const Tensor positions = backend(x->device()).nonzero(expand(mask, shape).contiguous());
  return gather(reshape(expand(x, shape), {-1}), 0, positions);
}

Tensor nonzero(const TensorArg& x) {
  const CompositeScope scope(x);
  check_defined("nonzero", x);
  const NoGrad guard;
  const Tensor zero = zeros({}, {.dtype = x->dtype(), .device = x->device()});
  const Tensor at = x->detach();
  const Tensor condition = at.dtype() == DType::Bool ? at : not_equal(at, zero);
  const Tensor positions = backend(x->device()).nonzero(condition.contiguous());
  std::vector<Tensor> columns;  // the coordinates, from the last dim on
  Tensor rest = positions;
  for (int d = x->dim() - 1; d >= 0; --d) {
    const Tensor next =
        floor_divide(rest, static_cast<double>(std::max<int64_t>(x->shape()[d], 1)));
    columns.insert(columns.begin(), sub(rest, mul(next, x->shape()[d])));
    rest = next;
  }
  if (columns.empty())
    return empty({positions.numel(), 0}, {.dtype = DType::I64, .device = x->device()});
  return stack(columns, 1);
}

Tensor index(const TensorArg& x, const Tensor& index) {
  const CompositeScope scope(x);
  check_defined("index", x);
  check_defined("index", index);
  if (index.device() != x->device())
    fail("index", "devices differ: ", x->device(), " and ", index.device());
  if (index.dtype() == DType::Bool) {
    Shape flat{-1};
    for (int i = 0; i < x->dim(); ++i) {
      if (i >= index.dim()) flat.push_back(x->shape()[i]);
      else if (index.shape()[i] != x->shape()[i])
        fail("index", "mask ", index.shape(), " does not fit the first dims of ", x->shape());
    }
    if (index.dim() == 0 || index.dim() > x->dim())
      fail("index", "mask ", index.shape(), " does not fit the first dims of ", x->shape());
    flat[0] = index.numel();
    const Tensor positions = backend(x->device()).nonzero(index.contiguous());
    return index_select(reshape(x, flat), 0, positions);
  }
  if (index.dtype() != DType::I64)
    fail("index", "expected an index of i64 or a mask of bool, got ", index.dtype());
  if (x->dim() == 0) fail("index", "a 0-d tensor cannot be indexed");
  const Tensor n =
      full({}, static_cast<double>(x->shape()[0]), {.dtype = DType::I64, .device = x->device()});
  const Tensor zero = zeros({}, {.dtype = DType::I64, .device = x->device()});
  const Tensor from_start = where(less(index, zero), add(index, n), index);
  Shape shape = index.shape();
  for (int i = 1; i < x->dim(); ++i) shape.push_back(x->shape()[i]);
  return reshape(index_select(x, 0, reshape(from_start, {-1})), shape);
}

}  // namespace ebb
