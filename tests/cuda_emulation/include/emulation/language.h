// The extensions of nvcc for a host compiler: attributes, vector types, built-in variables,
// barriers, warp collectives, atomics and intrinsics. Barriers and collectives call the scheduler
// (block.cpp). One thread runs at a time, so atomics are plain operations.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <source_location>
#include <type_traits>

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
// One block runs at a time, so shared memory is a static variable. The attribute puts it into its
// own section, where it is found and overwritten before each block.
#if __has_attribute(noinit)
#define __shared__ static __attribute__((noinit))
#else
#define __shared__ static
#endif
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)

// ---- vector types  ----
struct alignas(8) float2 {
  float x, y;
};
struct float3 {
  float x, y, z;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
struct alignas(8) int2 {
  int x, y;
};
struct int3 {
  int x, y, z;
};
struct alignas(16) int4 {
  int x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(16) longlong2 {
  long long x, y;
};
struct alignas(16) ulonglong2 {
  unsigned long long x, y;
};

inline float2 make_float2(float x, float y) { return {x, y}; }
inline float3 make_float3(float x, float y, float z) { return {x, y, z}; }
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
inline double2 make_double2(double x, double y) { return {x, y}; }
inline int2 make_int2(int x, int y) { return {x, y}; }
inline int3 make_int3(int x, int y, int z) { return {x, y, z}; }
inline int4 make_int4(int x, int y, int z, int w) { return {x, y, z, w}; }
inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint3 make_uint3(unsigned x, unsigned y, unsigned z) { return {x, y, z}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }
inline longlong2 make_longlong2(long long x, long long y) { return {x, y}; }
inline ulonglong2 make_ulonglong2(unsigned long long x, unsigned long long y) { return {x, y}; }

struct dim3 {
  unsigned x, y, z;
  constexpr dim3(unsigned vx = 1, unsigned vy = 1, unsigned vz = 1) : x(vx), y(vy), z(vz) {}
  constexpr dim3(uint3 v) : x(v.x), y(v.y), z(v.z) {}
  constexpr operator uint3() const { return {x, y, z}; }
};

// ---- built-in variables, set by the scheduler, which runs one kernel at a time ----
extern uint3 threadIdx, blockIdx;
extern dim3 blockDim, gridDim;
inline constexpr int warpSize = 32;

// ---- barriers and warp collectives  ----
namespace ebb::emulation {
void await_previous_kernels();

using Where = std::source_location;

// Waits for every thread of the block. All must wait at the same line of the source.
void block_barrier(Where where);

enum class Exchange : std::uint8_t { kSync, kShuffle, kBallot };

// Waits for the lanes of `mask`. Returns nothing (kSync), the `value` of lane `source` (kShuffle),
// or the mask of the lanes whose value is not 0 (kBallot).
std::uint64_t warp_exchange(Exchange kind, unsigned mask, int source, std::uint64_t value,
                            Where where);

int lane();
unsigned active_lanes();

template <typename T> T shuffle(unsigned mask, T value, int source, Where where) {
  static_assert(std::is_arithmetic_v<T> && (sizeof(T) == 4 || sizeof(T) == 8),
                "a shuffle moves 4 or 8 bytes");
  std::uint64_t bits = 0;
  std::memcpy(&bits, &value, sizeof(T));
  bits = warp_exchange(Exchange::kShuffle, mask, source, bits, where);
  std::memcpy(&value, &bits, sizeof(T));
  return value;
}

// A shuffle within segments of `width` lanes. A source outside of the segment means the lane
// itself.
inline int within_segment(int source, int width) {
  return source / width == lane() / width && source >= 0 ? source : lane();
}

}  // namespace ebb::emulation

inline void __syncthreads(ebb::emulation::Where where = ebb::emulation::Where::current()) {
  ebb::emulation::block_barrier(where);
}
inline void __syncwarp(unsigned mask = 0xffffffffu,
                       ebb::emulation::Where where = ebb::emulation::Where::current()) {
  ebb::emulation::warp_exchange(ebb::emulation::Exchange::kSync, mask, 0, 0, where);
}
template <typename T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              ebb::emulation::Where where = ebb::emulation::Where::current()) {
  const int segment = ebb::emulation::lane() / width * width;
  return ebb::emulation::shuffle(mask, value, segment + (source & (width - 1)), where);
}
template <typename T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 ebb::emulation::Where where = ebb::emulation::Where::current()) {
  const int source = ebb::emulation::lane() - static_cast<int>(delta);
  return ebb::emulation::shuffle(mask, value, ebb::emulation::within_segment(source, width), where);
}
template <typename T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   ebb::emulation::Where where = ebb::emulation::Where::current()) {
  const int source = ebb::emulation::lane() + static_cast<int>(delta);
  return ebb::emulation::shuffle(mask, value, ebb::emulation::within_segment(source, width), where);
}
// Unlike the two above, a lane may read from an earlier segment here, as in the CUDA guide.
template <typename T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  ebb::emulation::Where where = ebb::emulation::Where::current()) {
  const int source = ebb::emulation::lane() ^ lane_mask;
  const bool later = source / width > ebb::emulation::lane() / width;
  return ebb::emulation::shuffle(mask, value, later ? ebb::emulation::lane() : source, where);
}
inline unsigned __ballot_sync(unsigned mask, int predicate,
                              ebb::emulation::Where where = ebb::emulation::Where::current()) {
  using ebb::emulation::Exchange;
  return static_cast<unsigned>(
      ebb::emulation::warp_exchange(Exchange::kBallot, mask, 0, predicate != 0, where));
}
inline int __any_sync(unsigned mask, int predicate,
                      ebb::emulation::Where where = ebb::emulation::Where::current()) {
  return __ballot_sync(mask, predicate, where) != 0;
}
inline int __all_sync(unsigned mask, int predicate,
                      ebb::emulation::Where where = ebb::emulation::Where::current()) {
  return __ballot_sync(mask, predicate, where) == mask;
}
inline unsigned __activemask() { return ebb::emulation::active_lanes(); }

