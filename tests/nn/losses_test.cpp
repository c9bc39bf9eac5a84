// Losses beyond the op table and the parity files: a worked example, legacy flags, empty batches,
// ignored rows, CTC compared with enumeration, adaptive softmax compared with a full softmax.
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "ebb/ebb.h"

namespace {

using namespace ebb;
using nn::Reduction;

TEST(Losses, WorkedExampleOfBinaryCrossEntropy) {
  const Tensor input = tensor({{-0.4089, -1.2471, 0.5907}, {-0.4897, -0.8267, -0.7349}}, f64);
  const Tensor target = tensor({{0, 1, 1}, {0, 0, 1}}, f64);
  const Tensor p = sigmoid(input);
  const double expected[] = {0.3992, 0.2232, 0.6435, 0.3800, 0.3044, 0.3241};
  for (size_t i = 0; i < 6; ++i) EXPECT_NEAR(p.to_vector<double>()[i], expected[i], 6e-5);
  double sum = 0;
  for (int64_t i = 0; i < 6; ++i) {
    const double q = p.to_vector<double>()[static_cast<size_t>(i)],
                 t = target.to_vector<double>()[static_cast<size_t>(i)];
    sum -= t * std::log(q) + (1 - t) * std::log(1 - q);
  }
  EXPECT_NEAR(nn::BCELoss()(p, target).item(), sum / 6, 1e-14);
  EXPECT_NEAR(nn::BCELogitsLoss()(input, target).item(), sum / 6, 1e-14);
  EXPECT_NEAR(nn::BCEWithLogitsLoss({.reduction = Reduction::Sum})(input, target).item(), sum,
              1e-13);
}

TEST(Losses, LegacyFlags) {
  using B = std::optional<bool>;
  const B flags[] = {B(), B(true), B(false)};
  for (B size_average : flags) {
    for (B reduce : flags) {
      const Reduction got = nn::reduction_from_legacy(size_average, reduce);
      const Reduction expected = reduce == false         ? Reduction::None
                                 : size_average == false ? Reduction::Sum
                                                         : Reduction::Mean;
      EXPECT_EQ(got, expected);
    }
  }
}

TEST(Losses, EmptyBatches) {
  const Tensor x = zeros({0, 3}).requires_grad_(), t = zeros({0}, {.dtype = i64}),
               y = zeros({0, 3});
  const auto check = [&](const char* name, const std::function<Tensor(Reduction)>& loss) {
    EXPECT_EQ(loss(Reduction::None).numel(), 0) << name;
    EXPECT_EQ(loss(Reduction::Sum).item(), 0) << name;
    EXPECT_TRUE(std::isnan(loss(Reduction::Mean).item())) << name;
    const Tensor gradient = grad(loss(Reduction::Mean), x);
    EXPECT_EQ(gradient.shape(), x.shape()) << name;
  };
  check("cross_entropy", [&](Reduction r) { return nn::cross_entropy(x, t, {.reduction = r}); });
  check("nll", [&](Reduction r) { return nn::nll_loss(x, t, {.reduction = r}); });
  check("mse", [&](Reduction r) { return nn::mse_loss(x, y, {.reduction = r}); });
  check("multi_margin", [&](Reduction r) { return nn::multi_margin_loss(x, t, {.reduction = r}); });
  check("multilabel_margin", [&](Reduction r) {
    return nn::multilabel_margin_loss(x, zeros({0, 3}, {.dtype = i64}), {.reduction = r});
  });
  check("multilabel_soft_margin",
        [&](Reduction r) { return nn::multilabel_soft_margin_loss(x, y, {.reduction = r}); });
}

TEST(Losses, IgnoredRowsNeverMatter) {
  Tensor x = tensor({{1, 2, 3}, {NAN, INFINITY, 0}, {0, 1, 0}}, f64).requires_grad_();
  const Tensor t = tensor({2, -100, 0}, i64);
  for (auto loss : {nn::cross_entropy(x, t), nn::nll_loss(x, t), nn::focal_loss(x, t)}) {
    EXPECT_TRUE(std::isfinite(loss.item())) << loss.grad_node_name();
    const Tensor g = grad(loss, x, {.retain_graph = true});
    for (double v : g.to_vector<double>()) EXPECT_TRUE(std::isfinite(v));
    EXPECT_EQ(g.to_vector<double>()[3], 0);
    const Tensor first = grad(loss, x, {.create_graph = true});
    for (double v : first.to_vector<double>()) EXPECT_TRUE(std::isfinite(v));
  }
  const Tensor all = tensor({-100, -100, -100}, i64);
  const Tensor nothing = nn::cross_entropy(x, all);
  EXPECT_TRUE(std::isnan(nothing.item()));
  for (double v : grad(nothing, x).to_vector<double>()) EXPECT_EQ(v, 0);
}

// If the probability of a sample is 1, the derivatives of a power of 0 must not appear. With one
// class it is always 1.
TEST(Losses, FocalLossesOfSaturatedScoresAreSmooth) {
  const auto expect_quiet = [](const Tensor& loss, const Tensor& x) {
    const Tensor first = grad(loss, x, {.create_graph = true});
    for (const Tensor& t : {loss, first, grad(sum(first * first), x)}) {
      for (double v : t.to_vector<double>()) EXPECT_EQ(v, 0) << loss.grad_node_name();
    }
  };
  for (const double gamma : {0.0, 0.5, 1.0, 1.5, 2.0, 3.0}) {
    const Tensor x = tensor({{200, -200, -150}}, f32).requires_grad_(),
                 one = zeros({1, 1}).requires_grad_();
    const Tensor none = zeros({1}, {.dtype = i64});
    expect_quiet(nn::focal_loss(x, none, {.gamma = gamma}), x);
    expect_quiet(nn::focal_loss(one, none, {.gamma = gamma}), one);
    expect_quiet(nn::sigmoid_focal_loss(x, tensor({{1, 0, 0}}, f32),
                                        {.gamma = gamma, .reduction = Reduction::Sum}),
                 x);
  }
}

// With many classes, labels are processed a few at a time. 3 rows of 700 classes need two blocks.
TEST(Losses, MultiLabelMarginOfManyClasses) {
  manual_seed(9);
  const int64_t rows = 3, classes = 700;
  const Tensor x = randn({rows, classes}, {.dtype = f64}).requires_grad_();
  std::vector<int64_t> target;
  for (int64_t i = 0; i < rows * classes; ++i)
    target.push_back(i % classes % 2 == 0 ? i % classes : (i * 7 + 1) % classes);
  const std::vector<double> v = x.to_vector<double>();
  std::vector<double> slopes(v.size(), 0);
  double total = 0;
  for (int64_t n = 0; n < rows; ++n) {
    const int64_t* labels = target.data() + n * classes;
    const std::set<int64_t> named(labels, labels + classes);
    for (int64_t k = 0; k < classes; ++k) {
      for (int64_t i = 0; i < classes; ++i) {
        const auto own = static_cast<size_t>(n * classes + labels[k]),
                   other = static_cast<size_t>(n * classes + i);
        const double z = 1 - v[own] + v[other];
        if (named.contains(i) || z <= 0) continue;
        total += z / classes;
        slopes[own] -= 1.0 / classes;
        slopes[other] += 1.0 / classes;
      }
    }
  }
  const Tensor loss = nn::multilabel_margin_loss(x, from_data(target, {rows, classes}),
                                                 {.reduction = Reduction::Sum});
  EXPECT_NEAR(loss.item(), total, 1e-9 * total);
  const std::vector<double> gradient = grad(loss, x).to_vector<double>();
  for (size_t i = 0; i < slopes.size(); ++i) EXPECT_NEAR(gradient[i], slopes[i], 1e-9);
}

TEST(Losses, ClassWeightsThatRequireGradAreRefused) {
  const Tensor w = ones({3}).requires_grad_();
  EXPECT_THROW(nn::cross_entropy(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.weight = w}), Error);
  EXPECT_THROW(nn::nll_loss(zeros({2, 3}), zeros({2}, {.dtype = i64}), {.weight = w}), Error);
}

