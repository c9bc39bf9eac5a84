// GzFile: reads a file, plain or compressed with gzip, as a stream of bytes. For the readers of this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ebb::data {

class GzFile {
 public:
  /// Opens a regular file to read. op names the reader in the errors. most: the bytes that may be read of it, unpacked.
  /// Throws Error when it cannot be opened or is not a regular file.
  GzFile(std::string_view op, const std::string& path, int64_t most);
  ~GzFile();
  GzFile(const GzFile&) = delete;
  GzFile& operator=(const GzFile&) = delete;

  /// Reads up to n bytes; fewer only at the end of the file. Throws Error when the file is damaged, and when it holds more
  /// than `most` bytes: the message names the option max_bytes.
  size_t read(void* to, size_t n);

  /// Returns the bytes of the file as it is on the disk.
  int64_t size_on_disk() const { return size_; }
  /// Returns the bytes that were read so far, unpacked.
  int64_t bytes_read() const { return done_; }
  /// Returns true when the file is compressed.
  bool is_compressed() const;

 private:
  std::string op_, path_;
  int64_t most_, size_ = 0, done_ = 0;
  void* file_;  // zlib's gzFile
};

}  // namespace ebb::data
