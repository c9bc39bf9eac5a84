// The rows of single ops, compiled by both programs from this one text: with `namespace api = ebb`
// and with `namespace api = torch`. REQUIRES, before the include, api and `void
// clear_grad(api::Tensor&)`.
#pragma once

#include <functional>
#include <string_view>
#include <tuple>
#include <utility>

#include "driver.h"

namespace bench {

using api::Tensor;
using Op = std::function<Tensor(const Tensor&)>;

inline Tensor first_of(const std::tuple<Tensor, Tensor>& both) { return std::get<0>(both); }

/// Returns the op of a row. x and other operands are (rows, columns).
inline Op op_of(std::string_view name, const Work& w) {
  const Tensor y = api::rand({w.batch, w.columns}) + 0.5;
  const int64_t k = std::max<int64_t>(1, w.columns / 20);
  const std::pair<std::string_view, Op> ops[] = {
      {"sum", [](const Tensor& x) { return api::sum(x); }},
      {"sum_dim0", [](const Tensor& x) { return api::sum(x, {0}); }},
      {"sum_dim1", [](const Tensor& x) { return api::sum(x, {1}); }},
      {"mean_dim1", [](const Tensor& x) { return api::mean(x, {1}); }},
      {"max", [](const Tensor& x) { return api::max(x); }},
      {"amax_dim1", [](const Tensor& x) { return api::amax(x, {1}); }},
      {"max_dim0", [](const Tensor& x) { return first_of(api::max(x, 0)); }},
      {"max_dim1", [](const Tensor& x) { return first_of(api::max(x, 1)); }},
      {"argmax_dim0", [](const Tensor& x) { return api::argmax(x, 0); }},
      {"argmax_dim1", [](const Tensor& x) { return api::argmax(x, 1); }},
      {"var", [](const Tensor& x) { return x.var(); }},
      {"var_dim0", [](const Tensor& x) { return x.var({0}, true); }},
      {"std_dim1", [](const Tensor& x) { return x.std({1}, true); }},
      {"prod_dim1", [](const Tensor& x) { return api::prod(x, 1); }},
      {"norm", [](const Tensor& x) { return api::norm(x); }},
      {"norm_dim1", [](const Tensor& x) { return api::norm(x, 2, {1}); }},
      {"norm1_dim1", [](const Tensor& x) { return api::norm(x, 1, {1}); }},
      {"logsumexp_dim0", [](const Tensor& x) { return api::logsumexp(x, {0}); }},
      {"logsumexp_dim1", [](const Tensor& x) { return api::logsumexp(x, {1}); }},
      {"any_dim1", [](const Tensor& x) { return api::any(x, 1); }},
      {"sort_dim0", [](const Tensor& x) { return first_of(api::sort(x, 0)); }},
      {"sort_dim1", [](const Tensor& x) { return first_of(api::sort(x, 1)); }},
      {"argsort_dim1", [](const Tensor& x) { return api::argsort(x, int64_t{1}, false); }},
      {"topk_dim1", [k](const Tensor& x) { return first_of(api::topk(x, k, 1)); }},
      {"cumsum_dim0", [](const Tensor& x) { return api::cumsum(x, 0); }},
      {"cumsum_dim1", [](const Tensor& x) { return api::cumsum(x, 1); }},
      {"cumprod_dim1", [](const Tensor& x) { return api::cumprod(x, 1); }},
      {"einsum_rows",
       [y](const Tensor& x) {
         return api::einsum("ij,ij->i", {x, y});
       }},
      {"einsum_product",
       [y](const Tensor& x) {
         return api::einsum("ij,kj->ik", {x, y});
       }},
      {"einsum_outer",
       [y](const Tensor& x) {
         return api::einsum("ij,ik->ijk", {x, y});
       }},
      {"tril", [](const Tensor& x) { return api::tril(x); }},
      {"triu", [](const Tensor& x) { return api::triu(x, 1); }},
      {"normalize", [](const Tensor& x) { return normalize(x); }},
      {"cosine_similarity", [y](const Tensor& x) { return api::cosine_similarity(x, y); }},
      {"sin", [](const Tensor& x) { return api::sin(x); }},
      {"cos", [](const Tensor& x) { return api::cos(x); }},
      {"tan", [](const Tensor& x) { return api::tan(x); }},
      {"atan2", [y](const Tensor& x) { return api::atan2(x, y); }},
      {"fmod", [y](const Tensor& x) { return api::fmod(x, y); }},
      {"erfinv", [y](const Tensor&) { return api::erfinv(y - 0.5); }},
      {"floor", [](const Tensor& x) { return api::floor(x); }},
      {"round", [](const Tensor& x) { return api::round(x); }},
      {"masked_fill", [mask = y > 1](const Tensor& x) { return api::masked_fill(x, mask, 0.); }},
      {"flip", [](const Tensor& x) { return api::flip(x, {1}); }},
      {"roll", [](const Tensor& x) { return api::roll(x, {3}, {1}); }},
      {"bernoulli", [y](const Tensor&) { return api::bernoulli(y - 0.5); }},
      {"multinomial", [y](const Tensor&) { return api::multinomial(y, 5, true); }},
  };
  for (const auto& [row, op] : ops) {
    if (row == name) return op;
  }
  return nullptr;
}

/// Returns a call of the op, and of its backward for names that end in "_backward".
inline Repetition make_op(const Work& w) {
  std::string_view name = w.op;
  const bool backward = name.ends_with("_backward");
  if (backward) name.remove_suffix(9);
  const Op op = op_of(name, w);
  if (!op) return nullptr;
  Tensor x = api::randn({w.batch, w.columns});
  if (!backward) return [op, x] { op(x); };
  x.requires_grad_(true);
  return [op, x, upstream = api::rand_like(op(x))]() mutable {
    op(x).backward(upstream);
    clear_grad(x);
  };
}

}  // namespace bench
