#include "ebb/backends/cpu/parallel.h"

#include <algorithm>
#include <atomic>
#include <exception>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace ebb::cpu {
namespace {
std::atomic<int64_t> regions{0};
}

int64_t parallel_regions() { return regions.load(std::memory_order_relaxed); }

#ifdef _OPENMP
int num_threads() { return omp_get_max_threads(); }
void set_num_threads(int n) { omp_set_num_threads(std::max(n, 1)); }
#else
int num_threads() { return 1; }
void set_num_threads(int) {}
#endif

void parallel_chunks(int64_t n, int64_t grain, void (*body)(void*, int64_t, int64_t),
                     void* context) {
  const int64_t chunks = (n + grain - 1) / grain;
#ifdef _OPENMP
  if (chunks > 1 && num_threads() > 1 && !omp_in_parallel()) {
    regions.fetch_add(1, std::memory_order_relaxed);
    std::exception_ptr failure;
#pragma omp parallel for schedule(static)
    for (int64_t c = 0; c < chunks; ++c) {
      try {
        body(context, c * grain, std::min(n, (c + 1) * grain));
      } catch (...) {
#pragma omp critical(ebb_parallel_failure)
        failure = std::current_exception();
      }
    }
    if (failure) std::rethrow_exception(failure);
    return;
  }
#endif
  for (int64_t c = 0; c < chunks; ++c) body(context, c * grain, std::min(n, (c + 1) * grain));
}

}  // namespace ebb::cpu
