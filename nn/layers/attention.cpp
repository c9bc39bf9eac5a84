#include "ebb/nn/layers/attention.h"

#include <cmath>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/init.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kLayer = "MultiheadAttention";

Linear output_projection(int64_t embed_dim, int64_t num_heads,
                         const MultiheadAttentionOptions& options) {
  if (embed_dim < 1 || num_heads < 1 || embed_dim % num_heads != 0) {
    fail(kLayer, "embed_dim ", embed_dim, " cannot be divided among ", num_heads,
         " heads: expected a multiple of num_heads");
  }
  if (!(options.dropout >= 0 && options.dropout <= 1))
    fail(kLayer, "expected a probability of dropout in [0, 1], got ", options.dropout);
  if (options.kdim < 0 || options.vdim < 0)
    fail(kLayer, "kdim and vdim must not be negative, got ", options.kdim, " and ", options.vdim);
  return Linear(embed_dim, embed_dim, {.bias = options.bias, .dtype = options.dtype});
}

}  // namespace

// The projected heads: query (N H, L, D), key and value (N H, S, D).
struct MultiheadAttention::Heads {
  Tensor query, key, value;
};

MultiheadAttention::MultiheadAttention(int64_t embed_dim, int64_t num_heads,
                                       MultiheadAttentionOptions options)
    : out_proj(output_projection(embed_dim, num_heads, options)),
      embed_dim_(embed_dim),
      num_heads_(num_heads),
      options_(options) {
  if (options_.kdim == 0) options_.kdim = embed_dim;
  if (options_.vdim == 0) options_.vdim = embed_dim;
  const auto weight = [&](const char* name, int64_t rows, int64_t columns) {
    return add_parameter(name,
                         init::xavier_uniform_(empty({rows, columns}, {.dtype = options.dtype})));
  };
  if (options_.kdim == embed_dim && options_.vdim == embed_dim) {
    in_proj_weight = weight("in_proj_weight", 3 * embed_dim, embed_dim);
  } else {
    q_proj_weight = weight("q_proj_weight", embed_dim, embed_dim);
    k_proj_weight = weight("k_proj_weight", embed_dim, options_.kdim);
    v_proj_weight = weight("v_proj_weight", embed_dim, options_.vdim);
  }
  if (options.bias) {
    in_proj_bias = add_parameter("in_proj_bias", zeros({3 * embed_dim}, {.dtype = options.dtype}));
    const NoGrad guard;
    out_proj.bias.zero_();
  }
  if (options.add_bias_kv) {
    const auto row = [&] {
      return init::xavier_normal_(empty({1, 1, embed_dim}, {.dtype = options.dtype}));
    };
    bias_k = add_parameter("bias_k", row());
    bias_v = add_parameter("bias_v", row());
  }
  add_module("out_proj", out_proj);
}

// query, key and value have three dims. Equal tensors share one product.
MultiheadAttention::Heads MultiheadAttention::project(const Tensor& query, const Tensor& key,
                                                      const Tensor& value) const {
  const auto split = [&](const Tensor& x, int parts) {
    return ebb::detail::split_heads(x, parts, num_heads_, options_.batch_first);
  };
  const auto rows = [&](const Tensor& x, int64_t first, int64_t count) {
    return x.defined() ? narrow(x, 0, first * embed_dim_, count * embed_dim_) : x;
  };
  const auto part = [&](const Tensor& x, int64_t first, int64_t count) {
    return split(linear(x, rows(in_proj_weight, first, count), rows(in_proj_bias, first, count)),
                 static_cast<int>(count));
  };
  const auto same = [](const Tensor& a, const Tensor& b) { return a.impl() == b.impl(); };
  if (!in_proj_weight.defined()) {
    return {split(linear(query, q_proj_weight, rows(in_proj_bias, 0, 1)), 1)[0],
            split(linear(key, k_proj_weight, rows(in_proj_bias, 1, 1)), 1)[0],
            split(linear(value, v_proj_weight, rows(in_proj_bias, 2, 1)), 1)[0]};
  }
  if (same(query, key) && same(key, value)) {
    const auto all = split(linear(query, in_proj_weight, in_proj_bias), 3);
    return {all[0], all[1], all[2]};
  }
  const Tensor q = part(query, 0, 1)[0];
  if (same(key, value)) {
    const auto both = part(key, 1, 2);
    return {q, both[0], both[1]};
  }
  return {q, part(key, 1, 1)[0], part(value, 2, 1)[0]};
}

