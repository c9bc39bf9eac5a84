// The 8 x 8 handwritten digits of the UCI repository, which are in data/ of this project.
#pragma once

#include <string>

#include "ebb/nn/data/dataset.h"

namespace ebb::data {

/// Reads data/digits.csv.gz. inputs: f32 (1797, 64) in [0, 1], 17 gray levels, row by row. targets:
/// i64 (1797,), the digits.
///
/// path: the file. Throws Error with the path if the file is missing or damaged, or if a line is
/// not 64 integers from 0 to 16 and a digit. Source: E. Alpaydin, C. Kaynak (1998), Optical
/// Recognition of Handwritten Digits, UCI; data/README.md has the license.
Dataset load_digits(const std::string& path);

}  // namespace ebb::data
