#include "ebb/backends/cuda/training.h"

namespace ebb::cuda {
namespace {

class Kernels final : public TrainingKernels {
 public:
  void take_rows(std::span<const RowsTaken> tensors, const Tensor& order,
                 const int64_t* position) override {
    cuda::take_rows(tensors, order, position);
  }
  void add_figures(const FiguresArgs& args) override { cuda::add_figures(args); }
};

}  // namespace

TrainingKernels& training() {
  static Kernels instance;
  return instance;
}

}  // namespace ebb::cuda
