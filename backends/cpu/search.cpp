// The positions of elements that are not 0, and of numbers in sorted rows.
//
// nonzero: the elements of each piece are counted first, and then each piece is written from its
// own start. The bounds of pieces do not depend on the number of threads. Traffic: two reads of the
// condition, one write. search_sorted: a binary search for each value.
#include <algorithm>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/host_device.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kChunk = 64 * 1024;

EBB_MULTIVERSION int64_t count_of(const uint8_t* x, int64_t n) {
  int64_t count = 0;
  // The sum of 128 bytes that are 0 or 1 fits a byte.
  for (int64_t begin = 0; begin < n; begin += 128) {
    const int64_t end = std::min(n, begin + 128);
    uint8_t part = 0;
    for (int64_t i = begin; i < end; ++i) part = static_cast<uint8_t>(part + x[i]);
    count += part;
  }
  return count;
}

}  // namespace

Tensor nonzero(const Tensor& condition) {
  const auto* x = reinterpret_cast<const uint8_t*>(condition.raw());  // bytes that are 0 or 1
  const int64_t n = condition.numel(), chunks = (n + kChunk - 1) / kChunk;
  const Temporary<int64_t> starts(chunks + 1);
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    starts[begin / kChunk] = count_of(x + begin, end - begin);
  });
  int64_t total = 0;
  for (int64_t c = 0; c < chunks; ++c) total += std::exchange(starts[c], total);
  Tensor out = empty({total}, {.dtype = DType::I64});
  auto* to = reinterpret_cast<int64_t*>(out.raw());
  starts[chunks] = total;
  parallel_for(n, kChunk, [&](int64_t begin, int64_t end) {
    const int64_t c = begin / kChunk;
    int64_t at = starts[c];
    const int64_t last = starts[c + 1];
    for (int64_t i = begin; i < end && at < last; ++i) {
      to[at] = i;  // the next element overwrites it unless x[i] is true
      at += x[i];
    }
  });
  return out;
}

void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values) {
  const int64_t n = sorted.shape().back(), count = values.shape().back();
  const auto* rows = reinterpret_cast<const double*>(sorted.raw());
  const auto* x = reinterpret_cast<const double*>(values.raw());
  auto* to = reinterpret_cast<int64_t*>(index.raw());
  parallel_for(values.numel(), 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double* row = rows + i / count * n;
      to[i] = std::upper_bound(row, row + n, x[i]) - row;
    }
  });
}

}  // namespace ebb::cpu
