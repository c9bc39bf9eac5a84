// cuBLASLt, which is loaded when the GPU backend is first used. Programs that compute on the CPU do
// not need the library, nor the time to load half a gigabyte. Only for .cu files, because it needs
// the header of the library.
//
// Its functions are pointers to functions with the same names, so sources of this namespace call
// them as if they were linked. A function that is missing in the list compiles, but does not link.
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
