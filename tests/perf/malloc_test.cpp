// A warm training step allocates no memory from the system, and the memory does not grow over many
// steps.
//
// malloc and related functions are replaced for the whole process, so that calls from shared
// libraries count too. Calls from oneDNN, and from its operator new, are recognized by their return
// address.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string_view>

#include "ebb/ebb.h"

extern "C" {
void* __libc_malloc(size_t);
void* __libc_calloc(size_t, size_t);
void* __libc_realloc(void*, size_t);
void* __libc_memalign(size_t, size_t);
void __libc_free(void*);
}

namespace {

std::atomic<bool> counting{false};
std::atomic<int64_t> calls{0};

void count(const void* caller) {
  if (!counting.load(std::memory_order_relaxed)) return;
  Dl_info info;
  if (dladdr(caller, &info) &&
      std::string_view(info.dli_fname).find("dnnl") != std::string_view::npos)
    return;
  calls.fetch_add(1, std::memory_order_relaxed);
}

}  // namespace

extern "C" {
void* malloc(size_t n) { return count(__builtin_return_address(0)), __libc_malloc(n); }
void* calloc(size_t n, size_t size) {
  return count(__builtin_return_address(0)), __libc_calloc(n, size);
}
void* realloc(void* p, size_t n) {
  return count(__builtin_return_address(0)), __libc_realloc(p, n);
}
void* memalign(size_t to, size_t n) {
  return count(__builtin_return_address(0)), __libc_memalign(to, n);
}
void* aligned_alloc(size_t to, size_t n) {
  return count(__builtin_return_address(0)), __libc_memalign(to, n);
}
int posix_memalign(void** p, size_t to, size_t n) {
  count(__builtin_return_address(0));
  *p = __libc_memalign(to, n);
  return *p ? 0 : ENOMEM;
}
void free(void* p) { __libc_free(p); }
}
void* operator new(size_t n) { return count(__builtin_return_address(0)), __libc_malloc(n); }
void operator delete(void* p) noexcept { __libc_free(p); }
void operator delete(void* p, size_t) noexcept { __libc_free(p); }

namespace {

using namespace ebb;

class Training {
 public:
  enum class Rule { Sgd, Adam };
  Training(const std::vector<int64_t>& widths, int64_t batch, Rule rule)
      : x_(randn({batch, widths.front()})) {
    for (size_t i = 0; i + 1 < widths.size(); ++i) {
      model_.push_back(nn::Linear(widths[i], widths[i + 1]));
      if (i + 2 < widths.size()) model_.push_back(nn::ReLU());
    }
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < batch; ++i) classes.push_back(i % widths.back());
    classes_ = from_data(classes, {batch});
    dense_ = rand({batch, widths.back()});
    if (rule == Rule::Adam) optimizer_ = std::make_unique<nn::Adam>(model_.named_parameters());
    else
      optimizer_ =
          std::make_unique<nn::SGD>(model_.named_parameters(), nn::SGDOptions{.momentum = 0.9});
  }

  // Losses with every kind of kernel: rows, pointwise, composed.
  void step() {
    const Tensor scores = model_(x_);
    const Tensor loss =
        nn::cross_entropy(scores, classes_) + nn::binary_cross_entropy_with_logits(scores, dense_) +
        nn::kl_div(log_softmax(scores, 1), dense_, {.reduction = nn::Reduction::BatchMean});
    optimizer_->zero_grad();
    loss.backward();
    optimizer_->step();
  }

 private:
  nn::Sequential model_;
  Tensor x_, classes_, dense_;
  std::unique_ptr<nn::Optimizer> optimizer_;
};

int64_t calls_of(Training& training, int steps) {
  for (int i = 0; i < 20; ++i) training.step();
  calls = 0;
  counting = true;
  for (int i = 0; i < steps; ++i) training.step();
  counting = false;
  return calls;
}

TEST(malloc, is_counted) {
  counting = true;
  calls = 0;
  const auto block = std::make_unique<std::vector<int>>(100);
  counting = false;
  EXPECT_EQ(calls, 2);
}

TEST(malloc, small_net) {
  Training training({2, 16, 16, 2}, 32, Training::Rule::Sgd);
  EXPECT_EQ(calls_of(training, 100), 0);
}

TEST(malloc, small_net_adam) {
  Training training({64, 32, 10}, 32, Training::Rule::Adam);
  EXPECT_EQ(calls_of(training, 100), 0);
}

// Uses products that oneDNN computes, and loops that run on several threads.
TEST(malloc, large_net) {
  Training training({784, 512, 512, 1000}, 128, Training::Rule::Adam);
  EXPECT_EQ(calls_of(training, 10), 0);
}

int64_t resident_kb() {
  std::ifstream statm("/proc/self/statm");
  int64_t all = 0, resident = 0;
  statm >> all >> resident;
  return resident * sysconf(_SC_PAGESIZE) / 1024;
}

TEST(memory_growth, none_over_10000_steps) {
  Training training({2, 16, 16, 2}, 32, Training::Rule::Adam);
  for (int i = 0; i < 1000; ++i) training.step();
  const int64_t before = resident_kb(), live = memory::stats().live_bytes;
  ASSERT_GT(before, 1000);
  for (int i = 0; i < 10000; ++i) training.step();
  EXPECT_LE(resident_kb() - before, 64);
  EXPECT_EQ(memory::stats().live_bytes, live);
}

}  // namespace
