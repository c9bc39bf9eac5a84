// Rows of indexing with tensors of indices.
#include "ebb/autograd/ops/indexing.h"

#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

int64_t index_at(const Array& index, const Shape& at) {
  return static_cast<int64_t>(index.v[static_cast<size_t>(ravel(at, index.shape))]);
}

OpRow gather_row() {
  return Row("gather")
      .covers("gather")
      .calls([](const Tensor& a, const Tensor& b) { return gather(a, 1, b); })
      .on(input({3, 4}).including(kNaN, kInf), indices({2, 5}, {0, 3, 3, 1, 3, 2, 2, 0, 2, 1}))
      .expects([](const Arrays& in) -> Arrays {
        return {make_array(in[1].shape, [&](const Shape& at) {
          return in[0].v[static_cast<size_t>(ravel({at[0], index_at(in[1], at)}, in[0].shape))];
        })};
      })
      .zero_second(0)
      .empty({3, 4}, {2, 0})
      .refuses(
          "range",
          [] {
            gather(zeros({2, 3}), 1, tensor({{0, 3}}, i64));
          },
          "3")
      .refuses(
          "negative",
          [] {
            gather(zeros({2, 3}), 1, tensor({{0, -1}}, i64));
          },
          "-1")
      .refuses(
          "dtype",
          [] {
            gather(zeros({2, 3}), 1, zeros({1, 2}));
          },
          "index must be i64, got f32")
      .refuses(
          "shape",
          [] {
            gather(zeros({2, 3}), 1, zeros({3, 1}, {.dtype = i64}));
          },
          "index (3, 1) does not fit (2, 3)")
      .refuses(
          "undefined",
          [] {
            gather(zeros({2, 3}), 1, Tensor());
          },
          "undefined tensor");
}

OpRow scatter_add_row() {
  return Row("scatter_add")
      .covers("scatter_add")
      .calls([](const Tensor& a, const Tensor& b) {
        return scatter_add(a, {3, 4}, 1, b);
      })
      .on(input({2, 5}), indices({2, 5}, {0, 3, 3, 1, 3, 2, 2, 0, 2, 1}))
      .expects([](const Arrays& in) -> Arrays {
        Array out{{3, 4}, Values(12)};
        for (int64_t i = 0; i < in[0].shape.numel(); ++i) {
          const Shape at = unravel(i, in[0].shape);
          out.v[static_cast<size_t>(ravel({at[0], index_at(in[1], at)}, out.shape))] +=
              in[0].v[static_cast<size_t>(i)];
        }
        return {out};
      })
      .zero_second(0)
      .empty({2, 0}, {2, 0})
      .refuses(
          "range",
          [] {
            scatter_add(zeros({1, 2}), {2, 3}, 1, tensor({{0, 3}}, i64));
          },
          "3")
      .refuses(
          "shape",
          [] {
            scatter_add(zeros({1, 2}), {2, 3}, 1, zeros({1, 1}, {.dtype = i64}));
          },
          "does not match src")
      .refuses(
          "integers",
          [] { scatter_add(zeros({2}, {.dtype = i64}), {3}, 0, zeros({2}, {.dtype = i64})); },
          "got i64")
      .refuses(
          "undefined", [] { scatter_add(zeros({2}), {3}, 0, Tensor()); }, "undefined tensor");
}

OpRow index_select_row() {
  return Row("index_select")
      .covers("gather")
      .calls([](const Tensor& a, const Tensor& b) { return index_select(a, 1, b); })
      .on(input({2, 3, 2}), indices({4}, {2, 0, 2, 1}))
      .expects([](const Arrays& in) -> Arrays {
        Shape shape = in[0].shape;
        shape[1] = in[1].shape[0];
        return {make_array(shape, [&](const Shape& at) {
          Shape from = at;
          from[1] = index_at(in[1], {at[1]});
          return in[0].v[static_cast<size_t>(ravel(from, in[0].shape))];
        })};
      })
      .zero_second(0)
      .empty({2, 3, 2}, {0})
      .refuses(
          "range",
          [] {
            index_select(zeros({2, 3}), 0, tensor({2}, i64));
          },
          "2")
      .refuses(
          "shape",
          [] {
            index_select(zeros({2, 3}), 0, zeros({1, 1}, {.dtype = i64}));
          },
          "one dimension, got (1, 1)")
      .refuses(
          "0-d", [] { index_select(zeros({}), 0, zeros({1}, {.dtype = i64})); }, "0-d");
}

OpRow one_hot_row() {
  return Row("one_hot")
      .covers("eq")
      .calls([](const Tensor& x) { return one_hot(x, 4); })
      .on(indices({2, 3}, {0, 3, 1, 2, 2, 0}))
      .expects([](const Arrays& in) -> Arrays {
        Shape shape = in[0].shape;
        shape.push_back(4);
        return {make_array(shape, [&](const Shape& at) {
          Shape from = at;
          from.erase(at.dim() - 1);
          return index_at(in[0], from) == at.back() ? 1 : 0;
        })};
      })
      .returns(i64)
      .without_gradient()
      .empty({0})
      .scalars()
      .refuses(
          "range", [] { one_hot(tensor({4}, i64), 4); }, "4")
      .refuses(
          "dtype", [] { one_hot(zeros({2}), 4); }, "classes must be i64 or u8, got f32")
      .refuses(
          "classes", [] { one_hot(zeros({2}, {.dtype = i64}), 0); }, "at least 1, got 0");
}

}  // namespace

std::vector<OpRow> indexing_rows() {
  return {gather_row(), scatter_add_row(), index_select_row(), one_hot_row()};
}

}  // namespace ebb::test
