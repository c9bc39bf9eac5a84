// Trains the smallest useful network: two layers learn exclusive or.
#include <ebb/ebb.h>

#include <iostream>
#include <string_view>

using namespace ebb;

int main(int argc, char** argv) {
  const bool on_gpu =
      argc == 3 && std::string_view(argv[1]) == "--device" && std::string_view(argv[2]) == "cuda";
  if (argc > 1 && !on_gpu)
    return std::cerr << "error: xor takes no flags except --device cuda\n", 2;
  const Device device = on_gpu ? Device::cuda() : Device::cpu();
  manual_seed(1);
  const Tensor x = tensor({{0, 0}, {0, 1}, {1, 0}, {1, 1}}, f32).to(device);
  const Tensor y = reshape(tensor({0, 1, 1, 0}, f32), {4, 1}).to(device);
  nn::Sequential model(nn::Linear(2, 8), nn::Tanh(), nn::Linear(8, 1));
  model.to(device);
  nn::Adam optimizer(model.named_parameters(), {.lr = 0.05});
  for (int step = 0; step < 300; ++step) {
    const Tensor loss = nn::binary_cross_entropy_with_logits(model(x), y);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  std::cout << sigmoid(model(x)) << "\n";
}
