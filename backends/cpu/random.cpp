// Random numbers: element i is a function of (seed, offset + i); parallel over chunks of elements.
#include <cmath>
#include <numbers>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/strided.h"
#include "ebb/core/random.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 16 * 1024;

double draw(Distribution kind, uint64_t seed, uint64_t number, double a, double b) {
  const PhiloxBits bits = philox(seed, number);
  const double u = uniform_from_bits(bits.word[0], bits.word[1]);
  switch (kind) {
    case Distribution::Uniform: return a + u * (b - a);
    case Distribution::Bernoulli: return u < a ? 1 : 0;
    default: break;
  }
  const double v = uniform_from_bits(bits.word[2], bits.word[3]);
  return a + b * std::sqrt(-2 * std::log1p(-u)) * std::cos(2 * std::numbers::pi * v);  // Box-Muller
}

}  // namespace

void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a, double b) {
  if (out.numel() == 0) return;
  Shape shape = out.shape(), strides = out.strides();
  coalesce(shape, &strides, 1);
  dispatch_floating(out.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    parallel_for(out.numel(), kChunk, [&](int64_t begin, int64_t end) {
      StridedCursor cursor(shape, strides);
      cursor.seek(begin);
      for (int64_t i = begin; i < end; ++i) {
        T value = static_cast<T>(draw(kind, seed, offset + static_cast<uint64_t>(i), a, b));
        // Rounded to T, a uniform may reach the open end of its interval.
        if (kind == Distribution::Uniform && value >= static_cast<T>(b))
          value = std::nextafter(static_cast<T>(b), static_cast<T>(a));
        to[cursor.offset()] = value;
        cursor.advance(1);
      }
    });
  });
}

}  // namespace ebb::cpu
