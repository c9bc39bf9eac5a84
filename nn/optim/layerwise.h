// Optimizers whose steps depend on whole parameters, such as their norms: LAMB, Muon and Adafactor.
// The variables are those of options.h.
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

/// LAMB (You et al. 2020): a step along Adam's direction whose length is proportional to the norm
/// of the parameter. m and v are those of Adam:
///
///     u = m / (1 - beta1^t) / (sqrt(v / (1 - beta2^t)) + eps) + weight_decay p
///     p = p - lr |p| / |u| u,   p - lr u if one of the norms is 0
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

/// The factor on Muon's learning rate for a parameter of shape (A, B). Original: sqrt(max(1, A /
/// B)). MatchRmsAdamW: 0.2 sqrt(max(A, B)). SpectralUnclamped: sqrt(A / B).
enum class AdjustLr { Original, MatchRmsAdamW, SpectralUnclamped };

/// Momentum whose direction is orthogonalized by Newton-Schulz iterations, as torch.optim.Muon:
///
///     b = momentum b + (1 - momentum) g
///     u = b, or (1 - momentum) g + momentum b with nesterov
///     X = u / max(|u|, eps)
///     X = a X + (b X X^T + c (X X^T)^2) X, ns_steps times, with (a, b, c) = ns_coefficients
///     p = p (1 - lr weight_decay) - lr s X, where s is the factor of AdjustLr
///
/// The products are computed in the dtype of the parameter; torch computes them in bfloat16. Throws
/// Error for parameters that are not matrices, which need another optimizer.
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

/// Adafactor (Shazeer and Stern 2018), as torch.optim.Adafactor. The variances of a matrix's
/// gradient are approximated by the product of a column and a row, so the state is much smaller
/// than Adam's:
///
///     w = t^beta2_decay
///     rows = rows + w (mean of g^2 over the last dim - rows)
///     columns = columns + w (mean of g^2 over the dim before - columns)
///     V = rows columns / max(mean(rows), eps1)
///     u = g / sqrt(max(V, eps1^2))
///     p = p (1 - lr weight_decay) - max(eps2, rms(p)) min(lr, 1 / sqrt(t)) u / max(1, rms(u) / d)
///
/// For vectors, V = V + w (g^2 - V) element by element.
struct AdafactorOptions {
  double lr = 1e-2;
  double beta2_decay = -0.8;
  /// If it has no value, the distance from 1 to the next number of the parameter's dtype.
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
