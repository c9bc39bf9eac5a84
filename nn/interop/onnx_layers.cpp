// ONNX nodes of the ops of layers: products, convolutions, pooling, normalization, recurrence.
#include "ebb/autograd/ops/recurrent.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/convolution.h"
#include "ebb/core/normalization.h"
#include "ebb/core/pooling.h"
#include "ebb/core/resampling.h"
#include "ebb/nn/interop/onnx_tracer.h"

namespace ebb::detail {
namespace {

using Call = OnnxCall;
using Ints = std::vector<int64_t>;

std::vector<std::string> inputs_of(Call& c) {
  std::vector<std::string> names;
  for (size_t i = 0; i < c.input_count(); ++i) names.push_back(c.raw(i));
  return names;
}

// x (m, in), weight (out, in), bias (out)
std::string linear(Call& c) {
  const std::string y = c.node("Gemm", inputs_of(c), {{"transB", int64_t{1}}});
  return c.option<bool>() ? c.node("Relu", {y}) : y;
}

template <OnnxType type> std::string softmax(Call& c) {
  const int64_t dim = c.option<int64_t>(), rank = c.input(0).dim();
  if (rank == 0) c.unsupported("a tensor without dims");
  return c.node(type.text, {c.raw(0)}, {{"axis", dim < 0 ? dim + rank : dim}});
}

// ---- convolution ----

// Returns the zeros behind an axis that give `out` results, or a negative number if the last
// elements are not read.
int64_t behind(int64_t in, int64_t out, int64_t kernel, int64_t stride, int64_t padding,
               int64_t dilation) {
  return (out - 1) * stride + dilation * (kernel - 1) + 1 - in - padding;
}

std::string convolution(Call& c) {
  const auto& g = c.option<ConvolutionGeometry>();
  const Shape &x = c.input(0).shape(), &w = c.input(1).shape(), &y = c.result().shape();
  Ints pads{g.padding[0], g.padding[1]};
  for (int i = 0; i < 2; ++i) {
    pads.push_back(std::max<int64_t>(
        0, behind(x[2 + i], y[2 + i], w[2 + i], g.stride[i], g.padding[i], g.dilation[i])));
  }
  return c.node("Conv", inputs_of(c),
                {{"kernel_shape", Ints{w[2], w[3]}},
                 {"strides", Ints{g.stride[0], g.stride[1]}},
                 {"dilations", Ints{g.dilation[0], g.dilation[1]}},
                 {"pads", pads},
                 {"group", g.groups}});
}

std::string transposed_convolution(Call& c) {
  const auto& g = c.option<ConvolutionGeometry>();
  const Shape &y = c.input(0).shape(), &w = c.input(1).shape(), &x = c.result().shape();
  Ints pads{g.padding[0], g.padding[1]}, more;
  for (int i = 0; i < 2; ++i) {
    const int64_t rest =
        -behind(x[2 + i], y[2 + i], w[2 + i], g.stride[i], g.padding[i], g.dilation[i]);
    // The result has x = y's reach - front - back + more elements.
    pads.push_back(g.padding[i] < -rest ? -rest : g.padding[i]);
    more.push_back(rest + pads.back());
  }
  return c.node("ConvTranspose", inputs_of(c),
                {{"kernel_shape", Ints{w[2], w[3]}},
                 {"strides", Ints{g.stride[0], g.stride[1]}},
                 {"dilations", Ints{g.dilation[0], g.dilation[1]}},
                 {"pads", pads},
                 {"output_padding", more},
                 {"group", g.groups}});
}

// ---- pooling ----

// Emits the nodes of `pool` on planes (.., H, W), which other inputs are reshaped to.
std::string on_planes(Call& c, const PoolPlan& plan, const auto& pool) {
  const auto &rows = plan.pool.rows, &cols = plan.pool.cols;
  if (plan.in.dim() == 4) return pool(c.raw(0));
  const std::string planes = c.reshape(c.raw(0), {plan.pool.planes, 1, rows.in, cols.in});
  return c.reshape(pool(planes), plan.out);
}

int64_t pad_behind(const PoolAxis& a) {
  return std::max<int64_t>(0, behind(a.in, a.out, a.kernel, a.stride, a.padding, a.dilation));
}

OnnxAttributes window_attributes(const PoolAxis& rows, const PoolAxis& cols) {
  return {{"kernel_shape", Ints{rows.kernel, cols.kernel}},
          {"strides", Ints{rows.stride, cols.stride}}};
}

// The largest elements of adaptive windows along a dim, which may differ in size.
std::string adaptive_max(Call& c, const std::string& x, const PoolAxis& axis, int64_t dim) {
  if (axis.in == axis.out) return x;
  std::vector<std::string> parts;
  for (int64_t i = 0; i < axis.out; ++i) {
    const int64_t start = axis.start(i);
    const std::string window = c.node("Slice", {x, c.sizes({start + axis.first(i)}),
                                                c.sizes({start + axis.last(i)}), c.sizes({dim})});
    parts.push_back(c.node("ReduceMax", {window}, {{"axes", Ints{dim}}, {"keepdims", int64_t{1}}}));
  }
  return parts.size() == 1 ? parts[0] : c.node("Concat", parts, {{"axis", dim}});
}

std::string max_pool(Call& c) {
  const PoolPlan& plan = c.option<PoolPlan>();
  const PoolAxis &rows = plan.pool.rows, &cols = plan.pool.cols;
  return on_planes(c, plan, [&](const std::string& x) {
    if (rows.adaptive) return adaptive_max(c, adaptive_max(c, x, cols, 3), rows, 2);
    OnnxAttributes attributes = window_attributes(rows, cols);
    attributes.push_back({"dilations", Ints{rows.dilation, cols.dilation}});
    attributes.push_back(
        {"pads", Ints{rows.padding, cols.padding, pad_behind(rows), pad_behind(cols)}});
    return c.node("MaxPool", {x}, attributes);
  });
}

// The averages of an axis as a matrix (out, in).
Tensor average_matrix(const PoolAxis& axis) {
  std::vector<double> weights(static_cast<size_t>(axis.in * axis.out));
  for (int64_t i = 0; i < axis.out; ++i) {
    for (int64_t k = axis.first(i); k < axis.last(i); ++k)
      weights[static_cast<size_t>(i * axis.in + axis.start(i) + k)] =
          1.0 / static_cast<double>(axis.last(i) - axis.first(i));
  }
  return from_data(weights, {axis.out, axis.in});
}

// R x C^T for a map of rows and one of columns; identities are left out.
std::string apply_maps(Call& c, const std::string& x, const Tensor& rows, const Tensor& cols) {
  std::string y = x;
  const DType dtype = c.result().dtype();
  if (cols.defined())
    y = c.node("MatMul", {y, c.constant("map", transpose(cols, 0, 1).to(dtype).contiguous())});
  if (rows.defined()) y = c.node("MatMul", {c.constant("map", rows.to(dtype)), y});
  return y;
}

std::string avg_pool(Call& c) {
  const PoolPlan& plan = c.option<PoolPlan>(0);
  const PoolDivisor& divisor = c.option<PoolDivisor>(1);
  const PoolAxis &rows = plan.pool.rows, &cols = plan.pool.cols;
  return on_planes(c, plan, [&](const std::string& x) {
    if (rows.adaptive) return apply_maps(c, x, average_matrix(rows), average_matrix(cols));
    const bool cut = pad_behind(rows) > rows.padding || pad_behind(cols) > cols.padding;
    if (cut && (divisor.divisor != 0 || divisor.count_include_pad))
      c.unsupported("windows beyond the padding (ceil_mode) that count it");
    OnnxAttributes attributes = window_attributes(rows, cols);
    const bool counts = divisor.divisor != 0 || divisor.count_include_pad;
    attributes.push_back({"count_include_pad", int64_t{counts}});
    attributes.push_back(
        {"pads", Ints{rows.padding, cols.padding, pad_behind(rows), pad_behind(cols)}});
    const std::string y = c.node("AveragePool", {x}, attributes);
    if (divisor.divisor == 0) return y;
    const double area = static_cast<double>(rows.kernel * cols.kernel);
    return c.node("Mul", {y, c.number(area / static_cast<double>(divisor.divisor))});
  });
}

// Interpolation is linear, and a map of rows after one of columns.
Tensor resample_matrix(const ResampleAxis& axis) {
  std::vector<double> weights(static_cast<size_t>(axis.in * axis.out));
  bool is_identity = axis.in == axis.out;
  for (int64_t i = 0; i < axis.out; ++i) {
    const ResampleTap tap = axis.tap(i);
    double* row = weights.data() + i * axis.in;
    row[tap.low] += 1 - tap.weight;
    row[tap.high] += tap.weight;
    is_identity &= tap.low == i && tap.weight == 0;
  }
  return is_identity ? Tensor() : from_data(weights, {axis.out, axis.in});
}

std::string interpolate(Call& c) {
  const ResamplePlan& plan = c.option<ResamplePlan>();
  return apply_maps(c, c.raw(0), resample_matrix(plan.planes.rows),
                    resample_matrix(plan.planes.cols));
}

// ---- normalization ----

// Returns the first of the last dims that together have `channels` elements.
int64_t first_normalized(Call& c, int64_t channels) {
  const Shape& shape = c.input(0).shape();
  const int given = c.input_count() > 1 ? c.input(1).dim() : 0;
  int64_t dim = shape.dim(), count = 1;
  while (dim > 0 && (shape.dim() - dim < given || count < channels))
    count *= shape[static_cast<int>(--dim)];
  if (count != channels) c.unsupported("a shape with sizes of 0");
  return dim;
}

std::string layer_norm(Call& c) {
  const NormPlan& plan = c.option<NormPlan>();
  const int64_t axis = first_normalized(c, plan.shape.channels);
  std::vector<std::string> inputs = inputs_of(c);
  if (inputs.size() == 1) {
    const Shape& shape = c.input(0).shape();
    inputs.push_back(c.constant("ones", ones(Shape(std::span(shape.begin() + axis, shape.end())),
                                             {.dtype = c.result().dtype()})));
  }
  return c.node("LayerNormalization", inputs,
                {{"axis", axis}, {"epsilon", static_cast<float>(plan.eps)}});
}

std::string rms_norm(Call& c) {
  const NormPlan& plan = c.option<NormPlan>();
  const std::string x = c.raw(0);
  Ints axes;
  for (int64_t d = first_normalized(c, plan.shape.channels); d < c.input(0).dim(); ++d)
    axes.push_back(d);
  const std::string squares =
      c.node("ReduceMean", {c.node("Mul", {x, x})}, {{"axes", axes}, {"keepdims", int64_t{1}}});
  const std::string root = c.node("Sqrt", {c.node("Add", {squares, c.number(plan.eps)})});
  const std::string y = c.node("Div", {x, root});
  return c.input_count() > 1 ? c.node("Mul", {y, c.raw(1)}) : y;
}

// Groups become the channels of InstanceNormalization; weight and bias follow.
std::string group_norm(Call& c) {
  const NormPlan& plan = c.option<NormPlan>();
  const NormShape& s = plan.shape;
  const TensorOptions like{.dtype = c.result().dtype()};
  const std::string rows =
      c.reshape(c.raw(0), {s.outer, s.groups, s.channels / s.groups * s.inner});
  const std::string flat = c.node("InstanceNormalization",
                                  {rows, c.constant("ones", ones({s.groups}, like)),
                                   c.constant("zeros", zeros({s.groups}, like))},
                                  {{"epsilon", static_cast<float>(plan.eps)}});
  std::string y = c.reshape(flat, c.result().shape());
  Shape channels = c.result().shape();
  for (int i = 0; i < channels.dim(); ++i) channels[i] = i == 1 ? s.channels : 1;
  if (c.input_count() > 1) y = c.node("Mul", {y, c.reshape(c.raw(1), channels)});
  if (c.input_count() > 2) y = c.node("Add", {y, c.reshape(c.raw(2), channels)});
  return y;
}

// ---- recurrence ----

// A weight or bias with the blocks of its gates in ONNX's order.
std::string reordered(Call& c, const std::string& name, const Ints& order) {
  for (const OnnxConstant& each : c.tracer().graph.constants) {
    if (each.name != name) continue;
    const Tensor& value = each.value;
    const int64_t rows = value.size(0) / std::ssize(order);
    std::vector<Tensor> blocks;
    for (int64_t gate : order) blocks.push_back(slice(value, 0, gate * rows, (gate + 1) * rows));
    return c.constant(name + "_gates", cat(blocks, 0));
  }
  c.unsupported("a weight that depends on the input");
}

// The product of the inputs, which a recurrent node of ONNX computes itself.
struct InputProduct {
  std::string x, weight, bias;
  int64_t width;
};

// gates (T N, G H), weight (G H, H), bias (G H), h0 (N, H), c0 (N, H)
class Recurrence {
 public:
  Recurrence(Call& c, std::string_view type, const Ints& order)
      : c_(c), type_(type), order_(order), steps_(c.option<SequenceSteps>()) {}

