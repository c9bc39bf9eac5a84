// Convolutions of stride 1 on plain planes, with vectors along the rows of y (convolution_tile.h):
// f32, with kernel rows of 3 or 5 elements. It is the fastest method for few channels, where the
// others spend most of their time on changes of layout.
//
// Parallel over images, or over images and blocks of output channels where there are few images.
// The gradient of the weight is summed within chunks of images, whose number does not depend on the
// number of threads, and then over the chunks in order. Traffic: x is copied once, padded; y is
// written or read once from memory, and from the cache for each channel and row of the kernel.
#include <algorithm>

#include "ebb/backends/cpu/convolution.h"
#include "ebb/backends/cpu/convolution_tile.h"
#include "ebb/backends/cpu/instruction_sets.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

struct Kernels {
  int lanes, outputs;       // of a vector; of a forward tile
  int gradient_outputs[2];  // for kernels 3 and 5 wide
  void (*forward[2])(const detail::ForwardRows&);
  void (*gradient[2])(const detail::GradientRows&);
  void (*add_plane_sum)(const detail::PlaneSum&);
};

template <class Set, int K> void forward(const detail::ForwardRows& j) {
  Set::template call<detail::forward_rows<detail::Simd<float, Set>, K>, const detail::ForwardRows&>(
      j);
}
template <class Set, int K> void gradient(const detail::GradientRows& j) {
  using S = detail::Simd<float, Set>;
  Set::template call<detail::gradient_rows<S, detail::kGradientOutputs<S, K>, K>,
                     const detail::GradientRows&>(j);
}

template <class Set> void add_plane_sum(const detail::PlaneSum& j) {
  Set::template call<detail::add_plane_sum<detail::Simd<float, Set>>, const detail::PlaneSum&>(j);
}

const Kernels& kernels() {
  static const Kernels kernels = detail::for_this_processor([]<class Set>(const char*) {
    using S = detail::Simd<float, Set>;
    return Kernels{S::kLanes,
                   detail::kOutputs<S>,
                   {detail::kGradientOutputs<S, 3>, detail::kGradientOutputs<S, 5>},
                   {forward<Set, 3>, forward<Set, 5>},
                   {gradient<Set, 3>, gradient<Set, 5>},
                   add_plane_sum<Set>};
  });
  return kernels;
}

constexpr int64_t kChunks = 8;                // the chunks of images in the gradient of the weight
constexpr int64_t kCachedFloats = 128 << 10;  // the floats of the images that a gradient tile reads
constexpr int64_t kCachedTaps = 1024;  // beyond, only a few rows of x stay in the first-level cache

float* data(const Tensor* t) { return reinterpret_cast<float*>(t->raw()); }
int64_t up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

class Rows {
 public:
  explicit Rows(const ConvolutionArgs& args) : args_(args), s_(args) {
    for (int i = 0; i < 2; ++i) kernel_[i] = s_.kernel[i], padding_[i] = args.geometry.padding[i];
    from_ = {data(args.x), s_.channels, s_.height, s_.width};
    to_ = {data(args.y), s_.outputs, s_.y_height, s_.y_width};
    // The gradient of x is a convolution of the gradient of y with the kernel rotated by 180
    // degrees.
    if (args.kind == ConvolutionKind::InputGradient) {
      std::swap(from_, to_);
      for (int i = 0; i < 2; ++i) padding_[i] = kernel_[i] - 1 - padding_[i];
    }
    row_step_ = up(to_.width, kernels().lanes) + kernel_[1] - 1;
    in_height_ = to_.height + kernel_[0] - 1;
    plane_ = in_height_ * row_step_;
    taps_ = from_.channels * kernel_[0] * kernel_[1];
    which_ = kernel_[1] == 3 ? 0 : 1;
  }

