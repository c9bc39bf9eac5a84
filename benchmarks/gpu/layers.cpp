// Training steps of convolution nets, and single layers, forward and backward.
#include <memory>
#include <vector>

#include "measure.h"

namespace ebb::gpu_bench {
namespace {

// A training step of a model, or forward and backward of one layer with an upstream gradient.
using Step = std::function<Tensor()>;  // returns a result of the step

struct Layer {
  std::string name;
  bool products;  // limited by products, so TF32 is measured too
  Step (*make)(const Bench& bench);
};

struct Training {
  nn::Sequential model;
  nn::SGD optimizer;
  Tensor x, target;

  Training(const Bench& bench, nn::Sequential net, const Shape& input)
      : model(std::move(net)),
        optimizer(model.named_parameters(), nn::SGDOptions{.lr = 1e-4, .momentum = 0.9}),
        x(randn(input, bench.on_device())) {
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < input[0]; ++i) classes.push_back(i % 10);
    target = from_data(classes, {input[0]}).to(bench.options().device);
  }
};

Step training_step(const Bench& bench, nn::Sequential model, const Shape& input) {
  model.to(bench.options().device);
  auto training = std::make_shared<Training>(bench, std::move(model), input);
  return [training] {
    const Tensor loss = nn::cross_entropy(training->model(training->x), training->target);
    training->optimizer.zero_grad();
    loss.backward();
    training->optimizer.step();
    return loss;
  };
}

// Forward and backward with respect to the input and all parameters.
template <class Module, class Forward>
Step layer_step(const Bench& bench, Module layer, const Shape& input, Forward forward) {
  layer.to(bench.options().device);
  Tensor x = randn(input, bench.on_device());
  x.requires_grad_();
  const Tensor upstream = randn_like(forward(layer, x).detach());
  auto shared = std::make_shared<Module>(std::move(layer));
  return [shared, x, upstream, forward]() mutable {
    x.set_grad({});
    shared->zero_grad();
    const Tensor y = forward(*shared, x);
    y.backward(upstream);
    return x.grad();
  };
}

const auto call = [](auto& layer, const Tensor& x) -> Tensor { return layer(x); };
const auto call_recurrent = [](auto& layer, const Tensor& x) -> Tensor {
  return std::get<0>(layer(x));
};

Step lenet(const Bench& bench) {
  nn::Sequential model(nn::Conv2d(1, 6, {5, 5}, {.padding = {2, 2}}), nn::ReLU(), nn::MaxPool2d(2),
                       nn::Conv2d(6, 16, {5, 5}), nn::ReLU(), nn::MaxPool2d(2), nn::Flatten(),
                       nn::Linear(400, 120), nn::ReLU(), nn::Linear(120, 84), nn::ReLU(),
                       nn::Linear(84, 10));
  return training_step(bench, std::move(model), {bench.options().quick ? 2 : 128, 1, 28, 28});
}

Step convnet(const Bench& bench) {
  nn::Sequential model;
  const int64_t widths[] = {3, 64, 64, 128, 128};
  for (int i = 0; i < 4; ++i) {
    model.push_back(nn::Conv2d(widths[i], widths[i + 1], {3, 3}, {.padding = {1, 1}}));
    model.push_back(nn::BatchNorm2d(widths[i + 1]));
    model.push_back(nn::ReLU());
    if (i == 1 || i == 2) model.push_back(nn::MaxPool2d(2));
  }
  model.push_back(nn::AdaptiveAvgPool2d(1));
  model.push_back(nn::Flatten());
  model.push_back(nn::Linear(128, 10));
  return training_step(bench, std::move(model), {128, 3, 32, 32});
}

std::vector<Layer> layers() {
  return {
      {"lenet_b128", true, lenet},
      {"convnet_4x3x3_bn_b128", true, convnet},
      {"conv2d_64_64_k3_b32_56x56", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::Conv2d(64, 64, {3, 3}, {.padding = {1, 1}}), {32, 64, 56, 56},
                           call);
       }},
      {"conv2d_256_256_k3_b64_14x14", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::Conv2d(256, 256, {3, 3}, {.padding = {1, 1}}),
                           {64, 256, 14, 14}, call);
       }},
      {"conv2d_128_256_k3_s2_b64_28x28", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::Conv2d(128, 256, {3, 3}, {.stride = 2, .padding = {1, 1}}),
                           {64, 128, 28, 28}, call);
       }},
      {"conv2d_depthwise_128_k3_b64_28x28", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::Conv2d(128, 128, {3, 3}, {.padding = {1, 1}, .groups = 128}),
                           {64, 128, 28, 28}, call);
       }},
      {"conv_transpose2d_64_32_k4_s2_b64_16x16", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::ConvTranspose2d(64, 32, {4, 4}, {.stride = 2, .padding = 1}),
                           {64, 64, 16, 16}, call);
       }},
      {"max_pool2d_64x64x56x56", false,
       [](const Bench& bench) {
         return layer_step(bench, nn::MaxPool2d(2), {64, 64, 56, 56}, call);
       }},
      {"batch_norm2d_64x64x56x56", false,
       [](const Bench& bench) {
         return layer_step(bench, nn::BatchNorm2d(64), {64, 64, 56, 56}, call);
       }},
      {"layer_norm_8192x1024", false,
       [](const Bench& bench) {
         return layer_step(bench, nn::LayerNorm({1024}), {8192, 1024}, call);
       }},
      {"embedding_50000x128_64x128", false,
       [](const Bench& bench) -> Step {
         auto layer = std::make_shared<nn::Embedding>(50000, 128);
         layer->to(bench.options().device);
         const Tensor indices =
             (rand({64, 128}) * 50000.0).to(DType::I64).to(bench.options().device);
         const Tensor upstream = randn({64, 128, 128}, bench.on_device());
         return [layer, indices, upstream] {
           layer->zero_grad();
           layer->forward(indices).backward(upstream);
           return layer->weight.grad();
         };
       }},
      {"attention_b16_h8_t512_d64", true,
       [](const Bench& bench) -> Step {
         std::vector<Tensor> qkv;
         for (int i = 0; i < 3; ++i) {
           qkv.push_back(randn({16, 8, 512, 64}, bench.on_device()));
           qkv.back().requires_grad_();
         }
         const Tensor upstream = randn({16, 8, 512, 64}, bench.on_device());
         return [qkv, upstream]() mutable {
           for (Tensor& t : qkv) t.set_grad({});
           scaled_dot_product_attention(qkv[0], qkv[1], qkv[2]).backward(upstream);
           return qkv[0].grad();
         };
       }},
      {"lstm_128_256_t64_b64", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::LSTM(128, 256), {64, 64, 128}, call_recurrent);
       }},
      {"gru_128_256_t64_b64", true,
       [](const Bench& bench) {
         return layer_step(bench, nn::GRU(128, 256), {64, 64, 128}, call_recurrent);
       }},
  };
}

void run_layer(const Bench& bench, const Layer& layer, bool tf32) {
  const Row row{"layer", layer.name, tf32 ? "tf32" : "f32"};
  const Tf32 scope(tf32);
  manual_seed(1);
  Step step = layer.make(bench);
  bench.run(row, "eager", [&] { step(); });
  require_finite(row, step());
  if (!bench.on_gpu()) return;
  Tensor result;
  cuda::CapturedStep captured([&] { result = step(); });
  bench.run(row, "captured", [&] { captured(); });
  require_finite(row, result);
}

}  // namespace

void run_layers(const Bench& bench) {
  std::vector<Layer> all = layers();
  if (bench.options().quick) all.resize(1);
  for (const Layer& layer : all) {
    if (!bench.wanted({"layer", layer.name, ""})) continue;
    for (const bool tf32 : {false, true}) {
      if (!tf32 || (layer.products && bench.on_gpu())) run_layer(bench, layer, tf32);
    }
  }
}

}  // namespace ebb::gpu_bench
