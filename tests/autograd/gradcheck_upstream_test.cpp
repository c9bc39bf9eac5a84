// gradcheck tries strided, expanded and undefined upstreams, sums and multiples of upstreams, and
// inputs that are not contiguous.
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using Tensors = std::vector<Tensor>;

Tensor leaf(const Shape& shape) {
  std::vector<double> values(static_cast<size_t>(shape.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = 0.5 + 0.25 * static_cast<double>(i);
  return from_data(values, shape).requires_grad_();
}

// 3x, in several wrong ways.
enum class Way {
  Right,
  RawUpstream,     // reads its upstream as if it were contiguous
  WritesUpstream,  // scales its upstream in place
  RawInput,        // reads its input as if it were contiguous
  WritesInput,
};

struct TestTriple {
  static constexpr std::string_view name = "test_triple";
  struct State {
    Way way;
  };
  static int shape(const Tensor&, Way) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, Way way) {
    state = {way};
    if (way == Way::RawInput) return raw_times(x, 3);
    if (way == Way::WritesInput) {
      Tensor changed = x.detach();
      changed.mul_(1.0000001);
    }
    return x * 3.0;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    if (state.way == Way::RawUpstream) return raw_times(g, 3);
    if (state.way == Way::WritesUpstream) {
      Tensor changed = g.detach();
      bool expanded = false;
      for (int64_t s : g.strides()) expanded |= s == 0;
      if (expanded) return g * 3.0;
      changed.mul_(3);
      return changed.clone();
    }
    return g * 3.0;
  }
  static Tensor raw_times(const Tensor& t, double factor) {
    std::vector<double> values;
    for (int64_t i = 0; i < t.numel(); ++i) values.push_back(factor * t.data<double>()[i]);
    return from_data(values, t.shape());
  }
};

TensorFunction triple(Way way) {
  return [way](const Tensors& in) { return Tensors{apply<TestTriple>(in[0], way)}; };
}

class GradcheckUpstream : public testing::TestWithParam<bool> {
 protected:
  GradcheckOptions options() const { return {.fast = GetParam()}; }
};
INSTANTIATE_TEST_SUITE_P(Modes, GradcheckUpstream, testing::Bool());

TEST_P(GradcheckUpstream, IsReadWithItsStrides) {
  for (const Shape& shape : {Shape{2, 3}, Shape{4}}) {
    EXPECT_TRUE(gradcheck(triple(Way::Right), {leaf(shape)}, options()));
    expect_error([&] { gradcheck(triple(Way::RawUpstream), {leaf(shape)}, options()); },
                 "gradcheck",
                 {"test_triple", "backward depends on the memory layout of its upstream",
                  "not contiguous", "contiguous()"});
  }
  // In the middle of a graph, whose own upstream arrives contiguous.
  const TensorFunction inside = [](const Tensors& in) {
    return Tensors{square(apply<TestTriple>(in[0] * 2.0, Way::RawUpstream)) * 0.5};
  };
  expect_error(
      [&] {
        gradcheck(inside, {leaf({2, 3})}, options());
      },
      "gradcheck", {"test_triple (2, 3) f64", "not contiguous"});
}

struct TestReadsStrides {  // takes strided upstreams, but not expanded ones
  static constexpr std::string_view name = "test_reads_strides";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) { return x * 3.0; }
  static Tensor backward(const State&, const Tensor& g) {
    for (int64_t s : g.strides()) {
      if (s == 0) return TestTriple::raw_times(g, 3);
    }
    return g * 3.0;
  }
};

TEST_P(GradcheckUpstream, MayBeExpanded) {
  const TensorFunction f = [](const Tensors& in) {
    return Tensors{apply<TestReadsStrides>(in[0])};
  };
  expect_error(
      [&] {
        gradcheck(f, {leaf({2, 3})}, options());
      },
      "gradcheck", {"expanded (stride 0)", "sum(y).backward()"});
}

