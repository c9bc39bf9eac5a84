#include "ebb/backends/cpu/gemm_kernels.h"

#include "ebb/backends/cpu/gemm_direct.h"
#include "ebb/backends/cpu/gemm_vector.h"

namespace ebb::cpu::detail {
namespace {

// Without this, GCC tuned for Zen (-march=native) uses FMA only in some tiles, whose values then
// differ.
#if defined(__x86_64__) && !defined(__clang__)
#define EBB_GENERIC_TUNING [[gnu::target("tune=generic")]]
#else
#define EBB_GENERIC_TUNING
#endif

/// The instruction set that the command line allows.
struct Baseline {
#if defined(__AVX512F__)
  static constexpr int kBytes = 64, kTileRows = 12;
#elif defined(__AVX2__) && defined(__FMA__)
  static constexpr int kBytes = 32, kTileRows = 6;
#else
  static constexpr int kBytes = 16, kTileRows = 6;
#endif
  template <auto Function, class... Args>
  EBB_GENERIC_TUNING [[gnu::noinline]] static void call(Args... args) {
    Function(args...);
  }
};

template <class Set, class T> constexpr GemmKernels<T> kernels_for(const char* isa) {
  using S = Simd<T, Set>;
  return {isa,
          Set::kTileRows,
          2 * S::kLanes,
          Set::template call<direct<S, T>, const Gemm<T>&>,
          Set::template call<dot<S, T>, const Gemm<T>&>,
          Set::template call<row<S, T>, const Gemm<T>&>,
          Set::template call<blocked<S, T>, const Gemm<T>&, const Blocking&, T*, T*>};
}

// If the command line names no instruction set, x86 also gets kernels for AVX2 + FMA and for
// AVX-512.
#if defined(__x86_64__) && !defined(__AVX2__)

struct Avx2 {
  static constexpr int kBytes = 32, kTileRows = 6;
  template <auto Function, class... Args>
  [[gnu::noinline, gnu::target("avx2,fma")]] static void call(Args... args) {
    Function(args...);
  }
};

struct Avx512 {
  static constexpr int kBytes = 64, kTileRows = 12;
  template <auto Function, class... Args>
  [[gnu::noinline, gnu::target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]] static void call(
      Args... args) {
    Function(args...);
  }
};

#endif

template <class T> GemmKernels<T> choose() {
#if defined(__x86_64__) && !defined(__AVX2__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? kernels_for<Avx512, T>("avx512") : kernels_for<Avx2, T>("avx2");
  }
#endif
  return kernels_for<Baseline, T>("baseline");
}

}  // namespace

template <class T> const GemmKernels<T>& gemm_kernels() {
  static const GemmKernels<T> kernels = choose<T>();
  return kernels;
}
template const GemmKernels<float>& gemm_kernels<float>();
template const GemmKernels<double>& gemm_kernels<double>();

}  // namespace ebb::cpu::detail