// Appends the trained key and value, and a key and a value of zeros.
void MultiheadAttention::add_rows(Heads& heads, int64_t batch) const {
  const int64_t all = heads.key.size(0), width = heads.key.size(2);
  if (options_.add_bias_kv) {
    const auto row = [&](const Tensor& x) {  // (1, 1, E) -> (N H, 1, D)
      return reshape(expand(reshape(x, {1, num_heads_, 1, width}), {batch, num_heads_, 1, width}),
                     {all, 1, width});
    };
    heads.key = cat({heads.key, row(bias_k)}, 1);
    heads.value = cat({heads.value, row(bias_v)}, 1);
  }
  if (options_.add_zero_attn) {
    const Tensor zero = zeros({all, 1, width}, options_like(heads.key));
    heads.key = cat({heads.key, zero}, 1);
    heads.value = cat({heads.value, zero}, 1);
  }
}

// Returns both masks as one that broadcasts to (N, H, L, S): bool, true for the keys that are used,
// or numbers to add to the scores.
Tensor MultiheadAttention::mask_of(const Heads& heads,
                                   const MultiheadAttentionForwardOptions& options,
                                   int64_t batch) const {
  const int64_t rows = heads.query.size(1), columns = heads.key.size(1);
  const int64_t added = (options_.add_bias_kv ? 1 : 0) + (options_.add_zero_attn ? 1 : 0);
  const int64_t given = columns - added;
  const DType dtype = heads.query.dtype();
  const auto check = [&](const char* what, const Tensor& mask) {
    if ((mask.dtype() != DType::Bool && mask.dtype() != dtype) ||
        mask.device() != heads.query.device()) {
      fail(kLayer, what, " ", mask, " does not fit: expected bool or ", dtype, " on ",
           heads.query.device());
    }
  };
  Tensor padding = options.key_padding_mask, mask = options.attn_mask;
  if (padding.defined()) {
    check("key_padding_mask", padding);
    if (padding.dim() == 1 && batch == 1) padding = unsqueeze(padding, 0);
    if (!(padding.shape() == Shape{batch, given})) {
      fail(kLayer, "key_padding_mask ", options.key_padding_mask.shape(),
           " does not fit: expected ", Shape{batch, given});
    }
    padding = reshape(padding, {batch, 1, 1, given});
  }
  if (mask.defined()) {
    check("attn_mask", mask);
    if (mask.shape() == Shape{rows, given}) {
      mask = reshape(mask, {1, 1, rows, given});
    } else if (mask.shape() == Shape{batch * num_heads_, rows, given}) {
      mask = reshape(mask, {batch, num_heads_, rows, given});
    } else {
      fail(kLayer, "attn_mask ", mask.shape(), " does not fit: expected ", Shape{rows, given},
           " or ", Shape{batch * num_heads_, rows, given});
    }
  }
  constexpr double lowest = -std::numeric_limits<double>::infinity();
  const auto as_numbers = [&](const Tensor& x) {
    if (x.dtype() != DType::Bool) return x;
    return masked_fill(zeros(x.shape(), {.dtype = dtype, .device = x.device()}), x, lowest);
  };
  Tensor all;
  if (padding.defined() && mask.defined()) {
    const bool both = padding.dtype() == DType::Bool && mask.dtype() == DType::Bool;
    all = both ? logical_or(padding, mask) : as_numbers(padding) + as_numbers(mask);
  } else {
    all = padding.defined() ? padding : mask;
  }
  if (!all.defined()) return all;
  if (added > 0) {  // the appended keys are used
    Shape shape = all.shape();
    shape[3] = added;
    all = cat({all, zeros(shape, options_like(all))}, 3);
  }
  return all.dtype() == DType::Bool ? logical_not(all) : all;
}

