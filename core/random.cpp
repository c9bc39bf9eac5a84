#include "ebb/core/random.h"

#include "ebb/core/backend.h"
#include "ebb/core/batch_rows.h"

namespace ebb {
namespace {

thread_local BatchRows batch_rows;

// Takes the numbers of a tensor from a generator. If its rows are those of BatchRowsScope, takes
// the numbers of the whole batch, of which the result is the first that belongs to these rows.
uint64_t take(Generator& g, const Tensor& out) {
  const BatchRows& rows = batch_rows;
  if (rows.count == rows.total || out.dim() == 0 || out.size(0) != rows.count)
    return g.take(out.numel());
  const int64_t row = rows.count == 0 ? 0 : out.numel() / rows.count;
  return g.take(row * rows.total) + static_cast<uint64_t>(row * rows.first);
}

Generator& chosen(Generator* generator) { return generator ? *generator : default_generator(); }

__extension__ typedef unsigned __int128 Product;  // of two 64-bit numbers

// A number in [0, range) from draw `number` of a stream; the bias of the multiply-shift is below
// range / 2^64.
uint64_t draw_below(uint64_t range, uint64_t seed, uint64_t number) {
  const PhiloxBits bits = philox(seed, number);
  const uint64_t word = static_cast<uint64_t>(bits.word[0]) << 32 | bits.word[1];
  return static_cast<uint64_t>((static_cast<Product>(word) * range) >> 64);
}

void draw(std::string_view op, Distribution kind, Tensor& out, double a, double b,
          Generator* generator) {
  check_writable(op, out);
  if (!is_floating(out.dtype())) fail(op, "expected a floating tensor, got ", out.dtype());
  Generator& g = chosen(generator);
  backend(out.device()).random(kind, out, g.seed, take(g, out), a, b);
  out.impl()->storage->bump_version();
}

}  // namespace

Generator& default_generator() {
  static thread_local Generator generator;
  return generator;
}

void manual_seed(uint64_t seed) { default_generator() = {seed, 0}; }

BatchRowsScope::BatchRowsScope(const BatchRows& rows) : before_(batch_rows) { batch_rows = rows; }

BatchRowsScope::~BatchRowsScope() { batch_rows = before_; }

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

Tensor rand_like(const Tensor& other, Generator* generator) {
  Tensor out = empty_like(other);
  draw("rand_like", Distribution::Uniform, out, 0, 1, generator);
  return out;
}

Tensor randn_like(const Tensor& other, Generator* generator) {
  Tensor out = empty_like(other);
  draw("randn_like", Distribution::Normal, out, 0, 1, generator);
  return out;
}

Tensor randint(int64_t low, int64_t high, const Shape& shape, TensorOptions options,
               Generator* generator) {
  if (low >= high) fail("randint", "expected low < high, got ", low, " and ", high);
  const DType dtype = options.dtype.value_or(DType::I64);
  Scalar(low).check_exact("randint", dtype);
  Scalar(high - 1).check_exact("randint", dtype);
  const auto range = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  Tensor host = empty(shape, {.dtype = dtype});
  Generator& g = chosen(generator);
  const uint64_t start = take(g, host);
  dispatch_all(dtype, [&]<class T>(T) {
    T* to = reinterpret_cast<T*>(host.raw());
    for (int64_t i = 0; i < host.numel(); ++i) {
      const uint64_t steps = draw_below(range, g.seed, start + static_cast<uint64_t>(i));
      to[i] = static_cast<T>(static_cast<int64_t>(static_cast<uint64_t>(low) + steps));
    }
  });
  if (options.device == Device::cpu()) return host;
  return detail::copy_data(host.raw(), static_cast<size_t>(host.numel()), dtype, shape,
                           options.device);
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
  (void)Shape(n).numel("randperm");
  Generator& g = chosen(generator);
  Tensor out = arange(n);
  int64_t* p = out.mutable_data<int64_t>();
  const uint64_t start = g.take(n);
  for (int64_t i = n - 1; i > 0; --i) {  // Fisher-Yates
    const auto j = static_cast<int64_t>(
        draw_below(static_cast<uint64_t>(i + 1), g.seed, start + static_cast<uint64_t>(i)));
    std::swap(p[i], p[j]);
  }
  return out;
}

}  // namespace ebb
