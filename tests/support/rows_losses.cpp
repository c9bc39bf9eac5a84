// Rows of losses. Parity with PyTorch over all options is tests/parity; here each loss meets every layout and dtype, a
// reference of plain loops, and gradients of orders 1 and 2 by differences.
#include <cmath>

#include "ebb/nn/losses/classification.h"
#include "ebb/nn/losses/distance.h"
#include "ebb/nn/losses/multilabel.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

using nn::Reduction;

double softplus_of(double x) { return std::fmax(x, 0) + std::log1p(std::exp(-std::fabs(x))); }
double sigmoid_of(double x) { return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x)); }
double huber_of(double d, double delta) {
  return std::fabs(d) < delta ? d * d / 2 : delta * (std::fabs(d) - delta / 2);
}

Array total(const Array& losses, double denominator) {
  double sum = 0;
  for (double v : losses.v) sum += v;
  return {{}, {sum / denominator}};
}

// Two rows of a pointwise loss: unreduced, and the mean (one sweep for value and gradient).
void add_pair(std::vector<OpRow>& rows, OpRow row, const std::function<Tensor(const Tensors&, Reduction)>& loss) {
  const auto each_loss = row.reference;
  OpRow mean = row;
  row.op = [loss](const Tensors& in) -> Tensors { return {loss(in, Reduction::None)}; };
  mean.name += "_mean";
  mean.op = [loss](const Tensors& in) -> Tensors { return {loss(in, Reduction::Mean)}; };
  mean.reference = [each_loss](const Arrays& in) -> Arrays {
    const Array losses = each_loss(in)[0];
    return {total(losses, static_cast<double>(losses.v.size()))};
  };
  mean.has_empty = row.has_empty = false;
  mean.bitwise = false;
  mean.points = {};
  mean.bad.push_back({"batch mean",
                      [loss] {
                        loss({full({2}, 0.5), full({2}, 0.5), full({2}, 0.5)}, Reduction::BatchMean);
                      },
                      "BatchMean is kl_div's alone"});
  rows.push_back(std::move(row));
  rows.push_back(std::move(mean));
}

OpRow pair_row(const std::string& name, Function2 reference, Input input, Input target) {
  input.shape = target.shape = {3, 4};
  OpRow row{.name = name, .op = {}, .inputs = {input, target}, .reference = each(std::move(reference))};
  row.f64_tolerance = {1e-13, 1e-13};
  row.f32_tolerance = {4e-6, 4e-6};
  return row;
}

// input - target keeps away from the kinks at 0 and +-1 when both come from these.
const Input near_zero{.low = -0.4, .high = 0.4};
const Input far_off{.low = 2, .high = 3};

