// The implementations of convolutions on the CPU against each other: f32 against f64, threads,
// infinities.
#include "ebb/backends/cpu/convolution.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <string>

#include "ebb/backends/cpu/parallel.h"
#include "ebb/core/backend.h"
#include "ebb/core/convolution.h"
#include "ebb/core/cpu.h"
#include "ebb/core/random.h"
#if EBB_WITH_ONEDNN
#include "ebb/backends/cpu/onednn.h"
#endif

namespace ebb::cpu {
namespace {

using Kind = ConvolutionKind;
using Implementation = std::function<void(const ConvolutionArgs&)>;
constexpr Kind kKinds[] = {Kind::Forward, Kind::InputGradient, Kind::WeightGradient};

struct Problem {
  Shape x, w;
  ConvolutionGeometry geometry = {};
  Shape y() const {
    Shape shape{x[0], w[0]};
    for (int i = 0; i < 2; ++i) {
      const int64_t reach = geometry.dilation[i] * (w[2 + i] - 1) + 1;
      shape.push_back((x[2 + i] + 2 * geometry.padding[i] - reach) / geometry.stride[i] + 1);
    }
    return shape;
  }
};

// The tensors of a problem, which have the same values in f32 and in f64.
struct Operands {
  Operands(const Problem& problem, DType dtype) : geometry(problem.geometry) {
    Generator generator{7, 0};
    const auto random = [&](const Shape& shape) {
      return randn(shape, {.dtype = f32}, &generator).to(dtype);
    };
    x = random(problem.x), w = random(problem.w), y = random(problem.y());
    bias = random({problem.w[0]});
  }
  Tensor run(Kind kind, const Implementation& implementation) const {
    const Tensor& like = kind == Kind::Forward ? y : kind == Kind::InputGradient ? x : w;
    const Tensor out =
        full(like.shape(), std::numeric_limits<double>::quiet_NaN(), {.dtype = x.dtype()});
    implementation({.kind = kind,
                    .x = kind == Kind::InputGradient ? &out : &x,
                    .w = kind == Kind::WeightGradient ? &out : &w,
                    .y = kind == Kind::Forward ? &out : &y,
                    .geometry = geometry,
                    .bias = kind == Kind::Forward ? &bias : nullptr});
    return out;
  }
  ConvolutionGeometry geometry;
  Tensor x, w, y, bias;
};

void expect_close(const Tensor& got, const Tensor& want, double tolerance,
                  const std::string& what) {
  const std::vector<double> a = got.to_vector<double>(), b = want.to_vector<double>();
  double scale = 0, worst = 0;
  for (double v : b) scale = std::max(scale, std::fabs(v));
  for (size_t i = 0; i < a.size(); ++i) {
    worst = std::max(worst, std::isfinite(a[i]) ? std::fabs(a[i] - b[i]) : scale);
  }
  EXPECT_LE(worst, tolerance * scale) << what;
}

// Widths around multiples of vectors, remainders of all blocks, options.
std::vector<Problem> problems() {
  std::vector<Problem> list;
  for (int64_t width : {1, 7, 8, 15, 16, 17, 31, 33, 50}) {
    list.push_back({{2, 3, 6, width}, {9, 3, 3, 3}, {.padding = {1, 1}}});
    list.push_back({{3, 2, 7, width}, {5, 2, 5, 5}, {.padding = {2, 4}}});
  }
  list.push_back({{17, 1, 9, 12}, {7, 1, 2, 3}, {.padding = {0, 3}}});
  list.push_back({{1, 130, 8, 9}, {20, 130, 3, 3}});
  list.push_back({{1, 2, 1, 100}, {3, 2, 1, 5}, {.padding = {0, 2}}});
  list.push_back(
      {{2, 17, 9, 8}, {33, 17, 3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .dilation = {1, 3}}});
  list.push_back({{2, 32, 10, 10}, {48, 16, 3, 3}, {.padding = {1, 1}, .groups = 2}});
  list.push_back({{2, 24, 6, 7}, {24, 1, 3, 3}, {.padding = {1, 1}, .groups = 24}});
  list.push_back({{3, 20, 5, 5}, {12, 20, 1, 1}});
  list.push_back({{2, 3, 11, 12}, {16, 3, 7, 7}, {.stride = {2, 2}, .padding = {3, 3}}});
  list.push_back({{2, 18, 5, 4},
                  {20, 18, 1, 1},
                  {.stride = {int64_t{1} << 33, 1},
                   .padding = {int64_t{1} << 33, 0},
                   .dilation = {int64_t{1} << 40, 1}}});
  return list;
}

std::string text(const Problem& p, Kind kind) {
  return to_text(p.x) + " by " + to_text(p.w) + ", kind " + std::to_string(static_cast<int>(kind));
}

void check_against_f64(const Implementation& implementation,
                       const std::function<bool(const ConvolutionArgs&)>& fits) {
  int checked = 0;
  for (const Problem& problem : problems()) {
    const Operands low(problem, f32), high(problem, f64);
    for (Kind kind : kKinds) {
      bool fitting = true;
      const Tensor got = low.run(kind, [&](const ConvolutionArgs& args) {
        if ((fitting = fits(args))) implementation(args);
      });
      if (!fitting) continue;
      expect_close(got, high.run(kind, columns_convolution<double>), 2e-6, text(problem, kind));
      ++checked;
    }
  }
  EXPECT_GT(checked, 20);
}

TEST(Convolution, ColumnsInF32AgreeWithF64) {
  check_against_f64(columns_convolution<float>, [](const ConvolutionArgs&) { return true; });
}

TEST(Convolution, RowsAgreeWithF64) { check_against_f64(rows_convolution, rows_fit); }

#if EBB_WITH_ONEDNN
TEST(Convolution, OneDnnAgreesWithF64) {
  bool done = false;
  check_against_f64(
      [&](const ConvolutionArgs& args) {
        done |= onednn_convolution(args) || (columns_convolution<float>(args), false);
      },
      [](const ConvolutionArgs&) { return true; });
  EXPECT_TRUE(done) << "oneDNN computed nothing";
}
#endif

TEST(Convolution, TheBackendAgreesWithF64AlsoForBothGradientsAtOnce) {
  ConvolutionKernels& kernels = backend(Device::cpu()).convolution();
  check_against_f64([&](const ConvolutionArgs& args) { kernels.run(args); },
                    [](const ConvolutionArgs&) { return true; });
  for (const Problem& problem : problems()) {
    const Operands low(problem, f32), high(problem, f64);
    const Tensor x = empty_like(low.x), w = empty_like(low.w), sums = empty({problem.w[0]});
    const ConvolutionArgs input{.kind = Kind::InputGradient,
                                .x = &x,
                                .w = &low.w,
                                .y = &low.y,
                                .geometry = problem.geometry},
        weight{.kind = Kind::WeightGradient,
               .x = &low.x,
               .w = &w,
               .y = &low.y,
               .geometry = problem.geometry,
               .y_sum = &sums};
    kernels.run_both(input, weight);
    expect_close(x, high.run(Kind::InputGradient, columns_convolution<double>), 2e-6,
                 text(problem, Kind::InputGradient));
    expect_close(w, high.run(Kind::WeightGradient, columns_convolution<double>), 2e-6,
                 text(problem, Kind::WeightGradient));
    Tensor want = empty({problem.w[0]}, f64);
    channel_sums(ConvolutionSizes(weight), high.y.data<double>(), want.mutable_data<double>());
    expect_close(sums, want, 1e-6, "sums of y");
  }
}

TEST(Convolution, WinogradIsOffUntilItIsAllowedAndThenNearlyAsExact) {
  EXPECT_FALSE(allow_winograd());
  const Problem problem{{4, 32, 14, 14}, {48, 32, 3, 3}, {.padding = {1, 1}}};
  const Operands low(problem, f32), high(problem, f64);
  ConvolutionKernels& kernels = backend(Device::cpu()).convolution();
  const Implementation run = [&](const ConvolutionArgs& args) { kernels.run(args); };
  for (Kind kind : kKinds) {
    const Tensor exact = high.run(kind, columns_convolution<double>), before = low.run(kind, run);
    set_allow_winograd(true);
    const Tensor fast = low.run(kind, run);
    set_allow_winograd(false);
    expect_close(fast, exact, 2e-5, text(problem, kind));
    expect_close(before, exact, 2e-6, text(problem, kind));
    const Tensor again = low.run(kind, run);
    EXPECT_EQ(std::memcmp(before.data<float>(), again.data<float>(),
                          static_cast<size_t>(before.numel()) * sizeof(float)),
              0);
  }
}

class Threads {
 public:
  explicit Threads(int n) : before_(num_threads()) { set_num_threads(n); }
  ~Threads() { set_num_threads(before_); }

