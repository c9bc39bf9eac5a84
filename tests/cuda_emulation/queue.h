// The work of one stream, in order. As a rule it runs when it is submitted. With EBB_EMULATION_STREAMS=late it runs
// when somebody waits for it, or at a moment that the seed draws: then what does not wait where it has to finds old
// bytes.
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
  // How much has been pushed so far.
  std::uint64_t pushed() const;
  // Runs the first `count` pieces of work, those of them that have not run.
  void run(std::uint64_t count);
  void run_all() { run(pushed()); }

 private:
  const bool blocking_;
  mutable std::mutex mutex_;
  std::deque<Work> waiting_;
  std::uint64_t pushed_ = 0, done_ = 0;
};

std::shared_ptr<Queue> make_queue(bool blocking);
// Runs all that has been pushed to the queues that are wanted.
void run_queues(const std::function<bool(const Queue&)>& wanted);

bool runs_late();

// What the seed makes of the moment after a submission: nothing, the stream's work runs, or that of all others.
enum class Moment { kNothing, kOwn, kOthers };
Moment next_moment();

}  // namespace ebb::emulation