// Returns the probability of a label sequence by enumerating every path.
double enumerate(const std::vector<double>& p, int64_t steps, int64_t classes,
                 const std::vector<int64_t>& labels) {
  double total = 0;
  std::vector<int64_t> path(static_cast<size_t>(steps));
  const auto count = static_cast<int64_t>(std::pow(classes, steps) + 0.5);
  for (int64_t code = 0; code < count; ++code) {
    double probability = 1;
    int64_t rest = code, before = -1;
    std::vector<int64_t> read;
    for (int64_t t = 0; t < steps; ++t) {
      const int64_t c = rest % classes;
      rest /= classes;
      probability *= p[static_cast<size_t>(t * classes + c)];
      if (c != 0 && c != before) read.push_back(c);
      before = c;
    }
    if (read == labels) total += probability;
  }
  return total;
}

TEST(Losses, CtcEqualsEnumeration) {
  manual_seed(4);
  const int64_t steps = 5, classes = 3;
  for (const std::vector<int64_t>& labels :
       {std::vector<int64_t>{1, 2}, {1, 1}, {2}, {}, {1, 2, 1}, {1, 1, 1}}) {
    const Tensor logits = randn({steps, 1, classes}, {.dtype = f64});
    const Tensor logp = log_softmax(logits, 2);
    const Tensor targets = labels.empty()
                               ? zeros({1, 0}, {.dtype = i64})
                               : from_data(labels, {1, static_cast<int64_t>(labels.size())});
    const auto length = [](int64_t n) { return from_data(std::vector<int64_t>{n}, {1}); };
    const double loss =
        nn::ctc_loss(logp, targets, length(steps), length(static_cast<int64_t>(labels.size())),
                     {.reduction = Reduction::Sum})
            .item();
    EXPECT_NEAR(loss, -std::log(enumerate(exp(logp).to_vector<double>(), steps, classes, labels)),
                1e-12);
  }
}

