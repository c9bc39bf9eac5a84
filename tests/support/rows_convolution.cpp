// Rows of convolutions and their transposes.
#include "ebb/autograd/ops/convolution.h"

#include <algorithm>

#include "ebb/autograd/ops/unfold.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// The options of a call in two dims. Calls in one dim use the second number of each.
struct Options {
  int64_t stride[2] = {1, 1}, padding[2] = {0, 0}, dilation[2] = {1, 1}, output_padding[2] = {0, 0};
  int64_t groups = 1;
  bool same = false;
};

Shape last(const int64_t (&numbers)[2], int dims) {
  return dims == 1 ? Shape{numbers[1]} : Shape{numbers[0], numbers[1]};
}
ConvOptions conv_options(const Options& o, int dims) {
  return {last(o.stride, dims), o.same ? ConvPadding("same") : ConvPadding(last(o.padding, dims)),
          last(o.dilation, dims), o.groups};
}
ConvTransposeOptions transpose_options(const Options& o, int dims) {
  return {last(o.stride, dims), last(o.padding, dims), last(o.output_padding, dims), o.groups,
          last(o.dilation, dims)};
}

// Returns the array as (N, C, H, W).
Array flat(Array a, int dims) {
  if (a.shape.dim() == dims + 1) a.shape.insert(0, 1);
  if (dims == 1) a.shape.insert(2, 1);
  return a;
}
// Returns a result in the shape in which the op returns it.
Array unflat(Array a, int dims, bool one_sample) {
  if (dims == 1) a.shape.erase(2);
  if (one_sample) a.shape.erase(0);
  return a;
}

// Visits each element of y, x and w whose product is a term of the convolution.
template <class Visit>
void each_term(const Shape& x, const Shape& w, const Shape& y, const Options& o, Visit visit) {
  for (int64_t at = 0; at < y.numel(); ++at) {
    const Shape to = unravel(at, y);
    const int64_t group = to[1] / (y[1] / o.groups);
    for (int64_t c = 0; c < w[1]; ++c) {
      for (int64_t p = 0; p < w[2]; ++p) {
        for (int64_t q = 0; q < w[3]; ++q) {
          const int64_t i = to[2] * o.stride[0] - o.padding[0] + p * o.dilation[0],
                        j = to[3] * o.stride[1] - o.padding[1] + q * o.dilation[1];
          if (i < 0 || i >= x[2] || j < 0 || j >= x[3]) continue;
          visit(static_cast<size_t>(at),
                static_cast<size_t>(ravel({to[0], group * w[1] + c, i, j}, x)),
                static_cast<size_t>(ravel({to[1], c, p, q}, w)));
        }
      }
    }
  }
}

std::function<Arrays(const Arrays&)> conv_reference(Options o, int dims) {
  return [=](const Arrays& in) -> Arrays {
    const Array x = flat(in[0], dims), w = flat(in[1], dims);
    Options own = o;
    Shape shape{x.shape[0], w.shape[0]};
    for (int i = 0; i < 2; ++i) {
      const int64_t reach = o.dilation[i] * (w.shape[2 + i] - 1);
      if (o.same) own.padding[i] = reach / 2;
      const int64_t padded = o.same ? x.shape[2 + i] + reach : x.shape[2 + i] + 2 * o.padding[i];
      shape.push_back((padded - reach - 1) / o.stride[i] + 1);
    }
    Array y = make_array(shape, [&](const Shape& at) {
      return in.size() > 2 ? in[2].v[static_cast<size_t>(at[1])] : 0;
    });
    each_term(x.shape, w.shape, shape, own,
              [&](size_t to, size_t from, size_t tap) { y.v[to] += x.v[from] * w.v[tap]; });
    return {unflat(y, dims, in[0].shape.dim() == dims + 1)};
  };
}

std::function<Arrays(const Arrays&)> transpose_reference(Options o, int dims) {
  return [=](const Arrays& in) -> Arrays {
    const Array y = flat(in[0], dims), w = flat(in[1], dims);
    Shape shape{y.shape[0], w.shape[1] * o.groups};
    for (int i = 0; i < 2; ++i) {
      shape.push_back((y.shape[2 + i] - 1) * o.stride[i] - 2 * o.padding[i] +
                      o.dilation[i] * (w.shape[2 + i] - 1) + o.output_padding[i] + 1);
    }
    Array x = make_array(shape, [&](const Shape& at) {
      return in.size() > 2 ? in[2].v[static_cast<size_t>(at[1])] : 0;
    });
    each_term(shape, w.shape, y.shape, o,
              [&](size_t from, size_t to, size_t tap) { x.v[to] += y.v[from] * w.v[tap]; });
    return {unflat(x, dims, in[0].shape.dim() == dims + 1)};
  };
}

