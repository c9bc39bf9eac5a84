// Cutting, repeating, padding and choosing elements. Of any dtype; floating tensors have gradients of every order.
// Errors for undefined tensors and for dims and sizes that do not fit.
#pragma once

#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns elements start ... start + length - 1 along dim; a negative start counts from the end. A view.
///
///     narrow(tensor({1, 2, 3, 4}), 0, 1, 2);  // [2, 3]
Tensor narrow(const TensorArg& x, int64_t dim, int64_t start, int64_t length);
/// Returns views of `size` elements along dim, of which the last may be shorter.
std::vector<Tensor> split(const TensorArg& x, int64_t size, int64_t dim = 0);
/// Returns views of the given sizes along dim. Throws Error unless they add up to the size of dim.
std::vector<Tensor> split(const TensorArg& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// Returns at most `chunks` views of equal size along dim, of which the last may be shorter.
///
///     chunk(tensor({1, 2, 3, 4, 5}), 2);  // [1, 2, 3] and [4, 5]
std::vector<Tensor> chunk(const TensorArg& x, int64_t chunks, int64_t dim = 0);

/// Returns x repeated repeats[i] times along each dim; repeats may name more dims, in front.
///
///     repeat(tensor({1, 2}), {2, 2});  // [[1, 2, 1, 2], [1, 2, 1, 2]]
Tensor repeat(const TensorArg& x, const Shape& repeats);
/// Returns x with the order of elements along dims reversed.
Tensor flip(const TensorArg& x, const Shape& dims);
/// Returns x moved by shifts[i] along dims[i]; what leaves at the end enters at the start. Without dims, of the
/// flattened tensor.
///
///     roll(tensor({1, 2, 3}), {1}, {0});  // [3, 1, 2]
Tensor roll(const TensorArg& x, const Shape& shifts, const Shape& dims = {});

/// Returns the lower triangle of the last two dims: elements (i, j) with j <= i + diagonal, else 0.
Tensor tril(const TensorArg& x, int64_t diagonal = 0);
/// Returns the upper triangle: elements (i, j) with j >= i + diagonal, else 0.
Tensor triu(const TensorArg& x, int64_t diagonal = 0);
/// Returns the elements (i, i + offset) of two dims as a last dim. A view.
Tensor diagonal(const TensorArg& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
/// Returns a matrix with the vector x on its diagonal, zeros elsewhere; of a matrix its diagonal.
///
///     diag(tensor({1, 2}));            // [[1, 0], [0, 2]]
///     diag(tensor({{1, 2}, {3, 4}}));  // [1, 4]
Tensor diag(const TensorArg& x, int64_t diagonal = 0);

enum class PadMode { Constant, Reflect, Replicate, Circular };
/// Returns x with elements added in front of and behind its last dims: pad holds (front, behind) of the last dim, then of
/// the one before it, and so on. Negative numbers cut elements off.
///
/// Constant: `value`. Reflect: without the edge, c b | a b c | b a. Replicate: the edge. Circular: from the other end.
/// Throws Error where there are more pairs than dims, or where a side is too short for the mode.
///
///     pad(tensor({1, 2, 3}), {1, 2});                    // [0, 1, 2, 3, 0, 0]
///     pad(tensor({1, 2, 3}), {1, 2}, PadMode::Reflect);  // [2, 1, 2, 3, 2, 1]
Tensor pad(const TensorArg& x, const Shape& pad, PadMode mode = PadMode::Constant,
           double value = 0);

/// Returns value where mask (bool) is true, else x. The shapes broadcast. Throws Error where an integer tensor cannot
/// hold value.
Tensor masked_fill(const TensorArg& x, const Tensor& mask, Scalar value);
/// Returns the elements of x where mask (bool) is true, in row-major order: (n). The shapes broadcast. Waits for the
/// device, as all functions whose shape depends on values do.
Tensor masked_select(const TensorArg& x, const Tensor& mask);
/// Returns the indices (i64) of the elements that are not 0, in row-major order: (n, dims of x). Waits for the device.
///
///     nonzero(tensor({{0, 5}, {7, 0}}));  // [[0, 1], [1, 0]]
Tensor nonzero(const TensorArg& x);
/// Returns x[index] as in torch: the slices of dim 0 that an i64 index of any shape names (negative ones count from the
/// end), or those where a bool mask over the first dims is true.
Tensor index(const TensorArg& x, const Tensor& index);

}  // namespace ebb
