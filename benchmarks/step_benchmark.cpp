// One training step of small and large nets: forward, cross-entropy, backward, SGD with momentum.
#include <benchmark/benchmark.h>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

void train_step(benchmark::State& state, const std::vector<int64_t>& widths, int64_t batch) {
  manual_seed(1);
  nn::Sequential model;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    model.push_back(nn::Linear(widths[i], widths[i + 1]));
    if (i + 2 < widths.size()) model.push_back(nn::ReLU());
  }
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.01, .momentum = 0.9});
  const Tensor x = randn({batch, widths.front()});
  std::vector<int64_t> classes;
  for (int64_t i = 0; i < batch; ++i) classes.push_back(i % widths.back());
  const Tensor target = from_data(classes, {batch});
  int64_t flops = 0;  // three products a layer, two for the first (its input needs no gradient)
  for (size_t i = 0; i + 1 < widths.size(); ++i) flops += (i == 0 ? 4 : 6) * batch * widths[i] * widths[i + 1];
  for (auto _ : state) {
    const Tensor loss = nn::cross_entropy(model(x), target);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  state.counters["GFLOP/s"] =
      benchmark::Counter(static_cast<double>(flops) * 1e-9, benchmark::Counter::kIsIterationInvariantRate);
}

BENCHMARK_CAPTURE(train_step, mlp_2_16_16_2_b32, {2, 16, 16, 2}, 32);
BENCHMARK_CAPTURE(train_step, mlp_64_32_10_b32, {64, 32, 10}, 32);
BENCHMARK_CAPTURE(train_step, mlp_784_128_10_b64, {784, 128, 10}, 64)->UseRealTime();
BENCHMARK_CAPTURE(train_step, mlp_784_512_512_10_b128, {784, 512, 512, 10}, 128)->UseRealTime();

}  // namespace
