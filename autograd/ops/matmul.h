// Matrix products.
#pragma once

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// a b, torch.matmul: (n) (n) -> (); (m, k) (k, n) -> (m, n); (m, k) (k) -> (m); (k) (k, n) -> (n);
/// (..., m, k) (..., k, n) -> (..., m, n) with leading dims broadcast. f32 and f64.
Tensor matmul(const TensorArg& a, const Tensor& b);

/// Returns the sum of a b of two vectors of the same length: (n) (n) -> ().
Tensor dot(const TensorArg& a, const Tensor& b);
/// Returns the products of all pairs: (n) (m) -> (n, m). Also of integers.
Tensor outer(const TensorArg& a, const Tensor& b);
/// Returns the matrix products of two batches: (b, m, k) (b, k, n) -> (b, m, n), nothing broadcast.
Tensor bmm(const TensorArg& a, const Tensor& b);

enum class Activation { None, Relu, GeluTanh };
/// y = f(input weight^T + bias), fused where the device can: input (..., in), weight (out, in), bias (out) or
/// undefined; result (..., out). f is the identity, max(y, 0), or gelu's tanh form. f32 and f64. Throws Error where
/// shapes or dtypes do not fit. torch.nn.functional.linear, relu, gelu(approximate="tanh").
Tensor linear(const TensorArg& input, const Tensor& weight, const Tensor& bias = {},
              Activation activation = Activation::None);
/// Returns the product of two matrices, (m, k) and (k, n): matmul(a, b) that refuses other shapes.
Tensor mm(const TensorArg& a, const Tensor& b);
/// Returns the product of a matrix (m, k) and a vector (k,): matmul(a, vector) that refuses other shapes.
Tensor mv(const TensorArg& a, const Tensor& vector);

}  // namespace ebb
