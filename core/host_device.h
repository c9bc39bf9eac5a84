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
