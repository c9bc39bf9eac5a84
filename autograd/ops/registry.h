// The names of all ops. A test compares them with the op table, so that every op is tested.
#pragma once

#include <string_view>
#include <vector>

namespace ebb {

/// Returns the names of all ops that the program can record, sorted and without duplicates.
std::vector<std::string_view> op_names();

namespace detail {
/// A static object of this type adds a name at the start of the program.
struct RegisterOp {
  explicit RegisterOp(std::string_view name);
};
}  // namespace detail

}  // namespace ebb
