#include "ebb/nn/serialize/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "ebb/core/error.h"

namespace ebb::detail {
namespace {
// The most bytes per call, which some systems limit.
constexpr size_t kMost = size_t{1} << 30;

// Repeats a system call that a signal interrupts.
template <class Call> auto retrying(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

int open_retrying(const std::string& path, int flags) {
  return retrying([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0666); });
}

int stat_of(int handle, struct stat& status) {
  return retrying([&] { return ::fstat(handle, &status); });
}

// Reads the properties of the path itself, also if it is a symbolic link.
int stat_of(const std::string& path, struct stat& status) {
  return retrying([&] { return ::lstat(path.c_str(), &status); });
}

// Exchanges two existing paths in one step. Returns false if the system or the file system cannot
// do that.
bool exchange_paths(std::string_view op, const std::string& a, const std::string& b) {
#ifdef SYS_renameat2
  constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE of <linux/fs.h>
  const auto exchange = [&] {
    return ::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), kExchange);
  };
  if (retrying(exchange) == 0) return true;
  if (errno != ENOSYS && errno != EINVAL)
    fail(op, "cannot exchange ", a, " and ", b, ": ", std::strerror(errno));
#endif
  return false;
}
// Opens path for one owner. Returns -1 if another process or thread has locked it.
int claim_handle(std::string_view op, const std::string& path) {
  for (;;) {
    // Does not wait for the other end of a FIFO. A link is an error (ELOOP).
    const int handle = open_retrying(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK);
    if (handle < 0) {
      if (errno == ELOOP) fail(op, path, " is a symbolic link: links are not followed here");
      fail(op, "cannot write to ", path, ": ", std::strerror(errno));
    }
    struct stat held, now;
    if (stat_of(handle, held) != 0 || !S_ISREG(held.st_mode) || held.st_nlink > 1) {
      ::close(handle);
      fail(op, path, " is not a regular file of its own");
    }
    const auto lock = [&] { return ::flock(handle, LOCK_EX | LOCK_NB); };
    if (retrying(lock) != 0 && errno == EWOULDBLOCK) {
      ::close(handle);
      return -1;
    }
    // Other errors mean a file system without locks. The file may have been renamed or removed
    // before it was locked, so it is opened again.
    if (stat_of(path, now) == 0 && now.st_dev == held.st_dev && now.st_ino == held.st_ino)
      return handle;
    ::close(handle);
  }
}

int sync_retrying(int handle) {
  if (retrying([&] { return ::fsync(handle); }) == 0) return 0;
  return errno == EINVAL ? 0 : errno;  // EINVAL: nothing to sync on this file system
}

constexpr std::string_view kTaken = ": another process or thread is saving there";
}  // namespace

int open_regular(std::string_view op, const std::string& path) {
  const int handle = open_retrying(path, O_RDONLY | O_NONBLOCK);
  if (handle < 0) fail(op, path, ": ", std::strerror(errno));
  struct stat status;
  if (stat_of(handle, status) != 0 || !S_ISREG(status.st_mode)) {
    ::close(handle);
    fail(op, path, " is not a regular file");
  }
  return handle;
}

File::File(std::string_view op, const std::string& path, int handle)
    : op_(op), path_(path), handle_(handle) {}

File::File(File&& other) noexcept
    : op_(std::move(other.op_)),
      path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, -1)) {}

File::~File() {
  if (handle_ >= 0) ::close(handle_);
}

File File::open_to_read(std::string_view op, const std::string& path) {
  return File(op, path, open_regular(op, path));
}

File File::claim(std::string_view op, const std::string& path) {
  File file(op, path, claim_handle(op, path));
  if (file.handle_ < 0) fail(op, path, kTaken);
  if (retrying([&] { return ::ftruncate(file.handle_, 0); }) != 0) file.fail_here();
  return file;
}

void File::fail_here() const { fail(op_, path_, ": ", std::strerror(errno)); }

int64_t File::size() const {
  struct stat status;
  if (stat_of(handle_, status) != 0) fail_here();
  return status.st_size;
}

