// Reads from the sources what they state about ops: the declarations of op headers with their
// comments, and the files that define formulas, structs and kernels. The index of ops (docs/ops.md)
// is made from it.
#pragma once

#include <map>
#include <string>
#include <vector>

namespace ebb::test {

/// Names and the file that defines them: "Add, AddScalar in formulas/arithmetic.h".
struct Reference {
  std::vector<std::string> names = {};
  std::string file = {};
};

/// A documented function of a header whose comment names its definition and its test row.
struct Declaration {
  std::string function = {};
  std::string header = {};  ///< relative to the source folder, as all paths here
  std::string result = {};  ///< the first sentence without "Returns"
  std::string derivative = {};
  std::string kind = {};      ///< Formula, Struct or Composed
  Reference definition = {};  ///< file only, if composed
  std::vector<std::string> kernels = {};
  Reference test = {};
};

class OpSources {
 public:
  explicit OpSources(const std::string& folder);

  /// Returns the declarations of a header. Appends a line to `problems` for each comment that is
  /// incomplete.
  std::vector<Declaration> declarations(const std::string& header,
                                        std::vector<std::string>& problems) const;
  /// Returns the headers in which comments name test rows.
  std::vector<std::string> headers() const;
  /// Returns the sentence that opens a header.
  std::string title(const std::string& header) const;
  /// Returns the op names that `struct name` states in a file.
  std::vector<std::string> op_names_of(const std::string& file, const std::string& name) const;
  /// Returns the struct and the file that state the name of an op, or empty strings.
  std::pair<std::string, std::string> definition_of(const std::string& op) const;
  /// Returns the file that lists a formula for nvcc, or "".
  std::string cuda_list_of(const std::string& formula) const;
  /// Returns the file in backends/cpu or backends/cuda that defines a kernel function, or "".
  std::string kernel_file(const std::string& backend, const std::string& kernel) const;
  /// Returns true if the file exists and contains the text.
  bool contains(const std::string& file, const std::string& text) const;

 private:
  std::map<std::string, std::vector<std::string>> files_;  // lines by path
};

}  // namespace ebb::test
