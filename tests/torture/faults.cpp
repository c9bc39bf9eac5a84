#include "faults.h"

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <cstdlib>

namespace ebb::test {
namespace {

Plan plan;
bool active = false;
int count = 0;

// Counts a call. Returns true if it fails, with errno set.
bool fails(bool memory) {
  if (!active || plan.memory != memory) return false;
  ++count;
  // An allocation that fails is repeated after the caches have been freed, so two in a row fail.
  if (count != plan.at && !(memory && count == plan.at + 1)) return false;
  if (plan.code == 0) {
    kill(getpid(), SIGKILL);
    pause();
  }
  errno = plan.code;
  return true;
}

// The function of this name in the C library.
template <class F> F* library(F*, const char* name) {
  return reinterpret_cast<F*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

Faults::Faults(Plan p) {
  plan = p;
  count = 0;
  active = true;
}
Faults::~Faults() { active = false; }
int Faults::calls() const { return count; }

}  // namespace ebb::test

using ebb::test::fails;
using ebb::test::library;

extern "C" {

int open(const char* path, int flags, ...) {
  static const auto next = library<int(const char*, int, ...)>(nullptr, "open");
  va_list list;
  va_start(list, flags);
  const auto mode = (flags & O_CREAT) != 0 ? va_arg(list, mode_t) : mode_t{0};
  va_end(list);
  return fails(false) ? -1 : next(path, flags, mode);
}

ssize_t read(int handle, void* to, size_t n) {
  static const auto next = library(&read, "read");
  return fails(false) ? -1 : next(handle, to, n);
}

ssize_t write(int handle, const void* from, size_t n) {
  static const auto next = library(&write, "write");
  return fails(false) ? -1 : next(handle, from, n);
}

int fsync(int handle) {
  static const auto next = library(&fsync, "fsync");
  return fails(false) ? -1 : next(handle);
}

int ftruncate(int handle, off_t length) noexcept {
  static const auto next = library(&ftruncate, "ftruncate");
  return fails(false) ? -1 : next(handle, length);
}

int flock(int handle, int operation) noexcept {
  static const auto next = library(&flock, "flock");
  return fails(false) ? -1 : next(handle, operation);
}

int fstat(int handle, struct stat* status) noexcept {
  static const auto next = library<int(int, struct stat*)>(nullptr, "fstat");
  return fails(false) ? -1 : next(handle, status);
}

int lstat(const char* path, struct stat* status) noexcept {
  static const auto next = library<int(const char*, struct stat*)>(nullptr, "lstat");
  return fails(false) ? -1 : next(path, status);
}

int stat(const char* path, struct stat* status) noexcept {
  static const auto next = library<int(const char*, struct stat*)>(nullptr, "stat");
  return fails(false) ? -1 : next(path, status);
}

int rename(const char* from, const char* to) noexcept {
  static const auto next = library(&rename, "rename");
  return fails(false) ? -1 : next(from, to);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static const auto next = library(&mkdir, "mkdir");
  return fails(false) ? -1 : next(path, mode);
}

int remove(const char* path) noexcept {
  static const auto next = library(&remove, "remove");
  return fails(false) ? -1 : next(path);
}

int unlink(const char* path) noexcept {
  static const auto next = library(&unlink, "unlink");
  return fails(false) ? -1 : next(path);
}

DIR* opendir(const char* path) {
  static const auto next = library(&opendir, "opendir");
  return fails(false) ? nullptr : next(path);
}

long syscall(long number, ...) noexcept {
  static const auto next = library<long(long, ...)>(nullptr, "syscall");
  va_list list;
  va_start(list, number);
  long a[6];
  for (long& argument : a) argument = va_arg(list, long);
  va_end(list);
  if (number == SYS_renameat2 && ebb::test::active) {
    if (!ebb::test::plan.exchange) {
      errno = ENOSYS;
      return -1;
    }
    if (fails(false)) return -1;
  }
  return next(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

void* aligned_alloc(size_t alignment, size_t size) noexcept {
  static const auto next = library(&aligned_alloc, "aligned_alloc");
  return fails(true) ? nullptr : next(alignment, size);
}

}  // extern "C"
