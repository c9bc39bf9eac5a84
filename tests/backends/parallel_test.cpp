// Small work stays on one thread, so that a second thread never makes it slower.
#include "ebb/backends/cpu/parallel.h"

#include <gtest/gtest.h>

#include <functional>
#include <vector>

#include "ebb/ebb.h"

namespace ebb {
namespace {

class ParallelTest : public testing::Test {
 protected:
  void SetUp() override {
    cpu::set_num_threads(2);
    if (cpu::num_threads() < 2) GTEST_SKIP() << "built without OpenMP";
  }
  void TearDown() override { cpu::set_num_threads(before_); }

  static int64_t regions_of(const std::function<void()>& work) {
    const int64_t before = cpu::parallel_regions();
    work();
    return cpu::parallel_regions() - before;
  }

 private:
  const int before_ = cpu::num_threads();
};

Tensor classes(int64_t rows, int64_t columns) {
  std::vector<int64_t> all;
  for (int64_t i = 0; i < rows; ++i) all.push_back(i % columns);
  return from_data(all, {rows});
}

void train(const std::vector<int64_t>& widths, int64_t batch) {
  nn::Sequential model(nn::Linear(widths[0], widths[1]), nn::ReLU(),
                       nn::Linear(widths[1], widths[2]));
  nn::Adam optimizer(model.named_parameters());
  nn::cross_entropy(model(randn({batch, widths[0]})), classes(batch, widths[2])).backward();
  optimizer.step();
}

void every_loss(int64_t rows, int64_t columns) {
  const Tensor x = randn({rows, columns}).requires_grad_();
  const Tensor t = rand({rows, columns});
  const Tensor scores = log_softmax(x, 1);
  (nn::cross_entropy(x, classes(rows, columns)) + nn::binary_cross_entropy_with_logits(x, t) +
   nn::mse_loss(x, t) + nn::smooth_l1_loss(x, t) + nn::kl_div(scores, t) + mean(sigmoid(x)))
      .backward();
}

TEST_F(ParallelTest, SmallWorkStaysOnOneThread) {
  EXPECT_EQ(regions_of([] { train({2, 16, 2}, 32); }), 0);
  EXPECT_EQ(regions_of([] { train({64, 32, 10}, 32); }), 0);
  EXPECT_EQ(regions_of([] { every_loss(128, 10); }), 0);
}

TEST_F(ParallelTest, LargeWorkUsesSeveralThreads) {
  EXPECT_GT(regions_of([] { train({784, 128, 10}, 64); }), 0);
  EXPECT_GT(regions_of([] { every_loss(512, 1000); }), 8);
}

TEST_F(ParallelTest, OneThreadNeedsNoParallelRegion) {
  cpu::set_num_threads(1);
  EXPECT_EQ(regions_of([] { every_loss(512, 1000); }), 0);
}

}  // namespace
}  // namespace ebb
