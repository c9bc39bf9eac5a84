// Operations on files and folders that check every step and survive a crash. For the readers and
// writers of nn/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace ebb::detail {

/// Opens a regular file for reading and returns its handle. Throws Error for folders, devices and
/// FIFOs, without waiting for them.
int open_regular(std::string_view op, const std::string& path);

/// An open file. op is the name of the caller in errors. All members throw Error that names the
/// path.
class File {
 public:
  /// Opens a regular file, as open_regular() does.
  static File open_to_read(std::string_view op, const std::string& path);

  /// Creates a work file of Ebb, or truncates the one that a killed process left, and locks it
  /// while it is open.
  ///
  /// It does not follow links. Throws Error if path is a symbolic link, has a second name, or is
  /// not a regular file, or if another process or thread has locked it. On file systems without
  /// locks it works without a lock.
  static File claim(std::string_view op, const std::string& path);

  File(File&& other) noexcept;
  File& operator=(File&&) = delete;
  /// Closes the file, which releases the lock.
  ~File();

  /// Returns the size in bytes.
  int64_t size() const;
  /// Moves to a position in bytes from the start.
  void seek(int64_t position);
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

/// A lock that one process at a time holds. It is a file that exists while the lock is held.
class FileLock {
 public:
  /// Takes the lock. Throws Error if it is held: "what: another process or thread is saving there".
  FileLock(std::string_view op, const std::string& path, const std::string& what);
  /// Releases the lock and removes the file. In a forked child it does neither.
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

/// Renames a file or folder over another one, in one atomic step.
void rename_path(std::string_view op, const std::string& from, const std::string& to);

/// Replaces the folder `target`, which need not exist, by `fresh`, and syncs the folder above. The
/// previous folder is at `fresh` afterwards (exchanged in one step). If the file system cannot
/// exchange, or may_exchange is false, the previous folder is at `old` afterwards, and `target` is
/// missing between the two renames.
///
/// Throws Error if a rename fails; `target` has then not changed. Also throws Error if the folder
/// above cannot be synced; the new folder is then in place and may be lost in a power failure, as
/// the message says.
void replace_folder(std::string_view op, const std::string& fresh, const std::string& target,
                    const std::string& old, bool may_exchange = true);

/// Notes the folder at a path, to detect that another folder replaces it.
class FolderWatch {
 public:
  explicit FolderWatch(const std::string& folder);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  /// Returns true while the path refers to the same folder, and false if it referred to none at the
  /// start.
  bool unchanged() const;

 private:
  std::string folder_;
  int handle_;
};

/// Returns the folder of a path, or "." if the path has no folder.
std::string parent_of(const std::string& path);

/// Returns the path of a hidden work file or folder for `path`, in the same folder:
/// "runs/.x.ebb-new" for "runs/x" and "new".
std::string work_path(const std::string& path, std::string_view purpose);

/// Writes a file in one step: calls write with a work file in the same folder, syncs it, renames it
/// over path, and syncs the folder. If write throws, or a step fails, the old file is untouched and
/// the work file is removed. Only if the folder cannot be synced is the new file in place.
void replace_file(std::string_view op, const std::string& path,
                  const std::function<void(File&)>& write);

}  // namespace ebb::detail
