// A dataset whose samples contain their own index.
#pragma once

#include "ebb/nn/data/dataset.h"

namespace ebb::test {

using Numbers = std::vector<int64_t>;

// Sample i has the input (10 i, 10 i + 1) and the target i.
inline data::Dataset numbered(int64_t n) {
  std::vector<double> inputs;
  Numbers targets;
  for (int64_t i = 0; i < n; ++i) {
    inputs.push_back(10.0 * static_cast<double>(i));
    inputs.push_back(10.0 * static_cast<double>(i) + 1);
    targets.push_back(i);
  }
  return data::Dataset(from_data(inputs, {n, 2}), from_data(targets, {n}));
}

}  // namespace ebb::test