TEST(Losses, CtcGradientsOfBothOrders) {
  manual_seed(6);
  const Tensor logits = randn({6, 2, 4}, {.dtype = f64}).requires_grad_();
  const Tensor targets = tensor({{1, 1, 3}, {2, 3, 0}}, i64), in = tensor({6, 5}, i64),
               out = tensor({3, 2}, i64);
  const TensorFunction f = [&](const std::vector<Tensor>& x) {
    return std::vector<Tensor>{nn::ctc_loss(log_softmax(x[0], 2), targets, in, out)};
  };
  EXPECT_TRUE(gradcheck(f, {logits}));
  EXPECT_TRUE(gradgradcheck(f, {logits}));
  EXPECT_THROW(nn::ctc_loss(logits, tensor({{1, 4, 1}, {1, 1, 1}}, i64), in, out), Error);
  EXPECT_THROW(nn::ctc_loss(logits, targets, tensor({7, 5}, i64), out), Error);
}

TEST(Losses, AdaptiveSoftmaxIsADistribution) {
  manual_seed(7);
  nn::AdaptiveLogSoftmaxWithLoss loss(16, 20, {4, 10}, {}, f64);
  std::vector<std::string> names;
  for (const auto& [name, p] : loss.named_parameters()) names.push_back(name);
  EXPECT_EQ(names, (std::vector<std::string>{"head.weight", "tail.0.0.weight", "tail.0.1.weight",
                                             "tail.1.0.weight", "tail.1.1.weight"}));
  const Tensor x = randn({5, 16}, {.dtype = f64}), target = tensor({0, 5, 19, 9, 10}, i64);
  const Tensor logp = loss.log_prob(x);
  for (double v : sum(exp(logp), {1}).to_vector<double>()) EXPECT_NEAR(v, 1, 1e-12);
  const auto out = loss(x, target);
  const std::vector<double> each = out.output.to_vector<double>();
  const std::vector<double> expected =
      squeeze(gather(logp, 1, unsqueeze(target, 1)), 1).to_vector<double>();
  for (size_t i = 0; i < 5; ++i) EXPECT_NEAR(each[i], expected[i], 1e-12);
  EXPECT_NEAR(out.loss.item(), -mean(out.output).item(), 1e-14);
  EXPECT_EQ(loss.predict(x).to_vector<int64_t>(), argmax(logp, 1).to_vector<int64_t>());
  EXPECT_THROW(nn::AdaptiveLogSoftmaxWithLoss(16, 20, {10, 4}), Error);
  try {
    nn::AdaptiveLogSoftmaxWithLoss(8, 20, {4, 10});
    ADD_FAILURE() << "a tail of width 0";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("div_value 4 leaves cluster 1 no width"),
              std::string::npos)
        << e.what();
  }
  EXPECT_THROW(loss(x, tensor({0, 5, 20, 9, 10}, i64)), Error);
}

