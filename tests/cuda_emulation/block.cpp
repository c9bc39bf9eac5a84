// The scheduler. Blocks run one after the other. Each thread of a block runs on a fiber until it
// waits for others. A thread that never waits passes its fiber to the next thread, so a kernel
// without barriers needs no switches. When all threads wait or have ended, the threads whose
// barrier or warp collective is complete continue, in a newly shuffled order.
#include <cxxabi.h>
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "emulation.h"
#include "fiber.h"
#include "runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace ebb::emulation {
namespace {

enum class State : std::uint8_t { kReady, kBarrier, kWarp, kEnded };

struct Thread {
  State state = State::kReady;
  Exchange kind = Exchange::kSync;  // this and the next four are for a thread in kWarp
  unsigned mask = 0;
  int source = 0;
  std::uint64_t value = 0;  // the value that it passes, then the one that it receives
  Where where;              // where it waits
  Fiber* fiber = nullptr;   // from its first instruction to its last
};

// SplitMix64.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}
  std::uint64_t next() {
    std::uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  std::uint32_t below(std::uint32_t n) {
    return static_cast<std::uint32_t>(((next() >> 32) * n) >> 32);
  }

 private:
  std::uint64_t state_;
};

std::string name_of(const void* kernel) {
  Dl_info info;
  if (dladdr(kernel, &info) == 0 || info.dli_sname == nullptr) return "(unnamed)";
  std::unique_ptr<char, decltype(&std::free)> name(
      abi::__cxa_demangle(info.dli_sname, nullptr, nullptr, nullptr), std::free);
  return name ? name.get() : info.dli_sname;
}

class Grid {
 public:
  void run(dim3 grid, dim3 block, std::size_t shared_bytes, const void* kernel, const Work& body);
  void seed(std::uint64_t value);

  // Called on the fiber of the running thread.
  void wait(State state, Where where);
  std::uint64_t exchange(Exchange kind, unsigned mask, int source, std::uint64_t value,
                         Where where);
  int lane() const { return current_ % warpSize; }
  unsigned active_lanes() const;

 private:
  static void fiber_loop();
  Fiber* idle_fiber();
  void begin(int thread);
  void run_block();
  void shuffle_ready();
  void release();
  void release_warp(int warp);
  bool complete(int warp, const Thread& leader) const;
  unsigned lanes_alive(int warp) const;
  [[noreturn]] void deadlock() const;
  std::string place() const;

  std::mutex mutex_;  // held while a grid runs; guards this object and the built-in variables
  Random random_{first_seed()};
  const void* kernel_ = nullptr;
  const Work* body_ = nullptr;
  std::vector<Thread> threads_;
  std::vector<int> ready_;  // the threads of this round, of which the first next_ have started
  std::size_t next_ = 0;
  int current_ = 0;
  int ended_ = 0, at_barrier_ = 0;
  std::uint32_t warps_waiting_ = 0;  // one bit per warp
  std::vector<std::unique_ptr<Fiber>> fibers_;
  std::vector<Fiber*> idle_;
};

// Never destroyed, because threads of the host may launch while the process ends.
Grid& the_grid() {
  static Grid& grid = *new Grid;
  return grid;
}

void Grid::seed(std::uint64_t value) {
  const std::lock_guard lock(mutex_);
  random_ = Random(value);
}

void Grid::run(dim3 grid, dim3 block, std::size_t shared_bytes, const void* kernel,
               const Work& body) {
  const std::lock_guard lock(mutex_);
  resize_dynamic_shared_memory(shared_bytes);
  kernel_ = kernel;
  body_ = &body;
  gridDim = grid;
  blockDim = block;
  const std::uint64_t blocks = std::uint64_t{grid.x} * grid.y * grid.z;
  // Visits every block once: start, start + stride, ..., where the stride and the number are
  // coprime.
  std::uint64_t stride = random_.next() % blocks, at = random_.next() % blocks;
  const auto gcd = [](std::uint64_t a, std::uint64_t b) {
    while (b != 0) a = std::exchange(b, a % b);
    return a;
  };
  while (gcd(blocks, stride) != 1) stride = (stride + 1) % blocks;
  for (std::uint64_t i = 0; i < blocks; ++i, at = (at + stride) % blocks) {
    blockIdx = {static_cast<unsigned>(at % grid.x), static_cast<unsigned>(at / grid.x % grid.y),
                static_cast<unsigned>(at / grid.x / grid.y)};
    run_block();
  }
}

void Grid::run_block() {
  const int count = static_cast<int>(blockDim.x * blockDim.y * blockDim.z);
  threads_.assign(count, Thread{});
  ready_.resize(count);
  for (int i = 0; i < count; ++i) ready_[i] = i;
  ended_ = at_barrier_ = 0;
  warps_waiting_ = 0;
  forget_shared_memory();
  while (!ready_.empty()) {
    shuffle_ready();
    for (next_ = 0; next_ < ready_.size();) {
      begin(ready_[next_++]);
      Thread& thread = threads_[current_];
      if (thread.fiber == nullptr) thread.fiber = idle_fiber();
      thread.fiber->enter();
    }
    ready_.clear();
    release();
  }
  if (ended_ < count) deadlock();
}

void Grid::begin(int thread) {
  current_ = thread;
  const auto t = static_cast<unsigned>(thread);
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / blockDim.x / blockDim.y};
}

