// Structural ops with several outputs, and observers of ops.
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/autograd/inspect/picture.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/formulas/activation.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;
using Tensors = std::vector<Tensor>;

Tensor leaf(std::initializer_list<double> values) { return tensor(values, f64).requires_grad_(); }

// x -> (x^2, x > 0 as i64, 3 x). kContext: backward also takes the context.
template <bool kContext> struct TestThree {
  static constexpr std::string_view name = kContext ? "test_three_with_context" : "test_three";
  struct State {
    Saved x;
  };
  static int shape(const Tensor&) { return 0; }
  static std::array<Tensor, 3> forward(State& state, int, const Tensor& x) {
    state = {Saved(x)};
    return {x * x, (x > 0).to(i64), x * 3};
  }
  static Tensor sum_of(const State& state, std::span<const Tensor> g) {
    Tensor total;
    if (g[0].defined()) total = g[0] * state.x.get() * 2;
    EXPECT_FALSE(g[1].defined()) << "integers have no gradient";
    if (g[2].defined()) total = total.defined() ? total + g[2] * 3 : g[2] * 3;
    return total;
  }
  static Tensor backward(const State& state, std::span<const Tensor> g) requires(!kContext) {
    return sum_of(state, g);
  }
  static Tensor backward(const State& state, std::span<const Tensor> g,
                         const BackwardContext& context) requires(kContext) {
    EXPECT_TRUE(context.needs(0));
    return sum_of(state, g);
  }
};

template <class Op> void check_three() {
  const Tensor x = leaf({1, -2});
  const auto out = apply<Op>(x);
  expect_values(out[0], {1, 4});
  expect_values(out[1], {1, 0});
  expect_values(out[2], {3, -6});
  EXPECT_TRUE(out[0].requires_grad());
  EXPECT_FALSE(out[1].requires_grad());
  EXPECT_TRUE(out[2].requires_grad());
  expect_values(grad(sum(out[0]), x, {.retain_graph = true}), {2, -4});
  expect_values(grad(sum(out[2]), x, {.retain_graph = true}), {3, 3});
  sum(out[0] * out[2]).backward();
  expect_values(x.grad(), {9, 36});
  const TensorFunction f = [](const Tensors& in) {
    const auto y = apply<Op>(in[0]);
    return Tensors{y[0] * y[2], y[1]};
  };
  EXPECT_TRUE(gradcheck(f, {x}));
  EXPECT_TRUE(gradgradcheck(f, {x}));
}
TEST(SeveralOutputs, WithAndWithoutContext) {
  check_three<TestThree<false>>();
  check_three<TestThree<true>>();
}

TEST(SeveralOutputs, EachIsReported) {
  const Tensor x = leaf({1, -2});
  std::vector<std::pair<int, std::string>> told;
  {
    const OpObserver watch([&](const OpEvent& e) {
      EXPECT_EQ(e.op, "test_three");
      ASSERT_EQ(e.inputs.size(), 1u);
      EXPECT_EQ(e.inputs[0]->impl(), x.impl());
      ASSERT_NE(e.node, nullptr);
      told.emplace_back(e.output, to_text(e.result.dtype()));
      (void)(e.result * 2);  // ops inside of an observer are not reported
    });
    apply<TestThree<false>>(x);
  }
  EXPECT_EQ(told, (std::vector<std::pair<int, std::string>>{{0, "f64"}, {1, "i64"}, {2, "f64"}}));
  apply<TestThree<false>>(x);
  EXPECT_EQ(told.size(), 3u) << "told after the watch ended";
  const std::string dot = to_dot(sum(apply<TestThree<false>>(x)[0]));
  EXPECT_NE(dot.find("test_three\\n(2,), (2,), (2,) f64, i64, f64"), std::string::npos) << dot;
  EXPECT_NE(dot.find("saved 16 B"), std::string::npos) << dot;
}

// (e^x, e^2x): saves its second output, through which the second-order gradient passes.
struct TestTwoExps {
  static constexpr std::string_view name = "test_two_exps";
  struct State {
    Saved second;
  };
  static int shape(const Tensor&) { return 0; }
  static std::array<Tensor, 2> forward(State& state, int, const Tensor& x) {
    const Tensor y = exp(x), z = exp(x * 2);
    state.second = Saved::output(z, 1);
    return {y, z};
  }
  static Tensor backward(const State& state, std::span<const Tensor> g) {
    const Tensor z = state.second.get();
    Tensor total;
    if (g[0].defined()) total = g[0] * sqrt(z);
    if (g[1].defined()) total = total.defined() ? total + g[1] * z * 2 : g[1] * z * 2;
    return total;
  }
};

// Returns the first element, and x > 0 for the others.
struct TestHalves {
  static constexpr std::string_view name = "test_halves";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static std::array<Tensor, 2> forward(State&, int, const Tensor& x) {
    return {slice(x, 0, 0, 1).clone(), (slice(x, 0, 1, 3) > 0).to(i64)};
  }
  static Tensor backward(const State&, std::span<const Tensor> g) {
    return cat({g[0], zeros({2}, {.dtype = f64})});
  }
};

TEST(SeveralOutputs, SaveOneOfThem) {
  const TensorFunction f = [](const Tensors& in) {
    const auto y = apply<TestTwoExps>(in[0]);
    return Tensors{y[0], y[1]};
  };
  const Tensor x = leaf({0.5, -1});
  EXPECT_TRUE(gradcheck(f, {x}));
  EXPECT_TRUE(gradgradcheck(f, {x}));
  const auto y = apply<TestTwoExps>(x);
  EXPECT_EQ(describe(*y[0].node()), "test_two_exps (2,) f64, (2,) f64: ");
  // The outputs may have different shapes.
  const auto halves = apply<TestHalves>(leaf({5, 6, 7}));
  EXPECT_EQ(describe(*halves[0].node()), "test_halves (1,) f64, (2,) i64: ");
  EXPECT_FALSE(halves[1].requires_grad());
}

