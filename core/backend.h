// The interface that a device implements: everything that computes on elements, by family.
//
// A backend knows nothing about the graph. Ops check all arguments before they call it: shapes fit,
// dtypes and devices agree, and outputs are new and contiguous unless stated otherwise. All
// functions are pure virtual, so a backend that lacks one does not compile.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ebb/core/pointwise.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// The value that a row of elements is reduced to. SquaredDeviations is the sum of (x - mean)^2. u8
/// and bool support only Max and Min, i64 also Sum and Product.
enum class ReduceKind : uint8_t {
  Sum,
  Max,
  Min,
  LogSumExp,
  Product,
  SumOfSquares,
  SquaredDeviations
};

/// The value that scan() computes at i from its result `out` at i - 1: out + x, out x, or x out +
/// b. A recurrence starts with b at the first element.
enum class ScanKind : uint8_t { Sum, Product, Recurrence };

/// A batch of products out = a b: a (batch, m, k) and b (batch, k, n) with any strides, out (batch,
/// m, n) contiguous.
struct MatmulArgs {
  const Tensor* a;
  const Tensor* b;
  const Tensor* bias = nullptr;  ///< (n) contiguous, or null
  bool relu = false;             ///< after the bias
  Tensor* out;
  /// (m): receives the sums of the rows of a, if not null (the gradient of a bias). Batch 1, no
  /// bias, no relu.
  Tensor* a_sum = nullptr;

  // Results that a device may compute in the same kernel. It leaves those that it does not compute
  // undefined.

  /// With relu: receives a mask of the elements of out that are not 0, in the format of the device,
  /// for `zero_mask`. Batch 1.
  Tensor* relu_mask = nullptr;
  /// Without relu: receives gelu(out) in its tanh form. Batch 1.
  Tensor* gelu = nullptr;
  /// The relu_mask of another product. out becomes 0 where the result of that product was 0. No
  /// bias, no relu.
  const Tensor* zero_mask = nullptr;
};

/// A contiguous tensor (outer, n, inner), of which an op works along the middle axis.
struct RowsShape {
  int64_t outer, n, inner;
};

/// Cross-entropy over class indices: input (N, C) or (N, C, inner), target (N) or (N, inner) of i64
/// or u8; contiguous. Throws Error for an index out of range, as check_indices does, if losses or
/// their total are wanted. loss_i = -sum_c a_ic logp_ic, a_ic = (1 - smoothing) w_t [c = t] +
/// smoothing / C w_c; 0 where t = ignore_index.
struct CrossEntropyArgs {
  const Tensor* input;
  const Tensor* target;
  const Tensor* weight = nullptr;  ///< (C), or null
  int64_t ignore_index = -100;
  double label_smoothing = 0;
  bool mean = false;  ///< divides losses and gradient by the sum of the selected weights
  const Tensor* upstream = nullptr;  ///< (N, inner): the gradient of each loss, or null for 1
  Tensor* losses = nullptr;          ///< (N, inner), or null
  Tensor* total = nullptr;           ///< 0-d sum (or mean), or null
  Tensor* gradient = nullptr;        ///< with the shape of input: d(total)/d(input), or null
};

/// Multi-class margin loss, which penalizes every class that scores within `margin` of a label:
/// loss_n = 1 / C times the sum of w_k max(0, margin - x_k + x_i)^p over labels k and over classes
/// i that are not labels. A label that occurs twice counts twice. A NaN score gives NaN. All
/// tensors are contiguous, and sums are computed in f64.
struct MarginArgs {
  const Tensor* input;   ///< (N, C)
  const Tensor* target;  ///< i64 or u8; (N): one label, or (N, C): labels up to the first -1
  const Tensor* weight = nullptr;  ///< (C), or null
  double margin = 1;
  int p = 1;                         ///< 1 or 2
  const Tensor* upstream = nullptr;  ///< (N): the gradient of each loss, if `gradient` is not null
  Tensor* losses = nullptr;          ///< (N), or null
  Tensor* gradient = nullptr;        ///< with the shape of input, or null
};

/// A condition on every element of a tensor: low <= x <= high. NaN violates it, unless it is
/// allowed.
struct ValueRule {
  double low, high;
  std::string_view text;  ///< the rule in words, for messages; with static storage
  bool allows_nan = false;
};

/// Returns the condition under which dtype `to` can represent elements of dtype `from` (see
/// Tensor::to), or nothing if it can represent all of them.
std::optional<ValueRule> conversion_rule(DType from, DType to);

class ConvolutionKernels;    // core/convolution.h
class NormalizationKernels;  // core/normalization.h
class PoolingKernels;        // core/pooling.h
class RecurrentKernels;      // core/recurrent.h
class ResamplingKernels;     // core/resampling.h
struct OptimizerStep;        // core/optimizer_rule.h

class Backend {
 public:
  virtual ~Backend() = default;