std::tuple<Tensor, Tensor> MultiheadAttention::forward(
    const Tensor& query, const Tensor& key, const Tensor& value,
    MultiheadAttentionForwardOptions options) const {
  for (const Tensor* x : {&query, &key, &value}) check_defined(kLayer, *x);
  const bool batched = query.dim() == 3;
  const bool dims =
      (batched || query.dim() == 2) && key.dim() == query.dim() && value.dim() == query.dim();
  const int batch_dim = options_.batch_first ? 0 : 1, step_dim = 1 - batch_dim;
  if (!dims || query.size(-1) != embed_dim_ || key.size(-1) != options_.kdim ||
      value.size(-1) != options_.vdim ||
      (batched && (key.size(batch_dim) != query.size(batch_dim) ||
                   value.size(batch_dim) != query.size(batch_dim))) ||
      key.size(batched ? step_dim : 0) != value.size(batched ? step_dim : 0)) {
    const char* layout = options_.batch_first ? "(N, L, " : "(L, N, ";
    fail(kLayer, "shapes ", query.shape(), ", ", key.shape(), " and ", value.shape(),
         " do not fit: expected query ", layout, embed_dim_, "), key and value of the same N with ",
         options_.kdim, " and ", options_.vdim, " features; or all without N");
  }
  const DType dtype = out_proj.weight.dtype();
  for (const Tensor* x : {&query, &key, &value}) {
    if (x->dtype() != dtype || x->device() != out_proj.weight.device()) {
      fail(kLayer, "input ", *x, " does not fit the parameters: expected ", dtype, " on ",
           out_proj.weight.device());
    }
  }
  const auto three = [&](const Tensor& x) { return batched ? x : unsqueeze(x, batch_dim); };
  const Tensor q = three(query), k = key.impl() == query.impl() ? q : three(key),
               v = value.impl() == query.impl() ? q
                   : value.impl() == key.impl() ? k
                                                : three(value);
  const int64_t batch = q.size(batch_dim);
  Heads heads = project(q, k, v);
  add_rows(heads, batch);
  const Tensor mask = mask_of(heads, options, batch);
  const double scale = 1 / std::sqrt(static_cast<double>(embed_dim_ / num_heads_));
  const auto [out, weights] =
      ebb::detail::attention(heads.query, heads.key, heads.value, {batch, num_heads_}, mask,
                             is_training() ? options_.dropout : 0, scale);
  Tensor result = out_proj(ebb::detail::join_heads({out}, num_heads_, options_.batch_first));
  if (!batched) result = squeeze(result, batch_dim);
  if (!options.need_weights) return {result, Tensor()};
  Tensor shown = reshape(weights, {batch, num_heads_, weights.size(1), weights.size(2)});
  if (options.average_attn_weights) shown = mean(shown, {1});
  return {result, batched ? shown : squeeze(shown, 0)};
}

std::tuple<Tensor, Tensor> MultiheadAttention::forward(const Tensor& query, const Tensor& key,
                                                       const Tensor& value,
                                                       const Tensor& key_padding_mask,
                                                       bool need_weights, const Tensor& attn_mask,
                                                       bool average_attn_weights) const {
  return forward(query, key, value,
                 {key_padding_mask, need_weights, attn_mask, average_attn_weights});
}

Tensor sinusoidal_positions(int64_t length, int64_t features, PositionsOptions options) {
  if (length < 0 || features < 1)
    fail("sinusoidal_positions", "expected a length of at least 0 and at least 1 feature, got ",
         length, " and ", features);
  Tensor table = zeros({length, features}, {.dtype = DType::F64});
  double* out = table.mutable_data<double>();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < features; ++i) {
      const double power = static_cast<double>(i / 2 * 2) / static_cast<double>(features);
      const double angle = static_cast<double>(t) / std::pow(options.base, power);
      out[t * features + i] = i % 2 == 0 ? std::sin(angle) : std::cos(angle);
    }
  }
  return table.to(options.dtype);
}

}  // namespace ebb::nn
