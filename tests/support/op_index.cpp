#include "ebb/tests/support/op_index.h"

#include <filesystem>
#include <set>

#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/autograd/ops/registry.h"
#include "ebb/core/creation.h"
#include "ebb/core/error.h"
#include "ebb/tests/support/op_checks.h"
#include "ebb/tests/support/op_sources.h"

namespace ebb::test {
namespace {

using Names = std::set<std::string>;

constexpr const char* kIntroduction = R"(# Index of ops

One row per function that computes with tensors, in the order of the headers. A declaration names
its definition ("Formula", "Struct" or "Composed in"), its kernels and its test row. The columns
*dtypes* and *orders* come from the rows of the op table: the dtypes that a call takes, and the
orders of derivatives that the tests check.

- A **formula** computes one element. Its kernels are compiled from it: those of the CPU always, and
  those of CUDA if the linked `.cu` file lists it. Derivatives of every order come from it.
- A **struct** has a forward and a backward function. The linked files have the kernels that these
  call.
- A **composed** function calls other ops, and has their derivatives.

The test `op_table.<row>/...` checks values, derivatives, layouts and errors.

This page is generated. `cmake --build BUILD --target ops_index` writes it, and the test
`op_table.index` fails if it does not fit the sources.
)";

// Facts that the calls of a row show.
struct Observed {
  Names ops;  // the ops that the row runs
  Names dtypes;
  std::string orders;
};

Tensors inputs_of(const OpRow& row, DType dtype) {
  const Case c{row, Device::cpu(), dtype, Layout::Contiguous};
  if (is_floating(dtype)) {
    return tensors_of(c, arrays_of(row, shapes_of(row, c.layout)[0], false), dtype);
  }
  Tensors inputs = tensors_of(c, arrays_of(row, shapes_of(row, c.layout)[0], false), f32);
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (row.inputs[i].is_floating()) inputs[i] = ones(inputs[i].shape(), {.dtype = dtype});
  }
  return inputs;
}

bool accepts(const OpRow& row, DType dtype) {
  try {
    row.op(inputs_of(row, dtype));
    return true;
  } catch (const Error&) {
    return false;
  }
}

Observed observe(const OpRow& row) {
  Observed seen;
  {
    const OpObserver observer([&](const OpEvent& event) { seen.ops.emplace(event.op); });
    row.op(inputs_of(row, f64));
  }
  bool floating = false;
  for (const Input& input : row.inputs) {
    floating |= input.is_floating();
  }
  for (DType dtype : {f32, f64, i64, u8, boolean}) {
    if (floating && accepts(row, dtype)) seen.dtypes.emplace(name_of(dtype));
  }
  if (!floating) {
    for (const Input& input : row.inputs) seen.dtypes.emplace(name_of(input.dtype));
  }
  if (row.differentiable) seen.orders = row.third_order ? "1, 2, 3" : "1, 2";
  return seen;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : ", ") + part;
  return text;
}

std::string link(const std::string& text, const std::string& file) {
  return "[" + text + "](../" + file + ")";
}
std::string link(const std::string& file) {
  return link(std::filesystem::path(file).filename().string(), file);
}

// A cell of a Markdown table.
std::string cell(const std::string& text) {
  std::string out = " ";
  bool code = false;  // between backquotes, where only | needs an escape
  for (char c : text) {
    code ^= c == '`';
    if (c == '|' || (!code && (c == '*' || c == '_' || c == '<'))) out += '\\';
    out += c == '\n' ? ' ' : c;
  }
  return out + " |";
}

class Index {
 public:
  Index(const std::vector<OpRow>& rows, const std::string& folder,
        std::vector<std::string>& problems)
      : rows_(rows), sources_(folder), problems_(problems) {}

  std::string text() {
    std::string page = kIntroduction;
    std::vector<Declaration> all;
    for (const std::string& header : sources_.headers()) {
      for (Declaration& d : sources_.declarations(header, problems_)) all.push_back(std::move(d));
    }
    assign_rows(all);
    std::string header;
    for (const Declaration& d : all) {
      if (d.header != header) {
        header = d.header;
        page += "\n## " + header + "\n\n" + sources_.title(header) + "\n\n" +
                "| function | result | derivative | dtypes | devices | orders | defined by | "
                "kernels | test row |\n"
                "|---|---|---|---|---|---|---|---|---|\n";
      }
      page += line_of(d);
    }
    return page + other_ops();
  }

 private:
  void problem(const Declaration& d, const std::string& text) {
    problems_.push_back(d.header + ": " + d.function + ": " + text);
  }

  // A row belongs to the declaration that names the longest part of its name: sum_keepdim to "sum".
  void assign_rows(const std::vector<Declaration>& all) {
    for (const OpRow& row : rows_) {
      size_t longest = 0;
      for (const Declaration& d : all) {
        for (const std::string& name : d.test.names) {
          const bool fits = row.name == name || row.name.starts_with(name + "_");
          if (!fits || name.size() < longest) continue;
          if (name.size() > longest) owned_[row.name].clear();
          longest = name.size();
          owned_[row.name].insert(name);
        }
      }
      observed_[row.name] = observe(row);
    }
  }

  std::vector<const OpRow*> rows_of(const std::string& name) const {
    std::vector<const OpRow*> list;
    for (const OpRow& row : rows_) {
      const auto owner = owned_.find(row.name);
      if (owner != owned_.end() && owner->second.contains(name)) list.push_back(&row);
    }
    return list;
  }

