#include "ebb/backends/cpu/gemm_kernels.h"

#include "ebb/backends/cpu/gemm_direct.h"
#include "ebb/backends/cpu/gemm_vector.h"
#include "ebb/backends/cpu/instruction_sets.h"

namespace ebb::cpu::detail {
namespace {

template <class Set, class T> constexpr GemmKernels<T> kernels_for(const char* isa) {
  using S = Simd<T, Set>;
  return {isa,
          Set::kTileRows,
          2 * S::kLanes,
          Set::template call<direct<S, T>, const Gemm<T>&>,
          Set::template call<dot<S, T>, const Gemm<T>&>,
          Set::template call<row<S, T>, const Gemm<T>&>,
          Set::template call<blocked<S, T>, const Gemm<T>&, const Blocking&, T*, T*>};
}

}  // namespace

template <class T> const GemmKernels<T>& gemm_kernels() {
  static const GemmKernels<T> kernels =
      for_this_processor([]<class Set>(const char* isa) { return kernels_for<Set, T>(isa); });
  return kernels;
}
template const GemmKernels<float>& gemm_kernels<float>();
template const GemmKernels<double>& gemm_kernels<double>();

}  // namespace ebb::cpu::detail
