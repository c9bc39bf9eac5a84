// summary: a table of a model's layers, with shapes, parameters, multiply-adds and bytes.
//
//   std::cout << nn::summary(model, {1, 784});
#pragma once

#include <functional>
#include <iosfwd>
#include <string>
#include <vector>

#include "ebb/nn/module.h"

namespace ebb::nn {

/// One call of a layer, or the whole model.
struct SummaryRow {
  std::string name;  ///< "hidden.0"; "" for the model itself
  std::string type;  ///< the class: "Linear"
  int depth;         ///< the number of layers around it
  Shape input;
  Shape output;
  /// Elements of its own parameters, without those of layers inside; counted at the first call of
  /// the module.
  int64_t parameters;
  int64_t multiply_adds;  ///< of its own products and convolutions
  int64_t bytes;          ///< of these parameters and of its output
};

struct Summary {
  std::vector<SummaryRow> rows;  ///< in the order of the calls
  int64_t parameters = 0;     ///< each counted once, even if a layer is called twice or not at all
  int64_t multiply_adds = 0;  ///< of one forward
  int64_t parameter_bytes = 0;
  int64_t output_bytes = 0;
};

/// Returns a table with one line per call. columns: the maximal width, for example
/// terminal_columns(), or 0 for no limit. For a narrow width the names of layers are shortened, and
/// then the columns of bytes and of input shapes are omitted.
std::string to_text(const Summary& summary, int columns = 0);
/// Prints the table. If out is std::cout and a terminal, the table fits its width.
std::ostream& operator<<(std::ostream& out, const Summary& summary);

namespace detail {
Summary summarize(const Module& model, const std::function<Tensor(const Tensor&)>& forward,
                  const Shape& input);
}

/// Runs the model once on zeros of the given shape (with the dtype and device of its parameters),
/// in evaluation mode, and counts its ops. model: a Layer, or a Module with Tensor forward(const
/// Tensor&). The model and the default generator are unchanged afterwards.
template <class M> Summary summary(const M& model, const Shape& input_shape) {
  return detail::summarize(
      model, [&](const Tensor& x) { return const_cast<M&>(model).forward(x); }, input_shape);
}

}  // namespace ebb::nn
