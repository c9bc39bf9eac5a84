// The elements of tensors as doubles, and moving an input in place. Internal to autograd/check.
#pragma once

#include <cstring>
#include <string>
#include <vector>

#include "ebb/core/grad_mode.h"
#include "ebb/core/tensor.h"

namespace ebb::detail {

/// One list a tensor; empty for those without gradients and for undefined ones.
using Values = std::vector<std::vector<double>>;

inline Values values_of(const std::vector<Tensor>& tensors) {
  Values values;
  for (const Tensor& t : tensors) {
    values.push_back(t.defined() && is_floating(t.dtype()) ? t.to_vector<double>()
                                                           : std::vector<double>());
  }
  return values;
}

/// True when all values are the same to the last bit; NaN equals itself.
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

/// Gives an input its values back, however a check ends. REQUIRES that no element shares memory.
class RestoreInput {
 public:
  explicit RestoreInput(const Tensor& input)
      : place_(input.detach()), before_(input.detach().clone()) {}
  ~RestoreInput() {
    const NoGrad guard;
    place_.copy_(before_);
  }
  RestoreInput(const RestoreInput&) = delete;
  RestoreInput& operator=(const RestoreInput&) = delete;

  /// Shares the elements of the input: moving it moves the input.
  Tensor& place() { return place_; }
  const Tensor& before() const { return before_; }

 private:
  Tensor place_, before_;
};

}  // namespace ebb::detail
