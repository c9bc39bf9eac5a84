// Operators of ONNX that compute element by element, move elements or reduce them.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/interop/onnx_program.h"

namespace ebb::detail {
namespace {

using Step = OnnxStep;
using Tensors = std::vector<Tensor>;

template <Tensor (*f)(const TensorArg&)> Tensors unary(const Step& s) { return {f(s.in(0))}; }
template <Tensor (*f)(const TensorArg&, const Tensor&)> Tensors binary(const Step& s) {
  return {f(s.in(0), s.in(1))};
}
// Of any number of inputs.
template <Tensor (*f)(const TensorArg&, const Tensor&)> Tensors folded(const Step& s) {
  Tensor result = s.in(0);
  for (size_t i = 1; i < s.input_count(); ++i) result = f(result, s.in(i));
  return {result};
}

// Integers are divided towards zero.
Tensors divide(const Step& s) {
  const Tensor &a = s.in(0), &b = s.in(1);
  if (is_floating(a.dtype())) return {div(a, b)};
  return {trunc(div(a.to(DType::F64), b.to(DType::F64))).to(a.dtype())};
}

Tensors clip(const Step& s) {
  const auto bound = [&](size_t i, double otherwise) {
    const Tensor x = s.optional(i);
    return x.defined() ? x.item<double>() : otherwise;
  };
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double low = bound(1, -kInfinity), high = bound(2, kInfinity);
  return {clamp(s.in(0), low, high)};
}

Tensors shrink(const Step& s) {
  const double lambd = s.real("lambd", 0.5), bias = s.real("bias", 0);
  const Tensor &x = s.in(0), zero = zeros_like(x);
  return {where(x > lambd, x - bias, where(x < -lambd, x + bias, zero))};
}

Tensors cast(const Step& s) {
  switch (s.number("to", 0)) {
    case 1: return {s.in(0).to(DType::F32)};
    case 2: return {s.in(0).to(DType::U8)};
    case 6:
    case 7: return {s.in(0).to(DType::I64)};
    case 9: return {s.in(0).to(DType::Bool)};
    case 11: return {s.in(0).to(DType::F64)};
    default: s.refuse("conversion to the element type ", s.number("to", 0), " of ONNX");
  }
}

Tensors gelu_of(const Step& s) {
  const bool approximates = s.text("approximate", "none") == "tanh";
  return {gelu(s.in(0), approximates ? GeluApproximate::Tanh : GeluApproximate::None)};
}

// ---- shapes ----

Shape shape_of(const std::vector<int64_t>& list) { return Shape(std::span(list)); }
int axis_of(const Step& s, int64_t axis, int rank) {
  const int64_t positive = axis < 0 ? axis + rank : axis;
  if (positive < 0 || positive >= rank)
    s.refuse("axis ", axis, " of a tensor with ", rank, " dims");
  return static_cast<int>(positive);
}

Tensors reshape_of(const Step& s) {
  std::vector<int64_t> sizes = s.list(1);
  for (size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] != 0 || s.number("allowzero", 0) != 0) continue;
    if (static_cast<int>(i) >= s.in(0).dim()) s.refuse("a size of 0 beyond the input's dims");
    sizes[i] = s.in(0).shape()[static_cast<int>(i)];
  }
  return {reshape(s.in(0), shape_of(sizes))};
}

Tensors transpose_of(const Step& s) {
  std::vector<int64_t> order = s.numbers("perm");
  if (order.empty()) {
    order.resize(static_cast<size_t>(s.in(0).dim()));
    std::iota(order.rbegin(), order.rend(), 0);
  }
  return {permute(s.in(0), shape_of(order))};
}

Tensors flatten_of(const Step& s) {
  const Shape& shape = s.in(0).shape();
  int64_t axis = s.number("axis", 1), rows = 1;
  axis = axis < 0 ? axis + shape.dim() : axis;
  if (axis < 0 || axis > shape.dim()) s.refuse("axis ", axis, " of a tensor ", shape);
  for (int i = 0; i < axis; ++i) rows *= shape[i];
  return {reshape(s.in(0), {rows, rows == 0 ? 0 : s.in(0).numel() / rows})};
}

Tensors unsqueeze_of(const Step& s) {
  std::vector<int64_t> axes = s.list(1);
  const int rank = s.in(0).dim() + static_cast<int>(axes.size());
  for (int64_t& axis : axes) axis = axis_of(s, axis, rank);
  std::sort(axes.begin(), axes.end());
  Tensor x = s.in(0);
  for (int64_t axis : axes) x = unsqueeze(x, axis);
  return {x};
}

