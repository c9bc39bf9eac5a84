// Writes the examples of headers and pages as two source files: DocExamples compiles both, and
// runs the first.
//
//   extract SOURCE_DIR OUTPUT_DIR FILE...
//
// An example is an indented block of a comment that has a line ending in ';' or '}', or a block
// ```cpp of a page. Types and functions at its start come at namespace scope, and statements into a
// function. The blocks of a page see those before them; ```cpp ignore marks a block that is not
// compiled. Names such as x or model may come from context.h. Examples without such names, and
// without files or a GPU, go to run.cpp. There, what a comment behind a statement claims about its
// value becomes a call of claim() (claims.h). The rest goes to compiled.cpp.
#include <algorithm>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <regex>
#include <sstream>
#include <string>
#include <vector>

namespace {

using Lines = std::vector<std::string>;

struct Example {
  std::string file;
  int line = 0;  // of the first line
  Lines text;
};

std::string joined(const Lines& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

Lines lines_of(const std::string& path) {
  std::ifstream file(path);
  if (!file) {
    std::cerr << "cannot read " << path << "\n";
    std::exit(1);
  }
  Lines lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

// Returns the code of a line, without a comment behind it and without spaces at the end.
std::string code_of(const std::string& line) {
  return std::regex_replace(line, std::regex(R"(\s*//.*$|\s+$)"), "");
}

bool is_code(const Lines& block) {
  return std::ranges::any_of(block, [](const std::string& line) {
    const std::string code = code_of(line);
    return !code.empty() && (code.back() == ';' || code.back() == '}');
  });
}

std::vector<Example> in_header(const std::string& name, const Lines& lines) {
  // "///     code" in the comment of a declaration, or "//   code" in that of a file.
  const std::regex indented(R"(^\s*(///(?: {5}(.*))|//(?: {3}(\S.*| .*)))$)");
  std::vector<Example> examples;
  Example block{name, 0, {}};
  const auto finish = [&] {
    if (is_code(block.text)) examples.push_back(block);
    block.text.clear();
  };
  for (size_t i = 0; i < lines.size(); ++i) {
    std::smatch match;
    if (std::regex_match(lines[i], match, indented)) {
      if (block.text.empty()) block.line = static_cast<int>(i) + 1;
      block.text.push_back(match[2].matched ? match[2].str() : match[3].str());
    } else if (!block.text.empty()) {
      finish();
    }
  }
  return examples;
}

std::vector<Example> in_page(const std::string& name, const Lines& lines) {
  std::vector<Example> examples;
  for (size_t i = 0; i < lines.size(); ++i) {
    if (lines[i] != "```cpp") continue;
    Example block{name, static_cast<int>(i) + 2, {}};
    while (++i < lines.size() && lines[i] != "```") block.text.push_back(lines[i]);
    examples.push_back(block);
  }
  return examples;
}

// Returns how many lines at the start are includes and declarations of types and functions.
size_t declarations(const Lines& text) {
  const std::regex start(R"(^(struct|class|template|enum|using|TEST|#include)\b.*|^\s*$|^//.*)"
                         R"(|^(int|void|auto|[\w:]*Tensor) \w+\(.*(\) \{.*|,)$)");
  size_t i = 0;
  while (i < text.size() && std::regex_match(text[i], start)) {
    int depth = 0;
    for (bool done = false; !done && i < text.size(); ++i) {
      const std::string code = code_of(text[i]);
      depth += static_cast<int>(std::ranges::count(code, '{') - std::ranges::count(code, '}'));
      done = depth == 0 &&
             (code.empty() || code[0] == '#' || code.back() == ';' || code.back() == '}');
    }
  }
  return i;
}

// Returns the names of the objects that context.h declares.
std::vector<std::string> context_names(const std::string& path) {
  std::vector<std::string> names;
  for (const std::string& line : lines_of(path)) {
    std::smatch match;
    const std::regex declaration(R"(^extern (?:const )?[\w:<>]+ (.*);$)");
    if (!std::regex_match(line, match, declaration)) continue;
    std::istringstream list(std::regex_replace(match[1].str(), std::regex(","), " "));
    for (std::string name; list >> name;) names.push_back(name);
  }
  return names;
}

bool needs_context(const std::string& text, const std::vector<std::string>& names) {
  return std::ranges::any_of(names, [&](const std::string& name) {
    if (!std::regex_search(text, std::regex("\\b" + name + "\\b"))) return false;
    // Tensor x = ...; nn::Linear a(2, 3), x(3, 4); auto [y, x] = ...; (const Tensor& x)
    const std::regex declared(R"((Tensor|auto|int|double|Generator|nn::\w+(<\w+>)?) ([^;\n]*, )?)" +
                              name + R"(( =|\(|\{)|auto \[[\w, ]*\b)" + name + R"(\b|Tensor& )" +
                              name + R"(\b)");
    return !std::regex_search(text, declared);
  });
}

bool is_runnable(const std::string& text, const std::vector<std::string>& names) {
  static const std::regex outside(
      R"(\.csv|\.gz|\.dot|\.np[yz]|\.onnx|\.pb"|"runs/|cuda|trainer\.run|TEST\()");
  return !std::regex_search(text, outside) && !needs_context(text, names);
}

// Returns a comment's claim, or "" if it is prose: it starts with a number, a list, a shape or a
// dtype.
std::string claim_in(const std::string& comment) {
  static const std::regex claim(
      R"(^\s*(?:y is )?((?:\[\[|\[-?\d+[.,\]e]|\{|\(\d|-?\d|(?:i64|f32|f64|u8)\b).*)$)");
  std::smatch match;
  return std::regex_match(comment, match, claim) ? match[1].str() : "";
}

// Writes the statements, with claims where comments make them.
void write_statements(std::ostream& out, const Example& example, size_t from, bool claims) {
  const std::regex with_comment(R"(^(.*?);\s*//(.*)$)"), only_comment(R"(^\s*//(.*)$)");
  const std::regex declares(R"(^(?:const )?(?:Tensor|auto|std::vector<Tensor>) (\w+) = .*)");
  const std::regex binds(R"(^auto \[([\w, ]+)\] = .*)");
  std::string names;  // of the last declaration
  for (size_t i = from; i < example.text.size(); ++i) {
    const std::string& line = example.text[i];
    const int number = example.line + static_cast<int>(i);
    const auto call = [&](const std::string& values, const std::string& text) {
      out << "claim(\"" << example.file << ":" << number << "\", R\"~(" << text << ")~\", "
          << values << ");\n";
    };
    out << "#line " << number << " \"" << example.file << "\"\n";
    std::smatch match;
    if (std::regex_match(line, match, binds) || std::regex_match(line, match, declares))
      names = match[1];
    if (!claims) {
      out << line << "\n";
    } else if (std::regex_match(line, match, only_comment) && !names.empty()) {
      if (const std::string text = claim_in(match[1]); !text.empty()) call(names, text);
    } else if (std::regex_match(line, match, with_comment) && !claim_in(match[2]).empty()) {
      const bool declaration = std::regex_match(line, declares) || std::regex_match(line, binds);
      const bool assignment = std::regex_search(match[1].str(), std::regex(R"(^\w+[\w:]* \w+)"));
      if (declaration || assignment) out << line << "\n";
      if (declaration) call(names, claim_in(match[2]));
      if (!declaration && !assignment) call(match[1], claim_in(match[2]));
    } else {
      out << line << "\n";
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  const std::string source = argv[1], out = argv[2];
  const std::vector<std::string> names = context_names(source + "/tests/doc_examples/context.h");
  std::ofstream run(out + "/run.cpp"), compiled(out + "/compiled.cpp");
  run << "#include \"ebb/tests/doc_examples/claims.h\"\n"
         "using namespace ebb::doc_examples;\nnamespace {\n";
  compiled << "#include \"ebb/tests/doc_examples/context.h\"\n"
              "using namespace ebb::doc_examples;\nnamespace {\n";
  std::ostringstream table;
  int count = 0;
  for (int i = 3; i < argc; ++i) {
    const std::string name = argv[i];
    const bool page = name.ends_with(".md");
    const Lines lines = lines_of(source + "/" + name);
    int open = 0;
    for (const Example& example : page ? in_page(name, lines) : in_header(name, lines)) {
      const std::string text = joined(example.text), id = "example_" + std::to_string(++count);
      if (text.find("torch/torch.h") != std::string::npos) continue;
      const size_t start = declarations(example.text);
      const bool runs = !page && start < example.text.size() && is_runnable(text, names);
      std::ostream& file = runs ? run : compiled;
      file << "namespace " << id << " {\n";
      for (size_t k = 0; k < start; ++k)
        file << "#line " << example.line + static_cast<int>(k) << " \"" << name << "\"\n"
             << example.text[k] << "\n";
      if (start < example.text.size()) {
        file << "int function() {\n";
        write_statements(file, example, start, runs);
        file << "return 0;\n}\n";
      }
      if (page) ++open;  // the blocks that follow see this one
      else file << "}\n";
      if (runs) {
        table << "    {\"" << name << ":" << example.line << "\", " << id << "::function},\n";
      }
    }
    for (; open > 0; --open) compiled << "}\n";
  }
  compiled << "}\n";
  run << "}\nconst std::vector<ebb::doc_examples::Runnable> ebb::doc_examples::runnable{\n"
      << table.str() << "};\n";
  return run.good() && compiled.good() ? 0 : 1;
}
