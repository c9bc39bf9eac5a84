#include "ops.h"

#include <algorithm>
#include <cmath>

namespace ebb::parity {
namespace {

using nlohmann::json;

[[noreturn]] void wrong_type(const std::string& name, const json& value, const char* wanted) {
  throw Problem("option '" + name + "' is " + value.dump() + ", not " + wanted);
}

int64_t integer(const std::string& name, const json& value) {
  if (value.is_number_integer()) return value.get<int64_t>();
  if (value.is_number_float()) {
    const double number = value.get<double>();
    if (std::trunc(number) == number && std::abs(number) < 0x1p53)
      return static_cast<int64_t>(number);
  }
  wrong_type(name, value, "an integer");
}

template <class E>
E choice(const std::string& name, const json& value,
         std::initializer_list<std::pair<const char*, E>> choices) {
  for (const auto& [text, meaning] : choices) {
    if (value == text) return meaning;
  }
  wrong_type(name, value, "one of its names");
}

}  // namespace

Tensors Arguments::inputs(size_t least, size_t most) const {
  const size_t count = case_.inputs.size();
  if (count < least || count > most)
    throw Problem("it does not take " + std::to_string(count) + " inputs");
  Tensors all;
  for (const std::string& name : case_.inputs) all.push_back(tensors_.at(name));
  return all;
}

const json* Arguments::find(const std::string& name) {
  read_.insert(name);
  const auto found = case_.options.find(name);
  return found == case_.options.end() || found->is_null() ? nullptr : &*found;
}

bool Arguments::read(const std::string& name, double& into) {
  const json* value = find(name);
  if (!value) return false;
  if (*value == "inf" || *value == "-inf") {
    into = *value == "inf" ? HUGE_VAL : -HUGE_VAL;
  } else if (value->is_number()) {
    into = value->get<double>();
  } else {
    wrong_type(name, *value, "a number");
  }
  return true;
}

bool Arguments::read(const std::string& name, std::vector<double>& into) {
  const json* value = find(name);
  if (!value) return false;
  into.clear();
  const auto add = [&](const json& each) {
    if (!each.is_number()) wrong_type(name, each, "a number");
    into.push_back(each.get<double>());
  };
  if (!value->is_array()) add(*value);
  if (value->is_array()) {
    for (const json& each : *value) add(each);
  }
  return true;
}

bool Arguments::is_text(const std::string& name) {
  const json* value = find(name);
  return value && value->is_string();
}

bool Arguments::read(const std::string& name, bool& into) {
  const json* value = find(name);
  if (!value) return false;
  if (!value->is_boolean()) wrong_type(name, *value, "a boolean");
  into = value->get<bool>();
  return true;
}

bool Arguments::read(const std::string& name, int64_t& into) {
  const json* value = find(name);
  if (value) into = integer(name, *value);
  return value;
}

bool Arguments::read(const std::string& name, int& into) {
  int64_t wide = into;
  const bool given = read(name, wide);
  into = static_cast<int>(wide);
  return given;
}

bool Arguments::read(const std::string& name, std::vector<int64_t>& into) {
  const json* value = find(name);
  if (!value) return false;
  into.clear();
  if (!value->is_array()) into.push_back(integer(name, *value));
  if (value->is_array()) {
    for (const json& each : *value) into.push_back(integer(name, each));
  }
  return true;
}

bool Arguments::read(const std::string& name, std::vector<std::optional<int64_t>>& into) {
  const json* value = find(name);
  if (!value) return false;
  into.clear();
  const auto add = [&](const json& each) {
    into.push_back(each.is_null() ? std::nullopt : std::optional(integer(name, each)));
  };
  if (!value->is_array()) add(*value);
  if (value->is_array()) {
    for (const json& each : *value) add(each);
  }
  return true;
}

bool Arguments::read(const std::string& name, nn::Reduction& into) {
  using enum nn::Reduction;
  const json* value = find(name);
  if (value) {
    into = choice<nn::Reduction>(
        name, *value, {{"none", None}, {"mean", Mean}, {"sum", Sum}, {"batchmean", BatchMean}});
  }
  return value;
}

bool Arguments::read(const std::string& name, GeluApproximate& into) {
  const json* value = find(name);
  if (value) {
    into = choice<GeluApproximate>(
        name, *value, {{"none", GeluApproximate::None}, {"tanh", GeluApproximate::Tanh}});
  }
  return value;
}

bool Arguments::read(const std::string& name, PadMode& into) {
  using enum PadMode;
  const json* value = find(name);
  if (value) {
    into = choice<PadMode>(name, *value,
                           {{"constant", Constant},
                            {"reflect", Reflect},
                            {"replicate", Replicate},
                            {"circular", Circular}});
  }
  return value;
}

bool Arguments::read(const std::string& name, std::string& into) {
  const json* value = find(name);
  if (!value) return false;
  if (!value->is_string()) wrong_type(name, *value, "a text");
  into = value->get<std::string>();
  return true;
}

bool Arguments::read(const std::string& name, Tensor& into) {
  if (const json* value = find(name)) wrong_type(name, *value, "a tensor");
  if (std::ranges::find(case_.tensor_options, name) == case_.tensor_options.end()) return false;
  into = tensors_.at(name);
  return true;
}

std::vector<std::pair<std::string, Tensor>> Arguments::read_state() {
  std::vector<std::pair<std::string, Tensor>> state;
  for (const std::string& name : case_.tensor_options) {
    state.emplace_back(name, tensors_.at(name));
    read_.insert(name);
  }
  return state;
}

void Arguments::check_all_read() const {
  std::string unknown;
  const auto check = [&](const std::string& name) {
    if (!read_.contains(name)) unknown += (unknown.empty() ? "" : ", ") + name;
  };
  for (const auto& option : case_.options.items()) check(option.key());
  for (const std::string& name : case_.tensor_options) check(name);
  if (!unknown.empty()) throw Problem("unknown option " + unknown);
}

const Op& find_op(std::string_view name) {
  for (const auto& table :
       {basic_ops(), elementary_ops(), reduction_ops(), rearrange_ops(), convolution_ops(),
        pooling_ops(), normalization_ops(), image_ops(), loss_ops(), sequence_ops()}) {
    const auto found = std::ranges::find(table, name, &Op::name);
    if (found != table.end()) return *found;
  }
  throw Problem("unknown op '" + std::string(name) + "'");
}

}  // namespace ebb::parity