Tensors squeeze_of(const Step& s) {
  std::vector<int64_t> axes = s.list(1);
  if (axes.empty()) return {squeeze(s.in(0))};
  for (int64_t& axis : axes) axis = axis_of(s, axis, s.in(0).dim());
  std::sort(axes.rbegin(), axes.rend());
  Tensor x = s.in(0);
  for (int64_t axis : axes) x = squeeze(x, axis);
  return {x};
}

Tensors slice_of(const Step& s) {
  const std::vector<int64_t> starts = s.list(1), ends = s.list(2);
  std::vector<int64_t> axes = s.list(3), steps = s.list(4);
  if (axes.empty()) {
    axes.resize(starts.size());
    std::iota(axes.begin(), axes.end(), 0);
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size())
    s.refuse("starts, ends, axes and steps of different lengths");
  Tensor x = s.in(0);
  for (size_t i = 0; i < starts.size(); ++i) {
    const int axis = axis_of(s, axes[i], x.dim());
    const int64_t n = x.shape()[axis], step = steps[i];
    const auto position = [&](int64_t p, int64_t low, int64_t high) {
      return std::clamp(p < 0 ? (p < -n ? -1 : p + n) : p, low, high);
    };
    if (step == 0 || step == std::numeric_limits<int64_t>::min()) s.refuse("a step of ", step);
    if (step > 0) {
      x = slice(x, axis, position(starts[i], 0, n), position(ends[i], 0, n), step);
    } else {
      const int64_t first = position(starts[i], -1, n - 1), last = position(ends[i], -1, n - 1);
      x = slice(flip(x, {axis}), axis, n - 1 - first, n - 1 - last, -step);
    }
  }
  return {x};
}

Tensors concat(const Step& s) {
  Tensors parts;
  for (size_t i = 0; i < s.input_count(); ++i) parts.push_back(s.in(i));
  return {cat(parts, s.number("axis", 0))};
}

Tensors split_of(const Step& s) {
  const int axis = axis_of(s, s.number("axis", 0), s.in(0).dim());
  std::vector<int64_t> sizes = s.list(1);
  const int64_t n = s.in(0).shape()[axis], count = std::ssize(s.node().outputs);
  if (sizes.empty()) {
    const int64_t each = (n + count - 1) / count;
    for (int64_t at = 0; at < count; ++at)
      sizes.push_back(std::clamp<int64_t>(n - at * each, 0, each));
  }
  return split(s.in(0), sizes, axis);
}

// Sizes of 1, also of the input, broadcast.
Tensors expand_of(const Step& s) {
  const std::vector<int64_t> sizes = s.list(1);
  return {expand(s.in(0), broadcast_shapes("Expand", s.in(0).shape(), shape_of(sizes)))};
}

Tensors pad_of(const Step& s) {
  const std::string mode = s.text("mode", "constant");
  const std::vector<int64_t> pads = s.list(1);
  const int rank = s.in(0).dim();
  if (static_cast<int>(pads.size()) != 2 * rank || s.optional(3).defined())
    s.refuse("expected two pads for each of the ", rank, " dims, got ", pads.size());
  Shape pairs;
  if (2 * rank > kMaxDims) s.refuse("padding of a tensor with ", rank, " dims");
  for (int i = rank - 1; i >= 0; --i) {
    pairs.push_back(pads[static_cast<size_t>(i)]);
    pairs.push_back(pads[static_cast<size_t>(i + rank)]);
  }
  const Tensor given = s.optional(2);
  const double value = given.defined() ? given.item<double>() : 0;
  const PadMode kind = mode == "reflect" ? PadMode::Reflect
                       : mode == "edge"  ? PadMode::Replicate
                       : mode == "wrap"  ? PadMode::Circular
                                         : PadMode::Constant;
  return {pad(s.in(0), pairs, kind, value)};
}

Tensor wrapped(const Tensor& index, int64_t size) {
  const Tensor i = index.to(DType::I64);
  return where(i < 0, i + size, i);
}

