// Runs the examples like a user: accuracy, resuming bit for bit, Ctrl-C, kill -9, and every kind of
// wrong input.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
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

  // Starts an example and redirects its output to files.
  pid_t start(const std::string& example, std::vector<std::string> arguments) {
    const fs::path program = fs::path(EBB_EXAMPLES_DIR) / example;
    const pid_t child = fork();
    if (child != 0) return child;
    if (!freopen((folder_ / "out").c_str(), "w", stdout) ||
        !freopen((folder_ / "err").c_str(), "w", stderr))
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
    return {WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
            read_file(folder_ / "out"), read_file(folder_ / "err")};
  }

  Result run(const std::string& example, const std::vector<std::string>& arguments) {
    return finish(start(example, arguments));
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  // Checks that a failure is one line on standard error.
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
  ASSERT_EQ(
      std::sscanf(r.out.c_str(), "[[%lf],\n [%lf],\n [%lf],\n [%lf]]", p, p + 1, p + 2, p + 3), 4)
      << r.out;
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

TEST_F(Examples, PinnSolvesTheHeatEquation) {
  const Result r = run("pinn", {"--out", path("pinn"), "--epochs", "60"});
  ASSERT_EQ(r.status, 0) << r.error;
  const size_t at = r.out.rfind("largest error: ");
  ASSERT_NE(at, std::string::npos) << r.out;
  EXPECT_LT(std::atof(r.out.c_str() + at + 15), 0.02) << r.out;
  EXPECT_EQ(read_file(path("pinn/solution.png")).substr(1, 3), "PNG");
}

TEST_F(Examples, CartpoleBalancesThePole) {
  for (const char* seed : {"1", "2", "3"}) {
    const Result r = run("cartpole", {"--out", path(seed), "--seed", seed});
    EXPECT_EQ(r.status, 0) << r.out << r.error;
    EXPECT_NE(r.out.find("\nsolved after "), std::string::npos) << r.out;
    EXPECT_EQ(read_file(path(seed) + "/returns.png").substr(1, 3), "PNG");
  }
  const Result untrained = run("cartpole", {"--out", path("o"), "--episodes", "150", "--lr", "0"});
  EXPECT_EQ(untrained.status, 1);
  EXPECT_NE(untrained.out.find("not solved after 150 episodes"), std::string::npos);
  expect_one_line(run("cartpole", {"--episodes", "0"}), "--episodes");
}

TEST_F(Examples, DigitsCtcReadsStrips) {
  const Result r = run("digits_ctc", {"--out", path("ctc"), "--epochs", "3"});
  ASSERT_EQ(r.status, 0) << r.error;
  const size_t at = r.out.rfind("digits in error: ");
  ASSERT_NE(at, std::string::npos) << r.out;
  EXPECT_LT(std::atof(r.out.c_str() + at + 17), 8) << r.out;
}

TEST_F(Examples, LanguagesComparesTwoNetworks) {
  const Result r = run("languages", {"--out", path("languages"), "--epochs", "1"});
  ASSERT_EQ(r.status, 0) << r.error;
  EXPECT_GE(last_accuracy(r), 30) << r.out;  // the transformer; chance is 10
  EXPECT_NE(r.out.find("recurrent, "), std::string::npos) << r.out;
  expect_one_line(run("languages", {"--data", path("none")}), "none");
}

// Two classes that a convolution tells apart at once: horizontal and vertical stripes.
TEST_F(Examples, FashionCnnTrainsAndDrawsItsFiltersAndMistakes) {
  const auto write = [&](const std::string& name, int count) {
    std::ofstream images(path(name + "-images-idx3-ubyte"), std::ios::binary);
    std::ofstream labels(path(name + "-labels-idx1-ubyte"), std::ios::binary);
    const auto word = [](std::ofstream& file, int value) {
      for (int shift : {24, 16, 8, 0}) file.put(static_cast<char>(value >> shift));
    };
    for (int value : {0x803, count, 28, 28}) word(images, value);
    for (int value : {0x801, count}) word(labels, value);
    for (int i = 0; i < count; ++i) {
      labels.put(static_cast<char>(i % 2));
      for (int p = 0; p < 28 * 28; ++p)
        images.put(static_cast<char>((i % 2 ? p % 28 : p / 28) % 4 < 2 ? 200 - i % 50 : 0));
    }
  };
  write("train", 200);
  write("t10k", 40);
  const Result r = run("fashion_cnn", {"--data", folder_, "--out", path("f"), "--epochs", "4",
                                       "--batch-size", "20"});
  ASSERT_EQ(r.status, 0) << r.error;
  EXPECT_EQ(last_accuracy(r), 100) << r.out;
  for (const char* picture : {"f/filters.png", "f/mistakes.png"})
    EXPECT_EQ(read_file(path(picture)).substr(1, 3), "PNG");
}

// Returns the numbers in the line of a table that starts with label, without "%" and "|". A "-" is
// NaN.
std::vector<double> row(const Result& r, const std::string& label) {
  std::istringstream lines(r.out);
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind(label, 0) != 0) continue;
    std::vector<double> numbers;
    std::istringstream words(line.substr(label.size()));
    for (std::string word; words >> word;) {
      if (word == "-") numbers.push_back(std::nan(""));
      else if (word != "%" && word != "|") numbers.push_back(std::atof(word.c_str()));
    }
    return numbers;
  }
  ADD_FAILURE() << "no line '" << label << "' in\n" << r.out;
  return std::vector<double>(10, std::nan(""));
}

