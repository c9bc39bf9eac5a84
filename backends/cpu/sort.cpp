// Stable sorting along the middle axis of a contiguous (outer, n, inner), and the first k of it.
//
// Elements are mapped to unsigned keys of the same order; equal elements (0 and -0, all NaNs) have
// equal keys. Short rows: the pairs (key, position) are sorted by comparison. Long rows: radix sort
// of the pairs by digits of 8 bits, or of 11 bits where the row is long enough for larger tables;
// digits that are the same in all keys are skipped. A small k: a heap of the best k elements, where
// a block whose extreme is not a candidate is skipped after one comparison. Parallel over rows.
// Traffic: one pass over the pairs per digit.
#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/host_device.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kShort = 192;        // from this size on, radix sort is faster
constexpr int64_t kLong = 32 * 1024;   // from this size on, digits of 11 bits are faster
constexpr int64_t kChunk = 16 * 1024;  // elements that a thread processes at a time
constexpr int64_t kBlock = 64;         // elements whose best key is found with vectors

template <class T> using KeyOf = std::conditional_t<sizeof(T) == 8, uint64_t, uint32_t>;

/// Returns the key of x: keys compare as their elements do, and NaN is the largest.
template <class T> EBB_HD KeyOf<T> ascending_key(T x) {
  using Key = KeyOf<T>;
  if constexpr (std::numeric_limits<T>::has_quiet_NaN) {
    constexpr Key sign = Key(1) << (8 * sizeof(Key) - 1);
    const Key bits = std::bit_cast<Key>(x + T(0));  // -0 + 0 is 0
    const Key key = bits & sign ? ~bits : bits | sign;
    return x == x ? key : ~Key(0);
  } else if constexpr (std::is_same_v<T, int64_t>) {
    return static_cast<Key>(x) ^ (Key(1) << 63);
  } else {
    return static_cast<Key>(x);
  }
}

template <class Key> struct Pair {
  Key key;
  uint32_t position;
  // Compares key and position as one number.
  friend bool operator<(const Pair& a, const Pair& b) {
    if constexpr (sizeof(Key) == 4) {
      return (uint64_t{a.key} << 32 | a.position) < (uint64_t{b.key} << 32 | b.position);
    } else {
      return a.key != b.key ? a.key < b.key : a.position < b.position;
    }
  }
};

template <class T>
EBB_MULTIVERSION void make_keys(const T* x, int64_t n, int64_t stride, bool descending,
                                KeyOf<T>* keys) {
  const KeyOf<T> flip = descending ? ~KeyOf<T>(0) : KeyOf<T>(0);
  if (stride == 1) {
EBB_INDEPENDENT
    for (int64_t i = 0; i < n; ++i) keys[i] = ascending_key(x[i]) ^ flip;
  } else {
    for (int64_t i = 0; i < n; ++i) keys[i] = ascending_key(x[i * stride]) ^ flip;
  }
}

// Sorts by digits of kBits. Returns the one of the two arrays that contains the result.
template <int kBits, class Key> Pair<Key>* radix_sort(Pair<Key>* a, Pair<Key>* b, int64_t n) {
  constexpr int kDigits = (8 * static_cast<int>(sizeof(Key)) + kBits - 1) / kBits;
  constexpr uint32_t kValues = 1u << kBits, kMask = kValues - 1;
  const Temporary<uint32_t> counts(kDigits * int64_t{kValues});
  std::memset(counts.data(), 0, sizeof(uint32_t) * kDigits * kValues);
  for (int64_t i = 0; i < n; ++i) {
    Key key = a[i].key;
    for (int d = 0; d < kDigits; ++d) {
      ++counts[d * int64_t{kValues} + static_cast<int64_t>(key & kMask)];
      key = static_cast<Key>(key >> kBits);
    }
  }
  for (int d = 0; d < kDigits; ++d) {
    uint32_t* starts = counts.data() + d * int64_t{kValues};
    const int shift = d * kBits;
    if (starts[static_cast<uint32_t>(a[0].key >> shift) & kMask] == static_cast<uint32_t>(n))
      continue;  // all keys share this digit
    uint32_t at = 0;
    for (uint32_t v = 0; v < kValues; ++v) at += std::exchange(starts[v], at);
    for (int64_t i = 0; i < n; ++i) {
      const Pair<Key> pair = a[i];
      b[starts[static_cast<uint32_t>(pair.key >> shift) & kMask]++] = pair;
    }
    std::swap(a, b);
  }
  return a;
}

