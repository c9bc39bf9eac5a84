// Rows of every width on the device: softmax, log_softmax, their gradients and cross-entropy, for
// each team of threads.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaRows = CudaTest;

constexpr double kInf = std::numeric_limits<double>::infinity();

// On both sides of every change of team. The last one does not fit into shared memory.
const std::vector<int64_t> kWidths{1,    31,   32,   33,   128,  129,   256,
                                   257,  512,  513,  1000, 1024, 1025,  2048,
                                   2049, 4096, 4097, 8192, 8193, 20001, 60001};

TEST_F(CudaRows, SoftmaxAndItsGradientOfEveryWidth) {
  Generator g{21, 0};
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : kWidths) {
      const Tensor x = randn({3, n}, {.dtype = dtype}, &g) * 3,
                   upstream = randn({3, n}, {.dtype = dtype}, &g);
      for (const bool log : {false, true}) {
        SCOPED_TRACE(std::to_string(n) + (log ? " log" : ""));
        const auto run = [&](Device device) {
          const Tensor v = x.to(device).detach().requires_grad_();
          const Tensor y = log ? log_softmax(v, 1) : softmax(v, 1);
          y.backward(upstream.to(device));
          return std::pair(y.to_vector<double>(), v.grad().to_vector<double>());
        };
        const auto want = run(Device::cpu()), got = run(kCuda);
        const double tolerance = dtype == f32 ? 2e-6 : 1e-13;
        expect_values(got.first, want.first, tolerance, 1e-300);
        expect_values(got.second, want.second, tolerance * 10,
                      tolerance * (log ? 1 : 1e-1) / std::sqrt(static_cast<double>(n)) * 10);
      }
    }
  }
}

// Many more rows than teams at once, so that each takes several.
TEST_F(CudaRows, ManyRows) {
  Generator g{22, 0};
  for (const int64_t n : {5, 100, 200, 300, 1000}) {
    const Tensor x = randn({400, n}, {}, &g), t = (rand({400}, {}, &g) * n).to(i64);
    const auto run = [&](Device device) {
      const Tensor v = x.to(device).detach().requires_grad_();
      const Tensor loss = nn::cross_entropy(v, t.to(device), {.ignore_index = 3});
      loss.backward();
      std::vector<double> all = v.grad().to_vector<double>();
      all.push_back(loss.item());
      return all;
    };
    expect_values(run(kCuda), run(Device::cpu()), 2e-5, 1e-9);
    expect_values(log_softmax(x.to(kCuda), 1), log_softmax(x, 1).to_vector<double>(), 2e-6, 1e-7);
  }
}

// On both sides of the numbers of rows and classes up to which a thread computes a row.
TEST_F(CudaRows, FewShortRows) {
  Generator g{25, 0};
  for (const int64_t rows : {1, 31, 33, 128, 129}) {
    for (const int64_t n : {1, 2, 16, 17}) {
      SCOPED_TRACE(std::to_string(rows) + " x " + std::to_string(n));
      const Tensor x = randn({rows, n}, {}, &g) * 4.0, weight = rand({n}, {}, &g) + 0.5;
      const Tensor t = randint(n, {rows}, {.dtype = i64}, &g);
      for (const double smoothing : {0.0, 0.2}) {
        const auto run = [&](Device device) {
          const Tensor v = x.to(device).detach().requires_grad_();
          const Tensor loss = nn::cross_entropy(
              v, t.to(device), {.weight = weight.to(device), .label_smoothing = smoothing});
          loss.backward();
          std::vector<double> all = v.grad().to_vector<double>();
          all.push_back(loss.item());
          return all;
        };
        const std::vector<double> want = run(Device::cpu()), got = run(kCuda);
        EXPECT_EQ(run(kCuda), got);
        expect_values(from_data(got, {std::ssize(got)}), want, 2e-5, 1e-8);
      }
    }
  }
}

