// A fault, an interruption and a kill at every file call of a save, and at every allocation of a
// training.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>

#include "ebb/core/memory.h"
#include "ebb/tests/nn/files.h"
#include "ebb/tests/nn/training.h"
#include "faults.h"

namespace {

using namespace ebb;
using test::Faults;
using test::Plan;
using test::TempFolder;
using test::Training;

Checkpoint numbered(int64_t n) {
  const auto value = static_cast<double>(n);
  return {{{"weight", full({3, 2}, value)}, {"bias", full({2}, value)}},
          {{"momentum", full({6}, value)}},
          {{"number", std::to_string(n)}}};
}

// Returns the number of the checkpoint in a folder, or -1 if its parts have different ones.
int64_t number_at(const std::string& folder) {
  const Checkpoint loaded = load_checkpoint(folder);
  const int64_t number = std::stoll(loaded.metadata.at("number"));
  for (const NamedTensors* part : {&loaded.model, &loaded.training}) {
    for (const auto& [name, tensor] : *part) {
      for (const double x : tensor.to_vector<double>())
        if (x != static_cast<double>(number)) return -1;
    }
  }
  return number;
}

// Calls a function with k = 1, 2, ... until it returns false. Returns the last k.
int for_each_call(const std::function<bool(int)>& each) {
  int k = 1;
  while (each(k)) ++k;
  return k;
}

// A later save works, and leaves nothing but the checkpoint.
void expect_usable(const TempFolder& folder, int k) {
  save_checkpoint(folder / "x", numbered(3));
  EXPECT_EQ(number_at(folder / "x"), 3) << "call " << k;
  const std::filesystem::directory_iterator left(folder / "");
  EXPECT_EQ(std::distance(begin(left), end(left)), 1) << "call " << k;
}

class Save : public testing::TestWithParam<bool> {};

TEST_P(Save, OneWhoseKthCallFailsKeepsTheOldCheckpointOrHasTheNewOne) {
  for (const int code : {EIO, ENOSPC}) {
    int failed = 0;
    const int calls = for_each_call([&](int k) {
      const TempFolder folder(test::memory_folder());
      save_checkpoint(folder / "x", numbered(1));
      std::string error;
      int seen = 0;
      {
        const Faults faults({.at = k, .code = code, .exchange = GetParam()});
        try {
          save_checkpoint(folder / "x", numbered(2));
        } catch (const Error& e) {
          error = e.what();
        }
        seen = faults.calls();
      }
      const bool replaced = error.empty() || error.find("is in place") != std::string::npos;
      EXPECT_EQ(number_at(folder / "x"), replaced ? 2 : 1) << "call " << k << ": " << error;
      failed += !error.empty();
      expect_usable(folder, k);
      return seen >= k && !HasFailure();
    });
    EXPECT_GT(calls, 40);
    EXPECT_GT(failed, calls / 2);
  }
}

TEST_P(Save, OneThatIsInterruptedAtAnyCallSucceeds) {
  for_each_call([&](int k) {
    const TempFolder folder(test::memory_folder());
    save_checkpoint(folder / "x", numbered(1));
    int seen = 0;
    {
      const Faults faults({.at = k, .code = EINTR, .exchange = GetParam()});
      EXPECT_NO_THROW(save_checkpoint(folder / "x", numbered(2))) << "call " << k;
      seen = faults.calls();
    }
    EXPECT_EQ(number_at(folder / "x"), 2) << "call " << k;
    expect_usable(folder, k);
    return seen >= k && !HasFailure();
  });
}

// Runs a function in a child that is killed at its k-th call. Returns false if it ended before.
bool killed_at(int k, bool exchange, const std::function<void()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    const Faults faults({.at = k, .code = 0, .exchange = exchange});
    try {
      body();
    } catch (...) {
      _exit(1);
    }
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0) << "call " << k;
  return WIFSIGNALED(status);
}

TEST_P(Save, OneThatIsKilledAtAnyCallLeavesACheckpoint) {
  const int calls = for_each_call([&](int k) {
    const TempFolder folder(test::memory_folder());
    save_checkpoint(folder / "x", numbered(1));
    const bool killed =
        killed_at(k, GetParam(), [&] { save_checkpoint(folder / "x", numbered(2)); });
    const int64_t number = number_at(folder / "x");
    EXPECT_TRUE(number == 2 || (killed && number == 1)) << number << " at call " << k;
    expect_usable(folder, k);
    return killed && !HasFailure();
  });
  EXPECT_GT(calls, 40);
}

INSTANTIATE_TEST_SUITE_P(Exchange, Save, testing::Bool(),
                         [](const auto& info) { return info.param ? "WithExchange" : "Without"; });

nn::TrainerOptions options_for(const TempFolder& folder, bool resume) {
  return {.epochs = 3, .checkpoint = folder / "c", .resume = resume, .quiet = true};
}
const data::LoaderOptions kShuffled{.batch_size = 4, .shuffle = true, .seed = 5, .prefetch = 0};

TEST(KilledTraining, ResumesBitForBitFromAnyCall) {
  Training whole(kShuffled);
  {
    const TempFolder folder(test::memory_folder());
    whole.run(options_for(folder, false));
  }
  const int calls = for_each_call([&](int k) {
    const TempFolder folder(test::memory_folder());
    const bool killed = killed_at(k, true, [&] {
      Training t(kShuffled);
      t.run(options_for(folder, false));
    });
    Training rest(kShuffled);
    rest.run(options_for(folder, checkpoint_exists(folder / "c")));
    EXPECT_EQ(rest.weights(), whole.weights()) << "call " << k;
    return killed && !HasFailure();
  });
  EXPECT_GT(calls, 100);
}

TEST(MemoryThatRunsOut, EndsATrainingWithAnErrorThatCanBeRepeated) {
  Training whole(kShuffled);
  whole.run({.epochs = 3});
  int failed = 0;
  for_each_call([&](int k) {
    Training t(kShuffled);
    nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss, {.epochs = 3, .quiet = true});
    std::string error;
    int seen = 0;
    memory::trim();
    {
      const Faults faults({.at = k, .memory = true});
      try {
        trainer.run();
      } catch (const Error& e) {
        error = e.what();
      }
      seen = faults.calls();
    }
    if (error.empty()) {
      EXPECT_EQ(t.weights(), whole.weights()) << "allocation " << k;
    } else {
      ++failed;
      EXPECT_NE(error.find("out of memory"), std::string::npos) << error;
    }
    Training again(kShuffled);
    EXPECT_TRUE(again.run({.epochs = 3}));
    EXPECT_EQ(again.weights(), whole.weights()) << "allocation " << k;
    return seen >= k && !HasFailure();
  });
  EXPECT_GT(failed, 3);
}

}  // namespace
