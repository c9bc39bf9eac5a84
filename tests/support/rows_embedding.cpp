// Rows of embeddings and bags of embeddings.
#include "ebb/nn/layers/embedding.h"

#include <algorithm>

#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

using nn::EmbeddingBagMode;

const Values kWords = {3, 0, 3, 1, 2, 0};

std::vector<int64_t> as_rows(const Array& index) { return {index.v.begin(), index.v.end()}; }

Arrays looked_up(const Array& weight, const Array& index) {
  Shape shape = index.shape;
  shape.push_back(weight.shape[1]);
  return {make_array(shape, [&](const Shape& at) {
    Shape of_index = at;
    of_index.erase(at.dim() - 1);
    const auto row = as_rows(index)[static_cast<size_t>(ravel(of_index, index.shape))];
    return weight.v[static_cast<size_t>(row * weight.shape[1] + at.back())];
  })};
}

OpRow embedding_row() {
  OpRow row{.name = "embedding",
            .covers = {"embedding", "embedding_backward"},
            .op = [](const Tensors& in) -> Tensors { return {nn::embedding(in[1], in[0])}; },
            .inputs = {{.shape = {4, 3}, .extremes = {kNaN, kInf}}, indices({2, 3}, kWords)},
            .reference = [](const Arrays& in) -> Arrays { return looked_up(in[0], in[1]); },
            .zero_second = {0}};
  row.empty = {{4, 3}, {2, 0}};
  row.has_empty = true;
  row.bad = {
      {"range",
       [] {
         nn::embedding(tensor({4}), zeros({4, 3}));
       },
       "expected 0 to 3"},
      {"dtype",
       [] {
         nn::embedding(zeros({2}), zeros({4, 3}));
       },
       "must be i64 or u8"},
      {"table", [] { nn::embedding(tensor({0}), zeros({4})); }, "weight (4,) is not a table"},
      {"padding",
       [] {
         nn::embedding(tensor({0}), zeros({4, 3}), {.padding_idx = 4});
       },
       "padding_idx 4 is out of range: expected -4 to 3"},
      {"undefined", [] { nn::embedding(tensor({0}), Tensor()); }, "undefined tensor"}};
  return row;
}

// Bags of the indices [begin[i], begin[i + 1]), without row `padding`.
Arrays bags(const Arrays& in, const std::vector<size_t>& begin, EmbeddingBagMode mode,
            int64_t padding) {
  const Array& weight = in[0];
  const int64_t width = weight.shape[1];
  const auto words = as_rows(in[1]);
  return {make_array({static_cast<int64_t>(begin.size()) - 1, width}, [&](const Shape& at) {
    double sum = 0, most = -kInf, count = 0;
    for (size_t i = begin[static_cast<size_t>(at[0])]; i < begin[static_cast<size_t>(at[0]) + 1];
         ++i) {
      if (words[i] == padding) continue;
      const double v = weight.v[static_cast<size_t>(words[i] * width + at[1])];
      sum += v * (mode == EmbeddingBagMode::Sum ? in.back().v[i] : 1);
      most = std::max(most, v);
      ++count;
    }
    if (count == 0) return 0.0;
    return mode == EmbeddingBagMode::Max ? most : mode == EmbeddingBagMode::Sum ? sum : sum / count;
  })};
}

OpRow bag_row(const std::string& name, EmbeddingBagMode mode, bool ragged) {
  const std::vector<size_t> begin =
      ragged ? std::vector<size_t>{0, 1, 1, 6} : std::vector<size_t>{0, 3, 6};
  OpRow row{.name = name,
            .covers = {"embedding", "embedding_backward", "scatter_add"},
            .op = [=](const Tensors& in) -> Tensors {
              nn::EmbeddingBagFuncOptions options{.mode = mode, .padding_idx = 2};
              if (ragged) options.offsets = in[2];
              if (mode == EmbeddingBagMode::Sum) options.per_sample_weights = in.back();
              return {nn::embedding_bag(in[1], in[0], options)};
            },
            .inputs = {{.shape = {4, 3}}, indices(ragged ? Shape{6} : Shape{2, 3}, kWords)},
            .reference = [=](const Arrays& in) { return bags(in, begin, mode, 2); },
            .captured = !(ragged && mode == EmbeddingBagMode::Max)};
  if (ragged) row.inputs.push_back(indices({3}, {0, 1, 1}));
  if (mode == EmbeddingBagMode::Sum)
    row.inputs.push_back({.shape = ragged ? Shape{6} : Shape{2, 3}});
  else row.zero_second = {0};
  row.bad = {
      {"offsets",
       [] {
         nn::embedding_bag(tensor({0, 1}), zeros({4, 3}));
       },
       "needs offsets"},
      {"start",
       [] {
         nn::embedding_bag(tensor({0, 1}), zeros({4, 3}), {.offsets = tensor({1})});
       },
       "offsets must start at 0"},
      {"order",
       [] {
         nn::embedding_bag(tensor({0, 1}), zeros({4, 3}), {.offsets = tensor({0, 2, 1})});
       },
       "offsets must not decrease"},
      {"range",
       [] {
         nn::embedding_bag(tensor({{4}}), zeros({4, 3}));
       },
       "expected 0 to 3"},
      {"factors",
       [] {
         nn::embedding_bag(tensor({{1}}), zeros({4, 3}), {.per_sample_weights = ones({1, 1})});
       },
       "need the mode Sum"}};
  return row;
}

}  // namespace

std::vector<OpRow> embedding_rows() {
  using enum EmbeddingBagMode;
  return {embedding_row(),
          bag_row("embedding_bag_sum", Sum, false),
          bag_row("embedding_bag_mean", Mean, false),
          bag_row("embedding_bag_max", Max, false),
          bag_row("embedding_bag_sum_ragged", Sum, true),
          bag_row("embedding_bag_mean_ragged", Mean, true),
          bag_row("embedding_bag_max_ragged", Max, true)};
}

}  // namespace ebb::test
