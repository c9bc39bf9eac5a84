#include "ebb/backends/cpu/cpu_backend.h"

#include <cstring>

#include "ebb/core/memory.h"

namespace ebb::cpu {
namespace {

class CpuBackend final : public Backend {
 public:
  void* allocate(size_t bytes) override { return memory::allocate(bytes); }
  void deallocate(void*, size_t) noexcept override {
  }  // Storage frees host memory itself, together with its header
  void copy_bytes(void* to, Device, const void* from, Device, size_t bytes) override {
    if (bytes) std::memcpy(to, from, bytes);
  }
  void synchronize() override {}
  Tensor upload(const Tensor& host) override { return host; }
  void receive(const Tensor&) override {}
  void fill(Tensor& out, Scalar value) override { cpu::fill(out, value); }
  void copy(Tensor& out, const Tensor& in) override { cpu::copy(out, in); }
  void pointwise(const PointwiseCall& call) override { cpu::pointwise(call); }
  void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal,
                bool upper) override {
    cpu::triangle(out, in, matrices, diagonal, upper);
  }
  void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) override {
    cpu::reduce(kind, out, in, rows);
  }
  void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) override {
    cpu::arg_reduce(kind, index, in, rows);
  }
  void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
            bool reverse) override {
    cpu::scan(kind, out, x, b, rows, reverse);
  }
  void sort(Tensor& values, Tensor& positions, const Tensor& in, RowsShape rows, int64_t k,
            bool descending) override {
    cpu::sort(values, positions, in, rows, k, descending);
  }
  Tensor nonzero(const Tensor& condition) override { return cpu::nonzero(condition); }
  void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values) override {
    cpu::search_sorted(index, sorted, values);
  }
  void matmul(const MatmulArgs& args) override { cpu::matmul(args); }
  ConvolutionKernels& convolution() override { return cpu::convolution(); }
  void softmax(bool log, Tensor& out, const Tensor& in, RowsShape rows) override {
    cpu::softmax(log, out, in, rows);
  }
  void softmax_backward(bool log, Tensor& out, const Tensor& y, const Tensor& g,
                        RowsShape rows) override {
    cpu::softmax_backward(log, out, y, g, rows);
  }
  void cross_entropy(const CrossEntropyArgs& args) override { cpu::cross_entropy(args); }
  void margin(const MarginArgs& args) override { cpu::margin(args); }
  void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) override {
    cpu::gather(out, in, dim, index);
  }
  void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) override {
    cpu::scatter_add(out, dim, index, src);
  }
  void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                     std::optional<int64_t> ignored) override {
    cpu::check_indices(op, index, limit, ignored);
  }
  void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) override {
    cpu::check_values(op, values, rule);
  }
  void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a,
              double b) override {
    cpu::random(kind, out, seed, offset, a, b);
  }
  NormalizationKernels& normalization() override { return cpu::normalization(); }
  PoolingKernels& pooling() override { return cpu::pooling(); }
  RecurrentKernels& recurrent() override { return cpu::recurrent(); }
  ResamplingKernels& resampling() override { return cpu::resampling(); }
  void optimizer_step(OptimizerStep& step) override { cpu::optimizer_step(step); }
  void sum_of_squares(Tensor& out, std::span<const Tensor* const> in) override {
    cpu::sum_of_squares(out, in);
  }
};

}  // namespace

Backend& backend() {
  static CpuBackend instance;
  return instance;
}

}  // namespace ebb::cpu
