#include "ebb/tests/support/op_table.h"

#include "ebb/core/error.h"

namespace ebb::test {

std::vector<OpRow> all_rows() {
  std::vector<OpRow> rows;
  for (auto family :
       {arithmetic_rows, comparison_rows,      elementary_rows,      trigonometry_rows,
        number_rows,     activation_rows,      more_activation_rows, reduce_rows,
        statistics_rows, softmax_rows,         matmul_rows,          convolution_rows,
        view_rows,       indexing_rows,        rearrange_rows,       sorting_rows,
        pooling_rows,    normalization_rows,   resampling_rows,      pointwise_loss_rows,
        class_loss_rows, similarity_loss_rows, embedding_rows,       recurrent_rows,
        attention_rows}) {
    for (OpRow& row : family()) rows.push_back(std::move(row));
  }
  return rows;
}

Input Input::between(double from, double below) const {
  Input changed = *this;
  changed.low = from;
  changed.high = below;
  return changed;
}
Input Input::exactly(Values values) const {
  Input changed = *this;
  changed.fixed = std::move(values);
  return changed;
}
Input Input::of(DType fixed_dtype) const {
  Input changed = *this;
  changed.dtype = fixed_dtype;
  return changed;
}
Point Point::value(double number) const {
  Point changed = *this;
  changed.result = number;
  return changed;
}
Input Input::without_grad() const {
  Input changed = *this;
  changed.requires_grad = false;
  return changed;
}
Input indices(const Shape& shape, Values values) {
  return {.shape = shape, .dtype = i64, .fixed = std::move(values), .requires_grad = false};
}
Input mask(const Shape& shape, Values values) {
  return {.shape = shape, .dtype = boolean, .fixed = std::move(values), .requires_grad = false};
}

Shape unravel(int64_t position, const Shape& shape) {
  Shape at = shape;
  for (int d = shape.dim() - 1; d >= 0; --d) {
    at[d] = position % shape[d];
    position /= shape[d];
  }
  return at;
}

int64_t ravel(const Shape& at, const Shape& shape) {
  int64_t position = 0;
  for (int d = 0; d < shape.dim(); ++d) position = position * shape[d] + at[d];
  return position;
}

Array make_array(const Shape& shape, const std::function<double(const Shape& at)>& element) {
  Array a{shape, Values(static_cast<size_t>(shape.numel()))};
  for (int64_t i = 0; i < shape.numel(); ++i)
    a.v[static_cast<size_t>(i)] = element(unravel(i, shape));
  return a;
}

double broadcast_at(const Array& a, const Shape& at) {
  Shape own = a.shape;
  const int lead = at.dim() - own.dim();
  for (int d = 0; d < own.dim(); ++d) own[d] = a.shape[d] == 1 ? 0 : at[lead + d];
  return a.v[static_cast<size_t>(ravel(own, a.shape))];
}

std::function<Arrays(const Arrays&)> each(Function1 f) {
  return [f](const Arrays& in) -> Arrays {
    Array out = in[0];
    for (double& x : out.v) x = f(x);
    return {out};
  };
}

std::function<Arrays(const Arrays&)> each(Function2 f) {
  return [f](const Arrays& in) -> Arrays {
    const Shape shape = broadcast_shapes("reference", in[0].shape, in[1].shape);
    return {make_array(shape, [&](const Shape& at) {
      return f(broadcast_at(in[0], at), broadcast_at(in[1], at));
    })};
  };
}

OpRow unary_row(const std::string& name, Tensor (*op)(const Tensor&), Function1 reference,
                Input domain) {
  domain.shape = {3, 4};
  OpRow row{.name = name,
            .op = [op](const Tensors& in) -> Tensors { return {op(in[0])}; },
            .inputs = {domain},
            .reference = each(std::move(reference))};
  row.empty = {{0, 3}};
  row.has_empty = row.has_scalar = true;
  row.bad = {{"integers", [op] { op(zeros({2}, {.dtype = u8})); }, "got u8 of shape (2,)"},
             {"undefined", [op] { op(Tensor()); }, "undefined tensor"}};
  return row;
}

OpRow binary_row(const std::string& name, Tensor (*op)(const Tensor&, const Tensor&),
                 Function2 reference, Input left, Input right) {
  left.shape = right.shape = {3, 4};
  OpRow row{.name = name,
            .op = [op](const Tensors& in) -> Tensors { return {op(in[0], in[1])}; },
            .inputs = {left, right},
            .reference = each(std::move(reference))};
  row.broadcast = {{{3, 4}, {4}}, {{3, 1}, {1, 4}}, {{2, 1, 3}, {4, 1}}, {{}, {2, 3}}};
  row.empty = {{0, 3}, {3}};
  row.has_empty = row.has_scalar = true;
  row.bad = {{"shapes",
              [op] {
                op(zeros({2, 3}), zeros({2, 4}));
              },
              "(2, 3) and (2, 4)"},
             {"dtypes", [op] { op(zeros({2}), zeros({2}, {.dtype = f64})); },
              "f32 of shape (2,) and f64 of shape (2,)"},
             {"undefined", [op] { op(zeros({2}), Tensor()); }, "undefined tensor"}};
  return row;
}

}  // namespace ebb::test