OpRow with_inputs(OpRow row, const Shape& x, const Shape& w, int64_t bias) {
  row.inputs = {input(x), input(w)};
  row.zero_third = {0, 1};
  if (bias > 0) {
    row.inputs.push_back(input({bias}));
    row.zero_second.push_back(2);
    row.zero_third.push_back(2);
  }
  row = Row(row).within_f32(3e-6).within_f64(1e-13);
  row.bitwise = true;
  return row;
}

OpRow conv_row(const std::string& name, const Shape& x, const Shape& w, bool bias, Options o = {}) {
  const int dims = w.dim() - 2;
  OpRow row =
      Row(name)
          .covers("convolution", "convolution_input", "convolution_weight")
          .calls([=](const Tensors& in) -> Tensors {
            const Tensor b = bias ? in[2] : Tensor();
            const ConvOptions options = conv_options(o, dims);
            return {dims == 1 ? conv1d(in[0], in[1], b, options)
                              : conv2d(in[0], in[1], b, options)};
          })
          .on()
          .expects(conv_reference(o, dims))
          .refuses(
              "channels",
              [] {
                conv2d(zeros({1, 3, 5, 5}), zeros({2, 4, 3, 3}));
              },
              "[conv2d] input with 3 channels does not fit weight (2, 4, 3, 3) with 1 group: "
              "expected 4 channels");
  return with_inputs(std::move(row), x, w, bias ? w[0] : 0);
}

OpRow transpose_row(const std::string& name, const Shape& x, const Shape& w, bool bias,
                    Options o = {}) {
  const int dims = w.dim() - 2;
  OpRow row = Row(name)
                  .covers("convolution_input", "convolution", "convolution_weight")
                  .calls([=](const Tensors& in) -> Tensors {
                    const Tensor b = bias ? in[2] : Tensor();
                    const ConvTransposeOptions options = transpose_options(o, dims);
                    return {dims == 1 ? conv_transpose1d(in[0], in[1], b, options)
                                      : conv_transpose2d(in[0], in[1], b, options)};
                  })
                  .on()
                  .expects(transpose_reference(o, dims))
                  .refuses(
                      "channels",
                      [] {
                        conv_transpose1d(zeros({1, 3, 5}), zeros({2, 4, 3}));
                      },
                      "[conv_transpose1d] input with 3 channels does not fit weight (2, 4, 3) with "
                      "1 group: "
                      "expected 2 channels");
  return with_inputs(std::move(row), x, w, bias ? w[1] * o.groups : 0);
}

