// Rows of cutting, repeating, padding and choosing elements. References move elements by coordinates.
#include "ebb/autograd/ops/rearrange.h"

#include <algorithm>
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

using Move = std::function<Tensor(const Tensor&)>;
// Where the element at `at` of the result comes from; a negative coordinate means 0.
using From = std::function<Shape(const Shape& at)>;

OpRow moved(const std::string& name, std::vector<std::string> covers, const Shape& input, Move op,
            const Shape& out, From from) {
  OpRow row{.name = name,
            .covers = std::move(covers),
            .op = [op](const Tensors& in) -> Tensors { return {op(in[0])}; },
            .inputs = {{.shape = input, .extremes = {kNaN, kInf}}},
            .reference = [=](const Arrays& in) -> Arrays {
              return {make_array(out, [&](const Shape& at) {
                const Shape place = from(at);
                for (int64_t i : place) {
                  if (i < 0) return 0.0;
                }
                return in[0].v[static_cast<size_t>(ravel(place, input))];
              })};
            },
            .zero_second = {0}};
  row.has_integers = true;
  row.bad = {{"undefined", [op] { op(Tensor()); }, "undefined tensor"}};
  return row;
}

std::vector<OpRow> part_rows() {
  OpRow middle = moved(
      "narrow", {"slice"}, {2, 5}, [](const Tensor& x) { return narrow(x, 1, -4, 3); }, {2, 3},
      [](const Shape& at) {
        return Shape{at[0], at[1] + 1};
      });
  middle.bad.push_back({"range", [] { narrow(zeros({3}), 0, 2, 2); },
                        "elements 2 to 4 are not in dim 0 of shape (3,)"});
  middle.bad.push_back({"negative", [] { narrow(zeros({3}), 0, 0, -1); }, "are not in dim 0"});
  middle.bad.push_back({"0-d", [] { narrow(zeros({}), 0, 0, 1); }, "0-d"});
  OpRow part = moved(
      "split", {"slice"}, {5, 2}, [](const Tensor& x) { return split(x, 2)[2]; }, {1, 2},
      [](const Shape& at) {
        return Shape{4, at[1]};
      });
  part.bad.push_back({"size", [] { split(zeros({3}), 0); }, "size of at least 1, got 0"});
  OpRow sized = moved(
      "split_sizes", {"slice"}, {2, 5},
      [](const Tensor& x) {
        return split(x, std::vector<int64_t>{1, 3, 1}, 1)[1];
      },
      {2, 3},
      [](const Shape& at) {
        return Shape{at[0], at[1] + 1};
      });
  sized.bad.push_back({"sum",
                       [] {
                         split(zeros({3}), std::vector<int64_t>{1, 1});
                       },
                       "add up to dim 0 of shape (3,), got 2"});
  sized.bad.push_back({"more",
                       [] {
                         split(zeros({3}), std::vector<int64_t>{2, 2});
                       },
                       "got 2 after 2"});
  OpRow piece = moved(
      "chunk", {"slice"}, {5, 2}, [](const Tensor& x) { return chunk(x, 2)[1]; }, {2, 2},
      [](const Shape& at) {
        return Shape{at[0] + 3, at[1]};
      });
  piece.bad.push_back({"chunks", [] { chunk(zeros({3}), 0); }, "at least 1 chunk, got 0"});
  return {middle, part, sized, piece};
}

