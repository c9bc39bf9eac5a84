#include "ebb/nn/serialize/safetensors_header.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kLoad = "load_safetensors";

// Reads the header while the library parses it. It keeps only parts of the result, so that time and
// memory are linear. nlohmann::json::sax_parse calls its members.
class HeaderReader {
 public:
  explicit HeaderReader(const std::string& path) : path_(path) {}

  SafeTensorsHeader take() {
    std::vector<std::string_view> names;
    for (const TensorEntry& entry : header_.entries) names.push_back(entry.name);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) fail_twice(*twice);
    return std::move(header_);
  }

  // ---- events of the parser ----
  bool null() { return other_value(); }
  bool boolean(bool) { return other_value(); }
  bool number_integer(int64_t) { return other_value(); }
  bool number_float(double, const std::string&) { return other_value(); }
  bool binary(Json::binary_t&) { return other_value(); }

  bool number_unsigned(uint64_t number) {
    if (in_ != In::Numbers) return other_value();
    if (numbers_->count < kMostNumbers) numbers_->values[numbers_->count] = number;
    ++numbers_->count;
    return true;
  }

  bool string(std::string& text) {
    if (in_ == In::Metadata) {
      if (!header_.metadata.emplace(key_, std::move(text)).second) fail_twice(key_);
      return true;
    }
    if (in_ != In::Entry || key_ != "dtype") return other_value();
    entry_.type = element_type(text);
    if (!entry_.type) {
      fail_in("dtype ", shown(text), " is not one of F8_E4M3, F8_E5M2, F16, BF16, F32, F64, ",
              "I8, I16, I32, I64, U8, U16, U32, U64, BOOL");
    }
    return true;
  }

  bool start_object(size_t) {
    switch (in_) {
      case In::Start: in_ = In::Top; return true;
      case In::Top: in_ = key_ == kMetadataKey ? In::Metadata : In::Entry; return true;
      default: return start_nested();
    }
  }

  bool end_object() {
    if (depth_ > 0) --depth_;
    else if (in_ == In::Entry) finish_entry(), in_ = In::Top;
    else if (in_ == In::Metadata) in_ = In::Top;
    return true;
  }

  bool start_array(size_t) {
    if (in_ == In::Entry && depth_ == 0 && (key_ == "shape" || key_ == "data_offsets")) {
      numbers_ = key_ == "shape" ? &sizes_ : &offsets_;
      in_ = In::Numbers;
      return true;
    }
    return start_nested();
  }

  bool end_array() {
    if (depth_ > 0) --depth_;
    else in_ = In::Entry;
    return true;
  }

  bool key(std::string& key) {
    if (depth_ > 0) return true;
    key_ = std::move(key);
    if (in_ == In::Top || in_ == In::Metadata) count_name();
    if (in_ == In::Top) start_entry();
    if (in_ == In::Entry) note_field();
    return true;
  }

  bool parse_error(size_t at, const std::string&, const Json::exception& error) {
    constexpr int kNumberOverflow = 406;
    if (error.id == kNumberOverflow)
      fail(kLoad, path_, ": the header holds a number that is too large");
    fail(kLoad, path_, ": the header is not JSON, at its byte ", at);
  }

 private:
  enum class In { Start, Top, Entry, Numbers, Metadata };
  static constexpr size_t kMostNumbers = kMaxDims;
  struct Numbers {
    uint64_t values[kMostNumbers];
    size_t count = 0;
    bool seen = false;
  };

  template <class... Parts> [[noreturn]] void fail_in(const Parts&... parts) const {
    fail(kLoad, path_, ": tensor ", shown(entry_.name), ": ", parts...);
  }
  [[noreturn]] void fail_twice(std::string_view name) const {
    fail(kLoad, path_, ": the name ", shown(name), " comes twice");
  }

  // A value at a position where the format has none.
  bool other_value() {
    if (depth_ > 0) return true;  // within an unknown field
    switch (in_) {
      case In::Start: fail(kLoad, path_, ": the header is not a JSON object");
      case In::Top:
        if (key_ == kMetadataKey) fail(kLoad, path_, ": the metadata is not a JSON object");
        fail_in("its entry is not a JSON object");
      case In::Metadata: fail(kLoad, path_, ": the metadata ", shown(key_), " is not text");
      case In::Numbers: fail_in(key_, " holds something other than whole numbers from 0");
      case In::Entry:
        if (key_ == "dtype") fail_in("the dtype is not text");
        if (key_ == "shape" || key_ == "data_offsets") fail_in(key_, " is not a list");
    }
    return true;
  }

  bool start_nested() {
    other_value();
    constexpr int kDeepest = 3;
    if (++depth_ > kDeepest) fail(kLoad, path_, ": the header is nested too deep");
    return true;
  }

  void count_name() {
    if (++names_ > kMostNames) fail(kLoad, path_, ": more than ", kMostNames, " names");
  }

  void start_entry() {
    entry_ = {};
    entry_.name = key_;
    dtype_seen_ = false;
    sizes_ = {}, offsets_ = {};
    if (key_ == kMetadataKey && std::exchange(metadata_seen_, true)) fail_twice(key_);
  }

  void note_field() {
    bool* seen = key_ == "dtype"          ? &dtype_seen_
                 : key_ == "shape"        ? &sizes_.seen
                 : key_ == "data_offsets" ? &offsets_.seen
                                          : nullptr;
    if (seen && std::exchange(*seen, true)) fail_twice(key_);
  }

  void finish_entry() {
    if (!dtype_seen_) fail_in("no dtype");
    if (!sizes_.seen) fail_in("no shape");
    if (!offsets_.seen) fail_in("no data_offsets");
    read_shape();
    if (offsets_.count != 2) fail_in("data_offsets has ", offsets_.count, " numbers, expected 2");
    entry_.begin = offsets_.values[0];
    entry_.end = offsets_.values[1];
    const uint64_t bytes = static_cast<uint64_t>(entry_.shape.numel()) * entry_.type->bytes;
    if (entry_.end < entry_.begin || entry_.end - entry_.begin != bytes) {
      fail_in("data_offsets ", entry_.begin, " to ", entry_.end, ", expected ", bytes,
              " bytes for ", entry_.type->name, " ", entry_.shape);
    }
    header_.entries.push_back(std::move(entry_));
  }

  void read_shape() {
    if (sizes_.count > kMaxDims)
      fail_in("a shape of ", sizes_.count, " sizes, at most ", kMaxDims, " are read");
    // Ignores sizes of 0, because strides must not overflow either.
    auto most = static_cast<int64_t>(std::max(entry_.type->bytes, size_of(entry_.type->dtype())));
    for (size_t i = 0; i < sizes_.count; ++i) {
      if (__builtin_mul_overflow(most, std::max<uint64_t>(sizes_.values[i], 1), &most))
        fail_in("the shape is too large");
      entry_.shape.push_back(static_cast<int64_t>(sizes_.values[i]));
    }
  }

  const std::string& path_;
  SafeTensorsHeader header_;
  In in_ = In::Start;
  int depth_ = 0;  // depth of lists and objects within an unknown field
  size_t names_ = 0;
  std::string key_;
  TensorEntry entry_;
  bool dtype_seen_ = false, metadata_seen_ = false;
  Numbers sizes_, offsets_;
  Numbers* numbers_ = nullptr;
};

}  // namespace

std::string print_header(const std::string& path, const SafeTensorsHeader& header) {
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  // The vector of entries, because json[name] would search.
  auto& entries = json.get_ref<nlohmann::ordered_json::object_t&>();
  if (!header.metadata.empty()) entries.emplace_back(std::string(kMetadataKey), header.metadata);
  for (const TensorEntry& entry : header.entries) {
    entries.emplace_back(
        entry.name, nlohmann::ordered_json{
                        {"dtype", entry.type->name},
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
  HeaderReader reader(path);
  Json::sax_parse(text, &reader);
  return reader.take();
}

}  // namespace ebb::detail
