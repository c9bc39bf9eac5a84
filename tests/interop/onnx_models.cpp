// The models that are exported to ONNX: every layer, and forwards of one's own.
#include <cstdio>
#include <filesystem>
#include <map>

#include "ebb/ebb.h"
#include "ebb/nn/interop/onnx.h"
#include "ebb/nn/interop/onnx_import.h"
#include "ebb/nn/serialize/npy.h"
#include "files.h"

namespace ebb::interop {
namespace {

namespace fs = std::filesystem;
using Function = std::function<std::vector<Tensor>(std::span<const Tensor>)>;

// Exports models, each with inputs and outputs for several batch sizes.
class Zoo {
 public:
  explicit Zoo(const std::string& folder) : folder_(folder) {}

  // A layer, with the shape of one sample.
  template <class M> void layer(const std::string& name, M model, const Shape& sample) {
    model.eval();
    Shape shape = sample;
    shape.insert(0, 2);
    export_onnx((folder_ / (name + ".onnx")).string(), model, randn(shape));
    save_cases(
        name, [&](std::span<const Tensor> x) { return std::vector{model.forward(x[0])}; },
        [&](int64_t batch) {
          shape[0] = batch;
          return std::vector{randn(shape)};
        });
  }

  // A function of inputs that `make` draws for a batch size.
  void function(const std::string& name, const Function& f,
                const std::function<std::vector<Tensor>(int64_t)>& make,
                const NamedTensors& parameters = {}, const OnnxOptions& options = {}) {
    export_onnx((folder_ / (name + ".onnx")).string(), f, make(2), parameters, options);
    save_cases(name, f, make, options.batch_dim.has_value());
  }

 private:
  void save_cases(const std::string& name, const Function& f,
                  const std::function<std::vector<Tensor>(int64_t)>& make, bool is_dynamic = true) {
    const NoGrad guard;
    NamedTensors arrays;
    for (const int64_t batch :
         is_dynamic ? std::vector<int64_t>{1, 2, 5} : std::vector<int64_t>{2}) {
      const std::vector<Tensor> inputs = make(batch), outputs = f(inputs);
      for (size_t i = 0; i < inputs.size(); ++i)
        arrays.emplace_back(std::to_string(batch) + ".in." + std::to_string(i), inputs[i]);
      for (size_t i = 0; i < outputs.size(); ++i)
        arrays.emplace_back(std::to_string(batch) + ".out." + std::to_string(i), outputs[i]);
    }
    save_npz((folder_ / (name + ".npz")).string(), arrays);
  }

