#include "files.h"

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <limits>

#include "ebb/ebb.h"
#include "ebb/nn/interop/tensorboard.h"
#include "ebb/nn/serialize/npy.h"

namespace ebb::interop {

namespace fs = std::filesystem;

// numpy IN OUT: loads every file of a folder and saves it to another one, archives in both forms.
void numpy(const Arguments& arguments) {
  const fs::path from = arguments.at(0), to = arguments.at(1);
  for (const fs::directory_entry& entry : fs::directory_iterator(from)) {
    const fs::path name = entry.path().filename();
    if (name.extension() == ".npy") {
      save_npy(to / name, load_npy(entry.path()));
    } else {
      const NamedTensors arrays = load_npz(entry.path());
      save_npz(to / name, arrays);
      save_npz(to / (name.stem().string() + ".compressed.npz"), arrays, {.compressed = true});
    }
  }
}

// safetensors IN OUT: loads a file and saves it.
void safetensors(const Arguments& arguments) {
  const SafeTensors file = load_safetensors(arguments.at(0));
  save_safetensors(arguments.at(1), file.tensors, file.metadata);
}

// state_dict STATE OTHER X SAVED Y: loads STATE strictly and saves the model, then OTHER in part.
// Prints the report, and saves the outputs of both models for X, and the head of the second one.
void state_dict(const Arguments& arguments) {
  const auto make = [] {
    return nn::Sequential(nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                          nn::Flatten(), nn::Linear(4 * 36, 5));
  };
  const Tensor x = *load_safetensors(arguments.at(2)).find("x");
  nn::Sequential strict = make(), partial = make();
  load_state(strict.state_dict(), load_safetensors(arguments.at(0)).tensors, "state");
  save_safetensors(arguments.at(3), strict.state_dict());

  load_state(partial.state_dict(), load_safetensors(arguments.at(0)).tensors, "state");
  Tensor head;
  for (const auto& [name, tensor] : partial.state_dict()) {
    if (name == "4.weight") head = tensor;
  }
  {
    const NoGrad guard;
    head.fill_(0.5);
  }
  const LoadReport report =
      load_state(partial.state_dict(), load_safetensors(arguments.at(1)).tensors, "other",
                 {.strict = false, .prefixes = {{"module.", ""}}});
  std::printf("%s\n", to_text(report).c_str());
  strict.eval();
  partial.eval();
  save_safetensors(arguments.at(4),
                   {{"strict", strict(x)}, {"partial", partial(x)}, {"head", head}});
}

// tensorboard FOLDER: writes events of each kind.
void tensorboard(const Arguments& arguments) {
  SummaryWriter writer(arguments.at(0));
  for (int64_t step = 0; step < 20; ++step)
    writer.add_scalar("loss/train", 1.0 / static_cast<double>(1 + step), step);
  writer.add_scalar("loss/odd", std::numeric_limits<double>::quiet_NaN(), 3);
  writer.add_histogram("weights", tensor({-1.0, 0.0, 0.25, 0.5, 3.0}), 7, 4);
  writer.add_histogram("one", tensor({2.0, 2.0, std::numeric_limits<double>::infinity()}), 0, 3);
  Tensor rgb = zeros({3, 2, 4}, u8);
  rgb[0].fill_(255);
  writer.add_image("red", rgb, 1);
  writer.add_image("gray", tensor({{0.0, 0.5}, {1.0, 2.0}}, f32), 2);
  writer.add_text("note", "**bold** Grüße", 4);
  nn::Sequential model(nn::Linear(3, 4), nn::ReLU(), nn::Linear(4, 1));
  writer.add_graph(sum(model(ones({2, 3}))), model.named_parameters());
  writer.flush();
  std::printf("%s\n", writer.path().c_str());
}

}  // namespace ebb::interop
