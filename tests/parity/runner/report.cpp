#include "report.h"

#include <iomanip>

namespace ebb::parity {

void Report::add(const Case& c, const Outcome& outcome) {
  const bool failed = !outcome.problems.empty();
  for (Counts* counts : {&by_op_[c.op], &total_}) {
    counts->cases += 1;
    counts->failed += failed;
    counts->second += c.second;
    counts->errors += c.error;
    counts->deviations += c.deviation;
    counts->vacuous += outcome.vacuous;
  }
  if (failed) {
    out_ << c.id << ": " << outcome.problems[0];
    if (const size_t more = outcome.problems.size() - 1; more > 0) out_ << " (and " << more << " more)";
    out_ << '\n';
  }
  if (!verbose_) return;
  for (size_t i = 1; i < outcome.problems.size(); ++i) out_ << "    " << outcome.problems[i] << '\n';
  if (failed) out_ << "    options " << c.options << '\n';
  if (!outcome.thrown.empty()) out_ << c.id << " threw " << outcome.thrown << '\n';
}

void Report::print_row(const std::string& op, const Counts& n) const {
  out_ << std::left << std::setw(34) << op << std::right;
  for (const int count : {n.cases, n.cases - n.failed, n.failed, n.second, n.errors, n.deviations, n.vacuous}) {
    out_ << std::setw(9) << count;
  }
  out_ << '\n';
}

void Report::print_table() const {
  out_ << std::left << std::setw(34) << "op" << std::right;
  for (const char* column : {"cases", "passed", "failed", "order 2", "errors", "deviate", "vacuous"}) {
    out_ << std::setw(9) << column;
  }
  out_ << '\n';
  for (const auto& [op, counts] : by_op_) print_row(op, counts);
}

void Report::print_totals() const {
  out_ << total_.cases << " cases, " << total_.cases - total_.failed << " passed, " << total_.failed << " failed\n";
}

}  // namespace ebb::parity
