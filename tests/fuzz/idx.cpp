// read_idx on any bytes.
#include "ebb/nn/data/idx.h"

#include "target.h"

std::vector<std::string> ebb::fuzz::seeds() {
  using namespace std::string_literals;
  return {"\0\0\x08\x01\0\0\0\3abc"s,
          "\0\0\x0B\x02\0\0\0\1\0\0\0\2\1\2\x80\0"s,
          "\0\0\x0D\x01\0\0\0\1\x3F\x80\0\0"s,
          "\0\0\x0E\x02\0\0\0\0\xFF\xFF\xFF\xFF"s,
          "\0\0\x09\x03\0\0\0\1\0\0\0\1\0\0\0\1\xFF"s,
          "\0\0\x0C\x01\0\0\0\1\x80\0\0\0"s};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  file.write({reinterpret_cast<const char*>(data), size});
  ebb::fuzz::expect_error_at_most([&] {
    const ebb::Tensor tensor = ebb::data::read_idx(file.path(), {.max_bytes = 1 << 20});
    for (double value : tensor.to_vector<double>()) (void)value;
  });
  return 0;
}