  // Computes the convolution of from_ into to_.
  void convolve() const {
    const int64_t block = kernels().outputs, blocks = (to_.channels + block - 1) / block;
    const Temporary<float> weights(blocks * block * taps_);
    pack(weights.data(), block);
    const int64_t parts = s_.images >= kChunks ? 1 : blocks;
    parallel_for(s_.images * parts, grain(image_work() / parts), [&](int64_t begin, int64_t end) {
      const Temporary<float> in(from_.channels * plane_);
      for (int64_t i = begin; i < end; ++i) {
        const int64_t n = i / parts;
        if (i == begin || i % parts == 0) copy_padded(n, in.data());
        const int64_t first = parts == 1 ? 0 : i % parts, last = parts == 1 ? blocks : first + 1;
        convolve_image(n, in.data(), weights.data(), first * block,
                       std::min(last * block, to_.channels));
      }
    });
  }

  void weight_gradient() const {
    const int64_t total = to_.channels * taps_, per_chunk = (s_.images + kChunks - 1) / kChunks,
                  chunks = (s_.images + per_chunk - 1) / per_chunk;
    const Temporary<float> sums(chunks * total);
    const Temporary<double> channels(args_.y_sum ? chunks * to_.channels : 0);
    parallel_for(chunks, std::min(chunks, grain(image_work() * per_chunk)),
                 [&](int64_t begin, int64_t end) {
                   for (int64_t chunk = begin; chunk < end; ++chunk) {
                     gradient_chunk(chunk * per_chunk, std::min(s_.images, (chunk + 1) * per_chunk),
                                    sums.data() + chunk * total,
                                    args_.y_sum ? channels.data() + chunk * to_.channels : nullptr);
                   }
                 });
    add_in_order(sums.data(), chunks, total, data(args_.w));
    for (int64_t o = 0; args_.y_sum && o < to_.channels; ++o) {
      double sum = 0;
      for (int64_t chunk = 0; chunk < chunks; ++chunk) sum += channels[chunk * to_.channels + o];
      data(args_.y_sum)[o] = static_cast<float>(sum);
    }
  }

 private:
  // The planes of x or of y.
  struct Planes {
    float* data;
    int64_t channels, height, width;
    int64_t plane() const { return height * width; }
    int64_t image() const { return channels * plane(); }
  };

  int64_t image_work() const { return to_.image() * taps_; }
  static int64_t grain(int64_t work) {
    return std::max<int64_t>(1, (64 << 10) / std::max<int64_t>(1, work));
  }

  // Writes the weights as (blocks, taps, block), with zeros for outputs beyond the last.
  void pack(float* to, int64_t block) const {
    const float* w = data(args_.w);
    const bool turned = args_.kind == ConvolutionKind::InputGradient;
    const int64_t window = kernel_[0] * kernel_[1];
    for (int64_t first = 0; first < to_.channels; first += block) {
      for (int64_t tap = 0; tap < taps_; ++tap) {
        const int64_t c = tap / window, q = tap % window;
        for (int64_t o = first; o < first + block; ++o) {
          *to++ = o >= to_.channels ? 0.0f
                  : turned          ? w[(c * to_.channels + o) * window + window - 1 - q]
                                    : w[o * taps_ + tap];
        }
      }
    }
  }

  // Copies image n with its padding of zeros, in rows of row_step_ elements.
  void copy_padded(int64_t n, float* to) const {
    const int64_t left = std::min(padding_[1], row_step_),
                  width = std::min(from_.width, row_step_ - left);
    for (int64_t c = 0; c < from_.channels; ++c) {
      const float* x = from_.data + n * from_.image() + c * from_.plane();
      for (int64_t i = 0; i < in_height_; ++i, to += row_step_) {
        const int64_t row = i - padding_[0];
        if (row < 0 || row >= from_.height) {
          std::fill_n(to, row_step_, 0.0f);
          continue;
        }
        std::fill_n(to, left, 0.0f);
        std::copy_n(x + row * from_.width, width, to + left);
        std::fill(to + left + width, to + row_step_, 0.0f);
      }
    }
  }

  void convolve_image(int64_t n, const float* in, const float* weights, int64_t first,
                      int64_t last) const {
    const int64_t rows = taps_ > kCachedTaps ? 6 : to_.height;
    for (int64_t row = 0; row < to_.height; row += rows) {
      for (int64_t o = first; o < last; o += kernels().outputs) {
        kernels().forward[which_]({.in = in,
                                   .channels = from_.channels,
                                   .plane = plane_,
                                   .row_step = row_step_,
                                   .weights = weights + o * taps_,
                                   .kernel_height = kernel_[0],
                                   .y = to_.data + n * to_.image() + o * to_.plane(),
                                   .y_plane = to_.plane(),
                                   .y_width = to_.width,
                                   .outputs = std::min<int64_t>(kernels().outputs, last - o),
                                   .bias = args_.bias ? data(args_.bias) + o : nullptr,
                                   .begin = row,
                                   .end = std::min(to_.height, row + rows)});
      }
    }
  }

