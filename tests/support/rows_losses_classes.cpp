// Rows of losses of class scores. tests/parity compares them with PyTorch.
#include <cmath>

#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/tests/support/loss_references.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

using nn::Reduction;

// ---- losses of class scores ----

Values log_softmax_row(const Array& x, int64_t row) {
  const int64_t classes = x.shape[1];
  Values p(static_cast<size_t>(classes));
  double top = -kInf, sum = 0;
  for (int64_t c = 0; c < classes; ++c)
    top = std::fmax(top, x.v[static_cast<size_t>(row * classes + c)]);
  for (int64_t c = 0; c < classes; ++c)
    sum += std::exp(x.v[static_cast<size_t>(row * classes + c)] - top);
  for (int64_t c = 0; c < classes; ++c) {
    p[static_cast<size_t>(c)] = x.v[static_cast<size_t>(row * classes + c)] - top - std::log(sum);
  }
  return p;
}

const Values kClassWeight{0.5, 2, 1};
Tensor class_weight(const Tensor& like) {
  return from_data(kClassWeight, {3}).to(like.dtype()).to(like.device());
}
const Input kScores{.shape = {4, 3}};
Input class_targets() { return indices({4}, {2, 0, -100, 1}); }

OpRow scores_row(const std::string& name, std::vector<std::string> covers,
                 std::function<Tensors(const Tensors&)> op,
                 const std::function<double(const Values& logp, int64_t t)>& loss,
                 double denominator) {
  OpRow row{.name = name,
            .covers = std::move(covers),
            .op = std::move(op),
            .inputs = {kScores, class_targets()},
            .reference = [loss, denominator](const Arrays& in) -> Arrays {
              double sum = 0;
              for (int64_t i = 0; i < 4; ++i) {
                const auto t = static_cast<int64_t>(in[1].v[static_cast<size_t>(i)]);
                if (t != -100) sum += loss(log_softmax_row(in[0], i), t);
              }
              return {{{}, {sum / denominator}}};
            }};
  row.f32_tolerance = {4e-6, 4e-6};
  row.f64_tolerance = {1e-13, 1e-13};
  row.bitwise = false;
  return row;
}

