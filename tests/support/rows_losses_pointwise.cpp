// Rows of pointwise losses. They check every layout and dtype against plain loops, and gradients of
// orders 1 and 2 against differences. tests/parity compares all options with PyTorch.
#include <cmath>

#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/loss_references.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using nn::Reduction;

double huber_of(double d, double delta) {
  return std::fabs(d) < delta ? d * d / 2 : delta * (std::fabs(d) - delta / 2);
}

Array total(const Array& losses, double denominator) {
  double sum = 0;
  for (double v : losses.v) sum += v;
  return {{}, {sum / denominator}};
}

// Adds two rows of a pointwise loss: unreduced, and the mean, which computes value and gradient in
// one pass.
void add_pair(std::vector<OpRow>& rows, OpRow row,
              const std::function<Tensor(const Tensors&, Reduction)>& loss) {
  const auto each_loss = row.reference;
  rows.push_back(Row(row)
                     .calls([loss](const Tensors& in) { return loss(in, Reduction::None); })
                     .without_empty());
  rows.push_back(
      Row(row)
          .named(row.name + "_mean")
          .calls([loss](const Tensors& in) { return loss(in, Reduction::Mean); })
          .expects([each_loss](const Arrays& in) {
            const Array losses = each_loss(in)[0];
            return total(losses, static_cast<double>(losses.v.size()));
          })
          .bits_depend_on_layout()
          .without_empty()
          .without_points()
          .refuses(
              "batch mean",
              [loss] {
                loss({full({2}, 0.5), full({2}, 0.5), full({2}, 0.5)}, Reduction::BatchMean);
              },
              "BatchMean is only for kl_div"));
}

OpRow pair_row(const std::string& name, Function2 reference, Input input, Input target) {
  input.shape = target.shape = {3, 4};
  return Row(name)
      .on(input, target)
      .expects(each(std::move(reference)))
      .within_f32(4e-6)
      .within_f64(1e-13);
}

// If both come from these inputs, input - target keeps a distance from the kinks at 0 and +-1.
const Input near_zero{.low = -0.4, .high = 0.4};
const Input far_off{.low = 2, .high = 3};