  // Emits the node for the first output. The others are its further outputs.
  std::string emit(OnnxAttributes attributes) {
    const int64_t n = c_.result().shape()[1], time = std::ssize(steps_.batch_sizes);
    const int64_t batch = time > 0 ? steps_.batch_sizes[0] : 0;
    for (int64_t size : steps_.batch_sizes) {
      if (size != batch) c_.unsupported("sequences of different lengths");
    }
    const bool has_cell = type_ == "LSTM", has_bias = c_.input_count() == (has_cell ? 5u : 4u);
    const InputProduct product = input_product();
    const std::string x = c_.reshape(product.x, {time, batch, product.width});
    const std::string r = leading(reordered(c_, c_.raw(1), order_), c_.input(1).shape());
    const Shape gates = Shape(std::ssize(order_) * n);
    const std::string zero = c_.constant("zeros", zeros(gates, {.dtype = c_.result().dtype()}));
    const std::string own = product.bias.empty() ? zero : reordered(c_, product.bias, order_);
    const std::string hidden = has_bias ? reordered(c_, c_.raw(2), order_) : zero;
    const std::string b =
        c_.reshape(c_.node("Concat", {own, hidden}, {{"axis", int64_t{0}}}), {1, 2 * gates[0]});
    const size_t state = has_bias ? 3 : 2;
    std::vector<std::string> inputs{
        x, product.weight, r, b, "", c_.reshape(c_.raw(state), {1, batch, n})};
    if (has_cell) inputs.push_back(c_.reshape(c_.raw(state + 1), {1, batch, n}));
    attributes.push_back({"hidden_size", n});
    attributes.push_back({"direction", std::string(steps_.reverse ? "reverse" : "forward")});
    const auto outputs = c_.nodes(has_cell ? 3 : 2, type_, inputs, attributes);
    return c_.reshape(outputs[0], {time * batch, n});
  }

