#include "cases.h"

#include <set>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb::parity {
namespace {

using nlohmann::json;

Case read_case(const json& entry) {
  Case c;
  c.id = entry.at("id").get<std::string>();
  c.op = entry.at("op").get<std::string>();
  c.options = entry.value("options", json::object());
  c.inputs = entry.at("inputs").get<std::vector<std::string>>();
  c.tensor_options = entry.value("tensor_options", c.tensor_options);
  c.grad_of = entry.value("grad_of", c.grad_of);
  c.second = entry.value("second", false);
  c.error = entry.value("error", false);
  c.deviation = entry.value("deviation", "");
  c.entry = entry;
  if (!c.options.is_object()) throw std::runtime_error("options are no JSON object");
  if (entry.contains("tolerance")) {
    const auto [atol, rtol] = entry["tolerance"].get<std::pair<double, double>>();
    c.tolerance = {atol, rtol};
  }
  return c;
}

// Takes the tensors whose names begin with the id of the case.
void adopt(Case& c, const std::map<std::string, Tensor>& all) {
  const std::string prefix = c.id + "/";
  for (auto it = all.lower_bound(prefix); it != all.end() && it->first.starts_with(prefix); ++it) {
    c.tensors.emplace(it->first.substr(prefix.size()), it->second);
  }
}

std::vector<Case> read_cases(const SafeTensors& file) {
  const auto format = file.metadata.find("format"), text = file.metadata.find("cases");
  if (format == file.metadata.end() || format->second != "ebb-parity-1") {
    throw std::runtime_error("metadata 'format' is not ebb-parity-1");
  }
  if (text == file.metadata.end()) throw std::runtime_error("no metadata 'cases'");
  const json entries = json::parse(text->second);
  if (!entries.is_array()) throw std::runtime_error("metadata 'cases' is no JSON array");

  const std::map<std::string, Tensor> all(file.tensors.begin(), file.tensors.end());
  std::vector<Case> cases;
  std::set<std::string> ids;
  for (const json& entry : entries) {
    try {
      cases.push_back(read_case(entry));
    } catch (const std::exception& error) {
      throw std::runtime_error("case " + std::to_string(cases.size()) + ": " + error.what());
    }
    if (!ids.insert(cases.back().id).second)
      throw std::runtime_error("two cases are named " + cases.back().id);
    adopt(cases.back(), all);
  }
  return cases;
}

}  // namespace

const Tensor& Case::tensor(const std::string& name) const {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw Problem("the file has no tensor '" + name + "' for it");
  return found->second;
}

std::vector<Case> load_cases(const std::string& path) {
  const SafeTensors file = load_safetensors(path);
  try {
    return read_cases(file);
  } catch (const std::exception& error) {
    throw std::runtime_error(path + ": " + error.what());
  }
}

}  // namespace ebb::parity
