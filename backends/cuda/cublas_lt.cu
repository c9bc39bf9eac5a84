#include "ebb/backends/cuda/cublas_lt.h"

#include <dlfcn.h>

#include "ebb/backends/cuda/library.h"
#include "ebb/core/error.h"

namespace ebb::cuda {

#define EBB_DEFINE(name) decltype(&::name) name = nullptr;
EBB_CUBLAS_LT(EBB_DEFINE)
#undef EBB_DEFINE

// A copy that the program has already, PyTorch's say, has this name too and is taken first.
void* open_library(const std::string& name, const std::string& folder) {
  if (void* library = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  if (void* library = dlopen((folder + "/" + name).c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
  fail("cuda", "expected ", name, " where the loader looks or in ", folder, ", got ", dlerror());
}

#ifdef EBB_CUDA_EMULATION  // is linked in

void load_cublas_lt() {
#define EBB_TAKE(name) name = &::name;
  EBB_CUBLAS_LT(EBB_TAKE)
#undef EBB_TAKE
}

#else

void load_cublas_lt() {
  const std::string name =
      "libcublasLt.so." + std::to_string(CUBLAS_VER_MAJOR);  // a major version is an interface
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