// Several wide rows for each block, which loads the next one while it writes. Two of them are
// ignored, and one has a sure element.
TEST_F(CudaRows, WideRowsFollowEachOther) {
  Generator g{25, 0};
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {8200, 12288, 60000}) {
      Tensor x = randn({7, n}, {.dtype = dtype}, &g), t = (rand({7}, {}, &g) * n).to(i64);
      select(select(x, 0, 4), 0, n - 1).fill_(30);
      t.mutable_data<int64_t>()[4] = n - 1;
      for (const int64_t row : {1, 6}) t.mutable_data<int64_t>()[row] = -100;
      const Tensor upstream = randn({7, n}, {.dtype = dtype}, &g);
      for (const int kind : {0, 1, 2, 3, 4}) {
        SCOPED_TRACE(std::to_string(n) + " wide, kind " + std::to_string(kind));
        const auto run = [&](Device device) {
          const Tensor v = x.to(device).detach().requires_grad_();
          const Tensor weight = full({n}, 0.5, {.dtype = dtype, .device = device});
          const nn::CrossEntropyLossOptions options{.weight = kind > 2 ? weight : Tensor(),
                                                    .label_smoothing = kind == 4 ? 0.1 : 0};
          const Tensor y = kind == 0   ? softmax(v, 1)
                           : kind == 1 ? log_softmax(v, 1)
                                       : nn::cross_entropy(v, t.to(device), options);
          if (kind < 2) y.backward(upstream.to(device));
          else y.backward();
          return std::pair(y.to_vector<double>(), v.grad().to_vector<double>());
        };
        const auto want = run(Device::cpu()), got = run(kCuda);
        const double tolerance = dtype == f32 ? 4e-6 : 1e-12;
        expect_values(got.first, want.first, tolerance, 1e-15);
        expect_values(got.second, want.second, tolerance * 10, tolerance * 1e-2);
      }
    }
  }
}

// The mean divides by the sum of the weights of all targets, which each block computes itself up to
// some number of targets.
TEST_F(CudaRows, MeansOfFewAndOfManyTargets) {
  Generator g{26, 0};
  for (const int64_t rows : {33, 1025, 9000}) {
    for (const bool weighted : {false, true}) {
      const Tensor x = randn({rows, 6}, {}, &g), t = (rand({rows}, {}, &g) * 6).to(i64);
      const auto run = [&](Device device) {
        const Tensor v = x.to(device).detach().requires_grad_();
        const Tensor weight = weighted ? tensor({0.5, 1, 2, 3, 0.25, 4}, f32).to(device) : Tensor();
        const Tensor loss =
            nn::cross_entropy(v, t.to(device), {.weight = weight, .ignore_index = 2});
        loss.backward();
        std::vector<double> all = v.grad().to_vector<double>();
        all.push_back(loss.item());
        return all;
      };
      SCOPED_TRACE(rows);
      expect_values(run(kCuda), run(Device::cpu()), 2e-5, 1e-9);
    }
  }
}

// NaN and infinities at the ends of what threads keep, and in the tail.
TEST_F(CudaRows, InfinitiesAndNaNsGoWhereTheyGoOnTheCpu) {
  Generator g{23, 0};
  for (const int64_t n : {3, 40, 700, 5000, 9000}) {
    for (const double special : {kInf, -kInf, std::nan("")}) {
      Tensor x = randn({5, n}, {}, &g);
      x.mutable_data<float>()[0] = static_cast<float>(special);
      x.mutable_data<float>()[2 * n - 1] = static_cast<float>(special);
      select(x, 0, 2).fill_(special);
      if (n > 2) slice(select(x, 0, 3), 0, 0, n - 1).fill_(special);  // all but one
      const Tensor t = full({5}, n - 1, {.dtype = i64});
      const auto run = [&](Device device, int kind) {
        const Tensor v = x.to(device).detach().requires_grad_();
        const Tensor y = kind == 0   ? softmax(v, 1)
                         : kind == 1 ? log_softmax(v, 1)
                                     : nn::cross_entropy(v, t.to(device),
                                                         {.reduction = nn::Reduction::None,
                                                          .label_smoothing = kind == 3 ? 0.1 : 0});
        y.backward(ones(y.shape(), {.device = device}));
        return std::pair(y.to_vector<double>(), v.grad().to_vector<double>());
      };
      for (int kind = 0; kind < 4; ++kind) {
        SCOPED_TRACE(std::to_string(n) + " wide, " + std::to_string(special) + ", kind " +
                     std::to_string(kind));
        const auto want = run(Device::cpu(), kind), got = run(kCuda, kind);
        expect_values(got.first, want.first, 5e-6, 1e-7);
        expect_values(got.second, want.second, 1e-4, 1e-5);
      }
    }
  }
}

