// Sorting, running sums and products, and samples from discrete distributions.
//
// Throws Error for undefined tensors and for dims out of range.
#pragma once

#include <tuple>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the elements along dim in order, and their indices (i64).
///
/// The sort is stable: equal elements keep their order. 0 and -0 are equal, and NaN counts as the
/// largest. It takes any dtype. Derivative: the upstream gradient, at the index that the element
/// had.
///
///     auto [values, indices] = sort(tensor({3., 1., 2.}));  // [1, 2, 3] and [1, 2, 0]
///
/// Struct: Sort in sorting.cpp. Kernels: sort. Test: sort in rows_sorting.cpp.
std::tuple<Tensor, Tensor> sort(const TensorArg& x, int64_t dim = -1, bool descending = false);
/// Returns the indices of sort(x, dim, descending).
///
/// Composed in sorting.cpp. Kernels: sort. Test: argsort in rows_sorting.cpp.
Tensor argsort(const TensorArg& x, int64_t dim = -1, bool descending = false);
/// Returns the k largest (or smallest) elements along dim in order, and their indices. Of equal
/// elements it takes the first ones. Throws Error unless 0 <= k <= the size of dim.
///
/// Derivative: the upstream gradient at the selected elements, 0 elsewhere.
///
///     auto [values, indices] = topk(tensor({3., 1., 4.}), 2);  // [4, 3] and [2, 0]
///
/// Struct: Sort in sorting.cpp. Kernels: sort. Test: topk in rows_sorting.cpp.
std::tuple<Tensor, Tensor> topk(const TensorArg& x, int64_t k, int64_t dim = -1,
                                bool largest = true);

/// Returns x_0, x_0 + x_1, ... along dim, accumulated in f64. The result of i64, u8 and bool is
/// i64.
///
/// Derivative: the running sum of the upstream gradient from the end.
///
/// Struct: Cumulative in sorting.cpp. Kernels: scan. Test: cumsum in rows_sorting.cpp.
Tensor cumsum(const TensorArg& x, int64_t dim);
/// Returns x_0, x_0 x_1, ... along dim, accumulated in f64. The result of i64, u8 and bool is i64.
///
/// Derivative: for each product the product of its other elements, also at zeros.
///
/// Struct: Cumulative in sorting.cpp. Kernels: scan. Test: cumprod in rows_sorting.cpp.
Tensor cumprod(const TensorArg& x, int64_t dim);

/// Returns 1 with the probabilities p, else 0, in the dtype of p and without gradient. Throws Error
/// unless 0 <= p <= 1.
///
/// Composed in sorting.cpp. Kernels: random, check_values. Test: bernoulli in rows_sorting.cpp.
Tensor bernoulli(const TensorArg& p, Generator* generator = nullptr);
/// Returns num_samples indices (i64) for each row of weights, drawn with probabilities proportional
/// to the weights.
///
/// Shape: (C) gives (num_samples), (N, C) gives (N, num_samples). Without replacement a row has no
/// index twice. Throws Error unless the weights are finite and not negative, each row has a sum
/// above 0, and, without replacement, at least num_samples weights of each row are above 0.
///
/// Composed in sorting.cpp. Kernels: random, search_sorted, sort. Test: multinomial in
/// rows_sorting.cpp.
Tensor multinomial(const TensorArg& weights, int64_t num_samples, bool replacement = false,
                   Generator* generator = nullptr);

namespace detail {
/// Returns s with s_0 = b_0 and s_i = a_i s_(i-1) + b_i along dim, or from the end if reverse is
/// true.
Tensor linear_recurrence(const Tensor& a, const Tensor& b, int64_t dim, bool reverse);
/// Returns at i the product of all elements of x before i along dim, or of those after it if
/// reverse is true.
Tensor product_of_others_before(const Tensor& x, int dim, bool reverse);
}  // namespace detail

}  // namespace ebb