TEST_P(GradcheckUpstream, IsNotTheBackwardsToChange) {
  expect_error(
      [&] {
        gradcheck(triple(Way::WritesUpstream), {leaf({2, 3})}, options());
      },
      "gradcheck", {"writes into its upstream"});
}

TEST_P(GradcheckUpstream, InputsAreReadWithTheirStridesAndNotChanged) {
  expect_error(
      [&] {
        gradcheck(triple(Way::RawInput), {leaf({2, 3})}, options());
      },
      "gradcheck", {"values depend on the strides of the inputs"});
  EXPECT_FALSE(
      gradcheck(triple(Way::WritesInput), {leaf({2, 3})}, {.raise = false, .fast = GetParam()}));
}

struct TestQuadratic {  // x^2, with gradient 2 x g g
  static constexpr std::string_view name = "test_quadratic";
  struct State {
    Saved x;
  };
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x) {
    state = {Saved(x)};
    return x * x;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return state.x.get() * g * g * 2.0;
  }
};

TEST_P(GradcheckUpstream, BackwardIsLinearInIt) {
  const TensorFunction f = [](const Tensors& in) { return Tensors{apply<TestQuadratic>(in[0])}; };
  for (const Shape& shape : {Shape{3}, Shape{}}) {
    expect_error([&] { gradcheck(f, {leaf(shape)}, options()); }, "gradcheck",
                 {"backward is not linear in its upstream", "suspect: test_quadratic"});
  }
  EXPECT_FALSE(gradgradcheck(f, {leaf({3})}, {.raise = false, .fast = GetParam()}));
}

struct TestTwoOutputs {  // (2x, 3x); takes an undefined upstream for ones when told to
  static constexpr std::string_view name = "test_two_outputs";
  struct State {
    bool right;
  };
  static int shape(const Tensor&, bool) { return 0; }
  static std::array<Tensor, 2> forward(State& state, int, const Tensor& x, bool right) {
    state = {right};
    return {x * 2.0, x * 3.0};
  }
  static Tensor backward(const State& state, std::span<const Tensor> g) {
    const Tensor& some = g[0].defined() ? g[0] : g[1];
    const Tensor absent = state.right ? zeros_like(some) : ones_like(some);
    return (g[0].defined() ? g[0] : absent) * 2.0 + (g[1].defined() ? g[1] : absent) * 3.0;
  }
};

TEST_P(GradcheckUpstream, OfAnUnusedOutputIsUndefined) {
  const auto f = [](bool right) {
    return [right](const Tensors& in) {
      const auto [a, b] = apply<TestTwoOutputs>(in[0], right);
      return Tensors{a, b};
    };
  };
  EXPECT_TRUE(gradcheck(f(true), {leaf({3})}, options()));
  const GradcheckReport report =
      gradcheck(f(false), {leaf({3})}, {.raise = false, .fast = GetParam()});
  EXPECT_FALSE(report.passed);
  EXPECT_NE(report.message.find("do not add up"), std::string::npos) << report.message;
}

// The model's own leaf is captured, and the argument ignored: how modules are checked.
TEST_P(GradcheckUpstream, AFunctionMayReadItsInputsElsewhere) {
  const Tensor w = leaf({2, 3});
  const TensorFunction f = [&](const Tensors&) { return Tensors{exp(w * 0.5)}; };
  EXPECT_TRUE(gradcheck(f, {w}, options()));
  EXPECT_TRUE(gradgradcheck(f, {w}, options()));
}

TEST_P(GradcheckUpstream, TheSameLeafMayBeGivenTwice) {
  const Tensor x = leaf({2, 3});
  const TensorFunction f = [](const Tensors& in) { return Tensors{in[0] * exp(in[1])}; };
  EXPECT_TRUE(gradcheck(f, {x, x}, options()));
  EXPECT_TRUE(gradgradcheck(f, {x, x}, options()));
}

}  // namespace
}  // namespace ebb
