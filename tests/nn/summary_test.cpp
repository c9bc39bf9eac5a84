// summary(): compares its counts with counts by hand.
#include "ebb/nn/summary.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/core/random.h"
#include "ebb/nn/layers/activation.h"
#include "ebb/nn/layers/dropout.h"
#include "ebb/nn/layers/linear.h"
#include "ebb/nn/layers/sequential.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

TEST(Summary, OfASequential) {
  Sequential model(Linear(784, 128), ReLU(), Dropout(0.5), Linear(128, 10));
  const Generator before = default_generator();
  const Summary s = summary(model, {32, 784});
  EXPECT_EQ(default_generator().offset, before.offset) << "random numbers were drawn";
  ASSERT_EQ(s.rows.size(), 5u);
  EXPECT_EQ(s.rows[0].type, "Sequential");
  EXPECT_EQ(s.rows[0].name, "");
  EXPECT_EQ(s.rows[1].name, "0");
  EXPECT_EQ(s.rows[1].type, "Linear");
  EXPECT_EQ(s.rows[1].depth, 1);
  EXPECT_EQ(to_text(s.rows[1].input), "(32, 784)");
  EXPECT_EQ(to_text(s.rows[1].output), "(32, 128)");
  EXPECT_EQ(s.rows[1].parameters, 784 * 128 + 128);
  EXPECT_EQ(s.rows[1].multiply_adds, 32 * 784 * 128);
  EXPECT_EQ(s.rows[1].bytes, 4 * (784 * 128 + 128 + 32 * 128));
  EXPECT_EQ(s.rows[2].type, "ReLU");
  EXPECT_EQ(s.rows[2].parameters, 0);
  EXPECT_EQ(s.rows[2].multiply_adds, 0);
  EXPECT_EQ(s.rows[3].type, "Dropout");
  EXPECT_EQ(s.rows[4].multiply_adds, 32 * 128 * 10);
  EXPECT_EQ(s.parameters, model.parameter_count());
  EXPECT_EQ(s.multiply_adds, 32 * 128 * (784 + 10));
  EXPECT_EQ(s.parameter_bytes, 4 * model.parameter_count());
  // The row of the model also counts its output.
  EXPECT_EQ(s.output_bytes, 4 * 32 * (128 * 3 + 10 + 10));
  const std::string text = to_text(s);
  EXPECT_NE(text.find("100,480"), std::string::npos) << text;
  EXPECT_NE(text.find("  0 Linear"), std::string::npos) << text;
  EXPECT_NE(text.find("\ntotal "), std::string::npos) << text;
  // Without a summary, layers are fused and nothing is counted.
  EXPECT_EQ(LayerWatch::active(), nullptr);
}

struct Chain : Module {
  Linear body = add_module("body", Linear(6, 4, {.dtype = f64}));
  Sequential head =
      add_module("head", Sequential(Tanh(), Linear(4, 2, {.bias = false, .dtype = f64})));
  Tensor scale = add_parameter("scale", ones({3, 6}, {.dtype = f64}));
  Tensor forward(const Tensor& x) { return head(body(matmul(x, scale))); }
};

TEST(Summary, OfACustomModule) {
  const Summary s = summary(Chain(), {5, 3});
  ASSERT_EQ(s.rows.size(), 5u);
  EXPECT_EQ(s.rows[0].type, "Chain");
  EXPECT_EQ(s.rows[0].parameters, 18);
  EXPECT_EQ(s.rows[0].multiply_adds, 5 * 3 * 6) << "its own product";
  EXPECT_EQ(s.rows[1].name, "body");
  EXPECT_EQ(s.rows[2].name, "head");
  EXPECT_EQ(s.rows[4].name, "head.1");
  EXPECT_EQ(s.rows[4].depth, 2);
  EXPECT_EQ(s.rows[4].bytes, 8 * (8 + 5 * 2));
  EXPECT_EQ(s.parameters, 18 + 28 + 8);
}

}  // namespace
}  // namespace ebb::nn
