// GzFile: reads a file, plain or compressed with gzip, as a stream of bytes. For the readers of
// this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ebb::data {

class GzFile {
 public:
  /// Opens a regular file for reading. op is the name of the reader in errors, and `most` the limit
  /// of the uncompressed bytes. Throws Error if the file cannot be opened or is not a regular file.
  GzFile(std::string_view op, const std::string& path, int64_t most);
  ~GzFile();
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  /// Reads up to n bytes, and fewer only at the end of the file. Returns their number. Throws Error
  /// if the file is damaged or has more than `most` bytes; the message names the option max_bytes.
  size_t read(void* to, size_t n);

  /// Returns the size of the file on the disk.
  int64_t size_on_disk() const { return size_; }
  /// Returns the number of uncompressed bytes that have been read.
  int64_t bytes_read() const { return done_; }
  /// Returns true if the file is compressed.
  bool is_compressed() const;

 private:
  std::string op_, path_;
  int64_t most_, size_ = 0, done_ = 0;
  void* file_;  // zlib's gzFile
};

}  // namespace ebb::data
