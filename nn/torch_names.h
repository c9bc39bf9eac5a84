// Names of PyTorch's C++ frontend for functions and types with another name or namespace in Ebb, so
// that ported programs can keep them. docs/coming-from-pytorch.md lists the names that are the
// same, and those that are missing.
#pragma once

#include <span>
#include <vector>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/attention.h"
#include "ebb/autograd/ops/convolution.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/normalization.h"
#include "ebb/autograd/ops/pooling.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/resampling.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/unfold.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/layers/bilinear.h"
#include "ebb/nn/layers/dropout.h"
#include "ebb/nn/layers/embedding.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/nn/optim/layerwise.h"
#include "ebb/nn/optim/lbfgs.h"
#include "ebb/nn/optim/optimizer.h"
#include "ebb/nn/optim/schedules.h"

namespace ebb {

inline constexpr DType kFloat32 = DType::F32, kFloat = DType::F32, kFloat64 = DType::F64,
                       kDouble = DType::F64, kInt64 = DType::I64, kLong = DType::I64,
                       kUInt8 = DType::U8, kByte = DType::U8, kBool = DType::Bool;

inline constexpr Device kCPU = Device::cpu(), kCUDA = Device::cuda();

using NoGradGuard = NoGrad;
using InferenceMode = NoGrad;
using AutoGradMode = GradMode;

inline Tensor max(const TensorArg& a, const Tensor& b) { return maximum(a, b); }
inline Tensor min(const TensorArg& a, const Tensor& b) { return minimum(a, b); }
inline Tensor concat(const TensorsArg& tensors, int64_t dim = 0) { return cat(tensors, dim); }
inline Tensor clip(const TensorArg& x, double min, double max) { return clamp(x, min, max); }
inline Tensor scalar_tensor(Scalar value, TensorOptions options = {}) {
  return scalar(value, options);
}

// torch::conv2d(x, weight, bias, stride, padding) and so on, with torch's order of arguments.
inline Tensor conv1d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                     const Shape& stride, const ConvPadding& padding, const Shape& dilation = 1,
                     int64_t groups = 1) {
  return conv1d(input, weight, bias, {stride, padding, dilation, groups});
}
inline Tensor conv2d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                     const Shape& stride, const ConvPadding& padding, const Shape& dilation = 1,
                     int64_t groups = 1) {
  return conv2d(input, weight, bias, {stride, padding, dilation, groups});
}
inline Tensor conv_transpose1d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                               const Shape& stride, const Shape& padding,
                               const Shape& output_padding = 0, int64_t groups = 1,
                               const Shape& dilation = 1) {
  return conv_transpose1d(input, weight, bias, {stride, padding, output_padding, groups, dilation});
}
inline Tensor conv_transpose2d(const TensorArg& input, const Tensor& weight, const Tensor& bias,
                               const Shape& stride, const Shape& padding,
                               const Shape& output_padding = 0, int64_t groups = 1,
                               const Shape& dilation = 1) {
  return conv_transpose2d(input, weight, bias, {stride, padding, output_padding, groups, dilation});
}

// torch::nll_loss, torch::nn::functional::nll_loss and so on.
using nn::alpha_dropout;
using nn::bilinear;
using nn::binary_cross_entropy;
using nn::binary_cross_entropy_with_logits;
using nn::cosine_embedding_loss;
using nn::cross_entropy;
using nn::ctc_loss;
using nn::dropout;
using nn::dropout1d;
using nn::dropout2d;
using nn::embedding;
using nn::embedding_bag;
using nn::feature_alpha_dropout;
using nn::hinge_embedding_loss;
using nn::huber_loss;
using nn::kl_div;
using nn::l1_loss;
using nn::margin_ranking_loss;
using nn::mse_loss;
using nn::multi_margin_loss;
using nn::multilabel_margin_loss;
using nn::multilabel_soft_margin_loss;
using nn::nll_loss;
using nn::poisson_nll_loss;
using nn::smooth_l1_loss;
using nn::soft_margin_loss;
using nn::triplet_margin_loss;
using nn::triplet_margin_with_distance_loss;

namespace autograd {
/// grad() with the arguments of torch::autograd::grad.
inline std::vector<Tensor> grad(const std::vector<Tensor>& outputs,
                                const std::vector<Tensor>& inputs,
                                const std::vector<Tensor>& grad_outputs = {},
                                bool retain_graph = false, bool create_graph = false,
                                bool allow_unused = false) {
  return ebb::grad(std::span<const Tensor>(outputs), std::span<const Tensor>(inputs),
                   {.grad_outputs = grad_outputs,
                    .create_graph = create_graph,
                    .retain_graph = retain_graph,
                    .allow_unused = allow_unused});
}
inline void backward(const std::vector<Tensor>& tensors,
                     const std::vector<Tensor>& grad_tensors = {}, bool retain_graph = false,
                     bool create_graph = false) {
  ebb::backward(std::span<const Tensor>(tensors), std::span<const Tensor>(grad_tensors),
                retain_graph, create_graph);
}
}  // namespace autograd

namespace optim {
using nn::ASGD;
using nn::ASGDOptions;
using nn::Adadelta;
using nn::AdadeltaOptions;
using nn::Adafactor;
using nn::AdafactorOptions;
using nn::Adagrad;
using nn::AdagradOptions;
using nn::Adam;
using nn::AdamOptions;
using nn::AdamW;
using nn::AdamWOptions;
using nn::Adamax;
using nn::AdamaxOptions;
using nn::LAMB;
using nn::LAMBOptions;
using nn::LBFGS;
using nn::LBFGSOptions;
using nn::LineSearch;
using nn::Lion;
using nn::LionOptions;
using nn::Muon;
using nn::MuonOptions;
using nn::NAdam;
using nn::NAdamOptions;
using nn::Optimizer;
using nn::RAdam;
using nn::RAdamOptions;
using nn::RMSprop;
using nn::RMSpropOptions;
using nn::ReduceLROnPlateau;
using nn::ReduceLROnPlateauOptions;
using nn::Rprop;
using nn::RpropOptions;
using nn::SGD;
using nn::SGDOptions;
}  // namespace optim

namespace nn {
/// All functions of torch::nn::functional are in ebb.
namespace functional = ::ebb;
}  // namespace nn

}  // namespace ebb
