// Formulas of a user: the call operator of Bump has no mark, that of MarkedBump has EBB_HD, as the documentation says.
#include "ebb/backends/cpu/pointwise_kernels.h"

struct Bump {
  template <class T> T operator()(T x) const { return x * x * ebb::sigmoid(x); }
};

struct MarkedBump {
  template <class T> EBB_HD T operator()(T x) const { return x * x * ebb::sigmoid(x); }
};

const void* marked_bump_kernels() { return &ebb::cpu::kBlockKernels<MarkedBump, 1, true>; }
const void* bump_kernels() { return &ebb::cpu::kBlockKernels<Bump, 1, true>; }
