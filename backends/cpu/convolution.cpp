// Convolutions on the CPU: the choice between the implementations.
#include "ebb/backends/cpu/convolution.h"

#include <algorithm>
#include <atomic>
#include <limits>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/core/cpu.h"

#if EBB_WITH_ONEDNN
#include "ebb/backends/cpu/onednn.h"
#endif

namespace ebb::cpu {

ConvolutionSizes::ConvolutionSizes(const ConvolutionArgs& args) {
  const Shape &x = args.x->shape(), &w = args.w->shape(), &y = args.y->shape();
  images = x[0], channels = x[1], height = x[2], width = x[3];
  outputs = y[1], y_height = y[2], y_width = y[3];
  group_channels = w[1], kernel[0] = w[2], kernel[1] = w[3];
  groups = args.geometry.groups;
  group_outputs = outputs / groups;
  x_plane = height * width;
  y_plane = y_height * y_width;
  taps = group_channels * kernel[0] * kernel[1];
}

ConvolutionRange inside(int64_t size, int64_t count, int64_t stride, int64_t first) {
  const int64_t begin = first >= 0 ? 0 : (-first + stride - 1) / stride;
  const int64_t end = size - first <= 0 ? 0 : (size - first - 1) / stride + 1;
  return {std::min(begin, count), std::clamp<int64_t>(end, std::min(begin, count), count)};
}

namespace {

// Measured on Zen 4 with oneDNN 2.6.3, in GFLOP/s: rows_convolution(), and oneDNN including its
// reorders. Forward 3x3 of 3 to 32 channels on 32x32: 101, 75; 8 to 8 on 28x28: 77, 45; 16 to 16 on
// 32x32: 99, 72; 32 to 64 on 14x14: 89, 102; 64 to 64 on 32x32: 109, 109; 5x5 of 6 to 16 on 14x14:
// 64, 106; 5x5 of 16 to 32 on 28x28: 96, 109. The gradient of the weight is similar. Products of
// matrices are 1.3 to 16 times faster than oneDNN for the gradient of up to 3 input channels, and
// 1.1 to 1.2 times for 1x1 kernels; rows_convolution() is 1.2 to 1.4 times faster than products of
// matrices.
constexpr int64_t kFewestChannels = 6, kFewGradients = 3;

// Returns true if rows of this width use at least 85 % of the lanes.
bool fills_lanes(int64_t width) {
  const int64_t lanes = row_lanes();
  return 100 * width >= 85 * ((width + lanes - 1) / lanes * lanes);
}

bool takes_rows(const ConvolutionArgs& args) {
  if (!rows_fit(args)) return false;
#if EBB_WITH_ONEDNN
  const int64_t few = args.w->size(3) == 3 ? 16 : 8;  // large kernels hide the reorders
#else
  const int64_t few = std::numeric_limits<int64_t>::max();
#endif
  if (args.kind == ConvolutionKind::InputGradient) {
    return args.x->size(1) > kFewGradients && args.y->size(1) <= few && args.x->size(1) <= few &&
           fills_lanes(args.x->size(3));
  }
  const int64_t channels = args.x->size(1);
  return channels < kFewestChannels || (channels <= few && fills_lanes(args.y->size(3)));
}

#if EBB_WITH_ONEDNN
bool takes_onednn(const ConvolutionArgs& args) {
  const ConvolutionGeometry& g = args.geometry;
  for (int i = 0; i < 2; ++i) {  // oneDNN computes sizes with 32 bits
    if (std::max({g.stride[i], g.padding[i], g.dilation[i], args.x->size(2 + i)}) >= 1 << 24)
      return false;
  }
  const bool few = args.kind == ConvolutionKind::InputGradient && g.groups == 1 &&
                   args.w->size(1) <= kFewGradients;
  const bool one_tap = args.y->size(2) * args.y->size(3) >= 64 && args.w->size(2) == 1 &&
                       args.w->size(3) == 1 && g.stride[0] == 1 && g.stride[1] == 1 &&
                       g.padding[0] == 0 && g.padding[1] == 0 && g.groups == 1;
  return args.x->dtype() == DType::F32 && !few && !one_tap && !takes_rows(args);
}

// These return true if oneDNN has computed the result.
bool by_onednn(const ConvolutionArgs& args) {
  return takes_onednn(args) && onednn_convolution(args);
}
bool by_onednn(const ConvolutionArgs& input, const ConvolutionArgs& weight) {
  return takes_onednn(input) && takes_onednn(weight) && onednn_gradients(input, weight);
}
#else
bool by_onednn(const ConvolutionArgs&) { return false; }
bool by_onednn(const ConvolutionArgs&, const ConvolutionArgs&) { return false; }
#endif

class CpuConvolutions final : public ConvolutionKernels {
 public:
  void run(const ConvolutionArgs& args) override {
    if (takes_rows(args)) return rows_convolution(args);
    sum_channels(args);
    if (by_onednn(args)) return;
    dispatch_floating(args.x->dtype(), [&]<class T>(T) { columns_convolution<T>(args); });
  }
  void run_both(const ConvolutionArgs& input, const ConvolutionArgs& weight) override {
    if (by_onednn(input, weight)) return sum_channels(weight);
    run(input);
    run(weight);
  }

 private:
  static void sum_channels(const ConvolutionArgs& args) {
    if (!args.y_sum) return;
    dispatch_floating(args.x->dtype(), [&]<class T>(T) {
      channel_sums(ConvolutionSizes(args), reinterpret_cast<const T*>(args.y->raw()),
                   reinterpret_cast<T*>(args.y_sum->raw()));
    });
  }
};

}  // namespace

namespace {
std::atomic<bool> winograd{false};
}
void set_allow_winograd(bool allow) { winograd.store(allow, std::memory_order_relaxed); }
bool allow_winograd() { return winograd.load(std::memory_order_relaxed); }

ConvolutionKernels& convolution() {
  static CpuConvolutions instance;
  return instance;
}

}  // namespace ebb::cpu
