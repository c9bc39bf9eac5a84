// The rows of the benchmark table, as plain data for all three programs.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// The learning rate of SGD and Adam. It is so small that a network hardly changes when its step is
/// repeated. A network that has converged has denormal gradients, which are slow, and not in all
/// programs at the same time.
inline constexpr double kLearningRate = 1e-6;

/// One row: the work whose repetitions are measured. Gradients are reset to undefined, not to zero,
/// before each backward. Inputs do not change.
struct Work {
  enum class Kind {
    Step,      ///< a training step of an MLP with ReLU: forward, loss, backward, optimizer
    ConvStep,  ///< a training step of two convolutions with ReLU and 2x2 max pooling, on 28 x 28
    Epoch,     ///< steps over a shuffled set of u8 images, gathered and scaled to [0, 1] per batch
    Infer,     ///< an MLP forward without gradients
    OpChain,   ///< y = y * factor, ten times, and backward
    Loss,      ///< a loss (or log_softmax, sigmoid) of (batch, columns), forward and backward
    Op,        ///< one call of an op of op_rows.h on (batch, columns)
    Layer,     ///< a layer of (batch, columns, side, side), or of sequences, forward and backward
    Gemm,      ///< the floor of rows with matrix products: one sgemm
    Stream,    ///< the floor of rows that are limited by memory: c = a + b over large arrays
  };
  std::string name;
  Kind kind;
  std::string loss = "cross_entropy";  ///< for Step and Loss; the layer of Layer
  bool adam = false;                   ///< Adam instead of SGD with momentum
  std::vector<int64_t> widths = {};    ///< of the MLP: inputs, hidden layers, outputs
  int64_t batch = 1;
  int64_t columns = 1;
  int64_t side = 0;     ///< height and width of images, or 0
  int64_t samples = 0;  ///< of an epoch
  int64_t units = 1;    ///< units in one repetition; times are given per unit
  std::string op = "";  ///< the name in op_rows.h
  double flops = 0;     ///< of the matrix products of one unit
  double bytes = 0;     ///< of one unit, if each input is read once and each result written once
  std::vector<int64_t> channels = {};  ///< of ConvStep: output channels of the two convolutions
  int64_t kernel = 0;                  ///< of ConvStep
  std::vector<int64_t> padding = {};   ///< of ConvStep: of the two convolutions
};

/// Returns twice the multiply-adds of a step: three products per layer, and two for the first
/// layer, whose input needs no gradient.
inline double step_flops(const std::vector<int64_t>& widths, int64_t batch, bool training) {
  double flops = 0;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const int products = !training ? 1 : i == 0 ? 2 : 3;
    flops += 2.0 * products * static_cast<double>(batch * widths[i] * widths[i + 1]);
  }
  return flops;
}

/// Returns the rows of single layers. Their floor is the memory that forward and backward must read
/// and write.
inline std::vector<Work> layer_work() {
  struct Row {
    const char *name, *layer;
    int64_t batch, columns, side;
    double arrays;  // of the size of the input
  };
  const Row rows[] = {{"max_pool2d_64x32x28x28", "max_pool2d", 64, 32, 28, 2.5},
                      {"batch_norm2d_32x64x32x32", "batch_norm2d", 32, 64, 32, 5},
                      {"layer_norm_4096x768", "layer_norm", 4096, 768, 0, 5}};
  std::vector<Work> all;
  for (const Row& row : rows) {
    Work w{std::string("layer_") + row.name, Work::Kind::Layer, row.layer};
    w.batch = row.batch;
    w.columns = row.columns;
    w.side = row.side;
    const int64_t pixels = row.side > 0 ? row.side * row.side : 1;
    w.bytes = 4 * row.arrays * static_cast<double>(row.batch * row.columns * pixels);
    all.push_back(w);
  }
  return all;
}

/// Returns the rows of layers for sequences: side steps of columns features. Embeddings have 50,000
/// rows, whose dense gradient is their floor; attention has 4 heads, and steps before the batch.
inline std::vector<Work> sequence_work() {
  const auto row = [](const char* name, const char* layer, int64_t batch, int64_t steps) {
    return Work{.name = name,
                .kind = Work::Kind::Layer,
                .loss = layer,
                .batch = batch,
                .columns = 128,
                .side = steps};
  };
  Work embedding = row("layer_embedding_50000x128_64x128", "embedding", 64, 128);
  embedding.bytes = 4.0 * 128 * (50000 + 5 * 64 * 128);
  Work gru = row("layer_gru_128_t50_b32", "gru", 32, 50);
  gru.flops = 6.0 * 50 * 32 * 3 * 128 * (128 + 128);
  Work lstm = row("layer_lstm_128_t50_b32", "lstm", 32, 50);
  lstm.flops = gru.flops * 4 / 3;
  Work attention = row("layer_attention_128_h4_t128_b16", "attention", 16, 128);
  attention.flops = 6.0 * 16 * 128 * 128 * (4 * 128 + 2 * 128);
  return {embedding, gru, lstm, attention};
}

