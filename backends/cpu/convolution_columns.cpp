// Convolutions by products of matrices.
//
// For an image and a group, the columns are a matrix (taps, elements of y): the element of x that
// each tap of the kernel reads for each element of y. Then y = w columns, the gradient of the
// columns is w^T y, whose elements are added to x, and the gradient of w is y columns^T. Columns
// are built for a block of rows of y at a time, so that they stay in the L2 cache.
//
// Parallel over images; with one image, over the rows and columns of each product. The gradient of
// w is summed within chunks of images, whose number does not depend on the number of threads, and
// then over the chunks in order. Traffic: x, y and w are accessed once; the columns, which are
// kernel height times kernel width as large as x, go through the cache.
#include <algorithm>
#include <cstring>

#include "ebb/backends/cpu/convolution.h"
#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

constexpr int64_t kColumnBytes = 384 << 10;  // the size of the columns of a block
constexpr int64_t kChunks = 8;               // the chunks of images in the gradient of w
constexpr int64_t kImageWork = 64 << 10;     // multiply-adds that a thread takes at least

template <class T> T* data(const Tensor* t) { return reinterpret_cast<T*>(t->raw()); }

// One image and group: rows of y from first to last.
template <class T> struct Block {
  const ConvolutionSizes& s;
  const ConvolutionGeometry& g;
  int64_t first, last;
  int64_t width() const { return (last - first) * s.y_width; }

  // Calls visit(row of x or null, row of columns, range) for each tap and row of y.
  template <class Visit> void each_row(T* x, T* columns, const Visit& visit) const {
    T* row = columns;
    for (int64_t c = 0; c < s.group_channels; ++c, x += s.x_plane) {
      for (int64_t p = 0; p < s.kernel[0]; ++p) {
        for (int64_t q = 0; q < s.kernel[1]; ++q) {
          const int64_t left = q * g.dilation[1] - g.padding[1];
          const ConvolutionRange range = inside(s.width, s.y_width, g.stride[1], left);
          for (int64_t i = first; i < last; ++i, row += s.y_width) {
            const int64_t from = i * g.stride[0] + p * g.dilation[0] - g.padding[0];
            const bool in = from >= 0 && from < s.height && range.begin < range.end;
            visit(in ? x + from * s.width + range.begin * g.stride[1] + left : nullptr, row, range);
          }
        }
      }
    }
  }

  void make_columns(const T* x, T* columns) const {
    const int64_t step = g.stride[1];
    each_row(const_cast<T*>(x), columns, [&](const T* from, T* row, ConvolutionRange range) {
      if (!from) {
        std::fill_n(row, s.y_width, T(0));
        return;
      }
      std::fill(row, row + range.begin, T(0));
      const int64_t n = range.end - range.begin;
      T* to = row + range.begin;
      if (step == 1) std::memcpy(to, from, static_cast<size_t>(n) * sizeof(T));
      else
        for (int64_t j = 0; j < n; ++j) to[j] = from[j * step];
      std::fill(row + range.end, row + s.y_width, T(0));
    });
  }

  void add_columns(T* x, T* columns) const {
    const int64_t step = g.stride[1];
    each_row(x, columns, [&](T* to, const T* row, ConvolutionRange range) {
      if (!to) return;
      const T* from = row + range.begin;
      const int64_t n = range.end - range.begin;
      if (step == 1)
        for (int64_t j = 0; j < n; ++j) to[j] += from[j];
      else
        for (int64_t j = 0; j < n; ++j) to[j * step] += from[j];
    });
  }
};

