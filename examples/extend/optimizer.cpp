// An optimizer is one formula (sign_descent.h). Groups, checkpoints, clipping and averages come
// with it.
#include <ebb/nn/optim/rule_optimizer.h>

#include "check.h"
#include "sign_descent.h"

using ebb::Tensor;

int main() {
  return run([] {
    // A step by hand: two parameters in two groups.
    const Tensor a = ebb::tensor({1, -2}, ebb::f64).requires_grad_();
    const Tensor b = ebb::tensor({3}, ebb::f64).requires_grad_();
    ebb::nn::RuleOptimizer<SignDescent> optimizer({{"a", a}}, {.lr = 0.5});
    optimizer.add_param_group({{"b", b}}, {.lr = 0.25});
    a.set_grad(ebb::tensor({4, -5}, ebb::f64));
    b.set_grad(ebb::tensor({6}, ebb::f64));
    optimizer.step();
    expect("the first group", a.detach(), ebb::tensor({0.5, -1.5}, ebb::f64));
    expect("the second group", b.detach(), ebb::tensor({2.75}, ebb::f64));

    // A training.
    ebb::nn::Sequential model{ebb::nn::Linear(2, 16), ebb::nn::Tanh(), ebb::nn::Linear(16, 1)};
    const Tensor x = ebb::randn({64, 2}), t = ebb::slice(x, 1, 0, 1) * ebb::slice(x, 1, 1, 2);
    ebb::nn::RuleOptimizer<SignDescent> trained(model.named_parameters(), {.lr = 3e-3});
    trained.set_grad_options({.max_norm = 1.0});
    double first = 0, last = 0;
    for (int step = 0; step < 300; ++step) {
      trained.zero_grad();
      const Tensor loss = ebb::nn::mse_loss(model(x), t);
      loss.backward();
      trained.step();
      last = loss.item();
      if (step == 0) first = last;
    }
    if (!(last < 0.25 * first)) ebb::fail("optimizer", "the loss went from ", first, " to ", last);
    std::cout << "the loss went from " << first << " to " << last << "\n";
  });
}