 private:
  std::string leading(const std::string& x, const Shape& shape) {
    return c_.reshape(x, {1, shape[0], shape[1]});
  }

  // The gates are usually a product with constants. Others pass through the identity.
  InputProduct input_product() {
    const std::string gates = c_.raw(0);
    const OnnxGraph& graph = c_.tracer().graph;
    const auto is_constant = [&](const std::string& name) {
      for (const OnnxConstant& each : graph.constants) {
        if (each.name == name) return true;
      }
      return false;
    };
    for (const OnnxNode& node : graph.nodes) {
      if (node.outputs[0] != gates || node.type != "Gemm" || !is_constant(node.inputs[1])) continue;
      const bool has_bias = node.inputs.size() > 2;
      if (has_bias && !is_constant(node.inputs[2])) continue;
      const OnnxNode product = node;  // emitting nodes moves the list
      int64_t width = 0;
      for (const OnnxConstant& each : graph.constants) {
        if (each.name == product.inputs[1]) width = each.value.size(1);
      }
      const std::string weight = reordered(c_, product.inputs[1], order_);
      return {product.inputs[0], leading(weight, {c_.input(0).size(1), width}),
              has_bias ? product.inputs[2] : "", width};
    }
    const int64_t width = c_.input(0).size(1);
    const std::string unit = c_.constant("identity", eye(width, {.dtype = c_.result().dtype()}));
    return {gates, leading(reordered(c_, unit, order_), {width, width}), "", width};
  }

