// Reads the elements of tensors as doubles, and changes an input in place. Internal to
// autograd/check.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "ebb/core/grad_mode.h"
#include "ebb/core/tensor.h"

namespace ebb::detail {

/// One list per tensor. It is empty for integer and undefined tensors.
using Values = std::vector<std::vector<double>>;

inline Values values_of(const std::vector<Tensor>& tensors) {
  Values values;
  for (const Tensor& t : tensors) {
    values.push_back(t.defined() && is_floating(t.dtype()) ? t.to_vector<double>()
                                                           : std::vector<double>());
  }
  return values;
}

/// Returns true if all values have the same bits. NaN equals NaN.
inline bool same_bits(const Values& a, const Values& b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a[i].size() != b[i].size() ||
        (!a[i].empty() && std::memcmp(a[i].data(), b[i].data(), 8 * a[i].size()) != 0)) {
      return false;
    }
  }
  return true;
}

/// Returns "[1, 2]", the coordinates of a row-major index.
inline std::string place_in(const Shape& shape, int64_t index) {
  std::string text;
  for (int d = shape.dim() - 1; d >= 0; --d) {
    text = std::to_string(index % shape[d]) + (text.empty() ? "" : ", ") + text;
    index /= shape[d];
  }
  return "[" + text + "]";
}

/// Restores the values of an input at the end of a check, also after an exception. REQUIRES that no
/// elements share memory.
class RestoreInput {
 public:
  explicit RestoreInput(const Tensor& input)
      : input_(input.detach()), before_(input.detach().clone()) {}
  ~RestoreInput() {
    const NoGrad guard;
    input_.copy_(before_);
  }
  RestoreInput(const RestoreInput&) = delete;
  RestoreInput& operator=(const RestoreInput&) = delete;

  /// Shares the elements of the input, so changing it changes the input.
  Tensor& input() { return input_; }
  const Tensor& before() const { return before_; }

 private:
  Tensor input_, before_;
};

}  // namespace ebb::detail
