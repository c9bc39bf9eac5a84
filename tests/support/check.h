// Assertions for several tests.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <initializer_list>
#include <string>
#include <vector>

#include "ebb/core/error.h"
#include "ebb/core/tensor.h"

namespace ebb::test {

/// Expects an Error of one line that begins with "[" op "] " (or with any op if op is empty) and
/// contains every part.
template <class Call>
void expect_error(Call&& call, const std::string& op, std::initializer_list<std::string> parts) {
  try {
    call();
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(text.find("[" + op), 0u) << text;
    EXPECT_NE(text.find(op.empty() ? "] " : "[" + op + "] "), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
    for (const std::string& part : parts)
      EXPECT_NE(text.find(part), std::string::npos) << part << " is not in: " << text;
    return;
  }
  ADD_FAILURE() << "no error of " << (op.empty() ? "any op" : op);
}

/// Returns true if the values are equal within relative * |want| + absolute. NaN equals NaN, and an
/// infinity equals itself.
inline bool is_near(double got, double want, double relative, double absolute) {
  if (std::isnan(want) || std::isnan(got)) return std::isnan(want) && std::isnan(got);
  if (std::isinf(want) || std::isinf(got)) return got == want;
  return std::fabs(got - want) <= relative * std::fabs(want) + absolute;
}

inline void expect_values(const std::vector<double>& got, const std::vector<double>& want,
                          double relative = 0, double absolute = 0,
                          const std::string& what = "value") {
  ASSERT_EQ(got.size(), want.size()) << what;
  int shown = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    if (is_near(got[i], want[i], relative, absolute)) continue;
    ADD_FAILURE() << what << " [" << i << "]: got " << testing::PrintToString(got[i])
                  << ", expected " << testing::PrintToString(want[i]) << ", error "
                  << std::fabs(got[i] - want[i]);
    if (++shown == 5) return;
  }
}
inline void expect_values(const Tensor& got, const std::vector<double>& want, double relative = 0,
                          double absolute = 0, const std::string& what = "value") {
  ASSERT_TRUE(got.defined()) << what;
  expect_values(got.to_vector<double>(), want, relative, absolute, what);
}

/// Returns true if the values have the same bits, or both are NaN.
inline void expect_same_bits(const Tensor& got, const Tensor& want, const std::string& what) {
  ASSERT_TRUE(got.defined() && want.defined()) << what;
  ASSERT_EQ(to_text(got.shape()), to_text(want.shape())) << what;
  const std::vector<double> a = got.to_vector<double>(), b = want.to_vector<double>();
  for (size_t i = 0; i < a.size(); ++i) {
    if (std::isnan(a[i]) && std::isnan(b[i])) continue;
    ASSERT_EQ(std::memcmp(&a[i], &b[i], sizeof(double)), 0)
        << what << " [" << i << "]: " << a[i] << " and " << b[i];
  }
}

}  // namespace ebb::test
