// Checks that ebb-parity fails where it should: each row damages one correct case, and states what
// the runner must print.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb {
namespace {

using nlohmann::json;

struct ParityFile {
  json cases;
  std::map<std::string, Tensor> tensors;
  std::string format = "ebb-parity-1";
  std::string text = {};  ///< replaces the cases

  json& entry() { return cases[0]; }
  Tensor& at(const std::string& name) { return tensors["leaky_relu/0/" + name]; }
};

// leaky_relu of slope 1/4 with an upstream gradient; all derivatives are computed by hand. The
// second order is 0.
ParityFile good_file() {
  ParityFile file;
  file.cases = {{{"id", "leaky_relu/0"},
                 {"op", "leaky_relu"},
                 {"options", {{"negative_slope", 0.25}}},
                 {"inputs", {"input"}},
                 {"tensor_options", json::array()},
                 {"grad_of", {"input"}},
                 {"second", true}}};
  file.at("input") = tensor({-4, 2}, f32);
  file.at("output") = tensor({-1, 2}, f32);
  file.at("upstream") = tensor({3, 5}, f32);
  file.at("grad/input") = tensor({0.75, 5});
  file.at("direction/input") = tensor({1, -1}, f32);
  file.at("grad2/input") = tensor({0, 0}, f32);
  return file;
}

class Runner : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }

  void write(const ParityFile& file) {
    const std::string cases = file.text.empty() ? file.cases.dump() : file.text;
    save_safetensors(path_, {file.tensors.begin(), file.tensors.end()},
                     {{"format", file.format}, {"cases", cases}});
  }

  // Runs ebb-parity on the file. Returns its exit status, and stores its output in output_.
  int run(const std::string& flags = "") {
    FILE* pipe = popen((EBB_PARITY " " + flags + " " + path_ + " 2>&1").c_str(), "r");
    output_.clear();
    for (int c = fgetc(pipe); c != EOF; c = fgetc(pipe)) output_ += static_cast<char>(c);
    return WEXITSTATUS(pclose(pipe));
  }

  std::string last_line() const {
    const size_t end = output_.rfind('\n'), before = output_.rfind('\n', end - 1);
    return output_.substr(before + 1, end - before - 1);
  }

  const std::string path_ =
      testing::TempDir() + "ebb-parity-" + std::to_string(getpid()) + ".safetensors";
  std::string output_;
};

TEST_F(Runner, passes_a_good_case) {
  write(good_file());
  EXPECT_EQ(run(), 0) << output_;
  EXPECT_EQ(last_line(), "1 cases, 1 passed, 0 failed");
}

TEST_F(Runner, sums_up_errors_in_markdown) {
  ParityFile file = good_file();
  file.at("grad/input") = tensor({0.75, 5.00001});
  file.entry()["deviation"] = "A.9";
  file.entry()["tolerance"] = {1e-6, 4e-5};
  write(file);
  EXPECT_EQ(run("--summary"), 0) << output_;
  // Cases, telling ones, order 2, errors, widened; then the rounding errors: 1e-5 of 5 in the
  // gradient.
  EXPECT_NE(
      output_.find("| leaky_relu | 1 | 1 | 1 | 0 | 1 | 0.0e+00 | 2.0e-06 | 0.0e+00 | 0.0e+00 |"),
      std::string::npos)
      << output_;
  EXPECT_NE(output_.find("| A.9 |\n"), std::string::npos) << output_;
}

struct Spoiled {
  std::string name;
  void (*spoil)(ParityFile&);
  std::string expected;  ///< part of the line that is printed
};

void PrintTo(const Spoiled& row, std::ostream* out) { *out << row.name; }

class SpoiledCase : public Runner, public testing::WithParamInterface<Spoiled> {};