struct TestStops {
  static constexpr std::string_view name = "test_stops";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x.clone(); }
  static Tensor backward(const State&, const Tensor&) { fail(name, "on purpose"); }
};

// A backward that throws leaves no gradients in any of the outputs.
TEST(SeveralOutputs, AreClearedAfterAnError) {
  const Tensor x = leaf({0.5, -1});
  const auto y = apply<TestTwoExps>(x);
  // Its gradient has arrived when the backward of the other one throws.
  const Tensor deeper = sum(y[1] * 1 * 1 * 1);
  const Tensor all = deeper + sum(apply<TestStops>(y[0]));
  expect_error([&] { all.backward({}, true); }, "test_stops", {"on purpose"});
  for (int i = 0; i < 2; ++i) EXPECT_FALSE(y[0].node()->output(i).pending.defined());
  expect_values(grad(deeper, x), {2 * std::exp(1), 2 * std::exp(-2)}, 1e-15);
}

TEST(OpObserver, SeesGradientsThatAreRecorded) {
  const Tensor a = leaf({1, 2}), b = leaf({3, 4});
  const Tensor y = sum(a * b);
  std::vector<std::string> ops;
  size_t inputs = 0;
  const OpObserver watch([&](const OpEvent& e) {
    ops.emplace_back(e.op);
    if (e.op != "mul_backward") return;
    inputs = e.inputs.size();
    EXPECT_TRUE(e.result.requires_grad());
    expect_values(e.result, e.output == 0 ? std::vector<double>{3, 4} : std::vector<double>{1, 2});
  });
  grad(y, {a, b}, {.create_graph = true});
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "mul_backward"), 2) << "one an output";
  EXPECT_EQ(inputs, 3u) << "a, b and the upstream";
}

TEST(OpObserver, EventsHaveTheOptionsOfTheCall) {
  const Tensor a = reshape(leaf({1, -2, 3, 4}), {2, 2});
  std::vector<std::string> seen;
  const OpObserver watch([&](const OpEvent& e) {
    if (e.op == "leaky_relu") {
      ASSERT_EQ(e.options.size(), 1u);
      ASSERT_NE(e.options[0].as<formulas::LeakyRelu>(), nullptr);
      EXPECT_EQ(e.options[0].as<formulas::LeakyRelu>()->slope, 0.25);
      EXPECT_EQ(e.options[0].as<formulas::Elu>(), nullptr);
    } else {
      ASSERT_EQ(e.options.size(), 4u);
      EXPECT_EQ(e.options[3].as<int>(), nullptr) << "the type is exact";
      for (int64_t i = 0; i < 4; ++i) {
        ASSERT_NE(e.options[static_cast<size_t>(i)].as<int64_t>(), nullptr);
        EXPECT_EQ(*e.options[static_cast<size_t>(i)].as<int64_t>(), i < 3 ? i : 1);
      }
    }
    seen.emplace_back(e.op);
  });
  leaky_relu(a, 0.25);
  slice(a, 0, 1, 2, 1);
  EXPECT_EQ(seen, (std::vector<std::string>{"leaky_relu", "slice"}));
}

TEST(OpObserver, AnErrorInItChangesNothing) {
  const Tensor a = leaf({1, 2});
  {
    const OpObserver watch([](const OpEvent&) { fail("watcher", "stops here"); });
    expect_error([&] { a* a; }, "watcher", {"stops here"});
    expect_error([&] { a* a; }, "watcher", {"stops here"});
  }
  EXPECT_EQ(detail::observers, 0u);
  expect_values(a * a, {1, 4});
}

TEST(OpObserver, InnerAndOuter) {
  int outer = 0, inner = 0;
  const Tensor a = leaf({1});
  const OpObserver first([&](const OpEvent&) { ++outer; });
  a* a;
  {
    const OpObserver second([&](const OpEvent&) { ++inner; });
    a* a;
  }
  a* a;
  EXPECT_EQ(outer, 2);
  EXPECT_EQ(inner, 1);
}

// The exact text that names a node in errors.
TEST(Describe, GivesOpShapesAndCallSite) {
  const Tensor x = leaf({1, 2});
  EXPECT_EQ(describe(*x.node()), "leaf (2,) f64: ");
  const Tensor y = x * x;
  const int line = static_cast<int>(std::source_location::current().line()) - 1;
  const std::string text = describe(*y.node()),
                    want = "op_outputs_test.cpp:" + std::to_string(line) + "): ";
  EXPECT_EQ(text.find("mul (2,) f64 (made at "), 0u) << text;
  EXPECT_TRUE(text.ends_with(want)) << text;
}

TEST(SavedBytes, OfPointwiseNodes) {
  const Tensor x = leaf({1, 2, 3}), w = leaf({4, 5, 6});
  EXPECT_EQ((x * w).node()->saved_bytes(), 48);
  EXPECT_EQ((x + w).node()->saved_bytes(), 0);
  EXPECT_EQ(exp(x).node()->saved_bytes(), 24) << "its output";
  const Tensor g = grad(sum(x * w), x, {.create_graph = true});
  EXPECT_EQ(g.node()->saved_bytes(), 24 + 24 + 24) << "x, w, the upstream";
}

}  // namespace
}  // namespace ebb