Tensors gather_of(const Step& s) {
  const int axis = axis_of(s, s.number("axis", 0), s.in(0).dim());
  const Tensor &x = s.in(0), &index = s.in(1);
  Shape shape;
  for (int i = 0; i < axis; ++i) shape.push_back(x.shape()[i]);
  for (int64_t size : index.shape()) shape.push_back(size);
  for (int i = axis + 1; i < x.dim(); ++i) shape.push_back(x.shape()[i]);
  const Tensor rows = reshape(wrapped(index, x.shape()[axis]), {index.numel()});
  return {reshape(index_select(x, axis, rows), shape)};
}

Tensors shape_vector(const Step& s) {
  const Shape& shape = s.in(0).shape();
  const int64_t rank = shape.dim();
  const auto bound = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + rank : i, 0, rank); };
  const int64_t first = bound(s.number("start", 0)), last = bound(s.number("end", rank));
  std::vector<int64_t> sizes(shape.begin() + first, shape.begin() + std::max(first, last));
  return {from_data(sizes, {std::ssize(sizes)})};
}

Tensors constant_of_shape(const Step& s) {
  const Tensor value = s.tensor("value");
  const Tensor one = value.defined() ? reshape(value, {}) : zeros({});
  return {expand(one, shape_of(s.list(0))).clone()};
}

Tensors constant(const Step& s) {
  const Tensor value = s.tensor("value");
  if (value.defined()) return {value};
  const std::vector<int64_t> list = s.numbers("value_ints");
  if (!list.empty()) return {from_data(list, {std::ssize(list)})};
  const double real = s.real("value_float", NAN);
  if (!std::isnan(real)) return {full({}, real, {.dtype = DType::F32})};
  return {full({}, s.number("value_int", 0))};
}

Tensors trilu(const Step& s) {
  const Tensor k = s.optional(1);
  const int64_t diagonal = k.defined() ? k.item<int64_t>() : 0;
  return {s.number("upper", 1) ? triu(s.in(0), diagonal) : tril(s.in(0), diagonal)};
}

Tensors cumsum_of(const Step& s) {
  const int64_t axis = s.in(1).item<int64_t>();
  if (s.number("exclusive", 0)) s.refuse("exclusive sums");
  if (!s.number("reverse", 0)) return {cumsum(s.in(0), axis)};
  return {flip(cumsum(flip(s.in(0), {axis}), axis), {axis})};
}

Tensors top_k(const Step& s) {
  const std::vector<int64_t> k = s.list(1);
  if (k.size() != 1) s.refuse("expected one number of elements, got ", k.size());
  const auto [values, places] =
      topk(s.in(0), k[0], s.number("axis", -1), s.number("largest", 1) != 0);
  return {values, places};
}

// Sums are added to the elements of the first input; other reductions are not supported.
Tensors scatter_elements(const Step& s) {
  if (s.text("reduction", "none") != "add") s.refuse("a reduction other than add");
  const int axis = axis_of(s, s.number("axis", 0), s.in(0).dim());
  const Tensor index = wrapped(s.in(1), s.in(0).shape()[axis]);
  return {s.in(0) + scatter_add(s.in(2), s.in(0).shape(), axis, index)};
}

// ---- reductions: their dims are an input or an attribute ----

template <class Reduce> Tensors reduced(const Step& s, Reduce&& reduce) {
  std::vector<int64_t> axes = s.optional(1).defined() ? s.list(1) : s.numbers("axes");
  if (axes.empty() && s.number("noop_with_empty_axes", 0)) return {s.in(0)};
  return {reduce(s.in(0), shape_of(axes), s.number("keepdims", 1) != 0)};
}
template <Tensor (*f)(const TensorArg&, const Shape&, bool)> Tensors reduction(const Step& s) {
  return reduced(s, f);
}
Tensors norm_of(const Step& s) {
  return reduced(
      s, [](const Tensor& x, const Shape& dims, bool keep) { return norm(x, 2, dims, keep); });
}
template <Tensor (*f)(const TensorArg&, int64_t, bool)> Tensors extreme_index(const Step& s) {
  return {f(s.in(0), s.number("axis", 0), s.number("keepdims", 1) != 0)};
}

}  // namespace

