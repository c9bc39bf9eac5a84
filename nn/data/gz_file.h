// GzFile: reads a file, plain or compressed with gzip, as a stream of bytes. For the readers of this folder.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace ebb::data {

class GzFile {
 public:
  /// Opens path to read. op names the reader in the errors. Throws Error when it cannot be opened.
  GzFile(std::string_view op, const std::string& path);
  ~GzFile();
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  /// Reads up to n bytes; fewer only at the end of the file. Throws Error when the file is damaged.
  size_t read(void* to, size_t n);
  /// Appends up to n bytes to `to` and returns how many came. Memory grows with what is there, not with what is asked.
  size_t append(std::string& to, size_t n);

 private:
  std::string op_, path_;
  void* file_;  // zlib's gzFile
};

}  // namespace ebb::data