TEST_P(SpoiledCase, fails) {
  ParityFile file = good_file();
  GetParam().spoil(file);
  write(file);
  EXPECT_EQ(run(), 1) << output_;
  EXPECT_NE(output_.find("leaky_relu/0: " + GetParam().expected), std::string::npos) << output_;
  EXPECT_EQ(last_line(), "1 cases, 0 passed, 1 failed");
}

INSTANTIATE_TEST_SUITE_P(
    , SpoiledCase,
    testing::Values(
        Spoiled{"unknown_op", [](ParityFile& f) { f.entry()["op"] = "leaky_rely"; },
                "unknown op 'leaky_rely'"},
        Spoiled{"unknown_option", [](ParityFile& f) { f.entry()["options"]["inplace"] = true; },
                "unknown option inplace"},
        Spoiled{"unknown_tensor_option",
                [](ParityFile& f) { f.entry()["tensor_options"] = {"input"}; },
                "unknown option input"},
        Spoiled{"option_of_other_type",
                [](ParityFile& f) { f.entry()["options"]["negative_slope"] = true; },
                "option 'negative_slope' is true, not a number"},
        Spoiled{"wrong_option", [](ParityFile& f) { f.entry()["options"]["negative_slope"] = 0.5; },
                "output: at (0,) expected -1, got -2, tolerance"},
        Spoiled{"ignored_option", [](ParityFile& f) { f.entry()["options"].clear(); },
                "output: at (0,) expected -1"},
        Spoiled{"wrong_value",
                [](ParityFile& f) {
                  f.at("output") = tensor({-1, 2.0001});
                },
                "output: at (1,) expected 2.0000999, got 2, tolerance"},
        Spoiled{"value_not_nan",
                [](ParityFile& f) {
                  f.at("output") = tensor({-1, NAN});
                },
                "output: at (1,) expected nan, got 2, tolerance 0"},
        Spoiled{"value_not_infinite",
                [](ParityFile& f) {
                  f.at("output") = tensor({-1, HUGE_VAL});
                },
                "output: at (1,) expected inf, got 2, tolerance 0"},
        Spoiled{"wrong_gradient",
                [](ParityFile& f) {
                  f.at("grad/input") = tensor({0.75, 5.001});
                },
                "grad/input: at (1,) expected 5.00099993, got 5"},
        Spoiled{"wrong_second_gradient",
                [](ParityFile& f) {
                  f.at("grad2/input") = tensor({0, 1e-3});
                },
                "grad2/input: at (1,) expected 0.001"},
        Spoiled{"wrong_dtype",
                [](ParityFile& f) {
                  f.at("output") = tensor({-1, 2}, f64);
                },
                "output: expected dtype f64, got f32"},
        Spoiled{"wrong_shape",
                [](ParityFile& f) {
                  f.at("output") = tensor({{-1, 2}}, f32);
                },
                "output: expected shape (1, 2), got (2,)"},
        Spoiled{"missing_input", [](ParityFile& f) { f.tensors.erase("leaky_relu/0/input"); },
                "the file has no tensor 'input'"},
        Spoiled{"missing_gradient",
                [](ParityFile& f) { f.tensors.erase("leaky_relu/0/grad/input"); },
                "the file has no tensor 'grad/input'"},
        Spoiled{"missing_upstream", [](ParityFile& f) { f.tensors.erase("leaky_relu/0/upstream"); },
                "the file has no tensor 'upstream'"},
        Spoiled{"gradient_of_nothing", [](ParityFile& f) { f.entry()["grad_of"] = {"other"}; },
                "grad_of names 'other', which is no input"},
        Spoiled{"uncompared_gradient", [](ParityFile& f) { f.entry()["second"] = false; },
                "nothing was compared with 'grad2/input'"},
        Spoiled{"too_many_inputs",
                [](ParityFile& f) {
                  f.entry()["inputs"] = {"input", "upstream"};
                },
                "it does not take 2 inputs"},
        Spoiled{"error_that_is_none", [](ParityFile& f) { f.entry()["error"] = true; },
                "error: nothing is thrown"},
        Spoiled{"error_of_the_runner",
                [](ParityFile& f) {
                  f.entry()["error"] = true;
                  f.entry()["options"]["slope"] = 1;
                },
                "unknown option slope"},
        Spoiled{"throws",
                [](ParityFile& f) {
                  f.at("input") = from_data<int64_t>({-4, 2}, {2});
                },
                "["}),
    [](const auto& info) { return info.param.name; });

