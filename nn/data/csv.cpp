#include "ebb/nn/data/csv.h"

#include <charconv>
#include <limits>
#include <string_view>

#include "ebb/nn/data/gz_file.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "read_csv";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// How a field stands in a message: on one line and not too long.
std::string shown(std::string_view field) {
  constexpr size_t kMost = 40;
  std::string text(field.substr(0, kMost));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = '?';
  }
  return "\"" + text + (field.size() > kMost ? "...\"" : "\"");
}

// Walks through a text line by line and field by field, and knows where it is.
class Cursor {
 public:
  Cursor(const std::string& path, std::string_view text, char delimiter)
      : path_(path), text_(text), delimiter_(delimiter) {
    if (text_.starts_with("\xEF\xBB\xBF")) text_.remove_prefix(3);
  }

  // Goes to the next line that is not empty; false at the end.
  bool next_line() {
    while (!text_.empty()) {
      const size_t end = text_.find('\n');
      rest_ = text_.substr(0, end);
      text_.remove_prefix(end == std::string_view::npos ? text_.size() : end + 1);
      ++line_;
      column_ = 0;
      more_ = true;
      if (!trimmed(rest_).empty()) return true;
    }
    return false;
  }

  // The next field of the line, without blanks and quotes; false when the line has no more.
  bool next_field(std::string_view& field) {
    if (!more_) return false;
    ++column_;
    size_t start = 0;
    while (start < rest_.size() && (rest_[start] == ' ' || rest_[start] == '\t') &&
           rest_[start] != delimiter_)
      ++start;
    if (start < rest_.size() && rest_[start] == '"') {
      rest_.remove_prefix(start + 1);
      const size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) fail_here("an open quote");
      field = rest_.substr(0, quote);
      rest_.remove_prefix(quote + 1);
      const size_t end = rest_.find(delimiter_);
      if (!trimmed(rest_.substr(0, end)).empty()) fail_here("text after a closing quote");
      advance(end);
    } else {
      const size_t end = rest_.find(delimiter_);
      field = trimmed(rest_.substr(0, end));
      advance(end);
    }
    return true;
  }

  size_t column() const { return column_; }

  template <class... Parts> [[noreturn]] void fail_here(const Parts&... parts) const {
    fail(kOp, path_, ":", line_, ": column ", column_, ": ", parts...);
  }

 private:
  void advance(size_t end) {
    more_ = end != std::string_view::npos;
    rest_.remove_prefix(more_ ? end + 1 : rest_.size());
  }

  const std::string& path_;
  std::string_view text_, rest_;
  char delimiter_;
  size_t line_ = 0, column_ = 0;
  bool more_ = false;
};

template <class T> T parse_number(const Cursor& cursor, std::string_view field) {
  std::string_view digits = field;
  if (digits.starts_with('+') && !digits.starts_with("+-"))
    digits.remove_prefix(1);  // from_chars knows no plus
  T value{};
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (code == std::errc::result_out_of_range)
    cursor.fail_here(shown(field), " is out of the range of ", dtype_of<T>);
  if (code != std::errc() || end != digits.data() + digits.size()) {
    cursor.fail_here(field.empty() ? "an empty field" : shown(field) + " is not a number");
  }
  return value;
}

// Reads the row that the cursor stands on; `columns` is 0 until the first row has told.
template <class T> void parse_row(Cursor& cursor, size_t& columns, std::vector<T>& values) {
  std::string_view field;
  while (cursor.next_field(field)) {
    if (columns != 0 && cursor.column() > columns)
      cursor.fail_here("one field too many, expected ", columns);
    values.push_back(parse_number<T>(cursor, field));
  }
  if (columns == 0) columns = cursor.column();
  if (cursor.column() < columns)
    cursor.fail_here("the row ends here, expected ", columns, " columns");
}

template <class T>
CsvTable parse(const std::string& path, const std::string& text, const CsvOptions& options) {
  Cursor cursor(path, text, options.delimiter);
  CsvTable table;
  if (options.header && cursor.next_line()) {
    std::string_view name;
    while (cursor.next_field(name)) table.columns.emplace_back(name);
  }
  size_t columns = table.columns.size();
  std::vector<T> values;
  int64_t rows = 0;
  for (; cursor.next_line(); ++rows) parse_row(cursor, columns, values);
  if (rows == 0)
    fail(kOp, path, ": the file has no rows", options.header ? " below its header" : "");
  table.values = from_data(values, {rows, static_cast<int64_t>(columns)});
  return table;
}

}  // namespace

CsvTable read_csv(const std::string& path, const CsvOptions& options) {
  if (!is_floating(options.dtype)) fail(kOp, "expected dtype f32 or f64, got ", options.dtype);
  GzFile file(kOp, path);
  std::string text;
  file.append(text, std::numeric_limits<size_t>::max());
  return options.dtype == DType::F32 ? parse<float>(path, text, options)
                                     : parse<double>(path, text, options);
}

}  // namespace ebb::data
