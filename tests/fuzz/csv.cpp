// read_csv on any text; the first byte chooses the options.
#include "ebb/nn/data/csv.h"

#include <cstdlib>

#include "target.h"

std::vector<std::string> ebb::fuzz::seeds() {
  return {std::string("\0", 1) + "1,2\n3,4.5e-3\n", "\1\"a \"\"b\"\"\",c\r\n1,\"2\"\r\n",
          "\2\xEF\xBB\xBF+1;nan\n inf ; -0\n", "\7\"x\ny\"\tz\n1e-50\t-1e-400\n",
          std::string("\4", 1) + "1e39,0x1\n"};
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static ebb::fuzz::InputFile file;
  ebb::fuzz::Choices choices(data, size);
  const uint8_t kind = choices.byte();
  const char delimiters[] = {',', ';', '\t', ' '};
  const ebb::data::CsvOptions options{.header = (kind & 1) != 0,
                                      .delimiter = delimiters[(kind >> 1) & 3],
                                      .dtype = kind & 8 ? ebb::f32 : ebb::f64,
                                      .max_bytes = 1 << 16};
  file.write(choices.rest());
  ebb::fuzz::expect_error_at_most([&] {
    const ebb::data::CsvTable table = ebb::data::read_csv(file.path(), options);
    if (table.values.dim() != 2 || table.values.size(0) < 1) std::abort();
    if (options.header && static_cast<int64_t>(table.columns.size()) != table.values.size(1))
      std::abort();
  });
  return 0;
}
