// Shape: the sizes (or strides) of a tensor, stored inline.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

#include "ebb/core/error.h"

namespace ebb {

/// The most dimensions that a tensor can have.
inline constexpr int kMaxDims = 8;

/// A short list of int64 without heap memory. Used for sizes, strides and lists of dims.
/// Throws Error when more than kMaxDims entries are put in.
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes)
      : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  explicit Shape(std::span<const int64_t> sizes) {
    for (int64_t n : sizes) push_back(n);
  }
  Shape(const Shape& other) : dims_(other.dims_) { copy(other); }
  Shape& operator=(const Shape& other) {
    dims_ = other.dims_;
    copy(other);
    return *this;
  }

  int dim() const { return dims_; }
  bool empty() const { return dims_ == 0; }
  int64_t& operator[](int i) { return size_[i]; }
  int64_t operator[](int i) const { return size_[i]; }
  const int64_t* begin() const { return size_; }
  const int64_t* end() const { return size_ + dims_; }
  int64_t back() const { return size_[dims_ - 1]; }

  /// Product of the sizes; 1 for an empty list.
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < dims_; ++i) n *= size_[i];
    return n;
  }

  void push_back(int64_t n) {
    if (dims_ == kMaxDims) fail("shape", "a tensor has at most ", kMaxDims, " dimensions");
    size_[dims_++] = n;
  }
  void insert(int at, int64_t n) {
    push_back(n);
    for (int i = dims_ - 1; i > at; --i) size_[i] = size_[i - 1];
    size_[at] = n;
  }
  void erase(int at) {
    for (int i = at; i + 1 < dims_; ++i) size_[i] = size_[i + 1];
    --dims_;
  }

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.dims_ != b.dims_) return false;
    for (int i = 0; i < a.dims_; ++i) {
      if (a.size_[i] != b.size_[i]) return false;
    }
    return true;
  }

 private:
  void copy(const Shape& other) {
    for (int i = 0; i < dims_; ++i) size_[i] = other.size_[i];
  }

  int32_t dims_ = 0;
  int64_t size_[kMaxDims];
};

/// "(32, 10)"; "(7,)" for one dimension and "()" for none, as Python writes tuples.
std::string to_text(const Shape& shape);

/// Row-major strides in elements.
Shape contiguous_strides(const Shape& shape);

/// The shape that a and b broadcast to, by NumPy's rule. Throws Error naming op.
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

/// True when a tensor of shape `from` can be read as one of shape `to` by broadcasting alone.
bool broadcasts_to(const Shape& from, const Shape& to);

/// Strides that read a tensor of `shape` and `strides` as if it had the shape `target`: 0 on every broadcast axis.
/// REQUIRES that shape broadcasts to target.
Shape broadcast_strides(const Shape& shape, const Shape& strides, const Shape& target);

/// Turns -1 into the last dim and so on. Throws Error naming op when out of range; a 0-d tensor accepts -1 and 0.
int normalize_dim(std::string_view op, int64_t dim, int dims);

/// Merges neighbouring dims of `shape` that all `count` operands walk as one; drops dims of size 1. At least one dim
/// remains. strides[k] are the strides of operand k over the shape, changed along. Kernels walk what is left.
void coalesce(Shape& shape, Shape* strides, int count);

}  // namespace ebb
