// ONNX nodes of the ops that move, select and reduce elements.
#include <limits>
#include <numeric>

#include "ebb/autograd/ops/heads_shape.h"
#include "ebb/nn/interop/onnx_tracer.h"

namespace ebb::detail {
namespace {

using Call = OnnxCall;

int64_t rank(const Call& c) { return c.input(0).dim(); }
int64_t positive(int64_t dim, int64_t rank) { return dim < 0 ? dim + rank : dim; }
std::vector<int64_t> list_of(const Shape& shape) { return {shape.begin(), shape.end()}; }

std::string permute(Call& c) {
  std::vector<int64_t> order;
  for (int64_t d : c.option<Shape>()) order.push_back(positive(d, rank(c)));
  return c.node("Transpose", {c.raw(0)}, {{"perm", order}});
}

std::string slice(Call& c) {
  const int64_t dim = positive(c.option<int64_t>(0), rank(c)), step = c.option<int64_t>(3);
  const int64_t size = c.input(0).size(dim);
  const auto bound = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + size : i, 0, size); };
  return c.node("Slice", {c.raw(0), c.sizes({bound(c.option<int64_t>(1))}),
                          c.sizes({bound(c.option<int64_t>(2))}), c.sizes({dim}), c.sizes({step})});
}

std::string flip(Call& c) {
  std::vector<int64_t> axes;
  for (int64_t d : c.option<Shape>()) axes.push_back(positive(d, rank(c)));
  const auto each = [&](int64_t value) {
    return c.sizes(std::vector<int64_t>(axes.size(), value));
  };
  return c.node("Slice", {c.raw(0), each(-1), each(std::numeric_limits<int64_t>::min()),
                          c.sizes(axes), each(-1)});
}

std::string cat(Call& c) {
  std::vector<std::string> inputs;
  for (size_t i = 0; i < c.input_count(); ++i) inputs.push_back(c.raw(i));
  return c.node("Concat", inputs, {{"axis", positive(c.option<int64_t>(), rank(c))}});
}

std::string pad(Call& c) {
  std::vector<int64_t> pads = list_of(c.option<Shape>(0));
  for (int64_t n : c.option<Shape>(1)) pads.push_back(n);
  const Tensor value = full({}, c.option<double>(2), {.dtype = c.result().dtype()});
  return c.node("Pad", {c.raw(0), c.sizes(pads), c.constant("number", value)});
}

template <bool kUpper> std::string triangle(Call& c) {
  return c.node("Trilu", {c.raw(0), c.constant("number", full({}, c.option<int64_t>()))},
                {{"upper", int64_t{kUpper}}});
}

// The reduced dims are an input of ReduceSum, and an attribute of the others.
std::vector<int64_t> reduced_dims(const Call& c) {
  std::vector<int64_t> dims;
  for (int64_t d : c.option<Shape>(0)) dims.push_back(positive(d, rank(c)));
  if (dims.empty()) {
    dims.resize(static_cast<size_t>(rank(c)));
    std::iota(dims.begin(), dims.end(), 0);
  }
  return dims;
}

std::string converted(Call& c) {
  return c.input(0).dtype() == c.result().dtype() ? c.raw(0) : c.cast(c.raw(0), c.result().dtype());
}

std::string sum(Call& c) {
  if (rank(c) == 0) return converted(c);
  return c.node("ReduceSum", {converted(c), c.sizes(reduced_dims(c))},
                {{"keepdims", int64_t{c.option<bool>(1)}}});
}

template <OnnxType type> std::string reduced(Call& c) {
  if (rank(c) == 0) return converted(c);
  return c.node(type.text, {converted(c)},
                {{"axes", reduced_dims(c)}, {"keepdims", int64_t{c.option<bool>(1)}}});
}

// sum (x - mean)^2 / (n - correction)
std::string variance(Call& c) {
  const std::vector<int64_t> dims = reduced_dims(c);
  int64_t n = 1;
  for (int64_t d : dims) n *= c.input(0).size(d);
  const std::string x = c.raw(0);
  const std::string mean = c.node("ReduceMean", {x}, {{"axes", dims}, {"keepdims", int64_t{1}}});
  const std::string deviation = c.node("Sub", {x, mean});
  const std::string squares =
      c.node("ReduceSum", {c.node("Mul", {deviation, deviation}), c.sizes(dims)},
             {{"keepdims", int64_t{c.option<bool>(2)}}});
  const double divisor = std::max(0.0, static_cast<double>(n) - c.option<double>(1));
  return c.node("Div", {squares, c.number(divisor)});
}

std::string cumsum(Call& c) {
  const Tensor axis = full({}, positive(c.option<int64_t>(0), rank(c)));
  return c.node("CumSum", {c.raw(0), c.constant("axis", axis)},
                {{"reverse", int64_t{c.option<bool>(1)}}});
}

