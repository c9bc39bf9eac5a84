// The output: one line per failure, a table by op, and totals.
#pragma once

#include <map>
#include <ostream>
#include <set>

#include "run.h"

namespace ebb::parity {

class Report {
 public:
  /// verbose prints all differences of a failed case and its options, and the messages of error
  /// cases.
  Report(std::ostream& out, bool verbose) : out_(out), verbose_(verbose) {}

  void add(const Case& c, const Outcome& outcome);
  void print_table() const;
  void print_totals() const;
  /// Prints a Markdown table with one row per op: counts, the largest errors of each dtype and
  /// order, differences from torch.
  void print_summary() const;
  /// Returns true if there were cases and all passed.
  bool passed() const { return total_.cases > 0 && total_.failed == 0; }

 private:
  struct Counts {
    int cases = 0, failed = 0, second = 0, errors = 0, deviations = 0, vacuous = 0, widened = 0;
    std::map<DType, std::array<double, 3>> error = {};
    std::set<std::string> departures = {};
  };
  void print_row(const std::string& op, const Counts& counts) const;

  std::ostream& out_;
  bool verbose_;
  std::map<std::string, Counts> by_op_;
  Counts total_;
};

}  // namespace ebb::parity