/// Adds the products of the convolutions of a ConvStep; widths are those of its linear layers.
inline double conv_step_flops(const Work& w) {
  double flops = step_flops(w.widths, w.batch, true) +
                 2.0 * static_cast<double>(w.batch * w.widths[0] * w.widths[1]);
  int64_t channels = 1, size = 28;
  for (size_t i = 0; i < 2; ++i) {
    const int64_t out = size + 2 * w.padding[i] - w.kernel + 1;
    flops +=
        2.0 * (i == 0 ? 2 : 3) *
        static_cast<double>(w.batch * out * out * channels * w.channels[i] * w.kernel * w.kernel);
    channels = w.channels[i];
    size = out / 2;
  }
  return flops;
}

/// Returns the rows of single ops: small ones, where the time of a call matters, and large ones.
inline std::vector<Work> op_work() {
  // Those that read or write more than their input: how many arrays of its size.
  const std::pair<const char*, double> ops[] = {{"sum", 1},
                                                {"sum_dim0", 1},
                                                {"sum_dim1", 1},
                                                {"sum_dim1_backward", 2},
                                                {"mean_dim1", 1},
                                                {"max", 1},
                                                {"amax_dim1", 1},
                                                {"max_dim0", 1},
                                                {"max_dim1", 1},
                                                {"max_dim1_backward", 2},
                                                {"argmax_dim0", 1},
                                                {"argmax_dim1", 1},
                                                {"var", 1},
                                                {"var_dim0", 1},
                                                {"std_dim1", 1},
                                                {"std_dim1_backward", 3},
                                                {"prod_dim1", 1},
                                                {"norm", 1},
                                                {"norm_dim1", 1},
                                                {"norm_dim1_backward", 3},
                                                {"norm1_dim1", 1},
                                                {"logsumexp_dim0", 1},
                                                {"logsumexp_dim1", 1},
                                                {"logsumexp_dim1_backward", 3},
                                                {"any_dim1", 1},
                                                {"sort_dim0", 4},
                                                {"sort_dim1", 4},
                                                {"sort_dim1_backward", 8},
                                                {"argsort_dim1", 3},
                                                {"topk_dim1", 1},
                                                {"cumsum_dim0", 2},
                                                {"cumsum_dim1", 2},
                                                {"cumsum_dim1_backward", 4},
                                                {"cumprod_dim1", 2},
                                                {"cumprod_dim1_backward", 5},
                                                {"einsum_rows", 2},
                                                {"tril", 2},
                                                {"triu", 2},
                                                {"normalize", 2},
                                                {"cosine_similarity", 2},
                                                {"sin", 2},
                                                {"sin_backward", 5},
                                                {"cos", 2},
                                                {"tan", 2},
                                                {"atan2", 3},
                                                {"fmod", 3},
                                                {"erfinv", 3},
                                                {"floor", 2},
                                                {"round", 2},
                                                {"masked_fill", 2.25},
                                                {"flip", 2},
                                                {"roll", 2},
                                                {"bernoulli", 3},
                                                {"multinomial", 1}};
  std::vector<Work> all;
  const auto add = [&all](const std::string& op, int64_t rows, int64_t columns) -> Work& {
    const std::string name =
        "op_" + op + "_" + std::to_string(rows) + "x" + std::to_string(columns);
    all.push_back(
        {.name = name, .kind = Work::Kind::Op, .batch = rows, .columns = columns, .op = op});
    return all.back();
  };
  for (const auto& [op, arrays] : ops) {
    add(op, 64, 10);
    add(op, 2048, 1000).bytes = 4 * arrays * 2048 * 1000;
  }
  for (const char* op : {"einsum_product", "einsum_product_backward"}) {
    add(op, 64, 10);
    add(op, 512, 1024).flops =
        2.0 * 512 * 512 * 1024 * (std::string(op) == "einsum_product" ? 1 : 2);
  }
  add("einsum_outer", 64, 10);
  add("einsum_outer", 64, 256);
  return all;
}