void File::seek(int64_t position) {
  if (::lseek(handle_, position, SEEK_SET) < 0) fail_here();
}

void File::read(void* to, size_t n) {
  auto* next = static_cast<char*>(to);
  while (n > 0) {
    const ssize_t got = ::read(handle_, next, std::min(n, kMost));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail_here();
    if (got == 0) fail(op_, path_, " is truncated: ", n, " bytes are missing");
    next += got;
    n -= static_cast<size_t>(got);
  }
}

void File::write(const void* from, size_t n) {
  auto* next = static_cast<const char*>(from);
  while (n > 0) {
    const ssize_t put = ::write(handle_, next, std::min(n, kMost));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) fail_here();
    next += put;
    n -= static_cast<size_t>(put);
  }
}

void File::sync() {
  errno = sync_retrying(handle_);
  if (errno != 0) fail_here();
}

FileLock::FileLock(std::string_view op, const std::string& path, const std::string& what)
    : path_(path), handle_(claim_handle(op, path)), process_(::getpid()) {
  if (handle_ < 0) fail(op, what, kTaken);
}

FileLock::~FileLock() {
  if (::getpid() == process_) {
    // Another process that has opened the file finds that its name is missing, and creates a new
    // one.
    retrying([&] { return ::unlink(path_.c_str()); });
    retrying([&] { return ::flock(handle_, LOCK_UN); });
  }
  ::close(handle_);
}

void sync_folder(std::string_view op, const std::string& folder) {
  const int handle = open_retrying(folder, O_RDONLY | O_DIRECTORY);
  if (handle < 0) fail(op, folder, ": ", std::strerror(errno));
  const int code = sync_retrying(handle);
  ::close(handle);
  if (code != 0) fail(op, folder, ": ", std::strerror(code));
}

void rename_path(std::string_view op, const std::string& from, const std::string& to) {
  if (retrying([&] { return std::rename(from.c_str(), to.c_str()); }) != 0)
    fail(op, "cannot rename ", from, " to ", to, ": ", std::strerror(errno));
}

void replace_folder(std::string_view op, const std::string& fresh, const std::string& target,
                    const std::string& old, bool may_exchange) {
  struct stat there;
  if (stat_of(target, there) != 0) {
    if (errno != ENOENT) fail(op, target, ": ", std::strerror(errno));
    rename_path(op, fresh, target);
  } else if (!may_exchange || !exchange_paths(op, fresh, target)) {
    rename_path(op, target, old);
    try {
      rename_path(op, fresh, target);
    } catch (...) {
      rename_path(op, old, target);
      throw;
    }
  }
  try {
    sync_folder(op, parent_of(target));
  } catch (const Error& error) {
    throw Error(std::string(error.what()) + ": " + target +
                " is in place, but may be lost if the power fails");
  }
}

FolderWatch::FolderWatch(const std::string& folder)
    : folder_(folder), handle_(open_retrying(folder, O_RDONLY | O_DIRECTORY)) {}

FolderWatch::~FolderWatch() {
  if (handle_ >= 0) ::close(handle_);
}

// While the handle is open, the system does not give the inode number to another folder.
bool FolderWatch::unchanged() const {
  struct stat held, now;
  if (handle_ < 0 || ::fstat(handle_, &held) != 0 || ::stat(folder_.c_str(), &now) != 0)
    return false;
  return held.st_dev == now.st_dev && held.st_ino == now.st_ino;
}

std::string parent_of(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

std::string work_path(const std::string& path, std::string_view purpose) {
  const std::filesystem::path whole(path);
  std::string name = "." + whole.filename().string() + ".ebb-";
  return (whole.parent_path() / name.append(purpose)).string();
}

void replace_file(std::string_view op, const std::string& path,
                  const std::function<void(File&)>& write) {
  const std::string work = work_path(path, "partial");
  File file = File::claim(op, work);
  try {
    write(file);
    file.sync();
    rename_path(op, work, path);  // while it is still locked
  } catch (...) {
    std::error_code ignored;
    std::filesystem::remove(work, ignored);
    throw;
  }
  sync_folder(op, parent_of(path));
}

}  // namespace ebb::detail