std::vector<BadInput> bad_calls() {
  const auto refused = [](const std::string& what, const ConvOptions& options,
                          const std::string& message) {
    return BadInput{what,
                    [=] {
                      conv2d(zeros({1, 2, 3, 4}), zeros({2, 2, 3, 3}), {}, options);
                    },
                    message};
  };
  return {{"kernel",
           [] {
             conv2d(zeros({1, 1, 2, 4}), zeros({1, 1, 3, 3}));
           },
           "[conv2d] kernel of size (3, 3) is larger than the padded input of size (2, 4): input "
           "(1, 1, 2, 4)"},
          refused("gaps", {.dilation = 2},
                  "kernel of size (5, 5) is larger than the padded input of size (3, 4)"),
          refused("stride", {.stride = 0}, "expected stride of at least 1, got (0,)"),
          refused("list", {.stride = {1, 1, 1}},
                  "expected stride as one number or 2 numbers, got (1, 1, 1)"),
          refused("padding", {.padding = -1}, "expected padding of at least 0, got (-1,)"),
          refused("dilation", {.dilation = {1, 0}}, "expected dilation of at least 1, got (1, 0)"),
          refused("groups", {.groups = 0}, "expected at least 1 group, got 0"),
          {"odd groups",
           [] {
             conv2d(zeros({1, 2, 3, 3}), zeros({3, 1, 1, 1}), {}, {.groups = 2});
           },
           "expected the first size of weight (3, 1, 1, 1) to be a multiple of 2 groups"},
          refused("same", {.stride = 2, .padding = "same"},
                  "padding \"same\" needs stride 1, got (2, 2)"),
          {"text", [] { ConvPadding padding("full"); },
           "expected numbers, \"same\" or \"valid\", got \"full\""},
          {"bias",
           [] {
             conv2d(zeros({1, 1, 3, 3}), zeros({2, 1, 3, 3}), zeros({3}));
           },
           "bias (3,) does not fit weight (2, 1, 3, 3): expected (2,)"},
          {"dims",
           [] {
             conv2d(zeros({3, 3}), zeros({2, 1, 3, 3}));
           },
           "expected input of 4 dims, or 3 of one sample, got (3, 3)"},
          {"weight",
           [] {
             conv1d(zeros({1, 3, 3}), zeros({2, 3}));
           },
           "[conv1d] expected a weight of 3 dims, got (2, 3)"},
          {"nothing",
           [] {
             conv2d(zeros({1, 1, 0, 3}), zeros({2, 1, 1, 1}), {}, {.padding = 1});
           },
           "expected sizes of at least 1 after the channels"},
          {"integers",
           [] {
             conv2d(zeros({1, 1, 3, 3}, i64), zeros({2, 1, 3, 3}, i64));
           },
           "got i64"},
          {"dtypes",
           [] {
             conv2d(zeros({1, 1, 3, 3}), zeros({2, 1, 3, 3}, f64));
           },
           "dtypes differ"},
          {"undefined",
           [] {
             conv2d(zeros({1, 1, 3, 3}), Tensor());
           },
           "undefined tensor"},
          {"output_padding",
           [] {
             conv_transpose2d(zeros({1, 1, 3, 3}), zeros({1, 1, 3, 3}), {}, {.output_padding = 1});
           },
           "[conv_transpose2d] expected output_padding below stride or dilation, got (1, 1)"},
          {"small",
           [] {
             conv_transpose1d(zeros({1, 1, 1}), zeros({1, 1, 1}), {}, {.padding = 1});
           },
           "gives a result of size -1 along dim 2: expected at least 1"}};
}

// Calls visit(position in the images, position in the columns) for each element of a window that is
// inside of its image.
template <class Visit>
void each_window_element(const Shape& images, const Shape& kernel, const UnfoldOptions& o,
                         const Shape& count, Visit visit) {
  const Shape columns{images[0], images[1], kernel[0], kernel[1], count[0], count[1]};
  for (int64_t at = 0; at < columns.numel(); ++at) {
    const Shape c = unravel(at, columns);
    const int64_t i = c[4] * o.stride[0] - o.padding[0] + c[2] * o.dilation[0],
                  j = c[5] * o.stride[1] - o.padding[1] + c[3] * o.dilation[1];
    if (i < 0 || i >= images[2] || j < 0 || j >= images[3]) continue;
    visit(static_cast<size_t>(ravel({c[0], c[1], i, j}, images)), static_cast<size_t>(at));
  }
}

// unfold of images (N, C, H, W) with `count` windows, or fold into them.
OpRow unfold_row(const std::string& name, bool folds, const Shape& images, const Shape& kernel,
                 const UnfoldOptions& options, const Shape& count) {
  const Shape columns{images[0], images[1] * kernel.numel(), count.numel()};
  const Shape size{images[2], images[3]};
  return Row(name)
      .covers(folds ? "slice_scatter" : "slice")
      .calls([=](const Tensor& x) {
        return folds ? fold(x, size, kernel, options) : unfold(x, kernel, options);
      })
      .on(input(folds ? columns : images))
      .expects([=](const Arrays& in) -> Arrays {
        Array out = make_array(folds ? images : columns, [](const Shape&) { return 0; });
        each_window_element(images, kernel, options, count, [&](size_t image, size_t column) {
          if (folds) out.v[image] += in[0].v[column];
          else out.v[column] = in[0].v[image];
        });
        return {out};
      })
      .zero_second(0)
      .refuses(
          "kernel",
          [] {
            unfold(zeros({1, 1, 2, 3}), 3);
          },
          "[unfold] kernel_size (3, 3) with dilation (1, 1) is larger than the padded image of "
          "(2, 3)")
      .refuses(
          "dims",
          [] {
            unfold(zeros({2, 3}), 1);
          },
          "expected x (N, C, H, W) or (C, H, W)")
      .refuses(
          "stride",
          [] {
            unfold(zeros({1, 1, 3, 3}), 1, {.stride = 0});
          },
          "expected stride of at least 1, got (0,)")
      .refuses(
          "columns",
          [] {
            fold(zeros({1, 4, 3}), 3, 2);
          },
          "[fold] x (1, 4, 3) does not fit: expected a multiple of 4 rows and 4 columns")
      .refuses(
          "integers",
          [] {
            fold(zeros({1, 4, 4}, i64), 3, 2);
          },
          "got i64")
      .refuses(
          "undefined", [] { unfold(Tensor(), 2); }, "undefined tensor");
}

}  // namespace

