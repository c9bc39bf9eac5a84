// The limit of functions that return a list of views.
#pragma once

#include <cstdint>
#include <string_view>

#include "ebb/core/error.h"

namespace ebb::detail {

/// Throws Error that names op if there are too many parts. Each is an object in memory, while the
/// elements of an expanded tensor take none.
inline void check_parts(std::string_view op, int64_t count) {
  constexpr int64_t kMost = int64_t{1} << 24;
  if (count > kMost) fail(op, count, " parts are too many: expected at most 2^24");
}

}  // namespace ebb::detail
