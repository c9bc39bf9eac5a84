// unfold takes each tap of the kernel as a strided slice of the padded images; fold puts the slices
// back.
#include "ebb/autograd/ops/unfold.h"

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"

namespace ebb {
namespace {

Shape both_dims(std::string_view op, const char* option, const Shape& numbers, int64_t least) {
  if (numbers.dim() != 1 && numbers.dim() != 2)
    fail(op, "expected ", option, " as one number or 2 numbers, got ", numbers);
  const Shape both{numbers[0], numbers[numbers.dim() - 1]};
  if (both[0] < least || both[1] < least)
    fail(op, "expected ", option, " of at least ", least, ", got ", numbers);
  return both;
}

// The windows of images of one size.
struct Windows {
  Windows(std::string_view op, const Shape& image, const Shape& kernel_size,
          const UnfoldOptions& options)
      : size(image),
        kernel(both_dims(op, "kernel_size", kernel_size, 1)),
        dilation(both_dims(op, "dilation", options.dilation, 1)),
        padding(both_dims(op, "padding", options.padding, 0)),
        stride(both_dims(op, "stride", options.stride, 1)),
        padded{0, 0},
        count{0, 0} {
    for (int i = 0; i < 2; ++i) {
      const int64_t extent = checked_add(op, checked_mul(op, dilation[i], kernel[i] - 1), 1);
      padded[i] = checked_add(op, size[i], checked_mul(op, 2, padding[i]));
      if (extent > padded[i]) {
        fail(op, "kernel_size ", kernel, " with dilation ", dilation,
             " is larger than the padded image of ", size, " with padding ", padding);
      }
      count[i] = (padded[i] - extent) / stride[i] + 1;
    }
    taps = checked_mul(op, kernel[0], kernel[1]);
    columns = checked_mul(op, count[0], count[1]);
  }

  // The first element that tap k of the kernel reads along dim i, and the one behind the last.
  int64_t first(int i, int64_t k) const { return k * dilation[i]; }
  int64_t behind(int i, int64_t k) const { return first(i, k) + (count[i] - 1) * stride[i] + 1; }

  Shape size, kernel, dilation, padding, stride, padded, count;
  int64_t taps = 0, columns = 0;  // the products of kernel and count
};

}  // namespace

Tensor unfold(const TensorArg& x, const Shape& kernel_size, const UnfoldOptions& options) {
  const CompositeScope scope(x);
  check_defined("unfold", x);
  check_floating("unfold", x);
  if (x->dim() != 3 && x->dim() != 4)
    fail("unfold", "expected x (N, C, H, W) or (C, H, W), got ", x->shape());
  const Tensor images = x->dim() == 3 ? unsqueeze(x, 0) : *x;
  const Windows w("unfold", {images.size(2), images.size(3)}, kernel_size, options);
  const Tensor padded = w.padding == Shape{0, 0}
                            ? images
                            : pad(images, {w.padding[1], w.padding[1], w.padding[0], w.padding[0]});
  std::vector<Tensor> taps;
  for (int64_t p = 0; p < w.kernel[0]; ++p) {
    const Tensor rows = slice(padded, 2, w.first(0, p), w.behind(0, p), w.stride[0]);
    for (int64_t q = 0; q < w.kernel[1]; ++q)
      taps.push_back(slice(rows, 3, w.first(1, q), w.behind(1, q), w.stride[1]));
  }
  const Tensor columns =
      reshape(stack(taps, 2), {images.size(0), images.size(1) * w.taps, w.columns});
  return x->dim() == 3 ? squeeze(columns, 0) : columns;
}

Tensor fold(const TensorArg& x, const Shape& output_size, const Shape& kernel_size,
            const UnfoldOptions& options) {
  const CompositeScope scope(x);
  check_defined("fold", x);
  check_floating("fold", x);
  if (x->dim() != 2 && x->dim() != 3)
    fail("fold", "expected x (N, C kh kw, L) or (C kh kw, L), got ", x->shape());
  const Windows w("fold", both_dims("fold", "output_size", output_size, 1), kernel_size, options);
  const int64_t rows = x->size(-2), length = x->size(-1);
  if (rows < 1 || rows % w.taps != 0 || length != w.columns) {
    fail("fold", "x ", x->shape(), " does not fit: expected a multiple of ", w.taps, " rows and ",
         w.columns, " columns");
  }
  const int64_t images = x->dim() == 2 ? 1 : x->size(0), channels = rows / w.taps;
  const Tensor taps = reshape(x, {images, channels, w.taps, w.count[0], w.count[1]});
  Tensor sum;
  for (int64_t p = 0; p < w.kernel[0]; ++p) {
    Tensor row;
    for (int64_t q = 0; q < w.kernel[1]; ++q) {
      const Tensor put =
          slice_scatter(select(taps, 2, p * w.kernel[1] + q),
                        {images, channels, w.count[0], w.padded[1]}, 3, w.first(1, q), w.stride[1]);
      row = row.defined() ? add(row, put) : put;
    }
    const Tensor put = slice_scatter(row, {images, channels, w.padded[0], w.padded[1]}, 2,
                                     w.first(0, p), w.stride[0]);
    sum = sum.defined() ? add(sum, put) : put;
  }
  Tensor out = sum;
  for (int i = 0; i < 2; ++i) {
    if (w.padding[i] > 0) out = narrow(out, 2 + i, w.padding[i], w.size[i]);
  }
  return x->dim() == 2 ? squeeze(out, 0) : out;
}

}  // namespace ebb
