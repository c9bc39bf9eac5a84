#include "ebb/nn/serialize/shown.h"

#include <nlohmann/json.hpp>

namespace ebb::detail {

std::string shown(std::string_view text, size_t most) {
  using Json = nlohmann::json;
  const std::string start(text.substr(0, most));
  return Json(start).dump(-1, ' ', true, Json::error_handler_t::replace) +
         (text.size() > most ? "..." : "");
}

bool is_utf8(std::string_view text) {
  try {
    (void)nlohmann::json(text).dump();
    return true;
  } catch (const nlohmann::json::exception&) {
    return false;
  }
}

}  // namespace ebb::detail
