// Runs every example with --device cuda and with --capture, on the GPU or the emulated one, and
// compares the parameters in its checkpoints with those of a training on the CPU. Each is a short
// training.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {
namespace {

namespace fs = std::filesystem;

#ifdef EBB_EMULATED_PROGRAMS
constexpr double kTolerance = 1e-4;
#else  // cuBLAS sums in another order, and Adam's first steps depend on the signs of tiny gradients
constexpr double kTolerance = 1e-3;
#endif

class ExamplesOnGpu : public testing::Test {
 protected:
  void SetUp() override {
#ifndef EBB_EMULATED_PROGRAMS
    if (!cuda::is_available()) GTEST_SKIP() << "this machine has no GPU that works";
#endif
    std::string pattern = fs::temp_directory_path() / "ebb-gpu-examples-XXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  void TearDown() override {
    if (!folder_.empty()) fs::remove_all(folder_);
  }

  std::string path(const std::string& name) const { return folder_ / name; }

  // Returns its output. Fails unless it ended without errors.
  std::string run(const std::string& example, const std::string& flags) const {
    const std::string log = path("log"), program = std::string(EBB_PROGRAMS) + "/" + example;
    const std::string command =
        "OMP_WAIT_POLICY=passive " + program + " " + flags + " >" + log + " 2>&1";
    const int status = std::system(command.c_str());
    std::ifstream file(log);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << command << "\n" << text;
    return text;
  }

  // Returns the parameters of all models that a run has saved, by the folder of the checkpoint and
  // their names.
  static std::map<std::string, std::vector<double>> parameters(const std::string& out) {
    std::map<std::string, std::vector<double>> found;
    for (const auto& entry : fs::recursive_directory_iterator(out)) {
      if (entry.path().filename() != "model.safetensors") continue;
      const std::string model = fs::relative(entry.path().parent_path(), out);
      for (const auto& [name, tensor] : load_safetensors(entry.path()).tensors) {
        found[model + " " + name] = tensor.to_vector<double>();
      }
    }
    return found;
  }

  // Trains `models` models on the CPU, on the GPU with captured steps, and usually also on the GPU
  // without.
  void compare(const std::string& example, const std::string& flags, size_t models,
               bool eager = true) const {
    run(example, flags + " --out " + path("cpu"));
    run(example, flags + " --device cuda --capture --out " + path("captured"));
    const auto want = parameters(path("cpu")), captured = parameters(path("captured"));
    if (eager) {
      run(example, flags + " --device cuda --out " + path("eager"));
      EXPECT_EQ(parameters(path("eager")), captured);
    }
    ASSERT_GE(want.size(), 2 * models);  // a weight and a bias at least
    ASSERT_EQ(captured.size(), want.size());
    for (const auto& [name, values] : want) {
      ASSERT_TRUE(captured.contains(name)) << name;
      const std::vector<double>& got = captured.at(name);
      ASSERT_EQ(got.size(), values.size()) << name;
      double error = 0, norm = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        error += (got[i] - values[i]) * (got[i] - values[i]);
        norm += values[i] * values[i];
      }
      EXPECT_LT(std::sqrt(error), kTolerance * std::sqrt(norm) + 1e-7) << name;  // fails for NaN
    }
  }

  // Writes images of size x size and their classes as IDX files.
  void write_idx(const std::string& images, const std::string& labels, uint8_t count) const {
    std::ofstream pixels(path(images), std::ios::binary), classes(path(labels), std::ios::binary);
    const auto header = [count](std::ofstream& file, std::initializer_list<int> words) {
      for (int word : words)
        file.put(0).put(0).put(static_cast<char>(word >> 8)).put(static_cast<char>(word));
    };
    header(pixels, {0x803, count, 28, 28});
    header(classes, {0x801, count});
    for (int i = 0; i < count; ++i) {
      for (int p = 0; p < 28 * 28; ++p)
        pixels.put(static_cast<char>((i * 37 + p * (i % 10 + 1)) % 251));
      classes.put(static_cast<char>(i % 10));
    }
  }

  // Writes the first rows of each class of a table, whose last column is the class, as CSV.
  std::string some_of_each_class(const std::string& file, int rows) const {
    const Tensor table =
        data::read_csv(std::string(EBB_DATA_DIR) + "/" + file, {.dtype = f32}).values;
    const std::vector<float> values = table.to_vector<float>();
    const auto columns = static_cast<size_t>(table.size(1));
    std::ofstream out(path("some.csv"));
    std::map<float, int> taken;
    for (size_t row = 0; row < values.size(); row += columns) {
      if (taken[values[row + columns - 1]]++ >= rows) continue;
      for (size_t c = 0; c < columns; ++c) out << values[row + c] << (c + 1 < columns ? ',' : '\n');
    }
    return path("some.csv");
  }

  fs::path folder_;
};

TEST_F(ExamplesOnGpu, xor_net) {
  double cpu[4] = {}, gpu[4] = {};
  const auto read = [](const std::string& text, double* p) {
    return std::sscanf(text.c_str(), "[[%lf],\n [%lf],\n [%lf],\n [%lf]]", p, p + 1, p + 2, p + 3);
  };
  ASSERT_EQ(read(run("xor", ""), cpu), 4);
  ASSERT_EQ(read(run("xor", "--device cuda"), gpu), 4);
  for (int i = 0; i < 4; ++i) EXPECT_NEAR(gpu[i], cpu[i], 10 * kTolerance) << "row " << i;
}

// The image at its end takes the emulation a minute, so this runs once.
TEST_F(ExamplesOnGpu, spirals) { compare("spirals", "--epochs 1", 1, false); }

TEST_F(ExamplesOnGpu, digits) {
  compare("digits", "--epochs 2 --data " + some_of_each_class("digits.csv.gz", 40), 1);
}

TEST_F(ExamplesOnGpu, fashion_mnist) {
  write_idx("train-images-idx3-ubyte", "train-labels-idx1-ubyte", 100);
  write_idx("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte", 20);
  compare("fashion_mnist", "--epochs 2 --batch-size 32 --data " + folder_.string(), 1);
}

TEST_F(ExamplesOnGpu, imbalanced) {
  compare("imbalanced",
          "--epochs 2 --batch-size 128 --data " + some_of_each_class("shuttle.csv.gz", 200), 3);
}

TEST_F(ExamplesOnGpu, multilabel) { compare("multilabel", "--epochs 1 --batch-size 512", 4); }

TEST_F(ExamplesOnGpu, outliers) { compare("outliers", "--epochs 1 --batch-size 64", 4); }

// The forward of this model computes gradients.
TEST_F(ExamplesOnGpu, pinn) { compare("pinn", "--epochs 1 --batch-size 512", 1); }

TEST_F(ExamplesOnGpu, distillation) {
  compare("distillation", "--epochs 2 --data " + some_of_each_class("digits.csv.gz", 40), 3);
}

}  // namespace
}  // namespace ebb::test