 private:
  int before_;
};

template <class T>
void expect_same_bits(const Problem& problem, DType dtype, const Implementation& f,
                      bool (*fits)(const ConvolutionArgs&)) {
  const Operands in(problem, dtype);
  for (Kind kind : kKinds) {
    bool fitting = true;
    const auto on = [&](int threads) {
      const Threads scope(threads);
      return in.run(kind, [&](const ConvolutionArgs& args) {
        if ((fitting = fits(args))) f(args);
      });
    };
    const Tensor one = on(1);
    for (int threads : {2, 3, 8}) {
      const Tensor several = on(threads);
      if (!fitting) break;
      EXPECT_EQ(std::memcmp(one.data<T>(), several.data<T>(),
                            static_cast<size_t>(one.numel()) * sizeof(T)),
                0)
          << text(problem, kind) << " on " << threads << " threads";
    }
  }
}

TEST(Convolution, OwnKernelsGiveTheSameBitsOnAnyNumberOfThreads) {
  const auto all = [](const ConvolutionArgs&) { return true; };
  for (const Problem& problem :
       {Problem{{19, 3, 12, 17}, {10, 3, 3, 3}, {.padding = {1, 1}}},
        Problem{{1, 6, 40, 40}, {20, 6, 5, 5}}, Problem{{3, 16, 20, 20}, {16, 16, 3, 3}}}) {
    expect_same_bits<float>(problem, f32, columns_convolution<float>, all);
    expect_same_bits<double>(problem, f64, columns_convolution<double>, all);
    expect_same_bits<float>(problem, f32, rows_convolution, rows_fit);
  }
}

// Zeros of the padding and lanes behind a row's end meet no infinity of x or of y's gradient.
TEST(Convolution, AnInfinityReachesWhatItTouchesAlone) {
  const float inf = std::numeric_limits<float>::infinity();
  for (const Problem& problem : {Problem{{2, 1, 5, 7}, {3, 1, 3, 3}, {.padding = {1, 1}}},
                                 Problem{{2, 2, 6, 18}, {3, 2, 5, 5}, {.padding = {2, 2}}},
                                 Problem{{2, 20, 6, 5}, {18, 20, 3, 3}, {.padding = {1, 1}}}}) {
    for (Kind kind : {Kind::Forward, Kind::WeightGradient}) {
      for (const int64_t at : {problem.x[3] - 1, 2 * problem.x[3] - 2, problem.x.numel() - 1}) {
        Operands low(problem, f32), high(problem, f64);
        low.x.mutable_data<float>()[at] = inf;
        high.x.mutable_data<double>()[at] = inf;
        const Tensor got = low.run(kind, [](const ConvolutionArgs& args) {
          backend(Device::cpu()).convolution().run(args);
        });
        const Tensor want = high.run(kind, columns_convolution<double>);
        const std::vector<double> a = got.to_vector<double>(), b = want.to_vector<double>();
        for (size_t i = 0; i < a.size(); ++i) {
          ASSERT_EQ(std::isnan(a[i]), std::isnan(b[i])) << text(problem, kind) << " at " << i;
          ASSERT_EQ(std::isinf(a[i]), std::isinf(b[i])) << text(problem, kind) << " at " << i;
        }
      }
    }
  }
}

}  // namespace
}  // namespace ebb::cpu
