// Nearest and linear resizing of contiguous planes.
//
// Parallel over planes. The taps of both axes are computed once per call. A row of outputs reads
// two rows of the input, which are in the cache; the adjoint adds to two rows, in order. Traffic: x
// is read once and y is written once.
#include "ebb/core/resampling.h"

#include <algorithm>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

class Taps {
 public:
  explicit Taps(const ResampleAxis& axis) : taps_(axis.out) {
    for (int64_t i = 0; i < axis.out; ++i) taps_[i] = axis.tap(i);
  }
  const ResampleTap& operator[](int64_t i) const { return taps_[i]; }

 private:
  Temporary<ResampleTap> taps_;
};

// Calls body(plane of the input, plane of the output) as offsets, in parallel.
template <class Body> void for_planes(const ResampleShape& s, const Body& body) {
  const int64_t in = s.rows.in * s.cols.in, out = s.rows.out * s.cols.out;
  parallel_for(s.planes, row_grain(std::max(in, out)), [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) body(p * in, p * out);
  });
}

class CpuResampling final : public ResamplingKernels {
 public:
  void resample(Tensor& y, const Tensor& x, const ResampleShape& s) override {
    const Taps rows(s.rows), cols(s.cols);
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      for_planes(s, [&](int64_t in, int64_t out) {
        const T* from = reinterpret_cast<const T*>(x.raw()) + in;
        T* to = reinterpret_cast<T*>(y.raw()) + out;
        for (int64_t r = 0; r < s.rows.out; ++r, to += s.cols.out) {
          const T *low = from + rows[r].low * s.cols.in, *high = from + rows[r].high * s.cols.in;
          const T below = static_cast<T>(rows[r].weight), above = T(1) - below;
          if (!s.cols.linear) {
            for (int64_t c = 0; c < s.cols.out; ++c) to[c] = low[cols[c].low];
            continue;
          }
          for (int64_t c = 0; c < s.cols.out; ++c) {
            const ResampleTap& tap = cols[c];
            const T right = static_cast<T>(tap.weight), left = T(1) - right;
            to[c] = above * (left * low[tap.low] + right * low[tap.high]) +
                    below * (left * high[tap.low] + right * high[tap.high]);
          }
        }
      });
    });
  }

  void resample_adjoint(Tensor& x, const Tensor& g, const ResampleShape& s) override {
    const Taps rows(s.rows), cols(s.cols);
    dispatch_floating(x.dtype(), [&]<class T>(T) {
      for_planes(s, [&](int64_t in, int64_t out) {
        T* to = reinterpret_cast<T*>(x.raw()) + in;
        const T* from = reinterpret_cast<const T*>(g.raw()) + out;
        std::fill(to, to + s.rows.in * s.cols.in, T(0));
        for (int64_t r = 0; r < s.rows.out; ++r, from += s.cols.out) {
          T *low = to + rows[r].low * s.cols.in, *high = to + rows[r].high * s.cols.in;
          const T below = static_cast<T>(rows[r].weight), above = T(1) - below;
          if (!s.cols.linear) {
            for (int64_t c = 0; c < s.cols.out; ++c) low[cols[c].low] += from[c];
            continue;
          }
          for (int64_t c = 0; c < s.cols.out; ++c) {
            const ResampleTap& tap = cols[c];
            const T right = static_cast<T>(tap.weight), left = T(1) - right;
            low[tap.low] += above * left * from[c];
            low[tap.high] += above * right * from[c];
            high[tap.low] += below * left * from[c];
            high[tap.high] += below * right * from[c];
          }
        }
      });
    });
  }
};

}  // namespace

ResamplingKernels& resampling() {
  static CpuResampling kernels;
  return kernels;
}

}  // namespace ebb::cpu
