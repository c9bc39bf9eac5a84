// The CSV reader, and the digits, which are a CSV file.
#include "ebb/nn/data/csv.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "ebb/nn/data/digits.h"
#include "files.h"

namespace ebb::data {
namespace {

using test::expect_error;
using test::TempFolder;

CsvTable read_text(const std::string& text, const CsvOptions& options = {}) {
  const TempFolder folder;
  test::write_bytes(folder / "table.csv", text);
  return read_csv(folder / "table.csv", options);
}

TEST(Csv, ReadsNumbers) {
  const CsvTable table = read_text("1,-2.5,3e2\n+4,0.1,-0\n");
  EXPECT_EQ(table.values.dtype(), DType::F64);
  EXPECT_EQ(table.values.shape(), Shape({2, 3}));
  EXPECT_EQ(table.values.to_vector<double>(), (std::vector<double>{1, -2.5, 300, 4, 0.1, 0}));
  EXPECT_TRUE(std::signbit(table.values.to_vector<double>()[5]));
  EXPECT_TRUE(table.columns.empty());
}

TEST(Csv, ReadsF32RoundedOnce) {
  // Above the middle of two floats by less than a double can represent. Through a double it would
  // round down, to even.
  const CsvTable table = read_text("1.00000005960464477539062500001\n", {.dtype = DType::F32});
  EXPECT_EQ(table.values.dtype(), DType::F32);
  EXPECT_EQ(table.values.item<float>(), std::nextafter(1.0f, 2.0f));
}

TEST(Csv, ReadsHeadersQuotesBlanksAndForeignLineEnds) {
  const CsvTable table =
      read_text("\xEF\xBB\xBF\"a, b\" , c\r\n 1 ,\"2\"\r\n\r\n3\t, 4\r\n\n5,6", {.header = true});
  EXPECT_EQ(table.columns, (std::vector<std::string>{"a, b", "c"}));
  EXPECT_EQ(table.values.shape(), Shape({3, 2}));
  EXPECT_EQ(table.values.to_vector<double>(), (std::vector<double>{1, 2, 3, 4, 5, 6}));
}

TEST(Csv, ReadsOtherDelimiters) {
  EXPECT_EQ(read_text("1;2\n", {.delimiter = ';'}).values.shape(), Shape({1, 2}));
  EXPECT_EQ(read_text("1\t\"2\"\n", {.delimiter = '\t'}).values.shape(), Shape({1, 2}));
  expect_error([] { read_text("1\t\t2\n", {.delimiter = '\t'}); }, "read_csv",
               {"column 2: an empty field"});
}

TEST(Csv, ReadsInfinityAndNan) {
  const std::vector<double> values = read_text("inf,-inf,nan\n").values.to_vector<double>();
  EXPECT_TRUE(std::isinf(values[0]) && std::isinf(values[1]) && values[1] < 0 &&
              std::isnan(values[2]));
}

TEST(Csv, ReadsGzip) {
  const TempFolder folder;
  test::write_gz(folder / "table.csv.gz", "1,2\n3,4\n");
  EXPECT_EQ(read_csv(folder / "table.csv.gz").values.shape(), Shape({2, 2}));
}

struct Bad {
  const char* text;
  bool header;
  std::initializer_list<std::string> parts;
};

TEST(Csv, ErrorsNameLineAndColumn) {
  const Bad rows[] = {
      {"1,2,3\n4,5\n", false, {"table.csv:2: column 2: the row ends here, expected 3 columns"}},
      {"1,2\n\n3,4,5\n", false, {"table.csv:3: column 3: one field too many, expected 2"}},
      {"a,b\n1\n", true, {"table.csv:2: column 1: the row ends here, expected 2 columns"}},
      {"1,2\n3,x4\n", false, {"table.csv:2: column 2: \"x4\" is not a number"}},
      {"1,2\n3,4x\n", false, {"table.csv:2: column 2: \"4x\" is not a number"}},
      {"1,2\n3,+-4\n", false, {"\"+-4\" is not a number"}},
      {"1,2\n3,0x1p3\n", false, {"is not a number"}},
      {"1,2\n3,1 2\n", false, {"\"1 2\" is not a number"}},
      {"a,b\n1,2\n", false, {"table.csv:1: column 1: \"a\" is not a number; pass .header = true"}},
      {"1,,3\n", false, {"table.csv:1: column 2: an empty field"}},
      {"1,2,\n", false, {"table.csv:1: column 3: an empty field"}},
      {"1,1e999\n", false, {"table.csv:1: column 2: \"1e999\" is out of the range of f64"}},
      {"1,\"2\n3,4\n", false, {"table.csv:1: column 2: an open quote"}},
      {"1,\"2\"3\n", false, {"table.csv:1: column 2: text after a closing quote"}},
      {"", false, {"table.csv: the file has no rows"}},
      {"\n \r\n\n", false, {"the file has no rows"}},
      {"a,b\n", true, {"the file has no rows below its header"}},
      {"1,\x1b[31m\x01 a text that is far too long to stand in an error as a whole\n",
       false,
       {R"("\u001b[31m\u0001 a text)", "\"..."}},
  };
  for (const Bad& row : rows) {
    SCOPED_TRACE(row.text);
    expect_error([&] { read_text(row.text, {.header = row.header}); }, "read_csv", row.parts);
  }
  expect_error([] { read_csv("/no/such.csv"); }, "read_csv",
               {"/no/such.csv: No such file or directory"});
  expect_error([] { read_text("1\n", {.dtype = DType::I64}); }, "read_csv",
               {"f32 or f64, got i64"});
  expect_error([] { read_text("1e99\n", {.dtype = DType::F32}); }, "read_csv",
               {"out of the range of f32"});
}

// ---- the digits ----

TEST(Digits, TheFileInTheRepositoryIsUnchanged) {
  const Dataset digits = load_digits(std::string(EBB_DATA_DIR) + "/digits.csv.gz");
  EXPECT_EQ(digits.inputs().shape(), Shape({1797, 64}));
  EXPECT_EQ(digits.inputs().dtype(), DType::F32);
  EXPECT_EQ(digits.targets().dtype(), DType::I64);
  std::array<int, 10> counts{};
  for (int64_t target : digits.targets().to_vector<int64_t>())
    ++counts.at(static_cast<size_t>(target));
  // The counts on the page of scikit-learn.
  EXPECT_EQ(counts, (std::array<int, 10>{178, 182, 177, 183, 181, 182, 181, 179, 174, 180}));
  double sum = 0;
  for (float value : digits.inputs().to_vector<float>()) {
    EXPECT_TRUE(value >= 0 && value <= 1);
    sum += value * 16;
  }
  EXPECT_EQ(sum, 561718);  // load_digits().data.sum() of scikit-learn
  EXPECT_EQ(digits.class_names().size(), 10u);
}

TEST(Digits, RefusesOtherFiles) {
  const TempFolder folder;
  const auto load = [&](const std::string& text) {
    test::write_bytes(folder / "digits.csv", text);
    load_digits(folder / "digits.csv");
  };
  std::string pixels;
  for (int i = 0; i < 64; ++i) pixels += "16,";
  load(pixels + "9\n");
  expect_error([&] { load("1,2,3\n"); }, "load_digits",
               {"digits.csv: expected 65 columns", "got 3"});
  expect_error([&] { load(pixels + "9\n" + pixels + "10\n"); }, "load_digits",
               {"row 2, column 65: 10 is not a digit from 0 to 9"});
  expect_error([&] { load("16.5" + pixels.substr(2) + "0\n"); }, "load_digits",
               {"column 1", "gray level"});
  expect_error([&] { load("nan" + pixels.substr(2) + "0\n"); }, "load_digits",
               {"column 1", "gray level"});
  expect_error([&] { load_digits(folder / "none"); }, "read_csv", {"none: No such file"});
}

}  // namespace
}  // namespace ebb::data
