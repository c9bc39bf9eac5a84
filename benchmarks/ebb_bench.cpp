// The rows of the benchmark in Ebb.
#include <ebb/ebb.h>

#include "driver.h"
#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/parallel.h"

namespace bench {
namespace api = ebb;
inline void clear_grad(ebb::Tensor& x) { x.set_grad({}); }
inline ebb::Tensor normalize(const ebb::Tensor& x) { return ebb::normalize(x); }
}  // namespace bench
#include "op_rows.h"

namespace {

using namespace ebb;
using bench::Repetition;
using bench::Work;

nn::Sequential make_model(const Work& w) {
  nn::Sequential model;
  int64_t channels = 1;
  for (size_t i = 0; i < w.channels.size(); ++i) {
    model.push_back(nn::Conv2d(channels, w.channels[i], w.kernel, {.padding = w.padding[i]}));
    model.push_back(nn::ReLU());
    model.push_back(nn::MaxPool2d(2));
    channels = w.channels[i];
  }
  if (!w.channels.empty()) model.push_back(nn::Flatten());
  const std::vector<int64_t>& widths = w.widths;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    model.push_back(nn::Linear(widths[i], widths[i + 1]));
    if (i + 2 < widths.size()) model.push_back(nn::ReLU());
  }
  return model;
}

std::unique_ptr<nn::Optimizer> make_optimizer(const nn::Sequential& model, bool adam) {
  if (adam)
    return std::make_unique<nn::Adam>(model.named_parameters(),
                                      nn::AdamOptions{.lr = bench::kLearningRate});
  return std::make_unique<nn::SGD>(model.named_parameters(),
                                   nn::SGDOptions{.lr = bench::kLearningRate, .momentum = 0.9});
}

Tensor make_target(const Work& w) {
  if (w.loss == "cross_entropy") {
    std::vector<int64_t> classes;
    for (int64_t i = 0; i < w.batch; ++i) classes.push_back(i % w.columns);
    return from_data(classes, {w.batch});
  }
  if (w.loss == "kl_div") return softmax(randn({w.batch, w.columns}), 1);
  return rand({w.batch, w.columns});
}

/// In a network, kl_div takes log_softmax of the scores. Alone, its input counts as
/// log-probabilities.
Tensor loss_of(const Work& w, const Tensor& x, const Tensor& target) {
  if (w.loss == "cross_entropy") return nn::cross_entropy(x, target);
  if (w.loss == "bce_with_logits") return nn::binary_cross_entropy_with_logits(x, target);
  if (w.loss == "mse") return nn::mse_loss(x, target);
  if (w.loss == "smooth_l1") return nn::smooth_l1_loss(x, target);
  const Tensor log_p = w.kind == Work::Kind::Step ? log_softmax(x, 1) : x;
  return nn::kl_div(log_p, target, {.reduction = nn::Reduction::BatchMean});
}

struct Training {
  explicit Training(const Work& w)
      : model(make_model(w)), optimizer(make_optimizer(model, w.adam)) {}
  void step(const Work& w, const Tensor& x, const Tensor& target) {
    const Tensor loss = loss_of(w, model(x), target);
    optimizer->zero_grad();
    loss.backward();
    optimizer->step();
  }
  nn::Sequential model;
  std::unique_ptr<nn::Optimizer> optimizer;
};

Repetition make_step(const Work& w) {
  const auto training = std::make_shared<Training>(w);
  const Shape input =
      w.kind == Work::Kind::Step ? Shape{w.batch, w.widths.front()} : Shape{w.batch, 1, 28, 28};
  return [=, x = randn(input), target = make_target(w)] { training->step(w, x, target); };
}

Repetition make_epoch(const Work& w) {
  Tensor pictures = empty({w.samples, w.widths.front()}, {.dtype = DType::U8});
  Tensor classes = empty({w.samples}, {.dtype = DType::I64});
  for (int64_t i = 0; i < pictures.numel(); ++i)
    pictures.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 7);
  for (int64_t i = 0; i < w.samples; ++i) classes.mutable_data<int64_t>()[i] = i % w.columns;
  const auto training = std::make_shared<Training>(w);
  // The thread of the loader counts as a thread.
  const int prefetch = cpu::num_threads() > 1 ? 2 : 0;
  const auto loader = std::make_shared<data::DataLoader>(
      data::Dataset(pictures, classes),
      data::LoaderOptions{.batch_size = w.batch, .shuffle = true, .prefetch = prefetch});
  return [=] {
    for (const data::Batch& batch : *loader) training->step(w, batch.input, batch.target);
  };
}

