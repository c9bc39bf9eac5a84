// Rows of normalization. The references are naive loops over (N, C, ...) in two passes.
#include <cmath>

#include "ebb/autograd/ops/normalization.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// Elements with equal key(at) are normalized together; weight and bias have one element for each
// channel(at).
struct Groups {
  std::function<int64_t(const Shape&at, const Shape&shape)> key, channel;
  double eps = 1e-5;
  bool centered = true;
};

Array normalized(const Groups& groups, const Arrays& in) {
  const Array& x = in[0];
  std::map<int64_t, Values> members;
  for (int64_t i = 0; i < x.shape.numel(); ++i)
    members[groups.key(unravel(i, x.shape), x.shape)].push_back(x.v[static_cast<size_t>(i)]);
  std::map<int64_t, std::pair<double, double>> statistics;
  for (const auto& [key, values] : members) {
    double mean = 0, variance = 0;
    for (double v : values) mean += v / static_cast<double>(values.size());
    if (!groups.centered) mean = 0;
    for (double v : values)
      variance += (v - mean) * (v - mean) / static_cast<double>(values.size());
    statistics[key] = {mean, std::sqrt(variance + groups.eps)};
  }
  return make_array(x.shape, [&](const Shape& at) {
    const auto& [mean, deviation] = statistics.at(groups.key(at, x.shape));
    const size_t c = static_cast<size_t>(groups.channel(at, x.shape));
    const double y = (x.v[static_cast<size_t>(ravel(at, x.shape))] - mean) / deviation;
    return y * (in.size() > 1 ? in[1].v[c] : 1) + (in.size() > 2 ? in[2].v[c] : 0);
  });
}

int64_t channel(const Shape& at, const Shape&) { return at[1]; }
int64_t of_outer(const Shape& at, const Shape& shape) { return at[0] * shape[1] + at[1]; }
// Return the index of a row, and the position in the row, for a normalized_shape of kDims dims.
template <int kDims> int64_t row_of(const Shape& at, const Shape& shape) {
  int64_t row = 0;
  for (int i = 0; i < shape.dim() - kDims; ++i) row = row * shape[i] + at[i];
  return row;
}
template <int kDims> int64_t in_row(const Shape& at, const Shape& shape) {
  int64_t place = 0;
  for (int i = shape.dim() - kDims; i < shape.dim(); ++i) place = place * shape[i] + at[i];
  return place;
}

OpRow norm_row(const std::string& name, const std::string& covers, const Shape& shape,
               const Shape& parameters, int count, Groups groups,
               std::function<Tensor(const Tensor&, const Tensor&, const Tensor&)> op) {
  OpRow row =
      Row(name)
          .covers(covers, covers + "_backward")
          .calls([=](const Tensors& in) -> Tensors {
            return {op(in[0], in.size() > 1 ? in[1] : Tensor(), in.size() > 2 ? in[2] : Tensor())};
          })
          .on(input(shape))
          .expects([=](const Arrays& in) -> Arrays { return {normalized(groups, in)}; })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .third_order(count == 3);
  for (int i = 1; i < count; ++i) row.inputs.push_back({.shape = parameters, .low = 0.5});
  if (count == 3) row.zero_second = row.zero_third = {2};
  row.empty = {shape};
  row.empty[0][0] = 0;
  for (int i = 1; i < count; ++i) row.empty.push_back(parameters);
  row.has_empty = true;
  row = Row(row)
            .without_refusals()
            .refuses(
                "undefined", [op] { op(Tensor(), {}, {}); }, "undefined tensor")
            .refuses(
                "integers", [=] { op(zeros(shape, {.dtype = i64}), {}, {}); }, "i64");
  return row;
}

Tensor in_training(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return batch_norm(x, {}, {}, {.weight = weight, .bias = bias, .training = true});
}

