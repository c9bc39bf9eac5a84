// Splitting work over the threads of the process: OpenMP, so that oneDNN's pool is the same one.
#pragma once

#include <cstdint>
#include <type_traits>

namespace ebb::cpu {

/// Threads that a parallel region may use; from OMP_NUM_THREADS or set_num_threads.
int num_threads();
void set_num_threads(int n);

/// Times that work was shared out to threads, since the start of the process: tests see by it that small work is not.
int64_t parallel_regions();

/// Runs body(context, begin, end) over chunks of [0, n) that start at multiples of `grain`. One chunk, or one thread,
/// or a call from inside a parallel region: runs here, in order, without touching the pool.
void parallel_chunks(int64_t n, int64_t grain,
                     void (*body)(void* context, int64_t begin, int64_t end), void* context);

/// parallel_for(n, grain, [&](int64_t begin, int64_t end) { ... }).
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
