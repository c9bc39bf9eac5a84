// A formula of a user's, whose call operator bears no mark.
#include "ebb/backends/cpu/pointwise_kernels.h"

struct Bump {
  template <class T> T operator()(T x) const { return x * x * ebb::sigmoid(x); }
};

const void* bump_kernels() { return &ebb::cpu::kBlockKernels<Bump, 1, true>; }
