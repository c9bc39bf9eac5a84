// Names of PyTorch's C++ frontend for functions and types with another name or namespace in Ebb, so
// that ported programs can keep them. docs/coming-from-pytorch.md lists the names that are the
// same, and those that are missing.
#pragma once

#include <span>
#include <vector>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/convolution.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/normalization.h"
#include "ebb/autograd/ops/pooling.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/resampling.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/unfold.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/layers/bilinear.h"
#include "ebb/nn/layers/dropout.h"
#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/nn/optim/optimizer.h"

namespace ebb {

inline constexpr DType kFloat32 = DType::F32, kFloat = DType::F32, kFloat64 = DType::F64,
                       kDouble = DType::F64, kInt64 = DType::I64, kLong = DType::I64,
                       kUInt8 = DType::U8, kByte = DType::U8, kBool = DType::Bool;

using NoGradGuard = NoGrad;

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

// torch::nll_loss and so on.
using nn::alpha_dropout;
using nn::bilinear;
using nn::binary_cross_entropy;
using nn::binary_cross_entropy_with_logits;
using nn::cosine_embedding_loss;
using nn::ctc_loss;
using nn::dropout;
using nn::feature_alpha_dropout;
using nn::hinge_embedding_loss;
using nn::huber_loss;
using nn::kl_div;
using nn::l1_loss;
using nn::margin_ranking_loss;
using nn::mse_loss;
using nn::multi_margin_loss;
using nn::multilabel_margin_loss;
using nn::nll_loss;
using nn::poisson_nll_loss;
using nn::smooth_l1_loss;
using nn::soft_margin_loss;
using nn::triplet_margin_loss;

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
}  // namespace autograd

namespace optim {
using nn::Adam;
using nn::AdamOptions;
using nn::AdamW;
using nn::AdamWOptions;
using nn::Optimizer;
using nn::SGD;
using nn::SGDOptions;
}  // namespace optim

namespace nn::functional {
using ebb::adaptive_avg_pool1d;
using ebb::adaptive_avg_pool2d;
using ebb::adaptive_max_pool1d;
using ebb::adaptive_max_pool1d_with_indices;
using ebb::adaptive_max_pool2d;
using ebb::adaptive_max_pool2d_with_indices;
using ebb::avg_pool1d;
using ebb::avg_pool2d;
using ebb::batch_norm;
using ebb::BatchNormFuncOptions;
using ebb::celu;
using ebb::conv1d;
using ebb::conv2d;
using ebb::conv_transpose1d;
using ebb::conv_transpose2d;
using ebb::cosine_similarity;
using ebb::elu;
using ebb::fold;
using ebb::gelu;
using ebb::glu;
using ebb::group_norm;
using ebb::gumbel_softmax;
using ebb::hardshrink;
using ebb::hardsigmoid;
using ebb::hardswish;
using ebb::hardtanh;
using ebb::instance_norm;
using ebb::InstanceNormFuncOptions;
using ebb::interpolate;
using ebb::layer_norm;
using ebb::leaky_relu;
using ebb::linear;
using ebb::log_softmax;
using ebb::logsigmoid;
using ebb::max_pool1d;
using ebb::max_pool1d_with_indices;
using ebb::max_pool2d;
using ebb::max_pool2d_with_indices;
using ebb::mish;
using ebb::normalize;
using ebb::one_hot;
using ebb::pad;
using ebb::pixel_shuffle;
using ebb::pixel_unshuffle;
using ebb::prelu;
using ebb::relu;
using ebb::relu6;
using ebb::rms_norm;
using ebb::selu;
using ebb::sigmoid;
using ebb::silu;
using ebb::softmax;
using ebb::softmin;
using ebb::softplus;
using ebb::softshrink;
using ebb::softsign;
using ebb::tanh;
using ebb::tanhshrink;
using ebb::threshold;
using ebb::unfold;
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
}  // namespace nn::functional

}  // namespace ebb
