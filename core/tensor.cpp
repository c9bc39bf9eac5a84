#include "ebb/core/tensor.h"

#include <algorithm>
#include <cmath>
#include <new>

#include "ebb/core/backend.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/memory.h"

namespace ebb {

void TensorImpl::destroy(TensorImpl* impl) noexcept {
  impl->~TensorImpl();
  memory::deallocate(impl, sizeof(TensorImpl));
}

namespace {

bool is_row_major(const Shape& shape, const Shape& strides) {
  int64_t step = 1;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    if (shape[i] == 0) return true;
    if (shape[i] != 1 && strides[i] != step) return false;
    step *= shape[i];
  }
  return true;
}

Tensor make_tensor(Ref<Storage> storage, std::byte* data, DType dtype, const Shape& shape,
                   const Shape& strides, bool contiguous) {
  auto* impl = new (memory::allocate(sizeof(TensorImpl))) TensorImpl{
      {}, dtype, contiguous, 0, std::move(storage), data, shape.numel(), {}, shape, strides};
  return Tensor(Ref<TensorImpl>::adopt(impl));
}

Tensor from_doubles(const std::vector<double>& values, const Shape& shape, DType dtype) {
  Tensor exact = from_data(values, shape);
  if (dtype == DType::F64) return exact;
  Tensor out = empty(shape, {.dtype = dtype});
  backend(out.device()).copy(out, exact);
  return out;
}

}  // namespace

Tensor empty(const Shape& shape, TensorOptions options) {
  int64_t bytes = static_cast<int64_t>(size_of(options.dtype));
  for (int64_t n : shape) {
    if (n < 0) [[unlikely]]
      fail("empty", "shape ", shape, " has a negative size");
    if (__builtin_mul_overflow(bytes, n, &bytes)) [[unlikely]]
      fail("empty", "shape ", shape, " is too large");
  }
  Ref<Storage> storage = Storage::create(static_cast<size_t>(bytes), options.device);
  std::byte* data = storage->data();
  return make_tensor(std::move(storage), data, options.dtype, shape, contiguous_strides(shape),
                     true);
}

Tensor empty_like(const Tensor& other) {
  return empty(other.shape(), {.dtype = other.dtype(), .device = other.device()});
}

Tensor full(const Shape& shape, double value, TensorOptions options) {
  Tensor out = empty(shape, options);
  backend(options.device).fill(out, value);
  return out;
}

Tensor zeros(const Shape& shape, TensorOptions options) { return full(shape, 0, options); }
Tensor ones(const Shape& shape, TensorOptions options) { return full(shape, 1, options); }
Tensor zeros_like(const Tensor& other) {
  return full(other.shape(), 0, {.dtype = other.dtype(), .device = other.device()});
}
Tensor ones_like(const Tensor& other) {
  return full(other.shape(), 1, {.dtype = other.dtype(), .device = other.device()});
}
Tensor scalar(double value, TensorOptions options) { return full({}, value, options); }

