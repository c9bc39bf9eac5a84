// A hand-written training step of an MLP: oneDNN's sgemm, and loops that do everything else in the
// fewest passes.
#pragma once

#include <oneapi/dnnl/dnnl.h>

#include <cmath>
#include <random>
#include <vector>

#include "hand_losses.h"
#include "work.h"

namespace hand {

using Floats = std::vector<float>;

inline Floats random_floats(int64_t n, float low, float high) {
  static std::mt19937 generator(1);
  std::uniform_real_distribution<float> uniform(low, high);
  Floats values(static_cast<size_t>(n));
  for (float& v : values) v = uniform(generator);
  return values;
}

/// Computes C (m, n) = op(A) op(B), row-major.
inline void sgemm(bool ta, bool tb, int64_t m, int64_t n, int64_t k, const float* a, const float* b,
                  float* c) {
  dnnl_sgemm(ta ? 'T' : 'N', tb ? 'T' : 'N', m, n, k, 1, a, ta ? m : k, b, tb ? k : n, 0, c, n);
}

class Mlp {
 public:
  explicit Mlp(const bench::Work& work) : work_(work) {
    int64_t count = 0;
    for (size_t i = 0; i + 1 < work.widths.size(); ++i) {
      layers_.push_back({work.widths[i], work.widths[i + 1], count});
      count += (work.widths[i] + 1) * work.widths[i + 1];
      outputs_.emplace_back(work.batch * work.widths[i + 1]);
      output_gradients_.emplace_back(work.batch * work.widths[i + 1]);
    }
    for (const Layer& l : layers_) {
      const float bound = 1 / std::sqrt(static_cast<float>(l.in));
      const Floats values = random_floats((l.in + 1) * l.out, -bound, bound);
      parameters_.insert(parameters_.end(), values.begin(), values.end());
    }
    gradients_.resize(parameters_.size());
    first_.resize(parameters_.size());
    second_.resize(parameters_.size());
  }

  const Floats& forward(int64_t batch, const float* x) {
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& l = layers_[i];
      float* y = outputs_[i].data();
      const float* bias = parameters_.data() + l.bias();
      const bool relu = i + 1 < layers_.size();
      sgemm(false, true, batch, l.out, l.in, i == 0 ? x : outputs_[i - 1].data(),
            parameters_.data() + l.weight, y);
#pragma omp parallel for schedule(static) if (batch * l.out > kParallel)
      for (int64_t r = 0; r < batch; ++r) {
        float* row = y + r * l.out;
        if (relu)
          for (int64_t c = 0; c < l.out; ++c) row[c] = std::max(row[c] + bias[c], 0.0f);
        else
          for (int64_t c = 0; c < l.out; ++c) row[c] += bias[c];
      }
    }
    return outputs_.back();
  }

  double step(int64_t batch, const float* x, const int64_t* classes, const float* dense) {
    const float* scores = forward(batch, x).data();
    const double loss =
        loss_and_gradient(batch, scores, classes, dense, output_gradients_.back().data());
    for (size_t i = layers_.size(); i-- > 0;)
      backward(i, batch, i == 0 ? x : outputs_[i - 1].data());
    if (work_.adam) adam();
    else sgd();
    return loss;
  }

 private:
  struct Layer {
    int64_t in, out, weight;
    int64_t bias() const { return weight + in * out; }
  };

  double loss_and_gradient(int64_t batch, const float* y, const int64_t* classes,
                           const float* dense, float* g) const {
    const int64_t n = batch * work_.columns;
    const float by_row = 1 / static_cast<float>(batch), by_element = 1 / static_cast<float>(n);
    if (work_.loss == "cross_entropy")
      return cross_entropy(batch, work_.columns, y, classes, by_row, g);
    if (work_.loss == "kl_div") return kl_div_of_scores(batch, work_.columns, y, dense, by_row, g);
    if (work_.loss == "smooth_l1") return smooth_l1(n, y, dense, by_element, g);
    return bce_with_logits(n, y, dense, by_element, g);
  }

  // dW = dY^T X. db is the sum of the rows of dY. Except for the first layer, dX = dY W where X >
  // 0.
  void backward(size_t i, int64_t batch, const float* x) {
    const Layer& l = layers_[i];
    const float* dy = output_gradients_[i].data();
    float* db = gradients_.data() + l.bias();
    sgemm(true, false, l.out, l.in, batch, dy, x, gradients_.data() + l.weight);
    std::fill_n(db, l.out, 0.0f);
    for (int64_t r = 0; r < batch; ++r) {
      for (int64_t c = 0; c < l.out; ++c) db[c] += dy[r * l.out + c];
    }
    if (i == 0) return;
    float* dx = output_gradients_[i - 1].data();
    sgemm(false, false, batch, l.in, l.out, dy, parameters_.data() + l.weight, dx);
#pragma omp parallel for simd schedule(static) if (batch * l.in > kParallel)
    for (int64_t k = 0; k < batch * l.in; ++k) dx[k] = x[k] > 0 ? dx[k] : 0;
  }

  void sgd() {
    float *p = parameters_.data(), *m = first_.data();
    const float* g = gradients_.data();
    const auto n = static_cast<int64_t>(parameters_.size());
    constexpr auto rate = static_cast<float>(bench::kLearningRate);
#pragma omp parallel for simd schedule(static) if (n > kParallel)
    for (int64_t k = 0; k < n; ++k) {
      m[k] = 0.9f * m[k] + g[k];
      p[k] -= rate * m[k];
    }
  }

  void adam() {
    float *p = parameters_.data(), *m = first_.data(), *v = second_.data();
    const float* g = gradients_.data();
    const auto n = static_cast<int64_t>(parameters_.size());
    ++steps_;
    const auto t = static_cast<double>(steps_);
    const auto size = static_cast<float>(bench::kLearningRate / (1 - std::pow(0.9, t)));
    const auto root = static_cast<float>(1 / std::sqrt(1 - std::pow(0.999, t)));
#pragma omp parallel for simd schedule(static) if (n > kParallel)
    for (int64_t k = 0; k < n; ++k) {
      m[k] += 0.1f * (g[k] - m[k]);
      v[k] = 0.999f * v[k] + 0.001f * g[k] * g[k];
      p[k] -= size * m[k] / (std::sqrt(v[k]) * root + 1e-8f);
    }
  }

  bench::Work work_;
  std::vector<Layer> layers_;
  std::vector<Floats> outputs_, output_gradients_;
  Floats parameters_, gradients_, first_, second_;
  int64_t steps_ = 0;
};

}  // namespace hand
