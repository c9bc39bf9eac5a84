#include "ebb/tests/support/op_sources.h"

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>

namespace ebb::test {
namespace {

namespace fs = std::filesystem;

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

// Returns true if the text contains the name as a whole word.
bool has_word(const std::string& text, const std::string& name) {
  for (size_t at = text.find(name); at != std::string::npos; at = text.find(name, at + 1)) {
    const size_t end = at + name.size();
    if ((at == 0 || !is_word(text[at - 1])) && (end == text.size() || !is_word(text[end])))
      return true;
  }
  return false;
}

// Returns the end of the sentence that starts at `start`: the position of its full stop. A stop
// inside of a number, a file name or "et al. 2017" does not end a sentence.
size_t sentence_end(const std::string& text, size_t start) {
  for (size_t at = text.find('.', start); at != std::string::npos; at = text.find('.', at + 1)) {
    if (at + 1 >= text.size() || text[at + 1] == '\n') return at;
    const bool next = text[at + 1] == ' ' && at + 2 < text.size() &&
                      std::isupper(static_cast<unsigned char>(text[at + 2]));
    if (next && at > 0 && text[at - 1] != ' ') return at;
  }
  return text.size();
}

// Returns the rest of the sentence that starts with `key`, or "". Sentences start after a blank or
// a new line.
std::string after(const std::string& doc, const std::string& key) {
  for (size_t at = doc.find(key); at != std::string::npos; at = doc.find(key, at + 1)) {
    if (at > 0 && doc[at - 1] != ' ' && doc[at - 1] != '\n') continue;
    const size_t start = at + key.size();
    return doc.substr(start, sentence_end(doc, start) - start);
  }
  return "";
}

std::vector<std::string> list_of(const std::string& text) {
  std::vector<std::string> names;
  for (size_t start = 0; start < text.size();) {
    const size_t comma = std::min(text.find(", ", start), text.size());
    names.push_back(text.substr(start, comma - start));
    start = comma + 2;
  }
  return names;
}

// Parses "Add, AddScalar in formulas/arithmetic.h". The file is relative to a folder or to the
// source folder.
Reference reference_of(const std::string& text, const std::string& folder) {
  const size_t in = text.rfind(" in ");
  if (in == std::string::npos) return {list_of(text), ""};
  std::string file = text.substr(in + 4);
  const bool from_root = file.starts_with("autograd/") || file.starts_with("nn/");
  if (!from_root) file = folder + "/" + file;
  return {list_of(text.substr(0, in)), file};
}

// Returns the name before the first parenthesis of a declaration: "relu" of "Tensor relu(const
// TensorArg& x);".
std::string declared_name(const std::string& line) {
  const size_t open = line.find('(');
  const bool tensors = line.starts_with("Tensor ") || line.starts_with("std::tuple<") ||
                       line.starts_with("std::vector<Tensor> ");
  if (open == std::string::npos || !tensors) return "";
  size_t start = open;
  while (start > 0 && is_word(line[start - 1])) --start;
  const std::string name = line.substr(start, open - start);
  return line.find("operator") < open ? "" : name;
}

std::string capital(std::string text) {
  if (text.starts_with("Returns ")) text.erase(0, 8);
  return text;
}

Declaration declaration_of(const std::string& function, const std::string& header,
                           const std::string& doc) {
  const std::string folder = fs::path(header).parent_path().string();
  Declaration d{.function = function, .header = header};
  d.result = capital(doc.substr(0, sentence_end(doc, 0)));
  d.derivative = after(doc, "Derivative: ");
  if (d.derivative.empty()) d.derivative = after(doc, "Derivatives: ");
  for (const char* kind : {"Formula", "Struct"}) {
    const std::string text = after(doc, std::string(kind) + ": ");
    if (!text.empty()) d.kind = kind, d.definition = reference_of(text, folder);
  }
  if (const std::string text = after(doc, "Composed in "); !text.empty()) {
    d.kind = "Composed";
    d.definition = reference_of(function + " in " + text, folder);
  }
  d.kernels = list_of(after(doc, "Kernels: "));
  d.test = reference_of(after(doc, "Test: "), "tests/support");
  return d;
}

}  // namespace

OpSources::OpSources(const std::string& folder) {
  for (const char* part : {"autograd", "nn", "backends", "tests/support"}) {
    for (const auto& entry : fs::recursive_directory_iterator(fs::path(folder) / part)) {
      const std::string kind = entry.path().extension().string();
      if (kind != ".h" && kind != ".cpp" && kind != ".cu") continue;
      std::vector<std::string>& lines = files_[fs::relative(entry.path(), folder).generic_string()];
      std::ifstream file(entry.path());
      for (std::string line; std::getline(file, line);) lines.push_back(line);
    }
  }
}

std::vector<std::string> OpSources::headers() const {
  std::vector<std::string> list;
  for (const auto& [path, lines] : files_) {
    if (!path.ends_with(".h") || path.starts_with("tests/")) continue;
    for (const std::string& line : lines) {
      if (line.starts_with("///") && line.find("Test: ") != std::string::npos) {
        list.push_back(path);
        break;
      }
    }
  }
  return list;
}

std::string OpSources::title(const std::string& header) const {
  std::string text;
  for (const std::string& line : files_.at(header)) {
    if (!line.starts_with("// ")) break;
    text += (text.empty() ? "" : " ") + line.substr(3);
  }
  return text.substr(0, sentence_end(text, 0)) + ".";
}

std::vector<Declaration> OpSources::declarations(const std::string& header,
                                                 std::vector<std::string>& problems) const {
  std::vector<Declaration> list;
  std::string doc;
  std::set<std::string> seen;  // overloads of a function need no line of their own
  bool internal = false;       // inside of namespace detail
  for (const std::string& line : files_.at(header)) {
    if (line == "namespace detail {") internal = true;
    if (line == "}  // namespace detail") internal = false;
    if (line.starts_with("///")) {
      const std::string text = line.size() > 4 ? line.substr(4) : "";
      if (text.starts_with("    ")) continue;  // an example
      if (text.empty()) doc += '\n';
      else doc += (doc.empty() || doc.back() == '\n' ? "" : " ") + text;
      continue;
    }
    if (const std::string name = declared_name(line); !name.empty() && !doc.empty() && !internal) {
      Declaration declaration = declaration_of(name, header, doc);
      if (!declaration.kind.empty() && !declaration.test.names.empty()) {
        list.push_back(std::move(declaration));
      } else if (!seen.contains(name)) {
        problems.push_back(header + ": the comment of " + name +
                           " does not name its definition and its test row");
      }
      seen.insert(name);
    }
    doc.clear();
  }
  return list;
}

// Returns a line, or the whole statement if it states the name of an op.
static std::string statement_at(const std::vector<std::string>& lines, size_t i) {
  std::string text = lines[i];
  if (text.find("string_view name") == std::string::npos) return text;
  while (text.find(';') == std::string::npos && i + 1 < lines.size()) text += lines[++i];
  return text;
}

std::vector<std::string> OpSources::op_names_of(const std::string& file,
                                                const std::string& name) const {
  std::vector<std::string> names;
  bool inside = false;
  const std::vector<std::string>& lines = files_.at(file);
  for (size_t i = 0; i < lines.size(); ++i) {
    const std::string line = statement_at(lines, i);
    if (line.starts_with("struct ") && line.ends_with(";")) continue;  // a forward declaration
    if (has_word(line, "struct " + name) || has_word(line, "using " + name)) inside = true;
    else if (inside && (line.starts_with("struct ") || line.starts_with("template"))) break;
    if (!inside || line.find("string_view name") == std::string::npos) continue;
    for (size_t open = line.find('"'); open != std::string::npos; open = line.find('"', open)) {
      const size_t close = line.find('"', open + 1);
      names.push_back(line.substr(open + 1, close - open - 1));
      open = close + 1;
    }
    break;
  }
  return names;
}

std::pair<std::string, std::string> OpSources::definition_of(const std::string& op) const {
  for (const auto& [path, lines] : files_) {
    if (path.starts_with("tests/")) continue;
    std::string last;
    for (size_t i = 0; i < lines.size(); ++i) {
      const std::string line = statement_at(lines, i);
      if (const size_t at = line.find("struct "); at != std::string::npos) {
        size_t end = at + 7;
        while (end < line.size() && is_word(line[end])) ++end;
        last = line.substr(at + 7, end - at - 7);
      }
      if (line.find("string_view name =") != std::string::npos &&
          line.find('"' + op + '"') != std::string::npos) {
        return {last, path};
      }
    }
  }
  return {};
}

std::string OpSources::cuda_list_of(const std::string& formula) const {
  for (const auto& [path, lines] : files_) {
    if (!path.ends_with(".cu") || path.starts_with("backends/")) continue;
    for (const std::string& line : lines) {
      if (has_word(line, formula)) return path;
    }
  }
  return "";
}

std::string OpSources::kernel_file(const std::string& backend, const std::string& kernel) const {
  const std::string table = "backends/" + backend + "/" + backend + "_backend";
  for (const auto& [path, lines] : files_) {
    if (!path.starts_with("backends/" + backend + "/") || path.starts_with(table)) continue;
    if (path.ends_with(".h")) continue;
    for (const std::string& line : lines) {
      const bool defines = !line.empty() && is_word(line[0]) && !line.ends_with(";");
      if (defines && has_word(line, kernel) && line.find(kernel + "(") != std::string::npos)
        return path;
    }
  }
  return "";
}

bool OpSources::contains(const std::string& file, const std::string& text) const {
  const auto found = files_.find(file);
  if (found == files_.end()) return false;
  for (const std::string& line : found->second) {
    if (line.find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace ebb::test
