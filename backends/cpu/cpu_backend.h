// The CPU backend: oneDNN and Ebb's own GEMM for products, vectorized loops for everything else.
#pragma once

#include "ebb/core/backend.h"

namespace ebb::cpu {

// One function per family, defined in the file with its name. core/backend.h documents them.
void fill(Tensor& out, Scalar value);
void copy(Tensor& out, const Tensor& in);
void pointwise(const PointwiseCall& call);
void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal, bool upper);
void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows);
void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows);
void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
          bool reverse);
void sort(Tensor& values, Tensor& positions, const Tensor& in, RowsShape rows, int64_t k,
          bool descending);
Tensor nonzero(const Tensor& condition);
void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values);
void matmul(const MatmulArgs& args);
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
void optimizer_step(const OptimizerStep& step);
void sum_of_squares(Tensor& out, std::span<const Tensor* const> in);

NormalizationKernels& normalization();
PoolingKernels& pooling();
RecurrentKernels& recurrent();
ResamplingKernels& resampling();

/// Returns the object behind core/backend.h's backend(Device::cpu()).
Backend& backend();

}  // namespace ebb::cpu
