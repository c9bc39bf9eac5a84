// Rows of cutting, repeating, padding and choosing elements. References move elements by
// coordinates.
#include "ebb/autograd/ops/rearrange.h"

#include <algorithm>
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using Move = std::function<Tensor(const Tensor&)>;
// Returns the source of the element at `at` of the result. A negative coordinate means 0.
using From = std::function<Shape(const Shape& at)>;

OpRow moved(const std::string& name, std::vector<std::string> covers, const Shape& shape, Move op,
            const Shape& out, From from) {
  return Row(name)
      .covers(std::move(covers))
      .calls([op](const Tensor& x) { return op(x); })
      .on(input(shape).including(kNaN, kInf))
      .expects([=](const Arrays& in) -> Arrays {
        return {make_array(out, [&](const Shape& at) {
          const Shape place = from(at);
          for (int64_t i : place) {
            if (i < 0) return 0.0;
          }
          return in[0].v[static_cast<size_t>(ravel(place, shape))];
        })};
      })
      .zero_second(0)
      .also_integers()
      .refuses(
          "undefined", [op] { op(Tensor()); }, "undefined tensor");
}

std::vector<OpRow> part_rows() {
  OpRow middle = Row(moved(
                         "narrow", {"slice"}, {2, 5},
                         [](const Tensor& x) { return narrow(x, 1, -4, 3); }, {2, 3},
                         [](const Shape& at) {
                           return Shape{at[0], at[1] + 1};
                         }))
                     .refuses(
                         "range", [] { narrow(zeros({3}), 0, 2, 2); },
                         "elements 2 to 4 are not in dim 0 of shape (3,)")
                     .refuses(
                         "negative", [] { narrow(zeros({3}), 0, 0, -1); }, "are not in dim 0")
                     .refuses(
                         "0-d", [] { narrow(zeros({}), 0, 0, 1); }, "0-d");
  OpRow part =
      Row(moved(
              "split", {"slice"}, {5, 2}, [](const Tensor& x) { return split(x, 2)[2]; }, {1, 2},
              [](const Shape& at) {
                return Shape{4, at[1]};
              }))
          .refuses(
              "size", [] { split(zeros({3}), 0); }, "size of at least 1, got 0");
  OpRow sized = Row(moved(
                        "split_sizes", {"slice"}, {2, 5},
                        [](const Tensor& x) {
                          return split(x, std::vector<int64_t>{1, 3, 1}, 1)[1];
                        },
                        {2, 3},
                        [](const Shape& at) {
                          return Shape{at[0], at[1] + 1};
                        }))
                    .refuses(
                        "sum",
                        [] {
                          split(zeros({3}), std::vector<int64_t>{1, 1});
                        },
                        "add up to dim 0 of shape (3,), got 2")
                    .refuses(
                        "more",
                        [] {
                          split(zeros({3}), std::vector<int64_t>{2, 2});
                        },
                        "got 2 after 2");
  OpRow piece =
      Row(moved(
              "chunk", {"slice"}, {5, 2}, [](const Tensor& x) { return chunk(x, 2)[1]; }, {2, 2},
              [](const Shape& at) {
                return Shape{at[0] + 3, at[1]};
              }))
          .refuses(
              "chunks", [] { chunk(zeros({3}), 0); }, "at least 1 chunk, got 0");
  return {middle, part, sized, piece};
}

std::vector<OpRow> order_rows() {
  OpRow copies = Row(moved(
                         "repeat", {"expand", "reshape"}, {2, 3},
                         [](const Tensor& x) {
                           return repeat(x, {2, 1, 3});
                         },
                         {2, 2, 9},
                         [](const Shape& at) {
                           return Shape{at[1], at[2] % 3};
                         }))
                     .refuses(
                         "few",
                         [] {
                           repeat(zeros({2, 3}), {2});
                         },
                         "each dim of shape (2, 3), got (2,)")
                     .refuses(
                         "negative", [] { repeat(zeros({2}), {-1}); }, "at least 0, got (-1,)");
  OpRow turned = Row(moved(
                         "flip", {"flip"}, {2, 3, 4},
                         [](const Tensor& x) {
                           return flip(x, {0, -1});
                         },
                         {2, 3, 4},
                         [](const Shape& at) {
                           return Shape{1 - at[0], at[1], 3 - at[2]};
                         }))
                     .refuses(
                         "dim", [] { flip(zeros({2}), {1}); }, "dim 1 is out of range")
                     .refuses(
                         "twice",
                         [] {
                           flip(zeros({2}), {0, -1});
                         },
                         "dim -1 appears twice");
  OpRow rolled = Row(moved(
                         "roll", {"cat"}, {2, 5},
                         [](const Tensor& x) {
                           return roll(x, {-7, 1}, {1, 0});
                         },
                         {2, 5},
                         [](const Shape& at) {
                           return Shape{(at[0] + 1) % 2, (at[1] + 7) % 5};
                         }))
                     .refuses(
                         "counts",
                         [] {
                           roll(zeros({2, 3}), {1}, {0, 1});
                         },
                         "a shift for each dim")
                     .refuses(
                         "dim", [] { roll(zeros({2}), {1}, {1}); }, "dim 1 is out of range");
  OpRow flat = moved(
      "roll_flat", {"cat"}, {2, 3}, [](const Tensor& x) { return roll(x, {2}); }, {2, 3},
      [](const Shape& at) {
        return unravel((ravel(at, {2, 3}) + 4) % 6, {2, 3});
      });
  return {copies, turned, rolled, flat};
}

