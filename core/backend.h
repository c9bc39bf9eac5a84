// The interface that a device implements: everything that computes on elements, by family.
//
// A backend knows nothing of the graph. Arguments are checked by the ops before they get here: shapes fit, dtypes
// and devices agree, outputs are fresh and contiguous unless said otherwise. A family that a backend lacks does not
// compile; there are no stubs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "ebb/core/pointwise.h"
#include "ebb/core/random.h"
#include "ebb/core/tensor.h"

namespace ebb {

/// What a row of elements is reduced to. SquaredDeviations: the sum of (x - mean)^2. u8 and bool have Max and Min alone, i64
/// also Sum and Product.
enum class ReduceKind : uint8_t {
  Sum,
  Max,
  Min,
  LogSumExp,
  Product,
  SumOfSquares,
  SquaredDeviations
};

/// What scan() computes at i from what it has at i - 1: out + x, out x, or x out + b (b alone at the first element).
enum class ScanKind : uint8_t { Sum, Product, Recurrence };

/// out = a b, batched: a (batch, m, k), b (batch, k, n), out (batch, m, n) contiguous; any strides in a and b.
struct MatmulArgs {
  const Tensor* a;
  const Tensor* b;
  const Tensor* bias = nullptr;  ///< (n) contiguous, or null
  bool relu = false;             ///< after the bias
  Tensor* out;
  Tensor* a_sum =
      nullptr;  ///< (m): the sums of a's rows where wanted (the gradient of a bias); batch 1, no bias, no relu
  // What a device may make in passing. What it does not make stays undefined.
  Tensor* relu_mask =
      nullptr;  ///< with relu: where out is not 0, in a form of the device's own, for `zero_mask`; batch 1
  Tensor* gelu = nullptr;  ///< without relu: gelu(out), its tanh form; batch 1
  const Tensor* zero_mask =
      nullptr;  ///< the relu_mask of another product: out is 0 where that one's was; no bias, no relu
};

/// Softmax and its kin over the middle axis of a contiguous (outer, n, inner).
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
  bool mean = false;  ///< losses and gradient are divided by the sum of selected weights
  const Tensor* upstream = nullptr;  ///< (N, inner): the gradient of each loss, or null for 1
  Tensor* losses = nullptr;          ///< (N, inner), or null
  Tensor* total = nullptr;           ///< 0-d sum (or mean), or null
  Tensor* gradient = nullptr;        ///< of the input's shape: d(total)/d(input), or null
};

/// How far the other classes of a row come up to its labels, each within `margin`; all contiguous, sums in f64:
/// loss_n = 1 / C sum over labels k, and classes i that are none, of w_k max(0, margin - x_k + x_i)^p; NaN where a
/// score is. A label named twice counts twice.
struct MarginArgs {
  const Tensor* input;   ///< (N, C)
  const Tensor* target;  ///< (N): one label; or (N, C): labels up to the first -1; i64 or u8
  const Tensor* weight = nullptr;  ///< (C), or null
  double margin = 1;
  int p = 1;                         ///< 1 or 2
  const Tensor* upstream = nullptr;  ///< (N): the gradient of each loss, where `gradient` is wanted
  Tensor* losses = nullptr;          ///< (N), or null
  Tensor* gradient = nullptr;        ///< of the input's shape, or null
};

/// Which update an optimizer step makes, with torch's formulas (nn/optim/optimizer.h documents them).
struct OptimizerStep {
  enum class Kind : uint8_t { SGD, Adam, AdamW } kind = Kind::SGD;
  double lr = 0, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;
  double beta1 = 0, beta2 = 0, eps = 0;
  int64_t step = 0;  ///< 1 at the first step
  /// Parallel lists. SGD: first = momentum buffer (empty list without momentum). Adam: first, second = moments.
  std::span<Tensor> params, grads, first, second;
};

/// What every element of a tensor must obey: low <= x <= high; NaN does not, unless allowed.
struct ValueRule {
  double low, high;
  std::string_view text;  ///< the text of the rule for messages; of static storage
  bool allows_nan = false;
};

/// What elements of dtype `from` must obey so that `to` can hold them (see Tensor::to); nothing where it holds all.
std::optional<ValueRule> conversion_rule(DType from, DType to);

class ConvolutionKernels;    // core/convolution.h
class NormalizationKernels;  // core/normalization.h
class PoolingKernels;        // core/pooling.h
class ResamplingKernels;     // core/resampling.h

