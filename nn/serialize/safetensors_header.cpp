#include "ebb/nn/serialize/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

namespace ebb::detail {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLoad = "load_safetensors";
constexpr const char* kDTypes[kDTypeCount] = {"F32", "F64", "I64", "U8", "BOOL"};

class HeaderParser {
 public:
  HeaderParser(const std::string& path, std::string_view text) : path_(path) { parse(text); }

  std::vector<TensorEntry> entries() const {
    std::vector<TensorEntry> entries;
    for (const std::string& name : names_) {
      if (name != kMetadataKey) entries.push_back(entry(name, json_.at(name)));
    }
    return entries;
  }

  Metadata metadata() const {
    Metadata metadata;
    const auto found = json_.find(kMetadataKey);
    if (found == json_.end()) return metadata;
    if (!found->is_object()) fail(kLoad, path_, ": the metadata is no JSON object");
    for (const auto& [key, value] : found->items()) {
      if (!value.is_string()) fail(kLoad, path_, ": the metadata ", shown(key), " is no text");
      metadata[key] = value.get<std::string>();
    }
    return metadata;
  }

 private:
  // The library keeps neither the order of keys nor those that come twice: both are seen while it parses.
  void parse(std::string_view text) {
    constexpr int kDeepest = 3;  // a number of a list of an entry
    std::vector<std::set<std::string>> open;
    const auto watch = [&](int depth, Json::parse_event_t event, Json& value) {
      if (depth > kDeepest) fail(kLoad, path_, ": the header is nested too deep");
      if (event == Json::parse_event_t::object_start) open.emplace_back();
      if (event == Json::parse_event_t::object_end) open.pop_back();
      if (event == Json::parse_event_t::key) {
        const auto& key = value.get_ref<const std::string&>();
        if (!open.back().insert(key).second)
          fail(kLoad, path_, ": the name ", shown(key), " comes twice");
        if (depth == 1) names_.push_back(key);
      }
      return true;
    };
    try {
      json_ = Json::parse(text, watch);
    } catch (const Json::parse_error& error) {
      fail(kLoad, path_, ": the header is not JSON, at its byte ", error.byte);
    } catch (const Json::out_of_range&) {
      fail(kLoad, path_, ": the header holds a number that is too large");
    }
    if (!json_.is_object()) fail(kLoad, path_, ": the header is no JSON object");
  }

  template <class... Parts>
  [[noreturn]] void fail_in(const std::string& name, const Parts&... parts) const {
    fail(kLoad, path_, ": tensor ", shown(name), ": ", parts...);
  }

  const Json& field(const std::string& name, const Json& value, const char* key) const {
    const auto found = value.find(key);
    if (found == value.end()) fail_in(name, "no ", key);
    return *found;
  }

  DType dtype(const std::string& name, const Json& value) const {
    if (!value.is_string()) fail_in(name, "the dtype is no text");
    const auto& text = value.get_ref<const std::string&>();
    for (int i = 0; i < kDTypeCount; ++i) {
      if (text == kDTypes[i]) return static_cast<DType>(i);
    }
    fail_in(name, "dtype ", shown(text), " is none of F32, F64, I64, U8, BOOL");
  }

  std::vector<uint64_t> numbers(const std::string& name, const Json& value, const char* key) const {
    std::vector<uint64_t> numbers;
    if (!value.is_array()) fail_in(name, key, " is no list");
    for (const Json& number : value) {
      if (!number.is_number_unsigned())
        fail_in(name, key, " holds something other than whole numbers from 0");
      numbers.push_back(number.get<uint64_t>());
    }
    return numbers;
  }

  Shape shape(const std::string& name, const std::vector<uint64_t>& sizes, DType dtype) const {
    if (sizes.size() > kMaxDims)
      fail_in(name, "a shape of ", sizes.size(), " sizes, at most ", kMaxDims, " are read");
    Shape shape;
    int64_t most = static_cast<int64_t>(
        size_of(dtype));  // as if no size were 0: strides must not overflow either
    for (uint64_t n : sizes) {
      if (__builtin_mul_overflow(most, std::max<uint64_t>(n, 1), &most))
        fail_in(name, "the shape is too large");
      shape.push_back(static_cast<int64_t>(n));
    }
    return shape;
  }

  TensorEntry entry(const std::string& name, const Json& value) const {
    if (!value.is_object()) fail_in(name, "its entry is no JSON object");
    TensorEntry entry{name, dtype(name, field(name, value, "dtype")), {}};
    entry.shape = shape(name, numbers(name, field(name, value, "shape"), "shape"), entry.dtype);
    const std::vector<uint64_t> offsets =
        numbers(name, field(name, value, "data_offsets"), "data_offsets");
    if (offsets.size() != 2)
      fail_in(name, "data_offsets has ", offsets.size(), " numbers, expected 2");
    entry.begin = offsets[0];
    entry.end = offsets[1];
    const uint64_t bytes = static_cast<uint64_t>(entry.shape.numel()) * size_of(entry.dtype);
    if (entry.end < entry.begin || entry.end - entry.begin != bytes) {
      fail_in(name, "data_offsets ", entry.begin, " to ", entry.end, ", expected ", bytes,
              " bytes for ", entry.dtype, " ", entry.shape);
    }
    return entry;
  }

  const std::string& path_;
  Json json_;
  std::vector<std::string> names_;
};

}  // namespace

std::string print_header(const std::string& path, const SafeTensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  auto& entries =
      json.get_ref<nlohmann::ordered_json::object_t&>();  // its vector: json[name] would search
  if (!header.metadata.empty()) entries.emplace_back(std::string(kMetadataKey), header.metadata);
  for (const TensorEntry& entry : header.entries) {
    entries.emplace_back(
        entry.name, nlohmann::ordered_json{
                        {"dtype", kDTypes[static_cast<int>(entry.dtype)]},
                        {"shape", std::vector<int64_t>(entry.shape.begin(), entry.shape.end())},
                        {"data_offsets", {entry.begin, entry.end}}});
  }
  try {
    return json.dump();
  } catch (const Json::exception&) {
    fail("save_safetensors", path, ": a name or the metadata is not UTF-8");
  }
}

SafeTensorsHeader parse_header(const std::string& path, std::string_view text) {
  const HeaderParser parser(path, text);
  return {parser.entries(), parser.metadata()};
}

std::string shown(std::string_view name) {
  constexpr size_t kMost = 100;
  const std::string text(name.substr(0, kMost));
  return Json(text).dump(-1, ' ', true, Json::error_handler_t::replace) +
         (name.size() > kMost ? "..." : "");
}

}  // namespace ebb::detail
