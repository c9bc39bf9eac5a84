// Rows of views and rearrangements. References move elements by their coordinates.
#include "ebb/autograd/ops/views.h"

#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using View = std::function<Tensor(const Tensor&)>;
using From = std::function<Shape(const Shape& at)>;  // the source of the element at `at`

OpRow view_row(const std::string& name, std::vector<std::string> covers, const Shape& shape,
               View op, const Shape& out, From from) {
  return Row(name)
      .covers(std::move(covers))
      .calls([op](const Tensor& x) { return op(x); })
      .on(input(shape).including(kNaN, kInf))
      .expects([=](const Arrays& in) -> Arrays {
        return {make_array(out, [&](const Shape& at) {
          return in[0].v[static_cast<size_t>(ravel(from(at), in[0].shape))];
        })};
      })
      .zero_second(0)
      .also_integers()
      .refuses(
          "undefined", [op] { op(Tensor()); }, "undefined tensor");
}

// Returns the same elements in row-major order.
OpRow same_order(const std::string& name, const Shape& input, View op, const Shape& out) {
  return view_row(name, {"reshape"}, input, std::move(op), out,
                  [=](const Shape& at) { return unravel(ravel(at, out), input); });
}

std::vector<OpRow> reshape_rows() {
  std::vector<OpRow> rows{
      same_order("reshape", {2, 3, 4},
                 [](const Tensor& x) {
                   return reshape(x, {4, -1});
                 },
                 {4, 6}),
      same_order("reshape_scalar", {},
                 [](const Tensor& x) {
                   return reshape(x, {1, 1});
                 },
                 {1, 1}),
      same_order("flatten", {2, 3, 4}, [](const Tensor& x) { return flatten(x, 1); }, {2, 12}),
      same_order("unsqueeze", {2, 3}, [](const Tensor& x) { return unsqueeze(x, -1); }, {2, 3, 1}),
      same_order("squeeze", {2, 1, 3}, [](const Tensor& x) { return squeeze(x, 1); }, {2, 3})};
  rows.push_back(
      same_order("squeeze_all", {1, 2, 1, 3}, [](const Tensor& x) { return squeeze(x); }, {2, 3}));
  rows.push_back(Row(same_order("view", {2, 3, 4},
                                [](const Tensor& x) {
                                  return view(x.contiguous(), {4, -1});
                                },
                                {4, 6}))
                     .covers("reshape")
                     .refuses(
                         "copy",
                         [] {
                           view(transpose(zeros({2, 3})), {6});
                         },
                         "needs a copy: use reshape()"));
  rows[0] = Row(rows[0])
                .refuses(
                    "count",
                    [] {
                      reshape(zeros({2, 3}), {4, 2});
                    },
                    "takes 8 elements, tensor of shape (2, 3) has 6")
                .refuses(
                    "infer",
                    [] {
                      reshape(zeros({2, 3}), {4, -1});
                    },
                    "cannot infer -1 in (4, -1)")
                .refuses(
                    "negative",
                    [] {
                      reshape(zeros({2, 3}), {-2, -3});
                    },
                    "negative size");
  rows[2] = Row(rows[2]).refuses(
      "order",
      [] {
        flatten(zeros({2, 3}), 1, 0);
      },
      "first dim 1 is after last dim 0");
  rows[3] = Row(rows[3]).refuses(
      "dim", [] { unsqueeze(zeros({2}), 3); }, "dim 3 is out of range");
  rows[4] = Row(rows[4]).refuses(
      "size",
      [] {
        squeeze(zeros({2, 3}), 0);
      },
      "dim 0 of shape (2, 3) is not of size 1");
  return rows;
}

std::vector<OpRow> order_rows() {
  std::vector<OpRow> rows{
      view_row(
          "permute", {"permute"}, {2, 3, 4},
          [](const Tensor& x) {
            return permute(x, {2, 0, -2});
          },
          {4, 2, 3},
          [](const Shape& at) {
            return Shape{at[1], at[2], at[0]};
          }),
      view_row(
          "transpose", {"permute"}, {2, 3}, [](const Tensor& x) { return transpose(x); }, {3, 2},
          [](const Shape& at) {
            return Shape{at[1], at[0]};
          }),
      Row(view_row(
              "t", {"permute"}, {2, 3}, [](const Tensor& x) { return t(x); }, {3, 2},
              [](const Shape& at) {
                return Shape{at[1], at[0]};
              }))
          .refuses(
              "dims",
              [] {
                t(zeros({2, 3, 4}));
              },
              "expected at most two dims"),
      view_row(
          "alias", {"alias"}, {2, 3}, [](const Tensor& x) { return alias(x); }, {2, 3},
          [](const Shape& at) { return at; }),
      view_row(
          "expand", {"expand"}, {3, 1},
          [](const Tensor& x) {
            return expand(x, {2, -1, 4});
          },
          {2, 3, 4},
          [](const Shape& at) {
            return Shape{at[1], 0};
          })};
  rows[0] = Row(rows[0])
                .refuses(
                    "twice",
                    [] {
                      permute(zeros({2, 3}), {0, 0});
                    },
                    "dim 0 appears twice")
                .refuses(
                    "few",
                    [] {
                      permute(zeros({2, 3}), {0});
                    },
                    "does not name the 2 dims of (2, 3)");
  rows[1] = Row(rows[1]).refuses(
      "0-d", [] { transpose(zeros({})); }, "0-d");
  rows[4].bad.push_back(
      {"shape", [] { expand(zeros({3}), {4}); }, "shape (3,) does not broadcast to (4,)"});
  rows[4] = Row(rows[4]).refuses(
      "fewer",
      [] {
        expand(zeros({3, 1}), {3});
      },
      "shape (3, 1) does not broadcast to (3,)");
  return rows;
}

