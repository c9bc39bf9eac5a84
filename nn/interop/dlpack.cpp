#include "ebb/nn/interop/dlpack.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <new>

#include "ebb/core/cuda.h"
#include "ebb/core/memory.h"
#include "ebb/core/storage.h"

namespace ebb {

using namespace dlpack;

namespace {

constexpr std::string_view kFrom = "from_dlpack", kTo = "to_dlpack";

constexpr DLDataType kTypes[kDTypeCount] = {
    {kDLFloat, 32, 1}, {kDLFloat, 64, 1}, {kDLInt, 64, 1}, {kDLUInt, 8, 1}, {kDLBool, 8, 1}};

// ---- to DLPack ----

// A tensor that is kept alive by the struct that describes it.
template <class Managed> struct Exported {
  Managed managed{};
  Tensor tensor;
  Shape shape, strides;
};

template <class Managed> Managed* exported(const Tensor& tensor) {
  check_defined(kTo, tensor);
  if (tensor.requires_grad())
    fail(kTo, "a tensor of shape ", tensor.shape(), " that requires grad: pass its detach()");
  auto owned = std::make_unique<Exported<Managed>>();
  owned->tensor = tensor;
  owned->shape = tensor.shape();
  owned->strides = tensor.strides();
  const bool is_cpu = tensor.device().type == DeviceType::CPU;
  const auto numbers = [](const Shape& list) { return const_cast<int64_t*>(list.begin()); };
  owned->managed.dl_tensor = {.data = tensor.raw(),
                              .device = {is_cpu ? kDLCPU : kDLCUDA, tensor.device().index},
                              .ndim = tensor.dim(),
                              .dtype = kTypes[static_cast<int>(tensor.dtype())],
                              .shape = numbers(owned->shape),
                              .strides = numbers(owned->strides),
                              .byte_offset = 0};
  owned->managed.manager_ctx = owned.get();
  owned->managed.deleter = [](Managed* self) {
    delete static_cast<Exported<Managed>*>(self->manager_ctx);
  };
  return &owned.release()->managed;
}

// ---- from DLPack ----

template <class Managed> void release(void* managed) {
  auto* self = static_cast<Managed*>(managed);
  if (self->deleter) self->deleter(self);
}

// The same, after the work that may still read the elements on a GPU.
template <class Managed> void release_after_work(void* managed) {
  try {
    cuda::synchronize();
  } catch (const Error&) {
    // The next operation on the device reports it.
  }
  release<Managed>(managed);
}

DType dtype_of_type(DLDataType type) {
  for (int i = 0; i < kDTypeCount; ++i) {
    const DLDataType& each = kTypes[i];
    if (type.code == each.code && type.bits == each.bits && type.lanes == 1)
      return static_cast<DType>(i);
  }
  constexpr std::string_view kNames[] = {"int",    "uint",    "float", "opaque",
                                         "bfloat", "complex", "bool"};
  fail(kFrom, "elements of type ", type.code < std::size(kNames) ? kNames[type.code] : "code ",
       int{type.bits}, type.lanes == 1 ? "" : " in vectors",
       ": without a copy only float32, float64, int64, uint8 and bool are shared");
}

Device device_of(DLDevice device) {
  if (device.device_type == kDLCPU || device.device_type == kDLCUDAHost) return Device::cpu();
  if (device.device_type != kDLCUDA || device.device_id < 0 || device.device_id > 127)
    fail(kFrom, "a tensor on device type ", device.device_type, " with index ", device.device_id,
         ": expected the CPU or CUDA");
  return Device::cuda(device.device_id);
}

// The elements of a DLTensor as Ebb has them.
struct Layout {
  DType dtype;
  Device device;
  Shape shape, strides;
  std::byte* data;
  int64_t span = 0;  // from the first element to the end of the last one, in elements

  explicit Layout(const DLTensor& t) : dtype(dtype_of_type(t.dtype)), device(device_of(t.device)) {
    if (t.ndim < 0 || t.ndim > kMaxDims)
      fail(kFrom, "a tensor of ", t.ndim, " dims: expected at most ", kMaxDims);
    if (t.ndim > 0 && !t.shape) fail(kFrom, "a tensor without a shape");
    shape = Shape(std::span<const int64_t>(t.shape, static_cast<size_t>(t.ndim)));
    const int64_t count = shape.numel(kFrom);
    strides = t.strides ? Shape(std::span<const int64_t>(t.strides, static_cast<size_t>(t.ndim)))
                        : contiguous_strides(shape);
    if (count == 0) strides = contiguous_strides(shape);
    span = count == 0 ? 0 : 1;
    for (int i = 0; count > 0 && i < shape.dim(); ++i) {
      if (shape[i] == 1) continue;  // its stride is arbitrary
      if (strides[i] < 0)
        fail(kFrom, "a tensor with negative strides ", strides, ": copy it first");
      span = checked_add(kFrom, span, checked_mul(kFrom, strides[i], shape[i] - 1));
    }
    if (span > kMaxElements) fail(kFrom, "strides ", strides, " are too large");
    data = static_cast<std::byte*>(t.data) + t.byte_offset;
    if (!t.data && count > 0) fail(kFrom, "a tensor of shape ", shape, " without data");
    if (t.data && reinterpret_cast<uintptr_t>(data) % size_of(dtype) != 0)
      fail(kFrom, "elements of ", dtype, " that are not aligned to ", size_of(dtype), " bytes");
  }
};

template <class Managed> Tensor adopted(Managed* managed) {
  std::unique_ptr<void, void (*)(void*)> guard(managed, release<Managed>);
  const Layout layout(managed->dl_tensor);
  const size_t bytes = static_cast<size_t>(layout.span) * size_of(layout.dtype);
  const bool is_cpu = layout.device.type == DeviceType::CPU;
  Ref<Storage> storage =
      Storage::adopt(layout.data, bytes, layout.device,
                     is_cpu ? release<Managed> : release_after_work<Managed>, managed);
  (void)guard.release();  // the storage calls the deleter
  auto* impl = new (memory::allocate(sizeof(TensorImpl)))
      TensorImpl{{}, layout.dtype,       true,    0, std::move(storage), layout.data, layout.span,
                 {}, Shape(layout.span), Shape(1)};
  return make_view(Tensor(Ref<TensorImpl>::adopt(impl)), layout.shape, layout.strides);
}

}  // namespace

DLManagedTensor* to_dlpack(const Tensor& tensor) { return exported<DLManagedTensor>(tensor); }

DLManagedTensorVersioned* to_dlpack_versioned(const Tensor& tensor) {
  DLManagedTensorVersioned* managed = exported<DLManagedTensorVersioned>(tensor);
  managed->version = {kMajorVersion, kMinorVersion};
  return managed;
}

Tensor from_dlpack(DLManagedTensor* managed) {
  if (!managed) fail(kFrom, "got a null pointer");
  return adopted(managed);
}

Tensor from_dlpack(DLManagedTensorVersioned* managed) {
  if (!managed) fail(kFrom, "got a null pointer");
  const bool is_known = managed->version.major == kMajorVersion;
  if (!is_known || managed->flags & kReadOnly) {
    const DLPackVersion version = managed->version;
    release<DLManagedTensorVersioned>(managed);
    if (!is_known)
      fail(kFrom, "version ", version.major, ".", version.minor, ", expected ", kMajorVersion);
    fail(kFrom, "a read-only tensor: Ebb has only tensors that can be written, so copy it first");
  }
  return adopted(managed);
}

}  // namespace ebb
