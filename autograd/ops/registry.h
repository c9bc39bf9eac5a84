// The list of all ops by name: what the test table is held against, so that no op goes untested.
#pragma once

#include <string_view>
#include <vector>

namespace ebb {

/// Names of every op that the program can record, sorted, each once.
std::vector<std::string_view> op_names();

namespace detail {
/// A static object of this type enters a name at program start.
struct RegisterOp {
  explicit RegisterOp(std::string_view name);
};
}  // namespace detail

}  // namespace ebb