const OnnxOperators& onnx_element_operators() {
  static const OnnxOperators table = {
      {"Add", binary<add>},
      {"Sub", binary<sub>},
      {"Mul", binary<mul>},
      {"Div", divide},
      {"Pow", [](const Step& s) { return Tensors{pow(s.in(0), s.in(1).to(s.in(0).dtype()))}; }},
      {"Max", folded<maximum>},
      {"Min", folded<minimum>},
      {"Sum", folded<add>},
      {"Neg", unary<neg>},
      {"Exp", unary<exp>},
      {"Log", unary<log>},
      {"Sqrt", unary<sqrt>},
      {"Erf", unary<erf>},
      {"Abs", unary<abs>},
      {"Sign", unary<sign>},
      {"Floor", unary<floor>},
      {"Ceil", unary<ceil>},
      {"Round", unary<round>},
      {"Sin", unary<sin>},
      {"Cos", unary<cos>},
      {"Tan", unary<tan>},
      {"Reciprocal", unary<reciprocal>},
      {"IsNaN", unary<isnan>},
      {"IsInf", unary<isinf>},
      {"Not", unary<logical_not>},
      {"And", binary<logical_and>},
      {"Or", binary<logical_or>},
      {"Equal", binary<eq>},
      {"Less", binary<less>},
      {"LessOrEqual", binary<less_equal>},
      {"Greater", binary<greater>},
      {"GreaterOrEqual", binary<greater_equal>},
      {"Where", [](const Step& s) { return Tensors{where(s.in(0), s.in(1), s.in(2))}; }},
      {"Clip", clip},
      {"Cast", cast},
      {"Relu", unary<relu>},
      {"Sigmoid", unary<sigmoid>},
      {"Tanh", unary<tanh>},
      {"Softsign", unary<softsign>},
      {"Softplus", [](const Step& s) { return Tensors{softplus(s.in(0), 1, 1e300)}; }},
      {"HardSwish", unary<hardswish>},
      {"Mish", unary<mish>},
      {"Gelu", gelu_of},
      {"Shrink", shrink},
      {"PRelu",
       [](const Step& s) { return Tensors{where(s.in(0) > 0.0, s.in(0), s.in(0) * s.in(1))}; }},
      {"LeakyRelu",
       [](const Step& s) { return Tensors{leaky_relu(s.in(0), s.real("alpha", 0.01))}; }},
      {"Elu", [](const Step& s) { return Tensors{elu(s.in(0), s.real("alpha", 1))}; }},
      {"Celu", [](const Step& s) { return Tensors{celu(s.in(0), s.real("alpha", 1))}; }},
      {"Selu",
       [](const Step& s) {
         const double alpha = s.real("alpha", 1.67326319217681884765625),
                      gamma = s.real("gamma", 1.05070102214813232421875);
         return Tensors{elu(s.in(0), alpha) * gamma};
       }},
      {"HardSigmoid",
       [](const Step& s) {
         return Tensors{clamp(s.in(0) * s.real("alpha", 0.2) + s.real("beta", 0.5), 0, 1)};
       }},
      {"Identity", [](const Step& s) { return Tensors{s.in(0)}; }},
      {"Dropout", [](const Step& s) { return Tensors{s.in(0)}; }},
  };
  return table;
}

const OnnxOperators& onnx_shape_operators() {
  static const OnnxOperators table = {
      {"Reshape", reshape_of},
      {"Transpose", transpose_of},
      {"Flatten", flatten_of},
      {"Unsqueeze", unsqueeze_of},
      {"Squeeze", squeeze_of},
      {"Slice", slice_of},
      {"Concat", concat},
      {"Split", split_of},
      {"Expand", expand_of},
      {"Pad", pad_of},
      {"Trilu", trilu},
      {"Gather", gather_of},
      {"GatherElements",
       [](const Step& s) {
         const int axis = axis_of(s, s.number("axis", 0), s.in(0).dim());
         return Tensors{gather(s.in(0), axis, wrapped(s.in(1), s.in(0).shape()[axis]))};
       }},
      {"Shape", shape_vector},
      {"Constant", constant},
      {"ConstantOfShape", constant_of_shape},
      {"CumSum", cumsum_of},
      {"TopK", top_k},
      {"ScatterElements", scatter_elements},
      {"ReduceSum", reduction<sum>},
      {"ReduceMean", reduction<mean>},
      {"ReduceProd", reduction<prod>},
      {"ReduceMax", reduction<amax>},
      {"ReduceMin", reduction<amin>},
      {"ReduceLogSumExp", reduction<logsumexp>},
      {"ReduceL2", norm_of},
      {"ArgMax", extreme_index<argmax>},
      {"ArgMin", extreme_index<argmin>},
  };
  return table;
}

}  // namespace ebb::detail
