// Epochs over a data set of the size of Fashion-MNIST, including the loading of batches: from the
// device, and from the host.
#include <vector>

#include "measure.h"

namespace ebb::gpu_bench {
namespace {

constexpr int64_t kPixels = 784, kHidden = 128, kClasses = 10, kBatch = 64;

data::Dataset pictures(int64_t count) {
  Generator generator{1, 0};
  const Tensor inputs = floor(rand({count, kPixels}, {}, &generator) * 256).to(DType::U8);
  std::vector<int64_t> classes;
  for (int64_t i = 0; i < count; ++i) classes.push_back(i % kClasses);
  return data::Dataset(inputs, from_data(classes, {count}));
}

class Training {
 public:
  Training(const Bench& bench, const data::Dataset& dataset)
      : device_(bench.options().device),
        model_(nn::Linear(kPixels, kHidden), nn::ReLU(), nn::Linear(kHidden, kClasses)),
        loader_(dataset, {.batch_size = kBatch, .shuffle = true, .device = device_}),
        sums_(device_) {
    model_.to(device_);
    optimizer_.emplace(model_.named_parameters(), nn::SGDOptions{.lr = 1e-3, .momentum = 0.9});
  }

  // Returns the mean loss, which waits for the device as the end of an epoch does.
  double epoch() {
    sums_.clear();
    for (auto batch = loader_.begin(); batch != loader_.end(); ++batch) {
      if (batch.samples() == kBatch) train_captured(batch);
      else step(*batch);
      sums_.seen += batch.samples();
    }
    return sums_.mean_loss();
  }

 private:
  bool gathers() const { return loader_.dataset().device() == device_; }

  void train_captured(const data::DataLoader::Iterator& batch) {
    if (!captured_ && gathers()) {
      captured_.emplace([this] { step(loader_.gather()); });
    } else if (!captured_) {
      own_ = {empty_like(batch->input), empty_like(batch->target)};
      captured_.emplace([this] { step(own_); });
    }
    if (!gathers()) {
      own_.input.copy_(batch->input);
      own_.target.copy_(batch->target);
    }
    (*captured_)();
  }

  void step(const data::Batch& batch) {
    const Tensor scores = model_(batch.input);
    const Tensor loss = nn::cross_entropy(scores, batch.target);
    sums_.add("epoch", scores, batch.target, loss, batch.input.size(0));
    optimizer_->zero_grad();
    loss.backward();
    optimizer_->step();
  }

  Device device_;
  nn::Sequential model_;
  data::DataLoader loader_;
  nn::detail::RunningFigures sums_;
  std::optional<nn::SGD> optimizer_;
  data::Batch own_;
  std::optional<cuda::CapturedStep> captured_;
};

}  // namespace

void run_epochs(const Bench& bench) {
  const int64_t count = bench.options().quick || bench.options().once ? 96 : 60'000;
  const double flops = static_cast<double>(count * (4 * kPixels + 6 * kClasses) * kHidden);
  const Row row{"epoch", "epoch_60000x784_mlp_784_128_10_b64", "sgd f32", flops};
  if (!bench.wanted(row) || !bench.on_gpu()) return;
  const data::Dataset host = pictures(count);
  double loss = 0;
  for (const bool on_device : {true, false}) {
    Training training(bench, on_device ? host.to(bench.options().device) : host);
    bench.run(row, on_device ? "captured" : "from host", [&] { loss = training.epoch(); });
    require_finite(row, tensor(loss));
  }
}

}  // namespace ebb::gpu_bench