void Grid::fiber_loop() {
  Grid& grid = the_grid();
  for (;;) {
    [&]() noexcept { (*grid.body_)(); }();  // no exception may leave a kernel
    Thread& ended = grid.threads_[grid.current_];
    Fiber* const self = ended.fiber;
    ended.state = State::kEnded;
    ended.fiber = nullptr;
    ++grid.ended_;
    const bool more = grid.next_ < grid.ready_.size();
    if (more &&
        grid.threads_[grid.ready_[grid.next_]].fiber == nullptr) {  // a thread that has not started
      grid.begin(grid.ready_[grid.next_++]);
      grid.threads_[grid.current_].fiber = self;
    } else {
      grid.idle_.push_back(self);
      Fiber::leave();
    }
  }
}

Fiber* Grid::idle_fiber() {
  if (idle_.empty()) {
    fibers_.push_back(std::make_unique<Fiber>(&Grid::fiber_loop));
    return fibers_.back().get();
  }
  Fiber* const fiber = idle_.back();
  idle_.pop_back();
  return fiber;
}

void Grid::shuffle_ready() {
  for (std::size_t i = ready_.size(); i > 1; --i) {
    std::swap(ready_[i - 1], ready_[random_.below(static_cast<std::uint32_t>(i))]);
  }
}

void Grid::wait(State state, Where where) {
  Thread& self = threads_[current_];
  self.state = state;
  self.where = where;
  if (state == State::kBarrier) {
    self.mask = 0;
    ++at_barrier_;
  } else {
    warps_waiting_ |= 1u << (current_ / warpSize);
  }
  Fiber::leave();
}

// Called when no thread runs. Fills ready_ with the threads that can continue.
void Grid::release() {
  for (int warp = 0; warp < warpSize; ++warp) {
    if (warps_waiting_ >> warp & 1) release_warp(warp);
  }
  if (!ready_.empty() || at_barrier_ != static_cast<int>(threads_.size())) return;
  const Where& where = threads_.front().where;
  for (const Thread& t : threads_) {
    if (t.where.line() != where.line() || t.where.column() != where.column()) return;
  }
  for (int i = 0; i < static_cast<int>(threads_.size()); ++i) {
    threads_[i].state = State::kReady;
    ready_.push_back(i);
  }
  at_barrier_ = 0;
}

// Returns true if every lane of the leader's mask waits for the same collective as the leader.
bool Grid::complete(int warp, const Thread& leader) const {
  for (int lane = 0; lane < warpSize; ++lane) {
    if (!(leader.mask >> lane & 1)) continue;
    const Thread& t = threads_[warp * warpSize + lane];
    if (t.state != State::kWarp || t.kind != leader.kind || t.mask != leader.mask ||
        t.where.line() != leader.where.line()) {
      return false;
    }
  }
  return true;
}

