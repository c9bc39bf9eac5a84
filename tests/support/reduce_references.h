// References of reductions, for rows of the op table: functions of the elements that are reduced.
#pragma once

#include <algorithm>
#include <cmath>

#include "ebb/tests/support/op_row.h"

namespace ebb::test {

inline double total(const Values& v) {
  double sum = 0;
  for (double x : v) sum += x;
  return sum;
}
inline double average(const Values& v) { return total(v) / static_cast<double>(v.size()); }
inline double largest(const Values& v) {
  double top = -kInf;
  for (double x : v) top = std::isnan(x) || std::isnan(top) ? kNaN : std::max(top, x);
  return top;
}
inline double smallest(const Values& v) {
  Values negated = v;
  for (double& x : negated) x = -x;
  return -largest(negated);
}
inline double log_sum_exp(const Values& v) {
  const double top = largest(v);
  if (!std::isfinite(top)) return top;
  double sum = 0;
  for (double x : v) sum += std::exp(x - top);
  return top + std::log(sum);
}

}  // namespace ebb::test
