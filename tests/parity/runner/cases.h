// Cases: what a parity file asks for, read and checked.
#pragma once

#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "compare.h"
#include "ebb/core/tensor.h"

namespace ebb::parity {

/// What is wrong with a case itself, or beyond this program: an op that it does not know, a tensor that is not there.
/// No ebb::Error, so that it never passes for the one that an error case waits for.
class Problem : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct Case {
  std::string id, op;
  nlohmann::json options;           ///< an object
  std::vector<std::string> inputs;  ///< names of the positional tensors, in torch's order
  std::vector<std::string> tensor_options, grad_of;
  bool second = false;                    ///< grad2 is expected
  bool error = false;                     ///< the call must throw
  std::string deviation;                  ///< where LOSSES.md departs from torch; empty: nowhere
  std::optional<Tolerance> tolerance;     ///< of order 0 and 1, instead of the default
  std::map<std::string, Tensor> tensors;  ///< by name, without the id
  nlohmann::json entry;                   ///< the whole of it as it stands in the file

  /// Throws Problem when the file has no such tensor.
  const Tensor& tensor(const std::string& name) const;
};

/// Throws std::runtime_error naming the path (and the case) when the file is no parity file of format ebb-parity-1.
std::vector<Case> load_cases(const std::string& path);

}  // namespace ebb::parity
