#include "ebb/nn/train/stop_signals.h"

#include <atomic>
#include <cerrno>
#include <csignal>
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

extern "C" void note_signal(int signal) {
  const int saved = errno;
  arrivals.fetch_add(1);
  for (int i = 0; i < 2; ++i) {
    if (kSignals[i] == signal) sigaction(signal, &previous[i], nullptr);
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

StopSignals::StopSignals() : before_(arrivals.load()) {
  const std::lock_guard lock(mutex);
  ++users;
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
