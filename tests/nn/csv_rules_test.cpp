// Quotes of RFC 4180, numbers beyond the range of a dtype, and the limits of the CSV reader.
#include <gtest/gtest.h>

#include <cmath>

#include "ebb/nn/data/csv.h"
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

TEST(CsvRules, TwoQuotesWithinQuotesAreOne) {
  const CsvTable table =
      read_text("\"size 3\"\" pipe\",\"\"\"\",\"\"\n1,\"2\",3\n", {.header = true});
  EXPECT_EQ(table.columns, (std::vector<std::string>{"size 3\" pipe", "\"", ""}));
  EXPECT_EQ(table.values.to_vector<double>(), (std::vector<double>{1, 2, 3}));
}

TEST(CsvRules, AQuotedFieldMayHoldDelimitersAndLineBreaks) {
  const CsvTable table = read_text("\"a,\nb\r\nc\" ,d\r\n1,2\r\n", {.header = true});
  EXPECT_EQ(table.columns, (std::vector<std::string>{"a,\nb\r\nc", "d"}));
  EXPECT_EQ(table.values.shape(), Shape({1, 2}));
}

TEST(CsvRules, BlanksMayPrecedeAQuoteAndAQuoteWithinAFieldIsText) {
  const CsvTable table =
      read_text("  \"a\nb\",\t\"c\nd\",5\" pipe\n \"1\",\t\"2\", 3\n", {.header = true});
  EXPECT_EQ(table.columns, (std::vector<std::string>{"a\nb", "c\nd", "5\" pipe"}));
  EXPECT_EQ(table.values.to_vector<double>(), (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(read_text("a\t\t\"b\"\n1\t2\t3\n", {.header = true, .delimiter = '\t'}).columns,
            (std::vector<std::string>{"a", "", "b"}));
  expect_error([] { read_text("\"1\" \"\n2\n\"\n"); }, "read_csv",
               {":1: column 1: text after a closing quote"});
}

TEST(CsvRules, TinyNumbersBecomeSubnormalOrZero) {
  const CsvOptions single{.dtype = f32};
  EXPECT_EQ(read_text("1e-50\n", single).values.item(), 0);
  EXPECT_EQ(read_text("1e-400\n").values.item(), 0);
  const double negative = read_text("-1e-400\n").values.item();
  EXPECT_TRUE(negative == 0 && std::signbit(negative));
  EXPECT_EQ(read_text("1e-40\n", single).values.item<float>(), 1e-40f);
  EXPECT_EQ(read_text("4.9e-324\n").values.item(), 4.9e-324);
  EXPECT_EQ(read_text("0." + std::string(400, '0') + "1\n").values.item(), 0);
  EXPECT_EQ(read_text("100e-99999999999999999999\n").values.item(), 0);
  EXPECT_EQ(read_text("0e99999\n").values.item(), 0);
  // Zeros before or after the digit outweigh the exponent, or do not.
  const std::string zeros(450, '0');
  EXPECT_EQ(read_text("0." + zeros + "1e400\n", single).values.item(), 0);
  EXPECT_EQ(read_text("1" + zeros + "e-900\n").values.item(), 0);
  for (const std::string& large : {"1" + zeros + "e-100", "0." + zeros + "1e900",
                                   std::string("1e400"), std::string("-1e99999999999999999999"),
                                   std::string(400, '9'), "0.001e" + std::string("500")}) {
    expect_error([&] { read_text(large + "\n"); }, "read_csv", {"is out of the range of f64"});
  }
}

TEST(CsvRules, AHeaderThatWasNotAnnouncedGivesTheHint) {
  expect_error([] { read_text("day,speed\n1,2\n"); }, "read_csv",
               {"table.csv:1: column 1: \"day\" is not a number; pass .header = true"});
  try {
    read_text("1,2\nday,3\n");
    ADD_FAILURE();
  } catch (const Error& error) {  // not the first line: no header
    EXPECT_EQ(std::string(error.what()).find(".header"), std::string::npos) << error.what();
  }
}

TEST(CsvRules, LongFieldsAreShortenedInErrors) {
  expect_error([] { read_text(std::string(41, 'x') + "\n"); }, "read_csv",
               {"\"" + std::string(40, 'x') + "\"... is not a number"});
}

TEST(CsvRules, LineNumbersCountTheBreaksWithinQuotes) {
  expect_error([] { read_text("\"a\nb\",c\n1,2\n3,x\n", {.header = true}); }, "read_csv",
               {"table.csv:4: column 2: \"x\" is not a number"});
}

TEST(CsvRules, AFileBeyondTheLimitIsAnErrorThatNamesTheOption) {
  const TempFolder folder;
  std::string text;
  for (int i = 0; i < 100'000; ++i) text += "1,2\n";
  test::write_gz(folder / "x.gz", text);
  expect_error([&] { read_csv(folder / "x.gz", {.max_bytes = 100'000}); }, "read_csv",
               {"more than 100000 bytes unpacked", "max_bytes"});
  EXPECT_EQ(read_csv(folder / "x.gz", {.max_bytes = 400'000}).values.size(0), 100'000);
}

TEST(CsvRules, ARowWithoutAnEndIsAnError) {
  const TempFolder folder;
  test::write_gz(folder / "x.gz", "\"" + std::string((size_t{64} << 20) + 10, '1'));
  expect_error([&] { read_csv(folder / "x.gz"); }, "read_csv",
               {":1: a row of more than 67108864 bytes, or a quote that is not closed"});
  expect_error([&] { read_text("1" + std::string(1'000'000, ',')); }, "read_csv",
               {"column 2: an empty field"});
  expect_error([&] { read_text(std::string(1'000'000, ',') + "\n1\n", {.header = true}); },
               "read_csv", {"more than 1000000 columns"});
  expect_error([&] { read_text(std::string(999'999, ','), {.header = true}); }, "read_csv",
               {"no rows below its header"});
}

TEST(CsvRules, ADelimiterMustNotBeAQuoteOrALineBreak) {
  expect_error([] { read_text("1\n", {.delimiter = '"'}); }, "read_csv", {"delimiter"});
  expect_error([] { read_text("1\n", {.delimiter = '\n'}); }, "read_csv", {"delimiter", "\\n"});
}

TEST(CsvRules, RowsMayCrossThePiecesThatAreRead) {
  std::string text = "\xEF\xBB\xBF";
  for (int i = 0; i < 60'000; ++i)
    text += std::to_string(i) + ",\"" + std::to_string(-i) + "\"\r\n";
  const std::vector<double> values = read_text(text).values.to_vector<double>();
  ASSERT_EQ(values.size(), 120'000u);
  for (int i = 0; i < 60'000; ++i) {
    ASSERT_EQ(values[static_cast<size_t>(2 * i)], i);
    ASSERT_EQ(values[static_cast<size_t>(2 * i + 1)], -i);
  }
}

}  // namespace
}  // namespace ebb::data
