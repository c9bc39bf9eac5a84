// Runs one training step. scripts/bench --build measures the whole process.
#include <ebb/ebb.h>

int main() {
  using namespace ebb;
  nn::Sequential model(nn::Linear(784, 128), nn::ReLU(), nn::Linear(128, 10));
  nn::Adam optimizer(model.named_parameters());
  const Tensor loss =
      nn::cross_entropy(model(randn({128, 784})), zeros({128}, {.dtype = DType::I64}));
  loss.backward();
  optimizer.step();
}
