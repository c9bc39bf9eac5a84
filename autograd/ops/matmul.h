// Matrix products.
//
// They take f32 and f64, and have gradients of every order. Throws Error for operands of different
// dtypes or devices.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// Returns the matrix product a b, as torch.matmul.
///
/// Derivatives: g b^T by a and a^T g by b, for the upstream gradient g. Shape: (n) (n) -> (); (m,
/// k) (k, n) -> (m, n); (m, k) (k) -> (m); (k) (k, n) -> (n); (..., m, k) (..., k, n) -> (..., m,
/// n), where the leading dims broadcast.
///
///     Tensor y = matmul(tensor({{1., 2.}}), tensor({{3.}, {4.}}));  // [[11]]
///
/// Struct: BatchedMatmul in matmul.cpp. Kernels: matmul. Test: matmul in rows_matmul.cpp.
Tensor matmul(const TensorArg& a, const Tensor& b);

/// Returns the sum of a b of two vectors of the same length: (n) (n) -> ().
///
/// Composed in matmul.cpp. Test: dot in rows_statistics.cpp.
Tensor dot(const TensorArg& a, const Tensor& b);
/// Returns the products of all pairs of elements of two vectors: (n) (m) -> (n, m). Also for
/// integers.
///
/// Composed in matmul.cpp. Test: outer in rows_statistics.cpp.
Tensor outer(const TensorArg& a, const Tensor& b);
/// Returns the matrix products of two batches: (b, m, k) (b, k, n) -> (b, m, n). Nothing
/// broadcasts.
///
/// Composed in matmul.cpp. Test: bmm in rows_statistics.cpp.
Tensor bmm(const TensorArg& a, const Tensor& b);
/// Returns the product of two matrices: (m, k) (k, n) -> (m, n). It is matmul(a, b), and throws
/// Error for other shapes.
///
/// Composed in matmul.cpp. Test: mm in rows_matmul.cpp.
Tensor mm(const TensorArg& a, const Tensor& b);
/// Returns the product of a matrix and a vector: (m, k) (k) -> (m). It is matmul(a, vector), and
/// throws Error for other shapes.
///
/// Composed in matmul.cpp. Test: mv in rows_matmul.cpp.
Tensor mv(const TensorArg& a, const Tensor& vector);

enum class Activation { None, Relu, GeluTanh };
/// Returns f(input weight^T + bias), in one kernel where the device supports that. The activation f
/// is the identity, relu or gelu in its tanh form.
///
/// Derivatives: with d = g f'(y) for the upstream gradient g: d weight by input, d^T input by
/// weight, the sum of the rows of d by bias. Shape: input (..., in), weight (out, in), bias (out)
/// or undefined; the result is (..., out). Throws Error if shapes or dtypes do not fit.
///
/// Struct: Linear in matmul.cpp. Kernels: matmul. Test: linear in rows_matmul.cpp.
Tensor linear(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::None);

}  // namespace ebb