std::vector<OpRow> regression_rows() {
  std::vector<OpRow> rows;
  OpRow l1 = pair_row(
      "l1_loss", [](double x, double t) { return std::fabs(x - t); }, near_zero, far_off);
  l1.zero_second = {0, 1};
  l1.points = {{{2, 2}, 0, {0, 0}}, {{3, 1}, 2, {1, -1}}};
  l1.bad = {
      {"shape",
       [] {
         nn::l1_loss(zeros({3, 1}), zeros({3}));
       },
       "target (3,) does not match input (3, 1)"},
      {"dtype", [] { nn::l1_loss(zeros({3}), zeros({3}, {.dtype = f64})); }, "input is f32 and target is f64"},
      {"weight", [] { nn::l1_loss(zeros({3}), zeros({3}), {.weight = ones({2})}); }, "weight (2,) does not broadcast"}};
  add_pair(rows, l1, [](const Tensors& in, Reduction r) { return nn::l1_loss(in[0], in[1], {.reduction = r}); });

  OpRow mse = pair_row("mse_loss", [](double x, double t) { return (x - t) * (x - t); }, {}, {});
  mse.points = {{{3, 1}, 4, {4, -4}, {2, -2}}};
  mse.bad = {{"shape", [] { nn::mse_loss(zeros({2, 2}), zeros({2})); }, "[mse_loss] target (2,)"}};
  add_pair(rows, mse, [](const Tensors& in, Reduction r) { return nn::mse_loss(in[0], in[1], {.reduction = r}); });

  OpRow smooth = pair_row("smooth_l1_loss", [](double x, double t) { return huber_of(x - t, 0.5) / 0.5; },
                          {.low = -0.2, .high = 0.2}, {.low = -0.2, .high = 0.2});
  smooth.points = {
      {{0.5, 0}, 0.25, {1, -1}, {0, 0}}, {{-0.5, 0}, 0.25, {-1, 1}, {0, 0}}, {{0.25, 0}, 0.0625, {0.5, -0.5}, {2, -2}}};
  smooth.bad = {
      {"beta", [] { nn::smooth_l1_loss(zeros({2}), zeros({2}), {.beta = -1}); }, "beta of at least 0, got -1"}};
  add_pair(rows, smooth, [](const Tensors& in, Reduction r) {
    return nn::smooth_l1_loss(in[0], in[1], {.beta = 0.5, .reduction = r});
  });

  OpRow huber = pair_row("huber_loss", [](double x, double t) { return huber_of(x - t, 1.5); },
                         {.low = -0.7, .high = 0.7}, {.low = -0.7, .high = 0.7});
  huber.points = {
      {{1.5, 0}, 1.125, {1.5, -1.5}, {0, 0}}, {{-3, 0}, 3.375, {-1.5, 1.5}, {0, 0}}, {{1, 0}, 0.5, {1, -1}, {1, -1}}};
  huber.bad = {{"delta", [] { nn::huber_loss(zeros({2}), zeros({2}), {.delta = 0}); }, "delta above 0, got 0"}};
  add_pair(rows, huber,
           [](const Tensors& in, Reduction r) { return nn::huber_loss(in[0], in[1], {.delta = 1.5, .reduction = r}); });

  const auto stirling = [](double t) { return t > 1 ? t * std::log(t) - t + 0.5 * std::log(2 * M_PI * t) : 0; };
  OpRow poisson_log = pair_row("poisson_nll_loss_log_input",
                               [stirling](double x, double t) { return std::exp(x) - t * x + stirling(t); }, {},
                               {.low = 0.2, .high = 4, .kinks = {1}});
  poisson_log.bad = {{"shape", [] { nn::poisson_nll_loss(zeros({2}), zeros({3})); }, "target (3,)"}};
  add_pair(rows, poisson_log, [](const Tensors& in, Reduction r) {
    return nn::poisson_nll_loss(in[0], in[1], {.full = true, .reduction = r});
  });
  OpRow poisson = pair_row("poisson_nll_loss", [](double x, double t) { return x - t * std::log(x + 1e-2); },
                           {.low = 0.5, .high = 3}, {.low = 0.2, .high = 4});
  poisson.bad = {{"dtype", [] { nn::poisson_nll_loss(zeros({2}), zeros({2}, {.dtype = f64}), {.log_input = false}); },
                  "target is f64"}};
  add_pair(rows, poisson, [](const Tensors& in, Reduction r) {
    return nn::poisson_nll_loss(in[0], in[1], {.log_input = false, .eps = 1e-2, .reduction = r});
  });

  OpRow gaussian{.name = "gaussian_nll_loss",
                 .op = {},
                 .inputs = {{.shape = {3, 4}}, {.shape = {3, 4}}, {.shape = {3, 4}, .low = 0.5, .high = 2}},
                 .reference = [](const Arrays& in) -> Arrays {
                   Array out = in[0];
                   for (size_t i = 0; i < out.v.size(); ++i) {
                     const double d = in[0].v[i] - in[1].v[i], u = in[2].v[i];
                     out.v[i] = 0.5 * (std::log(u) + d * d / u) + 0.5 * std::log(2 * M_PI);
                   }
                   return {out};
                 }};
  gaussian.f32_tolerance = {4e-6, 4e-6};
  gaussian.f64_tolerance = {1e-13, 1e-13};
  gaussian.bad = {{"negative", [] { nn::gaussian_nll_loss(zeros({2}), zeros({2}), full({2}, -1)); }, "negative"},
                  {"var",
                   [] {
                     nn::gaussian_nll_loss(zeros({2, 3}), zeros({2, 3}), ones({3}));
                   },
                   "var (3,) does not fit"}};
  add_pair(rows, gaussian, [](const Tensors& in, Reduction r) {
    return nn::gaussian_nll_loss(in[0], in[1], in[2], {.full = true, .reduction = r});
  });
  return rows;
}

