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

template <class T> void pack(std::span<const Piece<T>> pieces, T* to) {
  for (const Piece<T>& piece : pieces) {
    std::memcpy(to, piece.data, static_cast<size_t>(piece.count) * sizeof(T));
    to += piece.count;
  }
}

// Reads element i of a bucket from slices[i / slice].
template <class T>
void unpack(std::span<const Piece<T>> pieces, const std::vector<const T*>& slices, int64_t slice) {
  int64_t at = 0;
  for (const Piece<T>& piece : pieces) {
    for (int64_t done = 0; done < piece.count;) {
      const int64_t of = at / slice, inside = at % slice;
      const int64_t n = std::min(piece.count - done, slice - inside);
      std::memcpy(piece.data + done, slices[static_cast<size_t>(of)] + inside,
                  static_cast<size_t>(n) * sizeof(T));
      done += n;
      at += n;
    }
  }
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

template <class T>
void sum_in_shared_memory(Communicator& engine, std::span<const Piece<T>> pieces, int64_t count,
                          const std::vector<std::byte*>& blocks, T scale) {
  const int64_t slice = slice_of<T>(count, engine.size());
  const int64_t begin = std::min(count, engine.rank() * slice);
  const int64_t end = std::min(count, begin + slice);
  const auto block = [&](size_t r) { return reinterpret_cast<T*>(blocks[r]); };
  std::vector<const T*> rows, results;
  for (size_t r = 0; r < blocks.size(); ++r) {
    rows.push_back(block(r) + begin);
    results.push_back(block(r) + static_cast<int64_t>(r) * slice);
  }
  T* const own = block(static_cast<size_t>(engine.rank()));
  pack(pieces, own);
  engine.barrier();
  // No other rank reads this slice of the own block before the second barrier.
  sum_rows(rows, end - begin, scale, own + begin);
  engine.barrier();
  unpack(pieces, results, slice);
}

template <class T>
void sum_by_messages(Communicator& engine, std::span<const Piece<T>> pieces, int64_t count,
                     T scale) {
  const int64_t slice = slice_of<T>(count, engine.size());
  const auto ranks = static_cast<size_t>(engine.size());
  const size_t bytes = static_cast<size_t>(slice) * sizeof(T);
  std::vector<T> sent(ranks * static_cast<size_t>(slice)), received(sent.size());
  pack(pieces, sent.data());
  engine.all_to_all(reinterpret_cast<const std::byte*>(sent.data()), bytes,
                    reinterpret_cast<std::byte*>(received.data()));
  std::vector<const T*> rows, results;
  for (size_t r = 0; r < ranks; ++r) {
    rows.push_back(received.data() + r * static_cast<size_t>(slice));
    results.push_back(sent.data() + r * static_cast<size_t>(slice));
  }
  sum_rows(rows, slice, scale, received.data());
  engine.all_gather(reinterpret_cast<const std::byte*>(received.data()), bytes,
                    reinterpret_cast<std::byte*>(sent.data()));
  unpack(pieces, results, slice);
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
