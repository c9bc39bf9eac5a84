// The examples in the comments of headers are true: each one runs, and gives the values that its
// comments claim. extract.cpp says which examples only have to compile.
#include <regex>

#include "ebb/tests/doc_examples/claims.h"

namespace ebb::doc_examples {
namespace {

int checked = 0;

std::string printed(double value) { return to_text(value); }

// Returns a tensor as nested lists: [[1, 2], [3, 4]], or 5 for one without dims.
std::string nested(const Tensor& x) {
  if (x.dim() == 0) return printed(x.to_vector<double>()[0]);
  std::string text = "[";
  for (int64_t i = 0; i < x.size(0); ++i) text += (i ? ", " : "") + nested(select(x, 0, i));
  return text + "]";
}

// Removes and returns the part of `text` up to the bracket that closes the first character.
std::string take_bracketed(std::string& text) {
  int depth = 0;
  size_t i = 0;
  do {
    depth += (text[i] == '[' || text[i] == '{' || text[i] == '(') -
             (text[i] == ']' || text[i] == '}' || text[i] == ')');
    ++i;
  } while (depth > 0 && i < text.size());
  std::string part = text.substr(0, i);
  text.erase(0, i);
  return part;
}

void skip(std::string& text, const std::string& separator) {
  text = std::regex_replace(text, std::regex("^(" + separator + ")"), "");
}

// Checks the claim at the start of the text against one value, and removes it.
void check_one(const char* place, std::string& text, const Tensor& value) {
  ++checked;
  ASSERT_TRUE(value.defined()) << place;
  std::smatch match;
  if (std::regex_search(text, match, std::regex("^(i64|f32|f64|u8)\\b,? ?"))) {
    EXPECT_EQ(to_text(value.dtype()), match[1].str()) << place;
    text = match.suffix();
    skip(text, "shape ");
  }
  if (text.starts_with("[")) {
    const Tensor whole = value.dtype() == DType::Bool ? value.to(u8) : value;
    EXPECT_EQ(nested(whole), take_bracketed(text)) << place;
  } else if (text.starts_with("(")) {
    EXPECT_EQ(to_text(value.shape()), take_bracketed(text)) << place;
  } else if (text.starts_with("{")) {
    std::string list = nested(reshape(value, {-1}));
    list.front() = '{';
    list.back() = '}';
    EXPECT_EQ(list, take_bracketed(text)) << place;
  } else if (std::regex_search(text, match, std::regex("^-?[0-9.e-]+[0-9]|^-?[0-9]"))) {
    EXPECT_EQ(printed(value.item()), match[0].str()) << place;
    text = match.suffix();
  }
}

}  // namespace

void expect_claim(const char* place, std::string text, const std::vector<Tensor>& values) {
  for (const Tensor& value : values) {
    if (text.empty()) return;
    check_one(place, text, value);
    if (&value != &values.back()) skip(text, ", | and ");
  }
}

int checked_claims() { return checked; }

TEST(DocExamples, GiveWhatTheirCommentsClaim) {
  EXPECT_GT(runnable.size(), 80u);
  for (const Runnable& example : runnable) {
    SCOPED_TRACE(example.place);
    try {
      example.run();
    } catch (const std::exception& error) {
      ADD_FAILURE() << error.what();
    }
  }
  EXPECT_GT(checked_claims(), 70);
}

}  // namespace ebb::doc_examples