// Rows whose sum is slightly above 1: the difference is the loss.
TEST_F(CudaRows, LossesOfSureRowsKeepTheirDigits) {
  for (const DType dtype : {f32, f64}) {
    for (const int64_t n : {10, 300, 3000, 20001}) {
      for (const double lead : {5.0, 12.0, 20.0, 40.0}) {
        Tensor x = zeros({3, n}, {.dtype = dtype});
        select(x, 1, n - 1).fill_(lead + std::log(static_cast<double>(n)));
        const Tensor t = full({3}, n - 1, {.dtype = i64});
        const double tolerance = dtype == f32 ? 1e-5 : 1e-9;
        expect_values(nn::cross_entropy(x.to(kCuda), t.to(kCuda)), {nn::cross_entropy(x, t).item()},
                      tolerance);
      }
    }
  }
}

// The loss checks its classes itself. The other rows are right.
TEST_F(CudaRows, ABadClassIsNotedByTheLoss) {
  for (const int64_t inner : {0, 4}) {
    const Tensor x = inner ? zeros({3, 5, inner}) : zeros({3, 5});
    Tensor t = inner ? zeros({3, inner}, {.dtype = i64}) : zeros({3}, {.dtype = i64});
    t.mutable_data<int64_t>()[t.numel() - 1] = 7;
    const Tensor losses =
        nn::cross_entropy(x.to(kCuda), t.to(kCuda), {.reduction = nn::Reduction::None});
    expect_error([] { cuda::synchronize(); }, "cross_entropy",
                 {"index 7 at position " + std::to_string(t.numel() - 1), "expected 0 to 4"});
    const std::vector<double> values = losses.to_vector<double>();
    EXPECT_TRUE(std::isnan(values.back()));
    EXPECT_NEAR(values[0], std::log(5.0), 1e-6);
  }
}

// A backward that does not read its initial gradient gives the same result as one that does.
TEST_F(CudaRows, ASeedThatNobodyReads) {
  Generator g{24, 0};
  const Tensor x = randn({6, 5}, {}, &g).to(kCuda), t = zeros({6}, {.dtype = i64, .device = kCuda});
  const Tensor soft = rand({6, 5}, {}, &g).to(kCuda);
  const std::vector<std::function<Tensor(const Tensor&)>> losses{
      [&](const Tensor& v) { return nn::cross_entropy(v, t); },
      [&](const Tensor& v) { return nn::mse_loss(v, soft); }};
  for (const auto& loss : losses) {
    const auto run = [&](const Tensor& seed, bool retain, bool hook) {
      const Tensor v = x.detach().clone().requires_grad_();
      Tensor value = loss(v);
      double seen = 1;
      HookHandle handle;
      if (hook)
        handle = value.register_hook([&](const Tensor& s) { return seen = s.item(), Tensor(); });
      value.backward(seed, retain);
      EXPECT_EQ(seen, 1);
      return v.grad().to_vector<double>();
    };
    const std::vector<double> want = run(ones({}, {.device = kCuda}), false, false);
    EXPECT_EQ(run({}, false, false), want);
    EXPECT_EQ(run({}, true, false), want);
    EXPECT_EQ(run({}, false, true), want);
  }
}

}  // namespace
}  // namespace ebb::test
