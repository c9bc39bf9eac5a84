// load_npz on any bytes.
#include "ebb/nn/serialize/npy.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "target.h"

std::vector<std::string> ebb::fuzz::seeds() {
  const std::string path =
      (std::filesystem::temp_directory_path() / ("ebb-fuzz-" + std::to_string(std::rand())))
          .string();
  std::vector<std::string> result;
  for (const bool compressed : {false, true}) {
    ebb::save_npz(path, {{"a", ebb::tensor({1, 2})}, {"b", ebb::ones({})}},
                  {.compressed = compressed});
    std::ifstream file(path, std::ios::binary);
    result.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  std::filesystem::remove(path);
  return result;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most([&] {
    std::set<std::string> names;
    for (const auto& [name, tensor] : ebb::load_npz(file.path())) {
      if (!names.insert(name).second) std::abort();
      for (double value : tensor.to_vector<double>()) (void)value;
    }
  });
  return 0;
}
