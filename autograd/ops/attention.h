// Scaled dot-product attention, and the rearrangements between features and heads.
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

struct AttentionOptions {
  Tensor attn_mask = {};   ///< broadcasts to (..., L, S): bool, true takes part; or added to scores
  double dropout_p = 0;    ///< sets weights to 0 at random
  bool is_causal = false;  ///< row i attends to the columns up to i; without attn_mask
  std::optional<double> scale = {};  ///< 1 / sqrt(E) if not given
  Generator* generator = nullptr;    ///< of the dropout; the thread's default one if null
};

/// Returns softmax(scale query key^T + mask) value (Vaswani et al. 2017): query (..., L, E), key
/// (..., S, E), value (..., S, D) -> (..., L, D); leading dims broadcast.
///
/// A row in which nothing takes part gives 0, and has gradient 0. Derivative: by query, key, value
/// and a floating mask, of every order. Throws Error where shapes, dtypes or devices do not fit.
///
///     Tensor x = randn({2, 5, 8});
///     Tensor y = scaled_dot_product_attention(x, x, x, {.is_causal = true});  // (2, 5, 8)
///
/// Composed in attention.cpp. Test: attention in rows_attention.cpp.
Tensor scaled_dot_product_attention(const TensorArg& query, const Tensor& key, const Tensor& value,
                                    AttentionOptions options = {});
/// The same with the arguments of torch.
Tensor scaled_dot_product_attention(const TensorArg& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p = 0,
                                    bool is_causal = false, std::optional<double> scale = {});

namespace detail {
/// Returns the attention of matrices (B, L, E), (B, S, E), (B, S, D), and its weights (B, L, S)
/// after dropout. mask: of shape (..., L, S) that broadcasts to `batch` and whose numel is B, or
/// undefined.
std::pair<Tensor, Tensor> attention(const Tensor& query, const Tensor& key, const Tensor& value,
                                    const Shape& batch, const Tensor& mask, double dropout_p,
                                    double scale, Generator* generator = nullptr);

/// Cuts features into heads: x (outer, inner, parts H D) -> `parts` matrices (N H, T, D), where N
/// is inner, or outer with batch_first. parts is 1, 2 or 3.
std::vector<Tensor> split_heads(const TensorArg& x, int parts, int64_t heads, bool batch_first);
/// Joins the heads of `parts` tensors again: the reverse of split_heads.
Tensor join_heads(const TensorsArg& parts, int64_t heads, bool batch_first);
}  // namespace detail

}  // namespace ebb
