// Operators that are not arithmetic: masks, compound assignment, and torch's short names of the
// comparisons.
#pragma once

#include "ebb/autograd/ops/arithmetic.h"

namespace ebb {

// ---- comparisons under torch's short names; each is the same as its operator ----

inline Tensor lt(const TensorArg& a, const Tensor& b) { return a < b; }
inline Tensor lt(const TensorArg& a, Scalar b) { return a < b; }
inline Tensor le(const TensorArg& a, const Tensor& b) { return a <= b; }
inline Tensor le(const TensorArg& a, Scalar b) { return a <= b; }
inline Tensor gt(const TensorArg& a, const Tensor& b) { return a > b; }
inline Tensor gt(const TensorArg& a, Scalar b) { return a > b; }
inline Tensor ge(const TensorArg& a, const Tensor& b) { return a >= b; }
inline Tensor ge(const TensorArg& a, Scalar b) { return a >= b; }
inline Tensor eq(const TensorArg& a, Scalar b) { return a == b; }
inline Tensor ne(const TensorArg& a, const Tensor& b) { return a != b; }
inline Tensor ne(const TensorArg& a, Scalar b) { return a != b; }

// ---- masks ----

/// Returns the logical and, or, exclusive or, or not of bool tensors, element by element. The
/// operands broadcast. Throws Error for other dtypes, which logical_and(), logical_or() and
/// logical_not() take.
///
///     Tensor inside = (x > 0) & !(x > 1);
Tensor operator&(const TensorArg& a, const Tensor& b);
Tensor operator|(const TensorArg& a, const Tensor& b);
Tensor operator^(const TensorArg& a, const Tensor& b);
Tensor operator!(const TensorArg& a);
inline Tensor operator~(const TensorArg& a) { return !a; }

// ---- compound assignment ----

/// Adds to, subtracts from, multiplies or divides a tensor, and returns it.
///
/// Without recording, the elements change in place for every handle and view, as with a.add_(b). If
/// the result is recorded in the graph, elements must not change in place. `a` then becomes a
/// handle of the new tensor a + b, and other handles keep the old one. Throws Error, as torch does,
/// if a is a leaf that requires grad and recording is on, or if a + b has another shape or dtype
/// than a.
///
///     Tensor loss = zeros({});
///     for (const Tensor& part : parts) loss += part;  // recorded, if a part requires grad
Tensor& operator+=(Tensor& a, const Tensor& b);
Tensor& operator-=(Tensor& a, const Tensor& b);
Tensor& operator*=(Tensor& a, const Tensor& b);
Tensor& operator/=(Tensor& a, const Tensor& b);
Tensor& operator+=(Tensor& a, Scalar b);
Tensor& operator-=(Tensor& a, Scalar b);
Tensor& operator*=(Tensor& a, Scalar b);
Tensor& operator/=(Tensor& a, Scalar b);

/// Does the same on a temporary, such as the view x[0]. This is always in place.
inline void operator+=(Tensor&& a, const Tensor& b) { a.add_(b); }
inline void operator-=(Tensor&& a, const Tensor& b) { a.sub_(b); }
inline void operator*=(Tensor&& a, const Tensor& b) { a.mul_(b); }
inline void operator/=(Tensor&& a, const Tensor& b) { a.div_(b); }
inline void operator+=(Tensor&& a, Scalar b) { a.add_(b); }
inline void operator-=(Tensor&& a, Scalar b) { a.sub_(b); }
inline void operator*=(Tensor&& a, Scalar b) { a.mul_(b); }
inline void operator/=(Tensor&& a, Scalar b) { a.div_(b); }

}  // namespace ebb