std::vector<OpRow> regression_rows() {
  std::vector<OpRow> rows;
  OpRow l1 =
      Row(pair_row(
              "l1_loss", [](double x, double t) { return std::fabs(x - t); }, near_zero, far_off))
          .zero_second(0, 1)
          .without_points()
          .at(point(2, 2).value(0).gradient(0, 0))
          .at(point(3, 1).value(2).gradient(1, -1))
          .without_refusals()
          .refuses(
              "shape",
              [] {
                nn::l1_loss(zeros({3, 1}), zeros({3}));
              },
              "target (3,) does not match input (3, 1)")
          .refuses(
              "dtype", [] { nn::l1_loss(zeros({3}), zeros({3}, {.dtype = f64})); },
              "input is f32 and target is f64")
          .refuses(
              "weight", [] { nn::l1_loss(zeros({3}), zeros({3}), {.weight = ones({2})}); },
              "weight (2,) does not broadcast");
  add_pair(rows, l1, [](const Tensors& in, Reduction r) {
    return nn::l1_loss(in[0], in[1], {.reduction = r});
  });

  OpRow mse =
      Row(pair_row("mse_loss", [](double x, double t) { return (x - t) * (x - t); }, {}, {}))
          .without_points()
          .at(point(3, 1).value(4).gradient(4, -4).second(2, -2))
          .without_refusals()
          .refuses(
              "shape",
              [] {
                nn::mse_loss(zeros({2, 2}), zeros({2}));
              },
              "[mse_loss] target (2,)");
  add_pair(rows, mse, [](const Tensors& in, Reduction r) {
    return nn::mse_loss(in[0], in[1], {.reduction = r});
  });

  OpRow smooth =
      pair_row("smooth_l1_loss", [](double x, double t) { return huber_of(x - t, 0.5) / 0.5; },
               {.low = -0.2, .high = 0.2}, {.low = -0.2, .high = 0.2});
  smooth = Row(smooth)
               .at(point(0.5, 0).value(0.25).gradient(1, -1).second(0, 0))
               .at(point(-0.5, 0).value(0.25).gradient(-1, 1).second(0, 0))
               .at(point(0.25, 0).value(0.0625).gradient(0.5, -0.5).second(2, -2))
               .without_refusals()
               .refuses(
                   "beta", [] { nn::smooth_l1_loss(zeros({2}), zeros({2}), {.beta = -1}); },
                   "beta of at least 0, got -1");
  add_pair(rows, smooth, [](const Tensors& in, Reduction r) {
    return nn::smooth_l1_loss(in[0], in[1], {.beta = 0.5, .reduction = r});
  });

  OpRow huber = Row(pair_row("huber_loss", [](double x, double t) { return huber_of(x - t, 1.5); },
                             {.low = -0.7, .high = 0.7}, {.low = -0.7, .high = 0.7}))
                    .without_points()
                    .at(point(1.5, 0).value(1.125).gradient(1.5, -1.5).second(0, 0))
                    .at(point(-3, 0).value(3.375).gradient(-1.5, 1.5).second(0, 0))
                    .at(point(1, 0).value(0.5).gradient(1, -1).second(1, -1))
                    .without_refusals()
                    .refuses(
                        "delta", [] { nn::huber_loss(zeros({2}), zeros({2}), {.delta = 0}); },
                        "delta above 0, got 0");
  add_pair(rows, huber, [](const Tensors& in, Reduction r) {
    return nn::huber_loss(in[0], in[1], {.delta = 1.5, .reduction = r});
  });

  const auto stirling = [](double t) {
    return t > 1 ? t * std::log(t) - t + 0.5 * std::log(2 * M_PI * t) : 0;
  };
  OpRow poisson_log =
      pair_row("poisson_nll_loss_log_input",
               [stirling](double x, double t) { return std::exp(x) - t * x + stirling(t); }, {},
               {.low = 0.2, .high = 4, .kinks = {1}});
  poisson_log =
      Row(poisson_log)
          .without_refusals()
          .refuses(
              "shape", [] { nn::poisson_nll_loss(zeros({2}), zeros({3})); }, "target (3,)");
  add_pair(rows, poisson_log, [](const Tensors& in, Reduction r) {
    return nn::poisson_nll_loss(in[0], in[1], {.full = true, .reduction = r});
  });
  OpRow poisson =
      pair_row("poisson_nll_loss", [](double x, double t) { return x - t * std::log(x + 1e-2); },
               {.low = 0.5, .high = 3}, {.low = 0.2, .high = 4});
  poisson = Row(poisson).without_refusals().refuses(
      "dtype",
      [] { nn::poisson_nll_loss(zeros({2}), zeros({2}, {.dtype = f64}), {.log_input = false}); },
      "target is f64");
  add_pair(rows, poisson, [](const Tensors& in, Reduction r) {
    return nn::poisson_nll_loss(in[0], in[1], {.log_input = false, .eps = 1e-2, .reduction = r});
  });

  OpRow gaussian =
      Row("gaussian_nll_loss")
          .on(input({3, 4}), input({3, 4}), input({3, 4}).between(0.5, 2))
          .expects([](const Arrays& in) -> Arrays {
            Array out = in[0];
            for (size_t i = 0; i < out.v.size(); ++i) {
              const double d = in[0].v[i] - in[1].v[i], u = in[2].v[i];
              out.v[i] = 0.5 * (std::log(u) + d * d / u) + 0.5 * std::log(2 * M_PI);
            }
            return {out};
          })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .refuses(
              "negative", [] { nn::gaussian_nll_loss(zeros({2}), zeros({2}), full({2}, -1.0)); },
              "negative")
          .refuses(
              "var",
              [] {
                nn::gaussian_nll_loss(zeros({2, 3}), zeros({2, 3}), ones({3}));
              },
              "var (3,) does not fit");
  add_pair(rows, gaussian, [](const Tensors& in, Reduction r) {
    return nn::gaussian_nll_loss(in[0], in[1], in[2], {.full = true, .reduction = r});
  });
  return rows;
}

