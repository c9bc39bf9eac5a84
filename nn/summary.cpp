#include "ebb/nn/summary.h"

#include <algorithm>
#include <array>
#include <iostream>
#include <map>
#include <memory>
#include <utility>

#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/nn/train/progress.h"

namespace ebb::nn {
namespace {

int64_t bytes_of(const Tensor& t) { return t.numel() * static_cast<int64_t>(size_of(t.dtype())); }

class Counter : public LayerWatch {
 public:
  explicit Counter(const Module& model) {
    for (const auto& [name, identity] : model.named_modules()) names_.emplace(identity, name);
    for (const auto& [name, tensor] : model.named_parameters()) {
      const size_t dot = name.rfind('.');
      Own& own = own_[dot == std::string::npos ? "" : name.substr(0, dot)];
      own.parameters += tensor.numel();
      own.bytes += bytes_of(tensor);
      summary.parameters += tensor.numel();
      summary.parameter_bytes += bytes_of(tensor);
    }
  }

  void enter(const Module& module, const Tensor& input) override {
    const auto known = names_.find(module.identity());
    const std::string name = known == names_.end() ? "?" : known->second;
    const Own own = known == names_.end() ? Own{} : std::exchange(own_[name], {});
    open_.push_back(summary.rows.size());
    summary.rows.push_back({name, detail::class_name(module), static_cast<int>(open_.size()) - 1,
                            input.shape(), Shape{}, own.parameters, 0, own.bytes});
  }
  void leave(const Tensor& output) override {
    SummaryRow& row = summary.rows[open_.back()];
    row.output = output.shape();
    row.bytes += bytes_of(output);
    summary.output_bytes += bytes_of(output);
    open_.pop_back();
  }

  // A product of (.., m, k) and (.., k, n) has m n k multiply-adds per matrix. A convolution uses
  // each kernel of an output channel once for each of its elements; for a transposed one the
  // operands have the roles of output and kernels.
  void count(const OpEvent& e) {
    int64_t products = 0;
    if (e.op == "linear" || e.op == "matmul") {
      products = e.result.numel() * e.inputs[0]->size(-1);
    } else if (e.op == "convolution" || e.op == "convolution_input") {
      const Tensor& y = e.op == "convolution" ? e.result : *e.inputs[0];
      products = y.numel() * (e.inputs[1]->numel() / e.inputs[1]->size(0));
    } else {
      return;
    }
    summary.rows[open_.back()].multiply_adds += products;
    summary.multiply_adds += products;
  }

  Summary summary;

 private:
  struct Own {
    int64_t parameters = 0, bytes = 0;
  };
  std::map<const void*, std::string> names_;
  std::map<std::string, Own> own_;  // by the path of the module
  std::vector<size_t> open_;        // rows of the calls that are running
};

// Restores the generator of the thread at the end of the scope.
class GeneratorGuard {
 public:
  GeneratorGuard() = default;
  ~GeneratorGuard() { default_generator() = before_; }
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;

 private:
  Generator before_ = default_generator();
};

// Formats 1234567 as 1,234,567.
std::string grouped(int64_t n) {
  std::string text = std::to_string(n);
  for (int64_t at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3)
    text.insert(static_cast<size_t>(at), ",");
  return text;
}

}  // namespace

Summary detail::summarize(const Module& model, const std::function<Tensor(const Tensor&)>& forward,
                          const Shape& input) {
  const NoGrad guard;
  TensorOptions options;
  for (const Tensor& p : model.parameters()) options = {p.dtype(), p.device()};
  const GeneratorGuard generator;
  Module same = model;
  const ModeGuard mode(same, false);  // running statistics stay as they are
  Counter counter(model);
  const OpObserver watch([&](const OpEvent& e) { counter.count(e); });
  const LayerWatch::Scope scope(counter);
  const Tensor x = zeros(input, options);
  counter.enter(model, x);
  counter.leave(forward(x));
  return counter.summary;
}

std::string to_text(const Summary& summary, int columns) {
  constexpr size_t kColumns = 6, kLeastTitle = 10;
  using Row = std::array<std::string, kColumns>;
  std::vector<Row> rows{{"layer", "input", "output", "parameters", "multiply-adds", "bytes"}};
  for (const SummaryRow& r : summary.rows) {
    const std::string title = r.name.empty() ? r.type : r.name + " " + r.type;
    rows.push_back({std::string(static_cast<size_t>(2 * r.depth), ' ') + title,
                    ebb::to_text(r.input), ebb::to_text(r.output), grouped(r.parameters),
                    grouped(r.multiply_adds), grouped(r.bytes)});
  }
  rows.push_back({"total", "", "", grouped(summary.parameters), grouped(summary.multiply_adds),
                  grouped(summary.parameter_bytes + summary.output_bytes)});
  std::array<size_t, kColumns> widths{};
  for (const Row& row : rows) {
    for (size_t c = 0; c < kColumns; ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::array<bool, kColumns> shown;
  shown.fill(true);
  const auto others = [&] {  // the width of all columns except the first
    size_t sum = 0;
    for (size_t c = 1; c < kColumns; ++c) sum += shown[c] ? widths[c] + 2 : 0;
    return sum;
  };
  if (columns > 0) {
    const size_t limit = static_cast<size_t>(columns), title = std::min(widths[0], kLeastTitle);
    for (size_t c : {5, 1}) shown[c] = others() + title <= limit;
    widths[0] = std::min(widths[0], std::max(title, limit - std::min(limit, others())));
  }
  std::string text;
  for (Row& row : rows) {
    if (row[0].size() > widths[0]) row[0] = row[0].substr(0, widths[0] - 2) + "..";
    for (size_t c = 0; c < kColumns; ++c) {  // aligns numbers to the right
      if (!shown[c]) continue;
      const std::string gap(widths[c] - row[c].size(), ' ');
      text += (c ? "  " : "") + (c < 3 ? row[c] + gap : gap + row[c]);
    }
    text += "\n";
  }
  return text;
}

std::ostream& operator<<(std::ostream& out, const Summary& summary) {
  return out << to_text(summary, &out == &std::cout ? terminal_columns() : 0);
}

}  // namespace ebb::nn
