// Attention is composed of products, a masked softmax and a product. Its weights are computed once
// and kept, so that the backward pass has four products.
//
// Features and heads: one copy cuts (T, N, 3 E) into three times (N H, T, D), and the gradient
// writes all three back into one tensor. Both ops are linear, and each is the other's gradient.
#include "ebb/autograd/ops/attention.h"

#include <cmath>
#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/heads_shape.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"

namespace ebb {
namespace {

using detail::HeadsShape;

constexpr std::string_view kOp = "scaled_dot_product_attention";

template <size_t kParts>
std::array<Tensor, kParts> apply_split(const Tensor& packed, const HeadsShape& shape);
template <size_t kParts>
Tensor apply_join(const std::array<Tensor, kParts>& parts, const HeadsShape& shape);

template <size_t kParts> struct SplitHeads {
  static constexpr std::string_view name = "split_heads";
  struct State {
    HeadsShape shape;
  };
  static int shape(const Tensor&, const HeadsShape&) { return 0; }
  static auto forward(State& state, int, const Tensor& packed, const HeadsShape& shape) {
    state = {shape};
    const Tensor dense = packed.contiguous();
    std::array<Tensor, kParts> parts;
    for (size_t i = 0; i < kParts; ++i) {
      parts[i] = empty(shape.cut(), options_like(packed));
      if (packed.numel() == 0) continue;
      Tensor target = reshape(parts[i], shape.by_head());
      backend(packed.device()).copy(target, shape.part_of(dense, static_cast<int64_t>(i), kParts));
    }
    if constexpr (kParts == 1) return parts[0];
    else return parts;
  }
  static Tensor backward(const State& state, std::span<const Tensor> upstream) {
    std::array<Tensor, kParts> parts;
    Tensor like;
    for (const Tensor& g : upstream) like = g.defined() ? g : like;
    for (size_t i = 0; i < kParts; ++i) {
      parts[i] = upstream[i].defined() ? upstream[i] : zeros(state.shape.cut(), options_like(like));
    }
    return apply_join<kParts>(parts, state.shape);
  }
};

template <size_t kParts> struct JoinHeads {
  static constexpr std::string_view name = "join_heads";
  struct State {
    HeadsShape shape;
  };
  static int shape(const std::vector<Tensor>&, const HeadsShape&) { return 0; }
  static Tensor forward(State& state, int, const std::vector<Tensor>& parts,
                        const HeadsShape& shape) {
    state = {shape};
    const int64_t row = static_cast<int64_t>(kParts) * shape.heads * shape.width;
    Tensor packed = empty({shape.outer, shape.inner, row}, options_like(parts[0]));
    if (packed.numel() == 0) return packed;
    for (size_t i = 0; i < kParts; ++i) {
      Tensor target = shape.part_of(packed, static_cast<int64_t>(i), kParts);
      backend(packed.device()).copy(target, reshape(parts[i], shape.by_head()));
    }
    return packed;
  }
  static std::array<Tensor, kParts> backward(const State& state, const Tensor& g) {
    return apply_split<kParts>(g, state.shape);
  }
};

template <size_t kParts>
std::array<Tensor, kParts> apply_split(const Tensor& packed, const HeadsShape& shape) {
  if constexpr (kParts == 1) return {apply<SplitHeads<1>>(packed, shape)};
  else return apply<SplitHeads<kParts>>(packed, shape);
}

template <size_t kParts>
Tensor apply_join(const std::array<Tensor, kParts>& parts, const HeadsShape& shape) {
  return apply<JoinHeads<kParts>>(std::vector<Tensor>(parts.begin(), parts.end()), shape);
}

// Applies a mask to scores (..., L, S), and notes the rows that it leaves empty.
Tensor masked(const Tensor& scores, const Tensor& mask, Tensor& dead) {
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  if (mask.dtype() == DType::Bool) {
    const Tensor left_out = logical_not(mask);
    dead = all(left_out, {-1}, true);
    return masked_fill(scores, logical_and(left_out, logical_not(dead)), lowest);
  }
  const Tensor sums = scores + mask;
  dead = all(sums.detach() == lowest, {-1}, true);
  return masked_fill(sums, dead, 0);
}

Shape leading(const Tensor& x) { return Shape(std::span(x.shape().begin(), x.shape().end() - 2)); }

Tensor as_matrices(const Tensor& x, const Shape& batch) {
  Shape full = batch;
  full.push_back(x.size(-2));
  full.push_back(x.size(-1));
  return reshape(expand(x, full), {batch.numel(), x.size(-2), x.size(-1)});
}

void check_operands(const Tensor& query, const Tensor& key, const Tensor& value) {
  const Tensor* all[] = {&query, &key, &value};
  for (const Tensor* x : all) {
    check_floating(kOp, *x);
    if (x->dim() < 2)
      fail(kOp, "operand ", x->shape(), " has too few dims: expected (..., length, features)");
  }
  check_same_kind(kOp, all);
  if (query.size(-1) != key.size(-1) || key.size(-2) != value.size(-2)) {
    fail(kOp, "shapes ", query.shape(), ", ", key.shape(), " and ", value.shape(),
         " do not fit: expected (..., L, E), (..., S, E) and (..., S, D)");
  }
}

void check_mask(const Tensor& mask, const Tensor& query, const Shape& scores) {
  if (mask.dtype() != DType::Bool && mask.dtype() != query.dtype())
    fail(kOp, "attn_mask must be bool or ", query.dtype(), ", got ", mask.dtype());
  if (mask.device() != query.device())
    fail(kOp, "devices differ: query on ", query.device(), ", attn_mask on ", mask.device());
  bool fits = mask.dim() <= scores.dim();
  for (int i = 1; fits && i <= mask.dim(); ++i)
    fits = mask.size(-i) == 1 || mask.size(-i) == scores[scores.dim() - i];
  if (!fits) fail(kOp, "attn_mask ", mask.shape(), " does not broadcast to ", scores);
}

}  // namespace

std::vector<Tensor> detail::split_heads(const TensorArg& packed, int parts, int64_t heads,
                                        bool batch_first) {
  const Tensor& x = *packed;
  const HeadsShape shape{x.size(0), x.size(1), heads, x.size(2) / (parts * heads), batch_first};
  const auto list = [](const auto& array) {
    return std::vector<Tensor>(array.begin(), array.end());
  };
  if (parts == 1) return list(apply_split<1>(x, shape));
  return parts == 2 ? list(apply_split<2>(x, shape)) : list(apply_split<3>(x, shape));
}

Tensor detail::join_heads(const TensorsArg& list, int64_t heads, bool batch_first) {
  const std::vector<Tensor>& parts = *list;
  const int64_t batch = parts[0].size(0) / heads, steps = parts[0].size(1);
  const HeadsShape shape{batch_first ? batch : steps, batch_first ? steps : batch, heads,
                         parts[0].size(2), batch_first};
  if (parts.size() == 1) return apply<JoinHeads<1>>(parts, shape);
  return parts.size() == 2 ? apply<JoinHeads<2>>(parts, shape) : apply<JoinHeads<3>>(parts, shape);
}

std::pair<Tensor, Tensor> detail::attention(const Tensor& query, const Tensor& key,
                                            const Tensor& value, const Shape& batch,
                                            const Tensor& mask, double dropout_p, double scale,
                                            Generator* generator) {
  Tensor scores = matmul(query * scale, transpose(key, -2, -1)), dead;
  const Shape flat = scores.shape();
  if (mask.defined()) {
    Shape full = batch;
    full.push_back(flat[1]);
    full.push_back(flat[2]);
    scores = masked(reshape(scores, full), mask, dead);
  }
  Tensor weights = softmax(scores, -1);
  if (dead.defined()) weights = masked_fill(weights, dead, 0);
  weights = reshape(weights, flat);
  Tensor used = weights;
  if (dropout_p > 0) {
    Tensor keep = empty_like(weights);
    bernoulli_(keep, 1 - dropout_p, generator);
    used = dropout_p == 1 ? weights * keep : weights * keep * (1 / (1 - dropout_p));
  }
  return {matmul(used, value), used};
}

Tensor scaled_dot_product_attention(const TensorArg& query, const Tensor& key, const Tensor& value,
                                    AttentionOptions options) {
  const CompositeScope scope(query);
  check_operands(query, key, value);
  if (!(options.dropout_p >= 0 && options.dropout_p <= 1))
    fail(kOp, "expected a probability of dropout in [0, 1], got ", options.dropout_p);
  const Shape batch =
      broadcast_shapes(kOp, broadcast_shapes(kOp, leading(query), leading(key)), leading(value));
  const int64_t rows = query->size(-2), columns = key.size(-2);
  Tensor mask = options.attn_mask;
  if (options.is_causal) {
    if (mask.defined()) fail(kOp, "expected attn_mask or is_causal, got both");
    mask = tril(ones({rows, columns}, {.dtype = DType::Bool, .device = query->device()}));
  }
  Shape full = batch;
  full.push_back(rows);
  full.push_back(columns);
  if (mask.defined()) check_mask(mask, query, full);
  const double features = static_cast<double>(std::max<int64_t>(query->size(-1), 1));
  const auto [out, weights] = detail::attention(
      as_matrices(query, batch), as_matrices(key, batch), as_matrices(value, batch), batch, mask,
      options.dropout_p, options.scale.value_or(1 / std::sqrt(features)), options.generator);
  Shape result = batch;
  result.push_back(rows);
  result.push_back(value.size(-1));
  return reshape(out, result);
}

Tensor scaled_dot_product_attention(const TensorArg& query, const Tensor& key, const Tensor& value,
                                    const Tensor& attn_mask, double dropout_p, bool is_causal,
                                    std::optional<double> scale) {
  return scaled_dot_product_attention(
      query, key, value,
      {.attn_mask = attn_mask, .dropout_p = dropout_p, .is_causal = is_causal, .scale = scale});
}

}  // namespace ebb
