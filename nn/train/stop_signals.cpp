#include "ebb/nn/train/stop_signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <ctime>
#include <mutex>

namespace ebb::nn::detail {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM};

constinit std::atomic<uint64_t> arrivals = 0;
static_assert(std::atomic<uint64_t>::is_always_lock_free, "a signal handler may not wait");

std::mutex mutex;  // protects the next two variables
int users = 0;     // the number of StopSignals objects
// By index in kSignals. The handler reads it, so it is written only while the handler is not
// installed.
struct sigaction previous[2] = {};

// For processes of mpirun: the time at which each signal arrived, and 0 before.
constinit std::atomic<bool> is_launched = false;
constinit std::atomic<int64_t> arrived_at[2] = {};

int64_t nanoseconds() {
  struct timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{1'000'000'000} * now.tv_sec + now.tv_nsec;
}

extern "C" void note_signal(int signal) {
  constexpr int64_t kSecond = 1'000'000'000;
  const int saved = errno;
  const int i = signal == kSignals[0] ? 0 : 1;
  const int64_t now = nanoseconds(), first = arrived_at[i].load();
  arrivals.fetch_add(1);
  if (!is_launched.load()) {
    sigaction(signal, &previous[i], nullptr);
  } else if (first == 0) {
    arrived_at[i].store(now);
  } else if (now - first > kSecond) {
    sigaction(signal, &previous[i], nullptr);
    raise(signal);  // delivered when this handler returns
  }
  errno = saved;
}

bool is_ours(const struct sigaction& action) {
  return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == note_signal;
}

bool is_ignored(const struct sigaction& action) {
  return !(action.sa_flags & SA_SIGINFO) && action.sa_handler == SIG_IGN;
}

}  // namespace

StopSignals::StopSignals(bool launched) : before_(arrivals.load()) {
  const std::lock_guard lock(mutex);
  ++users;
  is_launched = launched;
  for (auto& time : arrived_at) time = 0;
  struct sigaction ours = {};
  ours.sa_handler = note_signal;
  ours.sa_flags = SA_RESTART;
  sigemptyset(&ours.sa_mask);
  for (int i = 0; i < 2; ++i) {
    struct sigaction now = {};
    if (sigaction(kSignals[i], nullptr, &now) != 0 || is_ignored(now) || is_ours(now)) continue;
    previous[i] = now;
    sigaction(kSignals[i], &ours, nullptr);
  }
}

StopSignals::~StopSignals() {
  const std::lock_guard lock(mutex);
  if (--users > 0) return;
  for (int i = 0; i < 2; ++i) {  // a handler that the program has installed since then is kept
    struct sigaction now = {};
    if (sigaction(kSignals[i], nullptr, &now) == 0 && is_ours(now))
      sigaction(kSignals[i], &previous[i], nullptr);
  }
}

bool StopSignals::arrived() const { return arrivals.load() != before_; }

}  // namespace ebb::nn::detail
