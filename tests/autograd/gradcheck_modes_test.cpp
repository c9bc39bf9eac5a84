// gradcheck: the fast mode, the op at fault, and the errors for functions that cannot be checked.
#include "ebb/autograd/check/gradcheck.h"

#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using Tensors = std::vector<Tensor>;

Tensor leaf(const Shape& shape, uint64_t seed) {
  Generator generator{seed, 0};
  return randn(shape, {.dtype = f64}, &generator).requires_grad_();
}

// An op like sin whose backward is wrong in one of several ways.
enum class Fault { None, Factor, OneElement, ForgotBroadcast, Zero };
struct TestFaulty {
  static constexpr std::string_view name = "test_faulty";
  struct State {
    Saved x;
    Fault fault = Fault::None;
  };
  static int shape(const Tensor&, Fault) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x, Fault fault) {
    state = {Saved(x), fault};
    return x * x * x;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    const Tensor x = state.x.get();
    const Tensor right = g * (x * x) * 3;
    switch (state.fault) {
      case Fault::None: return right;
      case Fault::Factor: return right * 1.01;
      case Fault::Zero: return zeros_like(right);
      case Fault::ForgotBroadcast: return right + mean(right) * 0.1;
      case Fault::OneElement: break;
    }
    Tensor wrong = right.detach().clone();
    wrong.mutable_data<double>()[wrong.numel() / 2] *= 1.5;
    return wrong;
  }
};
// Loses its second order, because the gradient is computed from a detached input.
struct TestDetachesInBackward {
  static constexpr std::string_view name = "test_detaches_in_backward";
  struct State {
    Saved x;
  };
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& x) {
    state = {Saved(x)};
    return x * x;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return g * state.x.get().detach() * 2;
  }
};
Tensor faulty(const TensorArg& x, Fault fault) { return apply<TestFaulty>(*x, fault); }

// A chain of correct ops with the wrong one in the middle.
TensorFunction chain(Fault fault) {
  return [fault](const Tensors& in) {
    const Tensor hidden = tanh(matmul(in[0], in[1]));
    const Tensor middle = faulty(hidden * 2, fault);
    return Tensors{softmax(middle, 1), sum(exp(middle * 0.1), {0})};
  };
}
Tensors chain_inputs() { return {leaf({3, 4}, 1), leaf({4, 5}, 2)}; }

TEST(GradcheckFast, PassesCorrectGradients) {
  const GradcheckReport report = gradcheck(chain(Fault::None), chain_inputs(), {.fast = true});
  EXPECT_TRUE(report);
  EXPECT_EQ(report.compared, 4) << "two projections for each of two inputs";
  EXPECT_LT(report.max_error, 1e-6);
  EXPECT_TRUE(gradgradcheck(chain(Fault::None), chain_inputs(), {.fast = true}));
}

TEST(GradcheckFast, FailsWhereFullModeFails) {
  for (const Fault fault :
       {Fault::Factor, Fault::OneElement, Fault::ForgotBroadcast, Fault::Zero}) {
    const GradcheckReport fast =
        gradcheck(chain(fault), chain_inputs(), {.raise = false, .fast = true});
    const GradcheckReport full = gradcheck(chain(fault), chain_inputs(), {.raise = false});
    EXPECT_FALSE(full) << static_cast<int>(fault);
    EXPECT_FALSE(fast) << static_cast<int>(fault);
    EXPECT_EQ(fast.message, full.message) << "fast mode goes on to say where";
  }
}

TEST(GradcheckFast, ChecksLargeFunctionsOnlyByProjection) {
  const Tensor x = leaf({2000}, 3);
  const TensorFunction f = [](const Tensors& in) { return Tensors{faulty(in[0], Fault::Factor)}; };
  const GradcheckReport report = gradcheck(f, {x}, {.raise = false, .fast = true});
  EXPECT_FALSE(report);
  ASSERT_EQ(report.failures.size(), 2u);
  EXPECT_EQ(report.failures[0].input_index, -1);
  EXPECT_NE(report.message.find("a random projection of the outputs by input 0"), std::string::npos)
      << report.message;
  EXPECT_NE(report.message.find("test_faulty"), std::string::npos) << report.message;
}

