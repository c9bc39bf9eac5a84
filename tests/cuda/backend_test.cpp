// The device as a whole: memory, waiting, errors found by kernels, formulas.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "ebb/backends/cuda/library.h"
#include "ebb/backends/cuda/small_products.h"
#include "ebb/core/backend.h"
#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using CudaBackend = CudaTest;

TEST_F(CudaBackend, MemoryIsCounted) {
  const cuda::MemoryStats before = cuda::memory_stats();
  cuda::reset_peak_memory();
  {
    const Tensor a = empty({1 << 20}, {.device = kCuda});
    EXPECT_GE(cuda::memory_stats().current_bytes - before.current_bytes, 4 << 20);
  }
  const cuda::MemoryStats after = cuda::memory_stats();
  EXPECT_EQ(after.current_bytes, before.current_bytes);
  EXPECT_GE(after.peak_bytes - before.current_bytes, 4 << 20);
  cuda::empty_cache();
  EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
}

TEST_F(CudaBackend, BlocksOfUploadsAreCachedAndGivenBack) {
  cuda::empty_cache();
  const Tensor host = zeros({1 << 16});
  backend(kCuda).upload(host);
  const int64_t cached = cuda::memory_stats().cached_bytes;
  EXPECT_GE(cached, 4 << 16);
  {
    const Tensor again = backend(kCuda).upload(host);
    EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
  }
  EXPECT_EQ(cuda::memory_stats().cached_bytes, cached);
  cuda::empty_cache();
  EXPECT_EQ(cuda::memory_stats().cached_bytes, 0);
}

TEST_F(CudaBackend, RunningOutOfMemoryStatesWhatIsUsed) {
  const Tensor held = ones({1000}, {.device = kCuda});
  expect_error([] { empty({int64_t{1} << 45}, {.device = kCuda}); }, "cuda",
               {"out of memory", "asked for", "tensors hold"});
  EXPECT_EQ(sum(held).item(), 1000);  // the tensor is unchanged
}

TEST_F(CudaBackend, AStepDoesNotWait) {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.5), nn::Linear(16, 3)};
  model.to(kCuda);
  nn::Adam optimizer(model.named_parameters());
  const Tensor x = randn({10, 6}).to(kCuda), t = zeros({10}, {.dtype = i64, .device = kCuda});
  const Tensor soft = full({10, 3}, 0.5, {.device = kCuda});
  const auto step = [&] {
    const Tensor scores = model(x);
    Tensor loss = nn::cross_entropy(scores, t, {.label_smoothing = 0.1});
    loss = loss + nn::binary_cross_entropy(sigmoid(scores), soft) +
           nn::multi_margin_loss(scores, t) + nn::nll_loss(log_softmax(scores, 1), t) +
           nn::kl_div(log_softmax(scores, 1), soft) + nn::gaussian_nll_loss(scores, soft, soft);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    return loss.detach();
  };
  step();
  const int64_t before = cuda::synchronizations();
  for (int i = 0; i < 5; ++i) step();
  EXPECT_EQ(cuda::synchronizations(), before);
  step().item();
  EXPECT_EQ(cuda::synchronizations(), before + 1);  // the wait is counted
}

TEST_F(CudaBackend, ABadIndexIsRaisedAtTheNextWait) {
  const Tensor x = randn({4, 3}).to(kCuda).requires_grad_();
  const Tensor bad = from_data(std::vector<int64_t>{0, 2, 3, 1}, {4}).to(kCuda);
  const Tensor loss = nn::cross_entropy(x, bad);
  loss.backward();
  expect_error([&] { loss.item(); }, "cross_entropy", {"index 3 at position 2", "expected 0 to 2"});
  EXPECT_TRUE(std::isnan(loss.item()));  // raised once
  const Tensor good = zeros({4}, {.dtype = i64, .device = kCuda});
  EXPECT_TRUE(std::isfinite(nn::cross_entropy(x, good).item()));
  expect_error(
      [&] {
        (void)gather(x.detach(), 1, full({4, 1}, -1, {.dtype = i64, .device = kCuda}))
            .to(Device::cpu());
      },
      "gather", {"index -1"});
}

TEST_F(CudaBackend, ABrokenRuleIsRaisedAtTheNextWait) {
  const Tensor p = full({3, 2}, 1.5, {.device = kCuda}), t = zeros({3, 2}, {.device = kCuda});
  const Tensor loss = nn::binary_cross_entropy(p, t);
  expect_error([] { cuda::synchronize(); }, "binary_cross_entropy", {"between 0 and 1", "1.5"});
  cuda::synchronize();
}

