// The index of ops: docs/ops.md, made from the registry, the op table and the sources.
#pragma once

#include <string>
#include <vector>

#include "ebb/tests/support/op_table.h"

namespace ebb::test {

/// Returns the text of docs/ops.md. Appends a line to `problems` for each declaration that names a
/// definition, a kernel or a row that does not exist, and for each op or row that no declaration
/// leads to.
std::string op_index(const std::vector<OpRow>& rows, const std::string& source_folder,
                     std::vector<std::string>& problems);

}  // namespace ebb::test
