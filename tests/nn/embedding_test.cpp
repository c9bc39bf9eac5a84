// Embeddings beyond the op table and the parity files: parameters, the row of padding, threads.
#include "ebb/nn/layers/embedding.h"

#include <gtest/gtest.h>

#include "ebb/backends/cpu/parallel.h"
#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {
namespace {

TEST(Embedding, HasTorchsParameter) {
  nn::Embedding table(50, 40, {.padding_idx = -1});
  ASSERT_EQ(table.named_parameters().size(), 1u);
  EXPECT_EQ(table.named_parameters()[0].first, "weight");
  EXPECT_EQ(table.weight.shape(), Shape({50, 40}));
  EXPECT_NEAR(std(slice(table.weight, 0, 0, 49)).item(), 1, 0.1);
  EXPECT_EQ(sum(abs(table.weight[49])).item(), 0);
  std::ostringstream out;
  out << table << nn::EmbeddingBag(3, 2, {.mode = nn::EmbeddingBagMode::Sum});
  EXPECT_EQ(out.str(), "Embedding(50, 40, padding_idx=49)EmbeddingBag(3, 2, mode='sum')");
  expect_error([] { nn::Embedding(0, 3); }, "Embedding", {"at least 1", "got 0 of 3"});
  expect_error([] { nn::Embedding(3, 3, {.padding_idx = 3}); }, "Embedding",
               {"padding_idx 3 is out of range: expected -3 to 2"});
}

TEST(Embedding, FromPretrainedSharesTheMatrix) {
  Tensor weight = tensor({{1., 2.}, {3., 4.}});
  const auto table = nn::Embedding::from_pretrained(weight);
  EXPECT_FALSE(table.weight.requires_grad());
  EXPECT_EQ(table.weight.raw(), weight.raw());
  expect_values(table(tensor({1, 0})), {3, 4, 1, 2});
  EXPECT_TRUE(nn::Embedding::from_pretrained(weight, {.freeze = false}).weight.requires_grad());
  expect_error([] { nn::Embedding::from_pretrained(zeros({3})); }, "Embedding", {"(3,)", "table"});
}

TEST(Embedding, MaxNormScalesTheRowsThatAreRead) {
  nn::Embedding table(3, 2, {.max_norm = 1});
  {
    const NoGrad guard;
    table.weight.copy_(tensor({{3., 4.}, {3., 4.}, {0.3, 0.4}}));
  }
  sum(table(tensor({0, 2}))).backward();
  expect_values(table.weight, {0.6, 0.8, 3, 4, 0.3, 0.4}, 1e-6);
  expect_values(table.weight.grad(), {1, 1, 0, 0, 1, 1});
}

// The gradient of the gradient by its upstream: nothing reaches it from the row of padding.
TEST(Embedding, PaddingHasNoSecondOrderEither) {
  const Tensor weight = randn({3, 2}, f64).requires_grad_();
  const Tensor upstream = randn({3, 2}, f64).requires_grad_(), index = tensor({1, 0, 1});
  const Tensor y = nn::embedding(index, weight, {.padding_idx = 1});
  const Tensor g = grad(std::span(&y, 1), std::span(&weight, 1),
                        {.grad_outputs = {upstream}, .create_graph = true})[0];
  expect_values(g[1], {0, 0});
  const Tensor back = grad(sum(g * 2.0), upstream);
  expect_values(back, {0, 0, 2, 2, 0, 0});
}

TEST(Embedding, BitsDoNotDependOnThreads) {
  const Tensor index = randint(300, {64, 128}), upstream = randn({64, 128, 40});
  nn::Embedding table(300, 40);
  std::vector<Tensor> values, gradients;
  const int before = cpu::num_threads();
  for (int threads : {1, 2, 3}) {
    cpu::set_num_threads(threads);
    values.push_back(table(index));
    gradients.push_back(grad(std::span(&values.back(), 1), std::span(&table.weight, 1),
                             {.grad_outputs = {upstream}})[0]);
  }
  cpu::set_num_threads(before);
  for (size_t i : {1, 2}) {
    expect_same_bits(values[i], values[0], "value");
    expect_same_bits(gradients[i], gradients[0], "gradient");
  }
  expect_values(sum(gradients[0], {0}), sum(upstream, {0, 1}).to_vector<double>(), 1e-3, 1e-3);
}

TEST(EmbeddingBag, EmptyBagsGiveZero) {
  using enum nn::EmbeddingBagMode;
  const Tensor weight = ones({3, 2}).requires_grad_();
  for (auto mode : {Sum, Mean, Max}) {
    const Tensor none = nn::embedding_bag(zeros({3, 0}, i64), weight, {.mode = mode});
    expect_values(none, std::vector<double>(6));
    sum(none).backward();
    expect_values(weight.grad(), std::vector<double>(6));
    const Tensor ragged =
        nn::embedding_bag(zeros({0}, i64), weight, {.offsets = tensor({0, 0}), .mode = mode});
    expect_values(ragged, std::vector<double>(4));
  }
}

TEST(EmbeddingBag, ModuleTakesOffsets) {
  nn::EmbeddingBag bags(3, 2, {.mode = nn::EmbeddingBagMode::Sum});
  const Tensor words = tensor({0, 1, 2}), offsets = tensor({0, 1});
  expect_values(bags(words, offsets)[1], (bags.weight[1] + bags.weight[2]).to_vector<double>());
  expect_values(bags->forward(words, offsets, tensor({1., 2., 0.}))[1],
                (bags.weight[1] * 2).to_vector<double>());
  expect_values(bags(reshape(words, {1, 3})), sum(bags.weight, {0}).to_vector<double>(), 1e-6);
}

}  // namespace
}  // namespace ebb::test