  // memory
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* data, size_t bytes) noexcept = 0;
  /// Copies bytes between the host and this device, or within this device.
  virtual void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                          size_t bytes) = 0;
  virtual void synchronize() = 0;
  /// Starts to copy a contiguous tensor of the host to this device, while other work runs there.
  /// The thread of a data loader calls this. The thread that uses the copy calls receive() first.
  virtual Tensor upload(const Tensor& host) = 0;
  virtual void receive(const Tensor& uploaded) = 0;

  // element-wise
  /// Sets all elements of out, which can have any strides. The dtype of out represents value
  /// exactly.
  virtual void fill(Tensor& out, Scalar value) = 0;
  /// Copies elements between tensors of any strides. Broadcasts, and converts by the rule of
  /// Tensor::to(DType). Throws Error before it writes anything, or, on an accelerator, at the next
  /// synchronization.
  virtual void copy(Tensor& out, const Tensor& in) = 0;
  virtual void pointwise(const PointwiseCall& call) = 0;
  /// out = in where the column of a matrix is at most (upper: at least) its row + diagonal, else 0:
  /// in and out (outer, n rows, inner columns) contiguous, |diagonal| <= n + inner.
  virtual void triangle(Tensor& out, const Tensor& in, RowsShape matrices, int64_t diagonal,
                        bool upper) = 0;

  // reductions over the middle axis of a contiguous (outer, n, inner) into (outer, inner)
  virtual void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) = 0;
  virtual void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) = 0;

  /// Computes running sums, products or recurrences along the middle axis of x. x is f32, f64 or,
  /// except for recurrences, i64. b is null except for recurrences. If reverse is true, it starts
  /// at the last element.
  virtual void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
                    bool reverse) = 0;
  /// Computes the first k elements of a stable order along the middle axis, and their positions.
  /// NaN counts as the largest, and 0 equals -0. values and positions are (outer, k, inner).
  virtual void sort(Tensor& values, Tensor& positions, const Tensor& in, RowsShape rows, int64_t k,
                    bool descending) = 0;
  /// Returns the positions (n) of the true elements of a contiguous bool tensor, in order. Waits
  /// for the device.
  virtual Tensor nonzero(const Tensor& condition) = 0;
  /// Computes index[..., i], the position of the first element of sorted[..., :] above values[...,
  /// i]. f64, contiguous.
  virtual void search_sorted(Tensor& index, const Tensor& sorted, const Tensor& values) = 0;

  // products
  virtual void matmul(const MatmulArgs& args) = 0;
  /// Computes two independent products. A device may compute both at once.
  virtual void matmul_both(const MatmulArgs& first, const MatmulArgs& second) {
    matmul(first);
    matmul(second);
  }
  virtual ConvolutionKernels& convolution() = 0;

  // rows
  virtual void softmax(bool log, Tensor& out, const Tensor& in, RowsShape rows) = 0;
  /// Computes the gradient from the output y: y (g - sum g y), or g - exp(y) sum g for log_softmax.
  virtual void softmax_backward(bool log, Tensor& out, const Tensor& y, const Tensor& g,
                                RowsShape rows) = 0;
  virtual void cross_entropy(const CrossEntropyArgs& args) = 0;
  virtual void margin(const MarginArgs& args) = 0;

  // indexing; index is i64, and check_indices has been called for it
  /// Computes out[..., i, ...] = in[..., index[..., i, ...], ...] along dim, as torch.gather.
  virtual void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) = 0;
  /// Adds src[..., i, ...] to out[..., index[..., i, ...], ...] along dim, always in the same
  /// order.
  virtual void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) = 0;
  /// Throws Error that names op (a string with static storage) if an index is outside of [0, limit)
  /// and not `ignored`. An accelerator throws at the next synchronization, and its kernels write
  /// NaN for such an index.
  virtual void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                             std::optional<int64_t> ignored) = 0;

  /// Throws Error that names op and the rule if an element violates the rule. An accelerator throws
  /// at the next synchronization.
  virtual void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) = 0;

  // random numbers: element i is a function of (seed, offset + i)
  virtual void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a,
                      double b) = 0;

  // Families with an interface of their own. The objects live as long as the backend.
  virtual NormalizationKernels& normalization() = 0;
  virtual PoolingKernels& pooling() = 0;
  virtual RecurrentKernels& recurrent() = 0;
  virtual ResamplingKernels& resampling() = 0;

  // training
  /// Updates all parameters of the step in one pass. Throws Error if the rule has no kernels for
  /// this device.
  virtual void optimizer_step(OptimizerStep& step) = 0;
  /// Computes the sum of the squares of all elements of contiguous f32 and f64 tensors. out: 0-d,
  /// f64.
  virtual void sum_of_squares(Tensor& out, std::span<const Tensor* const> in) = 0;
};

/// Returns the backend of a device. Throws Error if the backend is not built in, or if the device
/// is absent.
Backend& backend(Device device);

}  // namespace ebb
