// Measures the limits of the card, with which all other figures are compared.
#include "measure.h"

namespace ebb::gpu_bench {

void run_ceilings(const Bench& bench) {
  const NoGrad no_grad;
  const bool quick = bench.options().quick;
  {
    const int64_t n = quick ? 1 << 12 : 1 << 28;  // 1 GiB each, much larger than a cache
    const Row row{"ceiling", "copy", "f32", 0, static_cast<double>(n) * 8};
    if (bench.wanted(row)) {
      const Tensor from = randn({n}, bench.on_device());
      Tensor to = empty({n}, bench.on_device());
      bench.run(row, "eager", [&] { to.copy_(from); });
    }
  }
  for (const bool tf32 : {false, true}) {
    if (tf32 && !bench.on_gpu()) continue;
    const int64_t n = quick ? 64 : 8192;
    const Row row{"ceiling", "matmul", tf32 ? "tf32" : "f32", 2.0 * static_cast<double>(n * n * n),
                  0};
    if (!bench.wanted(row)) continue;
    const Tf32 scope(tf32);
    const Tensor a = randn({n, n}, bench.on_device()), b = randn({n, n}, bench.on_device());
    Tensor product;
    bench.run(row, "eager", [&] { product = matmul(a, b); });
    require_finite(row, product);
  }
}

}  // namespace ebb::gpu_bench