// Each example must show its effect for other seeds too, and print the right conclusion.
TEST_F(Examples, ClassWeightsFindRareClasses) {
  for (const char* seed : {"1", "11", "12"}) {
    const Result r = run("imbalanced", {"--out", path(seed), "--seed", seed});
    ASSERT_EQ(r.status, 0) << r.error;
    const auto rare = row(r, "Fpv Close"), mean = row(r, "mean of the classes' recalls"),
               accuracy = row(r, "accuracy");
    EXPECT_EQ(rare[0] + rare[1], 50) << r.out;
    EXPECT_GT(rare[4], rare[3] + 15) << r.out;  // train, test, weight, then the recalls
    EXPECT_GT(mean[1], mean[0] + 4) << r.out;
    EXPECT_NEAR(mean[2], mean[1], 1) << "weighted NLL on log-softmax is weighted cross-entropy\n"
                                     << r.out;
    EXPECT_GT(accuracy[1], 98) << r.out;
    EXPECT_NE(r.out.find("Class weights raise the mean recall"), std::string::npos) << r.out;
  }
}

TEST_F(Examples, PosWeightFindsMoreLabels) {
  for (const char* seed : {"1", "11", "12"}) {
    const Result r = run("multilabel", {"--out", path(seed), "--seed", seed});
    ASSERT_EQ(r.status, 0) << r.error;
    const auto bce = row(r, "BCE on sigmoid"), logits = row(r, "BCEWithLogits "),
               weighted = row(r, "BCEWithLogits, pos_weight"), margin = row(r, "MultiLabelMargin");
    EXPECT_NEAR(bce[2], logits[2], 0.5) << r.out;     // precision, recall, F1, macro F1, twice
    EXPECT_GT(weighted[1], logits[1] + 15) << r.out;  // recall
    EXPECT_GT(weighted[2], logits[2] + 1) << r.out;   // F1
    EXPECT_TRUE(std::isnan(margin[2])) << r.out;      // no threshold of its own
    EXPECT_GT(margin[6], 60) << r.out;                // F1 with one chosen for it
    EXPECT_NE(r.out.find("pos_weight raises the F1"), std::string::npos) << r.out;
  }
}

TEST_F(Examples, OutliersSpoilMseAlone) {
  for (const char* seed : {"1", "11", "12"}) {
    const Result r = run("outliers", {"--out", path(seed), "--seed", seed});
    ASSERT_EQ(r.status, 0) << r.error;
    const auto mse = row(r, "MSE "), l1 = row(r, "L1"), smooth = row(r, "SmoothL1"),
               clean = row(r, "MSE without the wrong hour");
    for (size_t measure : {0, 1}) {  // mean error and root mean square error
      EXPECT_LT(1.08 * l1[measure], mse[measure]) << r.out;
      EXPECT_LT(1.08 * smooth[measure], mse[measure]) << r.out;
      EXPECT_LT(l1[measure], 1.1 * clean[measure]) << r.out;
    }
    EXPECT_NE(r.out.find("spoils MSE, but not L1 and SmoothL1"), std::string::npos) << r.out;
  }
}

TEST_F(Examples, DistillationTeachesADigitNeverShown) {
  for (const char* seed : {"1", "11"}) {
    const Result r = run("distillation", {"--out", path(seed), "--seed", seed});
    ASSERT_EQ(r.status, 0) << r.error;
    const auto teacher = row(r, "large, all digits, CrossEntropy"),
               labels = row(r, "small, no 3, CrossEntropy on the labels"),
               distilled = row(r, "small, no 3, KLDiv from the large one");
    EXPECT_LT(10 * distilled[0], teacher[0]) << r.out;  // parameters, accuracy, recall of 3
    EXPECT_GT(distilled[1], labels[1] + 5) << r.out;
    EXPECT_LT(labels[2], 5) << r.out;
    EXPECT_GT(distilled[2], 75) << r.out;
    EXPECT_NE(r.out.find("knows a digit that it was never shown:"), std::string::npos) << r.out;
  }
}

