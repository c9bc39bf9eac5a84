// pad. Constant padding fills the elements around the tensor. The other modes join parts of the
// tensor, dim by dim.
#include <algorithm>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

// x surrounded by a constant. front and behind have one number per dim of x, none negative.
struct PadConstant {
  static constexpr std::string_view name = "pad";
  struct State {
    Shape starts, sizes;
  };
  static Shape shape(const Tensor& x, const Shape& front, const Shape& behind, double) {
    Shape out = x.shape();
    for (int i = 0; i < x.dim(); ++i)
      out[i] = checked_add(name, out[i], checked_add(name, front[i], behind[i]));
    return out;
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Shape& front,
                        const Shape&, double value) {
    state = {front, x.shape()};
    Tensor out = empty(shape, options_like(x)), inside = out;
    Backend& device = backend(x.device());
    for (int i = 0; i < x.dim(); ++i) {
      const int64_t begin = front[i], end = begin + x.shape()[i];
      for (Tensor side : {slice(inside, i, 0, begin), slice(inside, i, end, shape[i])}) {
        if (side.numel() > 0) device.fill(side, value);
      }
      inside = slice(inside, i, begin, end);
    }
    if (x.numel() > 0) device.copy(inside, x);
    return out;
  }
  static Tensor backward(const State& s, const Tensor& g) {
    Tensor x = g;
    for (int i = 0; i < g.dim(); ++i) {
      if (s.sizes[i] != g.shape()[i]) x = narrow(x, i, s.starts[i], s.sizes[i]);
    }
    return x;
  }
};

// Returns x with the padding of the mode before and after it along dim.
Tensor padded(const Tensor& x, PadMode mode, int dim, int64_t front, int64_t behind) {
  const int64_t n = x.shape()[dim];
  const auto part = [&](int64_t start, int64_t length) {
    return slice(x, dim, start, start + length);
  };
  const auto repeated = [&](int64_t at, int64_t times) {
    Shape shape = x.shape();
    shape[dim] = times;
    return expand(part(at, 1), shape);
  };
  std::vector<Tensor> parts{x};
  if (front > 0) {
    parts.insert(parts.begin(), mode == PadMode::Reflect    ? flip(part(1, front), {dim})
                                : mode == PadMode::Circular ? part(n - front, front)
                                                            : repeated(0, front));
  }
  if (behind > 0) {
    parts.push_back(mode == PadMode::Reflect    ? flip(part(n - 1 - behind, behind), {dim})
                    : mode == PadMode::Circular ? part(0, behind)
                                                : repeated(n - 1, behind));
  }
  return cat(parts, dim);
}

void check_pad(const Tensor& x, PadMode mode, int dim, int64_t front, int64_t behind) {
  const int64_t n = x.shape()[dim], most = std::max(front, behind);
  const bool fits = mode == PadMode::Reflect    ? most < std::max<int64_t>(n, 1)
                    : mode == PadMode::Circular ? most <= n
                                                : n > 0;
  if (!fits && most > 0) {
    fail("pad", "dim ", dim, " of shape ", x.shape(), " is too short for ",
         mode == PadMode::Reflect    ? "reflection: expected padding less than its size"
         : mode == PadMode::Circular ? "circular padding: expected at most its size"
                                     : "replication: expected a size of at least 1",
         ", got (", front, ", ", behind, ")");
  }
}

}  // namespace

Tensor pad(const TensorArg& x, const Shape& pad, PadMode mode, double value) {
  const CompositeScope scope(x);
  check_defined("pad", x);
  if (pad.dim() % 2 != 0 || pad.dim() / 2 > x->dim()) {
    fail("pad", "expected a pair for each of at most ", x->dim(), " dims of shape ", x->shape(),
         ", got ", pad);
  }
  Tensor out = *x;
  Shape front, behind;
  for (int i = 0; i < x->dim(); ++i) {
    const int from = 2 * (x->dim() - 1 - i);
    const int64_t a = from < pad.dim() ? pad[from] : 0, b = from < pad.dim() ? pad[from + 1] : 0;
    const int64_t n = out.shape()[i];
    const int64_t cut_front = std::clamp<int64_t>(a, -n - 1, 0),
                  cut_behind = std::clamp<int64_t>(b, -n - 1, 0);
    if (n + cut_front + cut_behind < 0) {
      fail("pad", "cannot pad by ", a, " and ", b, " at dim ", i, " of shape ", x->shape());
    }
    if (cut_front + cut_behind < 0) out = narrow(out, i, -cut_front, n + cut_front + cut_behind);
    front.push_back(std::max<int64_t>(a, 0));
    behind.push_back(std::max<int64_t>(b, 0));
  }
  if (mode == PadMode::Constant) {
    if (!is_floating(x->dtype())) Scalar(value).check_exact("pad", x->dtype());
    return apply<PadConstant>(out, front, behind, value);
  }
  for (int i = 0; i < x->dim(); ++i) {
    if (front[i] == 0 && behind[i] == 0) continue;
    check_pad(out, mode, i, front[i], behind[i]);
    out = padded(out, mode, i, front[i], behind[i]);
  }
  return out.impl() == x->impl() ? x->clone() : out;
}

}  // namespace ebb
