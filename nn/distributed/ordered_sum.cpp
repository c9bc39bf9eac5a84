#include "ebb/nn/distributed/ordered_sum.h"

#include <algorithm>
#include <cstring>
#include <span>

namespace ebb::distributed::detail {
namespace {

// Consecutive elements of a tensor that are part of a bucket.
template <class T> struct Piece {
  T* data;
  int64_t count;
};

// A bucket's slices have whole cache lines, because different ranks write them.
template <class T> int64_t slice_of(int64_t count, int ranks) {
  constexpr int64_t kLine = 64 / sizeof(T);
  return ((count + ranks - 1) / ranks + kLine - 1) / kLine * kLine;
}

// Calls each(data, at, count) for the parts of tensors that are elements [at, at + count) of a
// bucket, from `begin` to `end`.
template <class T, class Each>
void each_part(std::span<const Piece<T>> pieces, int64_t begin, int64_t end, Each&& each) {
  int64_t first = 0;  // of the piece in the bucket
  for (const Piece<T>& piece : pieces) {
    const int64_t from = std::max(begin, first), to = std::min(end, first + piece.count);
    if (from < to) each(piece.data + (from - first), from, to - from);
    first += piece.count;
  }
}

template <class T> void copy(const T* from, int64_t count, T* to) {
  std::memcpy(to, from, static_cast<size_t>(count) * sizeof(T));
}

// out = ((rows[0] + rows[1]) + ...) * scale. out may be one of the rows. A block of the sum stays
// in the cache while the rows are added to it.
template <class T>
void sum_rows(const std::vector<const T*>& rows, int64_t count, T scale, T* out) {
  constexpr int64_t kBlock = 1024;
  T sum[kBlock];
  for (int64_t first = 0; first < count; first += kBlock) {
    const int64_t n = std::min(kBlock, count - first);
    std::copy_n(rows[0] + first, n, sum);
    for (size_t r = 1; r < rows.size(); ++r) {
      const T* const row = rows[r] + first;
      for (int64_t i = 0; i < n; ++i) sum[i] += row[i];
    }
    for (int64_t i = 0; i < n; ++i) out[first + i] = sum[i] * scale;
  }
}

// A rank neither writes its own slice to shared memory before the sum nor reads it afterwards.
template <class T>
void sum_in_shared_memory(Communicator& engine, std::span<const Piece<T>> pieces, int64_t count,
                          const std::vector<std::byte*>& blocks, T scale) {
  const int64_t slice = slice_of<T>(count, engine.size());
  const auto own = static_cast<size_t>(engine.rank());
  const auto block = [&](size_t r) { return reinterpret_cast<T*>(blocks[r]); };
  const auto each_part_of_rank = [&](size_t r, auto&& each) {
    const int64_t begin = std::min(count, static_cast<int64_t>(r) * slice);
    each_part(pieces, begin, std::min(count, begin + slice), each);
  };
  for (size_t r = 0; r < blocks.size(); ++r) {
    if (r == own) continue;
    each_part_of_rank(r, [&](T* data, int64_t at, int64_t n) { copy(data, n, block(own) + at); });
  }
  engine.barrier();
  each_part_of_rank(own, [&](T* data, int64_t at, int64_t n) {
    std::vector<const T*> rows;
    for (size_t r = 0; r < blocks.size(); ++r) rows.push_back(r == own ? data : block(r) + at);
    sum_rows(rows, n, scale, data);
    // The others do not read this slice of the own block before the next barrier.
    copy(data, n, block(own) + at);
  });
  engine.barrier();
  for (size_t r = 0; r < blocks.size(); ++r) {
    if (r == own) continue;
    each_part_of_rank(r, [&](T* data, int64_t at, int64_t n) { copy(block(r) + at, n, data); });
  }
}

template <class T>
void sum_by_messages(Communicator& engine, std::span<const Piece<T>> pieces, int64_t count,
                     T scale) {
  const auto slice = static_cast<size_t>(slice_of<T>(count, engine.size()));
  const auto ranks = static_cast<size_t>(engine.size());
  const size_t bytes = slice * sizeof(T);
  std::vector<T> bucket(ranks * slice), received(ranks * slice);
  each_part(pieces, 0, count,
            [&](T* data, int64_t at, int64_t n) { copy(data, n, bucket.data() + at); });
  engine.all_to_all(reinterpret_cast<const std::byte*>(bucket.data()), bytes,
                    reinterpret_cast<std::byte*>(received.data()));
  std::vector<const T*> rows;
  for (size_t r = 0; r < ranks; ++r) rows.push_back(received.data() + r * slice);
  sum_rows(rows, static_cast<int64_t>(slice), scale, received.data());
  engine.all_gather(reinterpret_cast<const std::byte*>(received.data()), bytes,
                    reinterpret_cast<std::byte*>(bucket.data()));
  each_part(pieces, 0, count,
            [&](T* data, int64_t at, int64_t n) { copy(bucket.data() + at, n, data); });
}

template <class T>
void sum_bucket(Communicator& engine, std::span<const Piece<T>> pieces, int64_t count, T scale) {
  const size_t bytes = static_cast<size_t>(slice_of<T>(count, engine.size())) * sizeof(T);
  const std::vector<std::byte*> blocks =
      engine.shared_blocks(bytes * static_cast<size_t>(engine.size()));
  if (blocks.empty()) sum_by_messages(engine, pieces, count, scale);
  else sum_in_shared_memory(engine, pieces, count, blocks, scale);
}

template <class T>
void sum_of_dtype(Communicator& engine, const std::vector<Tensor>& tensors, T scale) {
  // Rounding up to slices of whole lines adds at most a line per rank.
  const int64_t most =
      static_cast<int64_t>(Communicator::kMostBytes / sizeof(T)) - int64_t{64} * engine.size();
  std::vector<Piece<T>> pieces;
  int64_t count = 0;
  const auto flush = [&] {
    if (count > 0) sum_bucket<T>(engine, pieces, count, scale);
    pieces.clear();
    count = 0;
  };
  for (const Tensor& tensor : tensors) {
    if (tensor.dtype() != dtype_of<T>) continue;
    T* const data = reinterpret_cast<T*>(tensor.raw());
    for (int64_t at = 0; at < tensor.numel();) {
      const int64_t n = std::min(tensor.numel() - at, most - count);
      pieces.push_back({data + at, n});
      at += n;
      count += n;
      if (count == most) flush();
    }
  }
  flush();
}

}  // namespace

void sum_over_ranks(Communicator& engine, const std::vector<Tensor>& tensors, double scale) {
  sum_of_dtype<float>(engine, tensors, static_cast<float>(scale));
  sum_of_dtype<double>(engine, tensors, scale);
}

}  // namespace ebb::distributed::detail
