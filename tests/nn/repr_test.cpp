// Printing of modules compared with PyTorch, whose texts are in tests/parity/module_reprs.txt.
#include <gtest/gtest.h>

#include <fstream>
#include <map>
#include <sstream>

#include "ebb/ebb.h"

namespace ebb::test {
namespace {

std::string shown(const nn::Module& module) {
  std::ostringstream out;
  out << module;
  return out.str();
}

std::map<std::string, std::string> torch_texts() {
  std::ifstream file(EBB_SOURCE_DIR "/tests/parity/module_reprs.txt");
  std::map<std::string, std::string> texts;
  for (std::string line; std::getline(file, line);) {
    const size_t tab = line.find('\t');
    std::string text = line.substr(tab + 1);
    for (size_t at; (at = text.find("\\n")) != std::string::npos;) text.replace(at, 2, "\n");
    texts[line.substr(0, tab)] = text;
  }
  return texts;
}

nn::ModuleDict dictionary() {
  nn::ModuleDict dict;
  dict.insert("a", nn::ReLU());
  return dict;
}

std::map<std::string, std::string> ebb_texts() {
  using namespace nn;
  const Sequential pair{ReLU(), Tanh()};
  return {
      {"nn.ReLU()", shown(ReLU())},
      {"nn.LeakyReLU()", shown(LeakyReLU())},
      {"nn.LeakyReLU(0.2)", shown(LeakyReLU(0.2))},
      {"nn.ELU(0.5)", shown(ELU(0.5))},
      {"nn.Sigmoid()", shown(Sigmoid())},
      {"nn.Softplus()", shown(Softplus())},
      {"nn.Softplus(2.5, 10.0)", shown(Softplus(2.5, 10.0))},
      {"nn.GELU()", shown(GELU())},
      {"nn.GELU(approximate='tanh')", shown(GELU(GeluApproximate::Tanh))},
      {"nn.Hardtanh()", shown(Hardtanh())},
      {"nn.Hardtanh(-2.0, 1e-5)", shown(Hardtanh(-2.0, 1e-5))},
      {"nn.CELU()", shown(CELU())},
      {"nn.ReLU6()", shown(ReLU6())},
      {"nn.Hardshrink()", shown(Hardshrink())},
      {"nn.Softshrink(1.0)", shown(Softshrink(1.0))},
      {"nn.Threshold(0.1, 20.0)", shown(Threshold(0.1, 20.0))},
      {"nn.PReLU()", shown(PReLU())},
      {"nn.PReLU(4)", shown(PReLU({.num_parameters = 4}))},
      {"nn.GLU(1)", shown(GLU(1))},
      {"nn.Softmax(1)", shown(Softmax(1))},
      {"nn.Softmax2d()", shown(Softmax2d())},
      {"nn.LogSoftmax(-1)", shown(LogSoftmax(-1))},
      {"nn.Softmin(0)", shown(Softmin(0))},
      {"nn.Flatten()", shown(Flatten())},
      {"nn.Flatten(0, 2)", shown(Flatten(0, 2))},
      {"nn.Unflatten(1, (1, 28, 28))", shown(Unflatten(1, {1, 28, 28}))},
      {"nn.Unflatten(1, (28,))", shown(Unflatten(1, 28))},
      {"nn.Identity()", shown(Identity())},
      {"nn.Dropout()", shown(Dropout())},
      {"nn.Dropout1d(0.25)", shown(Dropout1d(0.25))},
      {"nn.Dropout2d(0.2)", shown(Dropout2d(0.2))},
      {"nn.AlphaDropout(0.1)", shown(AlphaDropout(0.1))},
      {"nn.FeatureAlphaDropout(1.0)", shown(FeatureAlphaDropout(1.0))},
      {"nn.Embedding(10, 3)", shown(Embedding(10, 3))},
      {"nn.Embedding(10, 3, padding_idx=1, max_norm=2.0, norm_type=1.0, scale_grad_by_freq=True)",
       shown(Embedding(
           10, 3, {.padding_idx = 1, .max_norm = 2, .norm_type = 1, .scale_grad_by_freq = true}))},
      {"nn.Embedding(10, 3, padding_idx=-1)", shown(Embedding(10, 3, {.padding_idx = -1}))},
      {"nn.EmbeddingBag(10, 3)", shown(EmbeddingBag(10, 3))},
      {"nn.EmbeddingBag(10, 3, max_norm=1.0, norm_type=1.0, mode='max')",
       shown(EmbeddingBag(10, 3, {.max_norm = 1, .norm_type = 1, .mode = EmbeddingBagMode::Max}))},
      {"nn.EmbeddingBag(10, 3, mode='sum', padding_idx=2, include_last_offset=True)",
       shown(EmbeddingBag(
           10, 3, {.mode = EmbeddingBagMode::Sum, .include_last_offset = true, .padding_idx = 2}))},
      {"nn.MaxPool1d(2)", shown(MaxPool1d(2))},
      {"nn.MaxPool2d((2, 3))", shown(MaxPool2d({2, 3}))},
      {"nn.MaxPool2d(3, stride=2, padding=1)", shown(MaxPool2d(3, {.stride = 2, .padding = 1}))},
      {"nn.AvgPool1d(2)", shown(AvgPool1d(2))},
      {"nn.AvgPool2d((2, 1))", shown(AvgPool2d({2, 1}))},
      {"nn.AdaptiveAvgPool1d(2)", shown(AdaptiveAvgPool1d(2))},
      {"nn.AdaptiveAvgPool2d((None, 1))", shown(AdaptiveAvgPool2d({std::nullopt, 1}))},
      {"nn.AdaptiveMaxPool2d(3)", shown(AdaptiveMaxPool2d(3))},
      {"nn.Conv1d(3, 4, 3, padding='same')", shown(Conv1d(3, 4, 3, {.padding = "same"}))},
      {"nn.Conv2d(3, 4, 3)", shown(Conv2d(3, 4, 3))},
      {"nn.Conv2d(4, 4, 3, stride=2, padding=1, dilation=2, groups=2, bias=False, "
       "padding_mode='circular')",
       shown(Conv2d(4, 4, 3,
                    {.stride = 2,
                     .padding = 1,
                     .dilation = 2,
                     .groups = 2,
                     .bias = false,
                     .padding_mode = PadMode::Circular}))},
      {"nn.ConvTranspose1d(3, 4, 3, stride=2, output_padding=1)",
       shown(ConvTranspose1d(3, 4, 3, {.stride = 2, .output_padding = 1}))},
      {"nn.ConvTranspose2d(4, 4, (3, 2), dilation=2, padding=1, groups=2)",
       shown(ConvTranspose2d(4, 4, {3, 2}, {.padding = 1, .groups = 2, .dilation = 2}))},
      {"nn.BatchNorm1d(3)", shown(BatchNorm1d(3))},
      {"nn.BatchNorm2d(3, momentum=None, affine=False)",
       shown(BatchNorm2d(3, {.momentum = std::nullopt, .affine = false}))},
      {"nn.InstanceNorm1d(3)", shown(InstanceNorm1d(3))},
      {"nn.LayerNorm(8)", shown(LayerNorm(8))},
      {"nn.LayerNorm((2, 3), eps=1.0, elementwise_affine=False)",
       shown(LayerNorm({2, 3}, {.eps = 1, .elementwise_affine = false}))},
      {"nn.GroupNorm(2, 4)", shown(GroupNorm(2, 4))},
      {"nn.RMSNorm(8)", shown(RMSNorm(8))},
      {"nn.RMSNorm(8, eps=1e-6)", shown(RMSNorm(8, {.eps = 1e-6}))},
      {"nn.RNN(3, 4)", shown(RNN(3, 4))},
      {"nn.GRU(3, 4, num_layers=2, batch_first=True, dropout=0.5, bidirectional=True)",
       shown(GRU(3, 4,
                 {.num_layers = 2, .batch_first = true, .dropout = 0.5, .bidirectional = true}))},
      {"nn.LSTM(3, 4, proj_size=2, bias=False)",
       shown(LSTM(3, 4, {.bias = false, .proj_size = 2}))},
      {"nn.RNNCell(3, 4, nonlinearity='relu')",
       shown(RNNCell(3, 4, {.nonlinearity = RNNNonlinearity::ReLU}))},
      {"nn.GRUCell(3, 4, bias=False)", shown(GRUCell(3, 4, {.bias = false}))},
      {"nn.LSTMCell(3, 4)", shown(LSTMCell(3, 4))},
      {"nn.Linear(3, 4)", shown(Linear(3, 4))},
      {"nn.Bilinear(2, 3, 4, bias=False)", shown(Bilinear(2, 3, 4, {.bias = false}))},
      {"nn.Upsample(scale_factor=2)", shown(Upsample({.scale_factor = {2}}))},
      {"nn.Upsample(scale_factor=(2.0, 3.5))", shown(Upsample({.scale_factor = {2, 3.5}}))},
      {"nn.Upsample(size=(3, 4), mode='bilinear')",
       shown(Upsample({.size = {3, 4}, .mode = InterpolateMode::Bilinear}))},
      {"nn.PixelShuffle(2)", shown(PixelShuffle(2))},
      {"nn.PixelUnshuffle(3)", shown(PixelUnshuffle(3))},
      {"nn.Unfold(2)", shown(Unfold(2))},
      {"nn.Fold((4, 5), (2, 2), stride=2)", shown(Fold({4, 5}, {2, 2}, {.stride = 2}))},
      {"nn.ConstantPad1d(2, 3.5)", shown(ConstantPad1d(2, 3.5))},
      {"nn.ConstantPad2d((1, 2, 3, 4), 0.0)", shown(ConstantPad2d({1, 2, 3, 4}, 0))},
      {"nn.ZeroPad2d(1)", shown(ZeroPad2d(1))},
      {"nn.ReflectionPad1d((1, 2))", shown(ReflectionPad1d({1, 2}))},
      {"nn.ReplicationPad2d(1)", shown(ReplicationPad2d(1))},
      {"nn.CircularPad1d(3)", shown(CircularPad1d(3))},
      {"nn.CrossEntropyLoss()", shown(CrossEntropyLoss())},
      {"nn.MSELoss()", shown(MSELoss())},
      {"nn.TripletMarginLoss()", shown(TripletMarginLoss())},
      {"nn.CTCLoss()", shown(CTCLoss())},
      {"nn.Sequential()", shown(Sequential())},
      {"nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))",
       shown(Sequential(Linear(2, 2), Linear(2, 2)))},
      {"nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 2)])",
       shown(ModuleList(Linear(2, 2), Linear(2, 2), ReLU(), Linear(2, 2)))},
      {"nn.ModuleList([nn.Sequential(nn.ReLU(), nn.Tanh()), nn.Sequential(nn.ReLU(), nn.Tanh())])",
       shown(ModuleList(pair, Sequential{ReLU(), Tanh()}))},
      {"nn.ModuleDict({'a': nn.ReLU()})", shown(dictionary())},
  };
}

TEST(Repr, EqualsTorchs) {
  const std::map<std::string, std::string> torch = torch_texts(), ours = ebb_texts();
  ASSERT_GT(torch.size(), 80u);
  ASSERT_EQ(torch.size(), ours.size());
  for (const auto& [expression, text] : torch) {
    ASSERT_TRUE(ours.contains(expression)) << expression;
    EXPECT_EQ(ours.at(expression), text);
  }
}

// With submodules, the options are on a line of their own, as in torch.
TEST(Repr, ShowsOptionsAboveSubmodules) {
  EXPECT_EQ(shown(nn::Parallel({.dim = 2}, nn::ReLU())), "Parallel(\n  dim=2\n  (0): ReLU()\n)");
}

// A list with one number in braces means the same as the number.
TEST(Repr, WindowsTakeANumberInBraces) {
  EXPECT_EQ(shown(nn::MaxPool1d({2})), shown(nn::MaxPool1d(2)));
  EXPECT_EQ(shown(nn::MaxPool2d({2}, {.stride = 1})), shown(nn::MaxPool2d(2, {.stride = 1})));
  EXPECT_EQ(shown(nn::AvgPool1d({2})), shown(nn::AvgPool1d(2)));
  EXPECT_EQ(shown(nn::AvgPool2d({2})), shown(nn::AvgPool2d(2)));
  EXPECT_EQ(shown(nn::AdaptiveAvgPool1d({2})), shown(nn::AdaptiveAvgPool1d(2)));
  EXPECT_EQ(shown(nn::AdaptiveMaxPool2d({2})), shown(nn::AdaptiveMaxPool2d(2)));
  EXPECT_EQ(shown(nn::Unfold({2})), shown(nn::Unfold(2)));
  EXPECT_EQ(shown(nn::ZeroPad2d({2})), shown(nn::ZeroPad2d(2)));
  EXPECT_EQ(shown(nn::ReflectionPad1d({2})), shown(nn::ReflectionPad1d(2)));
}

}  // namespace
}  // namespace ebb::test
