#include "ebb/autograd/inspect/picture.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <unordered_map>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/graph/node.h"
#include "ebb/core/grad_mode.h"

namespace ebb {
namespace {

std::string bytes_text(int64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  char text[32];
  const bool mega = bytes >= 1 << 20;
  std::snprintf(text, sizeof(text), "%.1f %s",
                static_cast<double>(bytes) / (mega ? 1 << 20 : 1 << 10), mega ? "MiB" : "KiB");
  return text;
}

std::string short_number(double value) {
  char text[32];
  std::snprintf(text, sizeof(text), "%.3g", value);
  return text;
}

// Returns a handle to an output of a node, so that grad() can refer to the node.
Tensor handle_of(const Node& node, int output) {
  Tensor t = empty({});
  t.impl()->node = Ref<GraphNode>::share(const_cast<Node*>(&node));
  t.impl()->output_index = static_cast<uint32_t>(output);
  return t;
}

struct Entry {
  Node* node;
  std::string name;               ///< of the op, or of the leaf
  std::string shapes, dtypes;     ///< of its outputs
  std::string saved, norm;        ///< "" if there is no value
  std::vector<size_t> made_from;  ///< indices of entries
};

class Picture {
 public:
  Picture(std::string_view op, const Tensor& root, const PictureOptions& options) {
    check_defined(op, root);
    if (!root.requires_grad())
      fail(op, "the tensor ", root, " does not require grad: no graph was recorded");
    collect(*root.node());
    for (size_t i = 0; i < entries.size(); ++i) fill(entries[i], options);
    if (options.gradients) find_norms(root);
  }

  std::vector<Entry> entries;  ///< results come before their inputs

 private:
  void collect(Node& root) {
    std::vector<Node*> nodes{&root};
    numbers_[&root] = 0;
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const Edge& edge : nodes[i]->edges()) {
        if (edge.node() && numbers_.emplace(edge.node(), 0).second) nodes.push_back(edge.node());
      }
    }
    std::stable_sort(nodes.begin(), nodes.end(),
                     [](Node* a, Node* b) { return a->depth() > b->depth(); });
    for (size_t i = 0; i < nodes.size(); ++i) {
      numbers_[nodes[i]] = i;
      entries.push_back({nodes[i], std::string(nodes[i]->name()), "", "", "", "", {}});
    }
  }

  void fill(Entry& e, const PictureOptions& options) {
    for (int i = 0; i < e.node->output_count(); ++i) {
      e.shapes += (i ? ", " : "") + to_text(e.node->output(i).shape);
      e.dtypes += (i ? ", " : "") + to_text(e.node->output(i).dtype);
    }
    if (const int64_t bytes = e.node->saved_bytes()) e.saved = bytes_text(bytes);
    for (const Edge& edge : e.node->edges()) {
      if (edge.node()) e.made_from.push_back(numbers_[edge.node()]);
    }
    if (!e.node->is_leaf()) return;
    for (const auto& [name, tensor] : options.names) {
      if (tensor.defined() && tensor.requires_grad() && tensor.node() == e.node) e.name = name;
    }
  }

  void find_norms(const Tensor& root) {
    const auto released = [](const Entry& e) { return e.node->is_released(); };
    if (root.numel() != 1 || std::any_of(entries.begin(), entries.end(), released)) return;
    const GradMode on(true);
    std::vector<Tensor> outputs;
    for (const Entry& e : entries) {
      for (int i = 0; i < e.node->output_count(); ++i) outputs.push_back(handle_of(*e.node, i));
    }
    const std::vector<Tensor> gradients =
        grad(std::span(&root, 1), outputs, {.retain_graph = true, .allow_unused = true});
    size_t at = 0;
    for (Entry& e : entries) {
      for (int i = 0; i < e.node->output_count(); ++i, ++at) {
        if (!gradients[at].defined()) continue;
        double squares = 0;
        for (double g : gradients[at].to_vector<double>()) squares += g * g;
        e.norm += (e.norm.empty() ? "" : ", ") + short_number(std::sqrt(squares));
      }
    }
  }

  std::unordered_map<const Node*, size_t> numbers_;
};

std::string quoted(const std::string& text) {
  std::string out;
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string to_dot(const Tensor& root, const PictureOptions& options) {
  const Picture picture("to_dot", root, options);
  std::string text =
      "digraph graph_of_ebb {\n"
      "  rankdir=BT\n"
      "  node [shape=box, style=\"rounded,filled\", fillcolor=\"#eef3fb\", color=\"#5b7bb4\", "
      "fontname=\"Helvetica\", "
      "fontsize=11]\n"
      "  edge [color=\"#777777\", arrowsize=0.7]\n";
  for (size_t i = 0; i < picture.entries.size(); ++i) {
    const Entry& e = picture.entries[i];
    text += "  n" + std::to_string(i) + " [label=\"" + quoted(e.name) + "\\n" + e.shapes + " " +
            e.dtypes;
    if (!e.saved.empty()) text += "\\nsaved " + e.saved;
    if (!e.norm.empty()) text += "\\n|gradient| " + e.norm;
    text += "\"";
    if (e.node->is_leaf())
      text += ", shape=ellipse, style=filled, fillcolor=\"#e6f4e1\", color=\"#6a9c55\"";
    text += "]\n";
  }
  for (size_t i = 0; i < picture.entries.size(); ++i) {
    for (size_t from : picture.entries[i].made_from) {
      text += "  n" + std::to_string(from) + " -> n" + std::to_string(i) + "\n";
    }
  }
  return text + "}\n";
}

std::string graph_text(const Tensor& root, const PictureOptions& options) {
  const Picture picture("graph_text", root, options);
  using Row = std::array<std::string, 7>;
  std::vector<Row> rows{{"#", "op", "shape", "dtype", "saved", "|gradient|", "from"}};
  for (size_t i = 0; i < picture.entries.size(); ++i) {
    const Entry& e = picture.entries[i];
    std::string from;
    for (size_t j : e.made_from) from += (from.empty() ? "" : " ") + std::to_string(j);
    rows.push_back({std::to_string(i), e.name, e.shapes, e.dtypes, e.saved, e.norm, from});
  }
  size_t widths[7] = {};
  for (const Row& row : rows) {
    for (size_t c = 0; c < row.size(); ++c) widths[c] = std::max(widths[c], row[c].size());
  }
  std::string text;
  for (const Row& row : rows) {
    std::string line;
    for (size_t c = 0; c < row.size(); ++c) {
      line += row[c];
      if (c + 1 < row.size()) line.append(widths[c] - row[c].size() + 2, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1);
    text += line + "\n";
  }
  return text;
}

}  // namespace ebb