/// Memory for the pairs of one row, reused from row to row.
template <class Key> struct Scratch {
  explicit Scratch(int64_t n) : keys(n), pairs(n), more(n > kShort ? n : 0) {}
  Temporary<Key> keys;
  Temporary<Pair<Key>> pairs, more;
};

template <class T>
Pair<KeyOf<T>>* sort_row(const T* x, int64_t n, int64_t stride, bool descending,
                         Scratch<KeyOf<T>>& work) {
  make_keys(x, n, stride, descending, work.keys.data());
  Pair<KeyOf<T>>* pairs = work.pairs.data();
  for (int64_t i = 0; i < n; ++i) pairs[i] = {work.keys[i], static_cast<uint32_t>(i)};
  if (n <= kShort) {
    std::sort(pairs, pairs + n);
    return pairs;
  }
  return n < kLong ? radix_sort<8>(pairs, work.more.data(), n)
                   : radix_sort<11>(pairs, work.more.data(), n);
}

template <class Key> EBB_MULTIVERSION Key least_of(const Key* keys) {
  Key least = keys[0];
EBB_INDEPENDENT
  for (int64_t i = 1; i < kBlock; ++i) least = keys[i] < least ? keys[i] : least;
  return least;
}

// Finds the first k pairs, in order. heap: its top is the last of the best k pairs so far.
template <class T>
Pair<KeyOf<T>>* first_of_row(const T* x, int64_t n, int64_t stride, int64_t k, bool descending,
                             Scratch<KeyOf<T>>& work) {
  using Key = KeyOf<T>;
  const Key* keys = work.keys.data();
  make_keys(x, n, stride, descending, work.keys.data());
  Pair<Key>* heap = work.pairs.data();
  for (int64_t i = 0; i < k; ++i) heap[i] = {keys[i], static_cast<uint32_t>(i)};
  std::make_heap(heap, heap + k);
  const auto offer = [&](int64_t i) {
    if (keys[i] >= heap[0].key) return;  // an equal key that comes later is not better
    std::pop_heap(heap, heap + k);
    heap[k - 1] = {keys[i], static_cast<uint32_t>(i)};
    std::push_heap(heap, heap + k);
  };
  int64_t i = k;
  for (; i + kBlock <= n; i += kBlock) {
    if (least_of(keys + i) >= heap[0].key) continue;
    for (int64_t j = i; j < i + kBlock; ++j) offer(j);
  }
  for (; i < n; ++i) offer(i);
  std::sort_heap(heap, heap + k);
  return heap;
}

template <class T>
void sort_all(const T* x, T* values, int64_t* positions, RowsShape rows, int64_t k,
              bool descending) {
  const int64_t n = rows.n, inner = rows.inner;
  const bool few = k > 0 && k * 8 <= n;
  parallel_for(rows.outer * inner, std::max<int64_t>(1, kChunk / n),
               [&](int64_t begin, int64_t end) {
                 Scratch<KeyOf<T>> work(n);
                 for (int64_t row = begin; row < end; ++row) {
                   const int64_t o = row / inner, j = row % inner;
                   const T* from = x + o * n * inner + j;
                   const auto* pairs = few ? first_of_row(from, n, inner, k, descending, work)
                                           : sort_row(from, n, inner, descending, work);
                   const int64_t to = o * k * inner + j;
                   for (int64_t i = 0; i < k; ++i) {
                     const int64_t position = pairs[i].position;
                     positions[to + i * inner] = position;
                     values[to + i * inner] = from[position * inner];
                   }
                 }
               });
}

}  // namespace

void sort(Tensor& values, Tensor& positions, const Tensor& in, RowsShape rows, int64_t k,
          bool descending) {
  if (values.numel() == 0) return;
  if (rows.n > std::numeric_limits<uint32_t>::max())
    fail("sort", "expected at most 2^32 - 1 elements along the dim, got ", rows.n);
  dispatch_all(in.dtype(), [&]<class T>(T) {
    sort_all(reinterpret_cast<const T*>(in.raw()), reinterpret_cast<T*>(values.raw()),
             reinterpret_cast<int64_t*>(positions.raw()), rows, k, descending);
  });
}

}  // namespace ebb::cpu
