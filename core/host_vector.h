// Vectors on the host whose length comes from a user or a file.
#pragma once

#include <cstdint>
#include <new>
#include <stdexcept>
#include <string_view>
#include <vector>

#include "ebb/core/error.h"

namespace ebb {

/// Returns a vector of `count` equal elements. Throws Error that names op if count is negative or
/// memory is exhausted.
///
///     std::vector<int64_t> counts = host_vector<int64_t>("histogram", classes);
template <class T>
std::vector<T> host_vector(std::string_view op, int64_t count, const T& value = T()) {
  if (count < 0) fail(op, "expected a length of at least 0, got ", count);
  try {
    return std::vector<T>(static_cast<size_t>(count), value);
  } catch (const std::bad_alloc&) {
  } catch (const std::length_error&) {
  }
  fail(op, "out of memory: no room for ", count, " numbers on the host");
}

}  // namespace ebb
