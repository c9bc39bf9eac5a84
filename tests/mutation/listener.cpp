// Writes one line per test to the file that EBB_REACHED names: the name, the seconds, and the
// numbers of the mutants that it reaches, with "forks" in front if it starts a process, whose
// mutants are not known. scripts/mutate copies this file into each test program. The parity runner
// has no tests, so it writes one line.
#include "ebb/core/mutant.h"

#include <pthread.h>

#include <chrono>
#include <cstdio>
#include <cstring>

#if __has_include("mutation_gtest.h")
#include <gtest/gtest.h>
#endif

namespace {

using Clock = std::chrono::steady_clock;
bool forked = false;
const bool watched = (pthread_atfork(nullptr, [] { forked = true; }, nullptr), true);

void write_line(const char* name, double seconds) {
  const char* path = std::getenv("EBB_REACHED");
  if (!path) return;
  std::FILE* file = std::fopen(path, "a");
  std::fprintf(file, "%s\t%.6f\t%s", name, seconds, forked ? "forks " : "");
  for (int i = 0; i < ebb::mutation::kMost; ++i) {
    if (ebb::mutation::reached[i]) std::fprintf(file, "%d ", i);
  }
  std::fprintf(file, "\n");
  std::fclose(file);
}

#if __has_include("mutation_gtest.h")
class Listener : public testing::EmptyTestEventListener {
  void OnTestStart(const testing::TestInfo&) override {
    std::memset(ebb::mutation::reached, 0, sizeof(ebb::mutation::reached));
    forked = false;
    start_ = Clock::now();
  }
  void OnTestEnd(const testing::TestInfo& info) override {
    const std::string name = std::string(info.test_suite_name()) + "." + info.name();
    write_line(name.c_str(), std::chrono::duration<double>(Clock::now() - start_).count());
  }
  Clock::time_point start_;
};
const bool added = (testing::UnitTest::GetInstance()->listeners().Append(new Listener), true);
#else
const Clock::time_point start = Clock::now();
const bool added =
    (std::atexit(
         [] { write_line("all", std::chrono::duration<double>(Clock::now() - start).count()); }),
     true);
#endif

}  // namespace
