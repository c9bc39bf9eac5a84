// Random programs of public ops with hostile sizes: views, indexing, broadcasting, reductions,
// products, conversions.
//
// A program keeps a few tensors and overwrites one with the result of each op. Whatever the
// arguments, an op gives a tensor whose elements can be read, or an Error. Tensors of many
// elements, which only views can be, are not computed with.
#include <cmath>
#include <cstdlib>
#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "target.h"

namespace {

using namespace ebb;
using fuzz::Choices;

constexpr int64_t kMostElements = 1 << 12;
constexpr int64_t kMin = std::numeric_limits<int64_t>::min(),
                  kMax = std::numeric_limits<int64_t>::max();

int64_t number(Choices& c) {
  constexpr int64_t kHostile[] = {kMin,
                                  kMin + 1,
                                  -(int64_t{1} << 32),
                                  -7,
                                  -3,
                                  int64_t{1} << 31,
                                  int64_t{1} << 32,
                                  int64_t{1} << 61,
                                  int64_t{1} << 62,
                                  (int64_t{1} << 62) + 1,
                                  kMax - 5,
                                  kMax};
  const int64_t which = c.below(24);
  return which < 12 ? which - 3 : kHostile[which - 12];
}

// A size or index that is mostly small.
int64_t mostly_small(Choices& c) { return c.below(4) == 0 ? number(c) : c.below(5) - 1; }

Shape shape(Choices& c) {
  Shape s;
  for (int64_t dims = c.below(5); dims > 0; --dims) s.push_back(mostly_small(c));
  return s;
}

Shape small_shape(Choices& c) {
  Shape s;
  for (int64_t dims = c.below(4); dims > 0; --dims) s.push_back(c.below(4));
  return s;
}

Tensor fresh(Choices& c) {
  const auto dtype = static_cast<DType>(c.below(kDTypeCount));
  const Shape s = small_shape(c);
  constexpr double kValues[] = {0, 1, -1, 2, 0.5, 1e30, -1e30, HUGE_VAL, -HUGE_VAL};
  switch (c.below(4)) {
    case 0: return arange(c.below(6)).to(dtype);
    case 1: return from_data(std::vector<int64_t>{number(c), mostly_small(c)}, {2}).to(dtype);
    case 2: return full(s, std::nan("")).to(dtype);
    default: return full(s, kValues[c.below(9)], {.dtype = f64}).to(dtype);
  }
}

Tensor view(Choices& c, const Tensor& x) {
  switch (c.below(11)) {
    case 0: return reshape(x, shape(c));
    case 1: return transpose(x, mostly_small(c), mostly_small(c));
    case 2: return permute(x, shape(c));
    case 3: return unsqueeze(x, mostly_small(c));
    case 4: return squeeze(x, mostly_small(c));
    case 5: return slice(x, mostly_small(c), number(c), number(c), number(c));
    case 6: return select(x, mostly_small(c), number(c));
    case 7: return expand(x, shape(c));
    case 8: return flatten(x, mostly_small(c), mostly_small(c));
    case 9: return x[number(c)];
    default: return alias(x);
  }
}

Tensor compute(Choices& c, const Tensor& x, const Tensor& y) {
  switch (c.below(22)) {
    case 0: return gather(x, mostly_small(c), y);
    case 1: return index_select(x, mostly_small(c), y);
    case 2: return one_hot(x, mostly_small(c));
    case 3: return scatter_add(x, small_shape(c), mostly_small(c), y);
    case 4: return slice_scatter(x, small_shape(c), mostly_small(c), number(c), number(c));
    case 5: return cat({x, y}, mostly_small(c));
    case 6: return stack({x, y}, mostly_small(c));
    case 7: return matmul(x, y);
    case 8: return sum(x, shape(c), c.below(2) != 0);
    case 9: return mean(x, {mostly_small(c)});
    case 10: return amax(x, {mostly_small(c)});
    case 11: return argmax(x, mostly_small(c));
    case 12: return log_softmax(x, static_cast<int>(mostly_small(c)));
    case 13: return add(x, y);
    case 14: return mul(x, y);
    case 15: return div(x, y);
    case 16: return where(x, y, y);
    case 17: return maximum(x, y);
    case 18: return x.to(static_cast<DType>(c.below(kDTypeCount)));
    case 19: return relu(x);
    case 20: return logsumexp(x, {mostly_small(c)});
    default: return x.contiguous();
  }
}

void change(Choices& c, Tensor x, const Tensor& y) {
  switch (c.below(4)) {
    case 0: x.fill_(static_cast<double>(mostly_small(c))); break;
    case 1: x.copy_(y); break;
    case 2: x.add_(y); break;
    default: x.mul_(y);
  }
}

bool is_small(const Tensor& x) { return x.numel() >= 0 && x.numel() <= kMostElements; }

// Reads every element that the tensor claims to have.
void read(const Tensor& x) {
  for (double value : x.to_vector<double>()) (void)value;
  (void)to_string(x);
}

void step(Choices& c, Tensor (&tensors)[4]) {
  Tensor& x = tensors[c.below(4)];
  const Tensor& y = tensors[c.below(4)];
  Tensor result;
  switch (c.below(8)) {
    case 0: result = fresh(c); break;
    case 1:
    case 2:
    case 3: result = view(c, x); break;
    case 4:
      if (is_small(x) && is_small(y)) change(c, x, y);
      break;
    default:
      if (is_small(x) && is_small(y)) result = compute(c, x, y);
  }
  if (!result.defined()) return;
  if (is_small(result)) read(result);
  x = result;
}

}  // namespace

std::vector<std::string> ebb::fuzz::seeds() {
  std::vector<std::string> inputs;
  for (int first = 0; first < 8; ++first) {
    std::string bytes;
    for (int i = 0; i < 64; ++i) bytes.push_back(static_cast<char>(i * (2 * first + 1) + first));
    inputs.push_back(bytes);
  }
  return inputs;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Choices choices(data, std::min<size_t>(size, 256));
  Tensor tensors[] = {arange(12), ones({2, 3}), tensor({{1, 0}, {0, 1}}, i64), zeros({0, 3})};
  while (!choices.empty()) fuzz::expect_error_at_most([&] { step(choices, tensors); });
  return 0;
}