std::vector<OpRow> convolution_rows() {
  std::vector<OpRow> rows{
      conv_row("conv2d", {2, 2, 4, 5}, {3, 2, 3, 2}, true),
      conv_row("conv2d_padded", {2, 1, 3, 4}, {2, 1, 3, 3}, false, {.padding = {1, 2}}),
      conv_row("conv2d_strided", {1, 2, 6, 7}, {2, 2, 2, 3}, true,
               {.stride = {3, 2}, .padding = {0, 1}}),
      conv_row("conv2d_dilated", {1, 2, 6, 5}, {2, 2, 2, 3}, false,
               {.padding = {1, 0}, .dilation = {3, 2}}),
      conv_row("conv2d_grouped", {2, 4, 3, 4}, {6, 2, 2, 2}, true, {.groups = 2}),
      conv_row("conv2d_depthwise", {1, 3, 4, 4}, {3, 1, 3, 3}, true,
               {.padding = {1, 1}, .groups = 3}),
      conv_row("conv2d_same", {1, 2, 4, 3}, {2, 2, 2, 4}, false, {.same = true}),
      conv_row("conv2d_1x1", {2, 3, 3, 2}, {2, 3, 1, 1}, true),
      // A stride and a padding larger than the kernel: some elements of x and y are not part of any
      // product.
      conv_row("conv2d_sparse", {1, 1, 7, 7}, {1, 1, 2, 1}, true,
               {.stride = {4, 3}, .padding = {3, 2}}),
      conv_row("conv2d_one_sample", {2, 4, 4}, {2, 2, 3, 3}, true, {.padding = {1, 1}}),
      conv_row("conv1d", {2, 3, 8}, {4, 3, 3}, true, {.stride = {1, 2}, .padding = {0, 1}}),
      conv_row("conv1d_grouped", {3, 4, 6}, {4, 1, 2}, false, {.dilation = {1, 3}, .groups = 4}),
      conv_row("conv1d_same_one_sample", {2, 5}, {3, 2, 4}, true, {.same = true}),
      transpose_row("conv_transpose2d", {2, 3, 3, 4}, {3, 2, 2, 3}, true),
      transpose_row("conv_transpose2d_strided", {1, 2, 3, 2}, {2, 2, 3, 2}, true,
                    {.stride = {2, 3}, .padding = {1, 0}, .output_padding = {1, 2}}),
      transpose_row("conv_transpose2d_grouped", {1, 4, 3, 3}, {4, 2, 2, 2}, true,
                    {.padding = {1, 1}, .dilation = {2, 1}, .groups = 2}),
      // x has more rows than the kernel reads.
      transpose_row("conv_transpose2d_dilated", {1, 1, 3, 3}, {1, 2, 2, 2}, false,
                    {.dilation = {3, 2}, .output_padding = {2, 1}}),
      transpose_row("conv_transpose1d", {2, 3, 4}, {3, 2, 3}, true,
                    {.stride = {1, 2}, .padding = {0, 1}, .output_padding = {0, 1}}),
      transpose_row("conv_transpose1d_one_sample", {2, 4}, {2, 3, 2}, true)};
  const UnfoldOptions sparse{.dilation = {1, 2}, .padding = {2, 1}, .stride = {2, 1}};
  for (const bool folds : {false, true}) {
    const std::string name = folds ? "fold" : "unfold";
    rows.push_back(unfold_row(name, folds, {2, 2, 3, 4}, {2, 3},
                              {.dilation = {1, 1}, .padding = {0, 0}, .stride = {1, 1}}, {2, 2}));
    rows.push_back(unfold_row(name + "_padded", folds, {1, 2, 4, 3}, {3, 2}, sparse, {3, 3}));
  }
  rows[0].third_order = true;
  rows[0].empty = {{0, 2, 4, 5}, {3, 2, 3, 2}, {3}};
  rows[0].has_empty = true;
  for (OpRow& row : rows) {
    if (row.name != "conv_transpose2d") continue;
    row.empty = {{0, 3, 3, 4}, {3, 2, 2, 3}, {2}};
    row.has_empty = true;
    row.third_order = true;
  }
  for (BadInput& bad : bad_calls()) rows[0].bad.push_back(std::move(bad));
  return rows;
}

}  // namespace ebb::test
