#include "ebb/nn/serialize/npy.h"

#include <cstring>
#include <set>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/file.h"
#include "ebb/nn/serialize/npy_header.h"
#include "ebb/nn/serialize/shown.h"
#include "ebb/nn/serialize/zip.h"

namespace ebb {
namespace {

using detail::File;
using detail::shown;

constexpr std::string_view kEnding = ".npy";

Tensor packed(std::string_view op, const Tensor& tensor) {
  check_defined(op, tensor);
  const NoGrad guard;
  return tensor.detach().to(Device::cpu()).contiguous();
}

std::string_view elements_of(const Tensor& tensor) {
  return {reinterpret_cast<const char*>(tensor.raw()),
          static_cast<size_t>(tensor.numel()) * size_of(tensor.dtype())};
}

// Reads an array from `size` bytes, which `read` hands out in order.
Tensor read_array(std::string_view op, const std::string& what, uint64_t size,
                  const std::function<void(void*, size_t)>& read) {
  constexpr uint64_t kMostHeader = 1 << 20;
  unsigned char prefix[12] = {};
  const auto truncated = [&](const char* part) {
    fail(op, what, "truncated: ", size, " bytes, less than ", part);
  };
  if (size < 10) truncated("the start of a header");
  read(prefix, 10);
  if (std::memcmp(prefix, "\x93NUMPY", 6) != 0) fail(op, what, "not a .npy file");
  const int version = prefix[6];
  if (version < 1 || version > 3 || prefix[7] != 0)
    fail(op, what, "version ", version, ".", int{prefix[7]}, ", expected 1.0, 2.0 or 3.0");
  uint64_t length = prefix[8] | prefix[9] << 8, start = 10;
  if (version > 1) {
    if (size < 12) truncated("the start of a header");
    read(prefix + 10, 2);
    length |= static_cast<uint64_t>(prefix[10]) << 16 | static_cast<uint64_t>(prefix[11]) << 24;
    start = 12;
  }
  if (length > kMostHeader)
    fail(op, what, "a header of ", length, " bytes, more than ", kMostHeader);
  if (length > size - start) truncated("its header");
  std::string text(length, '\0');
  read(text.data(), text.size());
  const detail::NpyHeader header = detail::parse_npy_header(op, what, text);

  const uint64_t data = size - start - length;
  const uint64_t bytes = static_cast<uint64_t>(header.shape.numel(op)) * header.type->bytes;
  if (bytes != data) {
    fail(op, what, bytes > data ? "truncated: " : "too long: ", data,
         " bytes of elements, expected ", bytes, " for ", header.type->name, " ", header.shape);
  }
  const auto load = [&](const Shape& shape) {
    return detail::read_elements(op, what, *header.type, shape, read, header.swapped);
  };
  if (!header.fortran_order || header.shape.dim() < 2) return load(header.shape);
  // Column-major: the transpose of a row-major array of the reversed shape.
  const NoGrad guard;
  Shape reversed = header.shape, strides = header.shape;
  const int n = header.shape.dim();
  for (int i = 0; i < n; ++i) reversed[i] = header.shape[n - 1 - i];
  const Tensor columns = load(reversed);
  for (int i = 0; i < n; ++i) strides[i] = columns.strides()[n - 1 - i];
  return make_view(columns, header.shape, strides).contiguous();
}

}  // namespace

void save_npy(const std::string& path, const Tensor& tensor) {
  const Tensor dense = packed("save_npy", tensor);
  const std::string header = detail::print_npy_header(dense.dtype(), dense.shape());
  detail::replace_file("save_npy", path, [&](File& file) {
    file.write(header.data(), header.size());
    file.write(elements_of(dense).data(), elements_of(dense).size());
  });
}

Tensor load_npy(const std::string& path) {
  File file = File::open_to_read("load_npy", path);
  return read_array("load_npy", path + ": ", static_cast<uint64_t>(file.size()),
                    [&](void* to, size_t n) { file.read(to, n); });
}

void save_npz(const std::string& path, const NamedTensors& tensors, NpzOptions options) {
  constexpr std::string_view kSave = "save_npz";
  std::set<std::string_view> names;
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) fail(kSave, path, ": tensor ", shown(name), " is undefined");
    if (name.empty()) fail(kSave, path, ": a tensor has no name");
    if (!detail::is_utf8(name)) fail(kSave, path, ": the name ", shown(name), " is not UTF-8");
    if (!names.insert(name).second) fail(kSave, path, ": the name ", shown(name), " comes twice");
  }
  detail::replace_file(kSave, path, [&](File& file) {
    detail::ZipWriter zip(kSave, path, file);
    for (const auto& [name, tensor] : tensors) {
      const Tensor dense = packed(kSave, tensor);
      zip.add(name + std::string(kEnding), detail::print_npy_header(dense.dtype(), dense.shape()),
              elements_of(dense), options.compressed);
    }
    zip.finish();
  });
}

NamedTensors load_npz(const std::string& path) {
  constexpr std::string_view kLoad = "load_npz";
  File file = File::open_to_read(kLoad, path);
  NamedTensors result;
  std::set<std::string> names;
  detail::read_zip(kLoad, path, file, [&](std::string name, std::string_view content) {
    const std::string what = path + ": array " + shown(name) + ": ";
    size_t at = 0;
    Tensor tensor = read_array(kLoad, what, content.size(), [&](void* to, size_t n) {
      std::memcpy(to, content.data() + at, n);
      at += n;
    });
    if (name.ends_with(kEnding)) name.resize(name.size() - kEnding.size());
    if (!names.insert(name).second) fail(kLoad, path, ": the name ", shown(name), " comes twice");
    result.emplace_back(std::move(name), std::move(tensor));
  });
  return result;
}

}  // namespace ebb