inline void __threadfence() {}
inline void __threadfence_block() {}
inline void __threadfence_system() {}

// ---- atomics  ----
namespace ebb::emulation {

template <typename T, typename F> T exchange_with(T* address, F f) {
  const T old = *address;
  *address = f(old);
  return old;
}
template <typename T, typename... Allowed>
concept OneOf = (std::is_same_v<T, Allowed> || ...);
template <typename T>
concept AtomicInteger = OneOf<T, int, unsigned, unsigned long long>;

}  // namespace ebb::emulation

template <typename T>
requires ebb::emulation::AtomicInteger<T> || ebb::emulation::OneOf<T, float, double> T
atomicAdd(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T old) {
    if constexpr (std::is_same_v<T, int>)
      return static_cast<int>(static_cast<unsigned>(old) + static_cast<unsigned>(value));
    else return old + value;
  });
}
template <ebb::emulation::AtomicInteger T>
T atomicCAS(T* address, std::type_identity_t<T> expected, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address,
                                       [=](T old) { return old == expected ? value : old; });
}
template <typename T>
requires ebb::emulation::AtomicInteger<T> || ebb::emulation::OneOf<T, float> T
atomicExch(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T) { return value; });
}
template <typename T>
requires ebb::emulation::AtomicInteger<T> || ebb::emulation::OneOf<T, long long> T
atomicMax(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T old) { return old < value ? value : old; });
}
template <typename T>
requires ebb::emulation::AtomicInteger<T> || ebb::emulation::OneOf<T, long long> T
atomicMin(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T old) { return value < old ? value : old; });
}
template <ebb::emulation::AtomicInteger T> T atomicOr(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T old) { return old | value; });
}
template <ebb::emulation::AtomicInteger T> T atomicAnd(T* address, std::type_identity_t<T> value) {
  return ebb::emulation::exchange_with(address, [=](T old) { return old & value; });
}
// Counts up to `last`, then restarts from 0.
inline unsigned atomicInc(unsigned* address, unsigned last) {
  return ebb::emulation::exchange_with(address,
                                       [=](unsigned old) { return old >= last ? 0 : old + 1; });
}

// ---- loads, stores and arithmetic  ----
inline void cudaTriggerProgrammaticLaunchCompletion() {}  // kernels run one after the other
// Returns at once, because earlier kernels have ended. A kernel that is launched to start early
// must call it in every thread.
inline void cudaGridDependencySynchronize() { ebb::emulation::await_previous_kernels(); }

template <typename T> T __ldg(const T* p) { return *p; }
template <typename T> T __ldcs(const T* p) { return *p; }
template <typename T> T __ldcg(const T* p) { return *p; }
template <typename T> T __ldca(const T* p) { return *p; }
template <typename T> void __stcs(T* p, std::type_identity_t<T> value) { *p = value; }
template <typename T> void __stcg(T* p, std::type_identity_t<T> value) { *p = value; }
template <typename T> void __stwt(T* p, std::type_identity_t<T> value) { *p = value; }

inline int __float_as_int(float x) { return std::bit_cast<int>(x); }
inline unsigned __float_as_uint(float x) { return std::bit_cast<unsigned>(x); }
inline float __int_as_float(int x) { return std::bit_cast<float>(x); }
inline float __uint_as_float(unsigned x) { return std::bit_cast<float>(x); }
inline long long __double_as_longlong(double x) { return std::bit_cast<long long>(x); }
inline double __longlong_as_double(long long x) { return std::bit_cast<double>(x); }

inline unsigned __umulhi(unsigned a, unsigned b) {
  return static_cast<unsigned>((std::uint64_t{a} * b) >> 32);
}
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return static_cast<unsigned long long>((static_cast<unsigned __int128>(a) * b) >> 64);
}
inline int __popc(unsigned x) { return std::popcount(x); }
inline int __popcll(unsigned long long x) { return std::popcount(x); }
inline int __clz(int x) { return std::countl_zero(static_cast<unsigned>(x)); }
inline int __clzll(long long x) { return std::countl_zero(static_cast<unsigned long long>(x)); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }

inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
inline double __fma_rn(double a, double b, double c) { return std::fma(a, b, c); }
inline float __fdividef(float a, float b) { return a / b; }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }

template <typename T>
requires std::is_arithmetic_v<T>
constexpr T min(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return std::fmin(a, b);
  else return b < a ? b : a;
}
template <typename T>
requires std::is_arithmetic_v<T>
constexpr T max(T a, T b) {
  if constexpr (std::is_floating_point_v<T>) return std::fmax(a, b);
  else return a < b ? b : a;
}
