// Checks of the claims that the comments of examples make about values, and the examples that run.
#pragma once

#include "ebb/tests/doc_examples/context.h"

namespace ebb::doc_examples {

struct Runnable {
  const char* place;  // "file:line"
  int (*run)();
};
extern const std::vector<Runnable> runnable;

/// Expects of the values what the text says, one after the other:
///
///     [[1, 2], [3, 4]]   the shape and the elements
///     (2, 5, 8)          the shape
///     0.126928           one element
///     i64 {0, 1, 2}      the dtype, and the elements without a shape
///     f32, shape (3,)    the dtype, and the shape
///
/// Claims about several values are separated by " and " or by a comma behind a shape. Numbers are
/// compared in the six digits that Ebb prints. Text behind a claim is ignored.
void expect_claim(const char* place, std::string text, const std::vector<Tensor>& values);

/// Returns how many claims have been checked.
int checked_claims();

inline void claim(const char* place, const char* text, const std::vector<Tensor>& values) {
  expect_claim(place, text, values);
}
template <class... Values>
void claim(const char* place, const char* text, const Values&... values) {
  const auto tensor = [](const auto& value) {
    if constexpr (std::is_convertible_v<decltype(value), Tensor>) return Tensor(value);
    else return Tensor();  // nothing is claimed about other types
  };
  expect_claim(place, text, std::vector<Tensor>{tensor(values)...});
}

}  // namespace ebb::doc_examples
