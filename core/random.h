// Random numbers of Philox4x32-10 (Salmon et al. 2011), a counter-based generator, the same on
// every device.
//
// Element i of a random tensor is a function of (seed, offset + i). Bits and uniform numbers are
// equal on all devices, normal numbers differ by a few ulp. A Generator is the pair (seed, next
// offset), and a checkpoint saves nothing else.
#pragma once

#include <cstdint>

#include "ebb/core/host_device.h"
#include "ebb/core/tensor.h"

namespace ebb {

struct PhiloxBits {
  uint32_t word[4];
};

/// The keys of the ten rounds for a seed. A kernel receives them as an argument.
struct PhiloxKeys {
  uint32_t round[10][2];

  EBB_HD explicit PhiloxKeys(uint64_t seed) {
    for (uint32_t r = 0; r < 10; ++r) {
      round[r][0] = static_cast<uint32_t>(seed) + r * 0x9E3779B9u;
      round[r][1] = static_cast<uint32_t>(seed >> 32) + r * 0xBB67AE85u;
    }
  }
};

/// Returns the four words of block `counter` in the stream of a seed.
EBB_HD PhiloxBits philox(const PhiloxKeys& keys, uint64_t counter) {
  uint32_t x0 = static_cast<uint32_t>(counter), x1 = static_cast<uint32_t>(counter >> 32), x2 = 0,
           x3 = 0;
  for (const auto& key : keys.round) {
    const uint64_t a = uint64_t{0xD2511F53} * x0, b = uint64_t{0xCD9E8D57} * x2;
    x0 = static_cast<uint32_t>(b >> 32) ^ x1 ^ key[0];
    x2 = static_cast<uint32_t>(a >> 32) ^ x3 ^ key[1];
    x1 = static_cast<uint32_t>(b);
    x3 = static_cast<uint32_t>(a);
  }
  return {{x0, x1, x2, x3}};
}
EBB_HD PhiloxBits philox(uint64_t seed, uint64_t counter) {
  return philox(PhiloxKeys(seed), counter);
}

enum class Distribution : uint8_t { Uniform, Normal, Bernoulli };

/// A source of random numbers. Copying it copies its position.
struct Generator {
  uint64_t seed = 0;
  uint64_t offset = 0;  ///< the number of the next element

  /// Advances by n elements. Returns the number of the first of them.
  uint64_t take(int64_t n) {
    const uint64_t start = offset;
    offset += static_cast<uint64_t>(n);
    return start;
  }
};

/// Returns the generator of the calling thread, which rand, randn, dropout and initialization use
/// by default.
Generator& default_generator();
/// Restarts the generator of the calling thread with a seed.
void manual_seed(uint64_t seed);

/// Returns numbers that are uniform in [0, 1), or standard normal (Box-Muller). The dtype is f32
/// or f64.
///
///     randn({2, 3}, f64);
Tensor rand(const Shape& shape, TensorOptions options = {}, Generator* generator = nullptr);
Tensor randn(const Shape& shape, TensorOptions options = {}, Generator* generator = nullptr);
template <TensorOption O>
Tensor rand(const Shape& shape, O option, Generator* generator = nullptr) {
  return rand(shape, options_of(option), generator);
}
template <TensorOption O>
Tensor randn(const Shape& shape, O option, Generator* generator = nullptr) {
  return randn(shape, options_of(option), generator);
}
/// Returns the same with the shape, dtype and device of another tensor.
Tensor rand_like(const Tensor& other, Generator* generator = nullptr);
Tensor randn_like(const Tensor& other, Generator* generator = nullptr);
/// Returns integers that are uniform in [low, high), or in [0, high). The default dtype is i64.
/// They are drawn on the host, and are the same for every device. Throws Error unless low < high
/// and the dtype can represent all of them.
///
///     randint(10, {2, 3});      // (2, 3) of 0 to 9
///     randint(-1, 2, 5, f32);   // (5,) of -1, 0 and 1
Tensor randint(int64_t low, int64_t high, const Shape& shape, TensorOptions options = {},
               Generator* generator = nullptr);
inline Tensor randint(int64_t high, const Shape& shape, TensorOptions options = {},
                      Generator* generator = nullptr) {
  return randint(0, high, shape, options, generator);
}
template <TensorOption O>
Tensor randint(int64_t low, int64_t high, const Shape& shape, O option,
               Generator* generator = nullptr) {
  return randint(low, high, shape, options_of(option), generator);
}
template <TensorOption O>
Tensor randint(int64_t high, const Shape& shape, O option, Generator* generator = nullptr) {
  return randint(0, high, shape, options_of(option), generator);
}
/// Fills out with numbers that are uniform in [low, high). Throws Error for tensors that require
/// grad, except under NoGrad.
void uniform_(Tensor& out, double low, double high, Generator* generator = nullptr);
/// Fills out with normal numbers.
void normal_(Tensor& out, double mean, double stddev, Generator* generator = nullptr);
/// Fills out with 1 with probability p, else 0.
void bernoulli_(Tensor& out, double p, Generator* generator = nullptr);
/// Returns a random permutation of 0 ... n - 1, i64 (n,). It is a function of the generator's seed
/// and offset.
Tensor randperm(int64_t n, Generator* generator = nullptr);

}  // namespace ebb