std::vector<OpRow> slice_rows() {
  std::vector<OpRow> rows{
      view_row(
          "slice", {"slice"}, {2, 7}, [](const Tensor& x) { return slice(x, 1, 1, -1, 2); }, {2, 3},
          [](const Shape& at) {
            return Shape{at[0], 1 + 2 * at[1]};
          }),
      view_row(
          "slice_clamped", {"slice"}, {3, 2}, [](const Tensor& x) { return slice(x, 0, -2, 100); },
          {2, 2},
          [](const Shape& at) {
            return Shape{at[0] + 1, at[1]};
          }),
      view_row(
          "select", {"slice", "reshape"}, {3, 4}, [](const Tensor& x) { return select(x, 1, -1); },
          {3},
          [](const Shape& at) {
            return Shape{at[0], 3};
          }),
      view_row(
          "subscript", {"slice", "reshape"}, {3, 4}, [](const Tensor& x) { return x[1]; }, {4},
          [](const Shape& at) {
            return Shape{1, at[0]};
          })};
  rows[0].bad.push_back(
      {"step", [] { slice(zeros({3}), 0, 0, 2, 0); }, "expected a step of at least 1, got 0"});
  rows[0] = Row(rows[0]).refuses(
      "0-d", [] { slice(zeros({}), 0, 0, 1); }, "0-d");
  rows[2] = Row(rows[2]).refuses(
      "range",
      [] {
        select(zeros({3, 4}), 1, 4);
      },
      "index 4 is out of range for dim 1 of shape (3, 4)");
  rows[3] = Row(rows[3]).refuses(
      "range", [] { zeros({3})[-4]; }, "index -4 is out of range");

  rows.push_back(
      Row(view_row("slice_scatter", {"slice_scatter"}, {2, 3},
                   [](const Tensor& x) {
                     return slice_scatter(x, {2, 8}, 1, 1, 2);
                   },
                   {2, 8}, {}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array({2, 8}, [&](const Shape& at) {
              const bool hit = at[1] >= 1 && at[1] <= 5 && at[1] % 2 == 1;
              return hit ? in[0].v[static_cast<size_t>(ravel({at[0], (at[1] - 1) / 2}, {2, 3}))]
                         : 0;
            })};
          })
          .refuses(
              "outside",
              [] {
                slice_scatter(zeros({2, 3}), {2, 4}, 1, 2);
              },
              "does not fit (2, 4) at 2 by 1")
          .refuses(
              "0-d", [] { slice_scatter(zeros({}), {2}, 0, 0); }, "0-d"));
  return rows;
}

std::vector<OpRow> join_rows() {
  OpRow joined = Row("cat")
                     .covers("cat")
                     .calls([](const Tensor& a, const Tensor& b) {
                       return cat({a, b, a}, 1);
                     })
                     .on(input({2, 1}).including(kNaN), input({2, 3}))
                     .expects([](const Arrays& in) -> Arrays {
                       const int64_t n = in[0].shape[1], m = in[1].shape[1];
                       return {make_array({in[0].shape[0], 2 * n + m}, [&](const Shape& at) {
                         const bool middle = at[1] >= n && at[1] < n + m;
                         const Array& from = middle ? in[1] : in[0];
                         const int64_t j = middle ? at[1] - n : at[1] < n ? at[1] : at[1] - n - m;
                         return from.v[static_cast<size_t>(ravel({at[0], j}, from.shape))];
                       })};
                     })
                     .zero_second(0, 1)
                     .also_integers()
                     .empty({0, 1}, {0, 3})
                     .refuses(
                         "shapes",
                         [] {
                           cat({zeros({2, 3}), zeros({3, 3})}, 1);
                         },
                         "(2, 3) and (3, 3) differ outside of dim 1")
                     .refuses(
                         "dims",
                         [] {
                           cat({zeros({2, 3}), zeros({2})}, 1);
                         },
                         "(2, 3) and (2,)")
                     .refuses(
                         "dtypes",
                         [] {
                           cat({zeros({2}), zeros({2}, {.dtype = f64})});
                         },
                         "dtypes differ")
                     .refuses(
                         "none", [] { cat({}); }, "at least one tensor")
                     .refuses(
                         "0-d", [] { cat({zeros({})}); }, "stack them");
  OpRow stacked = Row("stack")
                      .covers("cat")
                      .calls([](const Tensor& a, const Tensor& b) {
                        return stack({a, b}, -1);
                      })
                      .on(input({2, 3}), input({2, 3}))
                      .expects([](const Arrays& in) -> Arrays {
                        Shape shape = in[0].shape;
                        shape.push_back(2);
                        return {make_array(shape, [&](const Shape& at) {
                          Shape from = at;
                          from.erase(at.dim() - 1);
                          return in[static_cast<size_t>(at.back())]
                              .v[static_cast<size_t>(ravel(from, in[0].shape))];
                        })};
                      })
                      .zero_second(0, 1)
                      .also_integers()
                      .scalars()
                      .refuses(
                          "shapes",
                          [] {
                            stack({zeros({2}), zeros({3})});
                          },
                          "shapes differ: (2,) and (3,)")
                      .refuses(
                          "none", [] { stack({}); }, "at least one tensor");
  return {joined, stacked};
}

}  // namespace

std::vector<OpRow> view_rows() {
  std::vector<OpRow> rows;
  for (auto part : {reshape_rows, order_rows, slice_rows, join_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
