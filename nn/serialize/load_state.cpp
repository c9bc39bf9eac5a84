#include "ebb/nn/serialize/load_state.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb {
namespace {

using detail::shown;

constexpr std::string_view kLoadState = "load_state";

// Returns up to five items, and the number of the others.
std::string listed(std::string_view title, const std::vector<std::string>& items) {
  constexpr size_t kMost = 5;
  if (items.empty()) return "";
  std::string text = "; " + std::string(title);
  for (size_t i = 0; i < std::min(items.size(), kMost); ++i) text += (i ? ", " : " ") + items[i];
  if (items.size() > kMost) text += " and " + std::to_string(items.size() - kMost) + " more";
  return text;
}

std::string differences(const LoadReport& report) {
  const auto quoted = [](const std::vector<std::string>& names) {
    std::vector<std::string> items;
    for (const std::string& name : names) items.push_back(shown(name));
    return items;
  };
  std::vector<std::string> different;
  for (const StateMismatch& each : report.different)
    different.push_back(shown(each.name) + " is " + each.got + ", expected " + each.expected);
  return listed("missing:", quoted(report.missing)) +
         listed("unexpected:", quoted(report.unexpected)) + listed("different:", different);
}

std::string form(const Tensor& tensor) {
  return to_text(tensor.dtype()) + " " + to_text(tensor.shape());
}

using ByName = std::map<std::string, const Tensor*>;

ByName by_name(const NamedTensors& tensors, const LoadOptions& options = {}) {
  ByName result;
  for (const auto& [name, tensor] : tensors) {
    check_defined(kLoadState, tensor);
    std::string key = name;
    for (const auto& [from, to] : options.prefixes) {
      if (!name.starts_with(from)) continue;
      key = to + name.substr(from.size());
      break;
    }
    if (!result.emplace(key, &tensor).second)
      fail(kLoadState, "the name ", shown(key), " comes twice");
  }
  return result;
}

LoadReport compare(const ByName& target, const ByName& source) {
  LoadReport report;
  for (const auto& [name, tensor] : target) {
    const auto found = source.find(name);
    if (found == source.end()) report.missing.push_back(name);
    else if (form(*tensor) != form(*found->second))
      report.different.push_back({name, form(*tensor), form(*found->second)});
    else report.loaded.push_back(name);
  }
  for (const auto& [name, tensor] : source) {
    if (!target.contains(name)) report.unexpected.push_back(name);
  }
  return report;
}

// Returns true if both tensors have the same bits. REQUIRES equal shapes and dtypes.
bool same_elements(const Tensor& a, const Tensor& b) {
  if (a.impl() == b.impl()) return true;
  const NoGrad guard;
  const Tensor x = a.to(Device::cpu()).contiguous(), y = b.to(Device::cpu()).contiguous();
  const size_t bytes = static_cast<size_t>(x.numel()) * size_of(x.dtype());
  return bytes == 0 || std::memcmp(x.raw(), y.raw(), bytes) == 0;
}

// The tensors of a load, and what fits.
struct Plan {
  ByName target, source;
  LoadReport report;

  Plan(const NamedTensors& to, const NamedTensors& from, std::string_view what,
       const LoadOptions& options)
      : target(by_name(to)), source(by_name(from, options)), report(compare(target, source)) {
    if (options.strict && !report.is_complete())
      fail(kLoadState, what, " does not fit", differences(report));
    // In the order of the target, so that errors name the first of several names first.
    std::map<const TensorImpl*, std::string_view> first_names;
    for (const auto& [name, tensor] : to) {
      if (!std::binary_search(report.loaded.begin(), report.loaded.end(), name)) continue;
      const auto [first, is_new] = first_names.emplace(tensor.impl(), name);
      if (is_new) continue;
      if (!same_elements(*source.at(std::string(first->second)), *source.at(name))) {
        fail(kLoadState, what, " does not fit: ", shown(first->second), " and ", shown(name),
             " are one tied tensor, but have different values");
      }
    }
  }
};

}  // namespace

void check_state(const NamedTensors& target, const NamedTensors& source, std::string_view what) {
  (void)Plan(target, source, what, {});
}

void load_state(const NamedTensors& target, const NamedTensors& source, std::string_view what) {
  (void)load_state(target, source, what, LoadOptions{});
}

LoadReport load_state(const NamedTensors& target, const NamedTensors& source, std::string_view what,
                      const LoadOptions& options) {
  Plan plan(target, source, what, options);
  const NoGrad guard;
  for (const std::string& name : plan.report.loaded) {
    Tensor to = *plan.target.at(name);
    to.copy_(*plan.source.at(name));
  }
  return std::move(plan.report);
}

std::string to_text(const LoadReport& report) {
  return std::to_string(report.loaded.size()) + " loaded" + differences(report);
}

}  // namespace ebb
