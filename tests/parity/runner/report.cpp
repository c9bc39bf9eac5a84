#include "report.h"

#include <algorithm>
#include <iomanip>

namespace ebb::parity {

void Report::add(const Case& c, const Outcome& outcome) {
  const bool failed = !outcome.problems.empty();
  for (Counts* counts : {&by_op_[c.op], &total_}) {
    counts->cases += 1;
    counts->failed += failed;
    counts->second += c.second;
    counts->errors += c.error;
    counts->deviations += !c.deviation.empty();
    counts->vacuous += outcome.vacuous;
    counts->widened += c.tolerance.has_value();
    for (size_t order = 0; order < 3; ++order) {
      double& worst = counts->error[outcome.dtype][order];
      worst = std::max(worst, outcome.error[order]);
    }
    if (!c.deviation.empty()) counts->departures.insert(c.deviation);
  }
  if (failed) {
    out_ << c.id << ": " << outcome.problems[0];
    if (const size_t more = outcome.problems.size() - 1; more > 0)
      out_ << " (and " << more << " more)";
    out_ << '\n';
  }
  if (!verbose_) return;
  for (size_t i = 1; i < outcome.problems.size(); ++i)
    out_ << "    " << outcome.problems[i] << '\n';
  if (failed) out_ << "    options " << c.options << '\n';
  if (!outcome.thrown.empty()) out_ << c.id << " threw " << outcome.thrown << '\n';
}

void Report::print_row(const std::string& op, const Counts& n) const {
  out_ << std::left << std::setw(34) << op << std::right;
  for (const int count :
       {n.cases, n.cases - n.failed, n.failed, n.second, n.errors, n.deviations, n.vacuous}) {
    out_ << std::setw(9) << count;
  }
  out_ << '\n';
}

void Report::print_table() const {
  out_ << std::left << std::setw(34) << "op" << std::right;
  for (const char* column :
       {"cases", "passed", "failed", "order 2", "errors", "deviate", "vacuous"}) {
    out_ << std::setw(9) << column;
  }
  out_ << '\n';
  for (const auto& [op, counts] : by_op_) print_row(op, counts);
}

void Report::print_summary() const {
  out_ << "| op | cases | telling | order 2 | errors | widened | f32: value | order 1 | order 2 | "
          "f64: value | order 1 "
          "| "
          "order 2 | departs |\n|---|---|---|---|---|---|---|---|---|---|---|---|---|\n";
  for (const auto& [op, n] : by_op_) {
    out_ << "| " << op;
    for (const int count :
         {n.cases, n.cases - n.errors - n.vacuous, n.second, n.errors, n.widened}) {
      out_ << " | " << count;
    }
    for (const DType dtype : {DType::F32, DType::F64}) {
      const auto found = n.error.find(dtype);
      for (size_t order = 0; order < 3; ++order) {
        out_ << " | " << std::setprecision(1) << std::scientific
             << (found == n.error.end() ? 0 : found->second[order]);
      }
    }
    out_ << " | ";
    for (const std::string& mark : n.departures)
      out_ << (mark == *n.departures.begin() ? "" : ", ") << mark;
    out_ << " |\n";
  }
}

void Report::print_totals() const {
  out_ << total_.cases << " cases, " << total_.cases - total_.failed << " passed, " << total_.failed
       << " failed\n";
}

}  // namespace ebb::parity