class Backend {
 public:
  virtual ~Backend() = default;

  // memory
  virtual void* allocate(size_t bytes) = 0;
  virtual void deallocate(void* data, size_t bytes) noexcept = 0;
  /// Plain bytes between the host and this device, or within it.
  virtual void copy_bytes(void* to, Device to_device, const void* from, Device from_device,
                          size_t bytes) = 0;
  virtual void synchronize() = 0;
  /// Starts to copy a contiguous tensor of the host to this device, beside the work that goes on there: what a loader's
  /// thread does. The thread that works with the copy calls receive() before it does.
  virtual Tensor upload(const Tensor& host) = 0;
  virtual void receive(const Tensor& uploaded) = 0;

  // element-wise
  virtual void fill(Tensor& out, Scalar value) = 0;  ///< any strides; value is exact in out's dtype
  /// Any strides; broadcasts, and converts by the rule of Tensor::to(DType): throws Error before anything is written, on
  /// an accelerator at the next synchronisation.
  virtual void copy(Tensor& out, const Tensor& in) = 0;
  virtual void pointwise(const PointwiseCall& call) = 0;

  // reductions over the middle axis of a contiguous (outer, n, inner) into (outer, inner)
  virtual void reduce(ReduceKind kind, Tensor& out, const Tensor& in, RowsShape rows) = 0;
  virtual void arg_reduce(ReduceKind kind, Tensor& index, const Tensor& in, RowsShape rows) = 0;

  /// Running sums, products and recurrences along the middle axis of x, f32, f64 or i64 (no recurrence); b is null but
  /// for recurrences. reverse: from the last element to the first.
  virtual void scan(ScanKind kind, Tensor& out, const Tensor& x, const Tensor* b, RowsShape rows,
                    bool reverse) = 0;
  /// The first k elements of a stable order along the middle axis, and their places; NaN counts as the largest, and
  /// 0 equals -0. values and places are (outer, k, inner).
  virtual void sort(Tensor& values, Tensor& places, const Tensor& in, RowsShape rows, int64_t k,
                    bool descending) = 0;
  /// Returns the places (n) of the elements of a contiguous bool tensor that are true, in order. Waits for the device.
  virtual Tensor nonzero(const Tensor& condition) = 0;
  /// index[..., i] = the place of the first element of sorted[..., :] above values[..., i]; f64, contiguous.
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
  /// From the output y: softmax: y (g - sum g y); log: g - exp(y) sum g.
  virtual void softmax_backward(bool log, Tensor& out, const Tensor& y, const Tensor& g,
                                RowsShape rows) = 0;
  virtual void cross_entropy(const CrossEntropyArgs& args) = 0;
  virtual void margin(const MarginArgs& args) = 0;

  // indexing; index is i64 and has been range-checked where the device allows it at the call
  /// out[..., i, ...] = in[..., index[..., i, ...], ...] along dim, torch.gather.
  virtual void gather(Tensor& out, const Tensor& in, int dim, const Tensor& index) = 0;
  /// out[..., index[..., i, ...], ...] += src[..., i, ...] along dim; deterministic.
  virtual void scatter_add(Tensor& out, int dim, const Tensor& index, const Tensor& src) = 0;
  /// Throws Error naming op (of static storage) when an index is outside [0, limit) and not `ignored`; on an accelerator
  /// at the next synchronisation: kernels that take such an index write NaN for it.
  virtual void check_indices(std::string_view op, const Tensor& index, int64_t limit,
                             std::optional<int64_t> ignored) = 0;

  /// Throws Error naming op and the rule when an element breaks it; on an accelerator at the next synchronisation.
  virtual void check_values(std::string_view op, const Tensor& values, const ValueRule& rule) = 0;

  // random numbers: element i is a function of (seed, offset + i)
  virtual void random(Distribution kind, Tensor& out, uint64_t seed, uint64_t offset, double a,
                      double b) = 0;

  // Families with an interface of their own. The objects live as long as the backend.
  virtual NormalizationKernels& normalization() = 0;
  virtual PoolingKernels& pooling() = 0;
  virtual ResamplingKernels& resampling() = 0;

  // training
  /// One pass over all parameters. A captured step (backends/cuda/capture.h) reads lr and counts `step` in the object
  /// that it was given, which has to live as long.
  virtual void optimizer_step(OptimizerStep& step) = 0;
};

/// The backend of a device. Throws Error when it is not built in or the device is absent.
Backend& backend(Device device);

}  // namespace ebb
