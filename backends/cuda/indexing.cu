// gather, scatter_add, and checks of indices and values.
//
// gather: one thread per index. scatter_add: a thread or a warp processes all indices along dim at
// one position of the other dims, in order. The order of additions, and therefore the result, is
// always the same, without atomics. If there are few positions and many indices, several warps
// share a position, and each handles a range of the result. An index out of range, which
// check_indices has noted, gives NaN in gather, and is skipped in scatter_add. Traffic: source and
// result once; the index once, or once per warp that shares a position, mostly from the cache.
#include <algorithm>
#include <limits>

#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/faults.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

struct Walk {
  Space space;  // the space of the index; for scatter_add without dim
  Strides index, other, x;
  int64_t x_step, limit;                  // along dim of the indexed tensor
  int64_t count, index_step, other_step;  // scatter_add: along dim
};

template <class T> __device__ T missing() {
  if constexpr (Real<T>) return std::numeric_limits<T>::quiet_NaN();
  else return T(0);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    gather_kernel(const __grid_constant__ Walk w, T* out, const T* in, const int64_t* index) {
  for (int64_t i = first_item(); i < w.space.numel; i += item_step()) {
    const int64_t at = index[offset_of(w.space, w.index, i)];
    const bool valid = at >= 0 && at < w.limit;
    out[offset_of(w.space, w.other, i)] =
        valid ? in[offset_of(w.space, w.x, i) + at * w.x_step] : missing<T>();
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    scatter_thread_kernel(const __grid_constant__ Walk w, T* out, const T* src,
                          const int64_t* index) {
  for (int64_t j = first_item(); j < w.space.numel; j += item_step()) {
    T* to = out + offset_of(w.space, w.x, j);
    const int64_t* at = index + offset_of(w.space, w.index, j);
    const T* from = src + offset_of(w.space, w.other, j);
    for (int64_t k = 0; k < w.count; ++k) {
      const int64_t i = at[k * w.index_step];
      if (i >= 0 && i < w.limit) to[i * w.x_step] += from[k * w.other_step];
    }
  }
}

// Does the same with warps. Each reads all indices of a position, 32 at a time, and handles those
// in its range of the result. The first of the lanes with the same index adds for all of them, in
// order.
template <class T>
__global__ void __launch_bounds__(kThreads)
    scatter_warp_kernel(const __grid_constant__ Walk w, int64_t parts, int64_t length, T* out,
                        const T* src, const int64_t* index) {
  constexpr int kAhead = 4;  // reads in flight; most find no index of this range
  const int lane = static_cast<int>(threadIdx.x) % kWarp,
            teams = static_cast<int>(blockDim.x) / kWarp;
  for (int64_t team =
           static_cast<int64_t>(blockIdx.x) * teams + static_cast<int>(threadIdx.x) / kWarp;
       team < w.space.numel * parts; team += static_cast<int64_t>(gridDim.x) * teams) {
    const int64_t j = team / parts, low = team % parts * length,
                  high = low + length < w.limit ? low + length : w.limit;
    T* to = out + offset_of(w.space, w.x, j);
    const int64_t* at = index + offset_of(w.space, w.index, j);
    const T* from = src + offset_of(w.space, w.other, j);
    for (int64_t first = 0; first < w.count; first += kAhead * kWarp) {
      int64_t mine[kAhead];
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        const int64_t k = first + a * kWarp + lane;
        mine[a] = k < w.count ? at[k * w.index_step] : -1;
      }
#pragma unroll
      for (int a = 0; a < kAhead; ++a) {
        const int64_t i = mine[a];
        const bool takes = i >= low && i < high;
        const unsigned taken = __ballot_sync(kAllLanes, takes);
        if (taken == 0) continue;  // the same for all lanes
        const T value = takes ? from[(first + a * kWarp + lane) * w.other_step] : T(0);
        T sum = takes ? to[i * w.x_step] : T(0);
        bool leads = takes;
        for (unsigned left = taken; left != 0; left &= left - 1) {
          const int lane_of = __ffs(static_cast<int>(left)) - 1;
          const int64_t other = __shfl_sync(kAllLanes, i, lane_of);
          const T addend = __shfl_sync(kAllLanes, value, lane_of);
          if (other != i) continue;
          if (lane_of < lane) leads = false;
          sum += addend;
        }
        __syncwarp(kAllLanes);
        if (leads) to[i * w.x_step] = sum;
        __syncwarp(kAllLanes);
      }
    }
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    check_indices_kernel(const __grid_constant__ Space space,
                         const __grid_constant__ Strides strides, const T* index, bool has_ignored,
                         int64_t ignored, Fault fault, FaultNote where) {
  for (int64_t i = first_item(); i < space.numel; i += item_step()) {
    const auto at = static_cast<int64_t>(index[offset_of(space, strides, i)]);
    if ((at >= 0 && at < fault.limit) || (has_ignored && at == ignored)) continue;
    fault.index = at;
    fault.position = i;
    note(where, fault);
  }
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    check_values_kernel(const __grid_constant__ Space space,
                        const __grid_constant__ Strides strides, const T* x, double low,
                        double high, bool nan, Fault fault, FaultNote where) {
  for (int64_t i = first_item(); i < space.numel; i += item_step()) {
    const auto value = static_cast<double>(x[offset_of(space, strides, i)]);
    if ((value >= low && value <= high) || (nan && value != value)) continue;
    fault.value = value;
    fault.position = i;
    note(where, fault);
  }
}

}  // namespace

void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) {
  if (index.numel() == 0) return;
  Walk w{};
  Shape shape = index.shape(), strides[3] = {index.strides(), out.strides(), in.strides()};
  w.limit = 1;
  if (shape.dim() > 0) {
    w.limit = in.shape()[dim];
    w.x_step = strides[2][dim];
    strides[2][dim] = 0;
  }
  Strides steps[3];
  w.space = make_space(shape, strides, 3, steps);
  w.index = steps[0], w.other = steps[1], w.x = steps[2];
  dispatch_all(in.dtype(), [&]<class T>(T) {
    launch(gather_kernel<T>, grid_for(w.space.numel), kThreads, w, reinterpret_cast<T*>(out.raw()),
           reinterpret_cast<const T*>(in.raw()), reinterpret_cast<const int64_t*>(index.raw()));
  });
}

void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) {
  if (index.numel() == 0) return;
  Walk w{};
  Shape shape = index.shape(), strides[3] = {index.strides(), src.strides(), out.strides()};
  w.limit = w.count = 1;
  if (shape.dim() > 0) {
    w.limit = out.shape()[dim];
    w.count = shape[dim];
    w.index_step = strides[0][dim], w.other_step = strides[1][dim], w.x_step = strides[2][dim];
    shape.erase(dim);
    for (Shape& s : strides) s.erase(dim);
  }
  Strides steps[3];
  w.space = make_space(shape, strides, 3, steps);
  w.index = steps[0], w.other = steps[1], w.x = steps[2];
  dispatch_floating(src.dtype(), [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(out.raw());
    const T* from = reinterpret_cast<const T*>(src.raw());
    const int64_t* at = reinterpret_cast<const int64_t*>(index.raw());
    if (w.count < kWarp) {
      launch(scatter_thread_kernel<T>, grid_for(w.space.numel), kThreads, w, to, from, at);
      return;
    }
    // An additional warp, which reads all indices again, pays off if there are many indices and
    // idle warps.
    const int64_t spare = int64_t{context().multiprocessors} * 32 / w.space.numel;
    const int64_t parts =
        std::clamp<int64_t>(std::min(spare, w.count / 1024), 1, std::max<int64_t>(w.limit, 1));
    const int64_t length = (w.limit + parts - 1) / parts;
    launch(scatter_warp_kernel<T>, grid_for(w.space.numel * parts, kThreads / kWarp), kThreads, w,
           parts, length, to, from, at);
  });
}

void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                   std::optional<int64_t> ignored) {
  if (index.numel() == 0) return;
  Shape strides = index.strides();
  Strides steps;
  const Space space = make_space(index.shape(), &strides, 1, &steps);
  Fault fault = fault_of(op);
  fault.limit = limit;
  dispatch_all(index.dtype(), [&]<class T>(T) {
    launch(check_indices_kernel<T>, grid_for(space.numel), kThreads, space, steps,
           reinterpret_cast<const T*>(index.raw()), ignored.has_value(), ignored.value_or(0), fault,
           fault_note());
  });
}

void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) {
  if (values.numel() == 0) return;
  Shape strides = values.strides();
  Strides steps;
  const Space space = make_space(values.shape(), &strides, 1, &steps);
  Fault fault = fault_of(op);
  fault.text = rule.text.data();
  fault.text_length = static_cast<uint32_t>(rule.text.size());
  dispatch_all(values.dtype(), [&]<class T>(T) {
    launch(check_values_kernel<T>, grid_for(space.numel), kThreads, space, steps,
           reinterpret_cast<const T*>(values.raw()), rule.low, rule.high, rule.allows_nan, fault,
           fault_note());
  });
}

}  // namespace ebb::cuda
