// The loops of a user's formula are vectorized when its file is compiled with -O2: their machine
// code multiplies several numbers at once.
#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <map>
#include <memory>
#include <regex>
#include <string>

namespace {

// By demangled function: how many of its instructions multiply packed numbers of the type ("ps" or
// "pd").
std::map<std::string, int> packed_products(const std::string& type) {
  const std::string command =
      std::string(EBB_OBJDUMP) + " -d -C --no-show-raw-insn '" + EBB_FORMULA_OBJECT + "'";
  const std::unique_ptr<FILE, int (*)(FILE*)> out(popen(command.c_str(), "r"), &pclose);
  std::map<std::string, int> counts;
  if (!out) return counts;
  const std::regex product("\\s(v?mul|vfn?m(add|sub)[0-9]+)" + type + "\\s");
  std::string function;
  std::array<char, 4096> line;
  while (std::fgets(line.data(), static_cast<int>(line.size()), out.get())) {
    const std::string text = line.data();
    if (text.ends_with(">:\n")) {
      function = text.substr(text.find('<'));
      counts[function];
    } else if (std::regex_search(text, product)) {
      ++counts[function];
    }
  }
  return counts;
}

void expect_vectorized(const std::string& loop, const std::string& type,
                       const std::string& formula = "Bump") {
  const std::string name = loop + "<" + formula + ", " + (type == "ps" ? "float" : "double");
  int found = 0;
  for (const auto& [function, products] : packed_products(type)) {
    if (function.find(name) == std::string::npos || function.find("resolver") != std::string::npos)
      continue;
    if (function.find("(" + formula + " const&") == std::string::npos) continue;
    ++found;
    EXPECT_GE(products, 4) << function;
  }
  EXPECT_GE(found, 3) << name << ": expected a clone for each instruction set";
}

TEST(VectorizedAtO2, ValueOfAFormula) {
  expect_vectorized("value_loop", "ps");
  expect_vectorized("value_loop", "pd");
}
TEST(VectorizedAtO2, GradientOfAFormula) {
  expect_vectorized("gradient_loop", "ps");
  expect_vectorized("gradient_loop", "pd");
}
// Without EBB_HD, g++ does not inline the call of the second order.
TEST(VectorizedAtO2, SecondOrderOfAMarkedFormula) {
  expect_vectorized("second_order_loop", "ps", "MarkedBump");
  expect_vectorized("second_order_loop", "pd", "MarkedBump");
}
TEST(VectorizedAtO2, RuleOfAnOptimizer) {
  for (const std::string type : {"ps", "pd"}) {
    const std::string name =
        "rule_loop<Damped::Update<" + std::string(type == "ps" ? "float" : "double") + ">";
    int found = 0;
    for (const auto& [function, products] : packed_products(type)) {
      if (function.find(name) == std::string::npos ||
          function.find("resolver") != std::string::npos)
        continue;
      ++found;
      EXPECT_GE(products, 3) << function;
    }
    EXPECT_GE(found, 3) << name << ": expected a clone for each instruction set";
  }
}

}  // namespace
