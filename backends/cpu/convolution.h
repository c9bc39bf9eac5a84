// The implementations of convolutions on the CPU, for convolution.cpp, which chooses between them.
#pragma once

#include "ebb/core/convolution.h"

namespace ebb::cpu {

/// The sizes of a convolution.
struct ConvolutionSizes {
  explicit ConvolutionSizes(const ConvolutionArgs& args);

  int64_t images, channels, height, width;  // x
  int64_t outputs, y_height, y_width;       // y
  int64_t group_channels, kernel[2];        // w, together with outputs
  int64_t groups, group_outputs;
  int64_t x_plane, y_plane, taps;  // height width; y_height y_width; elements of w for one output

  int64_t image_work() const { return outputs * y_plane * taps; }
};

/// The elements j of a row of y, begin <= j < end, that read inside of a row of x at one column of
/// the kernel.
struct ConvolutionRange {
  int64_t begin, end;
};
/// Returns the range for `size` elements of x and `count` of y, where element j of y reads element
/// j stride + first.
ConvolutionRange inside(int64_t size, int64_t count, int64_t stride, int64_t first);

/// Computes any convolution of f32 or f64 as products of matrices, with Ebb's own kernels; y_sum is
/// left to the caller. The bits of the result do not depend on the number of threads.
template <class T> void columns_convolution(const ConvolutionArgs& args);

/// Computes a convolution with vectors along the rows of y. The bits of the result do not depend on
/// the number of threads. REQUIRES rows_fit(args): f32, stride and dilation 1, one group, a kernel
/// with rows of 3 or 5 elements, and for an InputGradient less padding than the kernel's size.
void rows_convolution(const ConvolutionArgs& args);
bool rows_fit(const ConvolutionArgs& args);
/// Returns the number of lanes of the vectors of rows_convolution(). A row whose length is not a
/// multiple of it leaves some lanes unused.
int64_t row_lanes();

/// Adds up `chunks` lists of `total` numbers in order.
template <class T> void add_in_order(const T* parts, int64_t chunks, int64_t total, T* sums);

/// Returns the sum of n numbers, accumulated in f64 (f32 within blocks of 1024 numbers).
double plane_sum(const float* y, int64_t n);
double plane_sum(const double* y, int64_t n);

/// Writes the sums over the images and elements of each channel of y: (O). The same bits for any
/// number of threads.
template <class T> void channel_sums(const ConvolutionSizes& s, const T* y, T* sums);

}  // namespace ebb::cpu