Repetition make_op_chain(const Work& w) {
  Tensor x = rand({w.batch, w.columns}).requires_grad_();
  return [x, factor = rand({w.batch, w.columns}), ops = w.units]() mutable {
    Tensor y = x;
    for (int64_t i = 0; i < ops; ++i) y = y * factor;
    y.backward(factor);
    x.set_grad({});
  };
}

Repetition make_loss(const Work& w) {
  Tensor x = randn({w.batch, w.columns}).requires_grad_();
  if (w.loss == "log_softmax" || w.loss == "sigmoid") {
    return [x, upstream = rand({w.batch, w.columns}), log = w.loss == "log_softmax"]() mutable {
      (log ? log_softmax(x, 1) : sigmoid(x)).backward(upstream);
      x.set_grad({});
    };
  }
  return [x, w, target = make_target(w)]() mutable {
    loss_of(w, x, target).backward();
    x.set_grad({});
  };
}

/// Repeats forward and backward of a layer. The gradients of its parameters are forgotten too.
template <class L> Repetition repeat_layer(const Work& w, L layer) {
  const Shape shape =
      w.side > 0 ? Shape{w.batch, w.columns, w.side, w.side} : Shape{w.batch, w.columns};
  Tensor x = randn(shape).requires_grad_();
  return [x, layer, upstream = rand(layer(x).shape())]() mutable {
    layer(x).backward(upstream);
    x.set_grad({});
    layer.zero_grad();
  };
}

/// Does the same with a layer of sequences, whose first result is `first(layer, x)`.
template <class L, class First>
Repetition repeat_sequences(const Work& w, L layer, const First& first, Tensor x) {
  const bool integers = x.dtype() == DType::I64;
  if (!integers) x.requires_grad_();
  const Shape shape = integers ? Shape{w.batch, w.side, w.columns} : x.shape();
  return [=, upstream = rand(shape)]() mutable {
    first(layer, x).backward(upstream);
    if (!integers) x.set_grad({});
    layer.zero_grad();
  };
}

Repetition make_layer(const Work& w) {
  const auto all = [](const auto& layer, const Tensor& x) { return layer(x); };
  const auto output = [](const auto& layer, const Tensor& x) { return std::get<0>(layer(x)); };
  const auto attend = [](const auto& layer, const Tensor& x) {
    return std::get<0>(layer(x, x, x, Tensor(), false));
  };
  if (w.loss == "embedding") {
    return repeat_sequences(w, nn::Embedding(50000, w.columns), all,
                            randint(50000, {w.batch, w.side}));
  }
  const auto x = [&w] { return randn({w.side, w.batch, w.columns}); };
  if (w.loss == "gru") return repeat_sequences(w, nn::GRU(w.columns, w.columns), output, x());
  if (w.loss == "lstm") return repeat_sequences(w, nn::LSTM(w.columns, w.columns), output, x());
  if (w.loss == "attention")
    return repeat_sequences(w, nn::MultiheadAttention(w.columns, 4), attend, x());
  if (w.loss == "max_pool2d") return repeat_layer(w, nn::MaxPool2d(2));
  if (w.loss == "batch_norm2d") return repeat_layer(w, nn::BatchNorm2d(w.columns));
  if (w.loss == "layer_norm") return repeat_layer(w, nn::LayerNorm(w.columns));
  return nullptr;
}

Repetition prepare(const Work& w) {
  manual_seed(1);
  switch (w.kind) {
    case Work::Kind::Step:
    case Work::Kind::ConvStep: return make_step(w);
    case Work::Kind::Epoch: return make_epoch(w);
    case Work::Kind::OpChain: return make_op_chain(w);
    case Work::Kind::Loss: return make_loss(w);
    case Work::Kind::Layer: return make_layer(w);
    case Work::Kind::Op: return bench::make_op(w);
    case Work::Kind::Infer:
      return [model = make_model(w), x = randn({w.batch, w.widths.front()})] {
        const NoGrad guard;
        model(x);
      };
    default: return nullptr;
  }
}

}  // namespace

int main(int argc, char** argv) {
  return bench::Driver(std::string("Ebb, own GEMM for ") + cpu::gemm_isa(), prepare)
      .run(argc, argv);
}
