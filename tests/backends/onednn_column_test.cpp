// A product of one column whose elements are apart: oneDNN 3.7.2 writes between and behind them, so
// the adapter refuses it.
#include <gtest/gtest.h>

#include <vector>

#include "ebb/backends/cpu/gemm.h"
#if EBB_WITH_ONEDNN
#include "ebb/backends/cpu/onednn.h"
#endif

namespace ebb::cpu {
namespace {

struct Column {
  static constexpr int64_t kRows = 1500, kInner = 300, kApart = 7;
  std::vector<float> a = std::vector<float>(kRows * kInner, 1), b = std::vector<float>(kInner, 2),
                     c = std::vector<float>(kRows * kApart, -1);
  Gemm<float> product() {
    Gemm<float> g{};
    g.m = kRows, g.n = 1, g.k = kInner;
    g.a = a.data(), g.a_row = kInner, g.a_col = 1;
    g.b = b.data(), g.b_row = 1, g.b_col = 1;
    g.c = c.data(), g.c_row = kApart;
    return g;
  }
};

#if EBB_WITH_ONEDNN
TEST(OneDnn, AColumnWithGapsIsRefused) {
  Column column;
  EXPECT_FALSE(onednn_gemm(column.product()));
  for (float x : column.c) ASSERT_EQ(x, -1);
}
#endif

TEST(Gemm, AColumnWithGapsIsWrittenAndNothingElse) {
  Column column;
  gemm(column.product());
  for (int64_t i = 0; i < Column::kRows * Column::kApart; ++i)
    ASSERT_EQ(column.c[static_cast<size_t>(i)], i % Column::kApart == 0 ? 600 : -1) << i;
}

}  // namespace
}  // namespace ebb::cpu
