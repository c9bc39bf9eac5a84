// Tables of numbers in text: comma-separated values.
#pragma once

#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::data {

struct CsvOptions {
  bool header = false;  ///< the first line names the columns
  char delimiter = ',';
  DType dtype = DType::F64;  ///< of the values: f64 or f32
};

struct CsvTable {
  Tensor values;                     ///< (rows, columns)
  std::vector<std::string> columns;  ///< their names; empty without a header
};

/// Reads a table in which every field is a number, plain or .gz. Numbers are written as in C ("1", "-2.5e3", "nan"),
/// rounded once to the dtype. Blanks around fields, quotes, "\r\n" and a byte-order mark are accepted, empty lines are
/// skipped. A quoted field ends on its line.
///
/// Throws Error naming file, line and column (both counted from 1) for a row that is shorter or longer than the first
/// one, for a field that is not a number or does not fit the dtype, and for an open quote; and when the file is
/// missing, damaged or without rows.
CsvTable read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace ebb::data
