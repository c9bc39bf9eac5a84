// Operators of ONNX that are layers: products, convolutions, pooling, normalization, recurrence.
#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/convolution.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/normalization.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/pooling.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/recurrent.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/interop/onnx_program.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

using Step = OnnxStep;
using Tensors = std::vector<Tensor>;
using Ints = std::vector<int64_t>;

// alpha a b + beta c
Tensors gemm(const Step& s) {
  const Tensor a = s.number("transA", 0) ? transpose(s.in(0), 0, 1) : s.in(0), c = s.optional(2);
  const double alpha = s.real("alpha", 1), beta = s.real("beta", 1);
  const bool is_layer = s.number("transB", 0) && alpha == 1 && beta == 1 &&
                        (!c.defined() || (c.dim() == 1 && c.size(0) == s.in(1).size(0)));
  if (is_layer) return {linear(a, s.in(1), c)};
  Tensor y = matmul(a, s.number("transB", 0) ? transpose(s.in(1), 0, 1) : s.in(1));
  if (alpha != 1) y = y * alpha;
  return {c.defined() ? y + (beta == 1 ? c : c * beta) : y};
}

template <Tensor (*f)(const TensorArg&, int64_t)> Tensors softmax_of(const Step& s) {
  return {f(s.in(0), s.number("axis", -1))};
}

// ---- windows ----

// The windows of a convolution or a pooling over the last one or two dims.
struct Windows {
  Shape kernel, stride, dilation;
  Ints front, behind;

  Windows(const Step& s, const Tensor& x, const Shape& given_kernel) : kernel(given_kernel) {
    const int dims = x.dim() - 2;
    if (dims < 1 || dims > 2 || kernel.dim() != dims)
      s.refuse("an input ", x.shape(), " with a kernel ", kernel,
               ": expected one or two dims after the channels");
    stride = list(s, "strides", dims, 1);
    dilation = list(s, "dilations", dims, 1);
    const std::string automatic = s.text("auto_pad", "NOTSET");
    const Ints pads = s.numbers("pads");
    // Larger numbers could overflow in products.
    constexpr int64_t kMost = int64_t{1} << 31;
    for (const Ints& list :
         {pads, Ints(kernel.begin(), kernel.end()), Ints(stride.begin(), stride.end()),
          Ints(dilation.begin(), dilation.end())}) {
      for (int64_t n : list) {
        if (n >= kMost || n <= -kMost) s.refuse("the number ", n, " is too large");
      }
    }
    for (int i = 0; i < dims; ++i) {
      const auto at = static_cast<size_t>(i);
      if (kernel[i] < 1 || stride[i] < 1 || dilation[i] < 1)
        s.refuse("kernel ", kernel, ", strides ", stride, " and dilations ", dilation,
                 ": expected at least 1");
      if (automatic == "NOTSET") {
        if (!pads.empty() && pads.size() != 2 * static_cast<size_t>(dims))
          s.refuse("expected ", 2 * dims, " pads, got ", pads.size());
        front.push_back(pads.empty() ? 0 : pads[at]);
        behind.push_back(pads.empty() ? 0 : pads[at + static_cast<size_t>(dims)]);
      } else {
        const int64_t n = x.shape()[2 + i], reach = dilation[i] * (kernel[i] - 1) + 1;
        const int64_t out = (n + stride[i] - 1) / stride[i];
        const int64_t all =
            automatic == "VALID" ? 0 : std::max<int64_t>(0, (out - 1) * stride[i] + reach - n);
        const int64_t small = all / 2;
        front.push_back(automatic == "SAME_LOWER" ? all - small : small);
        behind.push_back(all - front.back());
      }
    }
  }

  // Returns x padded with a value.
  Tensor padded(const Tensor& x, double value) const {
    Shape pairs;
    bool is_needed = false;
    for (size_t i = front.size(); i-- > 0;) {
      pairs.push_back(front[i]);
      pairs.push_back(behind[i]);
      is_needed |= front[i] != 0 || behind[i] != 0;
    }
    return is_needed ? pad(x, pairs, PadMode::Constant, value) : x;
  }

