// The smallest network worth training: two layers learn exclusive or.
#include <ebb/ebb.h>

#include <iostream>

using namespace ebb;

int main(int argc, char**) {
  if (argc > 1) return std::cerr << "error: xor takes no flags\n", 2;
  manual_seed(1);
  const Tensor x = tensor({{0, 0}, {0, 1}, {1, 0}, {1, 1}});
  const Tensor y = reshape(tensor({0, 1, 1, 0}), {4, 1});
  nn::Sequential model(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1));
  nn::Adam optimizer(model.named_parameters(), {.lr = 0.05});
  for (int step = 0; step < 300; ++step) {
    const Tensor loss = nn::binary_cross_entropy_with_logits(model(x), y);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  std::cout << sigmoid(model(x)) << "\n";
}
