#include "ebb/nn/train/callback.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "ebb/core/error.h"
#include "ebb/nn/serialize/file.h"

namespace ebb::nn {
namespace {

std::string shortest(double value) {
  char text[32];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

// Quotes a name that CSV would read as something else (RFC 4180).
std::string quoted(const std::string& name) {
  if (name.find_first_of(",\"\r\n") == std::string::npos) return name;
  std::string out = "\"";
  for (char c : name) out.append(c == '"' ? 2 : 1, c);
  return out + '"';
}

}  // namespace

bool EpochRecord::has(std::string_view name) const {
  return std::any_of(values.begin(), values.end(), [&](const auto& v) { return v.first == name; });
}

double EpochRecord::at(std::string_view name) const {
  std::string names;
  for (const auto& [key, value] : values) {
    if (key == name) return value;
    names.append(names.empty() ? "" : ", ").append(key);
  }
  fail("EpochRecord", "there is no figure '", name, "': expected one of ", names);
}

void write_csv(const std::string& path, const std::vector<EpochRecord>& history) {
  std::vector<std::string> names;
  for (const EpochRecord& record : history) {
    for (const auto& [name, value] : record.values) {
      if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
    }
  }
  std::string text = "epoch";
  for (const std::string& name : names) text += ',' + quoted(name);
  text += '\n';
  for (const EpochRecord& record : history) {
    text += std::to_string(record.epoch);
    for (const std::string& name : names)
      text += ',' + (record.has(name) ? shortest(record.at(name)) : "");
    text += '\n';
  }
  ebb::detail::replace_file("write_csv", path,
                            [&](ebb::detail::File& file) { file.write(text.data(), text.size()); });
}

void Callback::on_start(Trainer&) {}
void Callback::on_epoch_end(Trainer&, const EpochRecord&) {}
void Callback::on_end(Trainer&, bool) {}
NamedTensors Callback::state_dict() const { return {}; }
void Callback::load_state_dict(const NamedTensors&, const Trainer&) {}

}  // namespace ebb::nn
