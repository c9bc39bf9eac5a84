// Losses on distributions, margins and distances between samples.
//
// docs/losses.md compares the losses and lists differences from PyTorch.
#pragma once

#include <functional>

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct KLDivLossOptions {
  Reduction reduction = Reduction::Mean;
  bool log_target = false;
};
/// Returns t (log t - x) for log-probabilities x, or e^t (t - x) if the target consists of
/// log-probabilities too.
///
/// Derivatives: -t by x; log t + 1 - x by t, which is -infinity at t = 0. An element whose target
/// is 0 is 0 and has gradient 0 by x, also where x is -infinity; torch returns NaN there. Its
/// gradient by t is then 0 too. BatchMean (the sum divided by size(0)) is the Kullback-Leibler
/// divergence; Mean, torch's default, divides by the number of elements.
///
///     Tensor loss = kl_div(log(tensor({0.5, 0.5})), tensor({1., 0.}));  // 0.346574
///
/// Formula: KlDiv, KlDivLogTarget in formulas.h. Test: kl_div in rows_losses_pointwise.cpp.
Tensor kl_div(const TensorArg& input, const Tensor& target, KLDivLossOptions options = {});

struct SoftMarginLossOptions {
  Reduction reduction = Reduction::Mean;
};
/// Returns log(1 + e^(-t x)) for labels t of 1 or -1. It does not overflow.
///
/// Derivative: -t sigmoid(-t x). Throws Error for integer labels other than 1 and -1.
///
/// Formula: SoftMarginLoss in formulas.h. Test: soft_margin_loss in rows_losses_pointwise.cpp.
Tensor soft_margin_loss(const TensorArg& input, const Tensor& target,
                        SoftMarginLossOptions options = {});

struct HingeEmbeddingLossOptions {
  double margin = 1;
  Reduction reduction = Reduction::Mean;
};
/// Returns x where t = 1, and max(0, margin - x) where t = -1.
///
/// Derivative: 1 where t = 1; -1 where t = -1 and x < margin; else 0. The target can have an
/// integer dtype, and has no gradient. Throws Error for another t.
///
/// Formula: HingeEmbeddingLoss in formulas.h. Test: hinge_embedding_loss in
/// rows_losses_pointwise.cpp.
Tensor hinge_embedding_loss(const TensorArg& input, const Tensor& target,
                            HingeEmbeddingLossOptions options = {});

struct MarginRankingLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::Mean;
};
/// Returns max(0, -t (x1 - x2) + margin); t = 1 ranks x1 higher, t = -1 x2.
///
/// Derivatives: -t by x1 and t by x2 where the loss is above 0, else 0. Shape: all three have the
/// same number of dims, and broadcast. Throws Error for integer labels other than 1 and -1.
///
/// Formula: MarginRankingLoss in formulas.h. Test: margin_ranking_loss in
/// rows_losses_pointwise.cpp.
Tensor margin_ranking_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                           MarginRankingLossOptions options = {});

struct CosineEmbeddingLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::Mean;
};
/// Returns 1 - cos(x1, x2) where t = 1, and max(0, cos(x1, x2) - margin) where t = -1.
///
/// cos(x1, x2) = x1 . x2 / sqrt((|x1|^2 + 1e-12)(|x2|^2 + 1e-12)). Shape: inputs (N, D) and target
/// (N), or (D) and (). Throws Error for another t.
///
/// Composed in distance.cpp. Test: cosine_embedding_loss in rows_losses_similarity.cpp.
Tensor cosine_embedding_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                             CosineEmbeddingLossOptions options = {});

/// Returns ||a - b + eps||_p over the last dim.
///
///     Tensor d = pairwise_distance(tensor({{0., 0.}}), tensor({{3., 4.}}));  // [5]
///
/// Composed in distance.cpp. Test: pairwise_distance in rows_losses_similarity.cpp.
Tensor pairwise_distance(const TensorArg& a, const Tensor& b, double p = 2, double eps = 1e-6,
                         bool keepdim = false);

struct TripletMarginLossOptions {
  double margin = 1;
  double p = 2;  ///< >= 1
  double eps = 1e-6;
  bool swap = false;  ///< use the smaller of d(a, n) and d(p, n)
  Reduction reduction = Reduction::Mean;
};
/// Returns max(0, d(anchor, positive) - d(anchor, negative) + margin) with d = pairwise_distance
/// (Balntas et al. 2016).
///
/// Composed in distance.cpp. Test: triplet_margin_loss in rows_losses_similarity.cpp.
Tensor triplet_margin_loss(const TensorArg& anchor, const Tensor& positive, const Tensor& negative,
                           TripletMarginLossOptions options = {});

using DistanceFunction = std::function<Tensor(const Tensor&, const Tensor&)>;
struct TripletMarginWithDistanceLossOptions {
  DistanceFunction distance_function = {};  ///< pairwise_distance if empty
  double margin = 1;
  bool swap = false;  ///< use the smaller of d(a, n) and d(p, n)
  Reduction reduction = Reduction::Mean;
};
/// Returns triplet_margin_loss with a distance function of the caller.
///
/// Composed in distance.cpp. Test: triplet_margin_with_distance_loss in rows_losses_similarity.cpp.
Tensor triplet_margin_with_distance_loss(const TensorArg& anchor, const Tensor& positive,
                                         const Tensor& negative,
                                         TripletMarginWithDistanceLossOptions options = {});

struct CTCLossOptions {
  int64_t blank = 0;
  Reduction reduction = Reduction::Mean;
  bool zero_infinity =
      false;  ///< losses of targets that have no alignment are 0 instead of infinite
};
/// Returns -log p(targets | log_probs), summed over all alignments (Graves et al. 2006).
///
/// Derivative: minus the posterior, by log_probs; after log_softmax it equals torch's. Shape:
/// log_probs (T, N, C) or (T, C); targets (N, S), padded, or all of them joined in one dim; lengths
/// (N) of i64. Mean divides each loss by max(target length, 1), then takes the mean over N. It
/// reads targets and lengths on the host, and in backward which losses are infinite. It therefore
/// waits for a GPU, and a captured step cannot contain it.
///
/// Composed in ctc.cpp. Test: ctc_loss in rows_losses_similarity.cpp.
Tensor ctc_loss(const TensorArg& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, CTCLossOptions options = {});

}  // namespace ebb::nn
