// Random numbers. Element i is a function of (seed, offset + i). Parallel over chunks of elements.
#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/strided.h"
#include "ebb/core/draw.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 16 * 1024;

}  // namespace

void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a, double b) {
  if (out.numel() == 0) return;
  Shape shape = out.shape(), strides = out.strides();
  coalesce(shape, &strides, 1);
  const PhiloxKeys keys(seed);
  dispatch_floating(out.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    parallel_for(out.numel(), kChunk, [&](int64_t begin, int64_t end) {
      StridedCursor cursor(shape, strides);
      cursor.seek(begin);
      for (int64_t i = begin; i < end; ++i) {
        to[cursor.offset()] = draw_number<T>(kind, keys, offset + static_cast<uint64_t>(i), a, b);
        cursor.advance(1);
      }
    });
  });
}

}  // namespace ebb::cpu