std::vector<OpRow> binary_rows() {
  std::vector<OpRow> rows;
  const Input probability{.low = 0.05, .high = 0.95};
  OpRow bce = pair_row(
      "binary_cross_entropy", [](double x, double t) { return -(t * std::log(x) + (1 - t) * std::log1p(-x)); },
      probability, probability);
  bce.points = {{{0, 0}, 0}, {{1, 0}, 100}, {{0, 1}, 100}};
  bce.bad = {
      {"range", [] { nn::binary_cross_entropy(full({2}, 1.5), zeros({2})); }, "input must be between 0 and 1"},
      {"target", [] { nn::binary_cross_entropy(zeros({2}), full({2}, kNaN)); }, "target must be between 0 and 1"}};
  add_pair(rows, bce,
           [](const Tensors& in, Reduction r) { return nn::binary_cross_entropy(in[0], in[1], {.reduction = r}); });

  OpRow logits = pair_row(
      "binary_cross_entropy_with_logits",
      [](double x, double t) { return (1 - t) * softplus_of(x) + t * softplus_of(-x); },
      {.extremes = {300, -300, 40, -40, 1e4, -1e4}}, probability);
  logits.third_order = true;
  logits.points = {{{800, 1}, 0, {0, -800}}, {{-800, 0}, 0, {0, 800}}, {{800, 0}, 800, {1, -800}}};
  logits.bad = {{"shape", [] { nn::binary_cross_entropy_with_logits(zeros({2, 1}), zeros({2})); }, "target (2,)"}};
  add_pair(rows, logits, [](const Tensors& in, Reduction r) {
    return nn::binary_cross_entropy_with_logits(in[0], in[1], {.reduction = r});
  });

  OpRow positive{
      .name = "binary_cross_entropy_with_logits_pos",
      .op = {},
      .inputs = {{.shape = {3, 4}}, {.shape = {3, 4}, .low = 0, .high = 1}, {.shape = {3, 4}, .low = 0.5, .high = 3}},
      .reference = [](const Arrays& in) -> Arrays {
        Array out = in[0];
        for (size_t i = 0; i < out.v.size(); ++i) {
          const double x = in[0].v[i], t = in[1].v[i];
          out.v[i] = (1 - t) * softplus_of(x) + in[2].v[i] * t * softplus_of(-x);
        }
        return {out};
      }};
  positive.f32_tolerance = {4e-6, 4e-6};
  positive.f64_tolerance = {1e-13, 1e-13};
  positive.bad = {{"pos_weight",
                   [] { nn::binary_cross_entropy_with_logits(zeros({2}), zeros({2}), {.pos_weight = ones({3})}); },
                   "pos_weight (3,) does not broadcast"}};
  add_pair(rows, positive, [](const Tensors& in, Reduction r) {
    return nn::binary_cross_entropy_with_logits(in[0], in[1], {.reduction = r, .pos_weight = in[2]});
  });

  OpRow focal = pair_row(
      "sigmoid_focal_loss",
      [](double x, double t) {
        const double miss = (1 - t) * sigmoid_of(x) + t * sigmoid_of(-x);
        return (0.25 * t + 0.75 * (1 - t)) * miss * miss * ((1 - t) * softplus_of(x) + t * softplus_of(-x));
      },
      {}, probability);
  focal.bad = {{"gamma", [] { nn::sigmoid_focal_loss(zeros({2}), zeros({2}), {.gamma = -1}); }, "gamma of at least 0"}};
  add_pair(rows, focal,
           [](const Tensors& in, Reduction r) { return nn::sigmoid_focal_loss(in[0], in[1], {.reduction = r}); });

  OpRow soft = pair_row("soft_margin_loss", [](double x, double t) { return softplus_of(-t * x); }, {}, {});
  soft.points = {{{1000, -1}, 1000, {1, -1000}}, {{1000, 1}, 0, {0, 0}}};
  soft.bad = {{"shape", [] { nn::soft_margin_loss(zeros({2}), zeros({1})); }, "target (1,)"}};
  add_pair(rows, soft,
           [](const Tensors& in, Reduction r) { return nn::soft_margin_loss(in[0], in[1], {.reduction = r}); });
  return rows;
}

