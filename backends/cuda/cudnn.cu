#include "ebb/backends/cuda/cudnn.h"

#include <dlfcn.h>

#include "ebb/backends/cuda/library.h"
#include "ebb/core/error.h"

#ifdef EBB_CUDA_EMULATION
#include <emulation.h>
#endif

namespace ebb::cuda {

#define EBB_DEFINE(name, result, parameters) result(*name) parameters = nullptr;
EBB_CUDNN(EBB_DEFINE)
#undef EBB_DEFINE

bool load_cudnn() {
#ifdef EBB_CUDA_EMULATION
  const auto find = [](const char* symbol) { return emulation::cudnn_function(symbol); };
#else
  void* library = nullptr;
  try {
    library = open_library("libcudnn.so.9", EBB_CUDA_LIBRARY_DIR);
  } catch (const Error&) {
    return false;
  }
  const auto find = [library](const char* symbol) { return dlsym(library, symbol); };
#endif
  bool complete = true;
#define EBB_TAKE(name, result, parameters) \
  complete &= (name = reinterpret_cast<result(*) parameters>(find(#name))) != nullptr;
  EBB_CUDNN(EBB_TAKE)
#undef EBB_TAKE
  return complete;
}

}  // namespace ebb::cuda
