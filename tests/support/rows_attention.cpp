// Rows of attention, and of the rearrangements between features and heads.
#include "ebb/autograd/ops/attention.h"

#include <cmath>

#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

constexpr int64_t kBatch = 2, kRows = 3, kColumns = 4, kWidth = 2, kOut = 3;

// Functions of (batch, row, column): true if the row attends to the column, and the number that is
// added to its score.
using Allowed = std::function<bool(int64_t, int64_t, int64_t)>;
using Added = std::function<double(int64_t, int64_t, int64_t)>;

Arrays attention_of(const Arrays& in, const Allowed& allowed, const Added& added, double scale) {
  const auto at = [](const Array& a, int64_t b, int64_t i, int64_t j) {
    return a.v[static_cast<size_t>(ravel({b, i, j}, a.shape))];
  };
  Shape shape = in[0].shape;
  shape[2] = in[2].shape[2];
  return {make_array(shape, [&](const Shape& place) {
    const int64_t b = place[0], columns = in[1].shape[1];
    double total = 0, sum = 0;
    for (int64_t j = 0; j < columns; ++j) {
      if (!allowed(b, place[1], j)) continue;
      double score = added(b, place[1], j);
      for (int64_t k = 0; k < in[0].shape[2]; ++k)
        score += scale * at(in[0], b, place[1], k) * at(in[1], b, j, k);
      total += std::exp(score);
      sum += std::exp(score) * at(in[2], b, j, place[2]);
    }
    return total == 0 ? 0 : sum / total;
  })};
}

std::vector<Input> operands() {
  return {{.shape = {kBatch, kRows, kWidth}},
          {.shape = {kBatch, kColumns, kWidth}},
          {.shape = {kBatch, kColumns, kOut}}};
}

const auto kAll = [](int64_t, int64_t, int64_t) { return true; };
const auto kNothing = [](int64_t, int64_t, int64_t) { return 0.0; };

OpRow plain_row() {
  OpRow row{.name = "attention",
            .covers = {"matmul", "softmax"},
            .op = [](const Tensors& in) -> Tensors {
              return {scaled_dot_product_attention(in[0], in[1], in[2], {.scale = 0.5})};
            },
            .inputs = operands(),
            .reference = [](const Arrays& in) { return attention_of(in, kAll, kNothing, 0.5); }};
  row.empty = {{0, kRows, kWidth}, {0, kColumns, kWidth}, {0, kColumns, kOut}};
  row.has_empty = true;
  const auto call = [](const Shape& q, const Shape& k, const Shape& v, AttentionOptions o = {}) {
    return [=] { scaled_dot_product_attention(zeros(q), zeros(k), zeros(v), o); };
  };
  row.bad = {{"features", call({2, 3}, {4, 2}, {4, 2}), "shapes (2, 3), (4, 2) and (4, 2)"},
             {"lengths", call({2, 3}, {4, 3}, {3, 3}), "expected (..., L, E), (..., S, E)"},
             {"dims", call({3}, {4, 3}, {4, 3}), "too few dims"},
             {"both",
              call({2, 3}, {4, 3}, {4, 3}, {.attn_mask = ones({2, 4}, boolean), .is_causal = true}),
              "attn_mask or is_causal, got both"},
             {"mask", call({2, 3}, {4, 3}, {4, 3}, {.attn_mask = ones({2, 3}, boolean)}),
              "attn_mask (2, 3) does not broadcast to (2, 4)"},
             {"dtype", call({2, 3}, {4, 3}, {4, 3}, {.attn_mask = ones({2, 4}, i64)}),
              "must be bool or f32, got i64"},
             {"dropout", call({2, 3}, {4, 3}, {4, 3}, {.dropout_p = 2}), "in [0, 1], got 2"}};
  return row;
}

