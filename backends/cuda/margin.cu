// multi_margin_loss and multilabel_margin_loss: hinges between the labels of a row and its other
// classes.
//
// Layout: input (N, C), contiguous. A block computes a row, and each thread some of its classes. It
// first compares each class with all labels, and then each label with all classes, reading the row
// from the cache. An index out of range, which check_indices has noted, gives NaN and accesses no
// memory. Traffic: the input is read once, the gradient and one byte per class are written once.
#include "ebb/backends/cuda/block.h"
#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/operands.h"

namespace ebb::cuda {
namespace {

constexpr int kRowThreads = 128;

template <class T> struct Problem {
  const T* input;
  const T* weight;    // (C), or null
  const T* upstream;  // (N)
  T* losses;          // or null
  T* gradient;        // or null
  uint8_t* open;      // (N, C), with a gradient: 1 if a class is not a label
  const void* target;
  int64_t rows, classes, labels;  // labels: the largest number per row
  double margin;
  int p;
  bool many, wide_target;  // many: labels up to the first -1; wide_target: i64, else u8

  __device__ int64_t label(int64_t row, int64_t k) const {
    const int64_t at = row * labels + k;
    return wide_target ? static_cast<const int64_t*>(target)[at]
                       : static_cast<const uint8_t*>(target)[at];
  }
  __device__ double weight_of(int64_t c) const {
    return weight ? static_cast<double>(weight[c]) : 1;
  }
  __device__ double lead(const T* x, int64_t i, int64_t k) const {
    return (static_cast<double>(x[i]) - static_cast<double>(x[k])) + margin;
  }
  __device__ double hinge(double z) const { return p == 1 ? relu(z) : relu(z) * relu(z); }
  __device__ double slope(double z) const { return p == 1 ? (z > 0 ? 1.0 : 0.0) : 2 * relu(z); }
};

template <class T> __global__ void __launch_bounds__(kRowThreads) margin_kernel(Problem<T> p) {
  for (int64_t row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* x = p.input + row * p.classes;
    T* gradient = p.gradient ? p.gradient + row * p.classes : nullptr;
    int64_t count = 0;
    bool valid = true;
    while (count < p.labels && !(p.many && p.label(row, count) == -1)) {
      const int64_t t = p.label(row, count++);
      valid = valid && t >= 0 && t < p.classes;
    }
    const auto classes = static_cast<double>(p.classes);
    const double factor = p.upstream ? static_cast<double>(p.upstream[row]) / classes : 0;
    double loss = valid ? 0 : std::numeric_limits<double>::quiet_NaN();
    for (int64_t i = threadIdx.x; i < p.classes; i += blockDim.x) {
      bool open = true;
      double pull = 0;
      if (!(x[i] == x[i])) loss += static_cast<double>(x[i]);
      for (int64_t k = 0; k < count; ++k) open = open && p.label(row, k) != i;
      for (int64_t k = 0; k < count && open && valid; ++k) {
        const int64_t t = p.label(row, k);
        const double z = p.lead(x, i, t);
        loss += p.weight_of(t) * p.hinge(z);
        pull += p.weight_of(t) * p.slope(z);
      }
      if (!gradient) continue;
      gradient[i] = valid ? static_cast<T>(factor * pull) : std::numeric_limits<T>::quiet_NaN();
      p.open[row * p.classes + i] = open;
    }
    loss = block_join<AddUp>(loss);
    if (p.losses && threadIdx.x == 0) p.losses[row] = static_cast<T>(loss / classes);
    if (!gradient || !valid) continue;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t t = p.label(row, k);
      double pull = 0;
      for (int64_t i = threadIdx.x; i < p.classes; i += blockDim.x) {
        // This thread wrote the mark that it reads.
        if (p.open[row * p.classes + i]) pull += p.slope(p.lead(x, i, t));
      }
      pull = block_join<AddUp>(pull);
      if (threadIdx.x == 0) gradient[t] -= static_cast<T>(factor * p.weight_of(t) * pull);
    }
  }
}

template <class T> void run(const MarginArgs& args) {
  Problem<T> p{.input = data_of<T>(args.input),
               .weight = data_of<T>(args.weight),
               .upstream = data_of<T>(args.upstream),
               .losses = data_of<T>(args.losses),
               .gradient = data_of<T>(args.gradient),
               .open = nullptr,
               .target = args.target->raw(),
               .rows = args.input->shape()[0],
               .classes = args.input->shape()[1],
               .labels = args.target->dim() == 2 ? args.input->shape()[1] : 1,
               .margin = args.margin,
               .p = args.p,
               .many = args.target->dim() == 2,
               .wide_target = args.target->dtype() == DType::I64};
  if (p.rows == 0) return;
  Tensor open;
  if (p.gradient) {
    open = empty(args.input->shape(), {.dtype = DType::U8, .device = Device::cuda()});
    p.open = data_of<uint8_t>(&open);
  }
  launch(margin_kernel<T>, grid_for(p.rows, 1), kRowThreads, p);
}

}  // namespace

void margin(const MarginArgs& args) {
  dispatch_floating(args.input->dtype(), [&]<class T>(T) { run<T>(args); });
}

}  // namespace ebb::cuda
