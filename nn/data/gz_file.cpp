#include "ebb/nn/data/gz_file.h"

#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ebb/core/error.h"

namespace ebb::data {

GzFile::GzFile(std::string_view op, const std::string& path) : op_(op), path_(path) {
  errno = 0;
  file_ = gzopen(path.c_str(), "rb");
  if (!file_) fail(op, path, ": ", errno ? std::strerror(errno) : "out of memory");
  gzbuffer(static_cast<gzFile>(file_), 1 << 17);
}

GzFile::~GzFile() { gzclose_r(static_cast<gzFile>(file_)); }

size_t GzFile::read(void* to, size_t n) {
  constexpr size_t kMost = size_t{1} << 30;  // gzread counts in int
  auto file = static_cast<gzFile>(file_);
  size_t done = 0;
  while (done < n) {
    errno = 0;
    const int got = gzread(file, static_cast<char*>(to) + done,
                           static_cast<unsigned>(std::min(n - done, kMost)));
    if (got > 0) done += static_cast<size_t>(got);
    int code = Z_OK;
    const char* text = gzerror(file, &code);
    if (code == Z_BUF_ERROR) fail(op_, path_, ": the compressed data is truncated");
    if (code == Z_ERRNO) fail(op_, path_, ": ", std::strerror(errno));
    if (got < 0 || code != Z_OK) fail(op_, path_, ": the compressed data is damaged (", text, ")");
    if (got == 0) break;
  }
  return done;
}

size_t GzFile::append(std::string& to, size_t n) {
  size_t done = 0;
  while (done < n) {
    const size_t before = to.size();
    const size_t chunk = std::min(n - done, std::max(size_t{1} << 16, before));
    to.resize(before + chunk);
    const size_t got = read(to.data() + before, chunk);
    to.resize(before + got);
    done += got;
    if (got < chunk) break;
  }
  return done;
}

}  // namespace ebb::data
