// Rows of losses on the similarity of samples and on sequences. tests/parity compares them with
// PyTorch.
#include <cmath>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/tests/support/loss_references.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using nn::Reduction;

// Scores of four samples in three classes.
const Input kScores{.shape = {4, 3}};

std::vector<OpRow> similarity_rows() {
  std::vector<OpRow> rows;
  rows.push_back(Row("cosine_embedding_loss")
                     .covers("where")
                     .calls([](const Tensor& a, const Tensor& b, const Tensor& c) {
                       return nn::cosine_embedding_loss(
                           a, b, c, {.margin = -0.9, .reduction = Reduction::None});
                     })
                     .on(input({3, 4}).between(0.2, 2), input({3, 4}).between(0.2, 2),
                         input({3}).exactly({1, -1, 1}).without_grad())
                     .expects([](const Arrays& in) -> Arrays {
                       Array out{{3}, Values(3)};
                       for (size_t i = 0; i < 3; ++i) {
                         double ab = 0, aa = 1e-12, bb = 1e-12;
                         for (size_t k = 4 * i; k < 4 * i + 4; ++k) {
                           ab += in[0].v[k] * in[1].v[k];
                           aa += in[0].v[k] * in[0].v[k];
                           bb += in[1].v[k] * in[1].v[k];
                         }
                         const double c = ab / std::sqrt(aa * bb);
                         out.v[i] = in[2].v[i] == 1 ? 1 - c : std::fmax(0, c + 0.9);
                       }
                       return {out};
                     })
                     .within_f32(4e-6)
                     .within_f64(1e-13)
                     .bits_depend_on_layout()
                     .refuses(
                         "sign",
                         [] {
                           nn::cosine_embedding_loss(zeros({2, 3}), zeros({2, 3}), zeros({2}));
                         },
                         "1 or -1"));

  for (double p : {1.0, 2.0, 3.0, kInf}) {
    const std::string suffix = std::isinf(p) ? "inf" : std::to_string(static_cast<int>(p));
    const auto distance = [p](const Array& a, const Array& b, size_t i) {
      double sum = 0, top = 0;
      for (size_t k = 3 * i; k < 3 * i + 3; ++k) {
        const double d = std::fabs(a.v[k] - b.v[k] + 1e-6);
        sum += std::pow(d, p);
        top = std::fmax(top, d);
      }
      return std::isinf(p) ? top : std::pow(sum, 1 / p);
    };
    OpRow triplet =
        Row("triplet_margin_loss_p" + suffix)
            .covers("abs")
            .calls([p](const Tensor& a, const Tensor& b, const Tensor& c) {
              return nn::triplet_margin_loss(a, b, c, {.margin = 9, .p = p, .swap = true});
            })
            .on(input({2, 3}).between(2, 3), input({2, 3}).between(-1, 1),
                input({2, 3}).between(4, 6))
            .expects([distance](const Arrays& in) -> Arrays {
              double sum = 0;
              for (size_t i = 0; i < 2; ++i) {
                const double far = std::fmin(distance(in[0], in[2], i), distance(in[1], in[2], i));
                sum += std::fmax(0, 9 + distance(in[0], in[1], i) - far);
              }
              return {{{}, {sum / 2}}};
            });
    if (p == 1 || std::isinf(p)) triplet.zero_second = {0, 1, 2};
    triplet.f32_tolerance = {4e-6, 4e-6};
    triplet.f64_tolerance = {1e-13, 1e-13};
    triplet.bitwise = false;
    triplet =
        Row(triplet)
            .without_refusals()
            .refuses(
                "p",
                [] { nn::triplet_margin_loss(zeros({2}), zeros({2}), zeros({2}), {.p = 0.5}); },
                "p of at least 1, got 0.5")
            .refuses(
                "margin",
                [] { nn::triplet_margin_loss(zeros({2}), zeros({2}), zeros({2}), {.margin = 0}); },
                "margin above 0");
    rows.push_back(triplet);
  }

  const auto euclidean = [](const Array& a, const Array& b, size_t i) {
    double squares = 0;
    for (size_t k = 3 * i; k < 3 * i + 3; ++k) squares += std::pow(a.v[k] - b.v[k] + 1e-6, 2);
    return std::sqrt(squares);
  };
  rows.push_back(
      Row("pairwise_distance")
          .covers("square")
          .calls([](const Tensor& a, const Tensor& b) { return nn::pairwise_distance(a, b); })
          .on(input({2, 3}).between(2, 3), input({2, 3}).between(-1, 1))
          .expects([euclidean](const Arrays& in) {
            return Array{{2}, {euclidean(in[0], in[1], 0), euclidean(in[0], in[1], 1)}};
          })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .refuses(
              "p", [] { nn::pairwise_distance(zeros({2}), zeros({2}), 0.5); },
              "p of at least 1, got 0.5"));
  rows.push_back(
      Row("triplet_margin_with_distance_loss")
          .covers("square")
          .calls([](const Tensor& anchor, const Tensor& positive, const Tensor& negative) {
            const nn::DistanceFunction squared = [](const Tensor& a, const Tensor& b) {
              return sum(square(sub(a, b)), {-1});
            };
            return nn::triplet_margin_with_distance_loss(
                anchor, positive, negative, {.distance_function = squared, .margin = 9});
          })
          .on(input({2, 3}).between(0, 1), input({2, 3}).between(1, 2), input({2, 3}).between(1, 2))
          .expects([](const Arrays& in) {
            double total = 0;
            for (size_t i = 0; i < 2; ++i) {
              double loss = 9;
              for (size_t k = 3 * i; k < 3 * i + 3; ++k) {
                loss += std::pow(in[0].v[k] - in[1].v[k], 2) - std::pow(in[0].v[k] - in[2].v[k], 2);
              }
              total += loss / 2;
            }
            return Array{{}, {total}};
          })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .bits_depend_on_layout()
          .refuses(
              "margin",
              [] {
                nn::triplet_margin_with_distance_loss(zeros({2}), zeros({2}), zeros({2}),
                                                      {.margin = 0});
              },
              "margin above 0"));

  rows.push_back(
      Row("dice_loss")
          .covers("sigmoid")
          .calls([](const Tensor& a, const Tensor& b) { return nn::dice_loss(a, b); })
          .on(kScores, input({4, 3}).between(0, 1))
          .expects([](const Arrays& in) -> Arrays {
            double sum = 0;
            for (size_t c = 0; c < 3; ++c) {
              double both = 0, p_sum = 0, t_sum = 0;
              for (size_t i = 0; i < 4; ++i) {
                const double p = sigmoid_of(in[0].v[3 * i + c]), t = in[1].v[3 * i + c];
                both += p * t;
                p_sum += p;
                t_sum += t;
              }
              sum += 1 - (2 * both + 1) / (p_sum + t_sum + 1);
            }
            return {{{}, {sum / 3}}};
          })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .bits_depend_on_layout()
          .refuses(
              "dims", [] { nn::dice_loss(zeros({3}), zeros({3})); }, "must be (N, C, ...)"));
  return rows;
}

