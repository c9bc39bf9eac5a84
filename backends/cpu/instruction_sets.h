// The instruction sets that kernels in vector extensions are compiled for, and the choice between
// them at startup. A table of kernels instead of EBB_MULTIVERSION, where the number of registers or
// the width of vectors matters to the code.
//
// A set has the size of its vectors in bytes (kBytes), the rows of the tile of large products
// (kTileRows), the number of its vector registers (kRegisters), and call<f>(arguments...), which
// calls an inline function f compiled for the set.
#pragma once

namespace ebb::cpu::detail {

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
  static constexpr int kBytes = 64, kTileRows = 12, kRegisters = 32;
#elif defined(__AVX2__) && defined(__FMA__)
  static constexpr int kBytes = 32, kTileRows = 6, kRegisters = 16;
#else
  static constexpr int kBytes = 16, kTileRows = 6, kRegisters = 16;
#endif
  template <auto Function, class... Args>
  EBB_GENERIC_TUNING [[gnu::noinline]] static void call(Args... args) {
    Function(args...);
  }
};

// If the command line names no instruction set, x86 also gets kernels for AVX2 + FMA and for
// AVX-512.
#if defined(__x86_64__) && !defined(__AVX2__)
#define EBB_INSTRUCTION_SETS 1

struct Avx2 {
  static constexpr int kBytes = 32, kTileRows = 6, kRegisters = 16;
  template <auto Function, class... Args>
  [[gnu::noinline, gnu::target("avx2,fma")]] static void call(Args... args) {
    Function(args...);
  }
};

struct Avx512 {
  static constexpr int kBytes = 64, kTileRows = 12, kRegisters = 32;
  template <auto Function, class... Args>
  [[gnu::noinline, gnu::target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]] static void call(
      Args... args) {
    Function(args...);
  }
};

#endif

/// Returns make<Set>("name") for the best instruction set of this processor.
template <class Make> auto for_this_processor(Make make) {
#ifdef EBB_INSTRUCTION_SETS
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    return avx512 ? make.template operator()<Avx512>("avx512")
                  : make.template operator()<Avx2>("avx2");
  }
#endif
  return make.template operator()<Baseline>("baseline");
}

}  // namespace ebb::cpu::detail