TEST(GradcheckFast, FindsVacuousChecksAndKinks) {
  const Tensor x = leaf({4}, 4), y = leaf({4}, 5);
  const TensorFunction constant = [](const Tensors& in) { return Tensors{in[0] * 0.0}; };
  expect_error([&] { gradcheck(constant, {x}, {.fast = true}); }, "gradcheck",
               {"vacuous", "input 0"});
  const TensorFunction first = [](const Tensors& in) { return Tensors{in[0] * in[0]}; };
  expect_error(
      [&] {
        gradcheck(first, {x, y}, {.fast = true});
      },
      "gradcheck", {"vacuous", "input 1"});
  const GradcheckReport allowed = gradcheck(first, {x, y}, {.allow_zero = true, .fast = true});
  EXPECT_EQ(allowed.zero_inputs, std::vector<int>{1});
  const TensorFunction kinked = [](const Tensors& in) {
    return Tensors{abs(in[0] - in[0].detach())};
  };
  expect_error([&] { gradcheck(kinked, {x}, {.fast = true, .suspect = false}); }, "gradcheck",
               {""});
  Tensor at_kink = zeros({4}, {.dtype = f64}).requires_grad_();
  const TensorFunction absolute = [](const Tensors& in) { return Tensors{abs(in[0])}; };
  expect_error([&] { gradcheck(absolute, {at_kink}, {.fast = true}); }, "gradcheck",
               {"kink inside the step", "move the input, which is 0, by more than 1e-06"});
  expect_error([&] { gradcheck(first, {tensor({1}, f64)}, {.fast = true}); }, "gradcheck",
               {"nothing was compared"});
  const TensorFunction root = [](const Tensors& in) { return Tensors{sqrt(in[0])}; };
  expect_error(
      [&] {
        gradcheck(root, {(tensor({-1, 1}, f64)).requires_grad_()}, {.fast = true});
      },
      "gradcheck", {"not finite", "which is -1"});
}

TEST(Gradcheck, ReportsElementAndError) {
  const Tensor x = tensor({{1, 2}, {3, 4}}, f64).requires_grad_();
  const TensorFunction f = [](const Tensors& in) {
    return Tensors{sum(in[0]), faulty(in[0], Fault::OneElement)};
  };
  const GradcheckReport report = gradcheck(f, {x}, {.raise = false});
  ASSERT_EQ(report.failures.size(), 1u) << report.message;
  EXPECT_EQ(report.failures[0].output, 1);
  EXPECT_EQ(report.failures[0].input_index, 2);
  EXPECT_NEAR(report.failures[0].analytic, 40.5, 1e-9);
  EXPECT_NEAR(report.failures[0].numeric, 27, 1e-5);
  EXPECT_NEAR(report.failures[0].relative_error, 0.5, 1e-6);
  EXPECT_NE(report.message.find("output 1 [1, 0] by input 0 [1, 0]: analytic 40.5, numeric 27"),
            std::string::npos)
      << report.message;
}

std::string place(int line) { return "gradcheck_modes_test.cpp:" + std::to_string(line); }

TEST(GradcheckSuspect, IsTheWrongOp) {
  int line = 0;
  const TensorFunction f = [&](const Tensors& in) {
    const Tensor a = exp(in[0] * 0.1);
    line = static_cast<int>(std::source_location::current().line()) + 1;
    const Tensor b = faulty(a + in[1], Fault::Factor);
    return Tensors{log_softmax(b * a, 0)};
  };
  const GradcheckReport report = gradcheck(f, {leaf({4}, 6), leaf({4}, 7)}, {.raise = false});
  ASSERT_EQ(report.suspects.size(), 1u) << report.message;
  EXPECT_EQ(report.suspects[0].find("test_faulty (4,) f64 (made at "), 0u) << report.suspects[0];
  EXPECT_NE(report.suspects[0].find(place(line)), std::string::npos) << report.suspects[0];
  EXPECT_NE(report.message.find("suspect: test_faulty"), std::string::npos) << report.message;
}

