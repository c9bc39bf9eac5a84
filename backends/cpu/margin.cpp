// multi_margin_loss and multilabel_margin_loss: hinges between the labels of a row and its other
// classes.
//
// Layout: input (N, C) contiguous. The labels of a row are read first. Then there is one pass over
// the row per label, with the row in the cache. Parallel over rows. Traffic: the input is read once
// and the gradient written once.
#include <algorithm>

#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/backends/cpu/rows.h"
#include "ebb/backends/cpu/temporary.h"

namespace ebb::cpu {
namespace {

// Returns the sum of relu(x - own + margin)^p over the classes where open is 1. It is 0 for labels.
template <class T, int P>
EBB_MULTIVERSION double hinges(const T* x, const T* open, double own, double margin, int64_t n) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) {
      const double z = relu((static_cast<double>(x[at + i]) - own) + margin);
      lanes[i] += where(open[at + i] > 0, P == 1 ? z : z * z, 0.0);
    }
  });
}

// Adds weight times the derivative of each hinge to `slopes`, and returns the sum of what it added.
template <class T, int P>
EBB_MULTIVERSION double hinge_slopes(const T* x, const T* open, double own, double margin,
                                     double weight, int64_t n, double* slopes) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) {
      const double z = (static_cast<double>(x[at + i]) - own) + margin;
      const double each = P == 1 ? where(z > 0, weight, 0.0) : 2 * weight * relu(z);
      const double slope = where(open[at + i] > 0, each, 0.0);
      slopes[at + i] += slope;
      lanes[i] += slope;
    }
  });
}

// Returns the sum of all NaN elements: NaN if there are any, else 0.
template <class T> EBB_MULTIVERSION double nans(const T* x, int64_t n) {
  return sum_in_lanes(n, [=](int64_t at, int64_t width, double* lanes) EBB_INLINE {
EBB_INDEPENDENT
    for (int64_t i = 0; i < width; ++i) {
      lanes[i] += static_cast<double>(where(x[at + i] == x[at + i], T(0), x[at + i]));
    }
  });
}

template <class T>
EBB_MULTIVERSION void write_scaled(const double* slopes, double factor, int64_t n, T* out) {
EBB_INDEPENDENT
  for (int64_t i = 0; i < n; ++i) out[i] = static_cast<T>(factor * slopes[i]);
}

template <class T, int P> class Margin {
 public:
  explicit Margin(const MarginArgs& args)
      : args_(args),
        classes_(args.input->shape()[1]),
        labels_a_row_(args.target->dim() == 2 ? classes_ : 1),
        weight_(args.weight ? reinterpret_cast<const T*>(args.weight->raw()) : nullptr) {}

  void run() const {
    const int64_t rows = args_.input->shape()[0];
    parallel_for(rows, row_grain(classes_), [&](int64_t begin, int64_t end) {
      const Temporary<T> open(classes_);
      const Temporary<double> slopes(args_.gradient ? classes_ : 0);
      std::fill_n(open.data(), classes_, T(1));
      for (int64_t row = begin; row < end; ++row) take(row, open.data(), slopes.data());
    });
  }

 private:
  int64_t label(int64_t row, int64_t k) const {
    const int64_t at = row * labels_a_row_ + k;
    return args_.target->dtype() == DType::I64
               ? reinterpret_cast<const int64_t*>(args_.target->raw())[at]
               : reinterpret_cast<const uint8_t*>(args_.target->raw())[at];
  }
  double weight_of(int64_t c) const { return weight_ ? static_cast<double>(weight_[c]) : 1; }

  // REQUIRES that `open` is all 1, which it is again after the call.
  void take(int64_t row, T* open, double* slopes) const {
    const T* x = reinterpret_cast<const T*>(args_.input->raw()) + row * classes_;
    int64_t count = 0;
    while (count < labels_a_row_ && label(row, count) >= 0) open[label(row, count++)] = T(0);
    if (args_.losses) {
      double loss = nans(x, classes_);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t t = label(row, k);
        loss +=
            weight_of(t) * hinges<T, P>(x, open, static_cast<double>(x[t]), args_.margin, classes_);
      }
      reinterpret_cast<T*>(args_.losses->raw())[row] =
          static_cast<T>(loss / static_cast<double>(classes_));
    }
    if (args_.gradient) {
      std::fill_n(slopes, classes_, 0.0);
      for (int64_t k = 0; k < count; ++k) {
        const int64_t t = label(row, k);
        slopes[t] -= hinge_slopes<T, P>(x, open, static_cast<double>(x[t]), args_.margin,
                                        weight_of(t), classes_, slopes);
      }
      const double upstream =
          static_cast<double>(reinterpret_cast<const T*>(args_.upstream->raw())[row]);
      write_scaled(slopes, upstream / static_cast<double>(classes_), classes_,
                   reinterpret_cast<T*>(args_.gradient->raw()) + row * classes_);
    }
    for (int64_t k = 0; k < count; ++k) open[label(row, k)] = T(1);
  }

  const MarginArgs& args_;
  int64_t classes_, labels_a_row_;
  const T* weight_;
};

}  // namespace

void margin(const MarginArgs& args) {
  dispatch_floating(args.input->dtype(), [&]<class T>(T) {
    if (args.p == 1) Margin<T, 1>(args).run();
    else Margin<T, 2>(args).run();
  });
}

}  // namespace ebb::cpu