std::vector<OpRow> class_rows() {
  std::vector<OpRow> rows;
  const auto smoothed = [](const Values& logp, int64_t t) {
    double loss = -0.8 * kClassWeight[static_cast<size_t>(t)] * logp[static_cast<size_t>(t)];
    for (size_t c = 0; c < 3; ++c) loss -= 0.2 / 3 * kClassWeight[c] * logp[c];
    return loss;
  };
  OpRow ce = scores_row(
      "cross_entropy", {"cross_entropy"},
      [](const Tensors& in) -> Tensors {
        return {nn::cross_entropy(in[0], in[1],
                                  {.weight = class_weight(in[0]), .label_smoothing = 0.2})};
      },
      smoothed, 1 + 0.5 + 2);
  ce.third_order = true;
  ce.bad = {
      {"range",
       [] {
         nn::cross_entropy(zeros({2, 3}), tensor({0, 3}, i64));
       },
       "index 3 at position 1 is out of range: expected 0 to 2"},
      {"dtype",
       [] {
         nn::cross_entropy(zeros({2, 3}), zeros({2}));
       },
       "class indices must be i64 or u8, got f32"},
      {"shape",
       [] {
         nn::cross_entropy(zeros({32, 10}), zeros({64}, {.dtype = i64}));
       },
       "[cross_entropy] target (64,) does not match input (32, 10): expected (32,)"},
      {"smoothing",
       [] {
         nn::cross_entropy(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.label_smoothing = -0.1});
       },
       "label_smoothing"},
      {"weight",
       [] {
         nn::cross_entropy(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.weight = ones({2})});
       },
       "weight (2,) does not match the 3 classes"}};
  rows.push_back(ce);
  OpRow none = ce;
  none.name = "cross_entropy_none";
  none.third_order = false;
  none.bad = {
      {"index",
       [] {
         nn::cross_entropy(zeros({2, 3}), tensor({-1, 0}, i64), {.reduction = Reduction::None});
       },
       "index -1 at position 0"}};
  none.op = [](const Tensors& in) -> Tensors {
    return {nn::cross_entropy(in[0], in[1], {.reduction = Reduction::None})};
  };
  none.reference = [](const Arrays& in) -> Arrays {
    Array out{{4}, Values(4)};
    for (int64_t i = 0; i < 4; ++i) {
      const auto t = static_cast<int64_t>(in[1].v[static_cast<size_t>(i)]);
      out.v[static_cast<size_t>(i)] =
          t == -100 ? 0 : -log_softmax_row(in[0], i)[static_cast<size_t>(t)];
    }
    return {out};
  };
  rows.push_back(none);

  OpRow soft{.name = "cross_entropy_probabilities",
             .covers = {"log_softmax"},
             .op = [](const Tensors& in) -> Tensors {
               return {nn::cross_entropy(in[0], in[1], {.weight = in[2], .label_smoothing = 0.2})};
             },
             .inputs = {kScores,
                        {.shape = {4, 3}, .low = 0, .high = 1},
                        {.shape = {3}, .low = 0.5, .high = 2}},
             .reference = [](const Arrays& in) -> Arrays {
               double sum = 0;
               for (int64_t i = 0; i < 4; ++i) {
                 const Values logp = log_softmax_row(in[0], i);
                 for (size_t c = 0; c < 3; ++c) {
                   sum -= in[2].v[c] * (0.8 * in[1].v[static_cast<size_t>(3 * i) + c] + 0.2 / 3) *
                          logp[c];
                 }
               }
               return {{{}, {sum / 4}}};
             }};
  soft.f32_tolerance = {4e-6, 4e-6};
  soft.f64_tolerance = {1e-13, 1e-13};
  soft.bitwise = false;
  soft.bad = {{"ignore",
               [] {
                 nn::cross_entropy(zeros({2, 3}), zeros({2, 3}), {.ignore_index = 1});
               },
               "ignore_index 1 needs class indices"},
              {"dtype",
               [] {
                 nn::cross_entropy(zeros({2, 3}), zeros({2, 3}, {.dtype = f64}));
               },
               "target is f64"}};
  rows.push_back(soft);

  OpRow focal = scores_row(
      "focal_loss", {"focal_loss"},
      [](const Tensors& in) -> Tensors {
        return {nn::focal_loss(in[0], in[1], {.weight = class_weight(in[0])})};
      },
      [](const Values& logp, int64_t t) {
        const double p = std::exp(logp[static_cast<size_t>(t)]);
        return -(1 - p) * (1 - p) * kClassWeight[static_cast<size_t>(t)] *
               logp[static_cast<size_t>(t)];
      },
      1 + 0.5 + 2);
  focal.bad = {{"range",
                [] {
                  nn::focal_loss(zeros({2, 3}), tensor({0, -1}, i64));
                },
                "index -1 at position 1"}};
  rows.push_back(focal);

  OpRow nll{.name = "nll_loss",
            .covers = {"gather", "scatter_add"},
            .op = [](const Tensors& in) -> Tensors {
              return {nn::nll_loss(in[0], in[1], {.weight = class_weight(in[0])})};
            },
            .inputs = {kScores, class_targets()},
            .reference = [](const Arrays& in) -> Arrays {
              return {{{}, {-(1 * in[0].v[2] + 0.5 * in[0].v[3] + 2 * in[0].v[10]) / 3.5}}};
            }};
  nll.zero_second = {0};
  nll.bitwise = false;
  nll.bad = {{"range",
              [] {
                nn::nll_loss(zeros({2, 3}), tensor({0, 5}, i64));
              },
              "index 5 at position 1"}};
  rows.push_back(nll);

  const Input single_target = indices({4}, {2, 0, 1, 1});
  for (int p : {1, 2}) {
    OpRow margin{
        .name = "multi_margin_loss_p" + std::to_string(p),
        .covers = {"relu", "margin_hinges"},
        .op = [p](const Tensors& in) -> Tensors {
          return {nn::multi_margin_loss(in[0], in[1],
                                        {.p = p, .margin = 6, .weight = class_weight(in[0])})};
        },
        .inputs = {kScores, single_target},
        .reference = [p](const Arrays& in) -> Arrays {
          double sum = 0;
          for (size_t i = 0; i < 4; ++i) {
            const auto t = static_cast<size_t>(in[1].v[i]);
            for (size_t c = 0; c < 3; ++c) {
              if (c != t)
                sum += kClassWeight[t] *
                       std::pow(std::fmax(0, 6 - in[0].v[3 * i + t] + in[0].v[3 * i + c]), p) / 3;
            }
          }
          return {{{}, {sum / 4}}};
        }};
    if (p == 1) margin.zero_second = {0};
    margin.f32_tolerance = {4e-6, 4e-6};
    margin.bitwise = false;
    margin.bad = {{"p",
                   [] {
                     nn::multi_margin_loss(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.p = 3});
                   },
                   "p of 1 or 2, got 3"}};
    rows.push_back(margin);
  }

  OpRow labels{.name = "multilabel_margin_loss",
               .covers = {"label_hinges", "margin_hinges"},
               .op = [](const Tensors& in) -> Tensors {
                 return {nn::multilabel_margin_loss(in[0], in[1], {.reduction = Reduction::None})};
               },
               .inputs = {{.shape = {2, 4}, .low = -0.4, .high = 0.4},
                          indices({2, 4}, {3, 0, -1, 1, 2, -1, 0, 0})},
               .reference = [](const Arrays& in) -> Arrays {
                 const auto at = [&](size_t i, size_t c) { return in[0].v[4 * i + c]; };
                 Array out{{2}, Values(2)};
                 for (size_t t : {size_t{3}, size_t{0}}) {
                   for (size_t c : {size_t{1}, size_t{2}})
                     out.v[0] += std::fmax(0, 1 - at(0, t) + at(0, c)) / 4;
                 }
                 for (size_t c : {size_t{0}, size_t{1}, size_t{3}})
                   out.v[1] += std::fmax(0, 1 - at(1, 2) + at(1, c)) / 4;
                 return {out};
               }};
  labels.zero_second = {0};
  labels.bitwise = false;
  labels.bad = {
      {"range",
       [] {
         nn::multilabel_margin_loss(zeros({2}), tensor({-1, 2}, i64));
       },
       "index 2 at position 1"},
      {"dtype", [] { nn::multilabel_margin_loss(zeros({2}), zeros({2})); }, "target must be i64"}};
  rows.push_back(labels);

  OpRow soft_labels{.name = "multilabel_soft_margin_loss",
                    .covers = {"multilabel_soft_margin_loss"},
                    .op = [](const Tensors& in) -> Tensors {
                      return {nn::multilabel_soft_margin_loss(
                          in[0], in[1], {.weight = in[2], .reduction = Reduction::None})};
                    },
                    .inputs = {kScores,
                               {.shape = {4, 3}, .low = 0, .high = 1},
                               {.shape = {3}, .low = 0.5, .high = 2}},
                    .reference = [](const Arrays& in) -> Arrays {
                      Array out{{4}, Values(4)};
                      for (size_t i = 0; i < 12; ++i) {
                        const double x = in[0].v[i], t = in[1].v[i];
                        out.v[i / 3] +=
                            in[2].v[i % 3] * (t * softplus_of(-x) + (1 - t) * softplus_of(x)) / 3;
                      }
                      return {out};
                    }};
  soft_labels.f32_tolerance = {4e-6, 4e-6};
  soft_labels.f64_tolerance = {1e-13, 1e-13};
  soft_labels.bitwise = false;
  soft_labels.bad = {{"shape",
                      [] {
                        nn::multilabel_soft_margin_loss(zeros({2, 3}), zeros({3}));
                      },
                      "target (3,)"}};
  rows.push_back(soft_labels);
  return rows;
}

}  // namespace

std::vector<OpRow> class_loss_rows() { return class_rows(); }

}  // namespace ebb::test