TEST(GradcheckSuspect, OfASecondOrder) {
  const TensorFunction lost = [](const Tensors& in) {
    return Tensors{apply<TestDetachesInBackward>(in[0])};
  };
  const Tensor x = leaf({3}, 8);
  EXPECT_TRUE(gradcheck(lost, {x}));
  const GradcheckReport report = gradgradcheck(lost, {x}, {.raise = false});
  EXPECT_FALSE(report);
  ASSERT_EQ(report.suspects.size(), 1u) << report.message;
  EXPECT_NE(report.suspects[0].find("values leave the graph"), std::string::npos)
      << report.suspects[0];
  EXPECT_NE(report.suspects[0].find("in the backward of test_detaches_in_backward"),
            std::string::npos)
      << report.suspects[0];
}

TEST(GradcheckSuspect, IsNotReportedForCorrectFunctions) {
  const Tensors inputs = chain_inputs();
  EXPECT_TRUE(gradcheck(chain(Fault::None), inputs).suspects.empty());
  EXPECT_TRUE(
      gradcheck(chain(Fault::Factor), inputs, {.raise = false, .suspect = false}).suspects.empty());
  const Tensor before = inputs[0].clone();
  gradcheck(chain(Fault::Factor), inputs, {.raise = false});
  test::expect_values(inputs[0], before.to_vector<double>(), 0, 0, "the input after all that");
  EXPECT_FALSE(detail::observers);
}

TEST(Gradcheck, FailsIfTheSameInputsGiveDifferentResults) {
  const Tensor x = leaf({3}, 9);
  const TensorFunction noisy = [](const Tensors& in) {
    return Tensors{in[0] * rand({3}, {.dtype = f64})};
  };
  for (const bool fast : {false, true}) {
    expect_error([&] { gradcheck(noisy, {x}, {.fast = fast}); }, "gradcheck",
                 {"two results for the same inputs"});
  }
}

TEST(Gradcheck, IsDeterministic) {
  for (const uint64_t seed : {0u, 1u}) {
    const auto run = [&] {
      return gradgradcheck(chain(Fault::Factor), chain_inputs(),
                           {.seed = seed, .raise = false, .fast = true});
    };
    const auto projection = [&] {
      return gradcheck(chain(Fault::None), chain_inputs(), {.seed = seed, .fast = true}).max_error;
    };
    EXPECT_EQ(run().message, run().message);
    EXPECT_EQ(projection(), projection());
  }
}

TEST(Gradcheck, PassesIntegersThrough) {
  const Tensor index = from_data(std::vector<int64_t>{2, 0, 2}, {3});
  const TensorFunction f = [](const Tensors& in) {
    return Tensors{square(index_select(in[0], 0, in[1])), argmax(in[0], 0)};
  };
  for (const bool fast : {false, true}) {
    EXPECT_TRUE(gradcheck(f, {leaf({4, 2}, 10), index}, {.allow_zero = false, .fast = fast}));
    EXPECT_TRUE(gradgradcheck(f, {leaf({4, 2}, 10), index}, {.fast = fast}));
  }
}

// Views of one storage, and inputs that broadcast.
TEST(Gradcheck, TakesViewsAndBroadcasting) {
  const TensorFunction f = [](const Tensors& in) {
    const Tensor column = slice(transpose(in[0]), 1, 0, 1);
    return Tensors{column * in[1] + select(in[0], 0, 1), expand(in[1], {2, 3})};
  };
  for (const bool fast : {false, true}) {
    EXPECT_TRUE(gradcheck(f, {leaf({2, 3}, 11), leaf({1, 3}, 12)}, {.fast = fast}));
    EXPECT_TRUE(gradgradcheck(f, {leaf({2, 3}, 11), leaf({1, 3}, 12)}, {.fast = fast}));
  }
}

}  // namespace
}  // namespace ebb
