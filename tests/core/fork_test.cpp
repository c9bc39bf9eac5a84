// fork() while other threads use the allocator: no child may find its lock taken.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "ebb/core/memory.h"

namespace ebb {
namespace {

// Allocates and frees blocks that only the shared list can hold, so that its lock is taken most of
// the time.
void use_shared_list(int times) {
  constexpr size_t kLarge = size_t{1} << 17;
  for (int i = 0; i < times; ++i) memory::deallocate(memory::allocate(kLarge), kLarge);
}

TEST(Fork, NoChildHangsInTheAllocator) {
  std::atomic<bool> done = false;
  std::vector<std::thread> threads;
  for (int i = 0; i < 2; ++i) {
    threads.emplace_back([&] {
      while (!done) use_shared_list(100);
    });
  }
  int hung = 0;
  for (int i = 0; i < 50; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(5);  // ends a child that hangs
      use_shared_list(10);
      _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    hung += !(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    if (hung > 0) break;
  }
  done = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(hung, 0);
}

}  // namespace
}  // namespace ebb
