// Saved tensors are protected against changes, and memory is freed.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/memory.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

TEST(InPlace, ChangeOfASavedInputIsDetected) {
  Tensor x = leaf({1, 2});
  Tensor factor = tensor({3, 4}, f64);
  const Tensor y = sum(x * factor);
  factor.add_(factor.clone());
  expect_error([&] { y.backward(); }, "backward", {"mul", "was changed in place"});
  EXPECT_FALSE(x.grad().defined());
}

TEST(InPlace, ChangeOfASavedOutputIsDetected) {
  for (const auto op :
       {+[](const Tensor& t) { return exp(t); }, +[](const Tensor& t) { return sigmoid(t); },
        +[](const Tensor& t) { return softmax(t, 0); }}) {
    Tensor x = leaf({1, 2});
    Tensor y = op(x);
    const std::string name = y.grad_node_name();
    const Tensor loss = sum(y);
    {
      const NoGrad guard;
      y.mul_(2);
    }
    expect_error([&] { loss.backward(); }, "backward", {name, "was changed in place"});
  }
}

TEST(InPlace, ChangeThroughAViewIsDetected) {
  Tensor x = leaf({1, 2});
  Tensor factor = tensor({{3, 4}, {5, 6}}, f64);
  const Tensor y = sum(x * factor[0]);
  Tensor other_row = factor[1];
  other_row.zero_();  // another part of the same storage: the version belongs to the storage
  expect_error([&] { y.backward(); }, "backward", {"mul", "was changed in place"});
}

TEST(InPlace, MutableDataCountsAsAChange) {
  Tensor x = leaf({1, 2});
  Tensor factor = tensor({3, 4}, f64);
  const Tensor y = sum(x * factor);
  (void)factor.data<double>();
  y.backward({}, true);
  factor.mutable_data<double>()[0] = 3;
  expect_error([&] { y.backward(); }, "backward", {"mul", "was changed in place"});
}

TEST(InPlace, EveryWriteIncrementsTheVersion) {
  Tensor t = tensor({1, 2}, f64);
  uint32_t version = t.version();
  const auto expect_bump = [&](const char* what) {
    EXPECT_GT(t.version(), version) << what;
    version = t.version();
  };
  t.fill_(1), expect_bump("fill_");
  t.zero_(), expect_bump("zero_");
  t.copy_(ones({2}, {.dtype = f64})), expect_bump("copy_");
  t.add_(ones({2}, {.dtype = f64})), expect_bump("add_");
  t.add_(ones({2}, {.dtype = f64}), 2), expect_bump("add_ scaled");
  t.mul_(ones({2}, {.dtype = f64})), expect_bump("mul_");
  t.mul_(2), expect_bump("mul_ scalar");
  slice(t, 0, 0, 1).zero_(), expect_bump("through a view");
}

TEST(InPlace, TensorsThatAreNotSavedMayChange) {
  Tensor x = leaf({1, 2});
  Tensor addend = tensor({3, 4}, f64);
  const Tensor y = sum(x + addend);  // linear: nothing saved
  addend.zero_();
  y.backward();
  expect_values(x.grad(), {1, 1});
}

TEST(InPlace, RefusedOnTensorsThatRequireGrad) {
  Tensor x = leaf({1, 2});
  Tensor y = x * x;
  const Tensor one = ones({2}, {.dtype = f64});
  for (Tensor* t : {&x, &y}) {
    expect_error([&] { t->add_(one); }, "add_", {"requires grad", "no_grad"});
    expect_error([&] { t->mul_(one); }, "mul_", {"requires grad"});
    expect_error([&] { t->mul_(2); }, "mul_", {"requires grad"});
    expect_error([&] { t->fill_(1); }, "fill_", {"requires grad"});
    expect_error([&] { t->zero_(); }, "fill_", {"requires grad"});
    expect_error([&] { t->copy_(one); }, "copy_", {"requires grad"});
  }
  expect_values(x, {1, 2});
  {
    const NoGrad guard;
    x.add_(one);
  }
  expect_values(x, {2, 3});
  Tensor plain = ones({2}, {.dtype = f64});
  expect_error([&] { plain.add_(x); }, "add_", {"source", "requires grad"});
}

