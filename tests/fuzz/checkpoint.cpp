// A training resumed from any checkpoint: either of any bytes, or of a real one whose numbers are
// replaced.
#include "ebb/nn/serialize/checkpoint.h"

#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ebb/core/random.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/nn/train/trainer.h"
#include "target.h"

namespace {

namespace fs = std::filesystem;
using namespace ebb;

// A folder in memory where there is one, removed at the end.
class Folder {
 public:
  Folder() {
    const fs::path memory = "/dev/shm";
    const fs::path parent = fs::is_directory(memory) ? memory : fs::temp_directory_path();
    std::string pattern = (parent / "ebb-fuzz-XXXXXX").string();
    if (!mkdtemp(pattern.data())) std::abort();
    path_ = pattern;
  }
  ~Folder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  fs::path path_;
};

const Folder& folder() {
  static const Folder instance;
  return instance;
}

// Trains a small model for `epochs`; what it does depends on the checkpoint at x alone.
void train(int64_t epochs, bool adam, bool resume) {
  default_generator() = Generator{7};
  nn::Linear model(2, 1);
  std::unique_ptr<nn::Optimizer> optimizer;
  if (adam) optimizer = std::make_unique<nn::Adam>(model.named_parameters());
  else
    optimizer = std::make_unique<nn::SGD>(model.named_parameters(),
                                          nn::SGDOptions{.lr = 0.1, .momentum = 0.9});
  data::DataLoader loader(data::Dataset(ones({6, 2}), zeros({6, 1})),
                          {.batch_size = 2, .shuffle = true, .seed = 3, .prefetch = 0});
  nn::Trainer trainer(
      model, *optimizer, loader,
      [](const Tensor& y, const Tensor& t) { return nn::mse_loss(y, t); },
      {.epochs = epochs, .checkpoint = folder() / "x", .resume = resume, .quiet = true});
  trainer.run();
}

std::string bytes_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

void write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

struct Parts {
  std::string model, training;
};

// A checkpoint behind the first epoch.
const Parts& real(bool adam) {
  static const auto make = [](bool kind) {
    fs::remove_all(folder() / "x");
    train(1, kind, false);
    return Parts{bytes_of(folder() / "x/model.safetensors"),
                 bytes_of(folder() / "x/training.safetensors")};
  };
  static const Parts by_kind[] = {make(false), make(true)};
  return by_kind[adam];
}

void put(const Parts& parts) {
  fs::remove_all(folder() / "x");
  fs::create_directory(folder() / "x");
  write(folder() / "x/model.safetensors", parts.model);
  write(folder() / "x/training.safetensors", parts.training);
}

double telling_number(fuzz::Choices& choices) {
  constexpr double kNumbers[] = {0,      1,      -1, 2, 3, 4, 1e6, -1e6, 4611686018427387904.0,
                                 9.2e18, -9.2e18};
  const int64_t which = choices.below(13);
  if (which == 11) return std::nan("");
  if (which == 12) return -HUGE_VAL;
  return kNumbers[which];
}

// Replaces elements of the training's tensors by telling numbers, and sometimes a tensor's form.
void replace_numbers(fuzz::Choices& choices) {
  Checkpoint checkpoint = load_checkpoint(folder() / "x");
  while (!choices.empty()) {
    auto& part = choices.below(4) == 0 ? checkpoint.model : checkpoint.training;
    Tensor& tensor =
        part[static_cast<size_t>(choices.below(static_cast<int64_t>(part.size())))].second;
    if (choices.below(8) == 0) {
      tensor =
          full({choices.below(4)}, 1, {.dtype = static_cast<DType>(choices.below(kDTypeCount))});
    } else if (tensor.numel() > 0) {
      std::vector<double> values = tensor.to_vector<double>();
      values[static_cast<size_t>(choices.below(tensor.numel()))] = telling_number(choices);
      const Tensor replaced = from_data(values, tensor.shape());
      fuzz::expect_error_at_most([&] { tensor = replaced.to(tensor.dtype()); });
    }
  }
  save_checkpoint(folder() / "x", checkpoint);
}

}  // namespace

std::vector<std::string> ebb::fuzz::seeds() {
  std::vector<std::string> inputs;
  for (bool adam : {false, true}) {
    const Parts& parts = real(adam);
    const auto length = static_cast<uint16_t>(parts.model.size());
    std::string input(3, adam ? '\1' : '\0');
    std::memcpy(input.data() + 1, &length, 2);
    inputs.push_back(input + parts.model + parts.training);
    inputs.push_back(std::string(1, adam ? '\3' : '\2') + std::string("\1\1\1\0\10", 5));
  }
  return inputs;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Choices choices(data, size);
  const uint8_t kind = choices.byte();
  const bool adam = (kind & 1) != 0;
  if (kind & 2) {
    put(real(adam));
    replace_numbers(choices);
  } else {
    const size_t length = choices.byte() | size_t{choices.byte()} << 8;
    const std::string_view rest = choices.rest();
    put({std::string(rest.substr(0, length)),
         std::string(rest.substr(std::min(length, rest.size())))});
  }
  const bool other = (kind & 4) != 0;  // resumed with the other optimizer
  fuzz::expect_error_at_most([&] { train(2, adam != other, true); });
  return 0;
}
