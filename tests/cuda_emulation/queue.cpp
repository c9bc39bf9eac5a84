#include "queue.h"

#include <cstdlib>
#include <random>
#include <string_view>
#include <utility>
#include <vector>

#include "emulation.h"

namespace ebb::emulation {
namespace {

// Only one thread of the host runs work at a time. That work may run work of another stream.
std::recursive_mutex& running() {
  static std::recursive_mutex& mutex = *new std::recursive_mutex;
  return mutex;
}

std::atomic<bool>& late() {
  static std::atomic<bool> late = [] {
    const char* text = std::getenv("EBB_EMULATION_STREAMS");
    return text != nullptr && std::string_view(text) == "late";
  }();
  return late;
}

// The queues of all streams, including destroyed ones.
struct Queues {
  std::mutex mutex;
  std::vector<std::shared_ptr<Queue>> all;
};
Queues& queues() {
  static Queues& queues = *new Queues;
  return queues;
}
std::vector<std::shared_ptr<Queue>> wanted_queues(const std::function<bool(const Queue&)>& wanted) {
  const std::lock_guard lock(queues().mutex);
  std::vector<std::shared_ptr<Queue>> found;
  for (const auto& queue : queues().all) {
    if (wanted(*queue)) found.push_back(queue);
  }
  return found;
}

// Actions that wait for the work of all streams.
Queue& last_things() {
  static Queue& queue = *new Queue(false);
  return queue;
}

}  // namespace

void Queue::push(Work work) {
  const std::lock_guard lock(mutex_);
  waiting_.push_back(std::move(work));
  ++pushed_;
}

std::uint64_t Queue::pushed() const {
  const std::lock_guard lock(mutex_);
  return pushed_;
}

void Queue::run(std::uint64_t count) {
  const std::lock_guard alone(running());
  for (;;) {
    Work work;
    {
      const std::lock_guard lock(mutex_);
      if (done_ >= count) return;
      work = std::move(waiting_.front());
      waiting_.pop_front();
    }
    work();
    const std::lock_guard lock(mutex_);
    ++done_;
  }
}

std::shared_ptr<Queue> make_queue(bool blocking) {
  const std::lock_guard lock(queues().mutex);
  return queues().all.emplace_back(std::make_shared<Queue>(blocking));
}

void run_queues(const std::function<bool(const Queue&)>& wanted) {
  for (const auto& queue : wanted_queues(wanted)) queue->run_all();
}

void finish_all() {
  run_queues([](const Queue&) { return true; });
  last_things().run_all();
}

void after_all(Work work) {
  std::vector<std::pair<std::shared_ptr<Queue>, std::uint64_t>> before;
  for (const auto& queue : wanted_queues([](const Queue&) { return true; })) {
    before.emplace_back(queue, queue->pushed());
  }
  last_things().push([before = std::move(before), work = std::move(work)] {
    for (const auto& [queue, count] : before) queue->run(count);
    work();
  });
  if (!runs_late() || next_moment() == Moment::kOwn) last_things().run_all();
}

bool runs_late() { return late(); }
void run_late(bool on) { late() = on; }

Moment next_moment() {
  static std::mutex mutex;
  static std::minstd_rand random(static_cast<unsigned>(first_seed()));
  const std::lock_guard lock(mutex);
  const auto drawn = random() >> 8 & 7;
  return drawn == 0 ? Moment::kOwn : drawn <= 2 ? Moment::kOthers : Moment::kNothing;
}

}  // namespace ebb::emulation
