// The three operations of core/convolution.h as ops, each of which has the other two as its
// derivatives, and the checks of torch's functions.
#include "ebb/autograd/ops/convolution.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/core/convolution.h"

namespace ebb {
namespace {

TensorOptions kind_of(const Tensor& x) { return {.dtype = x.dtype(), .device = x.device()}; }

// Runs a convolution, of which a tensor may be empty.
void compute(const ConvolutionArgs& args) {
  const Tensor& out = args.kind == ConvolutionKind::Forward         ? *args.y
                      : args.kind == ConvolutionKind::InputGradient ? *args.x
                                                                    : *args.w;
  if (out.numel() == 0) return;
  Backend& device = backend(out.device());
  if (args.x->numel() > 0 && args.w->numel() > 0 && args.y->numel() > 0)
    return device.convolution().run(args);
  Tensor result = out;
  if (args.bias) device.copy(result, unsqueeze(unsqueeze(*args.bias, 1), 2));
  else device.fill(result, 0);
}

// x (N, C, H, W), w (O, C / groups, kh, kw), bias (O) or undefined; y (N, O, OH, OW)
struct Convolution {
  static constexpr std::string_view name = "convolution";
  struct State {
    Saved x, w;
    ConvolutionGeometry geometry;
    bool has_bias = false;
  };
  static Shape shape(const Tensor&, const Tensor&, const Tensor&, const ConvolutionGeometry&,
                     const Shape& y) {
    return y;
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Tensor& w,
                        const Tensor& bias, const ConvolutionGeometry& geometry, const Shape&) {
    state = {Saved(x), Saved(w), geometry, bias.defined()};
    const Tensor y = empty(shape, kind_of(x)), dense_x = x.contiguous(), dense_w = w.contiguous();
    const Tensor dense_bias = bias.defined() ? bias.contiguous() : bias;
    compute({.x = &dense_x,
             .w = &dense_w,
             .y = &y,
             .geometry = geometry,
             .bias = bias.defined() ? &dense_bias : nullptr});
    return y;
  }
  static std::array<Tensor, 3> backward(const State& state, const Tensor& g,
                                        const BackwardContext& context);
};

// The gradient of x from y's: y (N, O, OH, OW), w as above; x (N, C, H, W)
struct ConvolutionInput {
  static constexpr std::string_view name = "convolution_input";
  struct State {
    Saved y, w;
    ConvolutionGeometry geometry;
  };
  static Shape shape(const Tensor&, const Tensor&, const ConvolutionGeometry&, const Shape& x) {
    return x;
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& y, const Tensor& w,
                        const ConvolutionGeometry& geometry, const Shape&) {
    state = {Saved(y), Saved(w), geometry};
    const Tensor x = empty(shape, kind_of(y)), dense_y = y.contiguous(), dense_w = w.contiguous();
    compute({.kind = ConvolutionKind::InputGradient,
             .x = &x,
             .w = &dense_w,
             .y = &dense_y,
             .geometry = geometry});
    return x;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g,
                                        const BackwardContext& context);
};

// The gradient of w from y's: x and y as above; w (O, C / groups, kh, kw)
struct ConvolutionWeight {
  static constexpr std::string_view name = "convolution_weight";
  struct State {
    Saved x, y;
    ConvolutionGeometry geometry;
  };
  static Shape shape(const Tensor&, const Tensor&, const ConvolutionGeometry&, const Shape& w) {
    return w;
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Tensor& y,
                        const ConvolutionGeometry& geometry, const Shape&) {
    state = {Saved(x), Saved(y), geometry};
    const Tensor w = empty(shape, kind_of(x)), dense_x = x.contiguous(), dense_y = y.contiguous();
    compute({.kind = ConvolutionKind::WeightGradient,
             .x = &dense_x,
             .w = &w,
             .y = &dense_y,
             .geometry = geometry});
    return w;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g,
                                        const BackwardContext& context) {
    const Tensor x = state.x.get(), y = state.y.get();
    return {context.needs(0) ? apply<ConvolutionInput>(y, g, state.geometry, x.shape()) : Tensor(),
            context.needs(1) ? apply<Convolution>(x, g, Tensor(), state.geometry, y.shape())
                             : Tensor()};
  }
};

std::array<Tensor, 2> ConvolutionInput::backward(const State& state, const Tensor& g,
                                                 const BackwardContext& context) {
  const Tensor y = state.y.get(), w = state.w.get();
  return {
      context.needs(0) ? apply<Convolution>(g, w, Tensor(), state.geometry, y.shape()) : Tensor(),
      context.needs(1) ? apply<ConvolutionWeight>(g, y, state.geometry, w.shape()) : Tensor()};
}

// Computes the gradients that are wanted, and in the same pass the bias's sums of g.
std::array<Tensor, 3> plain_gradients(const Convolution::State& state, const Tensor& upstream,
                                      const BackwardContext& context) {
  const bool wants_bias = state.has_bias && context.needs(2);
  const Tensor g = upstream.contiguous(), x = state.x.get().contiguous(),
               w = state.w.get().contiguous();
  std::array<Tensor, 3> results;
  ConvolutionArgs input{
      .kind = ConvolutionKind::InputGradient, .w = &w, .y = &g, .geometry = state.geometry};
  ConvolutionArgs weight{
      .kind = ConvolutionKind::WeightGradient, .x = &x, .y = &g, .geometry = state.geometry};
  if (context.needs(0)) results[0] = empty(x.shape(), kind_of(x));
  if (context.needs(1)) results[1] = empty(w.shape(), kind_of(w));
  input.x = &results[0];
  weight.w = &results[1];
  if (wants_bias && context.needs(1)) {
    results[2] = empty({w.shape()[0]}, kind_of(w));
    weight.y_sum = &results[2];
  } else if (wants_bias) {
    results[2] = sum(g, {0, 2, 3});
  }
  ConvolutionKernels& kernels = backend(g.device()).convolution();
  if (context.needs(0) && context.needs(1)) kernels.run_both(input, weight);
  else if (context.needs(0)) kernels.run(input);
  else if (context.needs(1)) kernels.run(weight);
  return results;
}

std::array<Tensor, 3> Convolution::backward(const State& state, const Tensor& g,
                                            const BackwardContext& context) {
  const bool is_empty =
      g.numel() == 0 || state.x.peek().numel() == 0 || state.w.peek().numel() == 0;
  if (!context.create_graph && !is_empty) return plain_gradients(state, g, context);
  const Tensor x = state.x.get(), w = state.w.get();
  return {context.needs(0) ? apply<ConvolutionInput>(g, w, state.geometry, x.shape()) : Tensor(),
          context.needs(1) ? apply<ConvolutionWeight>(x, g, state.geometry, w.shape()) : Tensor(),
          state.has_bias && context.needs(2) ? sum(g, {0, 2, 3}) : Tensor()};
}

// ---- torch's functions ----

// Sums and products of sizes and options up to this number do not overflow.
constexpr int64_t kMostSize = int64_t{1} << 40;

// An option as one number for each dim, checked to be from `least` to kMostSize.
Shape each_dim(std::string_view op, const char* option, const Shape& numbers, int dims,
               int64_t least) {
  if (numbers.dim() != 1 && numbers.dim() != dims) {
    fail(op, "expected ", option, " as ", dims == 1 ? "" : "one number or ", dims,
         dims == 1 ? " number" : " numbers", ", got ", numbers);
  }
  Shape each;
  for (int i = 0; i < dims; ++i) each.push_back(numbers[numbers.dim() == 1 ? 0 : i]);
  for (int64_t n : each) {
    if (n < least) fail(op, "expected ", option, " of at least ", least, ", got ", numbers);
    if (n > kMostSize)
      fail(op, "expected ", option, " of at most 2^40, got ", numbers, ": too large");
  }
  return each;
}

// The call of a function in `dims` dims, whose tensors get a height of 1 where dims = 1.
class Call {
 public:
  // outputs: the dim of weight that has the channels of the larger tensor, O of conv and C of its
  // transpose.
  Call(std::string_view op, int dims, const Tensor& input, const Tensor& weight, const Tensor& bias,
       const Shape& stride, const Shape& dilation, int64_t groups)
      : op_(op),
        dims_(dims),
        stride_(each_dim(op, "stride", stride, dims, 1)),
        dilation_(each_dim(op, "dilation", dilation, dims, 1)) {
    for (const Tensor* t : {&input, &weight}) {
      check_defined(op, *t);
      check_floating(op, *t);
    }
    const Tensor* all[] = {&input, &weight, &bias};
    check_same_kind(op, std::span<const Tensor* const>(all, bias.defined() ? 3 : 2));
    if (groups < 1) fail(op, "expected at least 1 group, got ", groups);
    if (weight.dim() != dims + 2) {
      fail(op, "expected a weight of ", dims + 2, " dims, got ", weight.shape());
    }
    if (input.dim() != dims + 1 && input.dim() != dims + 2) {
      fail(op, "expected input of ", dims + 2, " dims, or ", dims + 1, " of one sample, got ",
           input.shape());
    }
    for (int i = 0; i < dims; ++i) {
      if (weight.size(2 + i) < 1 || input.size(i - dims) < 1) {
        fail(op, "expected sizes of at least 1 after the channels, got input ", input.shape(),
             " and weight ", weight.shape());
      }
    }
    if (weight.size(0) < 1 || weight.size(0) % groups != 0) {
      fail(op, "expected the first size of weight ", weight.shape(), " to be a multiple of ",
           groups, groups == 1 ? " group" : " groups");
    }
    one_sample_ = input.dim() == dims + 1;
    x_ = one_sample_ ? unsqueeze(input, 0) : input;
    w_ = weight;
    bias_ = bias;
    geometry_.groups = groups;
    for (int i = 0; i < dims; ++i) {
      geometry_.stride[2 - dims + i] = stride_[i];
      geometry_.dilation[2 - dims + i] = dilation_[i];
    }
  }