std::vector<OpRow> order_rows() {
  OpRow copies = moved(
      "repeat", {"expand", "reshape"}, {2, 3},
      [](const Tensor& x) {
        return repeat(x, {2, 1, 3});
      },
      {2, 2, 9},
      [](const Shape& at) {
        return Shape{at[1], at[2] % 3};
      });
  copies.bad.push_back({"few",
                        [] {
                          repeat(zeros({2, 3}), {2});
                        },
                        "each dim of shape (2, 3), got (2,)"});
  copies.bad.push_back({"negative", [] { repeat(zeros({2}), {-1}); }, "at least 0, got (-1,)"});
  OpRow turned = moved(
      "flip", {"flip"}, {2, 3, 4},
      [](const Tensor& x) {
        return flip(x, {0, -1});
      },
      {2, 3, 4},
      [](const Shape& at) {
        return Shape{1 - at[0], at[1], 3 - at[2]};
      });
  turned.bad.push_back({"dim", [] { flip(zeros({2}), {1}); }, "dim 1 is out of range"});
  turned.bad.push_back({"twice", [] { flip(zeros({2}), {0, -1}); }, "dim -1 appears twice"});
  OpRow rolled = moved(
      "roll", {"cat"}, {2, 5},
      [](const Tensor& x) {
        return roll(x, {-7, 1}, {1, 0});
      },
      {2, 5},
      [](const Shape& at) {
        return Shape{(at[0] + 1) % 2, (at[1] + 7) % 5};
      });
  rolled.bad.push_back({"counts",
                        [] {
                          roll(zeros({2, 3}), {1}, {0, 1});
                        },
                        "a shift for each dim"});
  rolled.bad.push_back({"dim", [] { roll(zeros({2}), {1}, {1}); }, "dim 1 is out of range"});
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
    OpRow row = moved(
        lower ? "tril" : "triu", {"where"}, {2, 3, 4},
        [=](const Tensor& x) { return lower ? tril(x, shift) : triu(x, shift); }, {2, 3, 4},
        [=](const Shape& at) {
          const bool kept = lower ? at[2] <= at[1] + shift : at[2] >= at[1] + shift;
          return kept ? at : Shape{-1, -1, -1};
        });
    row.bad.push_back({"vector", [lower] { lower ? tril(zeros({3})) : triu(zeros({3})); },
                       "at least 2 dims, got shape (3,)"});
    rows.push_back(row);
  }
  OpRow line = moved(
      "diagonal", {"diagonal"}, {3, 2, 4}, [](const Tensor& x) { return diagonal(x, 1, 0, -1); },
      {2, 3},
      [](const Shape& at) {
        return Shape{at[1], at[0], at[1] + 1};
      });
  line.bad.push_back({"same",
                      [] {
                        diagonal(zeros({2, 2}), 0, 1, -1);
                      },
                      "two different dims, got 1 and -1"});
  line.bad.push_back({"vector", [] { diagonal(zeros({2})); }, "at least 2 dims"});
  OpRow matrix = moved(
      "diag", {"diag"}, {3}, [](const Tensor& x) { return diag(x, -1); }, {4, 4},
      [](const Shape& at) { return Shape{at[0] == at[1] + 1 ? at[1] : -1}; });
  matrix.bad.push_back({"dims",
                        [] {
                          diag(zeros({2, 2, 2}));
                        },
                        "a vector or a matrix, got shape (2, 2, 2)"});
  OpRow of_matrix = moved(
      "diag_of_matrix", {"diagonal"}, {3, 4}, [](const Tensor& x) { return diag(x, -1); }, {2},
      [](const Shape& at) {
        return Shape{at[0] + 1, at[0]};
      });
  rows.insert(rows.end(), {line, matrix, of_matrix});
  return rows;
}

std::vector<OpRow> pad_rows() {
  OpRow zero = moved(
      "pad", {"pad"}, {2, 3},
      [](const Tensor& x) {
        return pad(x, {1, 2, -1, 1});
      },
      {2, 6},
      [](const Shape& at) {
        return at[0] == 0 && at[1] >= 1 && at[1] <= 3 ? Shape{1, at[1] - 1} : Shape{-1, -1};
      });
  zero.bad.push_back({"odd", [] { pad(zeros({2}), {1}); }, "a pair for each of at most 1 dims"});
  zero.bad.push_back({"many",
                      [] {
                        pad(zeros({2}), {1, 1, 1, 1});
                      },
                      "at most 1 dims of shape (2,)"});
  zero.bad.push_back({"cut",
                      [] {
                        pad(zeros({2}), {-2, -1});
                      },
                      "cannot pad by -2 and -1 at dim 0"});
  zero.bad.push_back({"value",
                      [] {
                        pad(zeros({2}, {.dtype = i64}), {1, 1}, PadMode::Constant, 0.5);
                      },
                      "0.5"});
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
    row.bad.push_back({"short",
                       [mode = m.mode, short_size] {
                         pad(zeros({short_size}), {4, 0}, mode);
                       },
                       m.bad});
    rows.push_back(row);
  }
  return rows;
}

