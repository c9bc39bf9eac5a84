// The op table: one row per op. tests/autograd/op_table_test.cpp combines each row with device,
// dtype and layout.
//
// A row states how the op is called, the range of its inputs, the right values (in double, from
// std:: functions or naive loops that do not use Ebb), the accuracy of f32 and f64, and at least
// one bad input that the op must refuse. op_row.h builds a row as one expression. For a new op, add
// a row to the file of its family. For a new family, add a function that returns its rows, declare
// it below, and call it in op_table.cpp.
#pragma once

#include <functional>
#include <limits>
#include <map>
#include <string>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::test {

inline constexpr double kInf = std::numeric_limits<double>::infinity();
inline constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using Values = std::vector<double>;
using Tensors = std::vector<Tensor>;

/// The values of a reference: doubles in row-major order.
struct Array {
  Shape shape;
  Values v;
};
using Arrays = std::vector<Array>;

/// One input of an op.
struct Input {
  Shape shape = {};
  double low = -2, high = 2;  ///< the range [low, high) of random values
  Values extremes = {};       ///< come before the random values in checks of values
  Values kinks = {};          ///< random values keep a distance of 0.05 from these
  DType dtype = f32;          ///< f32 means the dtype under test; i64, u8 and boolean are fixed
  Values fixed = {};          ///< replace random values: indices, masks, equal values
  bool requires_grad = true;

  bool is_floating() const { return dtype == f32; }

  // Parts of a sentence: input({3, 4}).between(0, 1).including(kNaN).avoiding(0.5).
  Input between(double from, double below) const;
  template <class... Numbers> Input including(Numbers... values) const {
    Input changed = *this;
    changed.extremes = {static_cast<double>(values)...};
    return changed;
  }
  template <class... Numbers> Input avoiding(Numbers... values) const {
    Input changed = *this;
    changed.kinks = {static_cast<double>(values)...};
    return changed;
  }
  Input exactly(Values values) const;  ///< instead of random values, in row-major order
  Input of(DType fixed_dtype) const;   ///< i64, u8 or boolean
  Input without_grad() const;
};
/// Returns an i64 input with these values. It has no gradient.
Input indices(const Shape& shape, Values values);
/// Returns a boolean input with these values, for conditions.
Input mask(const Shape& shape, Values values);

/// Exact values and gradients at a point: a kink or a limit, where the op has a convention.
///
///     point(0).value(0).gradient(0.5)
struct Point {
  Values at;  ///< one number per input
  double result = 0;
  Values first = {};   ///< the gradient, one number per input; empty: not checked
  Values higher = {};  ///< d(gradient of input 0)/d(input k); empty: not checked

  Point value(double number) const;
  template <class... Numbers> Point gradient(Numbers... by_inputs) const {
    Point changed = *this;
    changed.first = {static_cast<double>(by_inputs)...};
    return changed;
  }
  template <class... Numbers> Point second(Numbers... by_inputs) const {
    Point changed = *this;
    changed.higher = {static_cast<double>(by_inputs)...};
    return changed;
  }
};
/// Returns a point with one number per input.
template <class... Numbers> Point point(Numbers... inputs) {
  return {.at = {static_cast<double>(inputs)...}};
}

/// A call that must throw an Error of one line that contains `message`.
struct BadInput {
  std::string what;
  std::function<void()> call;
  std::string message;
};

struct Tolerance {
  double relative, absolute;
};

struct OpRow {
  std::string name;                      ///< in the names of tests
  std::vector<std::string> covers = {};  ///< names in ebb::op_names(); empty: {name}, or none
  std::function<Tensors(const Tensors&)> op;
  std::vector<Input> inputs;
  std::function<Arrays(const Arrays&)> reference = {};
  Tolerance f32_tolerance{1e-6, 1e-6};
  Tolerance f64_tolerance{1e-14, 1e-14};

  bool differentiable = true;
  bool bitwise = true;       ///< the bits of a value are the same in every layout
  bool captured = true;      ///< a captured step may contain the op
  bool third_order = false;  ///< check third-order gradients too
  /// Inputs whose gradient of this order is zero by mathematics. A zero gradient of any other input
  /// fails.
  std::vector<int> zero_gradient = {};
  std::vector<int> zero_second = {};
  std::vector<int> zero_third = {};
  DType out_dtype = f32;      ///< f32 means the dtype under test
  bool has_integers = false;  ///< check i64 inputs too, exactly

  // The shapes of the inputs in the other layouts. A layout without shapes is not tested.
  std::vector<std::vector<Shape>> broadcast = {};
  std::vector<Shape> empty = {};
  bool has_empty = false;
  bool has_scalar = false;  ///< all inputs 0-d

  std::vector<Point> points = {};
  std::vector<BadInput> bad = {};
};

/// Returns all rows, in the order of the families.
std::vector<OpRow> all_rows();

std::vector<OpRow> arithmetic_rows();
std::vector<OpRow> comparison_rows();
std::vector<OpRow> elementary_rows();
std::vector<OpRow> number_rows();
std::vector<OpRow> trigonometry_rows();
std::vector<OpRow> activation_rows();
std::vector<OpRow> more_activation_rows();
std::vector<OpRow> reduce_rows();
std::vector<OpRow> statistics_rows();
std::vector<OpRow> softmax_rows();
std::vector<OpRow> matmul_rows();
std::vector<OpRow> convolution_rows();
std::vector<OpRow> view_rows();
std::vector<OpRow> indexing_rows();
std::vector<OpRow> embedding_rows();
std::vector<OpRow> recurrent_rows();
std::vector<OpRow> attention_rows();
std::vector<OpRow> rearrange_rows();
std::vector<OpRow> sorting_rows();
std::vector<OpRow> pooling_rows();
std::vector<OpRow> normalization_rows();
std::vector<OpRow> resampling_rows();
std::vector<OpRow> pointwise_loss_rows();
std::vector<OpRow> class_loss_rows();
std::vector<OpRow> similarity_loss_rows();

// ---- making pointwise rows ----

using Function1 = std::function<double(double)>;
using Function2 = std::function<double(double, double)>;

/// Returns a reference that applies f to every element.
std::function<Arrays(const Arrays&)> each(Function1 f);
/// Returns a reference that applies f to every pair of elements, with broadcasting.
std::function<Arrays(const Arrays&)> each(Function2 f);

/// Returns a row with one input of shape (3, 4), the layouts empty and 0-d, and an error for
/// integers.
OpRow unary_row(const std::string& name, Tensor (*op)(const Tensor&), Function1 reference,
                Input domain = {});
/// Returns a row with two inputs of shape (3, 4), the layouts broadcast, empty and 0-d, and errors
/// for shapes that do not broadcast and for different dtypes.
OpRow binary_row(const std::string& name, Tensor (*op)(const Tensor&, const Tensor&),
                 Function2 reference, Input left = {}, Input right = {});

// ---- arrays for references ----

/// Converts a row-major position to one coordinate per dim, and back.
Shape unravel(int64_t position, const Shape& shape);
int64_t ravel(const Shape& at, const Shape& shape);
/// Returns an array of `shape` whose elements element(at) computes.
Array make_array(const Shape& shape, const std::function<double(const Shape& at)>& element);
/// Returns the element of a at coordinates of a broadcast shape.
double broadcast_at(const Array& a, const Shape& at);

}  // namespace ebb::test