  void check_channels(int64_t expected, int64_t outputs) const {
    if (x_.size(1) != expected) {
      fail(op_, "input with ", x_.size(1), " channels does not fit weight ", w_.shape(), " with ",
           geometry_.groups, geometry_.groups == 1 ? " group" : " groups", ": expected ", expected,
           " channels");
    }
    if (bias_.defined() && !(bias_.shape() == Shape{outputs})) {
      fail(op_, "bias ", bias_.shape(), " does not fit weight ", w_.shape(), ": expected ",
           Shape{outputs});
    }
  }

  // The extent of the kernel along dim i, with its gaps.
  int64_t extent(int i) const {
    return checked_add(op_, checked_mul(op_, dilation_[i], w_.size(2 + i) - 1), 1);
  }

  Tensor convolve(const ConvPadding& padding) {
    const int64_t outputs = w_.size(0);
    check_channels(checked_mul(op_, w_.size(1), geometry_.groups), outputs);
    if (padding.is_same() && !(stride_ == each_dim(op_, "stride", 1, dims_, 1)))
      fail(op_, "padding \"same\" needs stride 1, got ", stride_);
    const Shape front =
        padding.is_same() ? Shape() : each_dim(op_, "padding", padding.numbers(), dims_, 0);
    Shape y{x_.size(0), outputs};
    if (dims_ == 1) y.push_back(1);
    for (int i = 0; i < dims_; ++i) {
      const int64_t size = x_.size(2 + i), kernel = extent(i);
      geometry_.padding[2 - dims_ + i] = padding.is_same() ? (kernel - 1) / 2 : front[i];
      if (padding.is_same()) {
        y.push_back(size);
        continue;
      }
      const int64_t padded = checked_add(op_, size, checked_mul(op_, 2, front[i]));
      if (kernel > padded) refuse_kernel(front);
      y.push_back((padded - kernel) / stride_[i] + 1);
    }
    y.numel(op_);
    return result(apply<Convolution>(flat(x_), flat(w_), bias_, geometry_, y));
  }

