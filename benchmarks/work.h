// The rows of the table: what is done in each, in plain data that all three programs read.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace bench {

/// Of SGD and Adam. So small that a net stays what it is however often its step is repeated: one that has converged has
/// denormal gradients, which are slow, and not on all sides at the same time.
inline constexpr double kLearningRate = 1e-6;

/// Repetitions of it are timed. Gradients are forgotten, not zeroed, before each backward, and inputs do not change.
struct Work {
  enum class Kind {
    Step,  ///< a training step of an MLP with ReLU: forward, loss, backward, optimizer
    Epoch,  ///< the same over a shuffled set of u8 pictures, made and scaled to [0, 1] batch by batch
    Infer,    ///< an MLP forward, no gradient
    OpChain,  ///< y = y * factor, ten times, and the way back
    Loss,     ///< a loss (or log_softmax, sigmoid) of (batch, columns), forward and backward
    Gemm,     ///< the floor of what multiplies: one sgemm
    Stream,   ///< the floor of what reads and writes: c = a + b over arrays beyond the caches
  };
  std::string name;
  Kind kind;
  std::string loss = "cross_entropy";  ///< of Step and Loss
  bool adam = false;                   ///< else SGD with momentum
  std::vector<int64_t> widths = {};    ///< of the MLP: inputs, hidden layers, outputs
  int64_t batch = 1;
  int64_t columns = 1;
  int64_t samples = 0;  ///< of an epoch
  int64_t units = 1;    ///< what one repetition counts as: times are given for one unit
  double flops = 0;     ///< of its matrix products, a unit
  double bytes = 0;     ///< each input read once and each result written once, a unit
};

/// Multiply-adds of a step, twice: three products a layer, two for the first, whose input wants no gradient.
inline double step_flops(const std::vector<int64_t>& widths, int64_t batch, bool training) {
  double flops = 0;
  for (size_t i = 0; i + 1 < widths.size(); ++i) {
    const int products = !training ? 1 : i == 0 ? 2 : 3;
    flops += 2.0 * products * static_cast<double>(batch * widths[i] * widths[i + 1]);
  }
  return flops;
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
      // Arrays of this size: input and gradient, and a dense target; or output and upstream.
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
  return all;
}

/// The floors, which only the hand-written program measures: the products of the largest net, and 64 MiB arrays.
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
