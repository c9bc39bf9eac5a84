// Attention beyond the op table and the parity files: parameters, masks, dropout, positions.
#include "ebb/nn/layers/attention.h"

#include <gtest/gtest.h>

#include <cmath>

#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {
namespace {

std::vector<std::string> names_of(const nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, value] : module.named_parameters()) names.push_back(name);
  return names;
}

TEST(Attention, ParametersAreTorchs) {
  const nn::MultiheadAttention plain(8, 2);
  EXPECT_EQ(names_of(plain), (std::vector<std::string>{"in_proj_weight", "in_proj_bias",
                                                       "out_proj.weight", "out_proj.bias"}));
  EXPECT_EQ(plain.in_proj_weight.shape(), Shape({24, 8}));
  EXPECT_EQ(sum(abs(plain.in_proj_bias)).item() + sum(abs(plain.out_proj.bias)).item(), 0);
  EXPECT_LE(amax(abs(plain.in_proj_weight)).item(), std::sqrt(6.0 / 32) + 1e-6);
  const nn::MultiheadAttention other(8, 2, {.add_bias_kv = true, .kdim = 3, .vdim = 5});
  EXPECT_EQ(names_of(other), (std::vector<std::string>{
                                 "q_proj_weight", "k_proj_weight", "v_proj_weight", "in_proj_bias",
                                 "bias_k", "bias_v", "out_proj.weight", "out_proj.bias"}));
  nn::MultiheadAttention copy(8, 2);
  copy.load_state_dict(plain.state_dict());
  const Tensor x = randn({3, 2, 8});
  expect_same_bits(std::get<0>(copy(x, x, x)), std::get<0>(plain->forward(x, x, x)), "output");
}

TEST(Attention, WeightsAreRowsThatAddUpToOne) {
  const nn::MultiheadAttention attention(8, 2, {.batch_first = true});
  const Tensor x = randn({2, 5, 8});
  const auto [y, weights] = attention(x, x, x);
  EXPECT_EQ(weights.shape(), Shape({2, 5, 5}));
  expect_values(sum(weights, {2}), std::vector<double>(10, 1), 1e-6);
  const auto [same, none] = attention(x, x, x, {.need_weights = false});
  EXPECT_FALSE(none.defined());
  expect_same_bits(same, y, "without weights");
  const auto each = std::get<1>(attention(x, x, x, Tensor(), true, Tensor(), false));
  EXPECT_EQ(each.shape(), Shape({2, 2, 5, 5}));
}

TEST(Attention, RowsWithoutKeysGiveTheBiasAndHaveNoGradient) {
  nn::MultiheadAttention attention(4, 2, {.batch_first = true});
  const Tensor x = randn({1, 3, 4}).requires_grad_();
  const auto [y, weights] = attention(x, x, x, {.key_padding_mask = ones({1, 3}, boolean)});
  expect_values(y, std::vector<double>(12), 0, 1e-7);
  expect_values(weights, std::vector<double>(9));
  sum(square(y + 1.0)).backward();
  expect_values(x.grad(), std::vector<double>(12));
  for (const Tensor& p : attention.parameters()) EXPECT_TRUE(all(isfinite(p.grad())).item<bool>());
}

TEST(Attention, DropoutScalesWhatItKeeps) {
  const Tensor q = zeros({1, 200, 4}), v = ones({1, 50, 1});
  const Tensor k = zeros({1, 50, 4});
  Generator generator{3, 0};
  const Tensor y =
      scaled_dot_product_attention(q, k, v, {.dropout_p = 0.5, .generator = &generator});
  EXPECT_NEAR(mean(y).item(), 1, 0.05);
  EXPECT_GT(std(y).item(), 0.05);
  expect_values(scaled_dot_product_attention(q, k, v, {.dropout_p = 1}), std::vector<double>(200));
  nn::MultiheadAttention attention(4, 2, {.dropout = 0.5});
  const Tensor x = randn({6, 2, 4});
  EXPECT_GT(sum(abs(std::get<0>(attention(x, x, x)) - std::get<0>(attention(x, x, x)))).item(), 0);
  attention.eval();
  expect_same_bits(std::get<0>(attention(x, x, x)), std::get<0>(attention(x, x, x)), "eval");
}

