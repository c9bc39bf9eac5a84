// load_npy on any bytes.
#include "ebb/nn/serialize/npy.h"

#include "target.h"

namespace {
std::string npy_of(const std::string& dict, const std::string& data) {
  using namespace std::string_literals;
  return "\x93NUMPY\x01\x00"s + static_cast<char>(dict.size()) + '\0' + dict + data;
}
}  // namespace

std::vector<std::string> ebb::fuzz::seeds() {
  using namespace std::string_literals;
  return {
      npy_of("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }\n",
             "\0\0\x80\x3F\0\0\0\0"s),
      npy_of("{'descr': '>f2', 'fortran_order': True, 'shape': (2, 2), }\n",
             "\x3C\0\0\0\0\0\x7C\0"s),
      npy_of("{'descr': '|b1', 'fortran_order': False, 'shape': (), }\n", "\1"),
      npy_of("{'descr': '<u8', 'fortran_order': False, 'shape': (1,), }\n", "\1\2\3\4\5\6\7\x08"),
      npy_of("{'descr': '<i4', 'fortran_order': False, 'shape': (0, 3), }\n", "")};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most([&] {
    const ebb::Tensor tensor = ebb::load_npy(file.path());
    for (double value : tensor.to_vector<double>()) (void)value;
  });
  return 0;
}