std::vector<OpRow> distribution_rows() {
  std::vector<OpRow> rows;
  const Input log_probability{.low = -4, .high = -0.1};
  OpRow kl = pair_row("kl_div", [](double x, double t) { return t == 0 ? 0 : t * (std::log(t) - x); }, log_probability,
                      {.low = 0.05, .high = 1});
  kl.points = {{{-1, 0}, 0, {0, -kInf}}, {{-2, 1}, 2, {-1, 3}}};
  kl.bad = {{"shape", [] { nn::kl_div(zeros({2, 2}), zeros({2})); }, "[kl_div] target (2,)"}};
  add_pair(rows, kl, [](const Tensors& in, Reduction r) {
    if (r == Reduction::BatchMean)
      fail("kl_div", "BatchMean is kl_div's alone");  // here it is allowed: see the row below
    return nn::kl_div(in[0], in[1], {.reduction = r});
  });
  OpRow log_target = pair_row(
      "kl_div_log_target", [](double x, double t) { return std::exp(t) * (t - x); }, log_probability, log_probability);
  log_target.points = {{{-1, -kInf}, 0, {0, 0}}};
  log_target.bad = {
      {"dtype", [] { nn::kl_div(zeros({2}, {.dtype = f64}), zeros({2}), {.log_target = true}); }, "target is f32"}};
  OpRow batch = log_target;
  batch.name = "kl_div_batchmean";
  batch.covers = {"kl_div_log_target"};
  batch.points = {};
  batch.bitwise = false;
  batch.op = [](const Tensors& in) -> Tensors {
    return {nn::kl_div(in[0], in[1], {.reduction = Reduction::BatchMean, .log_target = true})};
  };
  const auto each_loss = batch.reference;
  batch.reference = [each_loss](const Arrays& in) -> Arrays {
    return {total(each_loss(in)[0], static_cast<double>(in[0].shape[0]))};
  };
  rows.push_back(batch);
  log_target.op = [](const Tensors& in) -> Tensors {
    return {nn::kl_div(in[0], in[1], {.reduction = Reduction::None, .log_target = true})};
  };
  rows.push_back(log_target);

  OpRow hinge{.name = "hinge_embedding_loss",
              .op = {},
              .inputs = {{.shape = {2, 3}, .kinks = {1}},
                         {.shape = {2, 3}, .fixed = {1, -1, 1, -1, -1, 1}, .requires_grad = false}},
              .reference = [](const Arrays& in) -> Arrays {
                Array out = in[0];
                for (size_t i = 0; i < out.v.size(); ++i) {
                  out.v[i] = in[1].v[i] == 1 ? in[0].v[i] : std::fmax(0, 1 - in[0].v[i]);
                }
                return {out};
              }};
  hinge.zero_second = {0};
  hinge.bad = {{"sign", [] { nn::hinge_embedding_loss(zeros({2}), zeros({2})); }, "every target must be 1 or -1"}};
  add_pair(rows, hinge, [](const Tensors& in, Reduction r) {
    if (r == Reduction::BatchMean) return nn::hinge_embedding_loss(in[0], ones({2}), {.reduction = r});
    return nn::hinge_embedding_loss(in[0], in[1], {.reduction = r});
  });

  OpRow ranking{.name = "margin_ranking_loss",
                .op = {},
                .inputs = {{.shape = {2, 3}, .low = 0, .high = 1},
                           {.shape = {2, 3}, .low = 2, .high = 3},
                           {.shape = {2, 3}, .low = 1, .high = 2}},
                .reference = [](const Arrays& in) -> Arrays {
                  Array out = in[0];
                  for (size_t i = 0; i < out.v.size(); ++i) {
                    out.v[i] = std::fmax(0, -in[2].v[i] * (in[0].v[i] - in[1].v[i]) + 0.5);
                  }
                  return {out};
                }};
  ranking.bad = {{"dims",
                  [] {
                    nn::margin_ranking_loss(zeros({2}), zeros({2, 1}), zeros({2}));
                  },
                  "same number of dims"}};
  add_pair(rows, ranking, [](const Tensors& in, Reduction r) {
    return nn::margin_ranking_loss(in[0], in[1], in[2], {.margin = 0.5, .reduction = r});
  });
  return rows;
}

