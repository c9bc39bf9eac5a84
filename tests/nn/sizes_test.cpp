// Lengths that memory cannot hold are Errors in nn too.
#include "ebb/nn/data/dataset.h"
#include "ebb/nn/layers/recurrent.h"
#include "ebb/nn/layers/recurrent_cells.h"
#include "ebb/nn/train/metrics.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

constexpr int64_t kHuge = int64_t{1} << 62;

TEST(HugeLengths, AreErrors) {
  expect_error([] { data::split(kHuge, 0.5, 1); }, "split", {"out of memory"});
  expect_error([] { data::split(-1, 0.5, 1); }, "split", {"-1"});
  expect_error([] { nn::ConfusionMatrix{kHuge}; }, "ConfusionMatrix", {"expected 1 to"});
  expect_error([] { nn::LabelCounts{kHuge}; }, "LabelCounts", {"out of memory"});
  expect_error([] { nn::GRUCell(1, kHuge); }, "GRUCell", {"too large"});
  expect_error([] { nn::LSTM(1, kHuge); }, "LSTM", {"too large"});
}

}  // namespace
}  // namespace ebb
