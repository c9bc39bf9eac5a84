// The op table: one row an op, crossed by tests/autograd/op_table_test.cpp with device, dtype and layout.
//
// A row says how the op is called, where its inputs lie, what the right values are (in double, by std:: functions or
// naive loops that share nothing with Ebb), how exact f32 and f64 are, and one bad input an op must refuse.
// A new op: add a row to the file of its family. A new family: a function that returns its rows, declared below and
// called in op_table.cpp.
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

/// What references compute with: doubles in row-major order.
struct Array {
  Shape shape;
  Values v;
};
using Arrays = std::vector<Array>;

/// One input of an op.
struct Input {
  Shape shape = {};
  double low = -2, high = 2;  ///< random values in [low, high)
  Values extremes = {};       ///< put in front of the random values where only values are checked
  Values kinks = {};          ///< random values keep a distance of 0.05 from these
  DType dtype = f32;  ///< f32 stands for the dtype under test; i64, u8 and boolean are themselves
  Values fixed =
      {};  ///< these values instead of random ones (indices, masks, where equal values matter)
  bool requires_grad = true;

  bool is_floating() const { return dtype == f32; }
};
/// i64 values, which have no gradient.
Input indices(const Shape& shape, Values values);
/// Booleans as the op's condition.
Input mask(const Shape& shape, Values values);

/// One exact statement about values and gradients at a point: kinks and limits, where conventions live.
struct Point {
  Values at;  ///< one number an input
  double value;
  Values gradient = {};  ///< one number an input; empty: not stated
  Values second = {};    ///< d(gradient of input 0)/d(input k); empty: not stated
};

/// One call that must throw an Error of one line which contains `message`.
struct BadInput {
  std::string what;
  std::function<void()> call;
  std::string message;
};

struct Tolerance {
  double relative, absolute;
};

struct OpRow {
  std::string name;  ///< in test names
  std::vector<std::string> covers =
      {};  ///< names in ebb::op_names(); empty: a composite, or {name}
  std::function<Tensors(const Tensors&)> op;
  std::vector<Input> inputs;
  std::function<Arrays(const Arrays&)> reference = {};
  Tolerance f32_tolerance{1e-6, 1e-6};
  Tolerance f64_tolerance{1e-14, 1e-14};

  bool differentiable = true;
  bool bitwise = true;   ///< the value of an element is the same to the last bit in every layout
  bool captured = true;  ///< a captured step may contain it
  bool third_order = false;  ///< check it
  /// Inputs whose gradient, or second order, is zero by mathematics: stated, so that no other check is vacuous.
  std::vector<int> zero_gradient = {};
  std::vector<int> zero_second = {};
  std::vector<int> zero_third = {};
  DType out_dtype = f32;      ///< f32 stands for the dtype under test
  bool has_integers = false;  ///< i64 inputs too, exactly

  // Shapes of the inputs in the other layouts; a layout that is absent is not tested.
  std::vector<std::vector<Shape>> broadcast = {};
  std::vector<Shape> empty = {};
  bool has_empty = false;
  bool has_scalar = false;  ///< all inputs 0-d

  std::vector<Point> points = {};
  std::vector<BadInput> bad = {};
};

/// All rows, in the order of the families.
std::vector<OpRow> all_rows();

std::vector<OpRow> arithmetic_rows();
std::vector<OpRow> comparison_rows();
std::vector<OpRow> elementary_rows();
std::vector<OpRow> activation_rows();
std::vector<OpRow> reduce_rows();
std::vector<OpRow> softmax_rows();
std::vector<OpRow> matmul_rows();
std::vector<OpRow> view_rows();
std::vector<OpRow> indexing_rows();
std::vector<OpRow> pointwise_loss_rows();
std::vector<OpRow> class_loss_rows();
std::vector<OpRow> similarity_loss_rows();

// ---- making pointwise rows ----

using Function1 = std::function<double(double)>;
using Function2 = std::function<double(double, double)>;

/// f of every element.
std::function<Arrays(const Arrays&)> each(Function1 f);
/// f of every pair, broadcast.
std::function<Arrays(const Arrays&)> each(Function2 f);

/// A row of one input of shape (3, 4) with layouts empty and 0-d, refusing integers.
OpRow unary_row(const std::string& name, Tensor (*op)(const Tensor&), Function1 reference,
                Input domain = {});
/// A row of two inputs of shape (3, 4) with layouts broadcast, empty and 0-d; refuses shapes that do not broadcast and
/// dtypes that differ.
OpRow binary_row(const std::string& name, Tensor (*op)(const Tensor&, const Tensor&),
                 Function2 reference, Input left = {}, Input right = {});

// ---- arrays for references ----

/// Row-major position to a coordinate a dim, and back.
Shape unravel(int64_t position, const Shape& shape);
int64_t ravel(const Shape& at, const Shape& shape);
/// An array of `shape` made element by element.
Array make_array(const Shape& shape, const std::function<double(const Shape& at)>& element);
/// a at coordinates of a broadcast shape.
double broadcast_at(const Array& a, const Shape& at);

}  // namespace ebb::test
