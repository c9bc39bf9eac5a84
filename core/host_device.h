// The marks that shared headers need from a compiler.
#pragma once

// EBB_HD marks a function that is compiled for the host and, under nvcc, for the device. On the host it is always
// inlined: a kernel is cloned for several instruction sets, and only what is inlined into a clone profits from it.
#if defined(__CUDACC__)
#define EBB_HD __host__ __device__ __forceinline__
#else
#define EBB_HD [[gnu::always_inline]] inline
#endif

// EBB_INLINE after the parameters of a lambda: as EBB_HD, of the host.
#define EBB_INLINE __attribute__((always_inline))

// EBB_UNROLL before a loop of at most 4 turns whose counter must be a constant in each of them.
#if defined(__CUDACC__)
#define EBB_UNROLL _Pragma("unroll")
#else
#define EBB_UNROLL _Pragma("GCC unroll 4")
#endif

// EBB_MULTIVERSION compiles a CPU loop three times (baseline, AVX2 + FMA, AVX-512) and picks one when the program
// starts. Off where the mechanism (ifunc) is missing or breaks: other processors, clang, and ThreadSanitizer, which
// crashes in the resolver.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__) && \
    !defined(__SANITIZE_THREAD__)
#define EBB_MULTIVERSION [[gnu::target_clones("default", "arch=x86-64-v3", "arch=x86-64-v4")]]
#else
#define EBB_MULTIVERSION
#endif

// EBB_KERNEL marks a CPU loop that a formula is compiled into, in the library or in a user's file: EBB_MULTIVERSION, and
// vectorised at -O1 and -O2 as at -O3. (GCC 12 vectorises at -O2 only what costs nothing, which such loops never are.)
#if defined(__GNUC__) && !defined(__clang__) && !defined(__CUDACC__)
#define EBB_KERNEL [[gnu::optimize("tree-vectorize", "vect-cost-model=dynamic")]] EBB_MULTIVERSION
#else
#define EBB_KERNEL EBB_MULTIVERSION
#endif

// EBB_INDEPENDENT before a loop whose turns touch different elements, whatever the pointers look like. Clang finds out by
// itself, at run time, where it can.
#if defined(__clang__)
#define EBB_INDEPENDENT
#else
#define EBB_INDEPENDENT _Pragma("GCC ivdep")
#endif