TEST_F(CudaBackend, DevicesDoNotMix) {
  const Tensor a = ones({2}, {.device = kCuda}), b = ones({2});
  expect_error([&] { a + b; }, "add", {"cuda:0", "cpu"});
  expect_error([&] { empty({2}, {.device = Device::cuda(1)}); }, "backend", {"cuda:1"});
  const Tensor scores = zeros({2, 3}, {.device = kCuda}),
               classes = zeros({2}, {.dtype = i64, .device = kCuda});
  expect_error([&] { nn::cross_entropy(scores, classes.to(Device::cpu())); }, "cross_entropy",
               {"target is on cpu"});
  expect_error([&] { nn::cross_entropy(scores, classes, {.weight = ones({3})}); }, "cross_entropy",
               {"weight is on cpu"});
  expect_error([&] { nn::mse_loss(scores, zeros({2, 3})); }, "mse_loss", {"target is on cpu"});
  expect_error([&] { a.data<float>(); }, "data", {"cuda:0", "copy it to the cpu"});
}

TEST_F(CudaBackend, RandomNumbersAreThoseOfTheCpu) {
  for (DType dtype : {f32, f64}) {
    Generator a{7, 3}, b{7, 3};
    EXPECT_EQ(rand({1000}, {.dtype = dtype}, &a).to_vector<double>(),
              rand({1000}, {.dtype = dtype, .device = kCuda}, &b).to_vector<double>());
    expect_values(randn({1000}, {.dtype = dtype, .device = kCuda}, &b),
                  randn({1000}, {.dtype = dtype}, &a).to_vector<double>(),
                  dtype == f32 ? 1e-6 : 1e-14, 1e-15);
  }
}

// Views, and sizes that are not a multiple of what a thread draws at once.
TEST_F(CudaBackend, RandomNumbersOfViewsAndOddSizes) {
  for (const int64_t n : {1, 3, 1021}) {
    for (const bool transposed : {false, true}) {
      const auto run = [&](Device device) {
        Generator g{8, 5};
        Tensor whole = zeros({n, 5}, {.device = device});
        Tensor out = transposed ? transpose(whole) : slice(whole, 0, n > 1 ? 1 : 0, n);
        uniform_(out, -1, 1, &g);
        std::vector<double> all = whole.to_vector<double>();
        bernoulli_(out, 0.3, &g);
        for (double x : whole.to_vector<double>()) all.push_back(x);
        return all;
      };
      EXPECT_EQ(run(kCuda), run(Device::cpu())) << n;
    }
  }
}

TEST_F(CudaBackend, SumsOfManyElementsAndOfBigRows) {
  Generator g{1, 0};
  for (const Shape& shape : {Shape{20000}, Shape{2, 9000}, Shape{5000, 3}, Shape{2, 700, 7}}) {
    const Tensor x = randn(shape, {.dtype = f64}, &g), y = x.to(kCuda);
    SCOPED_TRACE(to_text(shape));
    expect_values(sum(y), {sum(x).item()}, 1e-12, 1e-10);
    for (int64_t d = 0; d < x.dim(); ++d) {
      expect_values(sum(y, {d}), sum(x, {d}).to_vector<double>(), 1e-12, 1e-10);
      expect_values(amax(y, {d}), amax(x, {d}).to_vector<double>());
      expect_values(argmax(y, d), argmax(x, d).to_vector<double>());
      expect_values(softmax(y, d), softmax(x, d).to_vector<double>(), 1e-12, 1e-300);
      expect_values(log_softmax(y, d), log_softmax(x, d).to_vector<double>(), 1e-12, 1e-12);
      expect_values(logsumexp(y, {d}), logsumexp(x, {d}).to_vector<double>(), 1e-12, 1e-12);
    }
  }
}

// Uses widths on both sides of every change of kernel.
TEST_F(CudaBackend, CrossEntropyOfEveryWidth) {
  Generator g{2, 0};
  for (DType dtype : {f32, f64}) {
    for (int64_t classes : {1, 3, 31, 32, 33, 128, 129, 1000, 1024, 1025, 4096, 4097, 9000}) {
      for (bool weighted : {false, true}) {
        const Tensor x = randn({5, classes}, {.dtype = dtype}, &g).requires_grad_();
        const Tensor t = (rand({5}, {}, &g) * static_cast<double>(classes)).to(i64);
        nn::CrossEntropyLossOptions options{.ignore_index = t[2].item<int64_t>(),
                                            .label_smoothing = weighted ? 0.2 : 0};
        if (weighted) options.weight = rand({classes}, {.dtype = dtype}, &g) + 0.5;
        const Tensor want = nn::cross_entropy(x, t, options);
        want.backward();
        const Tensor y = x.detach().to(kCuda).requires_grad_();
        if (weighted) options.weight = options.weight.to(kCuda);
        const Tensor got = nn::cross_entropy(y, t.to(kCuda), options);
        got.backward();
        SCOPED_TRACE(classes);
        const double tolerance = dtype == f32 ? 2e-5 : 1e-12;
        expect_values(got, {want.item()}, tolerance);
        expect_values(y.grad(), x.grad().to_vector<double>(), tolerance, tolerance * 1e-2);
      }
    }
  }
}

