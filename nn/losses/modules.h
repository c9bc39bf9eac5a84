// The losses as modules with torch's names. weight and pos_weight are buffers. The functions
// document the formulas.
#pragma once

#include <string>
#include <typeinfo>

#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// A loss function and its options as a module. Options that are tensors are buffers, which move
/// with it.
template <auto kFunction, class Options> class LossModule : public Module {
 public:
  explicit LossModule(Options options = {}) : options_(std::move(options)) {
    if constexpr (requires { options_.weight; }) add_buffer("weight", options_.weight);
    if constexpr (requires { options_.pos_weight; }) add_buffer("pos_weight", options_.pos_weight);
  }
  /// Takes the arguments of the loss function: (input, target), (input1, input2, target), (anchor,
  /// positive, negative) ...
  template <class... Rest> Tensor forward(const TensorArg& input, const Rest&... rest) const {
    return kFunction(input, rest..., options_);
  }
  template <class... Rest> Tensor operator()(const TensorArg& input, const Rest&... rest) const {
    return kFunction(input, rest..., options_);
  }
  const Options& options() const { return options_; }
  /// Returns the name of the alias: "MSELoss()".
  std::string description() const override {
    return detail::class_name_without(typeid(Options), "Options") + "()";
  }

 private:
  Options options_;
};

using L1Loss = LossModule<l1_loss, L1LossOptions>;
using MSELoss = LossModule<mse_loss, MSELossOptions>;
using SmoothL1Loss = LossModule<smooth_l1_loss, SmoothL1LossOptions>;
using HuberLoss = LossModule<huber_loss, HuberLossOptions>;
using PoissonNLLLoss = LossModule<poisson_nll_loss, PoissonNLLLossOptions>;
using GaussianNLLLoss =
    LossModule<static_cast<Tensor (*)(const TensorArg&, const Tensor&, const Tensor&,
                                      GaussianNLLLossOptions)>(gaussian_nll_loss),
               GaussianNLLLossOptions>;
using CrossEntropyLoss = LossModule<cross_entropy, CrossEntropyLossOptions>;
using NLLLoss = LossModule<nll_loss, NLLLossOptions>;
using MultiMarginLoss = LossModule<multi_margin_loss, MultiMarginLossOptions>;
using FocalLoss = LossModule<focal_loss, FocalLossOptions>;
using BCELoss = LossModule<binary_cross_entropy, BCELossOptions>;
using BCEWithLogitsLoss = LossModule<binary_cross_entropy_with_logits, BCEWithLogitsLossOptions>;
using BCELogitsLoss = BCEWithLogitsLoss;  ///< another name for it
using MultiLabelMarginLoss = LossModule<multilabel_margin_loss, MultiLabelMarginLossOptions>;
using MultiLabelSoftMarginLoss =
    LossModule<multilabel_soft_margin_loss, MultiLabelSoftMarginLossOptions>;
using SigmoidFocalLoss = LossModule<sigmoid_focal_loss, SigmoidFocalLossOptions>;
using DiceLoss = LossModule<dice_loss, DiceLossOptions>;
using KLDivLoss = LossModule<kl_div, KLDivLossOptions>;
using SoftMarginLoss = LossModule<soft_margin_loss, SoftMarginLossOptions>;
using HingeEmbeddingLoss = LossModule<hinge_embedding_loss, HingeEmbeddingLossOptions>;
using MarginRankingLoss = LossModule<margin_ranking_loss, MarginRankingLossOptions>;
using CosineEmbeddingLoss = LossModule<cosine_embedding_loss, CosineEmbeddingLossOptions>;
using TripletMarginLoss = LossModule<triplet_margin_loss, TripletMarginLossOptions>;
using TripletMarginWithDistanceLoss =
    LossModule<triplet_margin_with_distance_loss, TripletMarginWithDistanceLossOptions>;
using CTCLoss = LossModule<ctc_loss, CTCLossOptions>;

}  // namespace ebb::nn