 private:
  static Shape list(const Step& s, const char* name, int dims, int64_t otherwise) {
    const Ints given = s.numbers(name);
    Shape result;
    for (int i = 0; i < dims; ++i) result.push_back(otherwise);
    if (given.empty()) return result;
    if (std::ssize(given) != dims) s.refuse("expected ", dims, " ", name, ", got ", given.size());
    return Shape(std::span(given));
  }
};

Shape sizes_after_channels(const Tensor& weight) {
  return Shape(std::span(weight.shape().begin() + std::min(2, weight.dim()), weight.shape().end()));
}
Shape kernel_of(const Step& s) {
  const Ints kernel = s.numbers("kernel_shape");
  return Shape(std::span(kernel));
}

Tensors conv(const Step& s) {
  const Windows w(s, s.in(0), sizes_after_channels(s.in(1)));
  const ConvOptions options{
      .stride = w.stride, .dilation = w.dilation, .groups = s.number("group", 1)};
  const Tensor x = w.padded(s.in(0), 0);
  return {x.dim() == 3 ? conv1d(x, s.in(1), s.optional(2), options)
                       : conv2d(x, s.in(1), s.optional(2), options)};
}

// The result without pads, of which they cut off the edges.
Tensors conv_transpose(const Step& s) {
  if (!s.numbers("output_shape").empty()) s.refuse("output_shape is not supported");
  const Windows w(s, s.in(0), sizes_after_channels(s.in(1)));
  const Ints more = s.numbers("output_padding");
  ConvTransposeOptions options{
      .stride = w.stride, .groups = s.number("group", 1), .dilation = w.dilation};
  const Tensor full = s.in(0).dim() == 3 ? conv_transpose1d(s.in(0), s.in(1), {}, options)
                                         : conv_transpose2d(s.in(0), s.in(1), {}, options);
  Tensor y = full;
  for (int i = 0; i < full.dim() - 2; ++i) {
    const auto at = static_cast<size_t>(i);
    const int64_t extra = at < more.size() ? more[at] : 0;
    Shape pairs;
    for (int j = full.dim() - 3; j >= i; --j) {
      pairs.push_back(j == i ? -w.front[at] : 0);
      pairs.push_back(j == i ? extra - w.behind[at] : 0);
    }
    y = pad(y, pairs);
  }
  const Tensor bias = s.optional(2);
  if (!bias.defined()) return {y};
  Shape channels = y.shape();
  for (int i = 0; i < channels.dim(); ++i) channels[i] = i == 1 ? bias.numel() : 1;
  return {y + reshape(bias, channels)};
}

Tensors max_pool(const Step& s) {
  const Windows w(s, s.in(0), kernel_of(s));
  if (s.node().outputs.size() > 1) s.refuse("the indices of maxima are not supported");
  const bool ceil_mode = s.number("ceil_mode", 0) != 0;
  const Tensor x = w.padded(s.in(0), -std::numeric_limits<double>::infinity());
  return {x.dim() == 3 ? max_pool1d(x, w.kernel, w.stride, 0, w.dilation, ceil_mode)
                       : max_pool2d(x, w.kernel, w.stride, 0, w.dilation, ceil_mode)};
}

// The averages of padded windows, and where the padding does not count, divided by those of ones.
Tensors average_pool(const Step& s) {
  const Windows w(s, s.in(0), kernel_of(s));
  if (std::any_of(w.dilation.begin(), w.dilation.end(), [](int64_t d) { return d != 1; }))
    s.refuse("averages of dilated windows");
  const bool ceil_mode = s.number("ceil_mode", 0) != 0;
  const auto average = [&](const Tensor& x) {
    return x.dim() == 3 ? avg_pool1d(x, w.kernel, w.stride, 0, ceil_mode)
                        : avg_pool2d(x, w.kernel, w.stride, 0, ceil_mode);
  };
  const Tensor y = average(w.padded(s.in(0), 0));
  if (s.number("count_include_pad", 0)) return {y};
  Shape one = s.in(0).shape();
  one[0] = one[1] = 1;
  const Tensor counted = w.padded(ones(one, options_like(s.in(0))), 0);
  return {y / average(counted)};
}

