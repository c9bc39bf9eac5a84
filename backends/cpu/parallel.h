// Distributes work to the threads of the process. OpenMP, so that Ebb and oneDNN share one thread
// pool.
#pragma once

#include <cstdint>
#include <type_traits>

namespace ebb::cpu {

/// Returns the number of threads of a parallel region, from OMP_NUM_THREADS or set_num_threads.
int num_threads();
void set_num_threads(int n);

/// Returns how many parallel regions have run since the start of the process. Tests use it to check
/// that small work stays on one thread.
int64_t parallel_regions();

/// Runs body(context, begin, end) over chunks of [0, n) that start at multiples of `grain`.
///
/// If there is one chunk or one thread, or inside of a parallel region, it runs on the calling
/// thread, in order, and does not use the pool.
void parallel_chunks(int64_t n, int64_t grain,
                     void (*body)(void* context, int64_t begin, int64_t end), void* context);

/// Calls body(begin, end) for chunks of [0, n), as parallel_chunks does.
///
///     parallel_for(n, grain, [&](int64_t begin, int64_t end) { ... });
template <class Body> void parallel_for(int64_t n, int64_t grain, Body&& body) {
  if (n <= grain) {
    if (n > 0) body(int64_t{0}, n);
    return;
  }
  using Plain = std::remove_reference_t<Body>;
  parallel_chunks(
      n, grain,
      [](void* context, int64_t begin, int64_t end) {
        (*static_cast<Plain*>(context))(begin, end);
      },
      const_cast<void*>(static_cast<const void*>(&body)));
}

}  // namespace ebb::cpu
