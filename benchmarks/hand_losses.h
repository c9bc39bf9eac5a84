// Hand-written losses: one function and one loop each for value and gradient. x, target and
// gradient are (rows, columns).
//
// They are compiled with -march=native -ffast-math, which Ebb is not. They therefore use all
// vectors of the machine, and glibc's vector functions with errors of up to 4 ulp.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace hand {

/// Loops over fewer elements run on one thread.
inline constexpr int64_t kParallel = 1 << 15;

/// Returns the sum over i of value(i). value may also write.
template <class Value> double pass(int64_t n, const Value& value) {
  double total = 0;
#pragma omp parallel for reduction(+ : total) schedule(static) if (n > kParallel)
  for (int64_t block = 0; block < n; block += 4096) {
    const int64_t end = std::min(n, block + 4096);
    const Value f = value;  // a local copy, which no store can change
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = block; i < end; ++i) sum += f(i);
    total += static_cast<double>(sum);
  }
  return total;
}

inline double mse(int64_t n, const float* x, const float* t, float scale, float* gradient) {
  return scale * pass(n, [=](int64_t i) {
           const float d = x[i] - t[i];
           gradient[i] = 2 * scale * d;
           return d * d;
         });
}

inline double smooth_l1(int64_t n, const float* x, const float* t, float scale, float* gradient) {
  return scale * pass(n, [=](int64_t i) {
           const float d = x[i] - t[i], a = std::fabs(d), c = std::min(a, 1.0f);
           gradient[i] = scale * std::copysign(c, d);
           return c * (a - 0.5f * c);
         });
}

inline double bce_with_logits(int64_t n, const float* x, const float* t, float scale,
                              float* gradient) {
  return scale * pass(n, [=](int64_t i) {
           const float e = std::exp(-std::fabs(x[i])), s = 1 / (1 + e);
           gradient[i] = scale * ((x[i] < 0 ? e * s : s) - t[i]);
           return std::max(x[i], 0.0f) - t[i] * x[i] + std::log(1 + e);
         });
}

/// x contains log-probabilities.
inline double kl_div(int64_t n, const float* x, const float* t, float scale, float* gradient) {
  return scale * pass(n, [=](int64_t i) {
           gradient[i] = -scale * t[i];
           return t[i] > 0 ? t[i] * (std::log(t[i]) - x[i]) : 0.0f;
         });
}

/// Computes the largest element of a row, out = e^(x - largest), and the sum of out.
inline float exponentials(int64_t n, const float* x, float* out, float& top) {
  top = x[0];
  for (int64_t i = 1; i < n; ++i) top = std::max(top, x[i]);
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (int64_t i = 0; i < n; ++i) sum += out[i] = std::exp(x[i] - top);
  return sum;
}

inline double cross_entropy(int64_t rows, int64_t n, const float* x, const int64_t* target,
                            float scale, float* gradient) {
  double total = 0;
#pragma omp parallel for reduction(+ : total) schedule(static) if (rows * n > kParallel)
  for (int64_t r = 0; r < rows; ++r) {
    const float* row = x + r * n;
    float *g = gradient + r * n, top;
    const float sum = exponentials(n, row, g, top);
    for (int64_t i = 0; i < n; ++i) g[i] *= scale / sum;
    g[target[r]] -= scale;
    total += std::log(sum) - (row[target[r]] - top);
  }
  return scale * total;
}

/// Computes kl_div(log_softmax(x), t) of scores x, row by row.
inline double kl_div_of_scores(int64_t rows, int64_t n, const float* x, const float* target,
                               float scale, float* gradient) {
  double total = 0;
#pragma omp parallel for reduction(+ : total) schedule(static) if (rows * n > kParallel)
  for (int64_t r = 0; r < rows; ++r) {
    const float *row = x + r * n, *t = target + r * n;
    float *g = gradient + r * n, top, weight = 0, value = 0;
    const float sum = exponentials(n, row, g, top), log_sum = std::log(sum) + top;
    for (int64_t i = 0; i < n; ++i) {
      weight += t[i];
      value += t[i] > 0 ? t[i] * (std::log(t[i]) - (row[i] - log_sum)) : 0.0f;
    }
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) g[i] = scale * (weight / sum * g[i] - t[i]);
    total += value;
  }
  return scale * total;
}

inline void log_softmax(int64_t rows, int64_t n, const float* x, const float* upstream, float* y,
                        float* gradient) {
#pragma omp parallel for schedule(static) if (rows * n > kParallel)
  for (int64_t r = 0; r < rows; ++r) {
    const float *row = x + r * n, *u = upstream + r * n;
    float *out = y + r * n, *g = gradient + r * n, top, along = 0;
    const float sum = exponentials(n, row, g, top), log_sum = std::log(sum) + top;
    for (int64_t i = 0; i < n; ++i) along += u[i];
#pragma omp simd
    for (int64_t i = 0; i < n; ++i) {
      out[i] = row[i] - log_sum;
      g[i] = u[i] - g[i] * (along / sum);
    }
  }
}

inline void sigmoid(int64_t n, const float* x, const float* upstream, float* y, float* gradient) {
#pragma omp parallel for simd schedule(static) if (n > kParallel)
  for (int64_t i = 0; i < n; ++i) {
    const float s = 1 / (1 + std::exp(-x[i]));
    y[i] = s;
    gradient[i] = upstream[i] * s * (1 - s);
  }
}

}  // namespace hand
