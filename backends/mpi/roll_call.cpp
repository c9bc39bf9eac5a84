#include "ebb/backends/mpi/roll_call.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

namespace ebb::mpi {

using std::chrono::microseconds;
using std::chrono::milliseconds;

bool ending_all_ranks = false;

void end_all_ranks(const std::string& message, int status) {
  ending_all_ranks = true;
  int rank = 0, size = 1;
  MPI_Comm_rank(MPI_COMM_WORLD, &rank);
  MPI_Comm_size(MPI_COMM_WORLD, &size);
  char host[256] = "?";
  gethostname(host, sizeof host - 1);
  std::fflush(stdout);
  std::fprintf(stderr, "[distributed] rank %d of %d on %s: %s\n", rank, size, host,
               message.c_str());
  std::fflush(stderr);
  // The launcher reads the message before it ends the processes.
  std::this_thread::sleep_for(milliseconds(100));
  // MPI_Abort() tells the launcher, which may be behind a network that is cut.
  constexpr unsigned kSeconds = 5;
  std::signal(SIGALRM, SIG_DFL);
  alarm(kSeconds);
  MPI_Abort(MPI_COMM_WORLD, status);
  std::_Exit(status);
}

RollCall::RollCall(double timeout)
    : timeout_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(timeout))),
      patience_(std::min<Clock::duration>(timeout_ / 2, std::chrono::seconds(2))) {
  MPI_Comm_dup(MPI_COMM_WORLD, &control_);
  MPI_Comm_rank(control_, &rank_);
  MPI_Comm_size(control_, &size_);
  answers_.resize(static_cast<size_t>(size_));
  left_.resize(static_cast<size_t>(size_));
}

void RollCall::begin(const char* what) {
  what_ = what;
  start_ = next_look_ = Clock::now();
  deadline_ = start_ + (one_left_ ? patience_ : timeout_);
  asked_ = false;
}

// Gives the core to other ranks: at once at first, later with sleeps that cost no time of a core.
void RollCall::check() {
  const auto now = Clock::now();
  if (now - start_ < milliseconds(5)) sched_yield();
  else std::this_thread::sleep_for(microseconds(50));
  if (now < next_look_) return;
  next_look_ = now + milliseconds(1);
  answer_messages();
  if (now < deadline_) return;
  if (asked_) {
    report();
    return;
  }
  asked_ = true;
  std::fill(answers_.begin(), answers_.end(), "");
  for (int r = 0; r < size_; ++r) {
    if (r != rank_) send(Message::Where, r);
  }
  deadline_ = now + patience_;
}

void RollCall::answer_messages() {
  for (int waiting = 1; waiting;) {
    MPI_Status status;
    MPI_Iprobe(MPI_ANY_SOURCE, 0, control_, &waiting, &status);
    if (!waiting) return;
    Message message;
    const int from = status.MPI_SOURCE;
    MPI_Recv(&message, sizeof message, MPI_BYTE, from, 0, control_, MPI_STATUS_IGNORE);
    switch (message.kind) {
      case Message::Where: send(Message::Here, from); break;
      case Message::Here: answers_[static_cast<size_t>(from)] = message.what; break;
      case Message::Leaving:
        left_[static_cast<size_t>(from)] = one_left_ = true;
        // It may have done its part of the function that this rank is in.
        deadline_ = std::min(deadline_, Clock::now() + patience_);
        break;
    }
  }
}

// A few bytes, which MPI buffers, so this does not wait for the other rank.
void RollCall::send(Message::Kind kind, int to) const {
  Message message{kind, {}};
  std::strncpy(message.what, what_, sizeof message.what - 1);
  MPI_Send(&message, sizeof message, MPI_BYTE, to, 0, control_);
}

void RollCall::report() const {
  std::string gone, missing, elsewhere;
  const auto add = [](std::string& list, int r) {
    list += (list.empty() ? "" : ", ") + std::to_string(r);
  };
  for (int r = 0; r < size_; ++r) {
    const std::string& answer = answers_[static_cast<size_t>(r)];
    if (r == rank_) continue;
    if (left_[static_cast<size_t>(r)]) add(gone, r);
    else if (answer.empty()) add(missing, r);
    else if (answer != what_) elsewhere = std::to_string(r) + " waits in " + answer;
  }
  char seconds[32];
  std::snprintf(seconds, sizeof seconds, "%.3g",
                std::chrono::duration<double>(Clock::now() - start_).count());
  const std::string after = std::string(" after ") + seconds + " s in " + what_;
  if (!gone.empty())
    end_all_ranks("rank " + gone + " ended its program without the others" + after);
  if (!missing.empty()) end_all_ranks("rank " + missing + " did not come" + after);
  if (!elsewhere.empty()) end_all_ranks("rank " + elsewhere + after);
  end_all_ranks("all ranks came, but their data did not arrive" + after);
}

// MPI_Finalize() need not deliver what MPI has buffered, so these messages are synchronous.
void RollCall::leave(int status) {
  begin("exit");
  const Message message{Message::Leaving, "exit"};
  std::vector<MPI_Request> sent;
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    MPI_Issend(&message, sizeof message, MPI_BYTE, r, 0, control_, &sent.emplace_back());
  }
  left_[static_cast<size_t>(rank_)] = true;
  const auto all_left = [&] {
    int arrived = 0;
    MPI_Testall(static_cast<int>(sent.size()), sent.data(), &arrived, MPI_STATUSES_IGNORE);
    return arrived && std::count(left_.begin(), left_.end(), true) == size_;
  };
  while (!all_left()) {
    deadline_ = Clock::time_point::max();  // the others may have work to do
    check();
    if (status != 0 && Clock::now() - start_ > patience_)
      end_all_ranks("ended with exit status " + std::to_string(status), status);
  }
}

}  // namespace ebb::mpi
