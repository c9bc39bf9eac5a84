// Builds a row of the op table as one expression that reads as a sentence.
//
//   Row("gather")
//       .calls([](const Tensor& x, const Tensor& index) { return gather(x, 1, index); })
//       .on(input({2, 3}), indices({2, 2}, {0, 2, 1, 1}))
//       .expects(gathered)
//       .zero_second(0)
//       .refuses("dtype", [] { gather(zeros({2}), 0, zeros({2})); }, "expected i64");
//
//   unary("relu", [](const Tensor& x) { return relu(x); }, [](double x) { return x < 0 ? 0 : x; })
//       .on(input().including(kInf, -kInf, kNaN, 0).avoiding(0))
//       .at(point(0).value(0).gradient(0))
//       .at(point(2).value(2).gradient(1));
//
// A Row converts to an OpRow, so that a function of a family can return a list of them.
#pragma once

#include <concepts>
#include <tuple>
#include <type_traits>
#include <utility>

#include "ebb/tests/support/op_table.h"

namespace ebb::test {

/// Returns an input of random values in [-2, 2). Input::between and the others change it.
Input input(const Shape& shape = {});

class Row {
 public:
  explicit Row(std::string name) { row_.name = std::move(name); }
  /// Starts from a copy of another row.
  explicit Row(OpRow row) : row_(std::move(row)) {}
  operator OpRow() const { return row_; }

  Row& named(std::string name) {
    row_.name = std::move(name);
    return *this;
  }
  /// States which ops of the registry the row tests. Default: the op with the name of the row.
  template <std::convertible_to<std::string>... Names> Row& covers(const Names&... ops) {
    row_.covers = {std::string(ops)...};
    return *this;
  }
  Row& covers(std::vector<std::string> ops) {
    row_.covers = std::move(ops);
    return *this;
  }

  // ---- the call ----

  /// States the call: a function of one tensor per input, or of all inputs as Tensors. It returns a
  /// tensor, a tuple or vector of tensors.
  template <class Op> Row& calls(Op op) {
    row_.op = [op = std::move(op)](const Tensors& in) -> Tensors { return listed(call(op, in)); };
    return *this;
  }
  template <class... Inputs> Row& on(const Inputs&... inputs) {
    const std::vector<Input> given{Input(inputs)...};
    for (size_t i = 0; i < given.size(); ++i) {
      // unary() and binary() have shapes already: on() then states the values.
      const bool keeps_shape = i < row_.inputs.size() && given[i].shape.dim() == 0;
      const Shape shape = keeps_shape ? row_.inputs[i].shape : given[i].shape;
      if (i < row_.inputs.size()) row_.inputs[i] = given[i];
      else row_.inputs.push_back(given[i]);
      row_.inputs[i].shape = shape;
    }
    return *this;
  }

  // ---- right values ----

  /// States the reference: a function from Arrays to an Array or to Arrays, in doubles.
  template <class Reference> Row& expects(Reference reference) {
    row_.reference = [reference = std::move(reference)](const Arrays& in) -> Arrays {
      if constexpr (std::is_convertible_v<std::invoke_result_t<Reference, const Arrays&>, Array>)
        return {reference(in)};
      else return reference(in);
    };
    return *this;
  }
  /// States the reference as the element at coordinates `at` of a result of this shape.
  Row& expects_elements(const Shape& shape,
                        std::function<double(const Arrays& in, const Shape& at)> element);
  Row& within_f32(double relative, double absolute) {
    row_.f32_tolerance = {relative, absolute};
    return *this;
  }
  Row& within_f64(double relative, double absolute) {
    row_.f64_tolerance = {relative, absolute};
    return *this;
  }
  Row& within_f32(double tolerance) { return within_f32(tolerance, tolerance); }
  Row& within_f64(double tolerance) { return within_f64(tolerance, tolerance); }
  /// The dtype of the result, if it is not that of the inputs.
  Row& returns(DType dtype) {
    row_.out_dtype = dtype;
    return *this;
  }
  /// The order of a sum may depend on the layout, so the bits may too.
  Row& bits_depend_on_layout() {
    row_.bitwise = false;
    return *this;
  }
  /// Reads values on the host, so that a captured step cannot contain it.
  Row& not_captured() {
    row_.captured = false;
    return *this;
  }

  // ---- derivatives ----