std::vector<OpRow> mask_rows() {
  OpRow filled{.name = "masked_fill",
               .covers = {"where"},
               .op = [](const Tensors& in) -> Tensors { return {masked_fill(in[0], in[1], 7)}; },
               .inputs = {{.shape = {2, 3}, .extremes = {kNaN}}, mask({3}, {1, 0, 1})},
               .reference = [](const Arrays& in) -> Arrays {
                 return {make_array(in[0].shape, [&](const Shape& at) {
                   return broadcast_at(in[1], at) != 0 ? 7 : broadcast_at(in[0], at);
                 })};
               },
               .zero_second = {0}};
  filled.has_integers = true;
  filled.bad = {
      {"mask", [] { masked_fill(zeros({2}), zeros({2}), 1); }, "a mask of bool, got f32"},
      {"shapes",
       [] {
         masked_fill(zeros({2, 3}), zeros({2}, {.dtype = boolean}), 1);
       },
       "(2, 3) and (2,)"},
      {"value",
       [] { masked_fill(zeros({2}, {.dtype = i64}), zeros({2}, {.dtype = boolean}), 0.5); },
       "0.5"}};
  OpRow chosen{.name = "masked_select",
               .covers = {"gather"},
               .op = [](const Tensors& in) -> Tensors { return {masked_select(in[0], in[1])}; },
               .inputs = {{.shape = {2, 3}, .extremes = {kNaN}}, mask({2, 3}, {1, 0, 1, 0, 0, 1})},
               .reference = [](const Arrays& in) -> Arrays {
                 Array out;
                 for (size_t i = 0; i < in[1].v.size(); ++i) {
                   if (in[1].v[i] != 0) out.v.push_back(in[0].v[i]);
                 }
                 out.shape = {static_cast<int64_t>(out.v.size())};
                 return {out};
               },
               .zero_second = {0}};
  chosen.has_integers = true;
  chosen.captured = false;
  chosen.bad = {{"mask", [] { masked_select(zeros({2}), zeros({2})); }, "a mask of bool, got f32"},
                {"shapes",
                 [] {
                   masked_select(zeros({2, 3}), zeros({2}, {.dtype = boolean}));
                 },
                 "(2, 3) and (2,)"}};
  OpRow places{.name = "nonzero",
               .covers = {"floor_divide"},
               .op = [](const Tensors& in) -> Tensors { return {nonzero(in[0])}; },
               .inputs = {{.shape = {2, 3}, .fixed = {0, 5, kNaN, 0, -1, 0}}},
               .reference = [](const Arrays& in) -> Arrays {
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
               }};
  places.differentiable = places.captured = false;
  places.out_dtype = i64;
  places.bad = {{"undefined", [] { nonzero(Tensor()); }, "undefined tensor"}};
  return {filled, chosen, places};
}

std::vector<OpRow> index_rows() {
  OpRow by_number{.name = "index",
                  .covers = {"gather"},
                  .op = [](const Tensors& in) -> Tensors { return {index(in[0], in[1])}; },
                  .inputs = {{.shape = {3, 2}, .extremes = {kNaN}}, indices({2, 2}, {0, 2, -1, 1})},
                  .reference = [](const Arrays& in) -> Arrays {
                    return {make_array({2, 2, 2}, [&](const Shape& at) {
                      const double i = in[1].v[static_cast<size_t>(at[0] * 2 + at[1])];
                      const int64_t row = static_cast<int64_t>(i < 0 ? i + 3 : i);
                      return in[0].v[static_cast<size_t>(row * 2 + at[2])];
                    })};
                  },
                  .zero_second = {0}};
  by_number.bad = {{"range", [] { index(zeros({2}), tensor({2}, i64)); }, "2"},
                   {"dtype", [] { index(zeros({2}), zeros({2})); }, "got f32"},
                   {"0-d", [] { index(zeros({}), tensor({0}, i64)); }, "0-d"}};
  OpRow by_mask{.name = "index_mask",
                .covers = {"gather"},
                .op = [](const Tensors& in) -> Tensors { return {index(in[0], in[1])}; },
                .inputs = {{.shape = {3, 2}, .extremes = {kNaN}}, mask({3}, {1, 0, 1})},
                .reference = [](const Arrays& in) -> Arrays {
                  const Values& v = in[0].v;
                  return {Array{{2, 2}, {v[0], v[1], v[4], v[5]}}};
                },
                .zero_second = {0}};
  by_mask.captured = false;
  by_mask.bad = {{"shape",
                  [] {
                    index(zeros({2, 3}), zeros({3}, {.dtype = boolean}));
                  },
                  "mask (3,) does not fit the first dims of (2, 3)"}};
  return {by_number, by_mask};
}

