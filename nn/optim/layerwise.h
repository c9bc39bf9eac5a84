// Optimizers that look at whole parameters: LAMB, Muon and Adafactor.
#pragma once

#include <array>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/nn/optim/elementwise.h"

namespace ebb::nn {

struct LAMBOptions;
struct MuonOptions;
struct AdafactorOptions;
namespace detail {
template <> RuleChoice rule_of(const LAMBOptions& options);
template <> RuleChoice rule_of(const MuonOptions& options);
template <> RuleChoice rule_of(const AdafactorOptions& options);
}  // namespace detail

/// Adam's direction u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p, with
/// a step that is proportional to the norm of the parameter: p = p - lr |p| / |u| u; lr u where a
/// norm is 0 (You et al. 2020).
struct LAMBOptions {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-6;
  double weight_decay = 0;
  bool maximize = false;
};
class LAMB : public OptimizerOf<LAMBOptions> {
 public:
  using OptimizerOf::OptimizerOf;

 private:
  void apply(detail::Batch& batch) override;
};

/// How Muon's learning rate depends on the shape (A, B) of a parameter. Original: times sqrt(max(1,
/// A / B)). MatchRmsAdamW: times 0.2 sqrt(max(A, B)). SpectralUnclamped: times sqrt(A / B).
enum class AdjustLr { Original, MatchRmsAdamW, SpectralUnclamped };

/// Momentum whose direction is made orthogonal: b = momentum b + (1 - momentum) g; u = b, or (1 -
/// momentum) g + momentum b with nesterov; X = u / max(|u|, eps), then ns_steps times X = a X + (b
/// X X^T + c (X X^T)^2) X with (a, b, c) = ns_coefficients; p = p (1 - lr weight_decay) - lr s X,
/// where s depends on the shape (AdjustLr). torch.optim.Muon, except that the products are in the
/// parameter's dtype and not in bfloat16. For matrices alone: other parameters go to another
/// optimizer.
struct MuonOptions {
  double lr = 1e-3;
  double weight_decay = 0.1;
  double momentum = 0.95;
  bool nesterov = true;
  std::array<double, 3> ns_coefficients = {3.4445, -4.775, 2.0315};
  double eps = 1e-7;
  int64_t ns_steps = 5;
  AdjustLr adjust_lr_fn = AdjustLr::Original;
};
class Muon : public OptimizerOf<MuonOptions> {
 public:
  using OptimizerOf::OptimizerOf;

 private:
  void apply(detail::Batch& batch) override;
};

/// The variances of a matrix's gradient as the product of a column and a row (Shazeer and Stern
/// 2018). With w = t^beta2_decay: rows = rows + w (mean of g^2 over the last dim - rows), columns
/// likewise over the one before; their product over the mean of rows, at least eps1, is the
/// variance V; of vectors, V = V + w (g^2 - V) element by element. u = g / sqrt(max(V, eps1^2)); p
/// = p (1 - lr weight_decay) - max(eps2, rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d).
/// torch.optim.Adafactor.
struct AdafactorOptions {
  double lr = 1e-2;
  double beta2_decay = -0.8;
  /// Without one, the distance from 1 to the next number of the parameter's dtype.
  std::optional<double> eps1 = {};
  double eps2 = 1e-3;
  double d = 1;
  double weight_decay = 0;
  bool maximize = false;
};
class Adafactor : public OptimizerOf<AdafactorOptions> {
 public:
  using OptimizerOf::OptimizerOf;

 private:
  void apply(detail::Batch& batch) override;
};

}  // namespace ebb::nn
