// A column-major product on the host.
#pragma once

#include <cstdint>
#include <vector>

namespace ebb::emulation {

// A matrix: element (i, j) of op(matrix) is data[i + j * ld], or data[j + i * ld] if it is
// transposed.
template <typename T> struct Operand {
  const T* data;
  std::int64_t ld;
  bool transposed;
  double operator()(std::int64_t i, std::int64_t j) const {
    return static_cast<double>(transposed ? data[j + i * ld] : data[i + j * ld]);
  }
};

// Calls store(i, j, sum over p of A(i, p) B(p, j)) for every element, column by column. A is (m,
// k), B is (k, n).
template <typename T, typename Store>
void multiply(std::int64_t m, std::int64_t n, std::int64_t k, Operand<T> a, Operand<T> b,
              Store store) {
  std::vector<double> packed(m * k),
      sums(m);  // A by columns, so that the loop over rows vectorizes
  for (std::int64_t p = 0; p < k; ++p) {
    for (std::int64_t i = 0; i < m; ++i) packed[p * m + i] = a(i, p);
  }
  for (std::int64_t j = 0; j < n; ++j) {
    sums.assign(m, 0.0);
    for (std::int64_t p = 0; p < k; ++p) {
      const double factor = b(p, j);
      const double* const column = packed.data() + p * m;
      for (std::int64_t i = 0; i < m; ++i) sums[i] += column[i] * factor;
    }
    for (std::int64_t i = 0; i < m; ++i) store(i, j, sums[i]);
  }
}

}  // namespace ebb::emulation
