// Cutting, repeating, padding and selecting elements.
//
// They take tensors of any dtype, and have gradients of every order for floating ones. Throws Error
// for undefined tensors and for dims and sizes that do not fit.
#pragma once

#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns elements start ... start + length - 1 along dim. A negative start counts from the end. A
/// view.
///
///     Tensor y = narrow(tensor({1, 2, 3, 4}), 0, 1, 2);  // [2, 3]
///
/// Composed in rearrange.cpp. Test: narrow in rows_rearrange.cpp.
Tensor narrow(const TensorArg& x, int64_t dim, int64_t start, int64_t length);
/// Returns views of `size` elements along dim. The last one may be shorter.
///
/// Composed in rearrange.cpp. Test: split in rows_rearrange.cpp.
std::vector<Tensor> split(const TensorArg& x, int64_t size, int64_t dim = 0);
/// Returns views of the given sizes along dim. Throws Error unless the sizes add up to the size of
/// dim.
///
/// Composed in rearrange.cpp. Test: split_sizes in rows_rearrange.cpp.
std::vector<Tensor> split(const TensorArg& x, const std::vector<int64_t>& sizes, int64_t dim = 0);
/// Returns at most `chunks` views of equal size along dim. The last one may be shorter.
///
///     std::vector<Tensor> parts = chunk(tensor({1, 2, 3, 4, 5}), 2);  // [1, 2, 3] and [4, 5]
///
/// Composed in rearrange.cpp. Test: chunk in rows_rearrange.cpp.
std::vector<Tensor> chunk(const TensorArg& x, int64_t chunks, int64_t dim = 0);

/// Returns x repeated repeats[i] times along dim i. repeats may have more entries than x has dims,
/// for new dims in front.
///
///     Tensor y = repeat(tensor({1, 2}), {2, 2});  // [[1, 2, 1, 2], [1, 2, 1, 2]]
///
/// Composed in rearrange.cpp. Test: repeat in rows_rearrange.cpp.
Tensor repeat(const TensorArg& x, const Shape& repeats);
/// Returns x with the order of its elements along dims reversed.
///
/// Derivative: the upstream gradient, flipped.
///
/// Struct: Flip in rearrange.cpp. Kernels: copy. Test: flip in rows_rearrange.cpp.
Tensor flip(const TensorArg& x, const Shape& dims);
/// Returns x moved by shifts[i] along dims[i]. Elements that leave at the end enter at the start.
/// Without dims, the flattened tensor is moved.
///
///     Tensor y = roll(tensor({1, 2, 3}), {1}, {0});  // [3, 1, 2]
///
/// Composed in rearrange.cpp. Test: roll in rows_rearrange.cpp.
Tensor roll(const TensorArg& x, const Shape& shifts, const Shape& dims = {});

/// Returns the lower triangle of the last two dims: elements (i, j) with j <= i + diagonal, else 0.
///
/// Derivative: the same triangle of the upstream gradient.
///
/// Struct: Triangle in rearrange.cpp. Kernels: triangle. Test: tril in rows_rearrange.cpp.
Tensor tril(const TensorArg& x, int64_t diagonal = 0);
/// Returns the upper triangle of the last two dims: elements (i, j) with j >= i + diagonal, else 0.
///
/// Derivative: the same triangle of the upstream gradient.
///
/// Struct: Triangle in rearrange.cpp. Kernels: triangle. Test: triu in rows_rearrange.cpp.
Tensor triu(const TensorArg& x, int64_t diagonal = 0);
/// Returns the elements (i, i + offset) of two dims as a last dim. A view.
///
/// Derivative: the upstream gradient on the diagonal, 0 elsewhere.
///
/// Struct: Diagonal in rearrange.cpp. Test: diagonal in rows_rearrange.cpp.
Tensor diagonal(const TensorArg& x, int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1);
/// Returns a matrix with the vector x on its diagonal and zeros elsewhere, or the diagonal of a
/// matrix x.
///
/// Derivative: the diagonal of the upstream gradient, or a matrix with it on the diagonal.
///
///     Tensor m = diag(tensor({1, 2}));            // [[1, 0], [0, 2]]
///     Tensor d = diag(tensor({{1, 2}, {3, 4}}));  // [1, 4]
///
/// Struct: DiagonalMatrix, Diagonal in rearrange.cpp. Kernels: copy. Test: diag in
/// rows_rearrange.cpp.
Tensor diag(const TensorArg& x, int64_t diagonal = 0);

enum class PadMode { Constant, Reflect, Replicate, Circular };
/// Returns x with elements added before and after its last dims.
///
/// pad has the numbers of elements (before, after) for the last dim, then for the dim before it,
/// and so on. Negative numbers remove elements. Constant adds `value`. Reflect mirrors without the
/// edge: c b | a b c | b a. Replicate repeats the edge. Circular continues at the other end. Throws
/// Error if there are more pairs than dims, or if a side is too short for the mode.
///
/// Derivative: the upstream gradient without the constants; gradients of repeated elements are
/// added.
///
///     Tensor y = pad(tensor({1, 2, 3}), {1, 2});                    // [0, 1, 2, 3, 0, 0]
///     Tensor z = pad(tensor({1, 2, 3}), {1, 2}, PadMode::Reflect);  // [2, 1, 2, 3, 2, 1]
///
/// Struct: PadConstant in pad.cpp. Kernels: fill, copy. Test: pad in rows_rearrange.cpp.
Tensor pad(const TensorArg& x, const Shape& pad, PadMode mode = PadMode::Constant,
           double value = 0);

/// Returns value where mask (bool) is true, else x. The shapes broadcast. Throws Error if an
/// integer tensor cannot represent value.
///
/// Composed in rearrange.cpp. Test: masked_fill in rows_rearrange.cpp.
Tensor masked_fill(const TensorArg& x, const Tensor& mask, Scalar value);
/// Returns the elements of x where mask (bool) is true, in row-major order: (n). The shapes
/// broadcast. It waits for the device, as all functions do whose shape depends on values.
///
/// Composed in rearrange.cpp. Kernels: nonzero. Test: masked_select in rows_rearrange.cpp.
Tensor masked_select(const TensorArg& x, const Tensor& mask);
/// Returns the indices (i64) of the elements that are not 0, in row-major order: (n, dims of x). It
/// waits for the device.
///
///     Tensor at = nonzero(tensor({{0, 5}, {7, 0}}));  // [[0, 1], [1, 0]]
///
/// Composed in rearrange.cpp. Kernels: nonzero. Test: nonzero in rows_rearrange.cpp.
Tensor nonzero(const TensorArg& x);
/// Returns x[index] as in torch. An i64 index of any shape selects slices of dim 0, where negative
/// indices count from the end. A bool mask over the first dims selects the slices where it is true.
///
/// Composed in rearrange.cpp. Kernels: nonzero. Test: index in rows_rearrange.cpp.
Tensor index(const TensorArg& x, const Tensor& index);

}  // namespace ebb