template <Tensor (*f)(const TensorArg&, const Shape&, bool)> Tensors global_pool(const Step& s) {
  Shape dims;
  for (int i = 2; i < s.in(0).dim(); ++i) dims.push_back(i);
  return {f(s.in(0), dims, true)};
}

// ---- normalization ----

Tensors batch_normalization(const Step& s) {
  if (s.number("training_mode", 0)) s.refuse("training mode is not supported");
  return {batch_norm(s.in(0), s.in(3).detach(), s.in(4).detach(),
                     {.weight = s.in(1), .bias = s.in(2), .eps = s.real("epsilon", 1e-5)})};
}

Tensors instance_normalization(const Step& s) {
  return {
      instance_norm(s.in(0), {.weight = s.in(1), .bias = s.in(2), .eps = s.real("epsilon", 1e-5)})};
}

Tensors layer_normalization(const Step& s) {
  const Shape& shape = s.in(0).shape();
  const int64_t given = s.number("axis", -1), axis = given < 0 ? given + shape.dim() : given;
  if (axis < 0 || axis >= shape.dim()) s.refuse("axis ", given, " of a tensor ", shape);
  const Shape rows(std::span(shape.begin() + axis, shape.end()));
  const Tensor weight = expand(s.in(1), rows), bias = s.optional(2);
  return {layer_norm(s.in(0), rows, weight, bias.defined() ? expand(bias, rows) : bias,
                     s.real("epsilon", 1e-5))};
}

// ---- recurrence ----

// X (T, N, I), W (D, G H, I), R (D, G H, H), B (D, 2 G H), lengths, h0 (D, N, H), c0 (D, N, H)
class Recurrence {
 public:
  // order: where each gate of Ebb is among those of ONNX.
  Recurrence(const Step& s, Ints order) : s_(s), order_(std::move(order)) {
    if (s.optional(4).defined()) s.refuse("lengths of sequences are not supported");
    if (s.number("layout", 0) != 0) s.refuse("layout 1 is not supported");
    if (s.in(0).dim() != 3 || s.in(1).dim() != 3 || s.in(2).dim() != 3)
      s.refuse("expected X, W and R with 3 dims, got ", s.in(0).shape(), ", ", s.in(1).shape(),
               " and ", s.in(2).shape());
    time_ = s.in(0).size(0);
    batch_ = s.in(0).size(1);
    hidden_ = s.in(2).size(2);
    const std::string direction = s.text("direction", "forward");
    directions_ = direction == "bidirectional" ? 2 : 1;
    reverse_ = direction == "reverse";
    if (s.in(1).size(0) != directions_)
      s.refuse("W ", s.in(1).shape(), " for the direction ", shown(direction));
  }

  // step: (gates, weight, bias, h0, c0, steps, direction) -> states of all rows, last states
  template <class Compute> Tensors run(const Compute& compute) const {
    Tensors states, last_h, last_c;
    for (int64_t d = 0; d < directions_; ++d) {
      const Tensor x = reshape(s_.in(0), {time_ * batch_, s_.in(0).size(2)});
      const Tensor bias = s_.optional(3);
      const Tensor both = bias.defined() ? select(bias, 0, d) : Tensor();
      const int64_t rows = std::ssize(order_) * hidden_;
      const auto half = [&](int64_t i) {
        return both.defined() ? ordered(narrow(both, 0, i * rows, rows)) : Tensor();
      };
      const Tensor gates = linear(x, ordered(select(s_.in(1), 0, d)), half(0));
      const SequenceSteps steps{std::vector<int64_t>(static_cast<size_t>(time_), batch_),
                                reverse_ || d == 1};
      const auto [y, h, c] = compute(gates, ordered(select(s_.in(2), 0, d)), half(1), state(5, d),
                                     state(6, d), steps, d);
      states.push_back(reshape(y, {time_, batch_, hidden_}));
      last_h.push_back(h);
      last_c.push_back(c);
    }
    Tensors outputs{stack(states, 1), stack(last_h, 0)};
    if (last_c[0].defined()) outputs.push_back(stack(last_c, 0));
    return outputs;
  }

