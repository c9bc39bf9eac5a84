// Kernels compared with the CPU: every branch of the optimizers' rules, cross_entropy in every
// layout and at its extremes, and reductions whose rows are divided into unequal pieces.
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <memory>

#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaKernels = CudaTest;
using MakeOptimizer = std::function<std::unique_ptr<nn::Optimizer>(std::vector<nn::NamedTensor>)>;

template <class Rule, class Options> MakeOptimizer with(Options options) {
  return [options](std::vector<nn::NamedTensor> p) {
    return std::make_unique<Rule>(std::move(p), options);
  };
}

const std::vector<MakeOptimizer>& optimizers() {
  using nn::Adam, nn::AdamW, nn::SGD;
  static const std::vector<MakeOptimizer> all{
      with<SGD>(nn::SGDOptions{.lr = 0.1}),
      with<SGD>(nn::SGDOptions{.lr = 0.1, .weight_decay = 0.05}),
      with<SGD>(nn::SGDOptions{.lr = 0.1, .momentum = 0.9, .dampening = 0.3, .weight_decay = 0.01}),
      with<SGD>(nn::SGDOptions{.lr = 0.1, .momentum = 0.8, .weight_decay = 0.02, .nesterov = true}),
      with<Adam>(nn::AdamOptions{
          .lr = 0.01, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1}),
      with<AdamW>(nn::AdamWOptions{
          .lr = 0.01, .beta1 = 0.8, .beta2 = 0.99, .eps = 1e-3, .weight_decay = 0.1}),
  };
  return all;
}

// More tensors than one launch takes, smaller and larger than a block, with another dtype among
// them.
std::vector<nn::NamedTensor> parameters(Device device, bool mixed) {
  Generator g{3, 0};
  std::vector<nn::NamedTensor> made;
  for (int k = 0; k < 51; ++k) {
    const int64_t numel = k == 7 ? 0 : k % 17 == 2 ? 2100 : k + 1;
    const DType dtype = mixed && k % 3 == 1 ? f64 : f32;
    made.push_back(
        {std::to_string(k), randn({numel}, {.dtype = dtype}, &g).to(device).requires_grad_()});
  }
  return made;
}

// Three steps with the same gradients on both devices.
std::vector<nn::NamedTensor> train(const MakeOptimizer& make, Device device, bool mixed,
                                   bool captured) {
  std::vector<nn::NamedTensor> p = parameters(device, mixed);
  const std::unique_ptr<nn::Optimizer> optimizer = make(p);
  for (auto& [name, tensor] : p)
    tensor.set_grad(zeros(tensor.shape(), {.dtype = tensor.dtype(), .device = device}));
  std::unique_ptr<cuda::CapturedStep> step;
  if (captured) step = std::make_unique<cuda::CapturedStep>([&] { optimizer->step(); });
  Generator g{4, 0};
  for (int i = 0; i < 3; ++i) {
    for (auto& [name, tensor] : p)
      tensor.grad().copy_(randn(tensor.shape(), {.dtype = tensor.dtype()}, &g));
    if (step) (*step)();
    else optimizer->step();
  }
  return p;
}

TEST_F(CudaKernels, OptimizersStepAsOnTheCpu) {
  for (size_t rule = 0; rule < optimizers().size(); ++rule) {
    for (const bool mixed : {false, true}) {
      const auto want = train(optimizers()[rule], Device::cpu(), mixed, false);
      for (const bool captured : {false, true}) {
        const auto got = train(optimizers()[rule], kCuda, mixed, captured);
        for (size_t k = 0; k < want.size(); ++k) {
          SCOPED_TRACE("rule " + std::to_string(rule) + ", parameter " + want[k].first);
          const double tolerance = want[k].second.dtype() == f32 ? 2e-6 : 1e-14;
          expect_values(got[k].second, want[k].second.to_vector<double>(), tolerance, tolerance);
        }
      }
    }
  }
}

// Computes scores, classes, weights and results on the CPU and on the GPU.
void compare_cross_entropy(const Tensor& scores, const Tensor& classes,
                           nn::CrossEntropyLossOptions options) {
  const auto run = [&](Device device) {
    const Tensor x = scores.to(device).detach().requires_grad_();
    nn::CrossEntropyLossOptions o = options;
    if (o.weight.defined()) o.weight = o.weight.to(device);
    const Tensor loss = nn::cross_entropy(x, classes.to(device), o);
    Generator g{8, 0};
    loss.backward(randn(loss.shape(), {.dtype = loss.dtype()}, &g).to(device));
    return std::pair(loss.detach(), x.grad());
  };
  const auto want = run(Device::cpu()), got = run(kCuda);
  const double tolerance = scores.dtype() == f32 ? 2e-5 : 1e-12;
  expect_values(got.first, want.first.to_vector<double>(), tolerance, tolerance * 1e-2, "loss");
  expect_values(got.second, want.second.to_vector<double>(), tolerance, tolerance * 1e-2,
                "gradient");
}

TEST_F(CudaKernels, CrossEntropyOfEveryLayout) {
  Generator g{2, 0};
  for (DType dtype : {f32, f64}) {
    for (const Shape& shape :
         {Shape{5, 7}, Shape{1, 3, 2}, Shape{3, 5, 2, 3}, Shape{2, 1, 4}, Shape{2, 40, 70}}) {
      Shape places = shape;
      places.erase(1);
      const Tensor x = randn(shape, {.dtype = dtype}, &g) * 3;
      const Tensor t = (rand(places, {}, &g) * static_cast<double>(shape[1])).to(i64);
      const Tensor weight = rand({shape[1]}, {.dtype = dtype}, &g) + 0.5;
      for (nn::Reduction reduction :
           {nn::Reduction::None, nn::Reduction::Sum, nn::Reduction::Mean}) {
        for (const bool weighted : {false, true}) {
          for (const double smoothing : {0.0, 0.2}) {
            SCOPED_TRACE(to_text(shape) + (weighted ? ", weighted" : ""));
            nn::CrossEntropyLossOptions options{.reduction = reduction,
                                                .label_smoothing = smoothing};
            if (weighted) options.weight = weight;
            compare_cross_entropy(x, t, options);
            options.ignore_index = flatten(t)[0].item<int64_t>();
            compare_cross_entropy(x, t, options);
          }
        }
      }
    }
  }
}