  // channels: the sums of y's channels, or null.
  void gradient_chunk(int64_t begin, int64_t end, float* sums, double* channels) const {
    const int64_t in_image = from_.channels * plane_, y_image = to_.image();
    const int64_t most = std::clamp<int64_t>(kCachedFloats / (in_image + y_image), 1, end - begin);
    const Temporary<float> in(most * in_image);
    std::fill_n(sums, to_.channels * taps_, 0.0f);
    if (channels) std::fill_n(channels, to_.channels, 0.0);
    for (int64_t n = begin; n < end;) {
      // The last vector of a row is read as a whole. The last image is therefore read from a copy
      // that is longer than the image.
      const bool at_end = n + 1 == s_.images;
      const int64_t images = at_end ? 1 : std::min({most, end - n, s_.images - 1 - n});
      const Temporary<float> copy(at_end ? y_image + kernels().lanes : 0);
      const float* y = to_.data + n * y_image;
      if (at_end) {
        std::copy_n(y, y_image, copy.data());
        std::fill_n(copy.data() + y_image, kernels().lanes, 0.0f);
        y = copy.data();
      }
      for (int64_t i = 0; i < images; ++i) copy_padded(n + i, in.data() + i * in_image);
      gradient_images(images, in.data(), y, sums);
      for (int64_t i = 0; channels && i < images * to_.channels; ++i)
        channels[i % to_.channels] += plane_sum(y + i * to_.plane(), to_.plane());
      n += images;
    }
  }

  void gradient_images(int64_t images, const float* in, const float* y, float* sums) const {
    const int64_t block = kernels().gradient_outputs[which_];
    for (int64_t o = 0; o < to_.channels; o += block) {
      for (int64_t c = 0; c < from_.channels; ++c) {
        for (int64_t p = 0; p < kernel_[0]; ++p) {
          kernels().gradient[which_]({.in = in + c * plane_ + p * row_step_,
                                      .in_image = from_.channels * plane_,
                                      .row_step = row_step_,
                                      .y = y + o * to_.plane(),
                                      .y_image = to_.image(),
                                      .y_plane = to_.plane(),
                                      .y_height = to_.height,
                                      .y_width = to_.width,
                                      .images = images,
                                      .outputs = std::min(block, to_.channels - o),
                                      .sums = sums + o * taps_ + (c * kernel_[0] + p) * kernel_[1],
                                      .sum_step = taps_});
        }
      }
    }
  }

  const ConvolutionArgs& args_;
  const ConvolutionSizes s_;
  Planes from_, to_;
  int64_t kernel_[2], padding_[2];
  int64_t row_step_, in_height_, plane_, taps_;
  int which_;
};

}  // namespace

bool rows_fit(const ConvolutionArgs& args) {
  const ConvolutionGeometry& g = args.geometry;
  const Shape& w = args.w->shape();
  const bool turns =
      args.kind != ConvolutionKind::InputGradient || (g.padding[0] < w[2] && g.padding[1] < w[3]);
  return turns && args.x->dtype() == DType::F32 && (w[3] == 3 || w[3] == 5) && g.groups == 1 &&
         g.stride[0] == 1 && g.stride[1] == 1 && g.dilation[0] == 1 && g.dilation[1] == 1;
}

double plane_sum(const float* y, int64_t n) {
  double sum = 0;
  kernels().add_plane_sum({y, n, &sum});
  return sum;
}

int64_t row_lanes() { return kernels().lanes; }

void rows_convolution(const ConvolutionArgs& args) {
  const Rows rows(args);
  if (args.kind == ConvolutionKind::WeightGradient) rows.weight_gradient();
  else rows.convolve();
}

}  // namespace ebb::cpu