std::vector<OpRow> binary_rows() {
  std::vector<OpRow> rows;
  const Input probability{.low = 0.05, .high = 0.95};
  OpRow bce =
      Row(pair_row(
              "binary_cross_entropy",
              [](double x, double t) { return -(t * std::log(x) + (1 - t) * std::log1p(-x)); },
              probability, probability))
          .without_points()
          .at(point(0, 0).value(0))
          .at(point(1, 0).value(100))
          .at(point(0, 1).value(100))
          .without_refusals()
          .refuses(
              "range", [] { nn::binary_cross_entropy(full({2}, 1.5), zeros({2})); },
              "input must be between 0 and 1")
          .refuses(
              "target", [] { nn::binary_cross_entropy(zeros({2}), full({2}, kNaN)); },
              "target must be between 0 and 1");
  add_pair(rows, bce, [](const Tensors& in, Reduction r) {
    return nn::binary_cross_entropy(in[0], in[1], {.reduction = r});
  });

  OpRow logits =
      Row(pair_row(
              "binary_cross_entropy_with_logits",
              [](double x, double t) { return (1 - t) * softplus_of(x) + t * softplus_of(-x); },
              {.extremes = {300, -300, 40, -40, 1e4, -1e4}}, probability))
          .third_order();
  logits.zero_third = {1};  // linear in t, with the derivative -x
  logits = Row(logits)
               .at(point(800, 1).value(0).gradient(0, -800))
               .at(point(-800, 0).value(0).gradient(0, 800))
               .at(point(800, 0).value(800).gradient(1, -800))
               .without_refusals()
               .refuses(
                   "shape",
                   [] {
                     nn::binary_cross_entropy_with_logits(zeros({2, 1}), zeros({2}));
                   },
                   "target (2,)");
  add_pair(rows, logits, [](const Tensors& in, Reduction r) {
    return nn::binary_cross_entropy_with_logits(in[0], in[1], {.reduction = r});
  });

  OpRow positive =
      Row("binary_cross_entropy_with_logits_pos")
          .on(input({3, 4}), input({3, 4}).between(0, 1), input({3, 4}).between(0.5, 3))
          .expects([](const Arrays& in) -> Arrays {
            Array out = in[0];
            for (size_t i = 0; i < out.v.size(); ++i) {
              const double x = in[0].v[i], t = in[1].v[i];
              out.v[i] = (1 - t) * softplus_of(x) + in[2].v[i] * t * softplus_of(-x);
            }
            return {out};
          })
          .within_f32(4e-6)
          .within_f64(1e-13)
          .refuses(
              "pos_weight",
              [] {
                nn::binary_cross_entropy_with_logits(zeros({2}), zeros({2}),
                                                     {.pos_weight = ones({3})});
              },
              "pos_weight (3,) does not broadcast");
  add_pair(rows, positive, [](const Tensors& in, Reduction r) {
    return nn::binary_cross_entropy_with_logits(in[0], in[1],
                                                {.reduction = r, .pos_weight = in[2]});
  });

  OpRow focal =
      Row(pair_row(
              "sigmoid_focal_loss",
              [](double x, double t) {
                const double miss = (1 - t) * sigmoid_of(x) + t * sigmoid_of(-x);
                return (0.25 * t + 0.75 * (1 - t)) * miss * miss *
                       ((1 - t) * softplus_of(x) + t * softplus_of(-x));
              },
              {}, probability))
          .without_refusals()
          .refuses(
              "gamma", [] { nn::sigmoid_focal_loss(zeros({2}), zeros({2}), {.gamma = -1}); },
              "gamma of at least 0");
  add_pair(rows, focal, [](const Tensors& in, Reduction r) {
    return nn::sigmoid_focal_loss(in[0], in[1], {.reduction = r});
  });

  OpRow soft =
      pair_row("soft_margin_loss", [](double x, double t) { return softplus_of(-t * x); }, {}, {});
  soft = Row(soft)
             .at(point(1000, -1).value(1000).gradient(1, -1000))
             .at(point(1000, 1).value(0).gradient(0, 0))
             .without_refusals()
             .refuses(
                 "shape", [] { nn::soft_margin_loss(zeros({2}), zeros({1})); }, "target (1,)");
  add_pair(rows, soft, [](const Tensors& in, Reduction r) {
    return nn::soft_margin_loss(in[0], in[1], {.reduction = r});
  });
  return rows;
}

