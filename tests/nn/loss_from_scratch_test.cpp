// The loss that docs/losses.md writes from scratch. The last test checks that the page has exactly
// this code.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <sstream>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

struct PseudoHuber {
  static constexpr std::string_view name = "pseudo_huber_loss";
  double delta;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = x - t, s = d / T(delta);
    return d * d / (1 + ebb::sqrt(1 + s * s));
  }
};

Tensor pseudo_huber_loss(const TensorArg& input, const Tensor& target, double delta = 1,
                         nn::Reduction reduction = nn::Reduction::Mean, const Tensor& weight = {}) {
  nn::check_same_shape("pseudo_huber_loss", input, target);
  nn::check_weight("pseudo_huber_loss", input, weight);
  return nn::pointwise_loss(PseudoHuber{delta}, weight, reduction, nn::MeanOver::Elements, input,
                            target);
}

TEST(PseudoHuber, HasGradientsOfBothOrders) {
  const std::vector<Tensor> x{randn({3, 4}, {.dtype = f64}).requires_grad_(),
                              randn({3, 4}, {.dtype = f64}).requires_grad_()};
  const TensorFunction loss = [](const std::vector<Tensor>& x) {
    return std::vector{pseudo_huber_loss(x[0], x[1], 0.5)};
  };
  EXPECT_TRUE(gradcheck(loss, x));
  EXPECT_TRUE(gradgradcheck(loss, x));
}

TEST(PseudoHuber, IsQuadraticAtZeroAndLinearFarAway) {
  const Tensor x = tensor({0, 1e-6, 3, -1e6}, f64).requires_grad_(), t = zeros({4}, {.dtype = f64});
  const Tensor losses = pseudo_huber_loss(x, t, 2, nn::Reduction::None);
  const double expected[] = {0, 0.5e-12, 4 * (std::sqrt(1 + 2.25) - 1), 2e6};
  for (size_t i = 0; i < 4; ++i)
    EXPECT_NEAR(losses.to_vector<double>()[i], expected[i], 1e-5 * expected[i]);
  const Tensor first = grad(sum(losses), x, {.create_graph = true});
  const Tensor second = grad(sum(first), x);
  EXPECT_EQ(first.to_vector<double>()[0], 0);
  EXPECT_EQ(second.to_vector<double>()[0], 1);
  EXPECT_NEAR(first.to_vector<double>()[3], -2, 1e-5);
}

TEST(PseudoHuber, HasWeightReductionsAndChecks) {
  const Tensor x = tensor({0, 3}, f64), t = zeros({2}, {.dtype = f64});
  Tensor weight = tensor({1, 2}, f64).requires_grad_();
  const double loss = 9 / (1 + std::sqrt(10.0));
  const Tensor total = pseudo_huber_loss(x, t, 1, nn::Reduction::Sum, weight);
  EXPECT_NEAR(total.item(), 2 * loss, 1e-14);
  EXPECT_NEAR(grad(total, weight).to_vector<double>()[1], loss, 1e-14);
  EXPECT_NEAR(pseudo_huber_loss(x, t).item(), loss / 2, 1e-14);
  EXPECT_THROW(pseudo_huber_loss(x, zeros({1}, {.dtype = f64})), Error);
}

std::string text_of(const std::string& file) {
  std::ifstream in(std::string(EBB_SOURCE_DIR) + "/" + file);
  EXPECT_TRUE(in) << file;
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

TEST(Documentation, CodeOfLossesIsCompiledHere) {
  const std::string page = text_of("docs/losses.md"),
                    here = text_of("tests/nn/loss_from_scratch_test.cpp");
  const std::string begin = "```cpp\n", end = "```";
  int blocks = 0;
  for (size_t at = page.find(begin); at != std::string::npos;
       at = page.find(begin, at + 1), ++blocks) {
    const size_t from = at + begin.size();
    const std::string block = page.substr(from, page.find(end, from) - from);
    EXPECT_NE(here.find(block), std::string::npos) << "not compiled:\n" << block;
  }
  EXPECT_EQ(blocks, 3);
}

}  // namespace
