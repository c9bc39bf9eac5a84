// The activations with parameters or shapes of their own; tests/parity compares the others with
// their functions.
#include "ebb/nn/layers/activation.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_error;
using test::expect_values;

TEST(PReLU, OneWeightOrOneForEachChannel) {
  const Tensor x = tensor({{-2, 4}, {-8, -1}}, f32);
  const PReLU one;
  expect_values(one(x), {-0.5, 4, -2, -0.25});
  const PReLU channels({.num_parameters = 2, .init = 0.5});
  EXPECT_EQ(to_text(channels.weight.shape()), "(2,)");
  expect_values(channels(x), {-1, 4, -4, -0.5});
  sum(channels(x)).backward();
  expect_values(channels.weight.grad(), {-10, -1});
  EXPECT_EQ(channels.state_dict().at(0).first, "weight");
}

TEST(PReLU, RefusesWhatDoesNotFit) {
  expect_error([] { PReLU({.num_parameters = 0}); }, "PReLU", {"num_parameters >= 1, got 0"});
  expect_error([] { PReLU({.num_parameters = 3})(zeros({2, 4})); }, "prelu", {"(3,)", "(2, 4)"});
}

TEST(Softmax2d, SharesOfTheChannels) {
  const Tensor x = rand({2, 3, 2, 2});
  const Softmax2d layer;
  expect_values(sum(layer(x), {1}), std::vector<double>(8, 1), 1e-6);
  expect_values(layer(x[1]), layer(x)[1].to_vector<double>());
  expect_error([&] { layer(zeros({2, 3})); }, "Softmax2d", {"(2, 3)"});
}

TEST(Threshold, IsWhatItsFunctionIs) {
  expect_values(Threshold(0.5, 7)(tensor({0, 0.5, 1})), {7, 7, 1});
}

// Rows of a hard draw are one-hot, and their gradient is that of the soft ones.
TEST(GumbelSoftmax, HardDrawsHaveTheSoftGradient) {
  const Tensor logits = tensor({{0.5, -1, 2}, {0, 0, 0}}, f64).requires_grad_();
  const Tensor weights = tensor({{1, 2, 4}, {3, 5, 7}}, f64);
  std::vector<double> gradients[2];
  for (const bool hard : {false, true}) {
    Generator generator{3, 0};
    const Tensor y = gumbel_softmax(logits, 0.5, hard, 1, &generator);
    expect_values(sum(y, {1}), {1, 1}, 1e-14);
    if (hard) expect_values(amax(y, {1}), {1, 1}, 1e-14);
    gradients[hard] = grad(sum(y * weights), logits).to_vector<double>();
  }
  EXPECT_EQ(gradients[0], gradients[1]);
}

// The classes come up as often as their probabilities say.
TEST(GumbelSoftmax, DrawsFromTheDistribution) {
  const int64_t n = 20000;
  Generator generator{1, 0};
  const Tensor logits = tensor({0.0, 1.0, 2.0}, f32);
  const NoGrad guard;
  const Tensor draws = gumbel_softmax(expand(logits, {n, 3}), 1, true, -1, &generator);
  const std::vector<double> shares = mean(draws, {0}).to_vector<double>();
  const std::vector<double> want = softmax(logits, 0).to_vector<double>();
  for (size_t i = 0; i < 3; ++i) EXPECT_NEAR(shares[i], want[i], 0.015);
}

}  // namespace
}  // namespace ebb::nn