// Numbers in place of tensors.
std::vector<OpRow> number_rows() {
  OpRow quotient = unary_row(
      "floor_divide", [](const Tensor& x) { return floor_divide(x, -3); },
      [](double x) { return std::floor(x / -3); },
      {.low = -9, .high = 9, .extremes = {kNaN, -6, 6, 0}});
  quotient.differentiable = false;
  quotient.has_integers = true;
  quotient.bad = {{"zero", [] { floor_divide(zeros({2}, {.dtype = i64}), 0); }, "divisor"},
                  {"undefined", [] { floor_divide(Tensor(), 2); }, "undefined tensor"}};
  OpRow larger = unary_row(
      "maximum_number", [](const Tensor& x) { return maximum(x, 0.5); },
      [](double x) { return x < 0.5 ? 0.5 : x; }, {.extremes = {kNaN, kInf, 0.5}, .kinks = {0.5}});
  larger.points = {{{0.5}, 0.5, {0.5}}, {{1}, 1, {1}}, {{0}, 0.5, {0}}};
  OpRow smaller = unary_row(
      "minimum_number", [](const Tensor& x) { return minimum(0.5, x); },
      [](double x) { return x > 0.5 ? 0.5 : x; }, {.extremes = {kNaN, -kInf, 0.5}, .kinks = {0.5}});
  smaller.points = {{{0.5}, 0.5, {0.5}}, {{1}, 0.5, {0}}, {{0}, 0, {1}}};
  larger.covers = {"maximum"};
  smaller.covers = {"minimum"};
  OpRow power = unary_row(
      "pow_of_number", [](const Tensor& x) { return pow(2.0, x); },
      [](double x) { return std::pow(2.0, x); }, {.extremes = {0, -1, kInf, -kInf}});
  power.covers = {"pow"};
  power.third_order = true;
  OpRow clamped = unary_row(
      "clamp_low", [](const Tensor& x) { return clamp(x, 0); },
      [](double x) { return x < 0 ? 0 : x; }, {.extremes = {kNaN, kInf, -kInf, 0}, .kinks = {0}});
  clamped.covers = {"clamp"};
  clamped.points = {{{0}, 0, {1}}, {{kInf}, kInf, {1}}};
  OpRow chosen{.name = "where_number",
               .covers = {"where"},
               .op = [](const Tensors& in) -> Tensors {
                 return {where(in[0], 0.5, in[1]) + where(in[0], in[1], 2)};
               },
               .inputs = {mask({2, 3}, {1, 0, 1, 0, 0, 1}), {.shape = {2, 3}}},
               .reference = [](const Arrays& in) -> Arrays {
                 Array out = in[1];
                 for (size_t i = 0; i < out.v.size(); ++i) out.v[i] += in[0].v[i] != 0 ? 0.5 : 2;
                 return {out};
               },
               .zero_second = {1}};
  chosen.bad = {
      {"integers", [] { where(zeros({2}, {.dtype = boolean}), 0.5, zeros({2}, {.dtype = i64})); },
       "0.5"},
      {"undefined", [] { where(zeros({2}), 0.5, Tensor()); }, "undefined tensor"}};
  for (OpRow* row : {&larger, &smaller, &clamped}) row->zero_second = {0};
  for (OpRow* row : {&larger, &smaller}) {
    row->bad = {{"integers", [] { maximum(zeros({2}, {.dtype = i64}), 0.5); }, "0.5"},
                {"undefined", [] { minimum(0.5, Tensor()); }, "undefined tensor"}};
  }
  return {quotient, larger, smaller, power, clamped, chosen};
}

}  // namespace

std::vector<OpRow> rearrange_rows() {
  std::vector<OpRow> rows;
  for (auto part :
       {part_rows, order_rows, triangle_rows, pad_rows, mask_rows, index_rows, number_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
