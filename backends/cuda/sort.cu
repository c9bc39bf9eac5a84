// Stable sorting along the middle axis of a contiguous (outer, n, inner), the positions of elements
// that are not 0, and the positions of numbers in sorted rows.
//
// Sorting: each element becomes a pair of a 64-bit key, which has the order of the elements, and
// its position. No two pairs are equal, so any sorting network is stable. Rows are padded to a
// power of two. One block sorts a row of at most kShared pairs in shared memory. Longer rows use
// bitonic steps in global memory, one launch each. Their traffic: the pairs twice per step, in
// log^2(n) / 2 steps.
#include <algorithm>
#include <bit>
#include <limits>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"

namespace ebb::cuda {
namespace {

constexpr int64_t kShared = 1024;

template <class T> __device__ uint64_t ascending_key(T x) {
  if constexpr (Real<T>) {
    const double wide = static_cast<double>(x) + 0.0;  // -0 + 0 is 0
    const uint64_t bits = __builtin_bit_cast(uint64_t, wide), sign = uint64_t{1} << 63;
    if (x != x) return ~uint64_t{0};
    return bits & sign ? ~bits : bits | sign;
  } else {
    return static_cast<uint64_t>(static_cast<int64_t>(x)) ^ (uint64_t{1} << 63);
  }
}

struct Pair {
  uint64_t key;
  int64_t place;
  __device__ bool comes_after(const Pair& other) const {
    return key != other.key ? key > other.key : place > other.place;
  }
};

// Returns pair i of row r. Pairs beyond n come last in the order.
template <class T>
__device__ Pair pair_of(const T* x, RowsShape rows, int64_t row, int64_t i, bool descending) {
  if (i >= rows.n) return {~uint64_t{0}, i};
  const T value = x[(row / rows.inner * rows.n + i) * rows.inner + row % rows.inner];
  const uint64_t key = ascending_key(value);
  return {descending ? ~key : key, i};
}

template <class T>
__device__ void put(const T* x, T* values, int64_t* places, RowsShape rows, int64_t row, int64_t i,
                    int64_t k, int64_t place) {
  const int64_t outer = row / rows.inner, column = row % rows.inner;
  const int64_t to = (outer * k + i) * rows.inner + column;
  places[to] = place;
  values[to] = x[(outer * rows.n + place) * rows.inner + column];
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    sort_short_kernel(const T* x, T* values, int64_t* places, RowsShape rows, int64_t k,
                      int64_t padded, bool descending) {
  __shared__ Pair pairs[kShared];
  for (int64_t row = blockIdx.x; row < rows.outer * rows.inner; row += gridDim.x) {
    for (int64_t i = threadIdx.x; i < padded; i += blockDim.x)
      pairs[i] = pair_of(x, rows, row, i, descending);
    __syncthreads();
    for (int64_t size = 2; size <= padded; size *= 2) {
      for (int64_t step = size / 2; step > 0; step /= 2) {
        for (int64_t i = threadIdx.x; i < padded; i += blockDim.x) {
          const int64_t other = i ^ step;
          if (other > i && pairs[i].comes_after(pairs[other]) == ((i & size) == 0)) {
            const Pair moved = pairs[i];
            pairs[i] = pairs[other];
            pairs[other] = moved;
          }
        }
        __syncthreads();
      }
    }
    for (int64_t i = threadIdx.x; i < k; i += blockDim.x)
      put(x, values, places, rows, row, i, k, pairs[i].place);
    __syncthreads();
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    make_pairs_kernel(const T* x, Pair* pairs, RowsShape rows, int64_t padded, bool descending) {
  for (int64_t i = first_item(); i < rows.outer * rows.inner * padded; i += item_step())
    pairs[i] = pair_of(x, rows, i / padded, i % padded, descending);
}

// One step of the network: compares pairs at distance `step` in runs of `size`. Row lengths are
// multiples of both.
__global__ void __launch_bounds__(kThreads)
    step_kernel(Pair* pairs, int64_t count, int64_t padded, int64_t size, int64_t step) {
  for (int64_t i = first_item(); i < count; i += item_step()) {
    const int64_t place = i % padded;
    if ((place ^ step) < place) continue;
    Pair& a = pairs[i];
    Pair& b = pairs[i + step];
    if (a.comes_after(b) == ((place & size) == 0)) {
      const Pair moved = a;
      a = b;
      b = moved;
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    take_pairs_kernel(const T* x, const Pair* pairs, T* values, int64_t* places, RowsShape rows,
                      int64_t k, int64_t padded) {
  for (int64_t i = first_item(); i < rows.outer * rows.inner * k; i += item_step())
    put(x, values, places, rows, i / k, i % k, k, pairs[i / k * padded + i % k].place);
}

// starts: running counts of the elements that are not 0.
__global__ void __launch_bounds__(kThreads)
    nonzero_kernel(const bool* x, const int64_t* counts, int64_t* out, int64_t n) {
  for (int64_t i = first_item(); i < n; i += item_step()) {
    if (x[i]) out[counts[i] - 1] = i;
  }
}

__global__ void __launch_bounds__(kThreads)
    search_kernel(const double* sorted, const double* values, int64_t* out, int64_t total,
                  int64_t count, int64_t n) {
  for (int64_t i = first_item(); i < total; i += item_step()) {
    const double* row = sorted + i / count * n;
    const double x = values[i];
    int64_t low = 0, high = n;  // the first element above x is in [low, high]
    while (low < high) {
      const int64_t middle = low + (high - low) / 2;
      if (row[middle] > x) high = middle;
      else low = middle + 1;
    }
    out[i] = low;
  }
}

}  // namespace

void sort(Tensor& values, Tensor& places, const Tensor& in, RowsShape rows, int64_t k,
          bool descending) {
  if (values.numel() == 0) return;
  const int64_t padded = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows.n)));
  const int64_t lists = rows.outer * rows.inner;
  dispatch_all(in.dtype(), [&]<class T>(T) {
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* to = reinterpret_cast<T*>(values.raw());
    int64_t* at = reinterpret_cast<int64_t*>(places.raw());
    if (padded <= kShared) {
      launch(sort_short_kernel<T>, grid_for(lists, 1), kThreads, x, to, at, rows, k, padded,
             descending);
      return;
    }
    const Tensor scratch =
        empty({lists * padded, 2}, {.dtype = DType::I64, .device = Device::cuda()});
    Pair* pairs = reinterpret_cast<Pair*>(scratch.raw());
    const dim3 grid = grid_for(lists * padded);
    launch(make_pairs_kernel<T>, grid, kThreads, x, pairs, rows, padded, descending);
    for (int64_t size = 2; size <= padded; size *= 2) {
      for (int64_t step = size / 2; step > 0; step /= 2)
        launch(step_kernel, grid, kThreads, pairs, lists * padded, padded, size, step);
    }
    launch(take_pairs_kernel<T>, grid_for(lists * k), kThreads, x, pairs, to, at, rows, k, padded);
  });
}

Tensor nonzero(const Tensor& condition) {
  const int64_t n = condition.numel();
  const TensorOptions indices{.dtype = DType::I64, .device = Device::cuda()};
  if (n == 0) return empty({0}, indices);
  Tensor ones = empty({n}, indices), counts = empty({n}, indices);
  copy(ones, make_view(condition, {n}, {1}));
  scan(ScanKind::Sum, counts, ones, nullptr, {1, n, 1}, false);
  int64_t total = 0;
  ebb::backend(Device::cuda())
      .copy_bytes(&total, Device::cpu(), reinterpret_cast<const int64_t*>(counts.raw()) + (n - 1),
                  Device::cuda(), sizeof total);
  Tensor out = empty({total}, indices);
  if (total == 0) return out;
  launch(nonzero_kernel, grid_for(n), kThreads, reinterpret_cast<const bool*>(condition.raw()),
         reinterpret_cast<const int64_t*>(counts.raw()), reinterpret_cast<int64_t*>(out.raw()), n);
  return out;
}

void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values) {
  if (values.numel() == 0) return;
  launch(search_kernel, grid_for(values.numel()), kThreads,
         reinterpret_cast<const double*>(sorted.raw()),
         reinterpret_cast<const double*>(values.raw()), reinterpret_cast<int64_t*>(index.raw()),
         values.numel(), values.shape().back(), sorted.shape().back());
}

}  // namespace ebb::cuda
