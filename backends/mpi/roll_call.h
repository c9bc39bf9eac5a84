// RollCall: finds out which rank a collective function waits for, when it waits too long.
//
// Ranks that wait answer questions of others. When a wait exceeds the timeout, the rank asks all
// others where they are. Those that do not answer are not in a collective function: they compute,
// sleep, or cannot be reached. Messages have a communicator of their own. Nothing is sent while
// ranks arrive in time.
#pragma once

#include <mpi.h>

#include <chrono>
#include <string>
#include <vector>

namespace ebb::mpi {

/// Prints "[distributed] rank 1 of 4 on host: message" on standard error, and ends all ranks.
[[noreturn]] void end_all_ranks(const std::string& message, int status = 1);
extern bool ending_all_ranks;

class RollCall {
 public:
  /// timeout: the seconds before the others are asked. Collective over all ranks.
  explicit RollCall(double timeout);

  /// Waits until done() returns true. what: the function that waits, for messages. Ends all ranks
  /// when another one does not come within the timeout.
  template <class Done> void wait(const char* what, Done&& done) {
    for (int spin = 0; spin < kSpins; ++spin) {
      if (done()) return;
    }
    begin(what);
    while (!done()) check();
  }

  /// Waits until all ranks end their programs. A status other than 0 ends them all if they do not
  /// do so soon.
  void leave(int status);

 private:
  static constexpr int kSpins = 200;
  using Clock = std::chrono::steady_clock;
  struct Message {
    enum Kind : int { Where, Here, Leaving } kind;
    char what[28];
  };

  void begin(const char* what);
  void check();
  void answer_messages();
  void send(Message::Kind kind, int to) const;
  void report() const;

  MPI_Comm control_ = MPI_COMM_NULL;
  int rank_ = 0, size_ = 1;
  Clock::duration timeout_, patience_;
  const char* what_ = "";
  Clock::time_point start_, deadline_, next_look_;
  bool asked_ = false, one_left_ = false;
  std::vector<std::string> answers_;  // by rank: what it waits in; empty: no answer
  std::vector<bool> left_;
};

}  // namespace ebb::mpi
