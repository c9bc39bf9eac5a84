// load_safetensors on any bytes.
#include "ebb/nn/serialize/safetensors.h"

#include <cstdlib>
#include <cstring>
#include <set>

#include "target.h"

namespace {
std::string with_header(const std::string& header, const std::string& data) {
  std::string bytes(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}
}  // namespace

std::vector<std::string> ebb::fuzz::seeds() {
  return {
      with_header("{}", ""),
      with_header(R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,1],)"
                  R"("data_offsets":[0,8]},"b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}})",
                  std::string(8, '\1') + '\1'),
      with_header(R"({"x":{"dtype":"I64","shape":[0,3],"data_offsets":[0,0],"more":[{"k":1.5}]},)"
                  R"("y":{"dtype":"F64","shape":[1],"data_offsets":[0,8]},)"
                  R"("z":{"dtype":"U8","shape":[2],"data_offsets":[8,10]}})",
                  std::string(10, '\7')),
  };
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most([&] {
    const ebb::SafeTensors loaded = ebb::load_safetensors(file.path());
    std::set<std::string> names;
    for (const auto& [name, tensor] : loaded.tensors) {
      if (!names.insert(name).second) std::abort();
      for (double value : tensor.to_vector<double>()) (void)value;
    }
  });
  return 0;
}
