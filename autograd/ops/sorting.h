// Sorting, running sums and products, and draws from discrete distributions. Errors for undefined tensors and dims that
// are out of range.
#pragma once

#include <tuple>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the elements along dim in order, and their indices (i64). Stable: equal elements keep their order, 0 and -0
/// are equal, and a NaN counts as largest. Of any dtype.
///
/// The gradient goes to where an element was.
///
///     auto [values, indices] = sort(tensor({3, 1, 2}));  // [1, 2, 3], [1, 2, 0]
std::tuple<Tensor, Tensor> sort(const TensorArg& x, int64_t dim = -1, bool descending = false);
/// Returns the indices of sort(x, dim, descending).
Tensor argsort(const TensorArg& x, int64_t dim = -1, bool descending = false);
/// Returns the k largest (or smallest) elements along dim in order, and their indices; of equal elements those that come
/// first. Throws Error unless 0 <= k <= the size of dim.
///
///     auto [values, indices] = topk(tensor({3, 1, 4}), 2);  // [4, 3], [2, 0]
std::tuple<Tensor, Tensor> topk(const TensorArg& x, int64_t k, int64_t dim = -1,
                                bool largest = true);

/// Returns x_0, x_0 + x_1, ... along dim; accumulated in f64. i64, u8 and bool give i64.
Tensor cumsum(const TensorArg& x, int64_t dim);
/// Returns x_0, x_0 x_1, ... along dim; accumulated in f64. i64, u8 and bool give i64. The gradient is right at zeros
/// too.
Tensor cumprod(const TensorArg& x, int64_t dim);

/// Returns 0 or 1 for each probability in p, 1 with that probability; of p's dtype, without gradient. Throws Error
/// unless 0 <= p <= 1.
Tensor bernoulli(const TensorArg& p, Generator* generator = nullptr);
/// Returns num_samples indices (i64) for each row of weights, drawn with probabilities in proportion to them: (C) gives
/// (num_samples), (N, C) gives (N, num_samples). Without replacement no index comes twice in a row.
///
/// Throws Error unless the weights are finite and not negative, each row has a sum above 0, and, without replacement,
/// at least num_samples weights of each row are above 0.
Tensor multinomial(const TensorArg& weights, int64_t num_samples, bool replacement = false,
                   Generator* generator = nullptr);

namespace detail {
/// Returns s with s_0 = b_0 and s_i = a_i s_(i-1) + b_i along dim, or, reversed, from the end.
Tensor linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, bool reverse);
/// Returns at i the product of all elements of x before i along dim; reversed, of those behind it.
Tensor product_of_others_before(const Tensor& x, int dim, bool reverse);
}  // namespace detail

}  // namespace ebb