  Row& without_gradient() {
    row_.differentiable = false;
    return *this;
  }
  Row& third_order(bool checked = true) {
    row_.third_order = checked;
    return *this;
  }
  /// The inputs whose gradient of an order is zero by mathematics.
  template <class... Numbers> Row& zero_gradient(Numbers... inputs) {
    row_.zero_gradient = {inputs...};
    return *this;
  }
  template <class... Numbers> Row& zero_second(Numbers... inputs) {
    row_.zero_second = {inputs...};
    return *this;
  }
  template <class... Numbers> Row& zero_third(Numbers... inputs) {
    row_.zero_third = {inputs...};
    return *this;
  }

  // ---- layouts ----

  /// The op takes i64 too, with exact results; a refusal "integers" is removed.
  Row& also_integers();
  Row& broadcasts(std::initializer_list<Shape> inputs) {
    row_.broadcast.emplace_back(inputs);
    return *this;
  }
  Row& without_broadcasts() {
    row_.broadcast.clear();
    return *this;
  }
  Row& broadcasts(const Shape& a, const Shape& b) { return broadcasts({a, b}); }
  Row& broadcasts(const Shape& a, const Shape& b, const Shape& c) { return broadcasts({a, b, c}); }
  /// The shapes of the inputs in a call without elements.
  template <class... Shapes> Row& empty(const Shape& first, const Shapes&... rest) {
    row_.empty = {first, Shape(rest)...};
    row_.has_empty = true;
    return *this;
  }
  Row& empty(const Shape& a, const Shape& b) { return empty<Shape>(a, b); }
  Row& empty(const Shape& a, const Shape& b, const Shape& c) {
    return empty<Shape, Shape>(a, b, c);
  }
  /// Calls with 0-d inputs.
  Row& scalars() {
    row_.has_scalar = true;
    return *this;
  }
  Row& without_empty() {
    row_.has_empty = false;
    return *this;
  }
  Row& without_scalars() {
    row_.has_scalar = false;
    return *this;
  }

  // ---- points ----

  /// Adds a point: .at(point(2, 1).value(2).gradient(1, 0).second(0, 0)).
  Row& at(Point point) {
    row_.points.push_back(std::move(point));
    return *this;
  }
  Row& without_points() {
    row_.points.clear();
    return *this;
  }

  // ---- errors ----

  /// States a call that must throw an Error of one line that contains `message`. `what` names it in
  /// the output of a test.
  Row& refuses(std::string what, std::function<void()> call, std::string message) {
    row_.bad.push_back({std::move(what), std::move(call), std::move(message)});
    return *this;
  }
  Row& without_refusals() {
    row_.bad.clear();
    return *this;
  }

 private:
  // Passes one tensor per parameter. Inputs that the row does not have are undefined.
  template <class Op> static auto call(const Op& op, const Tensors& in) {
    const auto at = [&in](size_t i) { return i < in.size() ? in[i] : Tensor(); };
    if constexpr (std::is_invocable_v<const Op&, const Tensors&>) return op(in);
    else if constexpr (std::is_invocable_v<const Op&, Tensor>) return op(at(0));
    else if constexpr (std::is_invocable_v<const Op&, Tensor, Tensor>) return op(at(0), at(1));
    else if constexpr (std::is_invocable_v<const Op&, Tensor, Tensor, Tensor>)
      return op(at(0), at(1), at(2));
    else if constexpr (std::is_invocable_v<const Op&, Tensor, Tensor, Tensor, Tensor>)
      return op(at(0), at(1), at(2), at(3));
    else return op(at(0), at(1), at(2), at(3), at(4));
  }
  static Tensors listed(Tensor result) { return {std::move(result)}; }
  static Tensors listed(Tensors results) { return results; }
  template <class... T> static Tensors listed(const std::tuple<T...>& results) {
    return std::apply([](const auto&... each) { return Tensors{each...}; }, results);
  }
  template <size_t N> static Tensors listed(const std::array<Tensor, N>& results) {
    return {results.begin(), results.end()};
  }

  OpRow row_;
};

/// Returns a row of an element-wise op of one input of shape (3, 4), which also tests empty and 0-d
/// inputs, and refuses integers and undefined tensors.
Row unary(std::string name, Tensor (*op)(const Tensor&), Function1 reference);
/// Returns a row of an element-wise op of two inputs of shape (3, 4), which also tests
/// broadcasting, empty and 0-d inputs, and refuses shapes that do not broadcast, different dtypes
/// and undefined tensors.
Row binary(std::string name, Tensor (*op)(const Tensor&, const Tensor&), Function2 reference);

}  // namespace ebb::test
