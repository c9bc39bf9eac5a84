// Cost of recording and running back one small op, and losses against memory bandwidth.
#include <benchmark/benchmark.h>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

// Ten multiplications of 4x4 tensors and the way back: time an op.
void op_chain_mul_4x4(benchmark::State& state) {
  constexpr int kOps = 10;
  Tensor x = rand({4, 4}).requires_grad_();
  const Tensor factor = rand({4, 4});
  for (auto _ : state) {
    Tensor y = x;
    for (int i = 0; i < kOps; ++i) y = y * factor;
    y.backward(factor);
    x.set_grad({});
  }
  state.counters["per_op"] =
      benchmark::Counter(kOps, benchmark::Counter::kIsIterationInvariantRate | benchmark::Counter::kInvert);
}
BENCHMARK(op_chain_mul_4x4);

// Forward and backward of a loss; bytes: each input read once, the gradient written once.
template <class Loss> void run_loss(benchmark::State& state, int64_t inputs, const Loss& loss) {
  const int64_t rows = state.range(0), columns = state.range(1);
  Tensor x = randn({rows, columns}).requires_grad_();
  for (auto _ : state) {
    loss(x).backward();
    x.set_grad({});
  }
  state.SetBytesProcessed(state.iterations() * rows * columns * 4 * (inputs + 1));
}

void loss_mse(benchmark::State& state) {
  const Tensor t = randn({state.range(0), state.range(1)});
  run_loss(state, 2, [&](const Tensor& x) { return nn::mse_loss(x, t); });
}
void loss_smooth_l1(benchmark::State& state) {
  const Tensor t = randn({state.range(0), state.range(1)});
  run_loss(state, 2, [&](const Tensor& x) { return nn::smooth_l1_loss(x, t); });
}
void loss_bce_with_logits(benchmark::State& state) {
  const Tensor t = rand({state.range(0), state.range(1)});
  run_loss(state, 2, [&](const Tensor& x) { return nn::binary_cross_entropy_with_logits(x, t); });
}
void loss_kl_div(benchmark::State& state) {
  const Tensor t = rand({state.range(0), state.range(1)});
  run_loss(state, 2, [&](const Tensor& x) { return nn::kl_div(x, t); });
}
void loss_cross_entropy(benchmark::State& state) {
  std::vector<int64_t> classes;
  for (int64_t i = 0; i < state.range(0); ++i) classes.push_back(i % state.range(1));
  const Tensor t = from_data(classes, {state.range(0)});
  run_loss(state, 1, [&](const Tensor& x) { return nn::cross_entropy(x, t); });
}

void sizes(benchmark::internal::Benchmark* b) { b->Args({128, 10})->Args({4096, 1000})->UseRealTime(); }
BENCHMARK(loss_mse)->Apply(sizes);
BENCHMARK(loss_smooth_l1)->Apply(sizes);
BENCHMARK(loss_bce_with_logits)->Apply(sizes);
BENCHMARK(loss_kl_div)->Apply(sizes);
BENCHMARK(loss_cross_entropy)->Apply(sizes);

}  // namespace