std::vector<OpRow> triangle_rows() {
  std::vector<OpRow> rows;
  for (const bool lower : {true, false}) {
    const int64_t shift = lower ? -1 : 1;
    rows.push_back(
        Row(moved(
                lower ? "tril" : "triu", {lower ? "tril" : "triu"}, {2, 3, 4},
                [=](const Tensor& x) { return lower ? tril(x, shift) : triu(x, shift); }, {2, 3, 4},
                [=](const Shape& at) {
                  const bool kept = lower ? at[2] <= at[1] + shift : at[2] >= at[1] + shift;
                  return kept ? at : Shape{-1, -1, -1};
                }))
            .refuses(
                "vector", [lower] { lower ? tril(zeros({3})) : triu(zeros({3})); },
                "at least 2 dims, got shape (3,)"));
  }
  OpRow line = Row(moved(
                       "diagonal", {"diagonal"}, {3, 2, 4},
                       [](const Tensor& x) { return diagonal(x, 1, 0, -1); }, {2, 3},
                       [](const Shape& at) {
                         return Shape{at[1], at[0], at[1] + 1};
                       }))
                   .refuses(
                       "same",
                       [] {
                         diagonal(zeros({2, 2}), 0, 1, -1);
                       },
                       "two different dims, got 1 and -1")
                   .refuses(
                       "vector", [] { diagonal(zeros({2})); }, "at least 2 dims");
  OpRow matrix = Row(moved(
                         "diag", {"diag"}, {3}, [](const Tensor& x) { return diag(x, -1); }, {4, 4},
                         [](const Shape& at) { return Shape{at[0] == at[1] + 1 ? at[1] : -1}; }))
                     .refuses(
                         "dims",
                         [] {
                           diag(zeros({2, 2, 2}));
                         },
                         "a vector or a matrix, got shape (2, 2, 2)");
  OpRow of_matrix = moved(
      "diag_of_matrix", {"diagonal"}, {3, 4}, [](const Tensor& x) { return diag(x, -1); }, {2},
      [](const Shape& at) {
        return Shape{at[0] + 1, at[0]};
      });
  rows.insert(rows.end(), {line, matrix, of_matrix});
  return rows;
}

std::vector<OpRow> pad_rows() {
  OpRow zero =
      Row(moved(
              "pad", {"pad"}, {2, 3},
              [](const Tensor& x) {
                return pad(x, {1, 2, -1, 1});
              },
              {2, 6},
              [](const Shape& at) {
                return at[0] == 0 && at[1] >= 1 && at[1] <= 3 ? Shape{1, at[1] - 1} : Shape{-1, -1};
              }))
          .refuses(
              "odd", [] { pad(zeros({2}), {1}); }, "a pair for each of at most 1 dims")
          .refuses(
              "many",
              [] {
                pad(zeros({2}), {1, 1, 1, 1});
              },
              "at most 1 dims of shape (2,)")
          .refuses(
              "cut",
              [] {
                pad(zeros({2}), {-2, -1});
              },
              "cannot pad by -2 and -1 at dim 0")
          .refuses(
              "value",
              [] {
                pad(zeros({2}, {.dtype = i64}), {1, 1}, PadMode::Constant, 0.5);
              },
              "0.5");
  std::vector<OpRow> rows{zero};
  struct Mode {
    PadMode mode;
    std::string name;
    std::function<int64_t(int64_t i, int64_t n)> from;
    std::string bad;
  };
  for (const Mode& m :
       {Mode{PadMode::Reflect, "reflect",
             [](int64_t i, int64_t n) { return i < 0    ? -i
                                               : i >= n ? 2 * n - 2 - i
                                                        : i; },
             "less than its size, got (4, 0)"},
        Mode{PadMode::Replicate, "replicate",
             [](int64_t i, int64_t n) { return std::clamp<int64_t>(i, 0, n - 1); },
             "a size of at least 1, got (4, 0)"},
        Mode{PadMode::Circular, "circular", [](int64_t i, int64_t n) { return (i + n) % n; },
             "at most its size, got (4, 0)"}}) {
    OpRow row = moved(
        "pad_" + m.name, {"cat"}, {2, 3},
        [mode = m.mode](const Tensor& x) {
          return pad(x, {2, 1, 1, 0}, mode);
        },
        {3, 6},
        [from = m.from](const Shape& at) {
          return Shape{from(at[0] - 1, 2), from(at[1] - 2, 3)};
        });
    const int64_t short_size = m.mode == PadMode::Replicate ? 0 : 3;
    row = Row(row).refuses(
        "short",
        [mode = m.mode, short_size] {
          pad(zeros({short_size}), {4, 0}, mode);
        },
        m.bad);
    rows.push_back(row);
  }
  return rows;
}

