// A project that uses an installed Ebb: its own formula and structural op, a layer, gradients,
// gradient checks.
#include <ebb/ebb.h>

#include <cmath>
#include <cstdlib>
#include <iostream>

namespace {

using ebb::Tensor;

/// log(cosh d) = |d| + log1p(e^(-2|d|)) - log 2, for d = x - t. Functions are qualified, because
/// the compiler would search for exp of a plain float here and in the global namespace, but not in
/// ebb.
struct LogCosh {
  static constexpr std::string_view name = "consumer_log_cosh";
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = ebb::abs(x - t);
    return d + ebb::log1p(ebb::exp(T(-2) * d)) - T(0.6931471805599453);
  }
};

/// Computes the squared norm of each row: (N, K) -> (N).
struct SquaredNorms {
  static constexpr std::string_view name = "consumer_squared_norms";
  struct State {
    ebb::Saved x;
  };
  static ebb::Shape shape(const Tensor& x) {
    ebb::check_floating(name, x);
    if (x.dim() != 2) ebb::fail(name, "input ", x.shape(), " must be (N, K)");
    return {x.size(0)};
  }
  static Tensor forward(State& state, const ebb::Shape& out, const Tensor& x) {
    state.x = ebb::Saved(x);
    return ebb::reshape(ebb::sum(x * x, {1}), out);
  }
  static Tensor backward(const State& state, const Tensor& gradient) {
    return 2 * state.x.get() * ebb::unsqueeze(gradient, 1);
  }
};

Tensor log_cosh(const Tensor& x, const Tensor& t) { return ebb::pointwise(LogCosh{}, x, t); }
Tensor squared_norms(const Tensor& x) { return ebb::apply<SquaredNorms>(x); }

bool good = true;

void expect(bool condition, const char* what) {
  if (condition) return;
  std::cerr << "failed: " << what << "\n";
  good = false;
}

void expect_near(double got, double want, double tolerance, const char* what) {
  if (std::fabs(got - want) <= tolerance) return;
  std::cerr << "failed: " << what << ": got " << got << ", expected " << want << "\n";
  good = false;
}

void values() {
  Tensor x = ebb::tensor({0.5, -30, 1000}, ebb::DType::F64).requires_grad_();
  const Tensor loss = log_cosh(x, ebb::zeros({3}, {.dtype = ebb::DType::F64}));
  const std::vector<double> got = loss.to_vector<double>();
  expect_near(got[0], std::log(std::cosh(0.5)), 1e-15, "log_cosh(0.5)");
  expect_near(got[1], 30 - std::log(2.0), 1e-13, "log_cosh(-30)");
  expect_near(got[2], 1000 - std::log(2.0), 1e-12, "log_cosh(1000)");
  ebb::sum(loss).backward();
  expect_near(x.grad()[0].item(), std::tanh(0.5), 1e-15, "the gradient of log_cosh is tanh");

  Tensor rows = ebb::tensor({{1, 2}, {3, 4}}, ebb::f32).requires_grad_();
  const Tensor norms = squared_norms(rows);
  expect_near(norms[1].item(), 25, 0, "squared_norms");
  ebb::sum(norms).backward();
  expect_near(rows.grad()[1][0].item(), 6, 0, "the gradient of squared_norms");

  try {
    squared_norms(ebb::zeros({3}));
    expect(false, "squared_norms refuses a vector");
  } catch (const ebb::Error& error) {
    expect(std::string(error.what()).starts_with("[consumer_squared_norms] "),
           "an error names the op");
  }
}

void derivatives() {
  using Tensors = std::vector<Tensor>;
  ebb::manual_seed(1);
  const auto leaf = [](const ebb::Shape& shape) {
    return ebb::randn(shape, {.dtype = ebb::DType::F64}).requires_grad_();
  };
  const auto formula = [](const Tensors& in) { return Tensors{log_cosh(in[0], in[1])}; };
  const Tensors pair{leaf({2, 3}), leaf({3})};  // broadcasts
  expect(ebb::gradcheck(formula, pair).passed, "gradcheck of log_cosh");
  expect(ebb::gradgradcheck(formula, pair).passed, "gradgradcheck of log_cosh");
  const auto structural = [](const Tensors& in) { return Tensors{squared_norms(in[0])}; };
  const Tensors matrix{leaf({3, 4})};
  expect(ebb::gradcheck(structural, matrix).passed, "gradcheck of squared_norms");
  expect(ebb::gradgradcheck(structural, matrix).passed, "gradgradcheck of squared_norms");
}

void training() {
  ebb::manual_seed(2);
  const Tensor x = ebb::randn({64, 3});
  const Tensor target = ebb::matmul(x, ebb::reshape(ebb::tensor({1, -2, 0.5}), {3, 1})) + 0.25;
  ebb::nn::Linear model(3, 1);
  ebb::nn::Adam optimizer(model.named_parameters(), {.lr = 0.05});
  double first = 0, last = 0;
  for (int step = 0; step < 300; ++step) {
    const Tensor loss =
        ebb::mean(log_cosh(model(x), target)) + 1e-6 * ebb::sum(squared_norms(model.weight));
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
    last = loss.item();
    if (step == 0) first = last;
  }
  expect(first > 0.1, "the loss of an untrained layer");
  expect(last < 1e-3, "the loss of a trained layer");
  expect_near(model.weight[0][1].item(), -2, 0.05, "the second weight");
}

}  // namespace

int main() {
  try {
    values();
    derivatives();
    training();
  } catch (const std::exception& error) {
    std::cerr << "failed: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
  return good ? EXIT_SUCCESS : EXIT_FAILURE;
}
