// Creation of tensors. Included by core/tensor.h.
//
// Integer dtypes throw Error for values with a fraction and for values out of range. Without a
// dtype, the dtype follows from the values, as in torch: f32 from floating numbers, i64 from
// integers, bool from bools. Functions without values (zeros, empty, rand, ...) return f32.
#pragma once

#include <concepts>
#include <initializer_list>
#include <optional>
#include <span>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

/// Dtype and device of a new tensor: zeros({2}, {.dtype = f64}). A dtype or a device alone needs no
/// braces: zeros({2}, f64).
struct TensorOptions {
  std::optional<DType> dtype = {};  ///< by default it follows from the values
  Device device = Device::cpu();
};

/// A DType or a Device that is passed instead of TensorOptions.
template <class T>
concept TensorOption = std::same_as<T, DType> || std::same_as<T, Device>;
template <TensorOption Option> TensorOptions options_of(Option option) {
  if constexpr (std::same_as<Option, DType>) return {.dtype = option};
  else return {.device = option};
}
/// Returns the dtype and device of a tensor.
TensorOptions options_like(const Tensor& tensor);

/// Returns a tensor of uninitialized elements. Throws Error if a size is negative, the shape is too
/// large or there is not enough memory, as all functions here do.
Tensor empty(const Shape& shape, TensorOptions options = {});
/// Returns a tensor of zeros, of ones, or of one value everywhere.
///
///     zeros({2, 3});      // f32
///     ones(3, f64);
///     full({2}, 7);       // i64 {7, 7}
///     full({2}, 0.5);     // f32 {0.5, 0.5}
Tensor zeros(const Shape& shape, TensorOptions options = {});
Tensor ones(const Shape& shape, TensorOptions options = {});
Tensor full(const Shape& shape, Scalar value, TensorOptions options = {});
/// Returns a tensor with the shape, dtype and device of another.
Tensor empty_like(const Tensor& other);
Tensor zeros_like(const Tensor& other);
Tensor ones_like(const Tensor& other);
Tensor full_like(const Tensor& other, Scalar value);
/// Returns a tensor without dimensions: full({}, value, options).
Tensor scalar(Scalar value, TensorOptions options = {});

/// Returns start, start + step, ... below stop, or above stop for a negative step. Throws Error if
/// step is 0, if an argument is not finite, or if an integer dtype cannot represent a value.
///
///     arange(3);              // i64 {0, 1, 2}
///     arange(0., 1., .25);    // f32 {0, 0.25, 0.5, 0.75}
///     arange(4, 0, -2, f64);  // f64 {4, 2}
Tensor arange(Scalar start, Scalar stop, Scalar step = 1, TensorOptions options = {});
Tensor arange(Scalar stop, TensorOptions options = {});
Tensor arange(Scalar start, Scalar stop, TensorOptions options);
/// Returns `steps` numbers at equal distances from start to end, both included. The default dtype
/// is f32.
///
///     linspace(0, 1, 5);  // {0, 0.25, 0.5, 0.75, 1}
Tensor linspace(Scalar start, Scalar end, int64_t steps, TensorOptions options = {});
/// Returns the n x n, or n x m, matrix of zeros with ones on the diagonal.
Tensor eye(int64_t n, TensorOptions options = {});
Tensor eye(int64_t n, int64_t m, TensorOptions options = {});

/// A number, or numbers in braces of any depth: the argument of tensor().
class TensorLiteral {
 public:
  template <class T>
  requires std::is_arithmetic_v<T> TensorLiteral(T value) : values_{Scalar(value)} {}
  /// Takes a list that already has a type. Braces in a call are not deduced as such a list.
  template <class List>
  requires(std::same_as<List, std::initializer_list<typename List::value_type>>&&
               std::is_arithmetic_v<typename List::value_type>) TensorLiteral(List numbers)
      : shape_(numbers.size()), values_(numbers.begin(), numbers.end()) {}
  /// Throws Error if the rows differ in shape.
  TensorLiteral(std::initializer_list<TensorLiteral> rows);

  const Shape& shape() const { return shape_; }
  const std::vector<Scalar>& values() const { return values_; }

 private:
  Shape shape_;
  std::vector<Scalar> values_;
};

