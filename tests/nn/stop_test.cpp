// Stopping trainings: by signals, in several threads, from code; and whose handlers are installed
// when.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <latch>
#include <thread>

#include "ebb/nn/train/stop_signals.h"
#include "files.h"
#include "training.h"

namespace {

using namespace ebb;
using test::Training;

volatile std::sig_atomic_t users_calls = 0;
extern "C" void users_handler(int) { users_calls = users_calls + 1; }

void (*handler_of(int signal))(int) {
  struct sigaction now = {};
  sigaction(signal, nullptr, &now);
  return now.sa_handler;
}

// Installs a handler for SIGINT for the time of a scope.
class Handler {
 public:
  explicit Handler(void (*handler)(int)) : before_(std::signal(SIGINT, handler)) {
    users_calls = 0;
  }
  ~Handler() { std::signal(SIGINT, before_); }

 private:
  void (*before_)(int);
};

// Trains two epochs of four batches, calling each(batch) in batch 1 to 8. Returns the number of
// batches, negative when the training was stopped.
int train(const std::function<void(int, nn::Trainer&)>& each) {
  Training t;
  int batches = 0;
  nn::Trainer* running = nullptr;
  nn::Trainer trainer(t.model, t.optimizer, t.loader,
                      [&](const Tensor& scores, const Tensor& target) {
                        each(++batches, *running);
                        return nn::mse_loss(scores, target);
                      },
                      {.epochs = 2, .quiet = true});
  running = &trainer;
  const bool finished = trainer.run();
  EXPECT_TRUE(finished || trainer.interrupted());
  return finished ? batches : -batches;
}

TEST(Stop, AnInnerTrainingThatEndsLeavesTheHandlerToTheOuterOne) {
  const Handler handler(users_handler);
  {
    const nn::detail::StopSignals outer;
    { const nn::detail::StopSignals inner; }
    struct sigaction now = {};
    sigaction(SIGINT, nullptr, &now);
    EXPECT_NE(now.sa_handler, users_handler);
    EXPECT_TRUE(now.sa_flags & SA_RESTART);
    raise(SIGINT);
    EXPECT_TRUE(outer.arrived());
  }
  EXPECT_EQ(users_calls, 0);
  EXPECT_EQ(handler_of(SIGINT), users_handler);
}

TEST(Stop, AtTheEndOfAnEpochIsBetweenEpochs) {
  Training t;
  int batches = 0;
  nn::Trainer* running = nullptr;
  std::vector<bool> interrupted;
  nn::Trainer trainer(t.model, t.optimizer, t.loader,
                      [&](const Tensor& scores, const Tensor& target) {
                        interrupted.push_back(running->interrupted());
                        if (++batches == 4) running->stop();
                        return nn::mse_loss(scores, target);
                      },
                      {.epochs = 2, .quiet = true});
  running = &trainer;
  EXPECT_FALSE(trainer.run());
  EXPECT_TRUE(trainer.interrupted());
  EXPECT_EQ(trainer.epochs_run(), 1);
  EXPECT_TRUE(trainer.run());
  EXPECT_FALSE(trainer.interrupted());
  EXPECT_EQ(trainer.epochs_run(), 2);
  EXPECT_EQ(interrupted, std::vector<bool>(8, false));  // not within a run
}

TEST(Stop, TheUsersHandlerIsThereBeforeAndAfterAndForTheSecondSignal) {
  const Handler handler(users_handler);
  const int batches = train([](int batch, nn::Trainer&) {
    if (batch != 2) return;
    raise(SIGINT);
    EXPECT_EQ(users_calls, 0);
    EXPECT_EQ(handler_of(SIGINT), users_handler);
    raise(SIGINT);
    EXPECT_EQ(users_calls, 1);
  });
  EXPECT_EQ(batches, -2);
  EXPECT_EQ(handler_of(SIGINT), users_handler);
}

TEST(Stop, AnIgnoredSignalStaysIgnored) {
  const Handler handler(SIG_IGN);
  EXPECT_EQ(train([](int, nn::Trainer&) {
              raise(SIGINT);
              EXPECT_EQ(handler_of(SIGINT), SIG_IGN);
            }),
            8);
  EXPECT_EQ(handler_of(SIGINT), SIG_IGN);
}

TEST(Stop, AHandlerThatIsInstalledOnTheWayStays) {
  const Handler handler(SIG_DFL);
  EXPECT_EQ(train([](int batch, nn::Trainer&) {
              if (batch == 1) std::signal(SIGINT, users_handler);
              if (batch == 3) raise(SIGINT);
            }),
            8);
  EXPECT_EQ(users_calls, 1);
  EXPECT_EQ(handler_of(SIGINT), users_handler);
}

// Training A is in batch 2 when B starts, and B's end does not take A's handler away.
TEST(Stop, OneSignalStopsAllThatRunAndNoOthers) {
  const Handler handler(users_handler);
  std::latch a_runs(1), b_ended(1), both_run(2), sent(1);
  int a = 0, b = 0, c = 0;
  std::thread thread_a([&] {
    a = train([&](int batch, nn::Trainer&) {
      if (batch == 2) a_runs.count_down(), b_ended.wait();
      if (batch == 3) both_run.arrive_and_wait(), sent.wait();
    });
  });
  a_runs.wait();
  b = train([](int, nn::Trainer&) {});  // starts and ends while A runs
  b_ended.count_down();
  std::thread thread_c([&] {
    c = train([&](int batch, nn::Trainer&) {
      if (batch == 1) both_run.arrive_and_wait(), sent.wait();
    });
  });
  both_run.wait();
  kill(getpid(), SIGINT);
  while (handler_of(SIGINT) != users_handler) std::this_thread::yield();  // until it was handled
  b = train([](int, nn::Trainer&) {});  // one that starts later is not meant, and forgets nothing
  sent.count_down();
  thread_a.join();
  thread_c.join();
  EXPECT_EQ(b, 8);
  EXPECT_EQ(a, -3);
  EXPECT_EQ(c, -1);
  EXPECT_EQ(users_calls, 0);
  EXPECT_EQ(handler_of(SIGINT), users_handler);
}

TEST(Stop, ManyTrainingsInManyThreadsLeaveTheHandlerAsItWas) {
  const Handler handler(users_handler);
  std::vector<std::thread> threads;
  std::atomic<int> finished = 0;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 5; ++turn) finished += train([](int, nn::Trainer&) {}) == 8;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(finished, 40);
  EXPECT_EQ(handler_of(SIGINT), users_handler);
}