std::vector<OpRow> distribution_rows() {
  std::vector<OpRow> rows;
  const Input log_probability{.low = -4, .high = -0.1};
  OpRow kl =
      pair_row("kl_div", [](double x, double t) { return t == 0 ? 0 : t * (std::log(t) - x); },
               log_probability, {.low = 0.05, .high = 1});
  kl = Row(kl)
           .at(point(-1, 0).value(0).gradient(0, -kInf))
           .at(point(-2, 1).value(2).gradient(-1, 3))
           .without_refusals()
           .refuses(
               "shape",
               [] {
                 nn::kl_div(zeros({2, 2}), zeros({2}));
               },
               "[kl_div] target (2,)");
  add_pair(rows, kl, [](const Tensors& in, Reduction r) {
    if (r == Reduction::BatchMean)
      fail("kl_div", "BatchMean is only for kl_div");  // allowed here: see the row below
    return nn::kl_div(in[0], in[1], {.reduction = r});
  });
  OpRow log_target =
      Row(pair_row(
              "kl_div_log_target", [](double x, double t) { return std::exp(t) * (t - x); },
              log_probability, log_probability))
          .without_points()
          .at(point(-1, -kInf).value(0).gradient(0, 0))
          .without_refusals()
          .refuses(
              "dtype",
              [] { nn::kl_div(zeros({2}, {.dtype = f64}), zeros({2}), {.log_target = true}); },
              "target is f32");
  OpRow batch =
      Row(log_target)
          .named("kl_div_batchmean")
          .covers("kl_div_log_target")
          .calls([](const Tensor& a, const Tensor& b) {
            return nn::kl_div(a, b, {.reduction = Reduction::BatchMean, .log_target = true});
          })
          .bits_depend_on_layout()
          .without_points();
  rows.push_back(Row(batch).expects([each_loss = batch.reference](const Arrays& in) {
    return total(each_loss(in)[0], static_cast<double>(in[0].shape[0]));
  }));
  rows.push_back(Row(log_target).calls([](const Tensor& a, const Tensor& b) {
    return nn::kl_div(a, b, {.reduction = Reduction::None, .log_target = true});
  }));

  OpRow hinge = Row("hinge_embedding_loss")
                    .on(input({2, 3}).avoiding(1),
                        input({2, 3}).exactly({1, -1, 1, -1, -1, 1}).without_grad())
                    .expects([](const Arrays& in) -> Arrays {
                      Array out = in[0];
                      for (size_t i = 0; i < out.v.size(); ++i) {
                        out.v[i] = in[1].v[i] == 1 ? in[0].v[i] : std::fmax(0, 1 - in[0].v[i]);
                      }
                      return {out};
                    })
                    .zero_second(0)
                    .refuses(
                        "sign", [] { nn::hinge_embedding_loss(zeros({2}), zeros({2})); },
                        "every target must be 1 or -1");
  add_pair(rows, hinge, [](const Tensors& in, Reduction r) {
    if (r == Reduction::BatchMean)
      return nn::hinge_embedding_loss(in[0], ones({2}), {.reduction = r});
    return nn::hinge_embedding_loss(in[0], in[1], {.reduction = r});
  });

  OpRow ranking =
      Row("margin_ranking_loss")
          .on(input({2, 3}).between(0, 1), input({2, 3}).between(2, 3), input({2, 3}).between(1, 2))
          .expects([](const Arrays& in) -> Arrays {
            Array out = in[0];
            for (size_t i = 0; i < out.v.size(); ++i) {
              out.v[i] = std::fmax(0, -in[2].v[i] * (in[0].v[i] - in[1].v[i]) + 0.5);
            }
            return {out};
          })
          .refuses(
              "dims",
              [] {
                nn::margin_ranking_loss(zeros({2}), zeros({2, 1}), zeros({2}));
              },
              "same number of dims");
  add_pair(rows, ranking, [](const Tensors& in, Reduction r) {
    return nn::margin_ranking_loss(in[0], in[1], in[2], {.margin = 0.5, .reduction = r});
  });
  return rows;
}

}  // namespace

std::vector<OpRow> pointwise_loss_rows() {
  std::vector<OpRow> rows;
  for (auto family : {regression_rows, binary_rows, distribution_rows}) {
    for (OpRow& row : family()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
