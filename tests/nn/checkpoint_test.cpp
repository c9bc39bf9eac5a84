// Checkpoints: saving and loading, what a killed process leaves, and errors for bad ones.
#include "ebb/nn/serialize/checkpoint.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "ebb/core/random.h"
#include "ebb/nn/serialize/file.h"
#include "files.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using test::expect_error;
using test::TempFolder;

// All values of checkpoint n are n.
Checkpoint numbered(int64_t n, int64_t size = 6) {
  const auto value = static_cast<double>(n);
  return {{{"0.weight", full({size / 2, 2}, value)}, {"0.bias", full({2}, value)}},
          {{"momentum/0.weight", full({size}, value, {.dtype = DType::F64})},
           {"epoch", from_data<int64_t>({n}, {})}},
          {{"number", std::to_string(n)}}};
}

bool all_equal(const NamedTensors& tensors, double value) {
  for (const auto& [name, tensor] : tensors) {
    for (double x : tensor.to_vector<double>()) {
      if (x != value) return false;
    }
  }
  return true;
}

// Returns the number of the checkpoint in a folder, or -1 if its files belong to different ones.
int64_t number_at(const std::string& folder) {
  const Checkpoint loaded = load_checkpoint(folder);
  const int64_t number = std::stoll(loaded.metadata.at("number"));
  const auto value = static_cast<double>(number);
  return all_equal(loaded.model, value) && all_equal(loaded.training, value) ? number : -1;
}

std::vector<std::string> names_in(const std::string& folder) {
  std::vector<std::string> names;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder))
    names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return names;
}

TEST(Checkpoint, LoadsWhatWasSaved) {
  const TempFolder folder;
  EXPECT_FALSE(checkpoint_exists(folder / "runs/x"));
  save_checkpoint(folder / "runs/x", numbered(3));
  EXPECT_TRUE(checkpoint_exists(folder / "runs/x"));
  const Checkpoint loaded = load_checkpoint(folder / "runs/x/");
  EXPECT_EQ(loaded.metadata, numbered(3).metadata);
  ASSERT_EQ(loaded.model.size(), 2u);
  EXPECT_EQ(loaded.model[0].first, "0.weight");
  EXPECT_EQ(loaded.model[0].second.shape(), Shape({3, 2}));
  ASSERT_EQ(loaded.training.size(), 2u);
  EXPECT_EQ(loaded.training[0].second.dtype(), DType::F64);
  EXPECT_EQ(loaded.training[1].second.item<int64_t>(), 3);
  EXPECT_EQ(number_at(folder / "runs/x"), 3);
}

TEST(Checkpoint, ANewOneReplacesTheOldOneAndLeavesNoOtherFiles) {
  const TempFolder folder;
  for (int64_t n = 0; n < 3; ++n) save_checkpoint(folder / "x/", numbered(n));
  EXPECT_EQ(number_at(folder / "x"), 2);
  EXPECT_EQ(names_in(folder / ""), (std::vector<std::string>{"x"}));
  EXPECT_EQ(names_in(folder / "x"),
            (std::vector<std::string>{"model.safetensors", "training.safetensors"}));
  EXPECT_TRUE(load_safetensors(folder / "x/model.safetensors").find("0.bias"));
}

TEST(Checkpoint, FollowsALinkToItsFolder) {
  const TempFolder folder;
  save_checkpoint(folder / "x", numbered(1));
  fs::create_directory_symlink(folder / "x", folder / "link");
  save_checkpoint(folder / "link", numbered(2));
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
  EXPECT_EQ(number_at(folder / "x"), 2);
  EXPECT_EQ(number_at(folder / "link"), 2);
}

TEST(Checkpoint, DeletesOnlyItsOwnFiles) {
  const TempFolder folder;
  save_checkpoint(folder / "x", numbered(1));
  test::write_bytes(folder / "x/thesis.tex", "years of work");
  expect_error([&] { save_checkpoint(folder / "x", numbered(2)); }, "save_checkpoint",
               {folder / "x", "thesis.tex"});
  EXPECT_EQ(test::read_bytes(folder / "x/thesis.tex"), "years of work");
  EXPECT_EQ(number_at(folder / "x"), 1);
  fs::create_directories(folder / ".y.ebb-new/more");
  expect_error([&] { save_checkpoint(folder / "y", numbered(2)); }, "save_checkpoint",
               {".y.ebb-new holds \"more\""});
  EXPECT_TRUE(fs::exists(folder / ".y.ebb-new/more"));
  test::write_bytes(folder / "file", "text");
  expect_error([&] { save_checkpoint(folder / "file", numbered(2)); }, "save_checkpoint",
               {"file is not a folder"});
  for (const char* name : {"", ".", "..", "/", "runs/.."}) {
    expect_error([&] { save_checkpoint(name, numbered(2)); }, "save_checkpoint",
                 {"expected a folder", name});
  }
}

