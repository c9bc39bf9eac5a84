// Ebb's matrix kernels for several instruction sets, and the choice between them at startup. A
// table instead of EBB_MULTIVERSION, because vector width and tile height differ between the
// versions.
#pragma once

#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/gemm_blocked.h"

namespace ebb::cpu::detail {

template <class T> struct GemmKernels {
  const char* isa;
  int tile_rows, tile_cols;  // of the function blocked
  void (*direct)(const Gemm<T>&);
  void (*dot)(const Gemm<T>&);
  void (*row)(const Gemm<T>&);
  void (*blocked)(const Gemm<T>&, const Blocking&, T* a_panels, T* b_panels);
};

/// Returns the table for this processor.
template <class T> const GemmKernels<T>& gemm_kernels();

}  // namespace ebb::cpu::detail
