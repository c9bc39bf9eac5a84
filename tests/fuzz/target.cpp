#include "target.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

namespace ebb::fuzz {

InputFile::InputFile()
    : handle_(memfd_create("input", MFD_CLOEXEC)),
      path_("/proc/self/fd/" + std::to_string(handle_)) {
  if (handle_ < 0) std::abort();
}

void InputFile::write(std::string_view bytes) {
  const auto size = static_cast<ssize_t>(bytes.size());
  if (ftruncate(handle_, 0) != 0 || pwrite(handle_, bytes.data(), bytes.size(), 0) != size)
    std::abort();
}

void check_message(const Error& error) {
  const std::string_view text = error.what();
  for (char c : text) {
    if (c >= ' ' && c <= '~') continue;
    std::fprintf(stderr, "a message that is not plain text: byte %d\n", c);
    std::abort();
  }
  if (!text.starts_with('[') || text.size() > 2000) {
    std::fprintf(stderr, "not a message of Ebb: %.200s\n", error.what());
    std::abort();
  }
}

}  // namespace ebb::fuzz