  Tensor transpose_convolve(const Shape& padding, const Shape& output_padding) {
    const Shape front = each_dim(op_, "padding", padding, dims_, 0),
                more = each_dim(op_, "output_padding", output_padding, dims_, 0);
    const int64_t outputs = checked_mul(op_, w_.size(1), geometry_.groups);
    check_channels(w_.size(0), outputs);
    Shape y{x_.size(0), outputs};
    if (dims_ == 1) y.push_back(1);
    for (int i = 0; i < dims_; ++i) {
      if (more[i] >= std::max(stride_[i], dilation_[i])) {
        fail(op_, "expected output_padding below stride or dilation, got ", more, " with stride ",
             stride_, " and dilation ", dilation_);
      }
      const int64_t reach = checked_add(op_, checked_mul(op_, x_.size(2 + i) - 1, stride_[i]),
                                        checked_add(op_, extent(i), more[i]));
      const int64_t size = checked_add(op_, reach, -checked_mul(op_, 2, front[i]));
      if (size < 1) {
        fail(op_, "input ", x_.shape(), " with kernel ", w_.shape(), " and padding ", front,
             " gives a result of size ", size, " along dim ", 2 + i, ": expected at least 1");
      }
      geometry_.padding[2 - dims_ + i] = front[i];
      y.push_back(size);
    }
    y.numel(op_);
    Tensor out = apply<ConvolutionInput>(flat(x_), flat(w_), geometry_, y);
    if (bias_.defined()) out = add(out, reshape(bias_, {outputs, 1, 1}));
    return result(out);
  }