TEST(Losses, UnitSeedAndScaledSeedAgree) {
  manual_seed(8);
  const Tensor x = randn({4, 3}, {.dtype = f64}).requires_grad_(), t = tensor({0, 1, 2, 1}, i64),
               y = rand({4, 3}, {.dtype = f64});
  for (int which = 0; which < 2; ++which) {
    const auto loss = [&] { return which == 0 ? nn::cross_entropy(x, t) : nn::mse_loss(x, y); };
    x.grad();
    Tensor leaf = x;
    leaf.set_grad({});
    loss().backward();
    const std::vector<double> unit = x.grad().to_vector<double>();
    leaf.set_grad({});
    (loss() * 3.0).backward();
    const std::vector<double> tripled = x.grad().to_vector<double>();
    for (size_t i = 0; i < unit.size(); ++i) EXPECT_NEAR(3 * unit[i], tripled[i], 1e-15);
    // Backward twice: the buffer may be passed on only once.
    leaf.set_grad({});
    const Tensor l = loss();
    l.backward({}, true);
    l.backward();
    const std::vector<double> twice = x.grad().to_vector<double>();
    for (size_t i = 0; i < unit.size(); ++i) EXPECT_NEAR(2 * unit[i], twice[i], 1e-15);
  }
}

// The graph of a second-order gradient contains a condition, whose dtype is not that of the
// computation.
TEST(Losses, SecondOrderThroughConditionsCanBeRecorded) {
  const Tensor x = tensor({{0.5, -1, 2}, {1, 0.25, -0.5}}, f64).requires_grad_(),
               t = tensor({2, 0}, i64);
  const Tensor first =
      grad(nn::multi_margin_loss(x, t, {.p = 2, .margin = 4}), x, {.create_graph = true});
  const Tensor plain = grad(sum(square(first)), x, {.retain_graph = true});
  const Tensor recorded = grad(sum(square(first)), x, {.create_graph = true});
  EXPECT_NE(plain.to_vector<double>()[0], 0);
  for (size_t i = 0; i < 6; ++i)
    EXPECT_NEAR(recorded.to_vector<double>()[i], plain.to_vector<double>()[i], 1e-12);
}

TEST(Losses, ModulesKeepWeightsAsBuffers) {
  nn::CrossEntropyLoss loss({.weight = tensor({1, 2, 3}, f32)});
  ASSERT_EQ(loss.state_dict().size(), 1u);
  EXPECT_EQ(loss.state_dict()[0].first, "weight");
  loss.to(f64);
  EXPECT_NO_THROW(loss(zeros({2, 3}, {.dtype = f64}), zeros({2}, {.dtype = i64})));
  EXPECT_TRUE(nn::CrossEntropyLoss().state_dict().empty());
}

}  // namespace
