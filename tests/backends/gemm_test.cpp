// Compares every implementation of the matrix product with the naive triple loop in long double.
//
// A case has (m, n, k), the layouts of A and B, an epilogue and a row stride of C. The error of an
// element must be within eps * (k + 4) * sum |a b|, which holds for any order of the sum.
#include "ebb/backends/cpu/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <vector>

#ifdef _OPENMP
#include <omp.h>
#endif

#if EBB_WITH_ONEDNN
#include "ebb/backends/cpu/onednn.h"
#endif

namespace ebb::cpu {
namespace {

enum class Layout { RowMajor, ColMajor, PaddedRow, PaddedCol, General };
constexpr Layout kLayouts[] = {Layout::RowMajor, Layout::ColMajor, Layout::PaddedRow,
                               Layout::PaddedCol, Layout::General};

struct Case {
  int64_t m, n, k;
  Layout a = Layout::RowMajor, b = Layout::RowMajor;
  bool accumulate = false, bias = false, relu = false;
  int64_t c_padding = 0;

  std::string text() const {
    std::string s =
        std::to_string(m) + "x" + std::to_string(n) + "x" + std::to_string(k) + " layouts ";
    s += std::to_string(static_cast<int>(a)) + std::to_string(static_cast<int>(b));
    return s + (accumulate ? " accumulate" : "") + (bias ? " bias" : "") + (relu ? " relu" : "") +
           (c_padding ? " padded" : "");
  }
};

/// Returns a uniform number in [-1, 1) from a linear congruential generator, because the tests draw
/// tens of millions.
class Uniform {
 public:
  template <class T> T draw() {
    state_ = state_ * 6364136223846793005u + 1442695040888963407u;
    return static_cast<T>(static_cast<int32_t>(state_ >> 32)) / T(2147483648.0);
  }

 private:
  uint64_t state_ = 7;
};

/// A (rows, cols) matrix of random numbers, in a vector that is exactly as long as the strides
/// need.
template <class T> struct Matrix {
  std::vector<T> data;
  int64_t row, col;

  Matrix(int64_t rows, int64_t cols, Layout layout, Uniform& uniform) {
    switch (layout) {
      case Layout::RowMajor: row = cols, col = 1; break;
      case Layout::ColMajor: row = 1, col = rows; break;
      case Layout::PaddedRow: row = cols + 3, col = 1; break;
      case Layout::PaddedCol: row = 1, col = rows + 5; break;
      case Layout::General: row = 2 * cols + 1, col = 2; break;
    }
    data.resize(rows > 0 && cols > 0 ? (rows - 1) * row + (cols - 1) * col + 1 : 0);
    for (T& x : data) x = uniform.template draw<T>();
  }
};

template <class T> struct Problem {
  static constexpr T kUntouched = T(12345);
  Uniform uniform;
  Matrix<T> a, b;
  std::vector<T> c, bias;
  Gemm<T> g;

  explicit Problem(const Case& x) : a(x.m, x.k, x.a, uniform), b(x.k, x.n, x.b, uniform) {
    const int64_t c_row = x.n + x.c_padding;
    c.assign(x.m > 0 ? (x.m - 1) * c_row + x.n : 0, kUntouched);
    for (int64_t j = 0; j < x.n; ++j) bias.push_back(uniform.template draw<T>());
    if (x.accumulate) {
      for (int64_t i = 0; i < x.m; ++i) {
        for (int64_t j = 0; j < x.n; ++j) c[i * c_row + j] = uniform.template draw<T>();
      }
    }
    g = {x.m,           x.n,   x.k,   a.data.data(), a.row, a.col,
         b.data.data(), b.row, b.col, c.data(),      c_row, x.accumulate};
    if (x.bias) g.bias = bias.data();
    g.relu = x.relu;
  }
};

/// The naive product, and for each element a bound for the error of any order of rounding.
struct Expected {
  std::vector<long double> value, bound;  // (m, n)

