#include "ebb/nn/data/gz_file.h"

#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "ebb/core/error.h"
#include "ebb/nn/serialize/file.h"

namespace ebb::data {

GzFile::GzFile(std::string_view op, const std::string& path, int64_t most)
    : op_(op), path_(path), most_(most) {
  const int handle = detail::open_regular(op, path);
  struct stat status;
  if (::fstat(handle, &status) == 0) size_ = status.st_size;
  file_ = gzdopen(handle, "rb");
  if (!file_) {
    ::close(handle);
    fail(op, path, ": out of memory");
  }
  gzbuffer(static_cast<gzFile>(file_), 1 << 17);
}

GzFile::~GzFile() { gzclose_r(static_cast<gzFile>(file_)); }

bool GzFile::is_compressed() const { return gzdirect(static_cast<gzFile>(file_)) == 0; }

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
    if (code == Z_ERRNO && errno == EINTR) {
      gzclearerr(file);
      continue;
    }
    if (code == Z_BUF_ERROR) fail(op_, path_, ": the compressed data is truncated");
    if (code == Z_ERRNO) fail(op_, path_, ": ", std::strerror(errno));
    if (got < 0 || code != Z_OK) fail(op_, path_, ": the compressed data is damaged (", text, ")");
    if (got == 0) break;
  }
  done_ += static_cast<int64_t>(done);
  if (done_ > most_) {
    fail(op_, path_, ": more than ", most_, " bytes", is_compressed() ? " unpacked" : "",
         ": raise the option max_bytes to read it");
  }
  return done;
}

}  // namespace ebb::data
