// ebb-parity: compares Ebb with parity files and prints the differences. The exit status is 0 only
// if every case passed.
#include <CLI/CLI.hpp>
#include <iostream>

#include "report.h"

namespace ebb::parity {
namespace {

struct Settings {
  std::vector<std::string> files;
  std::string device = "cpu", filter;
  bool verbose = false, summary = false;
};

std::vector<Case> load_all(const std::vector<std::string>& files) {
  std::vector<Case> all;
  for (const std::string& file : files) {
    for (Case& c : load_cases(file)) all.push_back(std::move(c));
  }
  return all;
}

bool run(const Settings& settings) {
  const Device device = Device::parse(settings.device);
  zeros({}, {.device = device});  // throws here if the device does not exist
  Report report(std::cout, settings.verbose);
  for (const Case& c : load_all(settings.files)) {
    if (c.id.find(settings.filter) != std::string::npos) report.add(c, run_case(c, device));
  }
  if (settings.summary) report.print_summary();
  else report.print_table();
  report.print_totals();
  return report.passed();
}

}  // namespace
}  // namespace ebb::parity

int main(int argc, char** argv) {
  ebb::parity::Settings settings;
  CLI::App app("Runs parity files: does Ebb compute what PyTorch computes?", "ebb-parity");
  app.add_option("FILE", settings.files, "parity files (safetensors)")->required();
  app.add_option("--device", settings.device, "cpu, cuda or cuda:N")->capture_default_str();
  app.add_option("--filter", settings.filter, "only cases whose id contains this");
  app.add_flag("--verbose", settings.verbose,
               "all that differs in a failed case, and the messages of error cases");
  app.add_flag("--summary", settings.summary, "the table in Markdown, with the largest errors");
  CLI11_PARSE(app, argc, argv);
  try {
    return ebb::parity::run(settings) ? 0 : 1;
  } catch (const std::exception& error) {
    std::cerr << "ebb-parity: " << error.what() << '\n';
    return 1;
  }
}
