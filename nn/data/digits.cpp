#include "ebb/nn/data/digits.h"

#include "ebb/nn/data/csv.h"

namespace ebb::data {
namespace {

constexpr int64_t kPixels = 64;
constexpr float kMostInk = 16, kMostDigit = 9;

bool is_level(float value, float most) {
  return value >= 0 && value <= most && value == static_cast<float>(static_cast<int>(value));
}

}  // namespace

Dataset load_digits(const std::string& path) {
  const Tensor table = read_csv(path, {.dtype = DType::F32}).values;
  if (table.size(1) != kPixels + 1) {
    fail("load_digits", path, ": expected ", kPixels + 1, " columns, 64 pixels and the digit, got ",
         table.size(1));
  }
  const int64_t rows = table.size(0);
  Tensor inputs = empty({rows, kPixels});
  Tensor targets = empty({rows}, {.dtype = DType::I64});
  const float* from = table.data<float>();
  float* pixel = inputs.mutable_data<float>();
  int64_t* target = targets.mutable_data<int64_t>();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t column = 0; column <= kPixels; ++column) {
      const float value = *from++;
      if (!is_level(value, column < kPixels ? kMostInk : kMostDigit)) {
        fail("load_digits", path, ": row ", row + 1, ", column ", column + 1, ": ", double{value},
             " is not a ", column < kPixels ? "gray level from 0 to 16" : "digit from 0 to 9");
      }
      if (column < kPixels) {
        *pixel++ = value / kMostInk;
      } else {
        *target++ = static_cast<int64_t>(value);
      }
    }
  }
  return Dataset(inputs, targets, {"0", "1", "2", "3", "4", "5", "6", "7", "8", "9"});
}

}  // namespace ebb::data
