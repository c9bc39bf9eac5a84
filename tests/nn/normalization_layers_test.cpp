// The layers of nn/layers/normalization.h: state, modes and options. tests/parity compares their
// functions with PyTorch; the numbers here are PyTorch's too.
#include "ebb/nn/layers/normalization.h"

#include <sstream>

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/core/random.h"
#include "ebb/nn/layers/pooling.h"
#include "ebb/nn/layers/sequential.h"
#include "ebb/nn/summary.h"
#include "ebb/tests/support/check.h"

namespace ebb::nn {
namespace {

using test::expect_error;
using test::expect_values;

TEST(BatchNorm, KeepsRunningStatisticsAsTorchDoes) {
  const Tensor x = tensor({{1., 5.}, {3., -1.}, {2., 2.}}, f32);
  const BatchNorm1d decaying(2), whole(2, {.momentum = std::nullopt});
  for (const BatchNorm1d* layer : {&decaying, &whole}) {
    (*layer)(x);
    (*layer)(x * 2 + 1);
    EXPECT_EQ(layer->num_batches_tracked.item<int64_t>(), 2);
  }
  expect_values(decaying.running_mean, {0.68, 0.68}, 1e-6);
  expect_values(decaying.running_var, {1.3, 5.22}, 1e-6);
  expect_values(whole.running_mean, {3.5, 3.5}, 1e-6);
  expect_values(whole.running_var, {2.5, 22.5}, 1e-6);
  BatchNorm1d evaluated = whole;
  evaluated.eval();
  expect_values(
      evaluated(x),
      {-1.5811356306, 0.3162277341, -0.3162270784, -0.9486830831, -0.9486813545, -0.3162276745},
      1e-6);
  EXPECT_EQ(evaluated.num_batches_tracked.item<int64_t>(), 2);
  evaluated.reset_running_stats();
  expect_values(evaluated.running_var, {1, 1});
}

TEST(BatchNorm, StateHasTorchsNames) {
  BatchNorm2d layer(3), other(3);
  std::string names;
  for (const auto& [name, each] : layer.state_dict()) names += name + " ";
  EXPECT_EQ(names, "weight bias running_mean running_var num_batches_tracked ");
  layer(randn({4, 3, 5, 5}));
  other.load_state_dict(layer.state_dict());
  EXPECT_EQ(other.num_batches_tracked.item<int64_t>(), 1);
  expect_values(other.running_mean, layer.running_mean.to_vector<double>());
  EXPECT_TRUE(BatchNorm1d(2, {.affine = false, .track_running_stats = false}).state_dict().empty());
}

// Without running statistics the batch's are used in both modes.
TEST(BatchNorm, WithoutRunningStatisticsEvaluationUsesTheBatch) {
  BatchNorm1d layer(2, {.track_running_stats = false});
  const Tensor x = randn({6, 2, 3});
  const Tensor trained = layer(x);
  layer.eval();
  expect_values(layer(x), trained.to_vector<double>());
}

TEST(BatchNorm, TrainingOfABatchWithoutElementsChangesTheCountAlone) {
  const BatchNorm1d layer(2);
  EXPECT_EQ(to_text(layer(zeros({0, 2})).shape()), "(0, 2)");
  expect_values(layer.running_mean, {0, 0});
  expect_values(layer.running_var, {1, 1});
  EXPECT_EQ(layer.num_batches_tracked.item<int64_t>(), 1);
}

// The variance of f32 values around a large mean has the digits that f64 gives.
TEST(BatchNorm, LargeMeansCostNoDigits) {
  for (const Shape& shape : {Shape{64, 2}, Shape{8, 2, 9, 9}, Shape{3, 2, 70, 70}}) {
    const Tensor x = randn(shape) + 30000.;
    Tensor mean = zeros({2}), variance = ones({2});
    Tensor mean64 = zeros({2}, f64), variance64 = ones({2}, f64);
    const Tensor y = batch_norm(x, mean, variance, {.training = true, .momentum = 1});
    const Tensor y64 = batch_norm(x.to(f64), mean64, variance64, {.training = true, .momentum = 1});
    expect_values(variance, variance64.to_vector<double>(), 2e-6);
    expect_values(y, y64.to_vector<double>(), 5e-6, 5e-6);
    std::vector<Tensor> second;
    for (const DType dtype : {f32, f64}) {
      const Tensor at = x.detach().to(dtype).requires_grad_(), weights = y64.to(dtype);
      const Tensor out = batch_norm(at, {}, {}, {.training = true});
      const Tensor g = grad(sum(out * out * weights), at, {.create_graph = true});
      second.push_back(grad(sum(g * g), at));
    }
    expect_values(second[0], second[1].to_vector<double>(), 2e-4, 2e-4);
  }
}

TEST(BatchNorm, ASummaryChangesNothing) {
  const Sequential model(BatchNorm1d(3));
  summary(model, {1, 3});
  EXPECT_EQ(model.named_buffers()[2].second.item<int64_t>(), 0);
  EXPECT_TRUE(model.is_training());
}

TEST(BatchNorm, InfinityReachesTheRunningMean) {
  const BatchNorm1d layer(2, {.momentum = 1});
  const double inf = std::numeric_limits<double>::infinity();
  layer(tensor({{1., inf}, {3., 2.}}, f32));
  expect_values(layer.running_mean, {2, inf});
  EXPECT_TRUE(std::isnan(layer.running_var[1].item<double>()));
}

TEST(BatchNorm, RefusesWhatDoesNotFit) {
  expect_error([] { BatchNorm1d(0); }, "BatchNorm1d", {"at least 1 feature, got 0"});
  expect_error(
      [] {
        BatchNorm1d(2)(zeros({1, 2}));
      },
      "batch_norm", {"more than one element per channel in training, got (1, 2)"});
  expect_error([] { BatchNorm2d(2)(zeros({4, 2})); }, "BatchNorm2d", {"4 dims, got (4, 2)"});
  expect_error(
      [] {
        BatchNorm1d(2)(zeros({4, 3}));
      },
      "BatchNorm1d", {"2 channels at dim 1, got (4, 3)"});
}

TEST(InstanceNorm, TracksTheAverageOfTheBatch) {
  InstanceNorm1d layer(2, {.track_running_stats = true});
  const Tensor x = tensor({{{1., 2., 4.}, {0., 0., 3.}}, {{1., 1., 1.}, {5., 2., 2.}}}, f32);
  const Tensor y = layer(x);
  expect_values(layer.running_mean, {0.1666666716, 0.2}, 1e-6);
  expect_values(layer.running_var, {1.0166666508, 1.2}, 1e-6);
  EXPECT_EQ(layer.num_batches_tracked.item<int64_t>(), 0);
  expect_values(layer(x[0]), y[0].to_vector<double>());  // a single element of a batch
  layer.eval();
  EXPECT_NE(layer(x).to_vector<double>(), y.to_vector<double>());
}

// Values and gradients of layers that use several threads have the same bits with any number of
// them.
TEST(NormalizationLayers, ThreadsDoNotChangeBits) {
  const int before = cpu::num_threads();
  const auto compare = [](const auto& layer, const Shape& shape) {
    const Tensor x = randn(shape).requires_grad_();
    const Tensor upstream = randn(layer(x).shape());
    std::vector<std::vector<float>> first;
    for (const int threads : {1, 2, 5}) {
      cpu::set_num_threads(threads);
      const Tensor y = layer(x);
      std::vector<Tensor> inputs = layer.parameters();
      inputs.insert(inputs.begin(), x);
      std::vector<std::vector<float>> all{y.to_vector<float>()};
      for (const Tensor& g : grad(y, inputs, {.grad_outputs = {upstream}}))
        all.push_back(g.to_vector<float>());
      if (first.empty()) first = all;
      EXPECT_EQ(all, first) << layer.description() << " with " << threads << " threads";
    }
  };
  compare(BatchNorm2d(6), {8, 6, 30, 31});
  compare(BatchNorm1d(200), {300, 200});
  compare(LayerNorm(70), {1500, 70});
  compare(GroupNorm(2, 6), {40, 6, 23, 20});
  compare(MaxPool2d(3, {.stride = 2, .padding = 1}), {16, 9, 31, 30});
  compare(AvgPool2d(2), {16, 9, 31, 30});
  cpu::set_num_threads(before);
}

TEST(NormalizationLayers, PrintTheirOptions) {
  std::ostringstream out;
  out << BatchNorm2d(100) << '\n'
      << BatchNorm1d(3, {.momentum = std::nullopt, .bias = false}) << '\n'
      << LayerNorm({3, 4}, {.bias = false}) << '\n'
      << GroupNorm(3, 6) << '\n'
      << InstanceNorm2d(100) << '\n'
      << RMSNorm(3) << '\n'
      << RMSNorm({3, 4}, {.eps = 1e-3});
  EXPECT_EQ(out.str(),
            "BatchNorm2d(100, eps=1e-05, momentum=0.1, affine=True, bias=True, "
            "track_running_stats=True)\n"
            "BatchNorm1d(3, eps=1e-05, momentum=None, affine=True, bias=False, "
            "track_running_stats=True)\n"
            "LayerNorm((3, 4), eps=1e-05, elementwise_affine=True, bias=False)\n"
            "GroupNorm(3, 6, eps=1e-05, affine=True, bias=True)\n"
            "InstanceNorm2d(100, eps=1e-05, momentum=0.1, affine=False, bias=False, "
            "track_running_stats=False)\n"
            "RMSNorm((3,), eps=None, elementwise_affine=True)\n"
            "RMSNorm((3, 4), eps=0.001, elementwise_affine=True)");
}

TEST(NormalizationLayers, RefuseWhatDoesNotFit) {
  expect_error([] { LayerNorm({}); }, "LayerNorm", {"sizes above 0, got ()"});
  expect_error([] { LayerNorm(3)(zeros({3, 4})); }, "layer_norm", {"(3,), got (3, 4)"});
  expect_error([] { GroupNorm(2, 3); }, "GroupNorm", {"divides num_channels, got 2 and 3"});
  expect_error([] { GroupNorm(2, 4)(zeros({1, 6, 2})); }, "GroupNorm", {"4 channels"});
  expect_error([] { RMSNorm({2, 0}); }, "RMSNorm", {"got (2, 0)"});
}

}  // namespace
}  // namespace ebb::nn
