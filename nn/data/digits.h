// The 8 x 8 handwritten digits of the UCI repository, kept in data/ of this project.
#pragma once

#include <string>

#include "ebb/nn/data/dataset.h"

namespace ebb::data {

/// Reads data/digits.csv.gz: inputs f32 (1797, 64) in [0, 1], 17 grey levels, row by row; targets i64 (1797,), the
/// digit.
///
/// path: the file itself. Throws Error naming it when it is missing or damaged, or when a line is not 64 whole numbers
/// from 0 to 16 and a digit.
/// Source: E. Alpaydin, C. Kaynak (1998), Optical Recognition of Handwritten Digits, UCI; data/README.md has the
/// licence.
Dataset load_digits(const std::string& path);

}  // namespace ebb::data
