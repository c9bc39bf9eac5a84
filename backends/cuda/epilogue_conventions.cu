// Finds out what epilogues of cuBLASLt do in cases that NVIDIA does not document. The ReLU epilogue
// is documented as max(x, 0), which drops NaN on some hardware. The mask for the gradient is
// documented as bits, without their value at 0 and their order. The accuracy of GELU is not
// documented. This file runs each epilogue on such values, for one shape. Other shapes use other
// algorithms, so a test checks several shapes.
#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "ebb/backends/cuda/products.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

constexpr int64_t kSide = 128;  // side of square matrices, stored column by column
constexpr int64_t kCount = kSide * kSide;
constexpr size_t kBytes = kCount * sizeof(float);

class Square {
 public:
  template <class At> explicit Square(At at) {
    std::vector<float> host(kCount);
    for (int64_t i = 0; i < kCount; ++i) host[static_cast<size_t>(i)] = at(i);
    check(cudaMalloc(&data_, kBytes), "cudaMalloc");
    check(cudaMemcpyAsync(data_, host.data(), kBytes, cudaMemcpyHostToDevice, context().stream),
          "copy");
    check(cudaStreamSynchronize(context().stream), "cudaStreamSynchronize");
  }
  ~Square() { cudaFree(data_); }
  Square(const Square&) = delete;
  Square& operator=(const Square&) = delete;

  template <class T> std::vector<T> read() const {
    std::vector<T> host(kBytes / sizeof(T));
    check(cudaMemcpyAsync(host.data(), data_, kBytes, cudaMemcpyDeviceToHost, context().stream),
          "copy");
    check(cudaStreamSynchronize(context().stream), "cudaStreamSynchronize");
    return host;
  }
  float* data() const { return data_; }

 private:
  float* data_ = nullptr;
};

// Values that TF32 represents exactly. A whole row is NaN, because a product with the identity
// spreads a NaN along its row.
float relu_value(int64_t i) {
  constexpr float kValues[] = {-2, 0, 1.5F, -0.5F, 3, 0, 0.25F};
  return i % kSide % 4 == 3 ? std::numeric_limits<float>::quiet_NaN() : kValues[i % 7];
}
float gelu_value(int64_t i) { return static_cast<float>(i % 1024 - 512) / 64; }

double gelu(double x) {
  return x / (1 + std::exp(-2 * 0.79788456080286536 * (x + 0.044715 * x * x * x)));
}

}  // namespace

EpilogueConventions try_epilogues(Products& products, bool tf32) {
  const Square identity([](int64_t i) { return i % kSide == i / kSide ? 1.0F : 0.0F; });
  const Square zeros([](int64_t) { return 0.0F; }), ones([](int64_t) { return 1.0F; });
  const Square special(relu_value), grid(gelu_value);
  const Square out([](int64_t) { return 0.0F; }), aux([](int64_t) { return 0.0F; });
  const auto passes = [](int64_t i) { return !(relu_value(i) <= 0); };
  const Square mask([&](int64_t i) {
    uint32_t bits = 0;
    for (int64_t bit = 0; bit < 32 && i < kCount / 32; ++bit)
      bits |= static_cast<uint32_t>(passes(32 * i + bit)) << bit;
    return std::bit_cast<float>(bits);
  });
  // Returns true if there is an algorithm with the epilogue. Without one there is nothing to test.
  const auto run = [&](cublasLtEpilogue_t epilogue, const Square& x, const Square& side) {
    const Layout square{kSide, kSide, kSide, 0, false};
    const ProductKey key{square, square, kSide, kSide, kSide, 1, 256, epilogue, DType::F32, tf32};
    const bool biased = (epilogue & CUBLASLT_EPILOGUE_BIAS) != 0;
    return products.run(key,
                        {x.data(), identity.data(), out.data(), biased ? zeros.data() : nullptr,
                         has_aux(epilogue) ? side.data() : nullptr});
  };
  const auto holds = [](const auto& values, auto expected) {
    for (int64_t i = 0; i < kCount; ++i) {
      if (!expected(i, values[static_cast<size_t>(i)])) return false;
    }
    return true;
  };
  const auto is_relu = [](int64_t i, float y) {
    const float x = relu_value(i);
    return x != x ? y != y : y == (x > 0 ? x : 0);
  };
  const double tolerance = tf32 ? 1e-3 : 1e-6;
  const auto is_gelu = [&](int64_t i, float y) {
    const double x = gelu_value(i);
    return std::abs(y - gelu(x)) <= tolerance * std::fmax(std::abs(x), 1e-3);
  };

  EpilogueConventions conventions;
  for (const auto epilogue : {CUBLASLT_EPILOGUE_RELU, CUBLASLT_EPILOGUE_RELU_BIAS}) {
    if (run(epilogue, special, aux))
      conventions.relu_keeps_nan &= holds(out.read<float>(), is_relu);
  }
  for (const auto epilogue : {CUBLASLT_EPILOGUE_RELU_AUX, CUBLASLT_EPILOGUE_RELU_AUX_BIAS}) {
    if (!run(epilogue, special, aux)) continue;
    conventions.relu_mask &= holds(out.read<float>(), is_relu);
    const std::vector<uint8_t> bits = aux.read<uint8_t>();
    for (int64_t i = 0; i < kCount; ++i) {
      conventions.relu_mask &= (bits[static_cast<size_t>(i / 8)] >> (i % 8) & 1) == passes(i);
    }
  }
  conventions.zero_mask =
      run(CUBLASLT_EPILOGUE_DRELU, ones, mask) &&
      holds(out.read<float>(), [&](int64_t i, float y) { return y == (passes(i) ? 1 : 0); });
  for (const auto epilogue : {CUBLASLT_EPILOGUE_GELU_AUX, CUBLASLT_EPILOGUE_GELU_AUX_BIAS}) {
    if (!run(epilogue, grid, aux)) continue;
    conventions.gelu &= holds(out.read<float>(), is_gelu);
    conventions.gelu &=
        holds(aux.read<float>(), [](int64_t i, float x) { return x == gelu_value(i); });
  }
  return conventions;
}

}  // namespace ebb::cuda