// Has more targets than every block sums by itself.
TEST_F(CudaKernels, CrossEntropyOfManyTargets) {
  Generator g{2, 1};
  for (const Shape& shape : {Shape{9001, 3}, Shape{3, 3, 3001}}) {
    Shape places = shape;
    places.erase(1);
    const Tensor t = (rand(places, {}, &g) * 3).to(i64);
    compare_cross_entropy(randn(shape, {}, &g), t,
                          {.weight = tensor({0.5, 2, 1.5}, f32), .ignore_index = 1});
  }
}

// p_t differs from 1 by less than f32 can represent, at an edge and inside; and p_t is far from 1.
TEST_F(CudaKernels, CrossEntropyKeepsTheDigitsOfSureRows) {
  for (DType dtype : {f32, f64}) {
    for (const double top : {9.0, 18.0, 60.0}) {
      for (const int64_t classes : {3, 200, 1100, 5000}) {
        for (const bool columns : {false, true}) {
          Tensor x = zeros({2, classes}, {.dtype = dtype});
          select(x, 1, classes / 2).add_(tensor({top, -top}, dtype));
          Tensor t = full({2}, static_cast<double>(classes / 2), {.dtype = i64});
          if (columns) x = stack({x, x * 0.5}, 2).contiguous(), t = stack({t, t}, 1).contiguous();
          SCOPED_TRACE(classes);
          const Tensor y = x.to(kCuda).requires_grad_(), z = x.detach().requires_grad_();
          const Tensor got = nn::cross_entropy(y, t.to(kCuda), {.reduction = nn::Reduction::None});
          const Tensor want = nn::cross_entropy(z, t, {.reduction = nn::Reduction::None});
          sum(got).backward();
          sum(want).backward();
          const double tolerance = dtype == f32 ? 1e-5 : 1e-9;  // of a sum that is 1 + 1e-6
          expect_values(got, want.to_vector<double>(), tolerance, 0, "loss");
          expect_values(y.grad(), z.grad().to_vector<double>(), tolerance, 0, "gradient");
        }
      }
    }
  }
}

TEST_F(CudaKernels, CrossEntropyOfABadClassTouchesItsPlaceAlone) {
  for (const bool columns : {false, true}) {
    for (const int64_t bad : {-1, 3}) {
      Generator g{2, 2};
      const Tensor x =
          randn(columns ? Shape{1, 3, 4} : Shape{4, 3}, {}, &g).to(kCuda).requires_grad_();
      const Tensor t =
          from_data(std::vector<int64_t>{0, bad, 2, 1}, columns ? Shape{1, 4} : Shape{4}).to(kCuda);
      const Tensor loss = nn::cross_entropy(x, t, {.reduction = nn::Reduction::None});
      sum(loss).backward();
      expect_error([] { cuda::synchronize(); }, "cross_entropy", {"index", "at position 1"});
      const std::vector<double> values = loss.to_vector<double>(),
                                gradient = x.grad().to_vector<double>();
      for (size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(std::isnan(values[i]), i == 1);
        for (size_t c = 0; c < 3; ++c)
          EXPECT_EQ(std::isnan(gradient[columns ? c * 4 + i : i * 3 + c]), i == 1);
      }
    }
  }
}

TEST_F(CudaKernels, RowsInPiecesThatDoNotDivideThem) {
  Generator g{1, 0};
  for (const Shape& shape :
       {Shape{20011}, Shape{2, 9001}, Shape{5003, 3}, Shape{2, 701, 70}, Shape{3, 130, 33}}) {
    const Tensor x = randn(shape, {.dtype = f64}, &g), y = x.to(kCuda);
    SCOPED_TRACE(to_text(shape));
    for (int64_t d = 0; d < x.dim(); ++d) {
      expect_values(sum(y, {d}), sum(x, {d}).to_vector<double>(), 1e-12, 1e-10);
      expect_values(amax(y, {d}), amax(x, {d}).to_vector<double>());
      expect_values(amin(y, {d}), amin(x, {d}).to_vector<double>());
    }
  }
}

// Uses few values, so that many are equal; NaNs, of which the first counts; and rows shorter and
// longer than a warp.
TEST_F(CudaKernels, TheFirstOfEqualExtremesAndOfNaNs) {
  Generator g{9, 0};
  for (const int64_t n : {1, 2, 31, 32, 33, 100, 700}) {
    for (const double nans : {0.0, 0.01, 0.3}) {
      Tensor x = (rand({40, n}, {}, &g) * 4).to(i64).to(f32), noise = rand({40, n}, {}, &g);
      float* values = x.mutable_data<float>();
      for (int64_t i = 0; i < x.numel(); ++i) {
        if (noise.data<float>()[i] < nans) values[i] = std::numeric_limits<float>::quiet_NaN();
      }
      for (const Tensor& rows : {x, transpose(x).contiguous()}) {
        const int64_t d = rows.shape()[0] == 40 ? 1 : 0;
        expect_values(argmax(rows.to(kCuda), d), argmax(rows, d).to_vector<double>());
        expect_values(argmin(rows.to(kCuda), d), argmin(rows, d).to_vector<double>());
      }
    }
  }
}

}  // namespace
}  // namespace ebb::test
