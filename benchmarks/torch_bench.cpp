// The rows in PyTorch's C++ frontend, written as its documentation recommends.
#include <torch/torch.h>

#include <sstream>

#include "driver.h"

namespace bench {
namespace api = torch;
inline void clear_grad(torch::Tensor& x) { x.mutable_grad().reset(); }
inline torch::Tensor normalize(const torch::Tensor& x) {
  return torch::nn::functional::normalize(x);
}
}  // namespace bench
#include "op_rows.h"

namespace {

namespace F = torch::nn::functional;
using bench::Repetition;
using bench::Work;
using torch::Tensor;

torch::nn::Sequential make_model(const Work& w) {
  torch::nn::Sequential model;
  int64_t channels = 1;
  for (size_t i = 0; i < w.channels.size(); ++i) {
    model->push_back(torch::nn::Conv2d(
        torch::nn::Conv2dOptions(channels, w.channels[i], w.kernel).padding(w.padding[i])));
    model->push_back(torch::nn::ReLU());
    model->push_back(torch::nn::MaxPool2d(2));
    channels = w.channels[i];
  }
  if (!w.channels.empty()) model->push_back(torch::nn::Flatten());
  const std::vector<int64_t>& widths = w.widths;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    model->push_back(torch::nn::Linear(widths[i], widths[i + 1]));
    if (i + 2 < widths.size()) model->push_back(torch::nn::ReLU());
  }
  return model;
}

std::unique_ptr<torch::optim::Optimizer> make_optimizer(const torch::nn::Sequential& model,
                                                        bool adam) {
  if (adam)
    return std::make_unique<torch::optim::Adam>(model->parameters(),
                                                torch::optim::AdamOptions(bench::kLearningRate));
  return std::make_unique<torch::optim::SGD>(
      model->parameters(), torch::optim::SGDOptions(bench::kLearningRate).momentum(0.9));
}

Tensor make_target(const Work& w) {
  if (w.loss == "cross_entropy") return torch::arange(w.batch, torch::kInt64) % w.columns;
  if (w.loss == "kl_div") return torch::softmax(torch::randn({w.batch, w.columns}), 1);
  return torch::rand({w.batch, w.columns});
}

Tensor loss_of(const Work& w, const Tensor& x, const Tensor& target) {
  if (w.loss == "cross_entropy") return F::cross_entropy(x, target);
  if (w.loss == "bce_with_logits") return F::binary_cross_entropy_with_logits(x, target);
  if (w.loss == "mse") return F::mse_loss(x, target);
  if (w.loss == "smooth_l1") return F::smooth_l1_loss(x, target);
  const Tensor log_p = w.kind == Work::Kind::Step ? torch::log_softmax(x, 1) : x;
  return F::kl_div(log_p, target, F::KLDivFuncOptions(torch::kBatchMean));
}