std::vector<OpRow> batch_rows() {
  std::vector<OpRow> rows;
  const Groups groups{channel, channel};
  OpRow plain = norm_row("batch_norm", "batch_norm", {3, 4, 2, 5}, {4}, 3, groups, in_training);
  plain.bad.insert(plain.bad.end(), {{"dims", [] { in_training(zeros({3}), {}, {}); },
                                      "(N, C) or (N, C, ...), got (3,)"},
                                     {"one element",
                                      [] {
                                        in_training(zeros({1, 3}), {}, {});
                                      },
                                      "more than one element per channel in training, got (1, 3)"},
                                     {"weight",
                                      [] {
                                        in_training(zeros({2, 3}), zeros({2}), {});
                                      },
                                      "weight of shape (3,), got (2,)"},
                                     {"bias",
                                      [] {
                                        in_training(zeros({2, 3}), {}, zeros({3, 1}));
                                      },
                                      "bias of shape (3,), got (3, 1)"},
                                     {"dtype",
                                      [] {
                                        in_training(zeros({2, 3}), zeros({3}, {.dtype = f64}), {});
                                      },
                                      "f64"},
                                     {"statistics",
                                      [] {
                                        batch_norm(zeros({2, 3}), {}, {});
                                      },
                                      "running statistics unless training"},
                                     {"one of two",
                                      [] {
                                        batch_norm(zeros({2, 3}), zeros({3}), {});
                                      },
                                      "both running_mean and running_var"},
                                     {"running_var",
                                      [] {
                                        batch_norm(zeros({2, 3}), zeros({3}), zeros({2}));
                                      },
                                      "running_var of shape (3,), got (2,)"}});
  rows.push_back(plain);
  rows.push_back(
      norm_row("batch_norm_columns", "batch_norm", {4, 33}, {33}, 3, groups, in_training));
  rows.back().third_order = false;
  rows.push_back(
      norm_row("batch_norm_without_affine", "batch_norm", {4, 2, 3}, {2}, 1, groups, in_training));
  rows.push_back(
      Row("batch_norm_running")
          .covers("mul", "sub")
          .calls([](const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d,
                    const Tensor& e) { return batch_norm(a, b, c, {.weight = d, .bias = e}); })
          .on(input({2, 3, 4}), input({3}).without_grad(),
              input({3}).between(0.5, 2).without_grad(), input({3}), input({3}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array(in[0].shape, [&](const Shape& at) {
              const size_t c = static_cast<size_t>(at[1]);
              const double x = in[0].v[static_cast<size_t>(ravel(at, in[0].shape))];
              return (x - in[1].v[c]) / std::sqrt(in[2].v[c] + 1e-5) * in[3].v[c] + in[4].v[c];
            })};
          })
          .zero_second(4)
          .refuses(
              "dims", [] { batch_norm(zeros({3}), {}, {}); }, "got (3,)"));
  return rows;
}

