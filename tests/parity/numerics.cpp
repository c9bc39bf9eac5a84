// ebb-numerics: measures how far Ebb's f32 losses and gradients are from values of 60 digits,
// compared with PyTorch's. Reads the file of numerics.py and prints a Markdown table. The exit
// status is 0 only if no result of Ebb is worse.
#include <CLI/CLI.hpp>
#include <cmath>
#include <iomanip>
#include <iostream>
#include <sstream>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/nn/losses/distance.h"
#include "runner/run.h"

namespace ebb::parity {
namespace {

struct Error {
  double ulp = 0, relative = 0;

  void include(Error other) {
    ulp = std::max(ulp, other.ulp);
    relative = std::max(relative, other.relative);
  }
};

/// The largest error in units in the last place of f32, and the largest relative error of results
/// that are not denormals.
Error error_of(const Tensor& exact, const Tensor& got) {
  if (exact.shape() != got.shape()) throw Problem("it has another shape");
  const std::vector<double> want = exact.to_vector<double>(), have = got.to_vector<double>();
  Error worst;
  for (size_t i = 0; i < want.size(); ++i) {
    const double size = std::abs(want[i]);
    if (size > static_cast<double>(std::numeric_limits<float>::max())) {
      if (!std::isinf(have[i])) worst.ulp = HUGE_VAL;
      continue;
    }
    const double error = std::abs(have[i] - want[i]);
    int exponent = 0;
    std::frexp(size, &exponent);
    const double ulp = error / std::ldexp(1.0, std::max(exponent, -125) - 24);
    const bool normal = size >= static_cast<double>(std::numeric_limits<float>::min());
    worst.include(std::isfinite(ulp) ? Error{ulp, normal ? error / size : 0}
                                     : Error{HUGE_VAL, HUGE_VAL});
  }
  return worst;
}

/// A loss with a function as an option, which the cases of the runner cannot describe.
Computed with_distance(const Case& c) {
  std::vector<Tensor> x;
  for (const std::string& name : c.inputs) x.push_back(c.tensor(name).detach().requires_grad_());
  const Tensor losses = nn::triplet_margin_with_distance_loss(x.at(0), x.at(1), x.at(2),
                                                              {.reduction = nn::Reduction::None});
  return {{losses.detach()}, grad(std::vector{sum(losses)}, x)};
}

struct Row {
  bool composed = false;
  std::vector<std::string> results;  // in the order of the file
  std::map<std::string, Error> ours, theirs;

  void include(const std::string& result, Error our, Error their) {
    if (!ours.contains(result)) results.push_back(result);
    ours[result].include(our);
    theirs[result].include(their);
  }
};

class Table {
 public:
  void add(const Case& c) {
    const auto [found, is_new] = rows_.try_emplace(c.entry.at("row").get<std::string>());
    if (is_new) order_.push_back(found->first);
    found->second.composed = c.entry.at("composed").get<bool>();
    const bool by_function = c.op == "triplet_margin_with_distance_loss";
    const Computed computed = by_function ? with_distance(c) : compute(c, Device());
    const auto include = [&](const std::string& result, const Tensor& got) {
      const auto [ulp, relative] = c.entry.at("rival").at(result).get<std::pair<double, double>>();
      found->second.include(result, error_of(c.tensor(result), got), {ulp, relative});
    };
    include("output", computed.outputs.at(0));
    if (computed.outputs.size() > 1) include("loss", computed.outputs.at(1));
    for (size_t i = 0; i < c.grad_of.size(); ++i)
      include("grad/" + c.grad_of[i], computed.gradients.at(i));
  }

  /// Prints the table and a summary. Returns the number of results in which Ebb is worse.
  int print(std::ostream& out) const {
    int worse = 0;
    out << "| loss | result | ulp: Ebb | PyTorch | relative: Ebb | PyTorch "
           "|\n|---|---|---|---|---|---|\n";
    for (const std::string& name : order_) {
      const Row& row = rows_.at(name);
      for (const std::string& result : row.results) {
        const Error our = row.ours.at(result), their = row.theirs.at(result);
        const char* mark = is_worse(our, their) ? "**" : "";
        worse += is_worse(our, their);
        out << "| " << name << (row.composed ? " *" : "") << " | " << result << " | " << mark
            << text(our.ulp) << mark << " | " << text(their.ulp) << " | " << text(our.relative)
            << " | " << text(their.relative) << " |\n";
      }
    }
    out << worse << " results are less exact than PyTorch's\n";
    return worse;
  }

 private:
  // In either measure, unless the result is rounded correctly: no f32 result is more accurate than
  // half a unit in the last place. Rounding from f64 makes this 0.5000001.
  static bool is_worse(Error our, Error their) {
    return our.ulp > 0.5001 && (our.ulp > their.ulp || our.relative > their.relative);
  }

  static std::string text(double error) {
    if (error > 1e30) return "inf";
    std::ostringstream out;
    out << std::setprecision(3) << error;
    return out.str();
  }

  std::vector<std::string> order_;
  std::map<std::string, Row> rows_;
};

int run(const std::string& file) {
  Table table;
  for (const Case& c : load_cases(file)) table.add(c);
  return table.print(std::cout) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace ebb::parity

int main(int argc, char** argv) {
  std::string file;
  CLI::App app("How exact are the losses and their gradients, beside PyTorch's?", "ebb-numerics");
  app.add_option("FILE", file, "the file that numerics.py makes")->required();
  CLI11_PARSE(app, argc, argv);
  try {
    return ebb::parity::run(file);
  } catch (const std::exception& error) {
    std::cerr << "ebb-numerics: " << error.what() << '\n';
    return 1;
  }
}