struct Training {
  explicit Training(const Work& w)
      : model(make_model(w)), optimizer(make_optimizer(model, w.adam)) {}
  void step(const Work& w, const Tensor& x, const Tensor& target) {
    const Tensor loss = loss_of(w, model->forward(x), target);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
  torch::nn::Sequential model;
  std::unique_ptr<torch::optim::Optimizer> optimizer;
};

Repetition make_step(const Work& w) {
  const auto training = std::make_shared<Training>(w);
  const Tensor x = w.kind == Work::Kind::Step ? torch::randn({w.batch, w.widths.front()})
                                              : torch::randn({w.batch, 1, 28, 28});
  return [=, target = make_target(w)] { training->step(w, x, target); };
}

/// Makes batches by index_select from whole tensors, which is faster than torch::data::DataLoader,
/// sample by sample.
Repetition make_epoch(const Work& w) {
  const Tensor pictures = torch::empty({w.samples, w.widths.front()}, torch::kUInt8);
  for (int64_t i = 0; i < pictures.numel(); ++i)
    pictures.mutable_data_ptr<uint8_t>()[i] = static_cast<uint8_t>(i * 7);
  const Tensor classes = torch::arange(w.samples, torch::kInt64) % w.columns;
  const auto training = std::make_shared<Training>(w);
  return [=] {
    for (const Tensor& rows : torch::randperm(w.samples, torch::kInt64).split(w.batch)) {
      training->step(w, pictures.index_select(0, rows).to(torch::kFloat32).div_(255),
                     classes.index_select(0, rows));
    }
  };
}

Repetition make_op_chain(const Work& w) {
  const Tensor x = torch::rand({w.batch, w.columns}).requires_grad_();
  return [x, factor = torch::rand({w.batch, w.columns}), ops = w.units] {
    Tensor y = x;
    for (int64_t i = 0; i < ops; ++i) y = y * factor;
    y.backward(factor);
    x.mutable_grad().reset();
  };
}

Repetition make_loss(const Work& w) {
  const Tensor x = torch::randn({w.batch, w.columns}).requires_grad_();
  if (w.loss == "log_softmax" || w.loss == "sigmoid") {
    return [x, upstream = torch::rand({w.batch, w.columns}), log = w.loss == "log_softmax"] {
      (log ? torch::log_softmax(x, 1) : torch::sigmoid(x)).backward(upstream);
      x.mutable_grad().reset();
    };
  }
  return [x, w, target = make_target(w)] {
    loss_of(w, x, target).backward();
    x.mutable_grad().reset();
  };
}

template <class L> Repetition repeat_layer(const Work& w, L layer) {
  const Tensor x = (w.side > 0 ? torch::randn({w.batch, w.columns, w.side, w.side})
                               : torch::randn({w.batch, w.columns}))
                       .requires_grad_();
  return [x, layer, upstream = torch::rand_like(layer(x))]() mutable {
    layer(x).backward(upstream);
    x.mutable_grad().reset();
    layer->zero_grad();
  };
}

template <class L, class First>
Repetition repeat_sequences(const Work& w, L layer, const First& first, Tensor x) {
  const bool integers = x.dtype() == torch::kInt64;
  if (!integers) x.requires_grad_();
  const Tensor upstream =
      integers ? torch::rand({w.batch, w.side, w.columns}) : torch::rand_like(x);
  return [=]() mutable {
    first(layer, x).backward(upstream);
    if (!integers) x.mutable_grad().reset();
    layer->zero_grad();
  };
}

Repetition make_layer(const Work& w) {
  namespace nn = torch::nn;
  const auto all = [](auto& layer, const Tensor& x) { return layer->forward(x); };
  const auto output = [](auto& layer, const Tensor& x) { return std::get<0>(layer->forward(x)); };
  const auto attend = [](auto& layer, const Tensor& x) {
    return std::get<0>(layer->forward(x, x, x, Tensor(), false));
  };
  if (w.loss == "embedding") {
    return repeat_sequences(w, nn::Embedding(50000, w.columns), all,
                            torch::randint(50000, {w.batch, w.side}));
  }
  const auto x = [&w] { return torch::randn({w.side, w.batch, w.columns}); };
  if (w.loss == "gru") return repeat_sequences(w, nn::GRU(w.columns, w.columns), output, x());
  if (w.loss == "lstm") return repeat_sequences(w, nn::LSTM(w.columns, w.columns), output, x());
  if (w.loss == "attention")
    return repeat_sequences(w, nn::MultiheadAttention(w.columns, 4), attend, x());
  if (w.loss == "max_pool2d") return repeat_layer(w, nn::MaxPool2d(2));
  if (w.loss == "batch_norm2d") return repeat_layer(w, nn::BatchNorm2d(w.columns));
  if (w.loss == "layer_norm")
    return repeat_layer(w, nn::LayerNorm(nn::LayerNormOptions({w.columns})));
  return nullptr;
}

Repetition prepare(const Work& w) {
  torch::manual_seed(1);
  switch (w.kind) {
    case Work::Kind::Step:
    case Work::Kind::ConvStep: return make_step(w);
    case Work::Kind::Epoch: return make_epoch(w);
    case Work::Kind::OpChain: return make_op_chain(w);
    case Work::Kind::Loss: return make_loss(w);
    case Work::Kind::Layer: return make_layer(w);
    case Work::Kind::Op: return bench::make_op(w);
    case Work::Kind::Infer:
      return [model = make_model(w), x = torch::randn({w.batch, w.widths.front()})]() mutable {
        const torch::InferenceMode guard;
        model->forward(x);
      };
    default: return nullptr;
  }
}

/// Returns for example "PyTorch 2.15.0, BLAS mkl".
std::string info() {
  std::string blas = "unknown";
  std::istringstream config(torch::show_config());
  for (std::string line; std::getline(config, line);) {
    if (const size_t at = line.find("BLAS_INFO="); at != std::string::npos) {
      blas = line.substr(at + 10, line.find(',', at) - at - 10);
    }
  }
  return "PyTorch " TORCH_VERSION ", BLAS " + blas;
}

}  // namespace

int main(int argc, char** argv) {
  const char* threads = std::getenv("OMP_NUM_THREADS");
  if (threads) torch::set_num_threads(std::atoi(threads));
  return bench::Driver(info(), prepare).run(argc, argv);
}