// ---- what a killed process leaves ----

enum class Left { Nothing, Part, Whole };

// Creates the state (target, new, old) in a folder. Complete checkpoints have the numbers 1, 2 and
// 3.
void make_state(const TempFolder& folder, Left target, Left fresh, Left old) {
  const std::pair<const char*, Left> places[] = {
      {"x", target}, {".x.ebb-new", fresh}, {".x.ebb-old", old}};
  int64_t number = 0;
  for (const auto& [name, left] : places) {
    ++number;
    fs::remove_all(folder / name);
    if (left == Left::Nothing) continue;
    save_checkpoint(folder / "made", numbered(number));
    if (left == Left::Part) {  // ends within the second file
      fs::rename(folder / "made/training.safetensors",
                 folder / "made/.training.safetensors.ebb-partial");
      fs::resize_file(folder / "made/.training.safetensors.ebb-partial", 10);
    }
    fs::rename(folder / "made", folder / name);
  }
}

TEST(Checkpoint, EveryStateThatAKillCanLeaveLoadsAndCanBeReplaced) {
  using enum Left;
  const struct {
    Left target, fresh, old;
    int64_t expected;  // 0: none
  } states[] = {
      {Whole, Nothing, Nothing, 1}, {Whole, Part, Nothing, 1},      {Whole, Whole, Nothing, 1},
      {Whole, Nothing, Whole, 1},   {Nothing, Whole, Whole, 2},     {Nothing, Part, Whole, 3},
      {Nothing, Nothing, Whole, 3}, {Nothing, Whole, Nothing, 2},   {Nothing, Part, Nothing, 0},
      {Nothing, Nothing, Part, 0},  {Nothing, Nothing, Nothing, 0},
  };
  for (const auto& state : states) {
    const TempFolder folder;
    make_state(folder, state.target, state.fresh, state.old);
    EXPECT_EQ(checkpoint_exists(folder / "x"), state.expected != 0);
    if (state.expected == 0) {
      expect_error([&] { load_checkpoint(folder / "x"); }, "load_checkpoint",
                   {"no checkpoint at " + (folder / "x")});
    } else {
      EXPECT_EQ(number_at(folder / "x"), state.expected);
    }
    // A save that fails changes nothing. A save that works leaves no other files.
    Checkpoint bad = numbered(4);
    bad.training.emplace_back("epoch", ones({1}));
    expect_error([&] { save_checkpoint(folder / "x", bad); }, "save_safetensors",
                 {"\"epoch\" comes twice"});
    EXPECT_EQ(checkpoint_exists(folder / "x"), state.expected != 0);
    if (state.expected != 0) {
      EXPECT_EQ(number_at(folder / "x"), state.expected);
    }
    save_checkpoint(folder / "x", numbered(5));
    EXPECT_EQ(number_at(folder / "x"), 5);
    EXPECT_EQ(names_in(folder / ""), (std::vector<std::string>{"x"}));
  }
}

TEST(Checkpoint, FoldersAreReplacedWithAndWithoutExchange) {
  for (bool may_exchange : {true, false}) {
    const TempFolder folder;
    const auto replace = [&] {
      detail::replace_folder("test", folder / "new", folder / "x", folder / "old", may_exchange);
    };
    save_checkpoint(folder / "new", numbered(1));
    replace();
    EXPECT_EQ(number_at(folder / "x"), 1);
    save_checkpoint(folder / "new", numbered(2));
    replace();
    EXPECT_EQ(number_at(folder / "x"), 2);
    EXPECT_EQ(number_at(folder / (may_exchange ? "new" : "old")), 1);
    EXPECT_EQ(names_in(folder / "").size(), 2u);
    fs::remove_all(folder / "new");
    fs::remove_all(folder / "old");
    EXPECT_THROW(replace(), Error);  // there is no replacement, so the target is kept
    EXPECT_EQ(number_at(folder / "x"), 2);
  }
}