TEST_F(Runner, passes_an_error_that_is_thrown) {
  ParityFile file = good_file();
  file.entry() = {{"id", "hardtanh/0"},
                  {"op", "hardtanh"},
                  {"options", {{"min_val", 2}}},
                  {"inputs", {"input"}},
                  {"error", true}};
  file.tensors = {{"hardtanh/0/input", tensor({1}, f32)}};
  write(file);
  EXPECT_EQ(run(), 0) << output_;
}

TEST_F(Runner, takes_a_tolerance_of_the_case) {
  ParityFile file = good_file();
  file.at("output") = tensor({-1, 2.0001});
  file.entry()["tolerance"] = {1e-3, 0};
  write(file);
  EXPECT_EQ(run(), 0) << output_;
}

TEST_F(Runner, counts_gradients_of_zeros_as_vacuous) {
  ParityFile file = good_file();
  for (const char* name : {"upstream", "grad/input"}) file.at(name) = zeros({2});
  write(file);
  EXPECT_EQ(run(), 0);
  const std::string row =
      "1        1        0        1        0        0        1\n1 cases, 1 passed, 0 failed";
  EXPECT_NE(output_.find(row), std::string::npos) << output_;
}

TEST_F(Runner, fails_when_no_case_is_left) {
  write(good_file());
  EXPECT_EQ(run("--filter sigmoid"), 1);
  EXPECT_EQ(last_line(), "0 cases, 0 passed, 0 failed");
}

// Expects status 1 and one line that names the file.
void expect_malformed(int status, const std::string& output, const std::string& path,
                      const std::string& what) {
  EXPECT_EQ(status, 1);
  EXPECT_EQ(std::ranges::count(output, '\n'), 1) << output;
  EXPECT_NE(output.find(path), std::string::npos) << output;
  EXPECT_NE(output.find(what), std::string::npos) << output;
}

TEST_F(Runner, refuses_a_truncated_file) {
  write(good_file());
  const auto size = std::filesystem::file_size(path_);
  for (const auto left : {size - 1, size / 2, decltype(size){9}, decltype(size){0}}) {
    std::filesystem::resize_file(path_, left);
    expect_malformed(run(), output_, path_, "");
  }
}

TEST_F(Runner, refuses_a_missing_file) { expect_malformed(run(), output_, path_, ""); }

TEST_F(Runner, refuses_another_format) {
  ParityFile file = good_file();
  file.format = "ebb-parity-2";
  write(file);
  expect_malformed(run(), output_, path_, "ebb-parity-1");
}

TEST_F(Runner, refuses_cases_that_are_no_json) {
  ParityFile file = good_file();
  for (const char* text :
       {"[{", "{}", "[1]", "[{\"id\": 3}]", "[{\"id\": \"a\", \"op\": \"abs\"}]"}) {
    file.text = text;
    write(file);
    expect_malformed(run(), output_, path_, "");
  }
}

TEST_F(Runner, refuses_two_cases_of_one_id) {
  ParityFile file = good_file();
  file.cases.push_back(file.entry());
  write(file);
  expect_malformed(run(), output_, path_, "two cases are named leaky_relu/0");
}

TEST_F(Runner, refuses_an_unknown_device) {
  write(good_file());
  EXPECT_EQ(run("--device quantum"), 1);
  EXPECT_NE(output_.find("quantum"), std::string::npos) << output_;
}

}  // namespace
}  // namespace ebb
