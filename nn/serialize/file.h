// Files and folders whose every step is checked and that survive a crash. For the readers and writers of nn/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace ebb::detail {

/// Opens a regular file to read and returns its handle. Throws Error for anything else: a folder, a device, a FIFO, which is
/// not waited for.
int open_regular(std::string_view op, const std::string& path);

/// An open file. op names the caller in the errors; all members throw Error naming the path.
class File {
 public:
  /// Opens a regular file, as open_regular().
  static File open_to_read(std::string_view op, const std::string& path);

  /// Creates a work file of Ebb's, or empties the one that a killed process left, and locks it while it is open.
  ///
  /// Links are never followed: throws Error when path is a symbolic link, has a second name, or is not a regular file; and
  /// when another process or thread holds it. File systems without locks are taken without.
  static File claim(std::string_view op, const std::string& path);

  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  /// Closes the file, which gives the lock back.
  ~File();

  /// Returns the size in bytes.
  int64_t size() const;
  /// Reads exactly n bytes.
  void read(void* to, size_t n);
  /// Writes exactly n bytes.
  void write(const void* from, size_t n);
  /// Waits until the bytes are on the disk.
  void sync();

 private:
  File(std::string_view op, const std::string& path, int handle);
  [[noreturn]] void fail_here() const;

  std::string op_, path_;
  int handle_;
};

/// A lock that one process at a time holds, as a file that exists meanwhile.
class FileLock {
 public:
  /// Takes the lock. Throws Error when it is held: "what: another process or thread is saving there".
  FileLock(std::string_view op, const std::string& path, const std::string& what);
  /// Gives the lock back and removes the file; in a forked child it does neither.
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  std::string path_;
  int handle_;
  int64_t process_;
};

/// Waits until the names in a folder are on the disk.
void sync_folder(std::string_view op, const std::string& folder);

/// Renames a file or folder over another one, in one step that cannot be seen half done.
void rename_path(std::string_view op, const std::string& from, const std::string& to);

/// Puts the folder `fresh` in the place of `target`, which need not exist, and syncs the folder above. The folder that was
/// there is at `fresh` afterwards (exchanged in one step), or at `old` where the file system cannot exchange or
/// may_exchange is false: between the two renames `target` is missing then.
///
/// Throws Error when a rename fails: `target` is then what it was. When the folder above cannot be synced, the new folder
/// is in place and may be lost with the power: the Error says so.
void replace_folder(std::string_view op, const std::string& fresh, const std::string& target,
                    const std::string& old, bool may_exchange = true);

/// Remembers which folder is at a path, so that one can tell whether another has taken its place.
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

/// Returns the folder that a path is in; "." when it names none.
std::string parent_of(const std::string& path);

/// Returns the path of a hidden work file or folder for `path`, in the same folder: "runs/.x.ebb-new" for "runs/x" and "new".
std::string work_path(const std::string& path, std::string_view purpose);

}  // namespace ebb::detail