  fs::path folder_;
};

void add_activations(Zoo& zoo) {
  const Shape x{3, 4};
  zoo.layer("relu", nn::ReLU(), x);
  zoo.layer("leaky_relu", nn::LeakyReLU(0.2), x);
  zoo.layer("elu", nn::ELU(0.7), x);
  zoo.layer("sigmoid", nn::Sigmoid(), x);
  zoo.layer("logsigmoid", nn::LogSigmoid(), x);
  zoo.layer("tanh", nn::Tanh(), x);
  zoo.layer("softplus", nn::Softplus(2, 1.5), x);
  zoo.layer("gelu", nn::GELU(), x);
  zoo.layer("gelu_tanh", nn::GELU(GeluApproximate::Tanh), x);
  zoo.layer("silu", nn::SiLU(), x);
  zoo.layer("hardtanh", nn::Hardtanh(-0.5, 0.75), x);
  zoo.layer("selu", nn::SELU(), x);
  zoo.layer("celu", nn::CELU(0.7), x);
  zoo.layer("relu6", nn::ReLU6(), x);
  zoo.layer("mish", nn::Mish(), x);
  zoo.layer("hardswish", nn::Hardswish(), x);
  zoo.layer("hardsigmoid", nn::Hardsigmoid(), x);
  zoo.layer("hardshrink", nn::Hardshrink(0.3), x);
  zoo.layer("softshrink", nn::Softshrink(0.3), x);
  zoo.layer("tanhshrink", nn::Tanhshrink(), x);
  zoo.layer("softsign", nn::Softsign(), x);
  zoo.layer("threshold", nn::Threshold(0.1, -2), x);
  zoo.layer("prelu", nn::PReLU({.num_parameters = 3}), x);
  zoo.layer("glu", nn::GLU(), x);
  zoo.layer("softmax", nn::Softmax(1), x);
  zoo.layer("softmax2d", nn::Softmax2d(), {3, 2, 2});
  zoo.layer("log_softmax", nn::LogSoftmax(-1), x);
  zoo.layer("softmin", nn::Softmin(-1), x);
  zoo.layer("identity", nn::Identity(), x);
  zoo.layer("flatten", nn::Flatten(), {3, 2, 2});
  zoo.layer("unflatten", nn::Unflatten(1, {2, 3}), {6, 2});
}

void add_images(Zoo& zoo) {
  const Shape image{4, 9, 8}, signal{4, 11};
  zoo.layer("conv1d", nn::Conv1d(4, 6, 3, {.stride = 2, .padding = 1}), signal);
  zoo.layer("conv2d", nn::Conv2d(4, 6, {3, 2}, {.stride = {2, 1}, .padding = {1, 0}}), image);
  zoo.layer("conv_groups", nn::Conv2d(4, 8, 3, {.dilation = 2, .groups = 2, .bias = false}), image);
  zoo.layer("conv_same", nn::Conv2d(4, 3, {3, 4}, {.padding = "same"}), image);
  zoo.layer("conv_reflect", nn::Conv2d(4, 3, 3, {.padding = 1, .padding_mode = PadMode::Reflect}),
            image);
  zoo.layer("conv_transpose1d", nn::ConvTranspose1d(4, 3, 4, {.stride = 2}), signal);
  zoo.layer(
      "conv_transpose2d",
      nn::ConvTranspose2d(4, 6, 3, {.stride = 2, .padding = 1, .output_padding = 1, .groups = 2}),
      image);
  zoo.layer("max_pool1d", nn::MaxPool1d(3, {.stride = 2, .padding = 1}), signal);
  zoo.layer("max_pool2d", nn::MaxPool2d({3, 2}, {.stride = 2, .padding = 1, .dilation = 1}), image);
  zoo.layer("max_pool_ceil", nn::MaxPool2d(2, {.ceil_mode = true}), image);
  zoo.layer("max_pool_dilated", nn::MaxPool2d(2, {.stride = 1, .dilation = 2}), image);
  zoo.layer("avg_pool1d", nn::AvgPool1d(3, {.stride = 2, .padding = 1}), signal);
  zoo.layer("avg_pool2d", nn::AvgPool2d(3, {.stride = 2, .padding = 1, .count_include_pad = false}),
            image);
  zoo.layer("avg_pool_padded", nn::AvgPool2d(3, {.stride = 2, .padding = 1}), image);
  zoo.layer("avg_pool_ceil", nn::AvgPool2d(2, {.ceil_mode = true, .count_include_pad = false}),
            image);
  zoo.layer("avg_pool_divisor", nn::AvgPool2d(2, {.divisor_override = 3}), image);
  zoo.layer("adaptive_avg", nn::AdaptiveAvgPool2d({4, 3}), image);
  zoo.layer("adaptive_avg_1", nn::AdaptiveAvgPool2d(1), image);
  zoo.layer("adaptive_avg1d", nn::AdaptiveAvgPool1d(4), signal);
  zoo.layer("adaptive_max", nn::AdaptiveMaxPool2d({3, 4}), image);
  zoo.layer("adaptive_max_uneven", nn::AdaptiveMaxPool2d({4, 3}), image);
  zoo.layer("adaptive_max1d", nn::AdaptiveMaxPool1d(1), signal);
  zoo.layer("fold", nn::Fold({5, 4}, {2, 3}, {.padding = 1, .stride = 2}), {12, 6});
  zoo.layer("nearest1d", nn::Upsample({.scale_factor = {3}}), signal);
  zoo.layer("area", nn::Upsample({.size = {4, 3}, .mode = InterpolateMode::Area}), image);
  zoo.layer("zero_pad", nn::ZeroPad2d({1, 2, 3, 0}), image);
  zoo.layer("constant_pad", nn::ConstantPad1d({2, 1}, 0.5), signal);
  zoo.layer("cut_pad", nn::ZeroPad1d({-1, 2}), signal);
  zoo.layer("reflection_pad", nn::ReflectionPad2d(2), image);
  zoo.layer("replication_pad", nn::ReplicationPad2d({1, 2, 0, 1}), image);
  zoo.layer("circular_pad", nn::CircularPad1d({2, 3}), signal);
  zoo.layer("nearest", nn::Upsample({.scale_factor = {2}}), image);
  zoo.layer("nearest_down", nn::Upsample({.size = {5, 3}}), image);
  zoo.layer("linear_up", nn::Upsample({.size = {17}, .mode = InterpolateMode::Linear}), signal);
  zoo.layer("bilinear_up",
            nn::Upsample({.scale_factor = {1.5, 2}, .mode = InterpolateMode::Bilinear}), image);
  zoo.layer(
      "bilinear_corners",
      nn::Upsample({.size = {4, 13}, .mode = InterpolateMode::Bilinear, .align_corners = true}),
      image);
  zoo.layer("pixel_shuffle", nn::PixelShuffle(2), image);
  zoo.layer("pixel_unshuffle", nn::PixelUnshuffle(2), {3, 4, 6});
  zoo.layer("unfold", nn::Unfold({2, 3}, {.padding = 1, .stride = 2}), image);
}

void add_norms(Zoo& zoo) {
  const Shape image{4, 5, 3};
  nn::BatchNorm2d batch(4);
  nn::BatchNorm1d rows(4);
  batch(randn({8, 4, 5, 3}) * 2 + 1);  // moves the running statistics
  rows(randn({8, 4}) * 2 + 1);
  zoo.layer("batch_norm2d", batch, image);
  zoo.layer("batch_norm1d", rows, {4});
  zoo.layer("layer_norm", nn::LayerNorm({5, 3}), image);
  zoo.layer("layer_norm_plain", nn::LayerNorm({3}, {.elementwise_affine = false}), image);
  zoo.layer("group_norm", nn::GroupNorm(2, 4), image);
  zoo.layer("instance_norm", nn::InstanceNorm2d(4, {.affine = true}), image);
  zoo.layer("instance_norm1d", nn::InstanceNorm1d(4), {4, 6});
  zoo.layer("rms_norm", nn::RMSNorm({3}), image);
}

void add_models(Zoo& zoo) {
  zoo.layer("mlp", nn::Sequential(nn::Linear(5, 8), nn::ReLU(), nn::Dropout(0.5), nn::Linear(8, 3)),
            {5});
  zoo.layer("linear_3d", nn::Linear(5, 4), {2, 3, 5});
  zoo.layer("convnet",
            nn::Sequential(
                nn::Conv2d(1, 4, 3, {.padding = 1}), nn::BatchNorm2d(4), nn::ReLU(),
                nn::MaxPool2d(2), nn::Residual(nn::Conv2d(4, 4, 3, {.padding = 1}), nn::GELU()),
                nn::AdaptiveAvgPool2d(1), nn::Flatten(), nn::Linear(4, 10), nn::LogSoftmax(-1)),
            {1, 8, 8});
  zoo.layer("parallel",
            nn::Parallel(nn::Linear(5, 3), nn::Sequential(nn::Linear(5, 4), nn::Tanh())), {5});
  zoo.layer("encoder",
            nn::TransformerEncoder(
                nn::TransformerEncoderLayer(8, 2, {.dim_feedforward = 16, .batch_first = true}), 2),
            {6, 8});
  zoo.layer("arithmetic", nn::Lambda([](const Tensor& x) {
              const Tensor y = where(x > 0.0, sqrt(abs(x)), exp(x) - 1.0) / (1.0 + square(x));
              const Tensor z = clamp(y * 3.0 - x, -0.5, 0.8) + maximum(x, 0.5 - x);
              return cat({z, pow(abs(x) + 0.1, 1.7), rsqrt(abs(x) + 1.0)}, 1);
            }),
            {4, 3});
  zoo.layer("reductions", nn::Lambda([](const Tensor& x) {
              const Tensor centered = x - mean(x, {1}, true);
              return cat(
                  {sum(centered * x, {2}), amax(x, {2}), logsumexp(x, {-1}), var(x, {2}, 1.0),
                   norm(x, 2, {2}), cumsum(x, 1).slice(2, 0, 1).squeeze(2)},
                  1);
            }),
            {4, 3});
  zoo.layer("shapes", nn::Lambda([](const Tensor& x) {
              const Tensor y = flip(transpose(x, 1, 2), {1});
              return reshape(cat({slice(y, 1, 0, 3, 2), tril(slice(y, 1, 1, 3))}, 1),
                             {x.size(0) * 2, -1});
            }),
            {4, 3});
}

void add_sequences(Zoo& zoo) {
  const auto steps_first = [](int64_t batch) { return std::vector{randn({5, batch, 3})}; };
  const auto batch_first = [](int64_t batch) { return std::vector{randn({batch, 5, 3})}; };
  const nn::LSTM lstm(3, 4, {.num_layers = 2, .batch_first = true, .bidirectional = true});
  zoo.function(
      "lstm",
      [&](std::span<const Tensor> x) {
        const auto [y, state] = lstm(x[0]);
        return std::vector{y, transpose(std::get<0>(state), 0, 1),
                           transpose(std::get<1>(state), 0, 1)};
      },
      batch_first, lstm.state_dict());
  const nn::GRU gru(3, 4, {.bidirectional = true});
  zoo.function("gru",
               [&](std::span<const Tensor> x) {
                 const auto [y, state] = gru(x[0]);
                 return std::vector{y, state};
               },
               steps_first, gru.state_dict(), {.batch_dim = 1});
  const nn::RNN rnn(3, 4, {.nonlinearity = nn::RNNNonlinearity::ReLU, .batch_first = true});
  zoo.function(
      "rnn", [&](std::span<const Tensor> x) { return std::vector{std::get<0>(rnn(x[0]))}; },
      batch_first, rnn.state_dict());
  const nn::RNN plain(3, 4, {.bias = false, .batch_first = true});
  zoo.function(
      "rnn_tanh", [&](std::span<const Tensor> x) { return std::vector{std::get<0>(plain(x[0]))}; },
      batch_first, plain.state_dict());
  const nn::LSTM given(3, 4, {.batch_first = true});
  zoo.function(
      "lstm_states",
      [&](std::span<const Tensor> x) {
        const auto states = [](const Tensor& s) { return unsqueeze(s, 0); };
        return std::vector{std::get<0>(given(x[0], nn::LSTMState{states(x[1]), states(x[2])}))};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 5, 3}), randn({batch, 4}), randn({batch, 4})};
      },
      given.state_dict());
  const nn::GRUCell cell(3, 4);
  zoo.function(
      "gru_cell", [&](std::span<const Tensor> x) { return std::vector{cell(x[0], x[1])}; },
      [](int64_t batch) {
        return std::vector{randn({batch, 3}), randn({batch, 4})};
      },
      cell.state_dict());
  const nn::LSTM projected(3, 4, {.batch_first = true, .proj_size = 2});
  zoo.function(
      "lstm_projection",
      [&](std::span<const Tensor> x) { return std::vector{std::get<0>(projected(x[0]))}; },
      batch_first, projected.state_dict());
  const nn::LSTMCell memory(3, 4);
  zoo.function(
      "lstm_cell",
      [&](std::span<const Tensor> x) {
        const auto [h, c] = memory(x[0], nn::LSTMState{x[1], x[2]});
        return std::vector{h, c};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 3}), randn({batch, 4}), randn({batch, 4})};
      },
      memory.state_dict());
  for (const auto mode : {nn::EmbeddingBagMode::Sum, nn::EmbeddingBagMode::Mean}) {
    nn::EmbeddingBag bags(7, 4, {.mode = mode});
    zoo.function(
        mode == nn::EmbeddingBagMode::Sum ? "bag_sum" : "bag_mean",
        [&](std::span<const Tensor> x) { return std::vector{bags(x[0])}; },
        [](int64_t batch) {
          return std::vector{randint(0, 7, {batch, 5})};
        });
  }
  zoo.function(
      "topk",
      [](std::span<const Tensor> x) {
        const auto [values, places] = topk(x[0], 2);
        return std::vector{values, places, std::get<0>(sort(x[0], 1))};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 5})};
      });
  zoo.function(
      "scatter",
      [](std::span<const Tensor> x) {
        return std::vector{scatter_add(x[0], {x[0].size(0), 4}, 1, x[1])};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 5}), randint(0, 4, {batch, 5})};
      });
  nn::Embedding words(7, 4);
  nn::Linear head(4, 2);
  zoo.function(
      "embedding",
      [&](std::span<const Tensor> x) { return std::vector{head(mean(words(x[0]), {1}))}; },
      [](int64_t batch) {
        return std::vector{randint(0, 7, {batch, 5})};
      });
  const nn::MultiheadAttention attention(8, 2, {.batch_first = true});
  zoo.function(
      "attention",
      [&](std::span<const Tensor> x) {
        const auto [y, weights] = attention(x[0], x[1], x[1]);
        return std::vector{y, weights};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 5, 8}), randn({batch, 3, 8})};
      },
      attention.state_dict(),
      {.input_names = {"query", "memory"}, .output_names = {"y", "weights"}});
  zoo.function(
      "causal",
      [](std::span<const Tensor> x) {
        return std::vector{scaled_dot_product_attention(x[0], x[0], x[0], {.is_causal = true})};
      },
      [](int64_t batch) {
        return std::vector{randn({batch, 2, 5, 4})};
      });
  const nn::Bilinear bilinear(3, 4, 2);
  zoo.function(
      "bilinear", [&](std::span<const Tensor> x) { return std::vector{bilinear(x[0], x[1])}; },
      [](int64_t batch) {
        return std::vector{randn({batch, 3}), randn({batch, 4})};
      },
      bilinear.state_dict());
  zoo.function(
      "fixed",
      [](std::span<const Tensor> x) {
        return std::vector{matmul(x[0], transpose(x[0], 0, 1)) / 2.0};
      },
      [](int64_t) {
        return std::vector{randn({2, 3})};
      },
      {}, {.batch_dim = {}});
  zoo.function(
      "f64", [](std::span<const Tensor> x) { return std::vector{tanh(x[0]) * 2.0 + 1.0}; },
      [](int64_t batch) {
        return std::vector{randn({batch, 3}, f64)};
      });
}

}  // namespace

