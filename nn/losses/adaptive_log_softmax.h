// AdaptiveLogSoftmaxWithLoss: an efficient softmax over many classes with different frequencies.
#pragma once

#include <vector>

#include "ebb/nn/layers/sequential.h"

namespace ebb::nn {

struct AdaptiveLogSoftmaxOptions {
  double div_value = 4;
  bool head_bias = false;
};

/// Computes log-probabilities of frequent classes directly and those of rarer classes through
/// clusters (Grave et al. 2017).
///
/// The head has the classes below cutoffs[0] and one entry per cluster. Cluster i has the classes
/// from cutoffs[i] on, and two linear layers, in -> floor(in / div_value^(i + 1)) -> size.
/// Parameters as in torch: head.weight, tail.i.0.weight, tail.i.1.weight. Classes must be sorted by
/// frequency, the most frequent first. Throws Error unless cutoffs increase and are in (0,
/// n_classes).
class AdaptiveLogSoftmaxWithLoss : public Module {
 public:
  struct Output {
    Tensor output;  ///< (N): log-probability of each target
    Tensor loss;    ///< -mean(output)
  };
  AdaptiveLogSoftmaxWithLoss(int64_t in_features, int64_t n_classes, std::vector<int64_t> cutoffs,
                             AdaptiveLogSoftmaxOptions options = {}, DType dtype = DType::F32);
  /// Computes the loss for input (N, in) and target (N), or (in) and (). On the CPU, only the rows
  /// of a cluster pass through its layers. On a GPU all rows do, because selecting them would need
  /// a synchronization.
  Output forward(const Tensor& input, const Tensor& target) const;
  Output operator()(const Tensor& input, const Tensor& target) const {
    return forward(input, target);
  }
  /// Returns the log-probabilities of every class: (N, n_classes).
  Tensor log_prob(const Tensor& input) const;
  /// Returns the most likely class: (N).
  Tensor predict(const Tensor& input) const;

 private:
  Tensor widened(const Tensor& input) const;
  Tensor by_rows(const Tensor& x, const Tensor& classes) const;
  Tensor by_masks(const Tensor& x, const Tensor& classes) const;
  Tensor cluster_scores(size_t i, const Tensor& x) const;

  int64_t in_features_, shortlist_;
  std::vector<int64_t> cutoffs_;  // n_classes is the last
  Linear head_;
  struct Cluster {
    Linear in, out;
  };
  std::vector<Cluster> tail_;
};

}  // namespace ebb::nn
