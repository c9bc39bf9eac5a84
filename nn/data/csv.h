// CSV files: tables of numbers as comma-separated text.
#pragma once

#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::data {

/// Options of read_csv.
struct CsvOptions {
  bool header = false;  ///< the first line names the columns
  char delimiter = ',';
  DType dtype = DType::F64;              ///< of the values: f64 or f32
  int64_t max_bytes = int64_t{1} << 30;  ///< throws Error if the uncompressed file is larger
};

/// A table of numbers and the names of its columns.
struct CsvTable {
  Tensor values;                     ///< (rows, columns)
  std::vector<std::string> columns;  ///< their names; empty without a header
};

/// Reads a table in which every field is a number, plain or .gz.
///
/// Numbers are written as in C ("1", "-2.5e3", "nan") and rounded once to the dtype. A number that
/// is too small for the dtype becomes subnormal or 0. Fields may be quoted as in RFC 4180: ""
/// within quotes is a quote, and a quoted name may contain delimiters and line breaks. Blanks
/// around fields, "\r\n" and a byte-order mark are accepted. Empty lines are skipped. The file is
/// read in pieces.
///
/// Throws Error that names file, line and column (both counted from 1) for a row that is shorter or
/// longer than the first one, for a field that is not a number or too large for the dtype, for a
/// quote without an end, and for a row of more than 64 MiB or a million columns. Also throws Error
/// if the file is missing, damaged, not a regular file, longer than max_bytes, or without rows.
///
///     Tensor values = read_csv("wind.csv", {.header = true}).values;  // (rows, columns), f64
CsvTable read_csv(const std::string& path, const CsvOptions& options = {});

}  // namespace ebb::data
