#include "ebb/backends/cpu/strided.h"

namespace ebb::cpu {

void coalesce(Shape& shape, Shape* strides, int count) {
  for (int i = shape.dim() - 1; i >= 0 && shape.dim() > 1; --i) {
    bool merges = shape[i] == 1;
    if (!merges && i > 0) {  // dim i - 1 continues where dim i ends, for every operand
      merges = true;
      for (int k = 0; k < count; ++k) merges = merges && strides[k][i - 1] == strides[k][i] * shape[i];
      if (merges) {
        shape[i] *= shape[i - 1];
        for (int k = 0; k < count; ++k) strides[k].erase(i - 1);
        shape.erase(i - 1);
        continue;
      }
    }
    if (merges) {
      for (int k = 0; k < count; ++k) strides[k].erase(i);
      shape.erase(i);
    }
  }
  if (shape.dim() == 0) {
    shape.push_back(1);
    for (int k = 0; k < count; ++k) strides[k].push_back(0);
  }
}

}  // namespace ebb::cpu
