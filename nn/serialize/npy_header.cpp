#include "ebb/nn/serialize/npy_header.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

// The elements of Ebb's dtypes in NumPy.
constexpr std::string_view kDescr[kDTypeCount] = {"<f4", "<f8", "<i8", "|u1", "|b1"};

// Reads one dict. Every method skips blanks first.
class DictReader {
 public:
  DictReader(std::string_view op, std::string_view what, std::string_view text)
      : op_(op), what_(what), text_(text) {}

  NpyHeader read() {
    NpyHeader header;
    std::optional<std::string> descr;
    std::optional<bool> fortran;
    bool has_shape = false;
    expect('{');
    while (!take('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr" && !descr) descr = peek() == '\'' || peek() == '"' ? quoted() : refuse();
      else if (key == "fortran_order" && !fortran) fortran = boolean();
      else if (key == "shape" && !std::exchange(has_shape, true)) header.shape = tuple();
      else stop("the key " + shown(key));
      if (!take(',') && peek() != '}') stop(nullptr);
    }
    if (peek() != '\0') stop(nullptr);
    if (!descr || !fortran || !has_shape)
      fail(op_, what_, "the header lacks descr, fortran_order or shape");
    header.fortran_order = *fortran;
    set_type(header, *descr);
    check_shape(header);
    return header;
  }

 private:
  [[noreturn]] void stop(const std::string& at) const {
    fail(op_, what_, "the header is not that of an array, at ", at);
  }
  [[noreturn]] void stop(std::nullptr_t) const { stop("its byte " + std::to_string(at_)); }
  [[noreturn]] std::string refuse() const {
    fail(op_, what_, "an array of records: expected one element type");
  }

  char peek() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!take(c)) stop(nullptr);
  }

  std::string quoted() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') stop(nullptr);
    const size_t end = text_.find(quote, ++at_);
    if (end == std::string_view::npos) stop(nullptr);
    const std::string word(text_.substr(at_, end - at_));
    at_ = end + 1;
    return word;
  }

  bool boolean() {
    peek();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (!text_.substr(at_).starts_with(word)) continue;
      at_ += word.size();
      return value;
    }
    stop(nullptr);
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      peek();
      int64_t size = 0;
      const char* const end = text_.data() + text_.size();
      const auto [next, error] = std::from_chars(text_.data() + at_, end, size);
      if (error == std::errc::result_out_of_range) fail(op_, what_, "the shape is too large");
      if (error != std::errc() || size < 0) stop(nullptr);
      at_ = static_cast<size_t>(next - text_.data());
      if (shape.dim() == kMaxDims) fail(op_, what_, "a shape of more than ", kMaxDims, " sizes");
      shape.push_back(size);
      if (!take(',') && peek() != ')') stop(nullptr);
    }
    return shape;
  }

  void set_type(NpyHeader& header, const std::string& descr) const {
    const std::string_view code = std::string_view(descr).substr(std::min<size_t>(descr.size(), 1));
    constexpr std::pair<std::string_view, std::string_view> kCodes[] = {
        {"f2", "F16"}, {"f4", "F32"}, {"f8", "F64"}, {"i1", "I8"},  {"i2", "I16"}, {"i4", "I32"},
        {"i8", "I64"}, {"u1", "U8"},  {"u2", "U16"}, {"u4", "U32"}, {"u8", "U64"}, {"b1", "BOOL"}};
    for (const auto& [given, name] : kCodes) {
      if (code == given) header.type = element_type(name);
    }
    const bool has_order =
        !descr.empty() && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
    if (!header.type || !has_order) {
      fail(op_, what_, "the element type ", shown(descr),
           " is not one of f2, f4, f8, i1 to i8, u1 to u8 and b1");
    }
    header.swapped = descr[0] == '>';
  }

  // Ignores sizes of 0, because strides must not overflow either.
  void check_shape(const NpyHeader& header) const {
    auto most = static_cast<int64_t>(std::max(header.type->bytes, size_of(header.type->dtype())));
    for (int64_t size : header.shape) {
      if (__builtin_mul_overflow(most, std::max<int64_t>(size, 1), &most))
        fail(op_, what_, "the shape is too large");
    }
  }

  std::string_view op_, what_, text_;
  size_t at_ = 0;
};

}  // namespace

std::string print_npy_header(DType dtype, const Shape& shape) {
  std::string dict = "{'descr': '";
  dict += kDescr[static_cast<int>(dtype)];
  dict += "', 'fortran_order': False, 'shape': (";
  for (int i = 0; i < shape.dim(); ++i) {
    if (i > 0) dict += ' ';
    dict += std::to_string(shape[i]);
    if (i + 1 < shape.dim() || shape.dim() == 1) dict += ',';
  }
  dict += "), }";
  constexpr size_t kPrefix = 10, kAlign = 64;
  dict.resize((kPrefix + dict.size() + 1 + kAlign - 1) / kAlign * kAlign - kPrefix - 1, ' ');
  dict += '\n';
  const auto length = static_cast<uint16_t>(dict.size());
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(length & 0xFF) +
         static_cast<char>(length >> 8) + dict;
}

NpyHeader parse_npy_header(std::string_view op, std::string_view what, std::string_view text) {
  return DictReader(op, what, text).read();
}

}  // namespace ebb::detail
