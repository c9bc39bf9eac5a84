// ZIP archives, as far as .npz files use them: entries that are stored or deflated, below 4 GB.
//
// Format: https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. Internal to npy.cpp.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "ebb/nn/serialize/file.h"

namespace ebb::detail {

/// Writes an archive to a file, from its start.
class ZipWriter {
 public:
  /// REQUIRES that path and file outlive the writer. op and path are for errors.
  ZipWriter(std::string_view op, const std::string& path, File& file)
      : op_(op), path_(path), file_(file) {}

  /// Writes an entry whose content is head followed by body.
  void add(const std::string& name, std::string_view head, std::string_view body, bool compress);
  /// Writes the directory of the archive.
  void finish();

 private:
  void check_size(uint64_t bytes) const;

  std::string_view op_;
  const std::string& path_;
  File& file_;
  std::string directory_;
  uint64_t at_ = 0;
  size_t count_ = 0;
};

/// Calls each(name, content) for every entry, in the order of the directory.
///
/// Memory is proportional to the largest entry, which is at most 1032 times its bytes in the file.
/// Throws Error for content that is not an archive with whole entries of a correct check sum.
void read_zip(std::string_view op, const std::string& path, File& file,
              const std::function<void(std::string name, std::string_view content)>& each);

}  // namespace ebb::detail
