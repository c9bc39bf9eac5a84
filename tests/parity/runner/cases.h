// The cases of a parity file, read and checked.
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

/// A mistake in a case itself, or a case that this program does not support: an unknown op, a
/// missing tensor. It is not an ebb::Error, because an error case must not accept it as the
/// expected error.
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
  std::string deviation;                  ///< the mark of a difference from torch, if any
  std::optional<Tolerance> tolerance;     ///< of order 0 and 1, instead of the default
  std::map<std::string, Tensor> tensors;  ///< by name, without the id
  nlohmann::json entry;                   ///< the complete entry of the file

  /// Throws Problem if the file has no such tensor.
  const Tensor& tensor(const std::string& name) const;
};

/// Throws std::runtime_error with the path (and the case) if the file is not a parity file of
/// format ebb-parity-1.
std::vector<Case> load_cases(const std::string& path);

}  // namespace ebb::parity
