// Measures data-parallel training: mpirun --bind-to none -np 2 build/benchmarks/distributed-bench
//
// Prints medians. "one process" makes the same steps on rank 0 with as many threads as there are
// ranks, while the others wait. The floor of a sum of B bytes over N ranks on one node is its
// memory traffic: each rank copies B bytes to shared memory and B back, and reads N slices of B /
// N.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>

#include "ebb/backends/cpu/parallel.h"
#include "ebb/ebb.h"

using namespace ebb;

namespace {

double milliseconds() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration<double, std::milli>(now).count();
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<int64_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

// Returns the median time of one call in milliseconds.
double time_of(int calls, const std::function<void()>& call) {
  for (int k = 0; k < 5; ++k) call();
  std::vector<double> times;
  for (int k = 0; k < calls; ++k) {
    const double start = milliseconds();
    call();
    times.push_back(milliseconds() - start);
  }
  return median(std::move(times));
}

// The network 784-512-512-10 with SGD and momentum.
struct Work {
  explicit Work(int64_t batch)
      : input(randn({batch, 784})),
        target(randint(10, {batch})),
        model(nn::Linear(784, 512), nn::ReLU(), nn::Linear(512, 512), nn::ReLU(),
              nn::Linear(512, 10)),
        optimizer(model.named_parameters(), {.lr = 0.01, .momentum = 0.9}) {}

  void step(const distributed::Group& group) {
    optimizer.zero_grad();
    nn::cross_entropy(model(input), target).backward();
    distributed::average_gradients(model, group);
    optimizer.step();
  }

  Tensor input, target;
  nn::Sequential model;
  nn::SGD optimizer;
};

}  // namespace

int main() {
  const auto group = distributed::Group::world();
  constexpr int kCalls = 200;
  if (group.is_first()) {
    std::printf("%d ranks\n%8s %18s %12s %12s\n", group.size(), "batch", "one process ms",
                "ranks ms", "efficiency");
  }
  for (const int64_t batch : {64, 256, 1024}) {
    manual_seed(1);
    double alone = 0;
    if (group.is_first()) {
      cpu::set_num_threads(group.size());
      Work whole(batch);
      alone = time_of(kCalls, [&] { whole.step({}); });
    }
    cpu::set_num_threads(1);
    group.barrier();
    manual_seed(1);
    Work part(batch / group.size());
    const double together = time_of(kCalls, [&] { part.step(group); });
    if (group.is_first()) {
      std::printf("%8lld %18.3f %12.3f %12.2f\n", static_cast<long long>(batch), alone, together,
                  alone / together);
    }
  }
  if (group.is_first()) std::printf("%8s %18s\n", "KiB", "all_reduce ms");
  for (const int64_t kib : {1, 64, 1024, 16384}) {
    const Tensor x = zeros({kib * 256});
    const double time = time_of(kCalls / 4, [&] { group.all_reduce(x); });
    if (group.is_first()) std::printf("%8lld %18.4f\n", static_cast<long long>(kib), time);
  }
}