// Saves one checkpoint after the other, with increasing numbers, until the process is killed.
[[noreturn]] void save_for_ever(const std::string& folder, int64_t first) {
  try {
    for (int64_t n = first;; ++n) save_checkpoint(folder, numbered(n, 100'000));
  } catch (const std::exception& error) {
    const std::string text = std::string(error.what()) + "\n";
    (void)!write(2, text.data(), text.size());
  }
  _exit(1);
}

uint32_t number_of(const char* variable, uint32_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? static_cast<uint32_t>(std::strtoul(text, nullptr, 10)) : otherwise;
}

// scripts/torture sets EBB_KILLS and EBB_SEED.
TEST(Checkpoint, KilledAtAnyMomentOneRemains) {
  const uint32_t kills = number_of("EBB_KILLS", 25), seed = number_of("EBB_SEED", 1);
  const TempFolder folder;
  int64_t last = 0;
  save_checkpoint(folder / "x", numbered(last, 100'000));
  const auto begin = std::chrono::steady_clock::now();
  save_checkpoint(folder / "x", numbered(last, 100'000));
  const auto one_save = std::chrono::steady_clock::now() - begin;
  for (uint32_t kill = 0; kill < kills || (last <= 5 && kill < 8 * kills); ++kill) {
    const pid_t child = fork();
    if (child == 0) save_for_ever(folder / "x", last + 1);
    // Up to four saves; more as time goes by, so that a busy machine meets enough of them too.
    std::this_thread::sleep_for(one_save * (philox(seed, kill).word[0] % 1000) / 250 *
                                (1 + kill / kills));
    ::kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the child ended by itself";
    const int64_t number = number_at(folder / "x");
    ASSERT_GE(number, last) << "after kill " << kill;
    last = number;
  }
  EXPECT_GT(last, 5) << "too few saves for the kills to meet one";
}

// Replaces the checkpoint at x repeatedly, as a save does at its end. Returns what a reader finds
// during this time.
std::string read_while_replacing(bool may_exchange) {
  const TempFolder folder;
  for (int64_t n : {0, 1}) save_checkpoint(folder / std::to_string(n), numbered(n, 2000));
  fs::copy(folder / "0", folder / "x");
  std::atomic<bool> done = false;
  std::thread writer([&] {
    for (int turn = 1; turn <= 400; ++turn) {
      fs::copy(folder / std::to_string(turn % 2), folder / ".x.ebb-new");
      detail::replace_folder("test", folder / ".x.ebb-new", folder / "x", folder / ".x.ebb-old",
                             may_exchange);
      fs::remove_all(folder / (may_exchange ? ".x.ebb-new" : ".x.ebb-old"));
    }
    done = true;
  });
  int reads = 0;
  std::string wrong;
  for (; !done; ++reads) {
    try {
      if (number_at(folder / "x") < 0) wrong += "a mixture; ";
    } catch (const Error& error) {
      wrong += std::string(error.what()) + "; ";
    }
  }
  writer.join();
  EXPECT_GT(reads, 50);
  return wrong;
}

TEST(Checkpoint, ReadersSeeACompleteCheckpointWhileItIsReplaced) {
  EXPECT_EQ(read_while_replacing(true), "");
  EXPECT_EQ(read_while_replacing(false), "");
}

TEST(Checkpoint, AFullDiskKeepsTheOldOne) {
  const TempFolder folder;
  save_checkpoint(folder / "x", numbered(1));
  for (rlim_t limit : {0, 1000, 90'000, 500'000}) {  // the model alone takes 400 kB
    const pid_t child = fork();
    if (child == 0) {
      signal(SIGXFSZ, SIG_IGN);
      const rlimit most{limit, limit};
      setrlimit(RLIMIT_FSIZE, &most);
      try {
        save_checkpoint(folder / "x", numbered(2, 100'000));
      } catch (const Error& error) {
        _exit(std::strstr(error.what(), "File too large") ? 0 : 2);
      }
      _exit(1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << limit;
    EXPECT_EQ(number_at(folder / "x"), 1);
    EXPECT_EQ(names_in(folder / ""), (std::vector<std::string>{"x"}));  // the space has been freed
  }
}

TEST(Checkpoint, DamagedOnesAreErrorsAndAreNotSkipped) {
  const TempFolder folder;
  make_state(folder, Left::Whole, Left::Whole, Left::Whole);
  const std::string model = folder / "x/model.safetensors",
                    training = folder / "x/training.safetensors";
  const std::string bytes = test::read_bytes(model);
  test::write_bytes(model, bytes.substr(0, bytes.size() - 1));
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_safetensors", {model, "truncated"});
  fs::remove(model);
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_safetensors", {model, "No such file"});
  test::write_bytes(model, bytes);
  save_safetensors(training, {}, {});
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_checkpoint",
               {training, "not part of a checkpoint"});
  save_safetensors(training, {}, {{"ebb.checkpoint", "2"}});
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_checkpoint",
               {"layout \"2\", this program reads 1"});
  expect_error(
      [&] {
        save_checkpoint(folder / "y", {{}, {}, {{"ebb.checkpoint", "1"}}});
      },
      "save_checkpoint", {"ebb.checkpoint is reserved"});
}

}  // namespace
}  // namespace ebb
