#include "ebb/core/error.h"

namespace ebb::detail {

constinit thread_local std::string_view composite_op;

std::string_view reported_op(std::string_view op) {
  if (composite_op.empty()) return op;
  // Failures of the machine are not mistakes in the call.
  for (std::string_view machine : {"memory", "backend", "device", "cuda"}) {
    if (op == machine) return op;
  }
  // "ebb::Tensor ebb::softmin(const ebb::TensorArg&, int64_t)" is the op softmin.
  const std::string_view name = composite_op.substr(0, composite_op.find('('));
  const size_t before = name.find_last_of(": ");
  return before == std::string_view::npos ? name : name.substr(before + 1);
}

}  // namespace ebb::detail
