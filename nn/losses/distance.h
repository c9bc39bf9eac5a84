// Losses on distributions, margins and distances between samples.
#pragma once

#include <functional>

#include "ebb/nn/losses/reduction.h"

namespace ebb::nn {

struct KLDivLossOptions {
  Reduction reduction = Reduction::Mean;
  bool log_target = false;
};
/// t (log t - x) with x log-probabilities, or e^t (t - x) for a target of log-probabilities. Where the target is 0 (or its
/// logarithm -infinity) an element counts 0, and so does its gradient by x, also where x is -infinity; torch gives NaN there.
/// The gradient by t is log t + 1 - x: -infinity where t = 0, but 0 where x is -infinity too.
/// BatchMean (the sum over size(0)) is the Kullback-Leibler divergence; Mean, torch's default, divides by all elements.
Tensor kl_div(const TensorArg& input, const Tensor& target, KLDivLossOptions options = {});

struct SoftMarginLossOptions {
  Reduction reduction = Reduction::Mean;
};
/// log(1 + e^(-t x)) with t = 1 or -1, by softplus: no overflow. Integer labels must be 1 or -1.
Tensor soft_margin_loss(const TensorArg& input, const Tensor& target,
                        SoftMarginLossOptions options = {});

struct HingeEmbeddingLossOptions {
  double margin = 1;
  Reduction reduction = Reduction::Mean;
};
/// x where t = 1, max(0, margin - x) where t = -1. Labels may be integers. Throws Error for another t. No gradient by
/// target.
Tensor hinge_embedding_loss(const TensorArg& input, const Tensor& target,
                            HingeEmbeddingLossOptions options = {});

struct MarginRankingLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::Mean;
};
/// max(0, -t (x1 - x2) + margin); t = 1 ranks x1 higher. All three have the same number of dims and broadcast. Integer
/// labels must be 1 or -1.
Tensor margin_ranking_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                           MarginRankingLossOptions options = {});

struct CosineEmbeddingLossOptions {
  double margin = 0;
  Reduction reduction = Reduction::Mean;
};
/// 1 - cos(x1, x2) where t = 1, max(0, cos - margin) where t = -1; inputs (N, D) and target (N), or (D) and ().
/// cos = x1 x2 / sqrt((|x1|^2 + 1e-12)(|x2|^2 + 1e-12)). Throws Error for another t.
Tensor cosine_embedding_loss(const TensorArg& input1, const Tensor& input2, const Tensor& target,
                             CosineEmbeddingLossOptions options = {});

/// ||a - b + eps||_p over the last dim.
Tensor pairwise_distance(const TensorArg& a, const Tensor& b, double p = 2, double eps = 1e-6,
                         bool keepdim = false);

struct TripletMarginLossOptions {
  double margin = 1;
  double p = 2;  ///< >= 1
  double eps = 1e-6;
  bool swap = false;  ///< use the smaller of d(a, n) and d(p, n)
  Reduction reduction = Reduction::Mean;
};
/// max(0, d(anchor, positive) - d(anchor, negative) + margin) with pairwise_distance (Balntas et al. 2016).
Tensor triplet_margin_loss(const TensorArg& anchor, const Tensor& positive, const Tensor& negative,
                           TripletMarginLossOptions options = {});

using DistanceFunction = std::function<Tensor(const Tensor&, const Tensor&)>;
struct TripletMarginWithDistanceLossOptions {
  DistanceFunction distance_function = {};  ///< pairwise_distance when empty
  double margin = 1;
  bool swap = false;
  Reduction reduction = Reduction::Mean;
};
Tensor triplet_margin_with_distance_loss(const TensorArg& anchor, const Tensor& positive,
                                         const Tensor& negative,
                                         TripletMarginWithDistanceLossOptions options = {});

struct CTCLossOptions {
  int64_t blank = 0;
  Reduction reduction = Reduction::Mean;
  bool zero_infinity = false;
};
/// -log p(targets | log_probs) over all alignments (Graves et al. 2006). log_probs (T, N, C) or (T, C); targets (N, S)
/// padded or 1-D concatenated; lengths (N) i64. Mean: each loss over max(target length, 1), then over N. The gradient
/// is that of log_probs (minus the posterior); after log_softmax it equals torch's. Reads targets and lengths on the
/// host, and which losses are infinite in backward: a GPU is waited for, and a step with it cannot be captured.
Tensor ctc_loss(const TensorArg& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, CTCLossOptions options = {});

}  // namespace ebb::nn