 private:
  Tensor ordered(const Tensor& x) const {
    Tensors blocks;
    for (int64_t gate : order_) blocks.push_back(narrow(x, 0, gate * hidden_, hidden_));
    return blocks.size() == 1 ? blocks[0] : cat(blocks, 0);
  }
  Tensor state(size_t i, int64_t d) const {
    const Tensor given = s_.optional(i);
    return given.defined() ? select(given, 0, d) : zeros({batch_, hidden_}, options_like(s_.in(0)));
  }

  const Step& s_;
  Ints order_;
  int64_t time_, batch_, hidden_, directions_;
  bool reverse_;
};

using Three = std::tuple<Tensor, Tensor, Tensor>;

void refuse_activations(const Step& s, const std::vector<std::string>& usual) {
  const std::vector<std::string> given = s.texts("activations");
  for (size_t i = 0; i < given.size(); ++i) {
    if (given[i] != usual[i % usual.size()]) s.refuse("the activation ", shown(given[i]));
  }
}

Tensors lstm(const Step& s) {
  refuse_activations(s, {"Sigmoid", "Tanh", "Tanh"});
  if (s.optional(7).defined()) s.refuse("peepholes are not supported");
  return Recurrence(s, {0, 2, 3, 1})
      .run([](const Tensor& gates, const Tensor& weight, const Tensor& bias, const Tensor& h,
              const Tensor& c, const SequenceSteps& steps,
              int64_t) { return lstm_sequence(gates, weight, bias, h, c, steps); });
}

Tensors gru(const Step& s) {
  refuse_activations(s, {"Sigmoid", "Tanh"});
  if (!s.number("linear_before_reset", 0)) s.refuse("linear_before_reset = 0 is not supported");
  return Recurrence(s, {1, 0, 2})
      .run([](const Tensor& gates, const Tensor& weight, const Tensor& bias, const Tensor& h,
              const Tensor&, const SequenceSteps& steps, int64_t) -> Three {
        const auto [y, last] = gru_sequence(gates, weight, bias, h, steps);
        return {y, last, {}};
      });
}

Tensors rnn(const Step& s) {
  const std::vector<std::string> given = s.texts("activations");
  return Recurrence(s, {0}).run([&](const Tensor& gates, const Tensor& weight, const Tensor& bias,
                                    const Tensor& h, const Tensor&, const SequenceSteps& steps,
                                    int64_t d) -> Three {
    const auto at = static_cast<size_t>(d);
    const std::string activation = at < given.size() ? given[at] : "Tanh";
    if (activation != "Tanh" && activation != "Relu")
      s.refuse("the activation ", shown(activation));
    const auto [y, last] = rnn_sequence(gates, weight, bias, h, steps, activation == "Relu");
    return {y, last, {}};
  });
}

}  // namespace

const OnnxOperators& onnx_layer_operators() {
  static const OnnxOperators table = {
      {"MatMul", [](const Step& s) { return Tensors{matmul(s.in(0), s.in(1))}; }},
      {"Gemm", gemm},
      {"Softmax", softmax_of<softmax>},
      {"LogSoftmax", softmax_of<log_softmax>},
      {"Conv", conv},
      {"ConvTranspose", conv_transpose},
      {"MaxPool", max_pool},
      {"AveragePool", average_pool},
      {"GlobalAveragePool", global_pool<mean>},
      {"GlobalMaxPool", global_pool<amax>},
      {"Resize", onnx_resize},
      {"BatchNormalization", batch_normalization},
      {"InstanceNormalization", instance_normalization},
      {"LayerNormalization", layer_normalization},
      {"LSTM", lstm},
      {"GRU", gru},
      {"RNN", rnn},
  };
  return table;
}

}  // namespace ebb::detail
