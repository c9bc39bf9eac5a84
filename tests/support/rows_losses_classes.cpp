// Rows of losses of class scores. tests/parity compares them with PyTorch.
#include <cmath>

#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/tests/support/loss_references.h"
#include "ebb/tests/support/op_row.h"

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
  return Row(name)
      .covers(std::move(covers))
      .calls(std::move(op))
      .on(kScores, class_targets())
      .expects([loss, denominator](const Arrays& in) -> Arrays {
        double sum = 0;
        for (int64_t i = 0; i < 4; ++i) {
          const auto t = static_cast<int64_t>(in[1].v[static_cast<size_t>(i)]);
          if (t != -100) sum += loss(log_softmax_row(in[0], i), t);
        }
        return {{{}, {sum / denominator}}};
      })
      .within_f32(4e-6)
      .within_f64(1e-13)
      .bits_depend_on_layout();
}

std::vector<OpRow> class_rows() {
  std::vector<OpRow> rows;
  const auto smoothed = [](const Values& logp, int64_t t) {
    double loss = -0.8 * kClassWeight[static_cast<size_t>(t)] * logp[static_cast<size_t>(t)];
    for (size_t c = 0; c < 3; ++c) loss -= 0.2 / 3 * kClassWeight[c] * logp[c];
    return loss;
  };
  OpRow ce =
      Row(scores_row(
              "cross_entropy", {"cross_entropy"},
              [](const Tensors& in) -> Tensors {
                return {nn::cross_entropy(in[0], in[1],
                                          {.weight = class_weight(in[0]), .label_smoothing = 0.2})};
              },
              smoothed, 1 + 0.5 + 2))
          .third_order()
          .without_refusals()
          .refuses(
              "range",
              [] {
                nn::cross_entropy(zeros({2, 3}), tensor({0, 3}, i64));
              },
              "index 3 at position 1 is out of range: expected 0 to 2")
          .refuses(
              "dtype",
              [] {
                nn::cross_entropy(zeros({2, 3}), zeros({2}));
              },
              "class indices must be i64 or u8, got f32")
          .refuses(
              "shape",
              [] {
                nn::cross_entropy(zeros({32, 10}), zeros({64}, {.dtype = i64}));
              },
              "[cross_entropy] target (64,) does not match input (32, 10): expected (32,)")
          .refuses(
              "smoothing",
              [] {
                nn::cross_entropy(zeros({2, 3}), zeros({2}, {.dtype = i64}),
                                  {.label_smoothing = -0.1});
              },
              "label_smoothing")
          .refuses(
              "weight",
              [] {
                nn::cross_entropy(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.weight = ones({2})});
              },
              "weight (2,) does not match the 3 classes");
  rows.push_back(ce);
  rows.push_back(Row(ce)
                     .named("cross_entropy_none")
                     .calls([](const Tensor& a, const Tensor& b) {
                       return nn::cross_entropy(a, b, {.reduction = Reduction::None});
                     })
                     .expects([](const Arrays& in) -> Arrays {
                       Array out{{4}, Values(4)};
                       for (int64_t i = 0; i < 4; ++i) {
                         const auto t = static_cast<int64_t>(in[1].v[static_cast<size_t>(i)]);
                         out.v[static_cast<size_t>(i)] =
                             t == -100 ? 0 : -log_softmax_row(in[0], i)[static_cast<size_t>(t)];
                       }
                       return {out};
                     })
                     .third_order(false)
                     .without_refusals()
                     .refuses(
                         "index",
                         [] {
                           nn::cross_entropy(zeros({2, 3}), tensor({-1, 0}, i64),
                                             {.reduction = Reduction::None});
                         },
                         "index -1 at position 0"));

  rows.push_back(Row("cross_entropy_probabilities")
                     .covers("log_softmax")
                     .calls([](const Tensor& a, const Tensor& b, const Tensor& c) {
                       return nn::cross_entropy(a, b, {.weight = c, .label_smoothing = 0.2});
                     })
                     .on(kScores, input({4, 3}).between(0, 1), input({3}).between(0.5, 2))
                     .expects([](const Arrays& in) -> Arrays {
                       double sum = 0;
                       for (int64_t i = 0; i < 4; ++i) {
                         const Values logp = log_softmax_row(in[0], i);
                         for (size_t c = 0; c < 3; ++c) {
                           sum -= in[2].v[c] *
                                  (0.8 * in[1].v[static_cast<size_t>(3 * i) + c] + 0.2 / 3) *
                                  logp[c];
                         }
                       }
                       return {{{}, {sum / 4}}};
                     })
                     .within_f32(4e-6)
                     .within_f64(1e-13)
                     .bits_depend_on_layout()
                     .refuses(
                         "ignore",
                         [] {
                           nn::cross_entropy(zeros({2, 3}), zeros({2, 3}), {.ignore_index = 1});
                         },
                         "ignore_index 1 needs class indices")
                     .refuses(
                         "dtype",
                         [] {
                           nn::cross_entropy(zeros({2, 3}), zeros({2, 3}, {.dtype = f64}));
                         },
                         "target is f64"));

  rows.push_back(Row(scores_row(
                         "focal_loss", {"focal_loss"},
                         [](const Tensors& in) -> Tensors {
                           return {nn::focal_loss(in[0], in[1], {.weight = class_weight(in[0])})};
                         },
                         [](const Values& logp, int64_t t) {
                           const double p = std::exp(logp[static_cast<size_t>(t)]);
                           return -(1 - p) * (1 - p) * kClassWeight[static_cast<size_t>(t)] *
                                  logp[static_cast<size_t>(t)];
                         },
                         1 + 0.5 + 2))
                     .without_refusals()
                     .refuses(
                         "range",
                         [] {
                           nn::focal_loss(zeros({2, 3}), tensor({0, -1}, i64));
                         },
                         "index -1 at position 1"));

  rows.push_back(
      Row("nll_loss")
          .covers("gather", "scatter_add")
          .calls([](const Tensor& a, const Tensor& b) {
            return nn::nll_loss(a, b, {.weight = class_weight(a)});
          })
          .on(kScores, class_targets())
          .expects([](const Arrays& in) -> Arrays {
            return {{{}, {-(1 * in[0].v[2] + 0.5 * in[0].v[3] + 2 * in[0].v[10]) / 3.5}}};
          })
          .bits_depend_on_layout()
          .zero_second(0)
          .refuses(
              "range",
              [] {
                nn::nll_loss(zeros({2, 3}), tensor({0, 5}, i64));
              },
              "index 5 at position 1"));

  const Input single_target = indices({4}, {2, 0, 1, 1});
  for (int p : {1, 2}) {
    OpRow margin =
        Row("multi_margin_loss_p" + std::to_string(p))
            .covers("relu", "margin_hinges")
            .calls([p](const Tensor& a, const Tensor& b) {
              return nn::multi_margin_loss(a, b, {.p = p, .margin = 6, .weight = class_weight(a)});
            })
            .on(kScores, single_target)
            .expects([p](const Arrays& in) -> Arrays {
              double sum = 0;
              for (size_t i = 0; i < 4; ++i) {
                const auto t = static_cast<size_t>(in[1].v[i]);
                for (size_t c = 0; c < 3; ++c) {
                  if (c != t)
                    sum += kClassWeight[t] *
                           std::pow(std::fmax(0, 6 - in[0].v[3 * i + t] + in[0].v[3 * i + c]), p) /
                           3;
                }
              }
              return {{{}, {sum / 4}}};
            });
    if (p == 1) margin.zero_second = {0};
    margin.f32_tolerance = {4e-6, 4e-6};
    margin.bitwise = false;
    margin = Row(margin).without_refusals().refuses(
        "p",
        [] {
          nn::multi_margin_loss(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.p = 3});
        },
        "p of 1 or 2, got 3");
    rows.push_back(margin);
  }

  rows.push_back(
      Row("multilabel_margin_loss")
          .covers("label_hinges", "margin_hinges")
          .calls([](const Tensor& a, const Tensor& b) {
            return nn::multilabel_margin_loss(a, b, {.reduction = Reduction::None});
          })
          .on(input({2, 4}).between(-0.4, 0.4), indices({2, 4}, {3, 0, -1, 1, 2, -1, 0, 0}))
          .expects([](const Arrays& in) -> Arrays {
            const auto at = [&](size_t i, size_t c) { return in[0].v[4 * i + c]; };
            Array out{{2}, Values(2)};
            for (size_t t : {size_t{3}, size_t{0}}) {
              for (size_t c : {size_t{1}, size_t{2}})
                out.v[0] += std::fmax(0, 1 - at(0, t) + at(0, c)) / 4;
            }
            for (size_t c : {size_t{0}, size_t{1}, size_t{3}})
              out.v[1] += std::fmax(0, 1 - at(1, 2) + at(1, c)) / 4;
            return {out};
          })
          .bits_depend_on_layout()
          .zero_second(0)
          .refuses(
              "range",
              [] {
                nn::multilabel_margin_loss(zeros({2}), tensor({-1, 2}, i64));
              },
              "index 2 at position 1")
          .refuses(
              "dtype", [] { nn::multilabel_margin_loss(zeros({2}), zeros({2})); },
              "target must be i64"));

  rows.push_back(Row("multilabel_soft_margin_loss")
                     .covers("multilabel_soft_margin_loss")
                     .calls([](const Tensor& a, const Tensor& b, const Tensor& c) {
                       return nn::multilabel_soft_margin_loss(
                           a, b, {.weight = c, .reduction = Reduction::None});
                     })
                     .on(kScores, input({4, 3}).between(0, 1), input({3}).between(0.5, 2))
                     .expects([](const Arrays& in) -> Arrays {
                       Array out{{4}, Values(4)};
                       for (size_t i = 0; i < 12; ++i) {
                         const double x = in[0].v[i], t = in[1].v[i];
                         out.v[i / 3] +=
                             in[2].v[i % 3] * (t * softplus_of(-x) + (1 - t) * softplus_of(x)) / 3;
                       }
                       return {out};
                     })
                     .within_f32(4e-6)
                     .within_f64(1e-13)
                     .bits_depend_on_layout()
                     .refuses(
                         "shape",
                         [] {
                           nn::multilabel_soft_margin_loss(zeros({2, 3}), zeros({3}));
                         },
                         "target (3,)"));
  return rows;
}

}  // namespace

std::vector<OpRow> class_loss_rows() { return class_rows(); }

}  // namespace ebb::test
