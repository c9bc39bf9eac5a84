// The examples as a user runs them: accuracy, resuming bit for bit, Ctrl-C, kill -9, and every kind of wrong input.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

namespace {

namespace fs = std::filesystem;

struct Result {
  int status;
  std::string out, error;
};

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

class Examples : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = fs::temp_directory_path() / "ebb-examples-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override { fs::remove_all(folder_); }

  // Starts an example with its output going to files.
  pid_t start(const std::string& example, std::vector<std::string> arguments) {
    const fs::path program = fs::path(EBB_EXAMPLES_DIR) / example;
    const pid_t child = fork();
    if (child != 0) return child;
    if (!freopen((folder_ / "out").c_str(), "w", stdout) || !freopen((folder_ / "err").c_str(), "w", stderr))
      _exit(126);
    setenv("OMP_WAIT_POLICY", "passive", 1);
    std::vector<char*> argv{const_cast<char*>(program.c_str())};
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    execv(program.c_str(), argv.data());
    _exit(127);
  }

  Result finish(pid_t child) {
    int status = 0;
    waitpid(child, &status, 0);
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), read_file(folder_ / "out"),
            read_file(folder_ / "err")};
  }

  Result run(const std::string& example, const std::vector<std::string>& arguments) {
    return finish(start(example, arguments));
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  // A failure as a user should see it: one line on standard error.
  static void expect_one_line(const Result& r, const std::string& part) {
    EXPECT_NE(r.status, 0);
    EXPECT_EQ(std::count(r.error.begin(), r.error.end(), '\n'), 1) << r.error;
    EXPECT_NE(r.error.find(part), std::string::npos) << r.error;
  }

  fs::path folder_;
};

double last_accuracy(const Result& r) {
  const size_t at = r.out.rfind("test accuracy: ");
  return at == std::string::npos ? -1 : std::atof(r.out.c_str() + at + 15);
}

TEST_F(Examples, XorLearnsTheTable) {
  const Result r = run("xor", {});
  ASSERT_EQ(r.status, 0) << r.error;
  double p[4] = {};
  ASSERT_EQ(std::sscanf(r.out.c_str(), "[[%lf],\n [%lf],\n [%lf],\n [%lf]]", p, p + 1, p + 2, p + 3), 4) << r.out;
  EXPECT_LT(p[0], 0.1);
  EXPECT_GT(p[1], 0.9);
  EXPECT_GT(p[2], 0.9);
  EXPECT_LT(p[3], 0.1);
}

TEST_F(Examples, DigitsReach96Percent) {
  const Result r = run("digits", {"--out", path("digits")});
  ASSERT_EQ(r.status, 0) << r.error;
  EXPECT_GE(last_accuracy(r), 96) << r.out;
  EXPECT_EQ(r.out.substr(r.out.size() - 2), "%\n") << "the accuracy is the last figure";
  EXPECT_TRUE(fs::exists(path("digits/checkpoint/model.safetensors")));
}

TEST_F(Examples, SpiralsDrawTheirBoundary) {
  const Result r = run("spirals", {"--out", path("spirals"), "--epochs", "40"});
  ASSERT_EQ(r.status, 0) << r.error;
  EXPECT_GE(last_accuracy(r), 97) << r.out;
  EXPECT_EQ(read_file(path("spirals/decision_boundary.png")).substr(1, 3), "PNG");
}

TEST_F(Examples, ResumingContinuesBitForBit) {
  const std::vector<std::string> flags{"--epochs", "30", "--threads", "1"};
  auto with = [&](const char* out, bool resume) {
    std::vector<std::string> all = flags;
    all.insert(all.end(), {"--out", path(out)});
    if (resume) all.push_back("--resume");
    return all;
  };
  const Result whole = run("digits", with("whole", false));
  ASSERT_EQ(whole.status, 0) << whole.error;
  // Stopped in the middle, once or several times, until it gets through.
  int stops = 0;
  Result r{};
  for (int attempt = 0; attempt < 40; ++attempt) {
    const pid_t child = start("digits", with("parts", attempt > 0));
    for (int wait = 0; wait < 400 && !fs::exists(path("parts/checkpoint")); ++wait) usleep(5000);
    usleep(30000 + 20000 * attempt);
    kill(child, SIGINT);
    r = finish(child);
    if (r.status != 130) break;
    ++stops;
  }
  ASSERT_EQ(r.status, 0) << r.error;
  EXPECT_GE(stops, 1) << "never stopped: nothing was tested";
  EXPECT_EQ(read_file(path("whole/checkpoint/model.safetensors")),
            read_file(path("parts/checkpoint/model.safetensors")));
  EXPECT_EQ(last_accuracy(whole), last_accuracy(r));
}

TEST_F(Examples, KilledAtAnyMomentItResumes) {
  const std::vector<std::string> flags{"--epochs", "2000", "--out", path("killed")};
  pid_t child = start("spirals", flags);
  for (int wait = 0; wait < 2000 && !fs::exists(path("killed/checkpoint")); ++wait) usleep(5000);
  for (int i = 0; i < 8; ++i) {
    usleep(40000 + 17000 * i);
    kill(child, SIGKILL);
    finish(child);
    std::vector<std::string> resume = flags;
    resume.push_back("--resume");
    child = start("spirals", resume);
    usleep(150000);
    EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0) << "did not resume: " << read_file(folder_ / "err");
  }
  kill(child, SIGKILL);
  finish(child);
}

TEST_F(Examples, WrongInputIsOneLine) {
  expect_one_line(run("digits", {"--epoch-count", "3"}), "--epoch-count");
  expect_one_line(run("xor", {"--bogus"}), "takes no flags");
  expect_one_line(run("digits", {"--epochs", "many"}), "many");
  expect_one_line(run("digits", {"--epochs", "0", "--out", path("o")}), "[Trainer]");
  expect_one_line(run("digits", {"--data", path("nowhere.csv")}), "nowhere.csv");
  expect_one_line(run("fashion_mnist", {"--data", path("empty")}), "dataset-fashion-mnist");
  expect_one_line(run("digits", {"--resume", "--out", path("never")}), "never/checkpoint");
  expect_one_line(run("digits", {"--device", "tpu"}), "tpu");
  expect_one_line(run("digits", {"--device", "cuda", "--out", path("o")}), "not built in");
}

TEST_F(Examples, AnotherArchitectureIsNamed) {
  ASSERT_EQ(run("spirals", {"--out", path("o"), "--epochs", "1"}).status, 0);
  // Same batches and samples would be needed to get as far as the names: a checkpoint of other data is refused first.
  expect_one_line(run("digits", {"--out", path("o"), "--resume"}), "was trained on 600 samples");
}

}  // namespace
