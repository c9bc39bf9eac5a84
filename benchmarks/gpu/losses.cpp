// Losses, forward and backward, from small sizes to sizes much larger than the caches.
#include <algorithm>
#include <vector>

#include "measure.h"

namespace ebb::gpu_bench {
namespace {

enum class Target { Classes, Values, Distribution, Upstream };

struct Loss {
  std::string name;
  Target target;
  int tensors;  // of the input's shape that are read or written
  Tensor (*forward)(const Tensor& x, const Tensor& t);
};

// The tensors counted for a loss: input and target are read, and the gradient is written. For
// log_softmax and sigmoid: x is read and y written; then y and the upstream gradient are read, and
// the gradient is written.
std::vector<Loss> losses() {
  return {
      {"cross_entropy", Target::Classes, 2,
       [](const Tensor& x, const Tensor& t) { return nn::cross_entropy(x, t); }},
      {"bce_with_logits", Target::Values, 3,
       [](const Tensor& x, const Tensor& t) { return nn::binary_cross_entropy_with_logits(x, t); }},
      {"mse", Target::Values, 3,
       [](const Tensor& x, const Tensor& t) { return nn::mse_loss(x, t); }},
      {"smooth_l1", Target::Values, 3,
       [](const Tensor& x, const Tensor& t) { return nn::smooth_l1_loss(x, t); }},
      {"kl_div", Target::Distribution, 3,
       [](const Tensor& x, const Tensor& t) {
         return nn::kl_div(x, t, {.reduction = nn::Reduction::BatchMean});
       }},
      {"log_softmax", Target::Upstream, 5,
       [](const Tensor& x, const Tensor&) { return log_softmax(x, 1); }},
      {"sigmoid", Target::Upstream, 5, [](const Tensor& x, const Tensor&) { return sigmoid(x); }},
  };
}

struct Data {
  Tensor x, t;
};

Data make_data(const Bench& bench, const Loss& loss, int64_t rows, int64_t columns) {
  const NoGrad no_grad;
  Data data{randn({rows, columns}, bench.on_device()), {}};
  if (loss.target == Target::Classes) {
    data.t =
        (rand({rows}) * static_cast<double>(columns)).to(DType::I64).to(bench.options().device);
  } else if (loss.target == Target::Values) {
    data.t = rand({rows, columns}, bench.on_device());
  } else if (loss.target == Target::Distribution) {
    data.x = log_softmax(data.x, 1);
    data.t = softmax(randn({rows, columns}, bench.on_device()), 1);
  } else {
    data.t = randn({rows, columns}, bench.on_device());
  }
  data.x.requires_grad_();
  return data;
}

void step(const Loss& loss, Data& data) {
  data.x.set_grad({});
  const Tensor result = loss.forward(data.x, data.t);
  if (loss.target == Target::Upstream) {
    result.backward(data.t);
  } else {
    result.backward();
  }
}

void run_loss(const Bench& bench, const Loss& loss, int64_t rows, int64_t columns) {
  const double elements = static_cast<double>(rows * columns);
  const double bytes =
      4 * loss.tensors * elements + (loss.target == Target::Classes ? 8.0 * rows : 0.0);
  const Row row{"loss", loss.name + "_" + std::to_string(rows) + "x" + std::to_string(columns),
                "f32", 0, bytes};
  if (!bench.wanted(row)) return;
  // Inputs of more than a few MB alternate, so that none is in the cache. Smaller ones would be in
  // the cache in any program.
  const double turn = 512e6;
  const size_t sets = bench.options().once || bytes < 8e6
                          ? 1
                          : std::max<size_t>(1, static_cast<size_t>(turn / bytes));
  manual_seed(1);
  std::vector<Data> data;
  for (size_t i = 0; i < sets; ++i) data.push_back(make_data(bench, loss, rows, columns));
  size_t next = 0;
  bench.run(row, "eager", [&] { step(loss, data[next++ % sets]); });
  for (const Data& d : data) require_finite(row, d.x.grad());
  if (!bench.on_gpu()) return;

  std::vector<cuda::CapturedStep> captured;
  for (Data& d : data) captured.push_back(cuda::capture([&loss, &d] { step(loss, d); }));
  next = 0;
  for (size_t i = 0; i < 2 * sets; ++i)
    captured[i % sets]();  // records all graphs before the measurement
  bench.run(row, "captured", [&] { captured[next++ % sets](); });
  for (const Data& d : data) require_finite(row, d.x.grad());
}

}  // namespace

void run_losses(const Bench& bench) {
  using Shape2 = std::pair<int64_t, int64_t>;
  std::vector<Shape2> shapes = {{128, 10}, {4096, 1000}, {16384, 4096}, {256, 50257}};
  if (bench.options().quick) shapes = {{128, 10}, {64, 33}};
  for (const Loss& loss : losses()) {
    for (const auto& [rows, columns] : shapes) run_loss(bench, loss, rows, columns);
  }
}

}  // namespace ebb::gpu_bench
