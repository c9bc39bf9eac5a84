#include "ebb/nn/serialize/safetensors.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/file.h"
#include "ebb/nn/serialize/safetensors_header.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb {
namespace {

using detail::SafeTensorsHeader;
using detail::shown;
using detail::TensorEntry;

static_assert(std::endian::native == std::endian::little, "safetensors files are little-endian");

constexpr std::string_view kSave = "save_safetensors", kLoad = "load_safetensors";
constexpr uint64_t kMostHeader = 100'000'000;  // the limit of the reference implementation

// ---- writing ----

void check_tensors(const std::string& path, const NamedTensors& tensors) {
  std::set<std::string_view> names;
  if (tensors.size() > detail::kMostNames)
    fail(kSave, path, ": ", tensors.size(), " tensors, more than ", detail::kMostNames);
  for (const auto& [name, tensor] : tensors) {
    if (!tensor.defined()) fail(kSave, path, ": tensor ", shown(name), " is undefined");
    if (name == detail::kMetadataKey) fail(kSave, path, ": a tensor cannot have the name ", name);
    if (!names.insert(name).second) fail(kSave, path, ": the name ", shown(name), " comes twice");
  }
}

// Returns the order of the elements in the file: large ones first, so that all are aligned without
// gaps.
std::vector<size_t> choose_layout(const NamedTensors& tensors) {
  std::vector<size_t> layout(tensors.size());
  for (size_t i = 0; i < layout.size(); ++i) layout[i] = i;
  std::stable_sort(layout.begin(), layout.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].second.dtype()) > size_of(tensors[b].second.dtype());
  });
  return layout;
}

// Returns the header with its length in front, padded with blanks so that the elements start at a
// multiple of 8.
std::string header_bytes(const std::string& path, const NamedTensors& tensors,
                         const Metadata& metadata, const std::vector<size_t>& layout) {
  SafeTensorsHeader header{std::vector<TensorEntry>(tensors.size()), metadata};
  uint64_t end = 0;
  for (size_t i : layout) {
    const auto& [name, tensor] = tensors[i];
    const uint64_t begin = end;
    end += static_cast<uint64_t>(tensor.numel()) * size_of(tensor.dtype());
    header.entries[i] = {name, &detail::element_type(tensor.dtype()), tensor.shape(), begin, end};
  }
  std::string bytes = std::string(8, '\0') + detail::print_header(path, header);
  bytes.resize((bytes.size() + 7) / 8 * 8, ' ');
  const uint64_t length = bytes.size() - 8;
  if (length > kMostHeader)
    fail(kSave, path, ": a header of ", length, " bytes, more than ", kMostHeader);
  std::memcpy(bytes.data(), &length, 8);
  return bytes;
}

void write_file(const std::string& path, const std::string& header, const NamedTensors& tensors,
                const std::vector<size_t>& layout) {
  detail::replace_file(kSave, path, [&](detail::File& file) {
    file.write(header.data(), header.size());
    const NoGrad guard;
    for (size_t i : layout) {
      const Tensor packed = tensors[i].second.detach().to(Device::cpu()).contiguous();
      file.write(packed.raw(), static_cast<size_t>(packed.numel()) * size_of(packed.dtype()));
    }
  });
}

// ---- reading ----

std::string read_header(detail::File& file, const std::string& path, uint64_t file_size) {
  if (file_size < 8)
    fail(kLoad, path, " is truncated: ", file_size, " bytes, less than the length of a header");
  uint64_t length = 0;
  file.read(&length, 8);
  if (length > kMostHeader)
    fail(kLoad, path, ": a header of ", length, " bytes, more than ", kMostHeader);
  if (length > file_size - 8) {
    fail(kLoad, path, " is truncated: a header of ", length, " bytes in a file of ", file_size);
  }
  std::string text(length, '\0');
  file.read(text.data(), text.size());
  return text;
}

// Returns the order of the tensors in the file. Throws Error unless they fill the data exactly,
// without overlap, gap or rest.
std::vector<size_t> check_layout(const std::string& path, const std::vector<TensorEntry>& entries,
                                 uint64_t data_size) {
  std::vector<size_t> layout(entries.size());
  for (size_t i = 0; i < layout.size(); ++i) layout[i] = i;
  std::sort(layout.begin(), layout.end(), [&](size_t a, size_t b) {
    return std::pair(entries[a].begin, entries[a].end) <
           std::pair(entries[b].begin, entries[b].end);
  });
  uint64_t end = 0;
  for (size_t i : layout) {
    const TensorEntry& entry = entries[i];
    if (entry.begin != end) {
      fail(kLoad, path, ": tensor ", shown(entry.name),
           entry.begin < end ? " overlaps the one" : " leaves a hole", " before it: it begins at ",
           entry.begin, ", expected ", end);
    }
    if (entry.end > data_size) {
      fail(kLoad, path, " is truncated: tensor ", shown(entry.name), " ends at ", entry.end, " of ",
           data_size, " bytes of data");
    }
    end = entry.end;
  }
  if (end != data_size)
    fail(kLoad, path, " goes on after its last tensor: ", data_size - end, " bytes");
  return layout;
}

Tensor read_tensor(detail::File& file, const std::string& path, const TensorEntry& entry) {
  return detail::read_elements(kLoad, path + ": tensor " + shown(entry.name) + ": ", *entry.type,
                               entry.shape, [&](void* to, size_t n) { file.read(to, n); });
}

}  // namespace

const Tensor* SafeTensors::find(std::string_view name) const {
  for (const auto& [key, tensor] : tensors) {
    if (key == name) return &tensor;
  }
  return nullptr;
}

void save_safetensors(const std::string& path, const NamedTensors& tensors,
                      const Metadata& metadata) {
  check_tensors(path, tensors);
  const std::vector<size_t> layout = choose_layout(tensors);
  const std::string header = header_bytes(path, tensors, metadata, layout);
  write_file(path, header, tensors, layout);
}

SafeTensors load_safetensors(const std::string& path) {
  detail::File file = detail::File::open_to_read(kLoad, path);
  const auto file_size = static_cast<uint64_t>(file.size());
  const std::string text = read_header(file, path, file_size);
  SafeTensorsHeader header = detail::parse_header(path, text);
  const std::vector<size_t> layout =
      check_layout(path, header.entries, file_size - 8 - text.size());

  SafeTensors result{NamedTensors(header.entries.size()), std::move(header.metadata)};
  for (size_t i : layout) {  // in the order of the file
    result.tensors[i] = {header.entries[i].name, read_tensor(file, path, header.entries[i])};
  }
  return result;
}

}  // namespace ebb