 private:
  Tensor flat(const Tensor& t) const { return dims_ == 1 ? unsqueeze(t, 2) : t; }
  Tensor result(Tensor y) const {
    if (dims_ == 1) y = squeeze(y, 2);
    return one_sample_ ? squeeze(y, 0) : y;
  }
  [[noreturn]] void refuse_kernel(const Shape& front) const {
    Shape padded, kernel;
    for (int i = 0; i < dims_; ++i) {
      padded.push_back(x_.size(2 + i) + 2 * front[i]);
      kernel.push_back(extent(i));
    }
    fail(op_, "kernel of size ", kernel, " is larger than the padded input of size ", padded,
         ": input ", x_.shape(), ", weight ", w_.shape(), ", padding ", front, ", dilation ",
         dilation_);
  }

  std::string_view op_;
  int dims_;
  Shape stride_, dilation_;
  bool one_sample_ = false;
  Tensor x_, w_, bias_;
  ConvolutionGeometry geometry_;
};

Tensor convolve(std::string_view op, int dims, const TensorArg& input, const Tensor& weight,
                const Tensor& bias, const ConvOptions& options) {
  const CompositeScope scope(input, op);
  return Call(op, dims, *input, weight, bias, options.stride, options.dilation, options.groups)
      .convolve(options.padding);
}

Tensor transpose_convolve(std::string_view op, int dims, const TensorArg& input,
                          const Tensor& weight, const Tensor& bias,
                          const ConvTransposeOptions& options) {
  const CompositeScope scope(input, op);
  return Call(op, dims, *input, weight, bias, options.stride, options.dilation, options.groups)
      .transpose_convolve(options.padding, options.output_padding);
}

}  // namespace

ConvPadding::ConvPadding(const char* text) {
  const std::string_view given = text ? text : "";
  if (given == "same") text_ = "same", same_ = true;
  else if (given == "valid") text_ = "valid";
  else fail("padding", "expected numbers, \"same\" or \"valid\", got \"", given, "\"");
}

Tensor conv1d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  return convolve("conv1d", 1, input, weight, bias, options);
}
Tensor conv2d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
              const ConvOptions& options) {
  return convolve("conv2d", 2, input, weight, bias, options);
}
Tensor conv_transpose1d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return transpose_convolve("conv_transpose1d", 1, input, weight, bias, options);
}
Tensor conv_transpose2d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                        const ConvTransposeOptions& options) {
  return transpose_convolve("conv_transpose2d", 2, input, weight, bias, options);
}

}  // namespace ebb
