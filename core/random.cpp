#include "ebb/core/random.h"

#include "ebb/core/backend.h"

namespace ebb {
namespace {

Generator& chosen(Generator* generator) { return generator ? *generator : default_generator(); }

void draw(std::string_view op, Distribution kind, Tensor& out, double a, double b,
          Generator* generator) {
  check_writable(op, out);
  if (!is_floating(out.dtype())) fail(op, "expected a floating tensor, got ", out.dtype());
  Generator& g = chosen(generator);
  backend(out.device()).random(kind, out, g.seed, g.take(out.numel()), a, b);
  out.impl()->storage->bump_version();
}

}  // namespace

Generator& default_generator() {
  static thread_local Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) { default_generator() = {seed, 0}; }

Tensor rand(const Shape& shape, TensorOptions options, Generator* generator) {
  Tensor out = empty(shape, options);
  draw("rand", Distribution::Uniform, out, 0, 1, generator);
  return out;
}

Tensor randn(const Shape& shape, TensorOptions options, Generator* generator) {
  Tensor out = empty(shape, options);
  draw("randn", Distribution::Normal, out, 0, 1, generator);
  return out;
}

void uniform_(Tensor& out, double low, double high, Generator* generator) {
  draw("uniform_", Distribution::Uniform, out, low, high, generator);
}

void normal_(Tensor& out, double mean, double stddev, Generator* generator) {
  draw("normal_", Distribution::Normal, out, mean, stddev, generator);
}

void bernoulli_(Tensor& out, double p, Generator* generator) {
  draw("bernoulli_", Distribution::Bernoulli, out, p, 0, generator);
}

Tensor randperm(int64_t n, Generator* generator) {
  if (n < 0) fail("randperm", "expected a count of at least 0, got ", n);
  Generator& g = chosen(generator);
  Tensor out = arange(static_cast<double>(n));
  int64_t* p = out.mutable_data<int64_t>();
  const uint64_t start = g.take(n);
  for (int64_t i = n - 1; i > 0;
       --i) {  // Fisher-Yates; the bias of the multiply-shift is below n / 2^64
    const PhiloxBits bits = philox(g.seed, start + static_cast<uint64_t>(i));
    const uint64_t word = static_cast<uint64_t>(bits.word[0]) << 32 | bits.word[1];
    const auto j = static_cast<int64_t>(
        (static_cast<unsigned __int128>(word) * static_cast<uint64_t>(i + 1)) >> 64);
    std::swap(p[i], p[j]);
  }
  return out;
}

}  // namespace ebb
