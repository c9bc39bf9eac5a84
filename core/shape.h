// Shape: the sizes (or strides) of a tensor, stored inline.
#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <iosfwd>
#include <limits>
#include <span>
#include <string>

#include "ebb/core/error.h"

namespace ebb {

/// The largest number of dimensions of a tensor.
inline constexpr int kMaxDims = 8;

/// The largest number of elements of a tensor. Its bytes fit an int64_t in every dtype.
inline constexpr int64_t kMaxElements = std::numeric_limits<int64_t>::max() / 8;

/// Returns a b, or a + b. Throws Error that names op if the result is out of the range of int64_t.
/// All arithmetic on sizes, strides and offsets of a user or a file uses these functions or
/// Shape::numel().
inline int64_t checked_mul(std::string_view op, int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_mul_overflow(a, b, &result)) [[unlikely]]
    fail(op, "too large: ", a, " times ", b, " does not fit 64 bits");
  return result;
}
inline int64_t checked_add(std::string_view op, int64_t a, int64_t b) {
  int64_t result;
  if (__builtin_add_overflow(a, b, &result)) [[unlikely]]
    fail(op, "too large: ", a, " plus ", b, " does not fit 64 bits");
  return result;
}

/// A short list of int64 without heap memory, for sizes, strides and lists of dims. Throws Error
/// for more than kMaxDims entries, and for an index out of range.
///
///     zeros({2, 3});  // two dimensions
///     zeros(3);       // a number is a list of one
class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> sizes)
      : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Shape(T size) {
    if (std::is_unsigned_v<T> && size > static_cast<T>(std::numeric_limits<int64_t>::max()))
      fail("shape", "size ", size, " is too large");
    push_back(static_cast<int64_t>(size));
  }
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
  int64_t& operator[](int i) {
    check_index(i);
    return size_[i];
  }
  int64_t operator[](int i) const {
    check_index(i);
    return size_[i];
  }
  const int64_t* begin() const { return size_; }
  const int64_t* end() const { return size_ + dims_; }
  int64_t back() const { return (*this)[dims_ - 1]; }

  /// Returns the product of the sizes, and 1 for an empty list. Throws Error that names op if a
  /// size is negative, or if the product of the sizes other than 0 exceeds kMaxElements. Strides
  /// and offsets within such a tensor fit int64_t too.
  int64_t numel(std::string_view op = "shape") const {
    int64_t n = 1;
    bool empty = false, wrong = false;
    for (int i = 0; i < dims_; ++i) {
      empty |= size_[i] == 0;
      wrong |= size_[i] < 0 || __builtin_mul_overflow(n, size_[i] == 0 ? 1 : size_[i], &n);
    }
    if (wrong || n > kMaxElements) [[unlikely]]
      refuse(op);
    return empty ? 0 : n;
  }

  void push_back(int64_t n) {
    if (dims_ == kMaxDims) fail("shape", "a tensor has at most ", kMaxDims, " dimensions");
    size_[dims_++] = n;
  }
  void insert(int at, int64_t n) {
    push_back(n);
    check_index(at);
    for (int i = dims_ - 1; i > at; --i) size_[i] = size_[i - 1];
    size_[at] = n;
  }
  void erase(int at) {
    check_index(at);
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
  void check_index(int i) const {
    if (static_cast<unsigned>(i) >= static_cast<unsigned>(dims_)) [[unlikely]]
      refuse_index(i);
  }
  [[noreturn]] void refuse(std::string_view op) const;
  [[noreturn]] void refuse_index(int i) const;
  void copy(const Shape& other) {
    for (int i = 0; i < dims_; ++i) size_[i] = other.size_[i];
  }

  int32_t dims_ = 0;
  int64_t size_[kMaxDims];
};

/// Returns a text such as "(32, 10)", "(7,)" or "()", as Python writes tuples.
std::string to_text(const Shape& shape);
std::ostream& operator<<(std::ostream& out, const Shape& shape);

/// Returns row-major strides, in elements.
Shape contiguous_strides(const Shape& shape);

/// Returns the shape that a and b broadcast to by NumPy's rule. Throws Error that names op if they
/// do not broadcast.
Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b);

/// Returns true if a tensor of shape `from` broadcasts to shape `to`.
bool broadcasts_to(const Shape& from, const Shape& to);

/// Returns the strides that read a tensor of `shape` and `strides` as if it had the shape `target`:
/// 0 on every broadcast axis. REQUIRES that shape broadcasts to target.
Shape broadcast_strides(const Shape& shape, const Shape& strides, const Shape& target);

/// Returns dim, where negative dims count from the end. Throws Error that names op if it is out of
/// range. A 0-d tensor accepts -1 and 0.
int normalize_dim(std::string_view op, int64_t dim, int dims);

/// Merges neighboring dims of `shape` that are contiguous in all `count` operands, and removes
/// dims of size 1. At least one dim remains. strides[k] are the strides of operand k, which it
/// changes too. Kernels loop over the remaining dims.
void coalesce(Shape& shape, Shape* strides, int count);

}  // namespace ebb
