// Rows of indexing with tensors of indices.
#include "ebb/autograd/ops/indexing.h"

#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

int64_t index_at(const Array& index, const Shape& at) {
  return static_cast<int64_t>(index.v[static_cast<size_t>(ravel(at, index.shape))]);
}

OpRow gather_row() {
  OpRow row{
      .name = "gather",
      .covers = {"gather"},
      .op = [](const Tensors& in) -> Tensors { return {gather(in[0], 1, in[1])}; },
      .inputs = {{.shape = {3, 4}, .extremes = {kNaN, kInf}},
                 indices({2, 5}, {0, 3, 3, 1, 3, 2, 2, 0, 2, 1})},
      .reference = [](const Arrays& in) -> Arrays {
        return {make_array(in[1].shape, [&](const Shape& at) {
          return in[0].v[static_cast<size_t>(ravel({at[0], index_at(in[1], at)}, in[0].shape))];
        })};
      },
      .zero_second = {0}};
  row.empty = {{3, 4}, {2, 0}};
  row.has_empty = true;
  row.bad = {{"range",
              [] {
                gather(zeros({2, 3}), 1, tensor({{0, 3}}, i64));
              },
              "3"},
             {"negative",
              [] {
                gather(zeros({2, 3}), 1, tensor({{0, -1}}, i64));
              },
              "-1"},
             {"dtype",
              [] {
                gather(zeros({2, 3}), 1, zeros({1, 2}));
              },
              "index must be i64, got f32"},
             {"shape",
              [] {
                gather(zeros({2, 3}), 1, zeros({3, 1}, {.dtype = i64}));
              },
              "index (3, 1) does not fit (2, 3)"},
             {"undefined",
              [] {
                gather(zeros({2, 3}), 1, Tensor());
              },
              "undefined tensor"}};
  return row;
}

OpRow scatter_add_row() {
  OpRow row{.name = "scatter_add",
            .covers = {"scatter_add"},
            .op = [](const Tensors& in) -> Tensors {
              return {scatter_add(in[0], {3, 4}, 1, in[1])};
            },
            .inputs = {{.shape = {2, 5}}, indices({2, 5}, {0, 3, 3, 1, 3, 2, 2, 0, 2, 1})},
            .reference = [](const Arrays& in) -> Arrays {
              Array out{{3, 4}, Values(12)};
              for (int64_t i = 0; i < in[0].shape.numel(); ++i) {
                const Shape at = unravel(i, in[0].shape);
                out.v[static_cast<size_t>(ravel({at[0], index_at(in[1], at)}, out.shape))] +=
                    in[0].v[static_cast<size_t>(i)];
              }
              return {out};
            },
            .zero_second = {0}};
  row.empty = {{2, 0}, {2, 0}};
  row.has_empty = true;
  row.bad = {{"range",
              [] {
                scatter_add(zeros({1, 2}), {2, 3}, 1, tensor({{0, 3}}, i64));
              },
              "3"},
             {"shape",
              [] {
                scatter_add(zeros({1, 2}), {2, 3}, 1, zeros({1, 1}, {.dtype = i64}));
              },
              "does not match src"},
             {"integers",
              [] { scatter_add(zeros({2}, {.dtype = i64}), {3}, 0, zeros({2}, {.dtype = i64})); },
              "got i64"},
             {"undefined", [] { scatter_add(zeros({2}), {3}, 0, Tensor()); }, "undefined tensor"}};
  return row;
}

OpRow index_select_row() {
  OpRow row{.name = "index_select",
            .covers = {"gather"},
            .op = [](const Tensors& in) -> Tensors { return {index_select(in[0], 1, in[1])}; },
            .inputs = {{.shape = {2, 3, 2}}, indices({4}, {2, 0, 2, 1})},
            .reference = [](const Arrays& in) -> Arrays {
              Shape shape = in[0].shape;
              shape[1] = in[1].shape[0];
              return {make_array(shape, [&](const Shape& at) {
                Shape from = at;
                from[1] = index_at(in[1], {at[1]});
                return in[0].v[static_cast<size_t>(ravel(from, in[0].shape))];
              })};
            },
            .zero_second = {0}};
  row.empty = {{2, 3, 2}, {0}};
  row.has_empty = true;
  row.bad = {{"range",
              [] {
                index_select(zeros({2, 3}), 0, tensor({2}, i64));
              },
              "2"},
             {"shape",
              [] {
                index_select(zeros({2, 3}), 0, zeros({1, 1}, {.dtype = i64}));
              },
              "one dimension, got (1, 1)"},
             {"0-d", [] { index_select(zeros({}), 0, zeros({1}, {.dtype = i64})); }, "0-d"}};
  return row;
}

OpRow one_hot_row() {
  OpRow row{.name = "one_hot",
            .covers = {"eq"},
            .op = [](const Tensors& in) -> Tensors { return {one_hot(in[0], 4)}; },
            .inputs = {indices({2, 3}, {0, 3, 1, 2, 2, 0})},
            .reference = [](const Arrays& in) -> Arrays {
              Shape shape = in[0].shape;
              shape.push_back(4);
              return {make_array(shape, [&](const Shape& at) {
                Shape from = at;
                from.erase(at.dim() - 1);
                return index_at(in[0], from) == at.back() ? 1 : 0;
              })};
            }};
  row.differentiable = false;
  row.out_dtype = i64;
  row.empty = {{0}};
  row.has_empty = row.has_scalar = true;
  row.bad = {{"range", [] { one_hot(tensor({4}, i64), 4); }, "4"},
             {"dtype", [] { one_hot(zeros({2}), 4); }, "classes must be i64 or u8, got f32"},
             {"classes", [] { one_hot(zeros({2}, {.dtype = i64}), 0); }, "at least 1, got 0"}};
  return row;
}

}  // namespace

std::vector<OpRow> indexing_rows() {
  return {gather_row(), scatter_add_row(), index_select_row(), one_hot_row()};
}

}  // namespace ebb::test
