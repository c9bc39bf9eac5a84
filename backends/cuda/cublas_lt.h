// cuBLASLt, loaded when the GPU backend comes to life: a program that computes on the CPU alone does without the
// library and without what half a gigabyte of it costs at its start. For .cu files alone: it needs the library's
// header.
//
// Its functions are pointers to functions here, under their own names: sources of this namespace call them as if they
// were linked. One that is missing in the list is found by the compiler all the same, and then not by the linker.
#pragma once

#include <cublasLt.h>

#define EBB_CUBLAS_LT(DO)                  \
  DO(cublasLtCreate)                       \
  DO(cublasLtGetStatusString)              \
  DO(cublasLtMatmul)                       \
  DO(cublasLtMatmulAlgoGetHeuristic)       \
  DO(cublasLtMatmulDescCreate)             \
  DO(cublasLtMatmulDescSetAttribute)       \
  DO(cublasLtMatmulPreferenceCreate)       \
  DO(cublasLtMatmulPreferenceDestroy)      \
  DO(cublasLtMatmulPreferenceSetAttribute) \
  DO(cublasLtMatrixLayoutCreate)           \
  DO(cublasLtMatrixLayoutSetAttribute)

namespace ebb::cuda {

#define EBB_DECLARE(name) extern decltype(&::name) name;
EBB_CUBLAS_LT(EBB_DECLARE)
#undef EBB_DECLARE

}  // namespace ebb::cuda