inline std::vector<Work> all_work() {
  using Kind = Work::Kind;
  struct Net {
    const char* name;
    std::vector<int64_t> widths;
    int64_t batch;
  };
  const Net nets[] = {{"mlp_2_16_16_2_b32", {2, 16, 16, 2}, 32},
                      {"mlp_64_32_10_b32", {64, 32, 10}, 32},
                      {"mlp_784_128_10_b64", {784, 128, 10}, 64},
                      {"mlp_784_512_512_10_b128", {784, 512, 512, 10}, 128},
                      {"mlp_1024x4_10_b512", {1024, 1024, 1024, 1024, 10}, 512}};
  std::vector<Work> all;
  const auto add_step = [&all](const Net& net, const std::string& suffix, const std::string& loss,
                               bool adam) {
    Work w{net.name + suffix, Kind::Step, loss, adam, net.widths, net.batch, net.widths.back()};
    w.flops = step_flops(net.widths, net.batch, true);
    all.push_back(w);
  };
  for (const Net& net : nets) {
    add_step(net, "", "cross_entropy", false);
    add_step(net, "_adam", "cross_entropy", true);
    for (const char* loss : {"bce_with_logits", "kl_div", "smooth_l1"}) {
      add_step(net, std::string("_") + loss, loss, false);
    }
  }
  Work conv{"conv_32_64_b64", Kind::ConvStep, "cross_entropy", false, {3136, 128, 10}, 64, 10};
  conv.channels = {32, 64}, conv.kernel = 3, conv.padding = {1, 1};
  Work lenet{"lenet_b32", Kind::ConvStep, "cross_entropy", false, {400, 120, 84, 10}, 32, 10};
  lenet.channels = {6, 16}, lenet.kernel = 5, lenet.padding = {2, 0};
  for (Work net : {conv, lenet}) {
    net.flops = conv_step_flops(net);
    all.push_back(net);
  }
  all.push_back(
      {.name = "op_chain_mul_4x4", .kind = Kind::OpChain, .batch = 4, .columns = 4, .units = 10});
  const std::pair<int64_t, int64_t> sizes[] = {{128, 10}, {4096, 1000}, {256, 50257}};
  for (const auto& [rows, columns] : sizes) {
    for (const char* loss : {"cross_entropy", "bce_with_logits", "mse", "smooth_l1", "kl_div",
                             "log_softmax", "sigmoid"}) {
      Work w{
          std::string("loss_") + loss + "_" + std::to_string(rows) + "x" + std::to_string(columns),
          Kind::Loss, loss};
      w.batch = rows;
      w.columns = columns;
      // The arrays of this size: input, gradient and a dense target; or output and upstream
      // gradient too.
      const int arrays = w.loss == "cross_entropy"                        ? 2
                         : w.loss == "log_softmax" || w.loss == "sigmoid" ? 4
                                                                          : 3;
      w.bytes = 4.0 * arrays * static_cast<double>(rows * columns);
      all.push_back(w);
    }
  }
  Work epoch{"fashion_mnist_epoch",
             Kind::Epoch,
             "cross_entropy",
             true,
             {784, 256, 128, 10},
             128,
             10,
             60000};
  epoch.flops = step_flops(epoch.widths, epoch.samples, true);
  all.push_back(epoch);
  Work infer{"infer_784_128_10_b1", Kind::Infer, "", false, {784, 128, 10}, 1, 10};
  infer.flops = step_flops(infer.widths, 1, false);
  all.push_back(infer);
  for (const Work& w : layer_work()) all.push_back(w);
  for (const Work& w : op_work()) all.push_back(w);
  for (const Work& w : sequence_work()) all.push_back(w);
  return all;
}

/// Returns the floors, which only the hand-written program measures: the products of the largest
/// network, and an addition of 64 MiB arrays.
inline std::vector<Work> floor_work() {
  Work gemm{"floor_gemm", Work::Kind::Gemm};
  gemm.batch = 512;
  gemm.columns = 1024;
  gemm.flops = 2.0 * 512 * 1024 * 1024;
  Work stream{"floor_stream", Work::Kind::Stream};
  stream.columns = 16 << 20;
  stream.bytes = 3.0 * 4 * static_cast<double>(stream.columns);
  return {gemm, stream};
}

}  // namespace bench