TEST_F(Examples, AConclusionDependsOnTheRun) {
  const Result distillation = run("distillation", {"--out", path("d"), "--epochs", "1"});
  EXPECT_NE(distillation.out.find("does not know"), std::string::npos) << distillation.out;
  const Result outliers = run("outliers", {"--out", path("o"), "--epochs", "1", "--lr", "1e-9"});
  EXPECT_NE(outliers.out.find("not both better than MSE"), std::string::npos) << outliers.out;
}

// An example trains several models in one run. After Ctrl-C, finished models are kept and the
// stopped one continues.
TEST_F(Examples, AComparisonResumesWhereItStopped) {
  const std::vector<std::string> flags{"--epochs", "1500", "--threads", "1"};
  auto with = [&](const char* out, bool resume) {
    std::vector<std::string> all = flags;
    all.insert(all.end(), {"--out", path(out)});
    if (resume) all.push_back("--resume");
    return all;
  };
  const Result whole = run("outliers", with("whole", false));
  ASSERT_EQ(whole.status, 0) << whole.error;
  fs::remove(path("out"));
  const pid_t child = start("outliers", with("parts", false));
  for (int wait = 0;
       wait < 2000 && read_file(path("out")).find("trained mse:") == std::string::npos; ++wait) {
    usleep(5000);
  }
  usleep(150000);  // reaches the second model
  kill(child, SIGINT);
  const Result stopped = finish(child);
  ASSERT_EQ(stopped.status, 130) << stopped.out;
  EXPECT_NE(stopped.out.find("parts/l1 (continue with --resume)"), std::string::npos)
      << stopped.out;
  EXPECT_FALSE(fs::exists(path("parts/mse_clean")));
  const Result resumed = run("outliers", with("parts", true));
  ASSERT_EQ(resumed.status, 0) << resumed.error;
  EXPECT_NE(resumed.out.find("trained mse: 0 epochs"), std::string::npos) << resumed.out;
  EXPECT_LT(row(resumed, "trained l1:")[0], 1500) << "began anew\n" << resumed.out;
  const auto table = [](const Result& r) { return r.out.substr(r.out.find("Trained on")); };
  EXPECT_EQ(table(resumed), table(whole));
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
  // Stopped during training, once or several times, until it finishes.
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
    EXPECT_EQ(waitpid(child, nullptr, WNOHANG), 0)
        << "did not resume: " << read_file(folder_ / "err");
  }
  kill(child, SIGKILL);
  finish(child);
}

TEST_F(Examples, WrongInputIsOneLine) {
  expect_one_line(run("digits", {"--epoch-count", "3"}), "--epoch-count");
  expect_one_line(run("xor", {"--bogus"}), "takes no flags except");
  expect_one_line(run("digits", {"--epochs", "many"}), "many");
  expect_one_line(run("digits", {"--epochs", "0", "--out", path("o")}), "[Trainer]");
  expect_one_line(run("digits", {"--data", path("nowhere.csv")}), "nowhere.csv");
  expect_one_line(run("fashion_mnist", {"--data", path("empty")}), "dataset-fashion-mnist");
  expect_one_line(run("digits", {"--resume", "--out", path("never")}), "never/checkpoint");
  expect_one_line(run("outliers", {"--resume", "--out", path("never")}), "never/mse");
  expect_one_line(run("imbalanced", {"--data", path("nowhere.csv")}), "nowhere.csv");
  expect_one_line(run("imbalanced", {"--data", EBB_DATA_DIR "/digits.csv.gz"}),
                  "expected 10 columns, got 65");
  expect_one_line(run("outliers", {"--data", EBB_DATA_DIR "/digits.csv.gz"}),
                  "expected 5 columns, got 65");
  std::ofstream(path("file")) << "text";
  for (const char* example : {"digits", "spirals", "outliers"}) {  // before the first epoch
    const Result r = run(example, {"--out", path("file/out"), "--epochs", "1000000"});
    expect_one_line(r, "file/out: Not a directory");
  }
  expect_one_line(run("digits", {"--device", "tpu"}), "tpu");
  expect_one_line(run("digits", {"--device", "cuda:1", "--out", path("o")}), "[backend] ");
}

TEST_F(Examples, ResumingWithFewerEpochsSaysSo) {
  ASSERT_EQ(run("digits", {"--out", path("o"), "--epochs", "3"}).status, 0);
  const Result r = run("digits", {"--out", path("o"), "--epochs", "2", "--resume"});
  EXPECT_EQ(r.status, 0) << r.error;
  EXPECT_EQ(r.out.rfind("nothing left to train: epoch 3 of 2\n", 0), 0u) << r.out;
}

TEST_F(Examples, AnotherArchitectureIsNamed) {
  ASSERT_EQ(run("spirals", {"--out", path("o"), "--epochs", "1"}).status, 0);
  // A checkpoint of other data is refused before the names of its parameters are compared.
  expect_one_line(run("digits", {"--out", path("o"), "--resume"}), "was trained on 600 samples");
}

}  // namespace