Tensor arange(double start, double stop, double step, TensorOptions options) {
  if (!(step != 0) || !std::isfinite(start) || !std::isfinite(stop)) {
    fail("arange", "expected finite bounds and a step other than 0, got ", start, " to ", stop,
         " by ", step);
  }
  const double count = std::ceil((stop - start) / step);
  const auto n = static_cast<int64_t>(std::max(count, 0.0));
  std::vector<double> values(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    values[static_cast<size_t>(i)] = start + static_cast<double>(i) * step;
  const Tensor host = from_doubles(values, {n}, options.dtype);
  if (options.device == Device::cpu()) return host;
  Tensor out = empty({n}, options);
  backend(options.device)
      .copy_bytes(out.raw(), options.device, host.raw(), Device::cpu(),
                  static_cast<size_t>(n) * size_of(options.dtype));
  return out;
}

template <class T> Tensor from_data(std::span<const T> values, const Shape& shape, Device device) {
  if (static_cast<int64_t>(values.size()) != shape.numel()) {
    fail("from_data", "shape ", shape, " takes ", shape.numel(), " values, got ", values.size());
  }
  Tensor out = empty(shape, {.dtype = dtype_of<T>, .device = device});
  if (!values.empty()) {
    backend(device).copy_bytes(out.raw(), device, values.data(), Device::cpu(),
                               values.size() * sizeof(T));
  }
  return out;
}
template Tensor from_data(std::span<const float>, const Shape&, Device);
template Tensor from_data(std::span<const double>, const Shape&, Device);
template Tensor from_data(std::span<const int64_t>, const Shape&, Device);
template Tensor from_data(std::span<const uint8_t>, const Shape&, Device);
template Tensor from_data(std::span<const bool>, const Shape&, Device);

Tensor detail::row(std::initializer_list<double> values, DType dtype) {
  return from_doubles(values, {static_cast<int64_t>(values.size())}, dtype);
}

Tensor tensor(std::initializer_list<std::initializer_list<double>> rows, DType dtype) {
  std::vector<double> values;
  const size_t columns = rows.size() ? rows.begin()->size() : 0;
  for (const auto& row : rows) {
    if (row.size() != columns)
      fail("tensor", "ragged rows: ", columns, " values in the first, ", row.size(), " later");
    values.insert(values.end(), row.begin(), row.end());
  }
  return from_doubles(values, {static_cast<int64_t>(rows.size()), static_cast<int64_t>(columns)},
                      dtype);
}

Tensor make_view(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset) {
  const TensorImpl& b = *base.impl();
  return make_tensor(b.storage, b.data + offset * static_cast<int64_t>(size_of(b.dtype)), b.dtype,
                     shape, strides, is_row_major(shape, strides));
}

void check_writable(std::string_view op, const Tensor& tensor) {
  check_defined(op, tensor);
  if (tensor.requires_grad() && grad_enabled()) {
    fail(op, "in-place change of ", tensor, ", which requires grad: allowed only under no_grad");
  }
  if (tensor.is_contiguous()) return;
  for (int i = 0; i < tensor.dim(); ++i) {
    if (tensor.numel() > 0 && tensor.strides()[i] == 0 && tensor.shape()[i] > 1) {
      fail(op, "in-place change of ", tensor,
           ", whose elements share memory (expanded): clone() it first");
    }
  }
}

int64_t Tensor::size(int64_t d) const {
  if (dim() == 0) fail("size", "a 0-d tensor has no dim ", d);
  return shape()[normalize_dim("size", d, dim())];
}

void Tensor::check_access(DType asked) const {
  check_defined("data", *this);
  if (dtype() != asked) [[unlikely]]
    fail("data", "tensor is ", dtype(), ", asked for ", asked);
  if (device() != Device::cpu()) [[unlikely]]
    fail("data", "tensor is on ", device(), ": copy it to the cpu first");
}

template <class To> To Tensor::item_as() const {
  check_defined("item", *this);
  if (numel() != 1) fail("item", "expected one element, tensor has shape ", shape());
  return dispatch_all(dtype(), [&]<class T>(T value) {
    backend(device()).copy_bytes(&value, Device::cpu(), raw(), device(), sizeof(T));
    return static_cast<To>(value);
  });
}
double Tensor::item_as_double() const { return item_as<double>(); }
int64_t Tensor::item_as_integer() const { return item_as<int64_t>(); }

template <class T> std::vector<T> Tensor::to_vector() const {
  check_defined("to_vector", *this);
  Tensor host = empty(shape(), {.dtype = dtype_of<T>});
  Tensor source = *this;
  if (device() != Device::cpu()) {
    Tensor packed = empty(shape(), {.dtype = dtype(), .device = device()});
    backend(device()).copy(packed, *this);
    source = empty(shape(), {.dtype = dtype()});
    backend(device()).copy_bytes(source.raw(), Device::cpu(), packed.raw(), device(),
                                 static_cast<size_t>(numel()) * size_of(dtype()));
  }
  backend(Device::cpu()).copy(host, source);
  const T* first = reinterpret_cast<const T*>(host.raw());
  return std::vector<T>(first, first + numel());
}
template std::vector<float> Tensor::to_vector() const;
template std::vector<double> Tensor::to_vector() const;
template std::vector<int64_t> Tensor::to_vector() const;
template std::vector<uint8_t> Tensor::to_vector() const;
template std::vector<bool> Tensor::to_vector() const;

}  // namespace ebb