  template <class T> explicit Expected(const Problem<T>& p) {
    const Gemm<T>& g = p.g;
    for (int64_t i = 0; i < g.m; ++i) {
      for (int64_t j = 0; j < g.n; ++j) {
        long double sum = 0, size = 0;
        auto add = [&](long double x) { sum += x, size += std::abs(x); };
        for (int64_t q = 0; q < g.k; ++q) {
          add(static_cast<long double>(g.a[i * g.a_row + q * g.a_col]) *
              g.b[q * g.b_row + j * g.b_col]);
        }
        if (g.accumulate) add(g.c[i * g.c_row + j]);
        if (g.bias) add(g.bias[j]);
        value.push_back(g.relu && sum < 0 ? 0 : sum);
        bound.push_back(std::numeric_limits<T>::epsilon() * (g.k + 4) * size);
      }
    }
  }
};

/// Compares C with the expected values. Returns the largest error, relative to the sum of the
/// magnitudes, in eps.
template <class T> double check(const Case& x, const Gemm<T>& g, const Expected& expected) {
  double worst = 0;
  for (int64_t i = 0; i < g.m; ++i) {
    for (int64_t j = 0; j < g.n; ++j) {
      const T got = g.c[i * g.c_row + j];
      const long double want = expected.value[i * g.n + j], bound = expected.bound[i * g.n + j];
      const long double error = std::abs(want - got);
      if (!(error <= bound)) {
        ADD_FAILURE() << x.text() << " at (" << i << ", " << j << "): expected "
                      << static_cast<double>(want) << ", got " << got;
        return 1e9;
      }
      if (bound > 0) worst = std::max(worst, static_cast<double>(error / bound * (g.k + 4)));
    }
    for (int64_t j = g.n; j < g.c_row && i + 1 < g.m; ++j) {
      if (g.c[i * g.c_row + j] != Problem<T>::kUntouched) {
        ADD_FAILURE() << x.text() << ": padding of C written at (" << i << ", " << j << ")";
        return 1e9;
      }
    }
  }
  return worst;
}

/// The cost of starting an implementation: nothing, creating a oneDNN primitive (1 ms), or threads,
/// which wait for each other on a busy machine (10 ms). Tests with many cases use only the cheap
/// ones.
enum class Start { Cheap, Primitive, Threads };

/// An implementation of the product. Returns false if it does not support the case.
template <class T> struct Path {
  const char* name;
  bool (*run)(const Gemm<T>&);
  Start start = Start::Cheap;
};

template <class T> std::vector<Path<T>> paths() {
  std::vector<Path<T>> all = {
      {"gemm", [](const Gemm<T>& g) { return gemm(g), true; }},
      {"own", [](const Gemm<T>& g) { return own_gemm(g), true; }},
      {"direct", [](const Gemm<T>& g) { return direct_gemm(g), true; }},
      {"packed", [](const Gemm<T>& g) { return packed_gemm(g, 1), true; }},
      {"packed2", [](const Gemm<T>& g) { return packed_gemm(g, 2), true; }, Start::Threads},
      {"dot", [](const Gemm<T>& g) { return g.a_col == 1 && g.b_row == 1 && (dot_gemm(g), true); }},
      {"row", [](const Gemm<T>& g) { return g.m == 1 && g.b_col == 1 && (row_gemm(g), true); }},
  };
#if EBB_WITH_ONEDNN
  if constexpr (std::is_same_v<T, float>) all.push_back({"onednn", onednn_gemm, Start::Primitive});
#endif
  return all;
}

/// Runs a case with every implementation that supports it and is cheap enough to start.
template <class T>
void run_case(const Case& x, Start dearest = Start::Threads,
              std::map<std::string, double>* worst = nullptr) {
  const Problem<T> fresh(x);
  const Expected expected(fresh);
  for (const Path<T>& path : paths<T>()) {
    if (path.start > dearest) continue;
    SCOPED_TRACE(path.name);
    Problem<T> p(x);
    if (!path.run(p.g)) continue;
    const double error = check(x, p.g, expected);
    if (worst) (*worst)[path.name] = std::max((*worst)[path.name], error);
  }
}

/// Sets one thread for tests that do not need more.
template <class T> class GemmTest : public testing::Test {
 protected:
#ifdef _OPENMP
  void SetUp() override { omp_set_num_threads(1); }
  void TearDown() override { omp_set_num_threads(before_); }

 private:
  const int before_ = omp_get_max_threads();
#endif
};
struct Names {
  template <class T> static std::string GetName(int) {
    return std::is_same_v<T, float> ? "f32" : "f64";
  }
};
using Types = testing::Types<float, double>;
TYPED_TEST_SUITE(GemmTest, Types, Names);

TYPED_TEST(GemmTest, AllSmallShapes) {
  int turn = 0;
  for (int64_t m = 0; m <= 14; ++m) {
    for (int64_t n = 0; n <= 19; ++n) {
      for (int64_t k : {0, 1, 2, 3, 5, 7, 8, 9, 16, 19}) {
        Case x{m, n, k};
        x.a = kLayouts[turn % 5], x.b = kLayouts[turn / 5 % 5];
        x.accumulate = turn & 1, x.bias = turn & 2, x.relu = turn & 4, x.c_padding = turn % 3;
        ++turn;
        run_case<TypeParam>(x, Start::Cheap);
      }
    }
  }
}

TYPED_TEST(GemmTest, LayoutsAndEpilogues) {
  const int64_t shapes[][3] = {{33, 37, 41}, {12, 32, 24}, {6, 16, 300},
                               {1, 50, 40},  {50, 1, 40},  {3, 70, 290}};
  for (const auto& [m, n, k] : shapes) {
    for (Layout a : kLayouts) {
      for (Layout b : kLayouts) {
        for (int bits = 0; bits < 16; ++bits) {
          const Case x{
              m, n, k, a, b, (bits & 1) != 0, (bits & 2) != 0, (bits & 4) != 0, (bits & 8) ? 5 : 0};
          if (m == 12 || bits % 5 == 0)
            run_case<TypeParam>(x, m == 12 ? Start::Primitive : Start::Cheap);
        }
      }
    }
  }
}

TYPED_TEST(GemmTest, LargeShapes) {
  const int64_t shapes[][3] = {{64, 128, 784}, {129, 97, 641}, {1, 1030, 700},
                               {1500, 1, 300}, {2, 600, 513},  {700, 3, 260},
                               {25, 2100, 33}, {5, 5, 5000},   {10, 128, 64}};
  std::map<std::string, double> worst;
  for (const auto& [m, n, k] : shapes) {
    for (int form = 0; form < 4; ++form) {
      const Layout a = form & 1 ? Layout::ColMajor : Layout::RowMajor;
      const Layout b = form & 2 ? Layout::ColMajor : Layout::RowMajor;
      run_case<TypeParam>({m, n, k, a, b, form == 1, form != 2, form == 3, form}, Start::Threads,
                          &worst);
    }
  }
  for (const auto& [name, error] : worst)
    this->RecordProperty(name + "_error_in_eps", std::to_string(error));
}

// A NaN or infinity in an operand must reach exactly the elements that it reaches in the naive
// loop. 0 * inf is NaN, so zero padding inside of the kernels must not be multiplied by an
// infinity.
TYPED_TEST(GemmTest, NonFinitePropagates) {
  using T = TypeParam;
  const T inf = std::numeric_limits<T>::infinity(), nan = std::numeric_limits<T>::quiet_NaN();
  const int64_t shapes[][3] = {{13, 19, 11}, {70, 50, 330}, {1, 40, 21}, {40, 1, 21}, {2, 9, 35}};
  for (const auto& path : paths<T>()) {
    SCOPED_TRACE(path.name);
    for (const auto& [m, n, k] : shapes) {
      for (T bad : {inf, -inf, nan}) {
        for (bool relu : {false, true}) {
          for (bool transposed : {false, true}) {
            Case x{m, n, k, Layout::RowMajor, transposed ? Layout::ColMajor : Layout::RowMajor};
            x.relu = relu, x.bias = relu;
            Problem<T> p(x);
            for (T& v : p.b.data) v = v < T(-0.5) ? T(0) : v;
            p.a.data[(m / 2) * p.g.a_row + (k - 1) * p.g.a_col] = bad;
            p.b.data[(k / 2) * p.g.b_row + (n - 1) * p.g.b_col] = bad;
            if (!path.run(p.g)) continue;
            for (int64_t i = 0; i < m; ++i) {
              for (int64_t j = 0; j < n; ++j) {
                T sum = 0;
                for (int64_t q = 0; q < k; ++q) {
                  sum +=
                      p.g.a[i * p.g.a_row + q * p.g.a_col] * p.g.b[q * p.g.b_row + j * p.g.b_col];
                }
                const T want = relu && sum < 0 ? T(0) : sum, got = p.c[i * p.g.c_row + j];
                ASSERT_EQ(std::isnan(want), std::isnan(got))
                    << x.text() << " " << bad << " at " << i << ", " << j;
                ASSERT_EQ(std::isinf(want), std::isinf(got))
                    << x.text() << " " << bad << " at " << i << ", " << j;
              }
            }
          }
        }
      }
    }
  }
}

TYPED_TEST(GemmTest, EmptyProductIsTheEpilogue) {
  Case x{3, 20, 0};
  run_case<TypeParam>(x);
  x.bias = true;
  run_case<TypeParam>(x);
  x.accumulate = x.relu = true;
  run_case<TypeParam>(x);
}

#ifdef _OPENMP
TYPED_TEST(GemmTest, ThreadsDoNotChangeTheResult) {
  using T = TypeParam;
  const int64_t shapes[][3] = {{64, 128, 784},  {301, 203, 150}, {1, 2000, 1000}, {2000, 1, 1000},
                               {1999, 1, 1001}, {1, 2003, 999},  {7, 900, 800}};
  for (const auto& [m, n, k] : shapes) {
    for (Layout a : {Layout::RowMajor, Layout::ColMajor}) {
      for (Layout b : {Layout::RowMajor, Layout::ColMajor}) {
        const Case x{m, n, k, a, b, false, true, true, 0};
        Problem<T> one(x), two(x), nested(x);
        omp_set_num_threads(1);
        own_gemm(one.g);
        for (int threads : {2, 3, 5}) {
          omp_set_num_threads(threads);
          own_gemm(two.g);
          EXPECT_EQ(one.c, two.c) << x.text() << " with " << threads << " threads";
        }
#pragma omp parallel num_threads(2)
        if (omp_get_thread_num() == 1) own_gemm(nested.g);
        EXPECT_EQ(one.c, nested.c) << x.text() << " inside a parallel region";
      }
    }
  }
}
#endif

#if EBB_WITH_ONEDNN
TEST(OneDnnGemm, SupportsLayerShapesAndRefusesOtherStrides) {
  for (Layout a : {Layout::RowMajor, Layout::ColMajor}) {
    for (Layout b : {Layout::RowMajor, Layout::ColMajor}) {
      Problem<float> p({64, 128, 784, a, b, true, true, true, 0});
      EXPECT_TRUE(onednn_gemm(p.g));
    }
  }
  Problem<float> general({8, 8, 8, Layout::General, Layout::RowMajor});
  EXPECT_FALSE(onednn_gemm(general.g));
  Problem<float> empty({8, 8, 0});
  EXPECT_FALSE(onednn_gemm(empty.g));
}
#endif

}  // namespace
}  // namespace ebb::cpu