std::vector<OpRow> other_rows() {
  std::vector<OpRow> rows;
  const auto instance = [](const Tensor& x, const Tensor& w, const Tensor& b) {
    return instance_norm(x, {.weight = w, .bias = b});
  };
  rows.push_back(Row(norm_row("instance_norm", "instance_norm", {2, 3, 2, 4}, {3}, 3,
                              {of_outer, channel}, instance))
                     .refuses(
                         "one element",
                         [] {
                           instance_norm(zeros({2, 3, 1}));
                         },
                         "more than one element per channel, got (2, 3, 1)")
                     .refuses(
                         "dims",
                         [] {
                           instance_norm(zeros({2, 3}));
                         },
                         "at least 3 dims, got (2, 3)")
                     .refuses(
                         "statistics",
                         [] {
                           instance_norm(zeros({2, 3, 4}), {.use_input_stats = false});
                         },
                         "running statistics unless use_input_stats"));

  const auto layer = [](const Shape& shape) {
    return [=](const Tensor& x, const Tensor& w, const Tensor& b) {
      return layer_norm(x, shape, w, b);
    };
  };
  OpRow by_row =
      norm_row("layer_norm", "layer_norm", {2, 2, 19}, {19}, 3, {row_of<1>, in_row<1>}, layer(19));
  by_row.third_order = false;
  by_row = Row(by_row)
               .refuses(
                   "shape",
                   [] {
                     layer_norm(zeros({2, 3}), {2});
                   },
                   "ends with normalized_shape (2,), got (2, 3)")
               .refuses(
                   "long shape",
                   [] {
                     layer_norm(zeros({3}), {2, 3});
                   },
                   "ends with normalized_shape (2, 3), got (3,)")
               .refuses(
                   "weight",
                   [] {
                     layer_norm(zeros({2, 3}), {3}, zeros({2}));
                   },
                   "weight of shape (3,), got (2,)");
  rows.push_back(by_row);
  rows.push_back(norm_row("layer_norm_two_dims", "layer_norm", {5, 3, 4}, {3, 4}, 3,
                          {row_of<2>, in_row<2>}, layer({3, 4})));
  rows.push_back(norm_row("layer_norm_weight", "layer_norm", {66, 2}, {2}, 2,
                          {row_of<1>, in_row<1>}, layer(2)));
  rows.push_back(norm_row("layer_norm_without_affine", "layer_norm", {3, 9}, {9}, 1,
                          {row_of<1>, in_row<1>}, layer(9)));
  OpRow bias =
      norm_row("layer_norm_bias", "layer_norm", {4, 3, 2}, {3, 2}, 2, {row_of<2>, in_row<2>},
               [](const Tensor& x, const Tensor& b, const Tensor&) {
                 return layer_norm(x, {3, 2}, {}, b);
               });
  bias.reference = [](const Arrays& in) -> Arrays {
    return {normalized({row_of<2>, in_row<2>},
                       {in[0], {in[1].shape, Values(in[1].v.size(), 1)}, in[1]})};
  };
  bias.zero_second = {1};
  rows.push_back(bias);

  const auto group = [](int64_t n) {
    return
        [=](const Tensor& x, const Tensor& w, const Tensor& b) { return group_norm(x, n, w, b); };
  };
  const auto key = [](const Shape& at, const Shape& shape) {
    return at[0] * 2 + at[1] / (shape[1] / 2);
  };
  OpRow by_group =
      norm_row("group_norm", "group_norm", {2, 6, 3, 2}, {6}, 3, {key, channel}, group(2));
  by_group = Row(by_group)
                 .refuses(
                     "groups",
                     [] {
                       group_norm(zeros({2, 3}), 2);
                     },
                     "num_groups that divides the channels of (2, 3), got 2")
                 .refuses(
                     "no groups",
                     [] {
                       group_norm(zeros({2, 3}), 0);
                     },
                     "got 0");
  rows.push_back(by_group);
  rows.push_back(
      norm_row("group_norm_columns", "group_norm", {2, 4}, {4}, 3, {key, channel}, group(2)));

  Groups squares{row_of<1>, in_row<1>, std::ldexp(1, -23), false};
  rows.push_back(norm_row(
      "rms_norm", "rms_norm", {2, 19}, {19}, 2, {row_of<1>, in_row<1>, 0.25, false},
      [](const Tensor& x, const Tensor& w, const Tensor&) { return rms_norm(x, 19, w, 0.25); }));
  rows.push_back(
      norm_row("rms_norm_default", "rms_norm", {3, 8}, {8}, 1, squares,
               [](const Tensor& x, const Tensor&, const Tensor&) { return rms_norm(x, 8); }));
  rows.back().f64_tolerance = {1e-6, 1e-6};  // the default eps is that of the dtype
  return rows;
}

}  // namespace

std::vector<OpRow> normalization_rows() {
  std::vector<OpRow> rows = batch_rows();
  for (OpRow& row : other_rows()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace ebb::test
