// load_state: copies values into tensors by name, for weights of one's own and of other programs.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/nn/serialize/safetensors.h"

namespace ebb {

/// Copies values into the tensors of the same names. Devices may differ, but not dtypes and shapes.
/// It also writes to parameters that require grad.
///
/// target is, for example, the state_dict() of a module. One tensor may have several names in it,
/// such as a tied weight; the source then needs the same value for each of them. what: the origin
/// of the source, for errors. Throws Error that lists names that are missing or unexpected or have
/// another shape or dtype, and names of one tensor with different values. If it throws, nothing has
/// changed.
void load_state(const NamedTensors& target, const NamedTensors& source, std::string_view what);

/// Throws Error if load_state() would throw, and changes nothing.
void check_state(const NamedTensors& target, const NamedTensors& source, std::string_view what);

struct LoadOptions {
  /// Throw Error unless the names, shapes and dtypes of target and source are the same.
  bool strict = true;
  /// Beginnings of names of the source and what they become. The first one that fits is applied;
  /// names that none fits are kept.
  ///
  ///     LoadOptions options{.prefixes = {{"module.", ""}, {"encoder.", "backbone.encoder."}}};
  std::vector<std::pair<std::string, std::string>> prefixes = {};
};

/// A tensor whose shape or dtype differs.
struct StateMismatch {
  std::string name;
  std::string expected, got;  ///< "f32 (2, 3)"
};

/// The result of a load by name. All names are those after LoadOptions::prefixes.
struct LoadReport {
  std::vector<std::string> loaded;
  std::vector<std::string> missing;      ///< in the target only; unchanged
  std::vector<std::string> unexpected;   ///< in the source only; ignored
  std::vector<StateMismatch> different;  ///< in both; unchanged

  /// Returns true if every tensor of the target was loaded, and every one of the source was used.
  bool is_complete() const { return missing.empty() && unexpected.empty() && different.empty(); }
};

/// Loads by name with options, and returns what fits. With strict = false it loads the tensors that
/// fit and leaves the others as they are.
///
/// Throws Error as the load_state above if options.strict; else only for undefined tensors, names
/// that occur twice (also after prefixes) and names of one tensor with different values. If it
/// throws, nothing has changed.
///
///     const SafeTensors file = load_safetensors("resnet.safetensors");
///     std::cout << to_text(load_state(model.state_dict(), file.tensors, "resnet.safetensors",
///                                     {.strict = false, .prefixes = {{"module.", ""}}}));
LoadReport load_state(const NamedTensors& target, const NamedTensors& source, std::string_view what,
                      const LoadOptions& options);

/// Returns one line: "4 loaded; missing: "head.weight", "head.bias"". Lists are cut after five
/// names, and names are escaped.
std::string to_text(const LoadReport& report);

}  // namespace ebb
