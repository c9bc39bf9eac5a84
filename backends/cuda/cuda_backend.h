// The GPU backend: cuBLASLt for large products, Ebb's own kernels for everything else.
#pragma once

#include "ebb/core/backend.h"

namespace ebb::cuda {

// One function per family, defined in the file with its name. core/backend.h documents them.
Tensor upload(const Tensor& host);
void receive(const Tensor& uploaded);
void fill(Tensor& out, Scalar value);
void copy(Tensor& out, const Tensor& in);
void pointwise(const PointwiseCall& call);
void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal, bool upper);
void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows);
void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows);
void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
          bool reverse);
void sort(Tensor& values, Tensor& places, const Tensor& in, RowsShape rows, int64_t k,
          bool descending);
Tensor nonzero(const Tensor& condition);
void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values);
void matmul(const MatmulArgs& args);
void matmul_both(const MatmulArgs& first, const MatmulArgs& second);
ConvolutionKernels& convolution();
void softmax(bool log, Tensor& out, const Tensor& in, RowsShape rows);
void softmax_backward(bool log, Tensor& out, const Tensor& y, const Tensor& g, RowsShape rows);
void cross_entropy(const CrossEntropyArgs& args);
void margin(const MarginArgs& args);
void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index);
void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src);
void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                   std::optional<int64_t> ignored);
void check_values(std::string_view op, const Tensor& values, const ValueRule& rule);
void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a, double b);
NormalizationKernels& normalization();
PoolingKernels& pooling();
RecurrentKernels& recurrent();
ResamplingKernels& resampling();
void optimizer_step(OptimizerStep& step);
void sum_of_squares(Tensor& out, std::span<const Tensor* const> in);

/// Returns the object behind core/backend.h's backend(Device::cuda()). Throws Error if there is no
/// device.
Backend& backend();

// Functions that enter the kernels of Ebb's own formulas. They are defined in the folders of the
// formulas, and backends/registry.cpp calls each once.
void enter_arithmetic();
void enter_elementary();
void enter_trigonometry();
void enter_activations();
void enter_more_activations();
void enter_recurrent_gates();
void enter_regression_losses();
void enter_optimizer_rules();
void enter_label_losses();

}  // namespace ebb::cuda
