// The batches of a data loader, and the sums of a training.
//
// One thread gathers a batch, because the thread of a loader runs while the others train. Traffic:
// one read and one write; one read of the scores.
#include "ebb/core/training.h"

#include <cstring>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/training.h"
#include "ebb/core/scalar.h"

namespace ebb::cpu {
namespace {

void copy_rows(Tensor& out, const Tensor& source, std::span<const int64_t> rows) {
  const size_t bytes = static_cast<size_t>(out.numel()) / rows.size() * size_of(source.dtype());
  const std::byte* from = source.raw();
  std::byte* to = out.raw();
  for (int64_t row : rows) {
    std::memcpy(to, from + static_cast<size_t>(row) * bytes, bytes);
    to += bytes;
  }
}

// Converts pictures of u8 to [0, 1].
void scale_rows(Tensor& out, const Tensor& source, std::span<const int64_t> rows) {
  const size_t n = static_cast<size_t>(out.numel()) / rows.size();
  const auto* pixels = reinterpret_cast<const uint8_t*>(source.raw());
  auto* to = reinterpret_cast<float*>(out.raw());
  for (int64_t row : rows) {
    const uint8_t* from = pixels + static_cast<size_t>(row) * n;
    for (size_t i = 0; i < n; ++i) to[i] = static_cast<float>(from[i]) / 255.0f;
    to += n;
  }
}

template <class T> T& element(Tensor& tensor) { return *reinterpret_cast<T*>(tensor.raw()); }

int64_t count_correct(const Tensor& scores, const Tensor& target) {
  const int64_t rows = scores.size(0);
  if (rows == 0) return 0;
  Tensor largest = empty({rows}, {.dtype = DType::I64});
  arg_reduce(ReduceKind::Max, largest, scores, {rows, scores.size(1), 1});
  const auto* answers = reinterpret_cast<const int64_t*>(largest.raw());
  int64_t correct = 0;
  dispatch_all(target.dtype(), [&]<class T>(T) {
    const auto* wanted = reinterpret_cast<const T*>(target.raw());
    for (int64_t i = 0; i < rows; ++i) correct += answers[i] == static_cast<int64_t>(wanted[i]);
  });
  return correct;
}

class Kernels final : public TrainingKernels {
 public:
  void take_rows(std::span<const RowsTaken> tensors, const Tensor& order,
                 const int64_t* position) override {
    const auto* numbers = reinterpret_cast<const int64_t*>(order.raw()) + *position;
    for (const auto& [source, out] : tensors) {
      if (out->numel() == 0) continue;
      const std::span rows(numbers, static_cast<size_t>(out->size(0)));
      (out->dtype() == source->dtype() ? copy_rows : scale_rows)(*out, *source, rows);
    }
  }

  void add_figures(const FiguresArgs& args) override {
    if (args.loss) {
      dispatch_floating(args.loss->dtype(), [&]<class T>(T) {
        const auto loss = static_cast<double>(*reinterpret_cast<const T*>(args.loss->raw()));
        element<double>(*args.loss_sum) += args.samples * loss;
      });
    }
    if (args.scores) {
      element<double>(*args.correct) +=
          static_cast<double>(count_correct(*args.scores, *args.target));
    }
  }
};

}  // namespace

TrainingKernels& training() {
  static Kernels instance;
  return instance;
}

}  // namespace ebb::cpu
