#include "ebb/nn/data/csv.h"

#include <algorithm>
#include <charconv>
#include <memory>
#include <new>
#include <string_view>
#include <utility>

#include "ebb/nn/data/gz_file.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "read_csv";
constexpr size_t kMostRow = size_t{64} << 20, kMostColumns = 1'000'000;
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

std::string shown(std::string_view field) { return detail::shown(field, 40); }

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// Reads a file row by row. A row ends at a line break that is not within quotes.
class RowReader {
 public:
  RowReader(const std::string& path, const CsvOptions& options)
      : file_(kOp, path, options.max_bytes),
        path_(path),
        delimiter_(options.delimiter),
        buffer_(size_t{1} << 16, '\0') {}

  // Reads the next row that is not empty into row(). Returns false at the end of the file.
  bool next() {
    bool more = true;
    while (more) {
      line_ += 1 + std::exchange(breaks_, 0);
      row_.clear();
      more = read_row();
      if (!trimmed(row_).empty()) return true;
    }
    return false;
  }

  const std::string& row() const { return row_; }
  // Returns the number of the line on which the row begins.
  size_t line() const { return line_; }

 private:
  enum class At { Start, Plain, Quoted, Quote, Behind };

  // Appends the bytes up to the end of the row. Returns false if the row ends with the file.
  bool read_row() {
    At at = At::Start;
    for (;;) {
      if (next_ == end_) {
        end_ = file_.read(buffer_.data(), buffer_.size());
        next_ = 0;
        if (end_ == 0) return false;
        const std::string_view first(buffer_.data(), std::min(end_, size_t{3}));
        if (line_ == 1 && file_.bytes_read() == static_cast<int64_t>(end_) &&
            first == kByteOrderMark)
          next_ = 3;
        continue;
      }
      const char c = buffer_[next_++];
      if (c == '\n' && at != At::Quoted) return true;
      if (row_.size() == kMostRow) {
        fail(kOp, path_, ":", line_, ": a row of more than ", kMostRow, " bytes",
             at == At::Quoted ? ", or a quote that is not closed" : "");
      }
      breaks_ += c == '\n';
      row_.push_back(c);
      at = after(at, c);
    }
  }

  At after(At at, char c) const {
    switch (at) {
      case At::Quoted: return c == '"' ? At::Quote : At::Quoted;
      case At::Quote:
        if (c == '"') return At::Quoted;
        break;
      case At::Start:
        if (c == '"') return At::Quoted;
        if (c != delimiter_) return c == ' ' || c == '\t' ? At::Start : At::Plain;
        break;
      default: break;
    }
    return c == delimiter_ ? At::Start : at == At::Quote ? At::Behind : at;
  }

  GzFile file_;
  const std::string& path_;
  char delimiter_;
  std::string buffer_, row_;
  size_t next_ = 0, end_ = 0, line_ = 0, breaks_ = 0;
};

// Reads the fields of a row one by one, and counts lines and columns.
class Fields {
 public:
  Fields(const std::string& path, const RowReader& rows, char delimiter)
      : path_(path), rest_(rows.row()), delimiter_(delimiter), line_(rows.line()) {}

