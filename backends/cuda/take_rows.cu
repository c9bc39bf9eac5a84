// Batches of a data loader: rows of tensors on the device, in the order of an epoch.
//
// One launch for both tensors of a batch. A thread moves up to 16 bytes of a row. Traffic: one read
// and one write. In a captured step the position in the order is on the device, and the block that
// finishes last advances it.
#include <numeric>

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/operands.h"
#include "ebb/backends/cuda/training.h"

namespace ebb::cuda {
namespace {

constexpr int kMostTensors = 2;

struct Part {
  const void* from;
  void* to;
  int64_t units;    // of a row
  int size;         // bytes of a unit in `from`
  bool scales;      // u8 to f32 in [0, 1]
  unsigned blocks;  // of the grid
};

struct Parts {
  Part part[kMostTensors];
};

template <class Unit> __device__ void copy_unit(const Part& p, int64_t to, int64_t from) {
  static_cast<Unit*>(p.to)[to] = static_cast<const Unit*>(p.from)[from];
}

template <int V> __device__ void scale_unit(const Part& p, int64_t to, int64_t from) {
  const auto pixels = static_cast<const Pack<uint8_t, V>*>(p.from)[from];
  Pack<float, V> scaled;
#pragma unroll
  for (int v = 0; v < V; ++v) scaled.v[v] = static_cast<float>(pixels.v[v]) / 255.0f;
  static_cast<Pack<float, V>*>(p.to)[to] = scaled;
}

__device__ void take_unit(const Part& p, int64_t to, int64_t from) {
  if (p.scales) return p.size == 4 ? scale_unit<4>(p, to, from) : scale_unit<1>(p, to, from);
  switch (p.size) {
    case 16: return copy_unit<Pack<uint64_t, 2>>(p, to, from);
    case 8: return copy_unit<uint64_t>(p, to, from);
    case 4: return copy_unit<uint32_t>(p, to, from);
    default: return copy_unit<uint8_t>(p, to, from);
  }
}

// position: of a captured step, or null. It advances by the rows taken.
__global__ void __launch_bounds__(kThreads)
    take_rows_kernel(const __grid_constant__ Parts parts, int64_t rows, const int64_t* order,
                     int64_t start, int64_t* position, unsigned* ticket) {
  await_previous();
  if (position) start = *position;
  const bool second = blockIdx.x >= parts.part[0].blocks;
  const Part& p = parts.part[second];
  const int64_t block = blockIdx.x - (second ? parts.part[0].blocks : 0);
  for (int64_t i = block * blockDim.x + threadIdx.x; i < rows * p.units;
       i += static_cast<int64_t>(p.blocks) * blockDim.x) {
    const int64_t row = i / p.units;
    take_unit(p, i, order[start + row] * p.units + i - row * p.units);
  }
  if (!position) return;
  __syncthreads();
  __threadfence();
  if (threadIdx.x == 0 && atomicAdd(ticket, 1u) == gridDim.x - 1) {  // all blocks have read it
    *ticket = 0;
    *position = start + rows;
  }
}

Part make_part(const Tensor& source, const Tensor& out, int64_t rows) {
  Part p{source.raw(), out.raw(), 0, 1, source.dtype() != out.dtype(), 0};
  const int64_t bytes = out.numel() / rows * static_cast<int64_t>(size_of(source.dtype()));
  if (is_aligned(p.from) && is_aligned(p.to))
    p.size = static_cast<int>(std::gcd(bytes, int64_t{p.scales ? 4 : 16}));
  if (p.size == 2 || (p.scales && p.size != 4)) p.size = 1;
  p.units = bytes / p.size;
  p.blocks = grid_for(rows * p.units).x;
  return p;
}

}  // namespace

void take_rows(std::span<const RowsTaken> tensors, const Tensor& order, const int64_t* position) {
  const int64_t rows = tensors[0].out->size(0);
  Parts parts{};
  unsigned blocks = 0;
  int count = 0;
  for (const auto& [source, out] : tensors) {
    if (out->numel() == 0) continue;
    parts.part[count] = make_part(*source, *out, rows);
    blocks += parts.part[count++].blocks;
  }
  if (count == 0) return;
  int64_t* captured = captured_position(position, rows, order.numel());
  launch_early(take_rows_kernel, dim3(blocks), kThreads, parts, rows,
               data_of<const int64_t>(&order), *position, captured, context().ticket);
}

}  // namespace ebb::cuda