// x at the positions start, start + step, ... of a dim, and zeros elsewhere: a choice among the
// elements of x and one zero behind them.
std::string slice_scatter(Call& c) {
  const Shape& shape = c.option<Shape>(0);
  const int64_t dim = positive(c.option<int64_t>(1), rank(c)), start = c.option<int64_t>(2),
                step = c.option<int64_t>(3), n = c.input(0).size(dim);
  std::vector<int64_t> pads(static_cast<size_t>(2 * rank(c))), places;
  pads[static_cast<size_t>(rank(c) + dim)] = 1;
  for (int64_t i = 0; i < shape[static_cast<int>(dim)]; ++i) {
    const bool is_taken = i >= start && (i - start) % step == 0 && (i - start) / step < n;
    places.push_back(is_taken ? (i - start) / step : n);
  }
  const std::string with_zero = c.node("Pad", {c.raw(0), c.sizes(pads)});
  const Tensor index = from_data(places, {std::ssize(places)});
  return c.node("Gather", {with_zero, c.constant("places", index)}, {{"axis", dim}});
}

std::string scatter_add(Call& c) {
  const std::string zero = c.constant("number", zeros({}, {.dtype = c.result().dtype()}));
  const std::string from = c.node("Expand", {zero, c.sizes(list_of(c.result().shape()))});
  return c.node("ScatterElements", {from, c.raw(1), c.raw(0)},
                {{"axis", positive(c.option<int64_t>(1), c.result().dim())},
                 {"reduction", std::string("add")}});
}

// The values and, as the second output, their positions.
std::string sort(Call& c) {
  if (c.event().output > 0) return c.output_of_last("TopK");
  return c.nodes(2, "TopK", {c.raw(0), c.sizes({c.option<int64_t>(1)})},
                 {{"axis", int64_t{c.option<int>(0)}}, {"largest", int64_t{c.option<bool>(2)}}})[0];
}

// ---- heads of attention ----

// (outer, inner, parts heads width) -> (N H, T, D), one part for each output
std::string split_heads(Call& c) {
  const HeadsShape& h = c.option<HeadsShape>();
  const int64_t row = h.heads * h.width, part = c.event().output;
  std::string x = c.raw(0);
  if (c.input(0).size(2) != row) {
    x = c.node("Slice",
               {x, c.sizes({part * row}), c.sizes({(part + 1) * row}), c.sizes({2}), c.sizes({1})});
  }
  const std::string cut = c.reshape(x, {h.outer, h.inner, h.heads, h.width});
  const auto order =
      h.batch_first ? std::vector<int64_t>{0, 2, 1, 3} : std::vector<int64_t>{1, 2, 0, 3};
  return c.reshape(c.node("Transpose", {cut}, {{"perm", order}}), h.cut());
}

std::string join_heads(Call& c) {
  const HeadsShape& h = c.option<HeadsShape>();
  if (c.input_count() != 1) c.unsupported();
  const std::string cut = c.reshape(c.raw(0), h.by_head());
  const auto order =
      h.batch_first ? std::vector<int64_t>{0, 2, 1, 3} : std::vector<int64_t>{2, 0, 1, 3};
  return c.reshape(c.node("Transpose", {cut}, {{"perm", order}}), c.result().shape());
}

}  // namespace

const OnnxTable& onnx_shape_ops() {
  static const OnnxTable table = {
      {"reshape", [](Call& c) { return c.reshape(c.raw(0), c.result().shape()); }},
      {"permute", permute},
      {"expand",
       [](Call& c) {
         return c.node("Expand", {c.raw(0), c.sizes(list_of(c.result().shape()))});
       }},
      {"alias", [](Call& c) { return c.raw(0); }},
      {"clone", [](Call& c) { return c.raw(0); }},
      {"to", converted},
      {"slice", slice},
      {"flip", flip},
      {"cat", cat},
      {"pad", pad},
      {"tril", triangle<false>},
      {"triu", triangle<true>},
      {"gather",
       [](Call& c) {
         return c.node("GatherElements", {c.raw(0), c.raw(1)},
                       {{"axis", positive(c.option<int64_t>(), rank(c))}});
       }},
      {"embedding",
       [](Call& c) {
         return c.node("Gather", {c.raw(0), c.raw(1)});
       }},
      {"sum", sum},
      {"prod", reduced<"ReduceProd">},
      {"amax", reduced<"ReduceMax">},
      {"amin", reduced<"ReduceMin">},
      {"logsumexp", reduced<"ReduceLogSumExp">},
      {"norm", reduced<"ReduceL2">},
      {"var", variance},
      {"cumsum", cumsum},
      {"slice_scatter", slice_scatter},
      {"scatter_add", scatter_add},
      {"sort", sort},
      {"split_heads", split_heads},
      {"join_heads", join_heads},
  };
  return table;
}

}  // namespace ebb::detail
