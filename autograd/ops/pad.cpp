// pad: around a tensor, a constant in one pass, and the other modes as gathers along one dim after the other.
#include <algorithm>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

// x in the middle of a constant. pairs: (front, behind) of each dim of x, none negative.
struct PadConstant {
  static constexpr std::string_view name = "pad";
  struct State {
    Shape starts, sizes;
  };
  static Shape shape(const Tensor& x, const Shape& front, const Shape& behind, double) {
    Shape out = x.shape();
    for (int i = 0; i < x.dim(); ++i) out[i] += front[i] + behind[i];
    return out;
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Shape& front,
                        const Shape&, double value) {
    state = {front, x.shape()};
    Tensor out = full(shape, value, {.dtype = x.dtype(), .device = x.device()});
    int64_t start = 0;
    for (int i = 0; i < x.dim(); ++i) start += front[i] * out.strides()[i];
    Tensor window = make_view(out, x.shape(), out.strides(), x.numel() > 0 ? start : 0);
    if (x.numel() > 0) backend(x.device()).copy(window, x);
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

// Along one dim of size n: the index of each element of the padded row.
Tensor padded_index(const Tensor& x, PadMode mode, int64_t n, int64_t front, int64_t behind) {
  std::vector<int64_t> from;
  for (int64_t i = -front; i < n + behind; ++i) {
    switch (mode) {
      case PadMode::Reflect: from.push_back(i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i); break;
      case PadMode::Circular: from.push_back(i < 0 ? i + n : i >= n ? i - n : i); break;
      default: from.push_back(std::clamp<int64_t>(i, 0, n - 1));
    }
  }
  return from_data(from, {static_cast<int64_t>(from.size())}).to(x.device());
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
    const int64_t cut_front = std::max<int64_t>(-a, 0), cut_behind = std::max<int64_t>(-b, 0);
    if (cut_front + cut_behind > out.shape()[i]) {
      fail("pad", "cannot cut ", cut_front, " and ", cut_behind, " elements off dim ", i,
           " of shape ", x->shape());
    }
    if (cut_front + cut_behind > 0)
      out = narrow(out, i, cut_front, out.shape()[i] - cut_front - cut_behind);
    front.push_back(std::max<int64_t>(a, 0));
    behind.push_back(std::max<int64_t>(b, 0));
  }
  if (mode == PadMode::Constant) {
    if (!is_floating(x->dtype())) Scalar(value).check_exact("pad", x->dtype());
    return apply<PadConstant>(out, front, behind, value);
  }
  for (int i = 0; i < x->dim(); ++i) {
    if (front[i] + behind[i] == 0) continue;
    check_pad(out, mode, i, front[i], behind[i]);
    out = index_select(out, i, padded_index(out, mode, out.shape()[i], front[i], behind[i]));
  }
  return out.impl() == x->impl() ? x->clone() : out;
}

}  // namespace ebb
