#include "ebb/core/creation.h"

#include <cmath>

#include "ebb/core/backend.h"

namespace ebb {
namespace {

TensorOptions with_dtype(TensorOptions options, DType inferred) {
  return {.dtype = options.dtype.value_or(inferred), .device = options.device};
}

// Returns a contiguous tensor of the host, copied to the requested device.
Tensor on_device(const Tensor& host, Device device) {
  if (device == Device::cpu()) return host;
  return detail::copy_data(host.raw(), static_cast<size_t>(host.numel()), host.dtype(),
                           host.shape(), device);
}

// A tensor of `count` elements whose i-th is value(i), a Scalar or a plain number, which must be
// exact in the dtype.
template <class Value>
Tensor generate(std::string_view op, const Shape& shape, TensorOptions options,
                const Value& value) {
  (void)shape.numel(op);
  const DType dtype = *options.dtype;
  Tensor host = empty(shape, {.dtype = dtype});
  dispatch_all(dtype, [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(host.raw());
    for (int64_t i = 0; i < host.numel(); ++i) {
      const Scalar v = value(i);
      if constexpr (!std::is_floating_point_v<T>) v.check_exact(op, dtype);
      to[i] = v.to<T>(op);
    }
  });
  return on_device(host, options.device);
}

// Returns the length of [start, stop) with an integer step. It is exact over the whole range.
int64_t count_integers(int64_t start, int64_t stop, int64_t step) {
  const bool up = step > 0;
  if (start == stop || (start < stop) != up) return 0;
  const uint64_t from = static_cast<uint64_t>(start), to = static_cast<uint64_t>(stop);
  const uint64_t span = up ? to - from : from - to;
  const uint64_t size = up ? static_cast<uint64_t>(step) : -static_cast<uint64_t>(step);
  const uint64_t count = (span - 1) / size + 1;
  return count > uint64_t{kMaxElements} ? kMaxElements + 1 : static_cast<int64_t>(count);
}

int64_t count_floating(double start, double stop, double step) {
  const double count = std::ceil((stop - start) / step);
  if (!(count > 0)) return 0;
  return count > static_cast<double>(kMaxElements) ? kMaxElements + 1 : static_cast<int64_t>(count);
}

}  // namespace

TensorOptions options_like(const Tensor& tensor) {
  check_defined("options_like", tensor);
  return {.dtype = tensor.dtype(), .device = tensor.device()};
}

Tensor full(const Shape& shape, Scalar value, TensorOptions options) {
  options = with_dtype(options, value.dtype());
  value.check_exact("full", *options.dtype);
  Tensor out = empty(shape, options);
  backend(options.device).fill(out, value);
  return out;
}
Tensor zeros(const Shape& shape, TensorOptions options) {
  return full(shape, 0, with_dtype(options, DType::F32));
}
Tensor ones(const Shape& shape, TensorOptions options) {
  return full(shape, 1, with_dtype(options, DType::F32));
}
Tensor empty_like(const Tensor& other) {
  check_defined("empty_like", other);
  return empty(other.shape(), options_like(other));
}
Tensor zeros_like(const Tensor& other) {
  check_defined("zeros_like", other);
  return full(other.shape(), 0, options_like(other));
}
Tensor ones_like(const Tensor& other) {
  check_defined("ones_like", other);
  return full(other.shape(), 1, options_like(other));
}
Tensor full_like(const Tensor& other, Scalar value) {
  check_defined("full_like", other);
  return full(other.shape(), value, options_like(other));
}
Tensor scalar(Scalar value, TensorOptions options) { return full({}, value, options); }

Tensor arange(Scalar start, Scalar stop, Scalar step, TensorOptions options) {
  const double from = start.to_double(), by = step.to_double();
  if (!(by != 0) || !std::isfinite(by) || !std::isfinite(from) || !std::isfinite(stop.to_double()))
    fail("arange", "expected finite bounds and a step other than 0, got ", start, " to ", stop,
         " by ", step);
  const bool floating = start.is_floating() || stop.is_floating() || step.is_floating();
  options = with_dtype(options, floating ? DType::F32 : DType::I64);
  if (floating) {
    const int64_t n = count_floating(from, stop.to_double(), by);
    return generate("arange", n, options,
                    [&](int64_t i) { return from + static_cast<double>(i) * by; });
  }
  const auto first = start.to<int64_t>("arange"), stride = step.to<int64_t>("arange");
  const int64_t n = count_integers(first, stop.to<int64_t>("arange"), stride);
  // The product may wrap around on the way to a number in range.
  return generate("arange", n, options, [&](int64_t i) {
    return static_cast<int64_t>(static_cast<uint64_t>(first) +
                                static_cast<uint64_t>(i) * static_cast<uint64_t>(stride));
  });
}
Tensor arange(Scalar stop, TensorOptions options) {
  return stop.is_floating() ? arange(0.0, stop, 1.0, options) : arange(0, stop, 1, options);
}
Tensor arange(Scalar start, Scalar stop, TensorOptions options) {
  return arange(start, stop, 1, options);
}

Tensor linspace(Scalar start, Scalar end, int64_t steps, TensorOptions options) {
  const double a = start.to_double(), b = end.to_double();
  if (steps < 0 || !std::isfinite(a) || !std::isfinite(b))
    fail("linspace", "expected finite bounds and at least 0 steps, got ", start, " to ", end,
         " in ", steps, " steps");
  options = with_dtype(options, DType::F32);
  const double step = steps > 1 ? (b - a) / static_cast<double>(steps - 1) : 0;
  return generate("linspace", steps, options, [&](int64_t i) {  // symmetric, with exact ends
    return i < steps / 2 || steps == 1 ? a + step * static_cast<double>(i)
                                       : b - step * static_cast<double>(steps - 1 - i);
  });
}

Tensor eye(int64_t n, int64_t m, TensorOptions options) {
  Tensor host = zeros({n, m}, {.dtype = options.dtype});
  const int64_t ones_count = std::min(n, m);
  Tensor diagonal = make_view(host, ones_count, m + 1);
  backend(Device::cpu()).fill(diagonal, 1);
  return on_device(host, options.device);
}
Tensor eye(int64_t n, TensorOptions options) { return eye(n, n, options); }

TensorLiteral::TensorLiteral(std::initializer_list<TensorLiteral> rows) {
  shape_.push_back(static_cast<int64_t>(rows.size()));
  if (rows.size() == 0) return;
  const Shape& row_shape = rows.begin()->shape_;
  for (int64_t n : row_shape) shape_.push_back(n);
  for (const TensorLiteral& row : rows) {
    if (!(row.shape_ == row_shape))
      fail("tensor", "ragged rows: shape ", row_shape, " in the first, ", row.shape_, " later");
    values_.insert(values_.end(), row.values_.begin(), row.values_.end());
  }
}

Tensor tensor(const TensorLiteral& literal, TensorOptions options) {
  bool floating = literal.values().empty(), all_bool = true;
  for (Scalar v : literal.values()) {
    floating |= v.is_floating();
    all_bool &= v.is_bool();
  }
  const DType inferred = floating ? DType::F32 : all_bool ? DType::Bool : DType::I64;
  return generate("tensor", literal.shape(), with_dtype(options, inferred),
                  [&](int64_t i) { return literal.values()[static_cast<size_t>(i)]; });
}

Tensor detail::copy_data(const void* values, size_t count, DType dtype, const Shape& shape,
                         Device device) {
  const int64_t expected = shape.numel("from_data");
  if (static_cast<uint64_t>(expected) != count)
    fail("from_data", "shape ", shape, " takes ", expected, " values, got ", count);
  Tensor out = empty(shape, {.dtype = dtype, .device = device});
  if (count > 0) {
    backend(device).copy_bytes(out.raw(), device, values, Device::cpu(), count * size_of(dtype));
  }
  return out;
}

TensorOptions Tensor::options() const { return options_like(*this); }
Tensor Tensor::new_empty(const Shape& shape) const { return empty(shape, options()); }
Tensor Tensor::new_zeros(const Shape& shape) const { return zeros(shape, options()); }
Tensor Tensor::new_ones(const Shape& shape) const { return ones(shape, options()); }
Tensor Tensor::new_full(const Shape& shape, Scalar value) const {
  return full(shape, value, options());
}

}  // namespace ebb