  // Reads the next field, without blanks and quotes. Returns false if the row has no more fields.
  // The field is valid until the next call.
  bool next(std::string_view& field) {
    if (!more_) return false;
    if (++column_ > kMostColumns) fail_here("more than ", kMostColumns, " columns");
    size_t start = 0;
    while (start < rest_.size() && (rest_[start] == ' ' || rest_[start] == '\t') &&
           rest_[start] != delimiter_)
      ++start;
    if (start < rest_.size() && rest_[start] == '"') {
      rest_.remove_prefix(start + 1);
      take_quoted();
      field = unquoted_;
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
  // Returns the text up to the closing quote, with two quotes replaced by one.
  void take_quoted() {
    unquoted_.clear();
    for (;;) {
      const size_t quote = rest_.find('"');
      if (quote == std::string_view::npos) fail_here("an open quote");
      unquoted_.append(rest_.substr(0, quote));
      rest_.remove_prefix(quote + 1);
      if (!rest_.starts_with('"')) return;
      unquoted_.push_back('"');
      rest_.remove_prefix(1);
    }
  }

  void advance(size_t end) {
    more_ = end != std::string_view::npos;
    rest_.remove_prefix(more_ ? end + 1 : rest_.size());
  }

  const std::string& path_;
  std::string_view rest_;
  std::string unquoted_;
  char delimiter_;
  size_t line_, column_ = 0;
  bool more_ = true;
};

// Returns true if the magnitude of a decimal number is below 1. It compares only the order of
// magnitude. REQUIRES that the number is much larger or much smaller.
bool is_tiny(std::string_view digits) {
  const size_t e = std::min(digits.find_first_of("eE"), digits.size());
  int64_t exponent = 0;
  std::string_view power = digits.substr(std::min(e + 1, digits.size()));
  const bool negative = power.starts_with('-');
  if (negative || power.starts_with('+')) power.remove_prefix(1);
  for (char c : power) exponent = std::min<int64_t>(exponent * 10 + (c - '0'), int64_t{1} << 40);
  if (negative) exponent = -exponent;
  const std::string_view mantissa = digits.substr(0, e);
  const size_t point = std::min(mantissa.find('.'), mantissa.size());
  const size_t first = mantissa.find_first_of("123456789");
  // The power of ten of the first digit other than 0.
  return exponent + static_cast<int64_t>(point) - static_cast<int64_t>(first) < 0;
}

// header_hint: true for the first line, which may be a header.
template <class T> T parse_number(const Fields& fields, std::string_view field, bool header_hint) {
  std::string_view digits = field;
  if (digits.starts_with('+') && !digits.starts_with("+-"))
    digits.remove_prefix(1);  // from_chars does not accept a plus sign
  T value{};
  const auto [end, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  const bool whole = end == digits.data() + digits.size();
  if (code == std::errc::result_out_of_range && whole) {
    if (is_tiny(digits)) return digits.starts_with('-') ? -T(0) : T(0);
    fields.fail_here(shown(field), " is out of the range of ", dtype_of<T>);
  }
  if (code != std::errc() || !whole) {
    fields.fail_here(
        field.empty() ? "an empty field" : shown(field) + " is not a number",
        header_hint ? "; pass .header = true if the first line names the columns" : "");
  }
  return value;
}

// Values in blocks, so that any number of values is copied only once.
template <class T> class Values {
 public:
  void push_back(T value) {
    if (count_ % kBlock == 0) blocks_.push_back(std::make_unique<T[]>(kBlock));
    blocks_.back()[count_++ % kBlock] = value;
  }

  // Returns the values as a tensor (rows, columns).
  Tensor take(int64_t rows, int64_t columns) {
    Tensor out = empty({rows, columns}, {.dtype = dtype_of<T>});
    T* to = out.mutable_data<T>();
    for (std::unique_ptr<T[]>& block : blocks_) {
      const size_t n = std::min(kBlock, count_);
      to = std::copy_n(block.get(), n, to);
      count_ -= n;
      block.reset();
    }
    return out;
  }

 private:
  static constexpr size_t kBlock = size_t{1} << 16;
  std::vector<std::unique_ptr<T[]>> blocks_;
  size_t count_ = 0;
};

// Reads one row. `columns` is 0 until the first row has been read.
template <class T>
void parse_row(Fields& fields, size_t& columns, bool header_hint, Values<T>& values) {
  std::string_view field;
  while (fields.next(field)) {
    if (columns != 0 && fields.column() > columns)
      fields.fail_here("one field too many, expected ", columns);
    values.push_back(parse_number<T>(fields, field, header_hint));
  }
  if (columns == 0) columns = fields.column();
  if (fields.column() < columns)
    fields.fail_here("the row ends here, expected ", columns, " columns");
}

template <class T> CsvTable parse(const std::string& path, const CsvOptions& options) {
  RowReader reader(path, options);
  CsvTable table;
  if (options.header && reader.next()) {
    Fields fields(path, reader, options.delimiter);
    std::string_view name;
    while (fields.next(name)) table.columns.emplace_back(name);
  }
  size_t columns = table.columns.size();
  Values<T> values;
  int64_t rows = 0;
  for (; reader.next(); ++rows) {
    Fields fields(path, reader, options.delimiter);
    parse_row(fields, columns, rows == 0 && !options.header, values);
  }
  if (rows == 0)
    fail(kOp, path, ": the file has no rows", options.header ? " below its header" : "");
  table.values = values.take(rows, static_cast<int64_t>(columns));
  return table;
}

}  // namespace

CsvTable read_csv(const std::string& path, const CsvOptions& options) try {
  if (!is_floating(options.dtype)) fail(kOp, "expected dtype f32 or f64, got ", options.dtype);
  if (options.delimiter == '"' || options.delimiter == '\n')
    fail(kOp, "a delimiter cannot be ", shown({&options.delimiter, 1}));
  return options.dtype == DType::F32 ? parse<float>(path, options) : parse<double>(path, options);
} catch (const std::bad_alloc&) {
  fail(kOp, path, ": out of memory");
}

}  // namespace ebb::data
