// AdaptiveLogSoftmaxWithLoss: a softmax over many classes that looks closely only at the frequent ones.
#pragma once

#include <vector>

#include "ebb/nn/layers/sequential.h"

namespace ebb::nn {

struct AdaptiveLogSoftmaxOptions {
  double div_value = 4;
  bool head_bias = false;
};

/// Grave et al. 2017. Classes below cutoffs[0] and one entry a cluster share the head; cluster i holds the classes from
/// cutoffs[i] on and has two linear layers, in -> floor(in / div_value^(i + 1)) -> size. Parameters: head.weight,
/// tail.i.0.weight, tail.i.1.weight, as torch's. Throws Error unless cutoffs increase and lie in (0, n_classes).
class AdaptiveLogSoftmaxWithLoss : public Module {
 public:
  struct Output {
    Tensor output;  ///< (N): log-probability of each target
    Tensor loss;    ///< -mean(output)
  };
  AdaptiveLogSoftmaxWithLoss(int64_t in_features, int64_t n_classes, std::vector<int64_t> cutoffs,
                             AdaptiveLogSoftmaxOptions options = {}, DType dtype = DType::F32);
  /// input (N, in) and target (N), or (in) and (). On the CPU only the rows of a cluster pass through its layers; on a
  /// GPU, which is not waited for, all rows do, as in a softmax over all classes.
  Output forward(const Tensor& input, const Tensor& target) const;
  Output operator()(const Tensor& input, const Tensor& target) const {
    return forward(input, target);
  }
  /// (N, n_classes) log-probabilities of every class.
  Tensor log_prob(const Tensor& input) const;
  /// (N) the most likely class.
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
