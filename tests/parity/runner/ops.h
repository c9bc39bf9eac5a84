// The ops by their names in parity files, and the arguments of a call from a case.
#pragma once

#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "cases.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/nn/losses/reduction.h"

namespace ebb::parity {

using Tensors = std::vector<Tensor>;

/// The arguments of one call. Every option must be read. Otherwise the case has an unknown option.
class Arguments {
 public:
  /// tensors: the inputs and tensor options of the call by name. They must outlive this object.
  Arguments(const Case& c, std::map<std::string, Tensor>& tensors) : case_(c), tensors_(tensors) {}

  /// Returns the positional inputs. Throws Problem unless there are least to most of them.
  Tensors inputs(size_t least, size_t most) const;
  Tensors inputs(size_t count) const { return inputs(count, count); }
  Tensor input() const { return inputs(1)[0]; }

  /// Returns true if an option is a text.
  bool is_text(const std::string& name);
  /// Reads an option. Returns false, and does not change `into`, if it is absent (or null: torch's
  /// None). Throws Problem if it has another type.
  bool read(const std::string& name, double& into);
  bool read(const std::string& name, bool& into);
  bool read(const std::string& name, int64_t& into);
  bool read(const std::string& name, int& into);
  bool read(const std::string& name, std::vector<int64_t>& into);  ///< or one integer
  bool read(const std::string& name, std::vector<double>& into);   ///< or one number
  /// A list of integers and nulls, or one of either.
  bool read(const std::string& name, std::vector<std::optional<int64_t>>& into);
  bool read(const std::string& name, nn::Reduction& into);
  bool read(const std::string& name, GeluApproximate& into);
  bool read(const std::string& name, PadMode& into);
  bool read(const std::string& name, std::string& into);
  bool read(const std::string& name, Tensor& into);
  /// Does the same for an option that the case must have, and throws Problem if it is absent.
  template <class T> T required(const std::string& name) {
    T value{};
    if (!read(name, value)) throw Problem("option '" + name + "' is missing");
    return value;
  }
  /// Returns all tensor options by name.
  std::vector<std::pair<std::string, Tensor>> read_state();

  /// For an op that copies a tensor into a parameter: compares the gradient of the parameter
  /// instead.
  void stand_in(const std::string& name, const Tensor& parameter) { tensors_[name] = parameter; }

  /// Throws Problem with the options that have not been read.
  void check_all_read() const;

 private:
  const nlohmann::json* find(const std::string& name);

  const Case& case_;
  std::map<std::string, Tensor>& tensors_;
  std::set<std::string> read_;
};

/// A prepared call. Only this call may throw the ebb::Error that an error case expects.
using Call = std::function<Tensors()>;

struct Op {
  std::string_view name;
  Call (*function)(Arguments&);
  Call (*module)(Arguments&) = nullptr;  ///< the same as a module, or null
};

std::span<const Op> basic_ops();
std::span<const Op> elementary_ops();
std::span<const Op> reduction_ops();
std::span<const Op> rearrange_ops();
std::span<const Op> pooling_ops();
std::span<const Op> normalization_ops();
std::span<const Op> image_ops();
std::span<const Op> convolution_ops();
std::span<const Op> loss_ops();
std::span<const Op> sequence_ops();
/// Throws Problem if there is no such op.
const Op& find_op(std::string_view name);

}  // namespace ebb::parity