// Uses small and large products, because cuBLAS has many kernels, which may treat a NaN in a ReLU
// differently.
TEST_F(CudaBackend, ANaNSurvivesAFusedRelu) {
  Generator g{6, 0};
  cuda::use_small_products(false);
  for (const bool tf32 : {false, true}) {
    cuda::set_allow_tf32(tf32);
    for (const int64_t n : {3, 16, 64, 200}) {
      for (const bool biased : {false, true}) {
        Tensor x = randn({n, n}, {}, &g), weight = randn({n, n}, {}, &g);
        x.mutable_data<float>()[0] = std::nanf("");
        const Tensor bias = biased ? randn({n}, {}, &g).to(kCuda) : Tensor();
        const Tensor y = linear(x.to(kCuda), weight.to(kCuda), bias, Activation::Relu);
        const std::vector<float> values = y.to_vector<float>();
        for (int64_t i = 0; i < n * n; ++i) {
          EXPECT_EQ(std::isnan(values[static_cast<size_t>(i)]), i < n)
              << n << " wide, element " << i;
        }
      }
    }
  }
  cuda::set_allow_tf32(false);
  cuda::use_small_products(true);
}

TEST_F(CudaBackend, ScatterAddIsThatOfTheCpuToTheBit) {
  Generator g{4, 0};
  for (const Shape& shape :
       {Shape{500}, Shape{40, 6}, Shape{6, 200}, Shape{3, 70, 2}, Shape{5000}, Shape{2, 3100}}) {
    for (int64_t d = 0; d < shape.dim(); ++d) {
      for (int64_t places : {1, 4, 45}) {
        const Tensor x = randn(shape, {}, &g);
        const Tensor index = (rand(shape, {}, &g) * static_cast<double>(places)).to(i64);
        Shape narrow = shape;
        narrow[static_cast<int>(d)] = places;
        const Tensor want = scatter_add(x, narrow, d, index);
        const Tensor got = scatter_add(x.to(kCuda), narrow, d, index.to(kCuda));
        EXPECT_EQ(got.to_vector<float>(), want.to_vector<float>())
            << to_text(shape) << " to " << places;
      }
    }
  }
}

TEST_F(CudaBackend, ProductsOfEveryLayout) {
  Generator g{5, 0};
  cuda::use_small_products(false);
  for (DType dtype : {f32, f64}) {
    for (const auto& [m, k, n] : std::vector<std::array<int64_t, 3>>{
             {1, 1, 1}, {3, 5, 4}, {1, 7, 1}, {17, 1, 9}, {33, 20, 65}, {4, 0, 3}}) {
      for (int layout = 0; layout < 4; ++layout) {
        Tensor a = layout & 1 ? transpose(randn({k, m}, {.dtype = dtype}, &g))
                              : randn({m, k}, {.dtype = dtype}, &g);
        Tensor b = layout & 2 ? transpose(randn({n, k}, {.dtype = dtype}, &g))
                              : randn({k, n}, {.dtype = dtype}, &g);
        const auto on_device = [](const Tensor& x, bool turned) {
          return turned ? transpose(transpose(x).contiguous().to(kCuda)) : x.contiguous().to(kCuda);
        };
        const Tensor got = matmul(on_device(a, layout & 1), on_device(b, layout & 2));
        const double tolerance = dtype == f32 ? 1e-5 : 1e-13;
        expect_values(got, matmul(a, b).to_vector<double>(), tolerance, tolerance);
      }
    }
  }
  cuda::use_small_products(true);
}

TEST(CudaLibrary, IsTakenFromAFolderAndMissedByName) {
  Dl_info some{};
  // Of the C library, and found by name: others may be linked into the program.
  ASSERT_NE(dladdr(dlsym(RTLD_DEFAULT, "getpid"), &some), 0);
  std::string folder = std::filesystem::temp_directory_path() / "ebb-library-XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  std::filesystem::create_symlink(std::filesystem::canonical(some.dli_fname),
                                  folder + "/libofnobody.so.7");
  EXPECT_NE(cuda::open_library("libofnobody.so.7", folder), nullptr);
  expect_error(
      [&] { cuda::open_library("libofnobody.so.8", folder); }, "cuda",
      {"expected libofnobody.so.8 where the loader looks or in " + folder, "No such file"});
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace ebb::test