TEST(Attention, BadInputNamesTheLayerAndWhatWouldFit) {
  const nn::MultiheadAttention attention(4, 2);
  const Tensor x = zeros({3, 2, 4});
  expect_error([] { nn::MultiheadAttention(5, 2); }, "MultiheadAttention",
               {"embed_dim 5", "2 heads", "multiple"});
  expect_error(
      [&] {
        attention(x, zeros({3, 3, 4}), x);
      },
      "MultiheadAttention", {"(3, 3, 4)", "expected query (L, N, 4)"});
  expect_error(
      [&] {
        attention(x, x, x, {.attn_mask = ones({3, 2}, boolean)});
      },
      "MultiheadAttention", {"attn_mask (3, 2)", "expected (3, 3) or (4, 3, 3)"});
  expect_error(
      [&] {
        attention(x, x, x, {.key_padding_mask = ones({3, 2}, boolean)});
      },
      "MultiheadAttention", {"key_padding_mask (3, 2)", "expected (2, 3)"});
  expect_error([&] { attention(x.to(f64), x.to(f64), x.to(f64)); }, "MultiheadAttention",
               {"expected f32"});
}

TEST(Attention, Positions) {
  const Tensor p = nn::sinusoidal_positions(3, 5, {.dtype = f64});
  expect_values(p[0], {0, 1, 0, 1, 0});
  const double slow = 2 / std::pow(10000.0, 0.4);
  expect_values(slice(p[2], 0, 0, 4),
                {std::sin(2.0), std::cos(2.0), std::sin(slow), std::cos(slow)}, 1e-15);
  expect_error([] { nn::sinusoidal_positions(3, 0); }, "sinusoidal_positions",
               {"at least 1 feature, got 3 and 0"});
}

TEST(Transformer, ParametersAreTorchs) {
  const nn::TransformerEncoderLayer layer(8, 2, {.dim_feedforward = 3});
  EXPECT_EQ(names_of(layer),
            (std::vector<std::string>{
                "self_attn.in_proj_weight", "self_attn.in_proj_bias", "self_attn.out_proj.weight",
                "self_attn.out_proj.bias", "linear1.weight", "linear1.bias", "linear2.weight",
                "linear2.bias", "norm1.weight", "norm1.bias", "norm2.weight", "norm2.bias"}));
  const nn::TransformerEncoder encoder(layer, 2, nn::LayerNorm(Shape{8}));
  const auto names = names_of(encoder);
  ASSERT_EQ(names.size(), 26u);
  EXPECT_EQ(names[0], "layers.0.self_attn.in_proj_weight");
  EXPECT_EQ(names[25], "norm.bias");
  // The layers start with the same values, and have parameters of their own.
  const auto all = encoder.parameters();
  expect_same_bits(all[0], layer.parameters()[0], "first layer");
  expect_same_bits(all[12], layer.parameters()[0], "second layer");
  EXPECT_NE(all[0].raw(), all[12].raw());
  expect_error([&] { nn::TransformerEncoder(layer, 0); }, "TransformerEncoder", {"got 0"});
}

TEST(Transformer, DropoutInTrainingOnlyAndChains) {
  nn::Sequential model(
      nn::TransformerEncoderLayer(8, 2, {.dim_feedforward = 3, .batch_first = true}),
      nn::Linear(8, 1));
  const Tensor x = randn({2, 5, 8});
  EXPECT_GT(sum(abs(model(x) - model(x))).item(), 0);
  model.eval();
  expect_same_bits(model(x), model(x), "eval");
}

}  // namespace
}  // namespace ebb::test