// Returns -log of the probability that a path of `steps` scores reads as `labels`, by enumerating
// every path; blank is 0.
double ctc_by_enumeration(const Array& x, int64_t sample, int64_t steps,
                          const std::vector<int64_t>& labels) {
  const int64_t batch = x.shape[1], classes = x.shape[2];
  double total = 0;
  for (int64_t code = 0; code < static_cast<int64_t>(std::pow(classes, steps) + 0.5); ++code) {
    double score = 0;
    int64_t rest = code, before = -1;
    std::vector<int64_t> read;
    for (int64_t t = 0; t < steps; ++t, rest /= classes) {
      const int64_t c = rest % classes;
      score += x.v[static_cast<size_t>((t * batch + sample) * classes + c)];
      if (c != 0 && c != before) read.push_back(c);
      before = c;
    }
    if (read == labels) total += std::exp(score);
  }
  return -std::log(total);
}

std::vector<OpRow> sequence_rows() {
  const auto loss = [](const Tensor& x, const Tensor& targets) {
    return nn::ctc_loss(x, targets, tensor({4, 3}, i64), tensor({2, 1}, i64),
                        {.reduction = Reduction::None});
  };
  OpRow ctc = Row("ctc_loss")
                  .covers("ctc_unreachable")
                  .calls([loss](const Tensor& a, const Tensor& b) { return loss(a, b); })
                  .on(input({4, 2, 3}), indices({2, 2}, {1, 1, 2, 0}))
                  .expects([](const Arrays& in) -> Arrays {
                    return {{{2},
                             {ctc_by_enumeration(in[0], 0, 4, {1, 1}),
                              ctc_by_enumeration(in[0], 1, 3, {2})}}};
                  });
  ctc.captured = false;  // it reads labels and lengths on the host
  ctc.f32_tolerance = {4e-6, 4e-6};
  ctc.f64_tolerance = {1e-13, 1e-13};
  ctc.bitwise = false;
  ctc = Row(ctc)
            .without_refusals()
            .refuses(
                "class",
                [loss] {
                  loss(zeros({4, 2, 3}), tensor({{1, 3}, {1, 1}}, i64));
                },
                "target 3 of sample 0 is out of range")
            .refuses(
                "lengths",
                [] {
                  nn::ctc_loss(zeros({4, 1, 3}), tensor({{1, 1}}, i64), tensor({5}, i64),
                               tensor({2}, i64));
                },
                "input_lengths holds 5: expected 0 to 4");
  return {ctc};
}

}  // namespace

std::vector<OpRow> similarity_loss_rows() {
  std::vector<OpRow> rows = similarity_rows();
  for (OpRow& row : sequence_rows()) rows.push_back(std::move(row));
  return rows;
}

}  // namespace ebb::test