  Call& c_;
  std::string_view type_;
  const Ints& order_;
  const SequenceSteps& steps_;
};

template <OnnxType type>
std::string recurrent(Call& c, const Ints& order, OnnxAttributes attributes) {
  if (c.event().output > 0) return c.reshape(c.output_of_last(type.text), c.result().shape());
  return Recurrence(c, type.text, order).emit(std::move(attributes));
}

}  // namespace

const OnnxTable& onnx_layer_ops() {
  static const OnnxTable table = {
      {"linear", linear},
      {"matmul", [](Call& c) { return c.node("MatMul", inputs_of(c)); }},
      {"softmax", softmax<"Softmax">},
      {"log_softmax", softmax<"LogSoftmax">},
      {"convolution", convolution},
      {"convolution_input", transposed_convolution},
      {"max_pool", max_pool},
      {"avg_pool", avg_pool},
      {"interpolate", interpolate},
      {"layer_norm", layer_norm},
      {"rms_norm", rms_norm},
      {"group_norm", group_norm},
      {"instance_norm", group_norm},
      // Ebb's gates are i, f, g, o and r, z, n; ONNX's are i, o, f, c and z, r, h.
      {"lstm",
       [](Call& c) {
         return recurrent<"LSTM">(c, {0, 3, 1, 2}, {});
       }},
      {"gru",
       [](Call& c) {
         return recurrent<"GRU">(c, {1, 0, 2}, {{"linear_before_reset", int64_t{1}}});
       }},
      {"rnn",
       [](Call& c) {
         const std::string activation = c.option<bool>(1) ? "Relu" : "Tanh";
         return recurrent<"RNN">(c, {0}, {{"activations", std::vector<std::string>{activation}}});
       }},
  };
  return table;
}

}  // namespace ebb::detail
