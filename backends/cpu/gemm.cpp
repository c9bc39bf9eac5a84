#include "ebb/backends/cpu/gemm.h"

#include <algorithm>

#if EBB_WITH_ONEDNN
#include "ebb/backends/cpu/onednn.h"
#endif

namespace ebb::cpu {

void gemm(const Gemm<float>& g) {
#if EBB_WITH_ONEDNN
  // Measured on Zen 3. Ebb's kernels are faster below this m n k, and for few rows or columns of
  // any size. They are also faster (90 instead of 60 GFLOP/s) if B is row-major with rows of
  // exactly 512 floats (not 480, 528 or 1024), in oneDNN 2.6 and 3.2. This concerns the input
  // gradient of a layer with 512 inputs, and the weight gradient.
  constexpr int64_t kOneDnnWork = 6 << 20, kFew = 8, kSlowRow = 512;
  const bool slow = std::min(g.m, g.n) <= kFew || (g.b_col == 1 && g.b_row == kSlowRow);
  if (g.m * g.n * g.k >= kOneDnnWork && !slow && onednn_gemm(g)) return;
#endif
  own_gemm(g);
}

void gemm(const Gemm<double>& g) { own_gemm(g); }

}  // namespace ebb::cpu