template <class T> class Columns {
 public:
  explicit Columns(const ConvolutionArgs& args)
      : args_(args),
        s_(args),
        g_(args.geometry),
        x_(data<T>(args.x)),
        w_(data<T>(args.w)),
        y_(data<T>(args.y)) {
    const int64_t row_bytes = s_.taps * s_.y_width * static_cast<int64_t>(sizeof(T));
    rows_ = std::clamp<int64_t>(kColumnBytes / row_bytes, 1, s_.y_height);
    // A kernel of one tap reads x as it is.
    plain_ = s_.kernel[0] == 1 && s_.kernel[1] == 1 && g_.stride[0] == 1 && g_.stride[1] == 1 &&
             g_.padding[0] == 0 && g_.padding[1] == 0 && s_.height == s_.y_height &&
             s_.width == s_.y_width;
    if (plain_) rows_ = s_.y_height;
  }

  void forward() const {
    const T* bias = args_.bias ? data<T>(args_.bias) : nullptr;
    each_image([&](int64_t n, T* columns) {
      T* y = y_ + n * s_.outputs * s_.y_plane;
      for (int64_t o = 0; bias && o < s_.outputs; ++o)
        std::fill_n(y + o * s_.y_plane, s_.y_plane, bias[o]);
      each_block(n, [&](const Block<T>& block, T* x, T* w, T* out) {
        if (!plain_) block.make_columns(x, columns);
        own_gemm(Gemm<T>{.m = s_.group_outputs,
                         .n = block.width(),
                         .k = s_.taps,
                         .a = w,
                         .a_row = s_.taps,
                         .a_col = 1,
                         .b = plain_ ? x : columns,
                         .b_row = block.width(),
                         .b_col = 1,
                         .c = out,
                         .c_row = s_.y_plane,
                         .accumulate = bias != nullptr});
      });
    });
  }

  void input_gradient() const {
    each_image([&](int64_t n, T* columns) {
      if (!plain_) std::fill_n(x_ + n * s_.channels * s_.x_plane, s_.channels * s_.x_plane, T(0));
      each_block(n, [&](const Block<T>& block, T* x, T* w, T* y) {
        own_gemm(Gemm<T>{.m = s_.taps,
                         .n = block.width(),
                         .k = s_.group_outputs,
                         .a = w,
                         .a_row = 1,
                         .a_col = s_.taps,
                         .b = y,
                         .b_row = s_.y_plane,
                         .b_col = 1,
                         .c = plain_ ? x : columns,
                         .c_row = block.width()});
        if (!plain_) block.add_columns(x, columns);
      });
    });
  }

  void weight_gradient() const {
    const int64_t total = s_.outputs * s_.taps, per_chunk = (s_.images + kChunks - 1) / kChunks;
    const int64_t chunks = (s_.images + per_chunk - 1) / per_chunk;
    const Temporary<T> parts(chunks > 1 ? chunks * total : 0);
    parallel_for(chunks, s_.image_work() * per_chunk < kImageWork ? chunks : 1,
                 [&](int64_t begin, int64_t end) {
                   const Temporary<T> columns(plain_ ? 0 : s_.taps * rows_ * s_.y_width);
                   for (int64_t chunk = begin; chunk < end; ++chunk) {
                     T* sums = chunks > 1 ? parts.data() + chunk * total : w_;
                     const int64_t last = std::min(s_.images, (chunk + 1) * per_chunk);
                     for (int64_t n = chunk * per_chunk; n < last; ++n) {
                       each_block(n, [&](const Block<T>& block, T* x, T* w, T* y) {
                         if (!plain_) block.make_columns(x, columns.data());
                         own_gemm(Gemm<T>{.m = s_.group_outputs,
                                          .n = s_.taps,
                                          .k = block.width(),
                                          .a = y,
                                          .a_row = s_.y_plane,
                                          .a_col = 1,
                                          .b = plain_ ? x : columns.data(),
                                          .b_row = 1,
                                          .b_col = block.width(),
                                          .c = sums + (w - w_),
                                          .c_row = s_.taps,
                                          .accumulate = n > chunk * per_chunk || block.first > 0});
                       });
                     }
                   }
                 });
    if (chunks > 1) add_in_order(parts.data(), chunks, total, w_);
  }

 private:
  // body(n, columns) for each image.
  template <class Body> void each_image(const Body& body) const {
    const int64_t grain = std::max<int64_t>(1, kImageWork / std::max<int64_t>(1, s_.image_work()));
    parallel_for(s_.images, grain, [&](int64_t begin, int64_t end) {
      const Temporary<T> columns(plain_ ? 0 : s_.taps * rows_ * s_.y_width);
      for (int64_t n = begin; n < end; ++n) body(n, columns.data());
    });
  }

  // body(block, x, w, y) for each group of image n and each block of rows of y: x and w from the
  // group's first element on, y from the block's.
  template <class Body> void each_block(int64_t n, const Body& body) const {
    for (int64_t group = 0; group < s_.groups; ++group) {
      T* x = x_ + (n * s_.channels + group * s_.group_channels) * s_.x_plane;
      T* w = w_ + group * s_.group_outputs * s_.taps;
      T* y = y_ + (n * s_.outputs + group * s_.group_outputs) * s_.y_plane;
      for (int64_t row = 0; row < s_.y_height; row += rows_) {
        body(Block<T>{s_, g_, row, std::min(s_.y_height, row + rows_)}, x, w, y + row * s_.y_width);
      }
    }
  }

  const ConvolutionArgs& args_;
  const ConvolutionSizes s_;
  const ConvolutionGeometry& g_;
  T *x_, *w_, *y_;
  int64_t rows_;
  bool plain_;
};

}  // namespace

template <class T> void columns_convolution(const ConvolutionArgs& args) {
  const Columns<T> columns(args);
  switch (args.kind) {
    case ConvolutionKind::Forward: columns.forward(); break;
    case ConvolutionKind::InputGradient: columns.input_gradient(); break;
    case ConvolutionKind::WeightGradient: columns.weight_gradient(); break;
  }
}
template void columns_convolution<float>(const ConvolutionArgs&);
template void columns_convolution<double>(const ConvolutionArgs&);

template <class T> void add_in_order(const T* parts, int64_t chunks, int64_t total, T* sums) {
  parallel_for(total, 16 << 10, [&](int64_t begin, int64_t end) {
    std::copy(parts + begin, parts + end, sums + begin);
    for (int64_t chunk = 1; chunk < chunks; ++chunk) {
      const T* part = parts + chunk * total;
      for (int64_t i = begin; i < end; ++i) sums[i] += part[i];
    }
  });
}
template void add_in_order<float>(const float*, int64_t, int64_t, float*);
template void add_in_order<double>(const double*, int64_t, int64_t, double*);

double plane_sum(const double* y, int64_t n) {
  double lanes[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int64_t j = 0; j < 8; ++j) lanes[j] += y[i + j];
  }
  for (; i < n; ++i) lanes[0] += y[i];
  for (int64_t j = 1; j < 8; ++j) lanes[0] += lanes[j];
  return lanes[0];
}

template <class T> void channel_sums(const ConvolutionSizes& s, const T* y, T* sums) {
  const int64_t work = std::max<int64_t>(1, s.images * s.y_plane);
  parallel_for(s.outputs, std::max<int64_t>(1, (32 << 10) / work), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      double sum = 0;
      for (int64_t n = 0; n < s.images; ++n)
        sum += plane_sum(y + (n * s.outputs + o) * s.y_plane, s.y_plane);
      sums[o] = static_cast<T>(sum);
    }
  });
}
template void channel_sums<float>(const ConvolutionSizes&, const float*, float*);
template void channel_sums<double>(const ConvolutionSizes&, const double*, double*);

}  // namespace ebb::cpu
