#include "ebb/backends/cuda/cuda_backend.h"

#include "ebb/backends/cuda/capture.h"
#include "ebb/backends/cuda/faults.h"
#include "ebb/backends/cuda/library.h"
#include "ebb/backends/cuda/memory.h"
#include "ebb/backends/cuda/products.h"
#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {
namespace {

class CudaBackend final : public Backend {
 public:
  CudaBackend() {  // creates objects that must not be created in a capture
    fault_note();
    load_cublas_lt();
    prepare_products();
  }

  void* allocate(size_t bytes) override { return cuda::allocate(bytes); }
  void deallocate(void* data, size_t bytes) noexcept override { cuda::deallocate(data, bytes); }

  // A copy to the device reads the bytes before it returns (pinned memory: when the stream reaches
  // the copy). A copy to the host waits.
  void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                  size_t bytes) override {
    if (bytes == 0) return;
    const bool to_host = to_device.type == DeviceType::CPU,
               from_host = from_device.type == DeviceType::CPU;
    const auto kind = to_host     ? cudaMemcpyDeviceToHost
                      : from_host ? cudaMemcpyHostToDevice
                                  : cudaMemcpyDeviceToDevice;
    if (to_host) refuse_in_capture("copy to the cpu");
    else if (from_host) from = captured_bytes(from, bytes);
    check(cudaMemcpyAsync(to, from, bytes, kind, context().stream), "copy");
    if (to_host) cuda::synchronize();
  }
  void synchronize() override { cuda::synchronize(); }
  Tensor upload(const Tensor& host) override { return cuda::upload(host); }
  void receive(const Tensor& uploaded) override { cuda::receive(uploaded); }
  void fill(Tensor& out, Scalar value) override { cuda::fill(out, value); }
  void copy(Tensor& out, const Tensor& in) override { cuda::copy(out, in); }
  void pointwise(const PointwiseCall& call) override { cuda::pointwise(call); }
  void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal,
                bool upper) override {
    cuda::triangle(out, in, matrices, diagonal, upper);
  }
  void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) override {
    cuda::reduce(kind, out, in, rows);
  }
  void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) override {
    cuda::arg_reduce(kind, index, in, rows);
  }
  void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
            bool reverse) override {
    cuda::scan(kind, out, x, b, rows, reverse);
  }
  void sort(Tensor& values, Tensor& places, const Tensor& in, RowsShape rows, int64_t k,
            bool descending) override {
    cuda::sort(values, places, in, rows, k, descending);
  }
  Tensor nonzero(const Tensor& condition) override { return cuda::nonzero(condition); }
  void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values) override {
    cuda::search_sorted(index, sorted, values);
  }
  void matmul(const MatmulArgs& args) override { cuda::matmul(args); }
  void matmul_both(const MatmulArgs& first, const MatmulArgs& second) override {
    cuda::matmul_both(first, second);
  }
  ConvolutionKernels& convolution() override { return cuda::convolution(); }
  void softmax(bool log, Tensor& out, const Tensor& in, RowsShape rows) override {
    cuda::softmax(log, out, in, rows);
  }
  void softmax_backward(bool log, Tensor& out, const Tensor& y, const Tensor& g,
                        RowsShape rows) override {
    cuda::softmax_backward(log, out, y, g, rows);
  }
  void cross_entropy(const CrossEntropyArgs& args) override { cuda::cross_entropy(args); }
  void margin(const MarginArgs& args) override { cuda::margin(args); }
  void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) override {
    cuda::gather(out, in, dim, index);
  }
  void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) override {
    cuda::scatter_add(out, dim, index, src);
  }
  void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                     std::optional<int64_t> ignored) override {
    cuda::check_indices(op, index, limit, ignored);
  }
  void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) override {
    cuda::check_values(op, values, rule);
  }
  void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a,
              double b) override {
    cuda::random(kind, out, seed, offset, a, b);
  }
  NormalizationKernels& normalization() override { return cuda::normalization(); }
  PoolingKernels& pooling() override { return cuda::pooling(); }
  RecurrentKernels& recurrent() override { return cuda::recurrent(); }
  ResamplingKernels& resampling() override { return cuda::resampling(); }
  void optimizer_step(OptimizerStep& step) override { cuda::optimizer_step(step); }
  void sum_of_squares(Tensor& out, std::span<const Tensor* const> in) override {
    cuda::sum_of_squares(out, in);
  }
};

}  // namespace

Backend& backend() {
  static CudaBackend instance;
  return instance;
}

}  // namespace ebb::cuda
