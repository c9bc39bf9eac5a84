// The work of one stream, in order. Normally it runs when it is submitted. With
// EBB_EMULATION_STREAMS=late it runs when something waits for it, or at a time that the seed
// decides. Code with a missing wait then reads old bytes.
#pragma once

#include <deque>
#include <memory>

#include "runtime.h"

namespace ebb::emulation {

class Queue {
 public:
  explicit Queue(bool blocking) : blocking_(blocking) {}
  bool blocking() const { return blocking_; }  // the stream and the legacy one wait for each other
  void push(Work work);
  // Returns the number of submitted pieces of work.
  std::uint64_t pushed() const;
  // Runs those of the first `count` pieces of work that have not run.
  void run(std::uint64_t count);
  void run_all() { run(pushed()); }

 private:
  const bool blocking_;
  mutable std::mutex mutex_;
  std::deque<Work> waiting_;
  std::uint64_t pushed_ = 0, done_ = 0;
};

std::shared_ptr<Queue> make_queue(bool blocking);
// Runs all work in the selected queues.
void run_queues(const std::function<bool(const Queue&)>& wanted);

bool runs_late();

// Called after a submission. The seed decides if nothing runs, the work of the stream, or that of
// all others.
enum class Moment { kNothing, kOwn, kOthers };
Moment next_moment();

}  // namespace ebb::emulation
