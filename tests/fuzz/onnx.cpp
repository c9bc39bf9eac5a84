// import_onnx on any bytes.
#include "ebb/nn/interop/onnx_import.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "ebb/nn/interop/onnx.h"
#include "ebb/nn/layers/activation.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/layers/sequential.h"
#include "target.h"

std::vector<std::string> ebb::fuzz::seeds() {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("ebb-fuzz-" + std::to_string(std::rand())))
          .string();
  std::vector<std::string> result;
  const auto add = [&](const nn::Sequential& model) {
    export_onnx(path, model, ones({1, 2}));
    std::ifstream file(path, std::ios::binary);
    result.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  };
  add(nn::Sequential(nn::Linear(2, 3), nn::ReLU()));
  add(nn::Sequential(nn::GELU(), nn::Unflatten(1, {2, 1}), nn::Flatten()));
  std::filesystem::remove(path);
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most([&] {
    const ebb::OnnxModel model = ebb::import_onnx(file.path());
    for (const auto& [name, tensor] : model.named_parameters()) {
      for (double value : tensor.to_vector<double>()) (void)value;
    }
  });
  return 0;
}
