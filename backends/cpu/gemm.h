// Matrix products on the CPU: one description, one dispatcher, and the paths behind it.
//
// Thread-safety: every function may be called from any number of threads at once. Packing buffers and oneDNN
// primitives belong to the calling thread; they grow to the largest size seen and are reused, so that a repeated
// product allocates nothing in our code.
// Threads: products above a work threshold are split over m and n, never over k, by an OpenMP team of at most
// omp_get_max_threads(); inside a parallel region of the caller they stay on the calling thread.
#pragma once

#include <cstdint>

namespace ebb::cpu {

/// C (m, n) = A (m, k) B (k, n) [+ C] [+ bias (n)] [then relu]; every operand by element strides, C has unit column
/// stride. Strides may be 0 or anything else that stays in bounds, except that the rows of C must not overlap.
/// REQUIRES: C overlaps neither A, B nor bias. With k = 0 the product is 0. NaN and infinity propagate as in the naive
/// triple loop (0 * inf = NaN), and relu keeps NaN. Only the (m, n) elements of C are written.
template <class T> struct Gemm {
  int64_t m, n, k;
  const T* a;  // A[i, p] = a[i * a_row + p * a_col]
  int64_t a_row, a_col;
  const T* b;  // B[p, j] = b[p * b_row + j * b_col]
  int64_t b_row, b_col;
  T* c;  // C[i, j] = c[i * c_row + j]
  int64_t c_row;
  bool accumulate = false;  // C is added to the product
  const T* bias = nullptr;  // (n), or null
  bool relu = false;        // applied last
};

/// The product by the fastest path for its shape: f32 of ordinary layer size by oneDNN when Ebb is built with it,
/// everything else by our own kernels. The path never depends on the number of threads.
void gemm(const Gemm<float>& g);
void gemm(const Gemm<double>& g);

/// Our own kernels, for any shape, strides and type; the result does not depend on the number of threads, bit for bit.
template <class T> void own_gemm(const Gemm<T>& g);

// The parts of own_gemm, each correct for every shape and stride unless it says otherwise; one of them may be far
// slower than another on a given product. For tests and benchmarks.

/// On the calling thread, A read in place and B packed, where needed, into a stack buffer: small products, and m or n
/// of a few.
template <class T> void direct_gemm(const Gemm<T>& g);

/// Packed and cache-blocked, on `threads` threads (fewer when the product has fewer tiles).
template <class T> void packed_gemm(const Gemm<T>& g, int threads);

/// Dot products along k, on the calling thread: a few rows or columns against a matrix whose rows run along k.
/// REQUIRES: a_col = 1 and b_row = 1.
template <class T> void dot_gemm(const Gemm<T>& g);

/// A row vector times a matrix with contiguous rows, streamed once, on the calling thread.
/// REQUIRES: m = 1 and b_col = 1.
template <class T> void row_gemm(const Gemm<T>& g);

/// "avx512", "avx2" or "baseline": the instruction set that our kernels run with.
const char* gemm_isa();

}  // namespace ebb::cpu