TEST(InPlace, SourcesThatOverlapAreReadBeforeTheyAreWritten) {
  Tensor t = arange(0, 3000, 1, {.dtype = f64});
  slice(t, 0, 1, 3000).copy_(slice(t, 0, 0, 2999));
  std::vector<double> want(3000);
  for (size_t i = 1; i < want.size(); ++i) want[i] = static_cast<double>(i - 1);
  expect_values(t, want);
  Tensor u = arange(0, 3000, 1, {.dtype = f64});
  slice(u, 0, 1, 3000).add_(slice(u, 0, 0, 2999));
  for (size_t i = 1; i < want.size(); ++i) want[i] = static_cast<double>(2 * i - 1);
  expect_values(u, want);
  Tensor rows = tensor({{1, 2}, {10, 20}}, f64);
  rows.add_(rows[0]);  // broadcast from a part of itself
  expect_values(rows, {2, 4, 11, 22});
  Tensor square = tensor({{1, 2}, {3, 4}}, f64);
  square.add_(transpose(square));
  expect_values(square, {2, 5, 5, 8});
  Tensor self = tensor({1, 2}, f64);
  self.add_(self).mul_(self);
  expect_values(self, {4, 16});
}

TEST(InPlace, AnErrorLeavesTheTensorUnchanged) {
  Tensor t = tensor({1, 2}, f64);
  const uint32_t version = t.version();
  expect_error([&] { t.add_(ones({3}, {.dtype = f64})); }, "add_", {"(3,)", "(2,)"});
  expect_error([&] { t.add_(ones({2})); }, "add_", {"f64", "f32"});
  expect_error([&] { expand(t, {3, 2}).fill_(0); }, "fill_", {"share memory"});
  expect_values(t, {1, 2});
  EXPECT_EQ(t.version(), version);
}

// ---- leaks ----

// Runs body several times and checks that all memory is freed.
template <class Body> void expect_no_leak(Body body) {
  body();  // fills thread-local caches
  const int64_t before = memory::stats().live_bytes;
  for (int i = 0; i < 50; ++i) body();
  EXPECT_EQ(memory::stats().live_bytes, before);
}

TEST(Leaks, GraphsWithBackward) {
  expect_no_leak([] {
    Tensor x = leaf({1, 2});
    sum(softmax(sigmoid(exp(x)), 0) * x).backward();
  });
}

TEST(Leaks, GraphsWithoutBackward) {
  expect_no_leak([] {
    Tensor x = leaf({1, 2});
    const Tensor y = sum(log_softmax(tanh(exp(x)), 0) * logsumexp(x) + max(x));
    (void)y;
  });
}

TEST(Leaks, SavedOutputsUnderCreateGraph) {
  expect_no_leak([] {
    Tensor x = leaf({0.1, 0.2});
    Tensor d = sum(sigmoid(exp(x)) * softmax(tanh(x), 0));
    for (int order = 0; order < 3; ++order) d = sum(grad(d, x, {.create_graph = true}));
  });
}

TEST(Leaks, RetainedAndDropped) {
  expect_no_leak([] {
    Tensor x = leaf({1, 2});
    Tensor y = exp(x);
    y.retain_grad();
    const Tensor z = sum(y * y);
    z.backward({}, true);
  });
}

TEST(Leaks, BackwardsThatThrow) {
  expect_no_leak([] {
    Tensor x = leaf({1, 2});
    Tensor factor = tensor({3, 4}, f64);
    const Tensor y = sum(exp(x) * factor) + sum(x * x);
    factor.zero_();
    EXPECT_THROW(y.backward(), Error);
  });
}

TEST(Leaks, BackwardFreesSavedTensors) {
  Tensor x = ones({1000}, {.dtype = f64}).requires_grad_();
  const int64_t before = memory::stats().live_bytes;
  const Tensor y = sum(exp(x) * exp(x));
  EXPECT_GT(memory::stats().live_bytes - before, 16'000);
  y.backward();
  // Only the gradient and the emptied nodes remain.
  EXPECT_LT(memory::stats().live_bytes - before, 12'000);
}

}  // namespace
}  // namespace ebb
