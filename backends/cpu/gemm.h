// Matrix products on the CPU: the description of a product, a dispatcher, and the implementations.
//
// Thread-safety: every function may be called from any number of threads at once. Packing buffers
// and oneDNN primitives belong to the calling thread. They grow to the largest size needed and are
// reused, so a repeated product allocates nothing in Ebb's code.
//
// Parallelism: products above a work threshold are split over m and n, and never over k, by an
// OpenMP team of at most omp_get_max_threads(). Inside a parallel region they run on the calling
// thread.
#pragma once

#include <cstdint>

namespace ebb::cpu {

/// A matrix product: C (m, n) = A (m, k) B (k, n) [+ C] [+ bias (n)] [then relu].
///
/// All operands are described by element strides; the columns of C have stride 1. Strides may be 0
/// or any other value that stays in bounds, but the rows of C must not overlap. REQUIRES: C
/// overlaps neither A, B nor bias. If k = 0, the product is 0. NaN and infinity propagate as in the
/// naive triple loop (0 * inf = NaN), and relu keeps NaN. Only the (m, n) elements of C are
/// written.
template <class T> struct Gemm {
  int64_t m, n, k;
  const T* a;  // A[i, p] = a[i * a_row + p * a_col]
  int64_t a_row, a_col;
  const T* b;  // B[p, j] = b[p * b_row + j * b_col]
  int64_t b_row, b_col;
  T* c;  // C[i, j] = c[i * c_row + j]
  int64_t c_row;
  bool accumulate = false;  // adds C to the product
  const T* bias = nullptr;  // (n), or null
  bool relu = false;        // applied last
};

/// Computes the product with the fastest implementation for its shape: oneDNN for f32 of the usual
/// layer sizes if Ebb is built with it, and Ebb's own kernels otherwise. The choice never depends
/// on the number of threads.
void gemm(const Gemm<float>& g);
void gemm(const Gemm<double>& g);

/// Computes the product with Ebb's own kernels, for any shape, strides and type. The bits of the
/// result do not depend on the number of threads.
template <class T> void own_gemm(const Gemm<T>& g);

// The implementations behind own_gemm, for tests and benchmarks. Each is correct for every shape
// and stride unless it says otherwise, but may be much slower than the others for a given product.

/// Computes small products, or products with few rows or columns, on the calling thread. Reads A in
/// place, and packs B into a stack buffer where needed.
template <class T> void direct_gemm(const Gemm<T>& g);

/// Computes the product with packing and cache blocking on `threads` threads, or on fewer if the
/// product has fewer tiles.
template <class T> void packed_gemm(const Gemm<T>& g, int threads);

/// Computes dot products along k on the calling thread: few rows or columns, and a matrix whose
/// rows extend along k. REQUIRES: a_col = 1 and b_row = 1.
template <class T> void dot_gemm(const Gemm<T>& g);

/// Multiplies a row vector by a matrix with contiguous rows, which is read once, on the calling
/// thread. REQUIRES: m = 1 and b_col = 1.
template <class T> void row_gemm(const Gemm<T>& g);

/// Returns the instruction set of Ebb's kernels: "avx512", "avx2" or "baseline".
const char* gemm_isa();

}  // namespace ebb::cpu