// The second signal without a handler of the user's ends the process.
TEST(Stop, TheSecondSignalEndsTheProcess) {
  const pid_t child = fork();
  if (child == 0) {
    std::signal(SIGINT, SIG_DFL);
    nn::detail::StopSignals signals;
    raise(SIGINT);
    if (!signals.arrived()) _exit(1);
    raise(SIGINT);
    _exit(2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGINT) << status;
}

TEST(Stop, FromTheLossFunction) {
  for (int at = 1; at <= 8; ++at) {
    const int batches = train([&](int batch, nn::Trainer& trainer) {
      if (batch == at) trainer.stop();
    });
    EXPECT_EQ(batches, at == 8 ? 8 : -at);
  }
}

TEST(Stop, FromAnotherThreadAndRunGoesOnFromThere) {
  Training whole, parts;
  EXPECT_TRUE(whole.run({.epochs = 5}));
  std::atomic<int> batches = 0;
  nn::Trainer trainer(parts.model, parts.optimizer, parts.loader,
                      [&](const Tensor& scores, const Tensor& target) {
                        ++batches;
                        return nn::mse_loss(scores, target);
                      },
                      {.epochs = 5, .quiet = true});
  int runs = 1;
  trainer.stop();  // before it runs: one batch
  EXPECT_FALSE(trainer.run());
  EXPECT_TRUE(trainer.interrupted());
  EXPECT_EQ(batches, 1);
  for (;; ++runs) {
    std::thread stopper;
    if (runs < 4) {
      stopper = std::thread([&, before = batches.load()] {
        while (batches < std::min(before + 2, 20)) std::this_thread::yield();
        trainer.stop();
      });
    }
    const bool finished = trainer.run();
    if (stopper.joinable()) stopper.join();
    if (finished) break;
  }
  EXPECT_EQ(batches, 20);
  EXPECT_EQ(trainer.epochs_run(), 5);
  EXPECT_EQ(parts.weights(), whole.weights());
}

}  // namespace
