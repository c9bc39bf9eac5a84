// Training steps of networks from tiny to large, eager and captured, and their matrix products
// alone.
#include <memory>
#include <vector>

#include "measure.h"

namespace ebb::gpu_bench {
namespace {

struct Net {
  std::string name;
  std::vector<int64_t> widths;
  int64_t batch;
  bool large = false;  // limited by its matrix products, so TF32 is measured too
};

std::vector<Net> nets(bool quick) {
  std::vector<Net> all = {{"mlp_2_16_16_2_b32", {2, 16, 16, 2}, 32},
                          {"mlp_64_32_10_b32", {64, 32, 10}, 32},
                          {"mlp_784_128_10_b64", {784, 128, 10}, 64},
                          {"mlp_784_512_512_10_b128", {784, 512, 512, 10}, 128},
                          {"mlp_1024x4_10_b512", {1024, 1024, 1024, 1024, 10}, 512, true},
                          {"mlp_4096x4_10_b1024", {4096, 4096, 4096, 4096, 10}, 1024, true}};
  if (quick) all.resize(3);
  return all;
}

// Three products per layer, and two for the first layer, whose input needs no gradient.
double flops(const Net& net) {
  double total = 0;
  for (size_t i = 0; i + 1 < net.widths.size(); ++i) {
    total +=
        (i == 0 ? 4.0 : 6.0) * static_cast<double>(net.batch * net.widths[i] * net.widths[i + 1]);
  }
  return total;
}

struct Training {
  nn::Sequential model;
  std::unique_ptr<nn::Optimizer> optimizer;
  Tensor x, target, loss;

  Training(const Bench& bench, const Net& net, bool adam) {
    manual_seed(1);
    for (size_t i = 0; i + 1 < net.widths.size(); ++i) {
      model.push_back(nn::Linear(net.widths[i], net.widths[i + 1]));
      if (i + 2 < net.widths.size()) model.push_back(nn::ReLU());
    }
    model.to(bench.options().device);
    if (adam) {
      optimizer = std::make_unique<nn::Adam>(model.named_parameters(), nn::AdamOptions{.lr = 1e-4});
    } else {
      optimizer = std::make_unique<nn::SGD>(model.named_parameters(),
                                            nn::SGDOptions{.lr = 1e-4, .momentum = 0.9});
    }
    x = randn({net.batch, net.widths.front()}, bench.on_device());
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < net.batch; ++i) classes.push_back(i % net.widths.back());
    target = from_data(classes, {net.batch}).to(bench.options().device);
  }
  void step() {
    loss = nn::cross_entropy(model(x), target);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
};

void run_net(const Bench& bench, const Net& net, bool adam, bool tf32) {
  const Row row{"training", net.name,
                std::string(adam ? "adam" : "sgd") + (tf32 ? " tf32" : " f32"), flops(net)};
  const Tf32 scope(tf32);
  {
    Training eager(bench, net, adam);
    bench.run(row, "eager", [&] { eager.step(); });
    require_finite(row, eager.loss);
  }
  if (!bench.on_gpu()) return;
  Training training(bench, net, adam);
  cuda::CapturedStep captured([&] { training.step(); });
  bench.run(row, "captured", [&] { captured(); });
  require_finite(row, training.loss);
}

// Runs only the products of a step, one after the other. A step cannot be faster than they are.
void run_products(const Bench& bench, const Net& net, bool tf32) {
  const NoGrad no_grad;
  const Row row{"products", net.name, tf32 ? "tf32" : "f32", flops(net)};
  const Tf32 scope(tf32);
  const size_t layers = net.widths.size() - 1;
  std::vector<Tensor> inputs, weights, gradients, results(3 * layers);
  for (size_t i = 0; i < layers; ++i) {
    inputs.push_back(randn({net.batch, net.widths[i]}, bench.on_device()));
    weights.push_back(randn({net.widths[i + 1], net.widths[i]}, bench.on_device()));
    gradients.push_back(randn({net.batch, net.widths[i + 1]}, bench.on_device()));
  }
  const auto step = [&] {
    for (size_t i = 0; i < layers; ++i) {
      results[3 * i] = matmul(inputs[i], transpose(weights[i]));
      results[3 * i + 1] = matmul(transpose(gradients[i]), inputs[i]);
      if (i > 0) results[3 * i + 2] = matmul(gradients[i], weights[i]);
    }
  };
  if (bench.on_gpu()) {
    cuda::CapturedStep captured(step);
    bench.run(row, "captured", [&] { captured(); });
  } else {
    bench.run(row, "eager", step);
  }
  require_finite(row, results[0]);
}

}  // namespace

void run_training(const Bench& bench) {
  for (const Net& net : nets(bench.options().quick)) {
    if (!bench.wanted({"training", net.name, ""})) continue;
    for (const bool tf32 : {false, true}) {
      if (tf32 && !(net.large && bench.on_gpu())) continue;
      for (const bool adam : {false, true}) run_net(bench, net, adam, tf32);
      run_products(bench, net, tf32);
    }
  }
}

}  // namespace ebb::gpu_bench
