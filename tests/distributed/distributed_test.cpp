// Runs a worker program under mpirun, with each MPI that was found: results in bits, and every kind
// of failure of a rank.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include "parts.h"

namespace {

namespace fs = std::filesystem;
using namespace ebb;

// Seconds in which a run with a failing rank ends, its start on a machine with other load included.
// Without a detection of the failure it would last for the 120 s of run().
constexpr double kSoon = 60;

struct Mpi {
  std::string name, mpirun;
  friend void PrintTo(const Mpi& mpi, std::ostream* out) { *out << mpi.name; }
};

// Without an MPI the tests are skipped, under the name of what is missing.
std::vector<Mpi> all_mpi() {
  const std::vector<Mpi> found{EBB_MPIRUNS};
  return found.empty() ? std::vector<Mpi>{{"no_mpi_was_found", ""}} : found;
}

struct Result {
  int status = -1;
  std::string output;  // standard output and error
  double seconds = 0;

  bool says(const std::string& text) const { return lines_with(text) > 0; }
  int lines_with(const std::string& text) const {
    std::istringstream lines(output);
    int count = 0;
    for (std::string line; std::getline(lines, line);)
      count += line.find(text) != std::string::npos;
    return count;
  }
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class Distributed : public ::testing::TestWithParam<Mpi> {
 protected:
  void SetUp() override {
    if (GetParam().mpirun.empty()) GTEST_SKIP() << "no MPI was found when this was configured";
    std::string pattern = fs::temp_directory_path() / "ebb-distributed-XXXXXX";
    folder_ = mkdtemp(pattern.data());
    setenv("OMP_NUM_THREADS", "1", 1);
    setenv("EBB_DISTRIBUTED_TIMEOUT", "90", 1);
    unsetenv("EBB_DISTRIBUTED_SHARED_MEMORY");
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  // Runs the worker, or another program, on this number of ranks.
  Result run(int ranks, const std::string& arguments, const std::string& program = EBB_WORKER) {
    const fs::path log = folder_ / "log";
    // A run that hangs is a failure, not a hanging test.
    const std::string command = "timeout -k 5 120 " + mpirun(ranks) + program + " " + arguments +
                                " >" + log.string() + " 2>&1 </dev/null";
    const auto start = std::chrono::steady_clock::now();
    const int status = std::system(command.c_str());
    Result result{WEXITSTATUS(status), read_file(log), 0};
    result.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return result;
  }

  static std::string mpirun(int ranks) {
    std::string command = GetParam().mpirun + " -n " + std::to_string(ranks);
    if (GetParam().name == "openmpi")
      command += " --allow-run-as-root --oversubscribe --bind-to none";
    return command + " ";
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  fs::path folder_;
};

// Every assertion of the worker: sums, averages, trainings bit for bit, validation, differences.
TEST_P(Distributed, ChecksOfAllRanksHold) {
  for (const int ranks : {1, 2, 3, 4}) {
    const Result r = run(ranks, "check");
    EXPECT_EQ(r.status, 0) << r.output;
    for (int rank = 0; rank < ranks; ++rank) {
      EXPECT_TRUE(
          r.says("rank " + std::to_string(rank) + " of " + std::to_string(ranks) + " is done"))
          << r.output;
    }
  }
}

// The same by messages, as between nodes.
TEST_P(Distributed, ChecksHoldWithoutSharedMemory) {
  setenv("EBB_DISTRIBUTED_SHARED_MEMORY", "0", 1);
  for (const int ranks : {2, 3}) {
    const Result r = run(ranks, "check");
    EXPECT_EQ(r.status, 0) << r.output;
  }
}

// A stop on one rank stops all after the same batch. Another number of ranks continues.
TEST_P(Distributed, AStoppedTrainingResumesWithAnotherNumberOfRanks) {
  const Result whole = run(2, "train " + path("whole") + " 4 -1 0");
  ASSERT_EQ(whole.status, 0) << whole.output;
  const Result stopped = run(2, "train " + path("parts") + " 4 1 0");
  EXPECT_EQ(stopped.status, 130) << stopped.output;
  fs::copy(path("parts"), path("other"), fs::copy_options::recursive);
  const Result resumed = run(2, "train " + path("parts") + " 4 -1 1");
  ASSERT_EQ(resumed.status, 0) << resumed.output;
  for (const char* file : {"model.safetensors", "training.safetensors"})
    EXPECT_EQ(read_file(path("whole/") + file), read_file(path("parts/") + file)) << file;
  // One progress line per epoch, by rank 0, and one writer of the log.
  EXPECT_EQ(whole.lines_with("epoch 4/4"), 1) << whole.output;
  EXPECT_EQ(read_file(path("whole.csv")), read_file(path("parts.csv")));

  const Result more = run(3, "train " + path("other") + " 4 -1 1");
  ASSERT_EQ(more.status, 0) << more.output;
  const Checkpoint two = load_checkpoint(path("whole")), three = load_checkpoint(path("other"));
  for (size_t k = 0; k < two.model.size(); ++k)
    EXPECT_TRUE(allclose(two.model[k].second, three.model[k].second, 1e-4, 1e-5));
}

// Ctrl-C on a terminal reaches mpirun, and with MPICH the ranks too, to which mpirun sends it
// again. All ranks stop after the same batch, and rank 0 saves.
TEST_P(Distributed, ASignalStopsAllRanksWithACheckpoint) {
  for (const char* whom : {"$run", "-$run"}) {
    const std::string folder = path(*whom == '-' ? "group" : "mpirun");
    const std::string log = folder + ".log";
    // In a session of its own, mpirun leads the process group that gets the signal.
    const std::string worker = "exec setsid " + mpirun(2) + EBB_WORKER + " train " + folder +
                               " 1000000 -1 0 >" + log + " 2>&1 </dev/null";
    const std::string until_first_epoch =
        "for k in $(seq 400); do [ -e " + folder + ".csv ] && break; sleep 0.05; done; ";
    const int status = std::system(
        ("(" + worker + ") & run=$!; " + until_first_epoch + "kill -TERM " + whom + "; wait $run")
            .c_str());
    // MPICH's mpirun sometimes ends with 0 after a signal.
    EXPECT_TRUE(status != 0 || GetParam().name == "mpich");
    ASSERT_TRUE(checkpoint_exists(folder)) << read_file(log);
    EXPECT_FALSE(load_checkpoint(folder).model.empty());
  }
}

TEST_P(Distributed, AnExceptionOnARankEndsAllRanks) {
  for (const char* rank : {"0", "1"}) {
    const Result r = run(3, std::string("throw ") + rank);
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(r.says("[loss] a mistake in this loss")) << r.output;
    EXPECT_LT(r.seconds, kSoon);
  }
}

TEST_P(Distributed, AKilledRankEndsAllRanks) {
  for (const char* rank : {"0", "2"}) {
    const Result r = run(3, std::string("kill ") + rank);
    EXPECT_NE(r.status, 0);
    EXPECT_LT(r.seconds, kSoon);
  }
}

TEST_P(Distributed, ARankThatEndsItsProgramIsNamed) {
  const Result failed = run(3, "exit 1");
  EXPECT_EQ(failed.status, 3) << failed.output;
  EXPECT_TRUE(failed.says("[distributed] rank 1 of 3")) << failed.output;
  EXPECT_TRUE(failed.says("ended with exit status 3")) << failed.output;
  const Result left = run(3, "leave 2");
  EXPECT_NE(left.status, 0);
  EXPECT_TRUE(left.says("rank 2 ended its program without the others")) << left.output;
  for (const Result& r : {failed, left}) EXPECT_LT(r.seconds, kSoon);
}

TEST_P(Distributed, ARankThatDoesNotComeIsNamed) {
  setenv("EBB_DISTRIBUTED_TIMEOUT", "1", 1);
  for (const char* shared : {"1", "0"}) {
    setenv("EBB_DISTRIBUTED_SHARED_MEMORY", shared, 1);
    const Result r = run(3, "sleep 1");
    EXPECT_NE(r.status, 0);
    EXPECT_TRUE(r.says("rank 1 did not come after")) << r.output;
    EXPECT_FALSE(r.says("rank 0 did not come")) << r.output;
    EXPECT_FALSE(r.says("rank 2 did not come")) << r.output;
    EXPECT_LT(r.seconds, kSoon);
  }
}

TEST_P(Distributed, AbortEndsAllRanksWithItsMessage) {
  const Result r = run(2, "abort 1");
  EXPECT_EQ(r.status, 1) << r.output;
  EXPECT_TRUE(r.says("[distributed] rank 1 of 2 on ")) << r.output;
  EXPECT_TRUE(r.says(": out of paper")) << r.output;
}

TEST_P(Distributed, AWrongTimeoutIsAnError) {
  setenv("EBB_DISTRIBUTED_TIMEOUT", "soon", 1);
  const Result r = run(2, "check");
  EXPECT_NE(r.status, 0);
  EXPECT_TRUE(r.says("EBB_DISTRIBUTED_TIMEOUT: expected seconds above 0, got 'soon'")) << r.output;
}

#ifdef EBB_DIGITS
// An example under mpirun writes the checkpoint of a process that does the work of all ranks.
TEST_P(Distributed, AnExampleTrainsBitForBit) {
  const Result r = run(2, "--epochs 2 --out " + path("digits"), EBB_DIGITS);
  ASSERT_EQ(r.status, 0) << r.output;
  EXPECT_EQ(r.lines_with("test accuracy"), 1) << r.output;

  manual_seed(1);
  const data::Dataset digits = data::load_digits(EBB_DATA_DIR "/digits.csv.gz");
  const data::Dataset train = digits.take(data::stratified_split(digits.targets(), 0.25, 0).train);
  nn::Sequential model(nn::Linear(64, 128), nn::ReLU(), nn::Dropout(0.2), nn::Linear(128, 10));
  nn::Adam optimizer(model.named_parameters(), {.lr = 2e-3});
  const data::DataLoader loader(train, {.batch_size = 32, .shuffle = true, .seed = 1});
  test::train_in_parts(model, optimizer, loader, nn::CrossEntropyLoss(), 2, 2);
  const Checkpoint saved = load_checkpoint(path("digits/checkpoint"));
  for (const auto& [name, tensor] : model.state_dict()) {
    for (const auto& [key, value] : saved.model) {
      if (key == name) {
        EXPECT_TRUE(equal(tensor, value)) << name;
      }
    }
  }
}
#endif

// Two processes that MPI does not connect must not train alone, each for itself.
TEST_P(Distributed, ProcessesOfAnotherLauncherAreAnError) {
  const bool is_openmpi = GetParam().name == "openmpi";
  setenv(is_openmpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE", "2", 1);
  const std::string log = path("log");
  EXPECT_NE(std::system((std::string(EBB_WORKER " check >") + log + " 2>&1").c_str()), 0);
  unsetenv(is_openmpi ? "OMPI_COMM_WORLD_SIZE" : "PMI_SIZE");
  const std::string output = read_file(log);
  EXPECT_NE(output.find("1 of 2 processes"), std::string::npos) << output;
}

INSTANTIATE_TEST_SUITE_P(Mpi, Distributed, ::testing::ValuesIn(all_mpi()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