/// Returns a tensor of the given numbers, with one dimension per level of braces.
///
///     tensor(1.5);                  // f32, shape ()
///     tensor({1, 2, 3});            // i64, shape (3,): integers
///     tensor({{1., 2.}, {3, 4}});   // f32, shape (2, 2): one of them is floating
///     tensor({1, 2}, f32);
Tensor tensor(const TensorLiteral& values, TensorOptions options = {});

/// Returns the dtype of from_data() for elements of type T. Integers of other types than int64_t
/// and uint8_t give i64.
template <class T> constexpr DType element_dtype() {
  static_assert(std::is_arithmetic_v<T> && !std::is_same_v<T, long double>,
                "from_data needs float, double, bool or integers");
  if constexpr (std::is_integral_v<T> && !std::is_same_v<T, uint8_t> && !std::is_same_v<T, bool>)
    return DType::I64;
  else return dtype_of<T>;
}

namespace detail {
/// Copies `count` elements of dtype from the host. Throws Error unless count is shape.numel().
Tensor copy_data(const void* values, size_t count, DType dtype, const Shape& shape, Device device);
}  // namespace detail

/// Returns a tensor of the given values in row-major order. Integers of other types than int64_t
/// and uint8_t become i64. Throws Error if their number is not shape.numel(), or if a value does
/// not fit.
///
///     from_data(std::vector<float>{1, 2, 3, 4}, {2, 2});
///     from_data(std::vector<int>{1, 2}, {2});  // i64
template <class T>
Tensor from_data(std::span<const T> values, const Shape& shape, Device device = Device::cpu()) {
  constexpr DType dtype = element_dtype<T>();
  if constexpr (dtype == DType::I64 && !std::is_same_v<T, int64_t>) {
    std::vector<int64_t> converted;
    for (T value : values) converted.push_back(Scalar(value).to<int64_t>("from_data"));
    return detail::copy_data(converted.data(), converted.size(), dtype, shape, device);
  } else {
    return detail::copy_data(values.data(), values.size(), dtype, shape, device);
  }
}
template <class T>
Tensor from_data(const std::vector<T>& values, const Shape& shape, Device device = Device::cpu()) {
  if constexpr (std::is_same_v<T, bool>) {  // its elements are bits
    const std::vector<uint8_t> bytes(values.begin(), values.end());
    return detail::copy_data(bytes.data(), bytes.size(), DType::Bool, shape, device);
  } else {
    return from_data(std::span<const T>(values), shape, device);
  }
}

/// Returns a one-dimensional tensor of the values of a vector: from_data(values, {n}).
///
///     Tensor y = tensor(std::vector<float>{1, 2});
template <class T>
requires(std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int64_t> ||
         std::same_as<T, uint8_t> || std::same_as<T, bool>) Tensor
    tensor(const std::vector<T>& values, Device device = Device::cpu()) {
  return from_data(values, {static_cast<int64_t>(values.size())}, device);
}

// The same with a dtype or a device instead of the options.
template <TensorOption O> Tensor empty(const Shape& shape, O option) {
  return empty(shape, options_of(option));
}
template <TensorOption O> Tensor zeros(const Shape& shape, O option) {
  return zeros(shape, options_of(option));
}
template <TensorOption O> Tensor ones(const Shape& shape, O option) {
  return ones(shape, options_of(option));
}
template <TensorOption O> Tensor full(const Shape& shape, Scalar value, O option) {
  return full(shape, value, options_of(option));
}
template <TensorOption O> Tensor scalar(Scalar value, O option) {
  return scalar(value, options_of(option));
}
template <TensorOption O> Tensor arange(Scalar start, Scalar stop, Scalar step, O option) {
  return arange(start, stop, step, options_of(option));
}
template <TensorOption O> Tensor arange(Scalar start, Scalar stop, O option) {
  return arange(start, stop, 1, options_of(option));
}
template <TensorOption O> Tensor arange(Scalar stop, O option) {
  return arange(stop, options_of(option));
}
template <TensorOption O> Tensor linspace(Scalar start, Scalar end, int64_t steps, O option) {
  return linspace(start, end, steps, options_of(option));
}
template <TensorOption O> Tensor eye(int64_t n, O option) { return eye(n, options_of(option)); }
template <TensorOption O> Tensor eye(int64_t n, int64_t m, O option) {
  return eye(n, m, options_of(option));
}
template <TensorOption O> Tensor tensor(const TensorLiteral& values, O option) {
  return tensor(values, options_of(option));
}

}  // namespace ebb
