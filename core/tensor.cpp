#include "ebb/core/tensor.h"

#include <cmath>
#include <new>

#include "ebb/core/backend.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/memory.h"

namespace ebb {

void detail::fail_undefined(const char* member) { fail(member, "got an undefined tensor"); }

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

}  // namespace

Tensor empty(const Shape& shape, TensorOptions options) {
  const DType dtype = options.dtype.value_or(DType::F32);
  const auto bytes = static_cast<size_t>(shape.numel("empty")) * size_of(dtype);
  Ref<Storage> storage = Storage::create(bytes, options.device);
  std::byte* data = storage->data();
  return make_tensor(std::move(storage), data, dtype, shape, contiguous_strides(shape), true);
}

Tensor make_view(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset) {
  check_defined("make_view", base);
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

std::optional<ValueRule> conversion_rule(DType from, DType to) {
  if (to == DType::U8 && (is_floating(from) || from == DType::I64))  // 255.9 becomes 255
    return ValueRule{std::nextafter(-1.0, 0.0), std::nextafter(256.0, 0.0), "u8 holds 0 to 255"};
  if (to == DType::I64 && is_floating(from))
    return ValueRule{-0x1p63, std::nextafter(0x1p63, 0.0), "i64 cannot hold every element"};
  return std::nullopt;
}

int64_t Tensor::size(int64_t d) const {
  check_defined("size", *this);
  if (dim() == 0) fail("size", "a 0-d tensor has no dim ", d);
  return shape()[normalize_dim("size", d, dim())];
}

int64_t Tensor::stride(int64_t d) const {
  const TensorImpl& b = body("stride");
  return b.strides[normalize_dim("stride", d, b.shape.dim())];
}

void Tensor::check_access(DType asked) const {
  check_defined("data", *this);
  if (dtype() != asked) [[unlikely]]
    fail("data", "tensor is ", dtype(), ", asked for ", asked);
  if (device() != Device::cpu()) [[unlikely]]
    fail("data", "tensor is on ", device(), ": copy it to the cpu first");
}

Scalar Tensor::item_number() const {
  check_defined("item", *this);
  if (numel() != 1) fail("item", "expected one element, tensor has shape ", shape());
  return dispatch_all(dtype(), [&]<class T>(T value) {
    backend(device()).copy_bytes(&value, Device::cpu(), raw(), device(), sizeof(T));
    return Scalar(value);
  });
}

template <class T>
requires(std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int64_t> ||
         std::same_as<T, uint8_t> || std::same_as<T, bool>) std::vector<T> Tensor::elements()
const {
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
  try {
    return std::vector<T>(first, first + numel());
  } catch (const std::bad_alloc&) {
    fail("to_vector", "out of memory: no room for ", numel(), " elements");
  }
}
template std::vector<float> Tensor::elements() const;
template std::vector<double> Tensor::elements() const;
template std::vector<int64_t> Tensor::elements() const;
template std::vector<uint8_t> Tensor::elements() const;
template std::vector<bool> Tensor::elements() const;

}  // namespace ebb
