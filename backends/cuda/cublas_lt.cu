#include "ebb/backends/cuda/cublas_lt.h"

#include <dlfcn.h>

#include "ebb/backends/cuda/library.h"
#include "ebb/core/error.h"

namespace ebb::cuda {

#define EBB_DEFINE(name) decltype(&::name) name = nullptr;
EBB_CUBLAS_LT(EBB_DEFINE)
#undef EBB_DEFINE

// If the program has loaded a copy with this name already, for example PyTorch's, that copy is
// used.
void* open_library(const std::string& name, const std::string& folder) {
  if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  if (void* library = dlopen((folder + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  fail("cuda", "expected ", name, " where the loader looks or in ", folder, ", got ", dlerror());
}

#ifdef EBB_CUDA_EMULATION  // the emulation is linked

void load_cublas_lt() {
#define EBB_TAKE(name) name = &::name;
  EBB_CUBLAS_LT(EBB_TAKE)
#undef EBB_TAKE
}

#else

void load_cublas_lt() {
  // A major version has one binary interface.
  const std::string name = "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);
  void* library = open_library(name, EBB_CUDA_LIBRARY_DIR);
  const auto take = [&]<class F>(F& function, const char* symbol) {
    function = reinterpret_cast<F>(dlsym(library, symbol));
    if (!function) fail("cuda", "expected ", symbol, " in ", name, ", got ", dlerror());
  };
#define EBB_TAKE(name) take(cuda::name, #name);
  EBB_CUBLAS_LT(EBB_TAKE)
#undef EBB_TAKE
}

#endif

}  // namespace ebb::cuda