// ---- losses of class scores ----

Values log_softmax_row(const Array& x, int64_t row) {
  const int64_t classes = x.shape[1];
  Values p(static_cast<size_t>(classes));
  double top = -kInf, sum = 0;
  for (int64_t c = 0; c < classes; ++c) top = std::fmax(top, x.v[static_cast<size_t>(row * classes + c)]);
  for (int64_t c = 0; c < classes; ++c) sum += std::exp(x.v[static_cast<size_t>(row * classes + c)] - top);
  for (int64_t c = 0; c < classes; ++c) {
    p[static_cast<size_t>(c)] = x.v[static_cast<size_t>(row * classes + c)] - top - std::log(sum);
  }
  return p;
}

const Values kClassWeight{0.5, 2, 1};
Tensor class_weight(const Tensor& like) { return from_data(kClassWeight, {3}).to(like.dtype()); }
const Input kScores{.shape = {4, 3}};
Input class_targets() { return indices({4}, {2, 0, -100, 1}); }

OpRow scores_row(const std::string& name, std::vector<std::string> covers, std::function<Tensors(const Tensors&)> op,
                 const std::function<double(const Values& logp, int64_t t)>& loss, double denominator) {
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
        return {nn::cross_entropy(in[0], in[1], {.weight = class_weight(in[0]), .label_smoothing = 0.2})};
      },
      smoothed, 1 + 0.5 + 2);
  ce.third_order = true;
  ce.bad = {{"range",
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
  none.bad = {{"index",
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
      out.v[static_cast<size_t>(i)] = t == -100 ? 0 : -log_softmax_row(in[0], i)[static_cast<size_t>(t)];
    }
    return {out};
  };
  rows.push_back(none);

  OpRow soft{.name = "cross_entropy_probabilities",
             .covers = {"log_softmax"},
             .op = [](const Tensors& in) -> Tensors {
               return {nn::cross_entropy(in[0], in[1], {.weight = in[2], .label_smoothing = 0.2})};
             },
             .inputs = {kScores, {.shape = {4, 3}, .low = 0, .high = 1}, {.shape = {3}, .low = 0.5, .high = 2}},
             .reference = [](const Arrays& in) -> Arrays {
               double sum = 0;
               for (int64_t i = 0; i < 4; ++i) {
                 const Values logp = log_softmax_row(in[0], i);
                 for (size_t c = 0; c < 3; ++c) {
                   sum -= in[2].v[c] * (0.8 * in[1].v[static_cast<size_t>(3 * i) + c] + 0.2 / 3) * logp[c];
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
      "focal_loss", {"log_softmax"},
      [](const Tensors& in) -> Tensors { return {nn::focal_loss(in[0], in[1], {.weight = class_weight(in[0])})}; },
      [](const Values& logp, int64_t t) {
        const double p = std::exp(logp[static_cast<size_t>(t)]);
        return -(1 - p) * (1 - p) * kClassWeight[static_cast<size_t>(t)] * logp[static_cast<size_t>(t)];
      },
      1 + 0.5 + 2);
  focal.bad = {{"range", [] { nn::focal_loss(zeros({2, 3}), tensor({0, -1}, i64)); }, "index -1 at position 1"}};
  rows.push_back(focal);

  OpRow nll{
      .name = "nll_loss",
      .covers = {"gather", "scatter_add"},
      .op = [](const Tensors& in) -> Tensors { return {nn::nll_loss(in[0], in[1], {.weight = class_weight(in[0])})}; },
      .inputs = {kScores, class_targets()},
      .reference = [](const Arrays& in) -> Arrays {
        return {{{}, {-(1 * in[0].v[2] + 0.5 * in[0].v[3] + 2 * in[0].v[10]) / 3.5}}};
      }};
  nll.zero_second = {0};
  nll.bitwise = false;
  nll.bad = {{"range", [] { nn::nll_loss(zeros({2, 3}), tensor({0, 5}, i64)); }, "index 5 at position 1"}};
  rows.push_back(nll);

  const Input single_target = indices({4}, {2, 0, 1, 1});
  for (int p : {1, 2}) {
    OpRow margin{.name = "multi_margin_loss_p" + std::to_string(p),
                 .covers = {"relu"},
                 .op = [p](const Tensors& in) -> Tensors {
                   return {nn::multi_margin_loss(in[0], in[1], {.p = p, .margin = 6, .weight = class_weight(in[0])})};
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
               .covers = {"relu"},
               .op = [](const Tensors& in) -> Tensors {
                 return {nn::multilabel_margin_loss(in[0], in[1], {.reduction = Reduction::None})};
               },
               .inputs = {{.shape = {2, 4}, .low = -0.4, .high = 0.4}, indices({2, 4}, {3, 0, -1, 1, 2, -1, 0, 0})},
               .reference = [](const Arrays& in) -> Arrays {
                 const auto at = [&](size_t i, size_t c) { return in[0].v[4 * i + c]; };
                 Array out{{2}, Values(2)};
                 for (size_t t : {size_t{3}, size_t{0}}) {
                   for (size_t c : {size_t{1}, size_t{2}}) out.v[0] += std::fmax(0, 1 - at(0, t) + at(0, c)) / 4;
                 }
                 for (size_t c : {size_t{0}, size_t{1}, size_t{3}})
                   out.v[1] += std::fmax(0, 1 - at(1, 2) + at(1, c)) / 4;
                 return {out};
               }};
  labels.zero_second = {0};
  labels.bitwise = false;
  labels.bad = {{"range",
                 [] {
                   nn::multilabel_margin_loss(zeros({2}), tensor({-1, 2}, i64));
                 },
                 "index 2 at position 1"},
                {"dtype", [] { nn::multilabel_margin_loss(zeros({2}), zeros({2})); }, "target must be i64"}};
  rows.push_back(labels);

  OpRow soft_labels{
      .name = "multilabel_soft_margin_loss",
      .covers = {"multilabel_soft_margin_loss"},
      .op = [](const Tensors& in) -> Tensors {
        return {nn::multilabel_soft_margin_loss(in[0], in[1], {.weight = in[2], .reduction = Reduction::None})};
      },
      .inputs = {kScores, {.shape = {4, 3}, .low = 0, .high = 1}, {.shape = {3}, .low = 0.5, .high = 2}},
      .reference = [](const Arrays& in) -> Arrays {
        Array out{{4}, Values(4)};
        for (size_t i = 0; i < 12; ++i) {
          const double x = in[0].v[i], t = in[1].v[i];
          out.v[i / 3] += in[2].v[i % 3] * (t * softplus_of(-x) + (1 - t) * softplus_of(x)) / 3;
        }
        return {out};
      }};
  soft_labels.f32_tolerance = {4e-6, 4e-6};
  soft_labels.f64_tolerance = {1e-13, 1e-13};
  soft_labels.bitwise = false;
  soft_labels.bad = {{"shape", [] { nn::multilabel_soft_margin_loss(zeros({2, 3}), zeros({3})); }, "target (3,)"}};
  rows.push_back(soft_labels);
  return rows;
}

std::vector<OpRow> similarity_rows() {
  std::vector<OpRow> rows;
  OpRow cosine{
      .name = "cosine_embedding_loss",
      .covers = {"where"},
      .op = [](const Tensors& in) -> Tensors {
        return {nn::cosine_embedding_loss(in[0], in[1], in[2], {.margin = -0.9, .reduction = Reduction::None})};
      },
      .inputs = {{.shape = {3, 4}, .low = 0.2},
                 {.shape = {3, 4}, .low = 0.2},
                 {.shape = {3}, .fixed = {1, -1, 1}, .requires_grad = false}},
      .reference = [](const Arrays& in) -> Arrays {
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
      }};
  cosine.f32_tolerance = {4e-6, 4e-6};
  cosine.f64_tolerance = {1e-13, 1e-13};
  cosine.bitwise = false;
  cosine.bad = {{"sign", [] { nn::cosine_embedding_loss(zeros({2, 3}), zeros({2, 3}), zeros({2})); }, "1 or -1"}};
  rows.push_back(cosine);

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
    OpRow triplet{.name = "triplet_margin_loss_p" + suffix,
                  .covers = {"abs"},
                  .op = [p](const Tensors& in) -> Tensors {
                    return {nn::triplet_margin_loss(in[0], in[1], in[2], {.margin = 9, .p = p, .swap = true})};
                  },
                  .inputs = {{.shape = {2, 3}, .low = 2, .high = 3},
                             {.shape = {2, 3}, .low = -1, .high = 1},
                             {.shape = {2, 3}, .low = 4, .high = 6}},
                  .reference = [distance](const Arrays& in) -> Arrays {
                    double sum = 0;
                    for (size_t i = 0; i < 2; ++i) {
                      const double far = std::fmin(distance(in[0], in[2], i), distance(in[1], in[2], i));
                      sum += std::fmax(0, 9 + distance(in[0], in[1], i) - far);
                    }
                    return {{{}, {sum / 2}}};
                  }};
    if (p == 1 || std::isinf(p)) triplet.zero_second = {0, 1, 2};
    triplet.f32_tolerance = {4e-6, 4e-6};
    triplet.f64_tolerance = {1e-13, 1e-13};
    triplet.bitwise = false;
    triplet.bad = {{"p", [] { nn::triplet_margin_loss(zeros({2}), zeros({2}), zeros({2}), {.p = 0.5}); },
                    "p of at least 1, got 0.5"},
                   {"margin", [] { nn::triplet_margin_loss(zeros({2}), zeros({2}), zeros({2}), {.margin = 0}); },
                    "margin above 0"}};
    rows.push_back(triplet);
  }

  OpRow dice{.name = "dice_loss",
             .covers = {"sigmoid"},
             .op = [](const Tensors& in) -> Tensors { return {nn::dice_loss(in[0], in[1])}; },
             .inputs = {kScores, {.shape = {4, 3}, .low = 0, .high = 1}},
             .reference = [](const Arrays& in) -> Arrays {
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
             }};
  dice.f32_tolerance = {4e-6, 4e-6};
  dice.f64_tolerance = {1e-13, 1e-13};
  dice.bitwise = false;
  dice.bad = {{"dims", [] { nn::dice_loss(zeros({3}), zeros({3})); }, "must be (N, C, ...)"}};
  rows.push_back(dice);
  return rows;
}

// -log of the probability that a path of `steps` scores reads as `labels`, by looking at every path; blank is 0.
double ctc_by_enumeration(const Array& x, int64_t sample, int64_t steps, const std::vector<int64_t>& labels) {
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
    return nn::ctc_loss(x, targets, tensor({4, 3}, i64), tensor({2, 1}, i64), {.reduction = Reduction::None});
  };
  OpRow ctc{.name = "ctc_loss",
            .covers = {"ctc_unreachable"},
            .op = [loss](const Tensors& in) -> Tensors { return {loss(in[0], in[1])}; },
            .inputs = {{.shape = {4, 2, 3}}, indices({2, 2}, {1, 1, 2, 0})},
            .reference = [](const Arrays& in) -> Arrays {
              return {{{2}, {ctc_by_enumeration(in[0], 0, 4, {1, 1}), ctc_by_enumeration(in[0], 1, 3, {2})}}};
            }};
  ctc.f32_tolerance = {4e-6, 4e-6};
  ctc.f64_tolerance = {1e-13, 1e-13};
  ctc.bitwise = false;
  ctc.bad = {{"class",
              [loss] {
                loss(zeros({4, 2, 3}), tensor({{1, 3}, {1, 1}}, i64));
              },
              "target 3 of sample 0 is out of range"},
             {"lengths",
              [] {
                nn::ctc_loss(zeros({4, 1, 3}), tensor({{1, 1}}, i64), tensor({5}, i64), tensor({2}, i64));
              },
              "input_lengths holds 5: expected 0 to 4"}};
  return {ctc};
}

}  // namespace

std::vector<OpRow> loss_rows() {
  std::vector<OpRow> rows;
  for (auto family : {regression_rows, binary_rows, distribution_rows, class_rows, similarity_rows, sequence_rows}) {
    for (OpRow& row : family()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
