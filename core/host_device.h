// Compiler-specific marks of functions and loops.
#pragma once

#include <version>

#ifndef __cpp_lib_source_location
#error "Ebb needs C++20 with std::source_location: g++ 12, clang 16, or newer"
#endif

// EBB_HD marks a function that is compiled for the host and, under nvcc, for the device. On the
// host it is always inlined: kernels are cloned for several instruction sets, and only code that is
// inlined into a clone uses its set.
#if defined(__CUDACC__)
#define EBB_HD __host__ __device__ __forceinline__
#else
#define EBB_HD [[gnu::always_inline]] inline
#endif

// EBB_INLINE, after the parameters of a lambda, does the same as EBB_HD on the host.
#define EBB_INLINE __attribute__((always_inline))

// EBB_UNROLL marks a loop of at most 4 iterations whose counter must be a constant in each
// iteration.
#if defined(__CUDACC__)
#define EBB_UNROLL _Pragma("unroll")
#else
#define EBB_UNROLL _Pragma("GCC unroll 4")
#endif

// EBB_MULTIVERSION compiles a CPU loop three times (baseline, AVX2 + FMA, AVX-512) and selects one
// when the program starts. It has no effect on other processors, with clang, and with
// ThreadSanitizer, which crashes in the resolver.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__) && \
    !defined(__SANITIZE_THREAD__)
#define EBB_MULTIVERSION [[gnu::target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")]]
#else
#define EBB_MULTIVERSION
#endif

// EBB_KERNEL marks a CPU loop that contains a formula, in the library or in a user's file. It
// includes EBB_MULTIVERSION, and vectorizes at -O1 and -O2 as at -O3. (At -O2, GCC 12 vectorizes
// only loops without a scalar tail.)
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define EBB_KERNEL [[gnu::optimize("tree-vectorize", "vect-cost-model=dynamic")]] EBB_MULTIVERSION
#else
#define EBB_KERNEL EBB_MULTIVERSION
#endif

// EBB_INDEPENDENT marks a loop whose iterations access different elements, although the pointers
// might alias. Clang checks this itself at run time.
#if defined(__clang__)
#define EBB_INDEPENDENT
#else
#define EBB_INDEPENDENT _Pragma("GCC ivdep")
#endif
