// Finds the shared memory of all kernels. __shared__ puts it into separate sections (.noinit and
// .noinit.NAME), which are listed in the headers of the program and of the libraries that it has
// loaded.
#include <elf.h>
#include <link.h>

#include <cstring>
#include <fstream>
#include <memory>
#include <string_view>
#include <vector>

#include "runtime.h"

namespace ebb::emulation {
namespace {

struct Range {
  std::byte* begin;
  std::size_t bytes;
};

int add_module(dl_phdr_info* info, std::size_t, void* ranges) {
  const bool program = info->dlpi_name == nullptr || *info->dlpi_name == '\0';
  std::ifstream file(program ? "/proc/self/exe" : info->dlpi_name, std::ios::binary);
  const auto read = [&](std::size_t at, void* to, std::size_t bytes) {
    return bytes > 0 && file.seekg(static_cast<std::streamoff>(at)) &&
           file.read(static_cast<char*>(to), static_cast<std::streamsize>(bytes));
  };
  ElfW(Ehdr) header;
  if (!read(0, &header, sizeof(header)) || header.e_shnum == 0)
    return 0;  // the page of the operating system's kernel has no file
  std::vector<ElfW(Shdr)> sections(header.e_shnum);
  if (!read(header.e_shoff, sections.data(), sections.size() * sizeof(sections[0]))) return 0;
  const ElfW(Shdr)& strings = sections[header.e_shstrndx];
  std::vector<char> names(strings.sh_size);
  if (!read(strings.sh_offset, names.data(), names.size())) return 0;
  for (const auto& section : sections) {
    if (!std::string_view(names.data() + section.sh_name).starts_with(".noinit") ||
        section.sh_size == 0)
      continue;
    auto* const begin = reinterpret_cast<std::byte*>(info->dlpi_addr + section.sh_addr);
    static_cast<std::vector<Range>*>(ranges)->push_back({begin, section.sh_size});
  }
  return 0;
}

// Allocated anew for each grid, so that AddressSanitizer reports an access beyond its end.
std::unique_ptr<std::byte[]> dynamic;
std::size_t dynamic_bytes = 0;

}  // namespace

void resize_dynamic_shared_memory(std::size_t bytes) {
  dynamic.reset(bytes == 0 ? nullptr : new std::byte[bytes]);
  dynamic_bytes = bytes;
}

void* dynamic_shared_memory() { return dynamic.get(); }

// Also fills AddressSanitizer's guards between the variables. memset would report these, so it is
// not used.
void forget_shared_memory() {
  static const std::vector<Range> all = [] {
    std::vector<Range> ranges;
    dl_iterate_phdr(add_module, &ranges);
    return ranges;
  }();
  if (dynamic_bytes != 0) std::memset(dynamic.get(), 0xff, dynamic_bytes);
  for (const Range& range : all) {
#if defined(__SANITIZE_ADDRESS__)
    [&]() __attribute__((no_sanitize("address"))) {
      for (std::size_t i = 0; i < range.bytes; ++i)
        const_cast<volatile std::byte&>(range.begin[i]) = std::byte{0xff};
    }
    ();
#else
    std::memset(range.begin, 0xff, range.bytes);
#endif
  }
}

}  // namespace ebb::emulation