std::vector<OpRow> mask_rows() {
  OpRow filled =
      Row("masked_fill")
          .covers("where")
          .calls([](const Tensor& a, const Tensor& b) { return masked_fill(a, b, 7); })
          .on(input({2, 3}).including(kNaN), mask({3}, {1, 0, 1}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array(in[0].shape, [&](const Shape& at) {
              return broadcast_at(in[1], at) != 0 ? 7 : broadcast_at(in[0], at);
            })};
          })
          .zero_second(0)
          .also_integers()
          .refuses(
              "mask", [] { masked_fill(zeros({2}), zeros({2}), 1); }, "a mask of bool, got f32")
          .refuses(
              "shapes",
              [] {
                masked_fill(zeros({2, 3}), zeros({2}, {.dtype = boolean}), 1);
              },
              "(2, 3) and (2,)")
          .refuses(
              "value",
              [] { masked_fill(zeros({2}, {.dtype = i64}), zeros({2}, {.dtype = boolean}), 0.5); },
              "0.5");
  OpRow chosen =
      Row("masked_select")
          .covers("gather")
          .calls([](const Tensor& a, const Tensor& b) { return masked_select(a, b); })
          .on(input({2, 3}).including(kNaN), mask({2, 3}, {1, 0, 1, 0, 0, 1}))
          .expects([](const Arrays& in) -> Arrays {
            Array out;
            for (size_t i = 0; i < in[1].v.size(); ++i) {
              if (in[1].v[i] != 0) out.v.push_back(in[0].v[i]);
            }
            out.shape = {static_cast<int64_t>(out.v.size())};
            return {out};
          })
          .not_captured()
          .zero_second(0)
          .also_integers()
          .refuses(
              "mask", [] { masked_select(zeros({2}), zeros({2})); }, "a mask of bool, got f32")
          .refuses(
              "shapes",
              [] {
                masked_select(zeros({2, 3}), zeros({2}, {.dtype = boolean}));
              },
              "(2, 3) and (2,)");
  OpRow places = Row("nonzero")
                     .covers("floor_divide")
                     .calls([](const Tensor& x) { return nonzero(x); })
                     .on(input({2, 3}).exactly({0, 5, kNaN, 0, -1, 0}))
                     .expects([](const Arrays& in) -> Arrays {
                       Array out;
                       int64_t count = 0;
                       for (size_t i = 0; i < in[0].v.size(); ++i) {
                         if (in[0].v[i] == 0) continue;
                         const Shape at = unravel(static_cast<int64_t>(i), in[0].shape);
                         for (int64_t c : at) out.v.push_back(static_cast<double>(c));
                         ++count;
                       }
                       out.shape = {count, 2};
                       return {out};
                     })
                     .returns(i64)
                     .not_captured()
                     .without_gradient()
                     .refuses(
                         "undefined", [] { nonzero(Tensor()); }, "undefined tensor");
  return {filled, chosen, places};
}

std::vector<OpRow> index_rows() {
  OpRow by_number = Row("index")
                        .covers("gather")
                        .calls([](const Tensor& a, const Tensor& b) { return index(a, b); })
                        .on(input({3, 2}).including(kNaN), indices({2, 2}, {0, 2, -1, 1}))
                        .expects([](const Arrays& in) -> Arrays {
                          return {make_array({2, 2, 2}, [&](const Shape& at) {
                            const double i = in[1].v[static_cast<size_t>(at[0] * 2 + at[1])];
                            const int64_t row = static_cast<int64_t>(i < 0 ? i + 3 : i);
                            return in[0].v[static_cast<size_t>(row * 2 + at[2])];
                          })};
                        })
                        .zero_second(0)
                        .refuses(
                            "range", [] { index(zeros({2}), tensor({2}, i64)); }, "2")
                        .refuses(
                            "dtype", [] { index(zeros({2}), zeros({2})); }, "got f32")
                        .refuses(
                            "0-d", [] { index(zeros({}), tensor({0}, i64)); }, "0-d");
  OpRow by_mask = Row("index_mask")
                      .covers("gather")
                      .calls([](const Tensor& a, const Tensor& b) { return index(a, b); })
                      .on(input({3, 2}).including(kNaN), mask({3}, {1, 0, 1}))
                      .expects([](const Arrays& in) -> Arrays {
                        const Values& v = in[0].v;
                        return {Array{{2, 2}, {v[0], v[1], v[4], v[5]}}};
                      })
                      .not_captured()
                      .zero_second(0)
                      .refuses(
                          "shape",
                          [] {
                            index(zeros({2, 3}), zeros({3}, {.dtype = boolean}));
                          },
                          "mask (3,) does not fit the first dims of (2, 3)");
  return {by_number, by_mask};
}

}  // namespace

std::vector<OpRow> rearrange_rows() {
  std::vector<OpRow> rows;
  for (auto part : {part_rows, order_rows, triangle_rows, pad_rows, mask_rows, index_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