// The first row of the mask excludes all columns.
OpRow masked_row() {
  const Values allowed = {0, 0, 0, 0, 1, 0, 1, 1, 0, 1, 0, 0};
  OpRow row{.name = "attention_mask",
            .covers = {"where", "softmax"},
            .op = [](const Tensors& in) -> Tensors {
              return {scaled_dot_product_attention(in[0], in[1], in[2], {.attn_mask = in[3]})};
            },
            .inputs = operands(),
            .reference =
                [=](const Arrays& in) {
                  return attention_of(
                      in,
                      [&](int64_t, int64_t i, int64_t j) {
                        return allowed[static_cast<size_t>(i * kColumns + j)] != 0;
                      },
                      kNothing, 1 / std::sqrt(2.0));
                }};
  row.inputs.push_back(mask({kRows, kColumns}, allowed));
  row.bad = plain_row().bad;
  return row;
}

OpRow added_row() {
  OpRow row{.name = "attention_added_mask",
            .covers = {"add", "softmax"},
            .op = [](const Tensors& in) -> Tensors {
              return {scaled_dot_product_attention(in[0], in[1], in[2], {.attn_mask = in[3]})};
            },
            .inputs = operands(),
            .reference =
                [](const Arrays& in) {
                  return attention_of(
                      in, kAll,
                      [&](int64_t, int64_t i, int64_t j) {
                        return in[3].v[static_cast<size_t>(i * kColumns + j)];
                      },
                      1 / std::sqrt(2.0));
                }};
  row.inputs.push_back({.shape = {kRows, kColumns}});
  row.bad = plain_row().bad;
  return row;
}

OpRow causal_row() {
  OpRow row{.name = "attention_causal",
            .covers = {"where", "softmax"},
            .op = [](const Tensors& in) -> Tensors {
              return {scaled_dot_product_attention(in[0], in[1], in[2], {.is_causal = true})};
            },
            .inputs = operands(),
            .reference =
                [](const Arrays& in) {
                  return attention_of(
                      in, [](int64_t, int64_t i, int64_t j) { return j <= i; }, kNothing,
                      1 / std::sqrt(2.0));
                }};
  row.bad = plain_row().bad;
  return row;
}

// Two heads of two features: splits the input into `parts` tensors, changes each of them
// differently, and joins them.
OpRow heads_row(int parts, bool batch_first) {
  const int64_t features = 4 * parts;
  OpRow row{
      .name = "heads_" + std::to_string(parts) + (batch_first ? "_batch_first" : ""),
      .covers = {"split_heads", "join_heads"},
      .op = [=](const Tensors& in) -> Tensors {
        Tensors cut = detail::split_heads(in[0], parts, 2, batch_first);
        Tensors all = cut;
        all.push_back(detail::join_heads(cut, 2, batch_first));
        return all;
      },
      .inputs = {{.shape = {3, 2, features}}},
      .reference = [=](const Arrays& in) -> Arrays {
        const int64_t outer = in[0].shape[0], inner = in[0].shape[1];
        const int64_t batch = batch_first ? outer : inner, steps = batch_first ? inner : outer;
        Arrays all;
        for (int64_t p = 0; p < parts; ++p) {
          all.push_back(make_array({batch * 2, steps, 2}, [&](const Shape& at) {
            const int64_t n = at[0] / 2, column = p * 4 + at[0] % 2 * 2 + at[2];
            const Shape from = batch_first ? Shape{n, at[1], column} : Shape{at[1], n, column};
            return in[0].v[static_cast<size_t>(ravel(from, in[0].shape))];
          }));
        }
        all.push_back(in[0]);
        return all;
      },
      .zero_second = {0}};
  row.empty = {{0, 2, features}};
  row.has_empty = true;
  row.bad = plain_row().bad;
  return row;
}

}  // namespace

std::vector<OpRow> attention_rows() {
  return {plain_row(),         masked_row(),       added_row(),         causal_row(),
          heads_row(1, false), heads_row(2, true), heads_row(3, false), heads_row(3, true)};
}

}  // namespace ebb::test
