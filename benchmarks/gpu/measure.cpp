#include "measure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <vector>

namespace ebb::gpu_bench {

double Bench::seconds_of(int64_t steps, const std::function<void()>& step) const {
  const auto wait = [&] {
    if (on_gpu()) cuda::synchronize();
  };
  wait();
  const auto start = std::chrono::steady_clock::now();
  for (int64_t i = 0; i < steps; ++i) step();
  wait();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void Bench::run(const Row& row, const std::string& mode, const std::function<void()>& step) const {
  const double batch_seconds = options_.quick ? 1e-4 : 5e-3,
               all_seconds = options_.quick ? 1e-2 : 0.4;
  const size_t least_batches = options_.quick ? 3 : 15;
  if (options_.once) {
    seconds_of(2, step);
    return;
  }
  // The first calls create handles, fill caches and record graphs. After them the clocks rise to
  // full speed.
  seconds_of(8, step);
  int64_t steps = 1;
  while (seconds_of(steps, step) < batch_seconds) steps *= 2;

  std::vector<double> times;
  for (double sum = 0; times.size() < least_batches || sum < all_seconds;) {
    const double seconds = seconds_of(steps, step);
    sum += seconds;
    times.push_back(seconds / static_cast<double>(steps) * 1e6);
  }
  std::sort(times.begin(), times.end());
  const auto at = [&](double part) {
    return times[static_cast<size_t>(part * static_cast<double>(times.size() - 1))];
  };
  std::printf(
      "{\"source\":\"ebb\",\"group\":\"%s\",\"name\":\"%s\",\"variant\":\"%s\",\"mode\":\"%s\","
      "\"us\":%.4f,"
      "\"us_p10\":%.4f,\"us_p90\":%.4f,\"batches\":%zu,\"steps\":%lld,\"flops\":%.0f,\"bytes\":%."
      "0f,\"quick\":%s}\n",
      row.group.c_str(), row.name.c_str(), row.variant.c_str(), mode.c_str(), at(0.5), at(0.1),
      at(0.9), times.size(), static_cast<long long>(steps), row.flops, row.bytes,
      options_.quick ? "true" : "false");
  std::fflush(stdout);
}

void require_finite(const Row& row, const Tensor& result) {
  const double total = sum(result.detach().to(DType::F64)).item();
  if (!std::isfinite(total)) fail(row.name, "a result is not finite");
}

}  // namespace ebb::gpu_bench
