// Files and folders whose every step is checked and that survive a crash. For this folder's code alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ebb::detail {

/// An open file. op names the caller in the errors; all members throw Error naming the path.
class File {
 public:
  static File open_to_read(std::string_view op, const std::string& path);
  /// Creates the file or empties it.
  static File create(std::string_view op, const std::string& path);
  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  ~File();

  /// Bytes of a regular file. Throws Error for anything else.
  int64_t size() const;
  /// Reads exactly n bytes.
  void read(void* to, size_t n);
  /// Writes exactly n bytes.
  void write(const void* from, size_t n);
  /// Waits until the bytes are on the disk, then closes.
  void sync_and_close();

 private:
  File(std::string_view op, const std::string& path, int flags);
  [[noreturn]] void fail_here() const;

  std::string op_, path_;
  int handle_;
};

/// Waits until the names in a folder are on the disk.
void sync_folder(std::string_view op, const std::string& folder);

/// Renames a file or folder over another one, in one step that cannot be seen half done.
void rename_path(std::string_view op, const std::string& from, const std::string& to);

/// Puts the folder `fresh` in the place of `target`, which need not exist, and syncs the folder above. What was there
/// lies at `fresh` afterwards (exchanged in one step), or at `old` where the file system cannot exchange or
/// may_exchange is false: between the two renames `target` is missing then. When it throws, `target` is what it was.
void replace_folder(std::string_view op, const std::string& fresh, const std::string& target,
                    const std::string& old, bool may_exchange = true);

/// Remembers which folder lies at a path, so that one can tell whether another has taken its place.
class FolderWatch {
 public:
  explicit FolderWatch(const std::string& folder);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  /// True while the path leads to the same folder; false when it led to none from the start.
  bool unchanged() const;

 private:
  std::string folder_;
  int handle_;
};

/// The folder that a path lies in; "." when it names none.
std::string parent_of(const std::string& path);

}  // namespace ebb::detail
