#include "ebb/autograd/ops/registry.h"

#include <algorithm>

namespace ebb {
namespace {
std::vector<std::string_view>& names() {
  static std::vector<std::string_view> list;
  return list;
}
}  // namespace

detail::RegisterOp::RegisterOp(std::string_view name) { names().push_back(name); }

std::vector<std::string_view> op_names() {
  std::vector<std::string_view> list = names();
  std::sort(list.begin(), list.end());
  list.erase(std::unique(list.begin(), list.end()), list.end());
  return list;
}

}  // namespace ebb
