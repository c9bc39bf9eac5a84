#include "ebb/nn/serialize/file.h"

#include <fcntl.h>
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
// Some systems take no more in one call.
constexpr size_t kMost = size_t{1} << 30;

int open_retrying(const std::string& path, int flags) {
  int handle;
  do handle = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
  while (handle < 0 && errno == EINTR);
  return handle;
}

// Swaps two paths that both exist, in one step. False when the system or the file system cannot do it.
bool exchange_paths(std::string_view op, const std::string& a, const std::string& b) {
#ifdef SYS_renameat2
  constexpr unsigned kExchange = 2;  // RENAME_EXCHANGE of <linux/fs.h>
  if (::syscall(SYS_renameat2, AT_FDCWD, a.c_str(), AT_FDCWD, b.c_str(), kExchange) == 0)
    return true;
  if (errno != ENOSYS && errno != EINVAL)
    fail(op, "cannot exchange ", a, " and ", b, ": ", std::strerror(errno));
#endif
  return false;
}
}  // namespace

File::File(std::string_view op, const std::string& path, int flags)
    : op_(op), path_(path), handle_(open_retrying(path, flags)) {
  if (handle_ < 0) fail_here();
}

File::File(File&& other) noexcept
    : op_(std::move(other.op_)),
      path_(std::move(other.path_)),
      handle_(std::exchange(other.handle_, -1)) {}

File::~File() {
  if (handle_ >= 0) ::close(handle_);
}

File File::open_to_read(std::string_view op, const std::string& path) {
  return File(op, path, O_RDONLY);
}

File File::create(std::string_view op, const std::string& path) {
  return File(op, path, O_WRONLY | O_CREAT | O_TRUNC);
}

void File::fail_here() const { fail(op_, path_, ": ", std::strerror(errno)); }

int64_t File::size() const {
  struct stat status;
  if (::fstat(handle_, &status) != 0) fail_here();
  if (!S_ISREG(status.st_mode)) fail(op_, path_, " is not a regular file");
  return status.st_size;
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

void File::sync_and_close() {
  if (::fsync(handle_) != 0 && errno != EINVAL)
    fail_here();  // EINVAL: a pipe or device, nothing to sync
  if (::close(std::exchange(handle_, -1)) != 0) fail_here();
}

void sync_folder(std::string_view op, const std::string& folder) {
  const int handle = open_retrying(folder, O_RDONLY | O_DIRECTORY);
  if (handle < 0) fail(op, folder, ": ", std::strerror(errno));
  const int code = ::fsync(handle) == 0 ? 0 : errno;
  ::close(handle);
  if (code != 0 && code != EINVAL)
    fail(op, folder, ": ", std::strerror(code));  // EINVAL: not on this file system
}

void rename_path(std::string_view op, const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0)
    fail(op, "cannot rename ", from, " to ", to, ": ", std::strerror(errno));
}

void replace_folder(std::string_view op, const std::string& fresh, const std::string& target,
                    const std::string& old, bool may_exchange) {
  if (!std::filesystem::exists(target)) {
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
  sync_folder(op, parent_of(target));
}

FolderWatch::FolderWatch(const std::string& folder)
    : folder_(folder), handle_(open_retrying(folder, O_RDONLY | O_DIRECTORY)) {}

FolderWatch::~FolderWatch() {
  if (handle_ >= 0) ::close(handle_);
}

// The open handle keeps the number of the folder from being given to another one.
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

}  // namespace ebb::detail