// onnx FOLDER: exports every model as NAME.onnx, with NAME.npz of inputs and outputs.
void onnx(const Arguments& arguments) {
  manual_seed(1);
  Zoo zoo(arguments.at(0));
  add_activations(zoo);
  add_images(zoo);
  add_norms(zoo);
  add_models(zoo);
  add_sequences(zoo);
}

// onnx_import FOLDER: computes every NAME.onnx for the inputs of NAME.npz, and compares with its
// outputs. The arrays are BATCH.in.0, BATCH.out.0 and so on. Prints the largest error.
void onnx_import(const Arguments& arguments) {
  const NoGrad guard;
  double worst = 0;
  int models = 0;
  for (const fs::directory_entry& entry : fs::directory_iterator(arguments.at(0))) {
    if (entry.path().extension() != ".onnx") continue;
    const OnnxModel model = import_onnx(entry.path());
    std::map<std::string, std::vector<Tensor>> inputs, outputs;
    for (const auto& [name, tensor] : load_npz(fs::path(entry.path()).replace_extension(".npz"))) {
      const size_t dot = name.find('.');
      (name.substr(dot + 1, 2) == "in" ? inputs : outputs)[name.substr(0, dot)].push_back(tensor);
    }
    for (const auto& [batch, list] : inputs) {
      const std::vector<Tensor> results = model.run(list), &expected = outputs.at(batch);
      for (size_t i = 0; i < expected.size(); ++i) {
        const Tensor &y = results.at(i), &e = expected[i];
        if (!(y.shape() == e.shape()) || y.dtype() != e.dtype())
          fail("onnx_import", entry.path().string(), ", output ", i, ": ", y.dtype(), " ",
               y.shape(), ", expected ", e.dtype(), " ", e.shape());
        if (y.numel() == 0) continue;
        const Tensor a = y.to(f64), b = e.to(f64);
        const double error = max(abs(a - b) / maximum(abs(b), 1.0)).item();
        if (!(error <= 1e-5))
          fail("onnx_import", entry.path().string(), ", output ", i, ": error ", error);
        worst = std::max(worst, error);
      }
    }
    ++models;
  }
  std::printf("%d models, largest error %.1e\n", models, worst);
}

}  // namespace ebb::interop