  std::string line_of(const Declaration& d) {
    Observed seen;
    bool captured = true;
    std::vector<std::string> tests;
    for (const std::string& name : d.test.names) {
      const std::vector<const OpRow*> list = rows_of(name);
      if (list.empty()) problem(d, "the op table has no row " + name);
      if (!sources_.contains(d.test.file, '"' + name)) {
        problem(d, d.test.file + " has no row " + name);
      }
      for (const OpRow* row : list) {
        const Observed& one = observed_[row->name];
        seen.ops.insert(one.ops.begin(), one.ops.end());
        seen.dtypes.insert(one.dtypes.begin(), one.dtypes.end());
        if (one.orders.size() > seen.orders.size()) seen.orders = one.orders;
        captured &= row->captured;
      }
      tests.push_back(link(name, d.test.file));
    }
    std::string derivative = d.derivative;
    if (seen.orders.empty()) derivative = "none";
    else if (derivative.empty() && d.kind == "Composed") derivative = "of the ops it calls";
    else if (derivative.empty()) problem(d, "the comment has no sentence \"Derivative: ...\"");

    std::vector<std::string> dtypes, definitions, kernels;
    for (const char* dtype : {"f32", "f64", "i64", "u8", "bool"}) {
      if (seen.dtypes.contains(dtype)) dtypes.push_back(dtype);
    }
    bool cuda = true;
    for (const std::string& name : d.definition.names) {
      definitions.push_back(d.kind == "Composed" ? link(d.definition.file)
                                                 : link(name, d.definition.file));
      check_definition(d, name, seen);
      if (d.kind != "Formula") continue;
      const std::string list = sources_.cuda_list_of(name);
      cuda &= !list.empty();
      if (!list.empty() && (kernels.empty() || kernels.back() != link(list))) {
        kernels.push_back(link(list));
      }
    }
    for (const std::string& kernel : d.kernels) {
      std::string where;
      for (const char* backend : {"cpu", "cuda"}) {
        const std::string file = sources_.kernel_file(backend, kernel);
        if (file.empty() && backend == std::string("cuda")) cuda = false;
        else if (file.empty()) problem(d, std::string("no kernel ") + kernel + " in backends/cpu");
        else where += (where.empty() ? "" : " ") + link(backend, file);
      }
      kernels.push_back(kernel + ": " + where);
    }
    const std::string devices =
        std::string(cuda ? "CPU, CUDA" : "CPU") + (captured ? "" : " (not in captured steps)");
    return "|" + cell("`" + d.function + "`") + cell(d.result) + cell(derivative) +
           cell(joined(dtypes)) + cell(devices) + cell(seen.orders.empty() ? "none" : seen.orders) +
           " " + joined(definitions) + " | " + joined(kernels) + " | " + joined(tests) + " |\n";
  }

  void check_definition(const Declaration& d, const std::string& name, const Observed& seen) {
    if (d.kind == "Composed") {
      if (!sources_.contains(d.definition.file, " " + name + "(")) {
        problem(d, d.definition.file + " does not define it");
      }
      return;
    }
    if (!sources_.contains(d.definition.file, "struct " + name)) {
      problem(d, d.definition.file + " has no struct " + name);
      return;
    }
    bool runs = false;
    for (const std::string& op : sources_.op_names_of(d.definition.file, name)) {
      runs |= seen.ops.contains(op);
      if (seen.ops.contains(op)) reached_.insert(op);
    }
    if (!runs) problem(d, "its test rows do not run " + name);
  }

  // Returns the ops of the registry that do not have the name of a function.
  std::string other_ops() {
    std::string page =
        "\n## Other ops\n\nParts of gradients and of the functions above, and methods of "
        "Tensor.\n\n"
        "| op | defined by | test row |\n|---|---|---|\n";
    Names others;
    for (std::string_view op : op_names()) {
      const std::string name(op);
      if (name.starts_with("test_") || reached_.contains(name)) continue;
      others.insert(name);
      const auto [type, file] = sources_.definition_of(name);
      if (file.empty()) problems_.push_back("no source file states the name of the op " + name);
      std::vector<std::string> tests;
      for (const OpRow& row : rows_) {
        for (const std::string& covered : row.covers) {
          if (covered == name) tests.push_back("`" + row.name + "`");
        }
        if (row.covers.empty() && row.name == name) tests.push_back("`" + row.name + "`");
      }
      page +=
          "|" + cell("`" + name + "`") + " " + link(type, file) + " | " + joined(tests) + " |\n";
    }
    for (const OpRow& row : rows_) {
      bool leads = owned_.contains(row.name) || others.contains(row.name);
      for (const std::string& name : row.covers) leads |= others.contains(name);
      if (!leads) problems_.push_back("no declaration names the row " + row.name);
    }
    return page;
  }

  const std::vector<OpRow>& rows_;
  OpSources sources_;
  std::vector<std::string>& problems_;
  std::map<std::string, Names> owned_;  // by row: the names in declarations that lead to it
  std::map<std::string, Observed> observed_;
  Names reached_;  // ops that a declaration leads to
};

}  // namespace

std::string op_index(const std::vector<OpRow>& rows, const std::string& source_folder,
                     std::vector<std::string>& problems) {
  return Index(rows, source_folder, problems).text();
}

}  // namespace ebb::test