void Grid::release_warp(int warp) {
  const int first = warp * warpSize,
            lanes = std::min<int>(warpSize, static_cast<int>(threads_.size()) - first);
  const unsigned alive = lanes_alive(warp);
  bool left = false;
  for (int lane = 0; lane < lanes; ++lane) {
    const Thread leader = threads_[first + lane];
    if (leader.state != State::kWarp) continue;
    if (leader.mask & ~alive) {
      die("%s: the mask %08x of %s:%u (%s) names lanes %08x of warp %d, which have ended or do not "
          "exist",
          place().c_str(), leader.mask, leader.where.file_name(), leader.where.line(),
          leader.where.function_name(), leader.mask & ~alive, warp);
    }
    if (!complete(warp, leader)) {
      left = true;
      continue;
    }
    std::uint64_t given[warpSize], ballot = 0;
    for (int i = 0; i < lanes; ++i) {
      given[i] = threads_[first + i].value;
      if ((leader.mask >> i & 1) && given[i] != 0) ballot |= std::uint64_t{1} << i;
    }
    for (int i = 0; i < lanes; ++i) {
      if (!(leader.mask >> i & 1)) continue;
      Thread& t = threads_[first + i];
      if (t.kind == Exchange::kShuffle && !(t.mask >> t.source & 1)) {
        die("%s: lane %d of warp %d shuffles from lane %d, which the mask %08x does not name, at "
            "%s:%u",
            place().c_str(), i, warp, t.source, t.mask, t.where.file_name(), t.where.line());
      }
      t.value = t.kind == Exchange::kBallot ? ballot : given[t.source];
      t.state = State::kReady;
      ready_.push_back(first + i);
    }
  }
  if (!left) warps_waiting_ &= ~(1u << warp);
}

std::uint64_t Grid::exchange(Exchange kind, unsigned mask, int source, std::uint64_t value,
                             Where where) {
  Thread& self = threads_[current_];
  if (!(mask >> lane() & 1)) {
    die("%s: lane %d is not in its own mask %08x at %s:%u", place().c_str(), lane(), mask,
        where.file_name(), where.line());
  }
  self.kind = kind;
  self.mask = mask;
  self.source = source;
  self.value = value;
  wait(State::kWarp, where);
  return self.value;
}

unsigned Grid::lanes_alive(int warp) const {
  unsigned alive = 0;
  for (int lane = 0; lane < warpSize; ++lane) {
    const std::size_t thread = static_cast<std::size_t>(warp) * warpSize + lane;
    if (thread < threads_.size() && threads_[thread].state != State::kEnded) alive |= 1u << lane;
  }
  return alive;
}

unsigned Grid::active_lanes() const { return lanes_alive(current_ / warpSize); }

std::string Grid::place() const {
  char text[96];
  std::snprintf(text, sizeof(text), ", block (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
  return "kernel " + name_of(kernel_) + text;
}

// Some threads wait for others that will never arrive. Prints how many threads wait at each line.
void Grid::deadlock() const {
  struct Group {
    State state;
    Where where;
    unsigned mask;
    int count, first;
  };
  std::vector<Group> groups;
  for (int i = 0; i < static_cast<int>(threads_.size()); ++i) {
    const Thread& t = threads_[i];
    const auto same = std::find_if(groups.begin(), groups.end(), [&](const Group& g) {
      return g.state == t.state &&
             (t.state == State::kEnded || (g.where.line() == t.where.line() && g.mask == t.mask));
    });
    if (same != groups.end()) ++same->count;
    else groups.push_back({t.state, t.where, t.mask, 1, i});
  }
  std::string text = place() + ": divergent barrier, nobody can go on";
  for (const Group& g : groups) {
    char head[64];
    std::snprintf(head, sizeof(head), "\n  %d threads, the first of them %d, ", g.count, g.first);
    text += head;
    if (g.state == State::kEnded) {
      text += "have ended";
      continue;
    }
    text += g.state == State::kBarrier ? "wait for the block at " : "wait for their warp at ";
    text += std::string(g.where.file_name()) + ":" + std::to_string(g.where.line()) + " in " +
            g.where.function_name();
  }
  die("%s", text.c_str());
}

}  // namespace

std::uint64_t first_seed() {
  const char* text = std::getenv("EBB_EMULATION_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 1;
}

void run_grid(dim3 grid, dim3 block, std::size_t shared_bytes, const void* kernel,
              const Work& body) {
  the_grid().run(grid, block, shared_bytes, kernel, body);
}
void check_argument(const void* kernel, const void* pointer) {
  if (pointer != nullptr && reach(pointer).bytes == 0) {
    die("kernel %s: its argument %p is no device memory", name_of(kernel).c_str(), pointer);
  }
}
void block_barrier(Where where) { the_grid().wait(State::kBarrier, where); }
std::uint64_t warp_exchange(Exchange kind, unsigned mask, int source, std::uint64_t value,
                            Where where) {
  return the_grid().exchange(kind, mask, source, value, where);
}
int lane() { return the_grid().lane(); }
unsigned active_lanes() { return the_grid().active_lanes(); }
void seed(std::uint64_t value) { the_grid().seed(value); }

}  // namespace ebb::emulation
