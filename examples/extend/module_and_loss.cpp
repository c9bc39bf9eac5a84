// Your own module and loss, made of a formula and a composite op, and a training loop with both.
#include "check.h"

using ebb::Tensor;
namespace nn = ebb::nn;

/// Geman and McClure's robust loss d^2 / (d^2 + c^2) with d = x - t. An outlier counts at most 1.
struct GemanMcClure {
  static constexpr std::string_view name = "geman_mcclure_loss";
  double c;
  template <class T> EBB_HD T operator()(T x, T t) const {
    const T d = x - t, squared = d * d;
    return squared / (squared + T(c * c));
  }
};

struct GemanMcClureLossOptions {
  double c = 1;
  nn::Reduction reduction = nn::Reduction::Mean;
};
/// The loss as a function. It computes value and gradient in one pass over memory.
Tensor geman_mcclure_loss(const ebb::TensorArg& input, const Tensor& target,
                          GemanMcClureLossOptions options = {}) {
  nn::check_same_shape(GemanMcClure::name, input, target);
  return nn::pointwise_loss(GemanMcClure{options.c}, {}, options.reduction, nn::MeanOver::Elements,
                            input, target);
}
/// The loss as a module: criterion(input, target).
using GemanMcClureLoss = nn::LossModule<geman_mcclure_loss, GemanMcClureLossOptions>;

/// y = x + gate W2 tanh(W1 x + b1) with a learned gate. Parameters have names, which checkpoints
/// use.
class GatedResidual : public nn::Layer {
 public:
  explicit GatedResidual(int64_t features)
      : inner_(add_module("inner", nn::Linear(features, 2 * features))),
        outer_(add_module("outer", nn::Linear(2 * features, features, {.bias = false}))),
        gate_(add_parameter("gate", ebb::full({features}, 0.5))) {}
  Tensor forward(const Tensor& x) const override {
    return x + gate_ * outer_(ebb::tanh(inner_(x)));
  }

 private:
  nn::Linear inner_, outer_;
  Tensor gate_;
};

int main() {
  return run([] {
    const auto loss = [](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{geman_mcclure_loss(in[0], in[1], {.c = 0.7})};
    };
    ebb::gradcheck(loss, {leaf({3, 2}), leaf({3, 2})});
    ebb::gradgradcheck(loss, {leaf({3, 2}), leaf({3, 2})});

    // A line with outliers, which would dominate the squared loss.
    const Tensor x = ebb::randn({256, 2});
    Tensor target = ebb::sum(x, {1}, true) * 2.0;
    ebb::slice(target, 0, 0, 32).fill_(50);
    nn::Sequential model(GatedResidual(2), nn::Linear(2, 1));
    nn::Adam optimizer(model.named_parameters(), {.lr = 0.02});
    const GemanMcClureLoss criterion({.c = 1});
    for (int step = 0; step < 300; ++step) {
      optimizer.zero_grad();
      criterion(model(x), target).backward();
      optimizer.step();
    }
    std::cout << nn::summary(model, {1, 2});
    const Tensor error =
        ebb::abs(model(ebb::slice(x, 0, 32, 256)) - ebb::slice(target, 0, 32, 256));
    std::cout << "mean error without the outliers: " << ebb::mean(error).item() << "\n";
    if (!(ebb::mean(error).item() < 0.1))
      ebb::fail("module_and_loss", "the model did not learn the line");
  });
}
