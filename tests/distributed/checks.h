// Checks inside a rank: a failed one prints a line, and main() then exits with 1.
#pragma once

#include <cstdio>
#include <cstring>
#include <string>

#include "ebb/ebb.h"

namespace ebb::test {

inline int failures = 0;

/// Records a failure unless ok. It does not end the rank, because the others would wait for it.
inline void expect(bool ok, const std::string& what) {
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "FAILED on rank %d: %s\n", distributed::Group::world().rank(), what.c_str());
}

inline bool same_bits(const Tensor& a, const Tensor& b) {
  const Tensor x = a.detach().contiguous(), y = b.detach().contiguous();
  return x.dtype() == y.dtype() && x.shape() == y.shape() &&
         std::memcmp(x.raw(), y.raw(), static_cast<size_t>(x.numel()) * size_of(x.dtype())) == 0;
}

inline void expect_same_bits(const NamedTensors& a, const NamedTensors& b,
                             const std::string& what) {
  expect(a.size() == b.size(), what + ": another number of tensors");
  for (size_t k = 0; k < std::min(a.size(), b.size()); ++k)
    expect(same_bits(a[k].second, b[k].second), what + ": " + a[k].first);
}

/// Returns the message of the Error that f() throws; empty if it throws none.
template <class F> std::string error_of(F&& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return {};
}

}  // namespace ebb::test
