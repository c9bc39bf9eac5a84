// Rows of pooling. The references are naive loops over the windows of (N, C, H, W); one-dimensional
// inputs have H = 1.
#include <cmath>

#include "ebb/autograd/ops/pooling.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// The options of one axis, or the output size of an adaptive one.
struct Axis {
  int64_t kernel = 1, stride = 1, padding = 0, dilation = 1;
  bool ceil_mode = false;
  int64_t adaptive = 0;

  int64_t out(int64_t in) const {
    if (adaptive > 0) return adaptive;
    const double room = static_cast<double>(in + 2 * padding - dilation * (kernel - 1) - 1);
    const double steps = room / static_cast<double>(stride);
    int64_t count = static_cast<int64_t>(ceil_mode ? std::ceil(steps) : std::floor(steps)) + 1;
    if (ceil_mode && (count - 1) * stride >= in + padding) --count;
    return count;
  }
  // Returns the positions that window i reads, including those in the padding: below 0, or from
  // `in` on.
  std::vector<int64_t> window(int64_t i, int64_t in) const {
    std::vector<int64_t> at;
    if (adaptive > 0) {
      const double step = static_cast<double>(in) / static_cast<double>(adaptive);
      const double end = std::ceil(static_cast<double>(i + 1) * step - 1e-9);
      for (int64_t p = static_cast<int64_t>(static_cast<double>(i) * step + 1e-9);
           static_cast<double>(p) < end; ++p)
        at.push_back(p);
      return at;
    }
    for (int64_t k = 0; k < kernel; ++k) {
      const int64_t p = i * stride - padding + k * dilation;
      if (p < in + padding) at.push_back(p);
    }
    return at;
  }
};

enum class Kind { Max, MaxIndex, Average };
struct Spec {
  Axis rows, cols;
  Kind kind = Kind::Max;
  bool count_include_pad = true;
  double divisor = 0;
};

double pooled(const Spec& spec, const Array& x, int64_t plane, int64_t r, int64_t c) {
  const int64_t w = x.shape.back(), h = x.shape.dim() == 4 ? x.shape[2] : 1;
  double sum = 0, most = -kInf, count = 0, read = 0;
  int64_t place = -1;
  for (int64_t i : spec.rows.window(r, h)) {
    for (int64_t j : spec.cols.window(c, w)) {
      ++count;
      if (i < 0 || i >= h || j < 0 || j >= w) continue;
      ++read;
      const double v = x.v[static_cast<size_t>((plane * h + i) * w + j)];
      sum += v;
      if (place < 0 || v > most || std::isnan(v)) {
        most = v;
        place = i * w + j;
      }
    }
  }
  if (spec.kind == Kind::Max) return most;
  if (spec.kind == Kind::MaxIndex) return static_cast<double>(place);
  return sum / (spec.divisor != 0 ? spec.divisor : spec.count_include_pad ? count : read);
}

std::function<Arrays(const Arrays&)> reference_of(Spec spec) {
  return [spec](const Arrays& in) -> Arrays {
    const Array& x = in[0];
    Shape out = x.shape;
    const int last = x.shape.dim() - 1;
    if (last == 3) out[2] = spec.rows.out(x.shape[2]);
    out[last] = spec.cols.out(x.shape[last]);
    return {make_array(out, [&](const Shape& at) {
      return pooled(spec, x, at[0] * out[1] + at[1], last == 3 ? at[2] : 0, at[last]);
    })};
  };
}

OpRow row_of(const std::string& name, std::vector<std::string> covers, const Shape& shape,
             Spec spec, std::function<Tensor(const Tensor&)> op) {
  OpRow row = Row(name)
                  .covers(std::move(covers))
                  .calls([op = std::move(op)](const Tensor& x) { return op(x); })
                  .on(input(shape))
                  .expects(reference_of(spec));
  if (spec.kind != Kind::Average)
    row.inputs[0].extremes = {1, 1, -1, kInf, kNaN, kNaN, -kInf, -kInf};
  if (spec.kind == Kind::MaxIndex) {
    row.differentiable = false;
    row.out_dtype = i64;
  }
  row.zero_second = {0};
  row.empty = {shape};
  row.empty[0][0] = 0;
  row.has_empty = true;
  row = Row(row)
            .without_refusals()
            .refuses(
                "undefined", [op = row.op] { op({Tensor()}); }, "undefined tensor")
            .refuses(
                "dims",
                [op = row.op] {
                  op({zeros({2, 2, 2, 2, 2})});
                },
                "got (2, 2, 2, 2, 2)")
            .refuses(
                "channels",
                [op = row.op, dims = shape.dim()] {
                  op({zeros(dims == 3 ? Shape{2, 0, 9} : Shape{2, 0, 9, 9})});
                },
                "empty dims apart from the batch")
            .refuses(
                "integers",
                [op = row.op] {
                  op({zeros({2, 9, 9}, {.dtype = i64})});
                },
                "i64");
  return row;
}

const std::vector<std::string> kMax = {"max_pool", "max_pool_backward", "max_pool_take"};
const std::vector<std::string> kAverage = {"avg_pool", "avg_pool_backward"};

std::vector<OpRow> max_rows() {
  std::vector<OpRow> rows;
  const Axis two{.kernel = 2, .stride = 2};
  OpRow plain = row_of("max_pool2d", kMax, {2, 2, 5, 10}, {two, two},
                       [](const Tensor& x) { return max_pool2d(x, 2); });
  plain.bad.insert(plain.bad.end(),
                   {{"kernel",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 4);
                     },
                     "kernel_size (4,), dilation (1,) and padding (0,) do not fit into (1, 3, 4)"},
                    {"kernel 0",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 0);
                     },
                     "kernel_size of at least 1, got (0,)"},
                    {"three",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), {1, 1, 1});
                     },
                     "one number or (height, width)"},
                    {"stride",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 2, 0);
                     },
                     "stride of at least 1, got (0,)"},
                    {"padding",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 2, 2, 2);
                     },
                     "at most half of kernel_size (2,), got (2,)"},
                    {"negative",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 2, 2, -1);
                     },
                     "padding of at least 0, got (-1,)"},
                    {"dilation",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 2, 2, 0, 0);
                     },
                     "dilation of at least 1"},
                    {"huge",
                     [] {
                       max_pool2d(zeros({1, 3, 4}), 2, 2, 0, int64_t{1} << 62);
                     },
                     "dilation of at most 2^40"}});
  rows.push_back(plain);
  // Numbers of columns that select different loops.
  for (const int64_t columns : {7, 23, 71}) {
    rows.push_back(row_of("max_pool2d_" + std::to_string(columns) + "_columns", kMax,
                          {2, 2, 4, columns}, {two, two},
                          [](const Tensor& x) { return max_pool2d(x, 2); }));
  }
  rows.push_back(
      row_of("max_pool2d_options", kMax, {2, 2, 7, 6},
             {{.kernel = 3, .stride = 1, .padding = 1, .dilation = 2, .ceil_mode = true},
              {.kernel = 2, .stride = 3, .padding = 1, .dilation = 1, .ceil_mode = true}},
             [](const Tensor& x) {
               return max_pool2d(x, {3, 2}, {1, 3}, {1, 1}, {2, 1}, true);
             }));
  // 256 elements per window: offsets of another dtype.
  rows.push_back(row_of("max_pool2d_large", kMax, {1, 2, 18, 17},
                        {{.kernel = 16, .stride = 1}, {.kernel = 16, .stride = 1}},
                        [](const Tensor& x) { return max_pool2d(x, 16, 1); }));
  rows.push_back(row_of("max_pool1d", kMax, {2, 3, 9},
                        {{}, {.kernel = 3, .stride = 2, .padding = 1}},
                        [](const Tensor& x) { return max_pool1d(x, 3, 2, 1); }));
  const Spec overlapping{{.kernel = 3, .stride = 2, .padding = 1},
                         {.kernel = 3, .stride = 2, .padding = 1}};
  rows.push_back(
      row_of("max_pool2d_with_indices", {"max_pool_with_indices"}, {2, 2, 6, 7}, overlapping,
             [](const Tensor& x) { return std::get<0>(max_pool2d_with_indices(x, 3, 2, 1)); }));
  Spec places = overlapping;
  places.kind = Kind::MaxIndex;
  rows.push_back(
      row_of("max_pool2d_indices", {"max_pool_with_indices"}, {2, 2, 6, 7}, places,
             [](const Tensor& x) { return std::get<1>(max_pool2d_with_indices(x, 3, 2, 1)); }));
  rows.push_back(row_of("max_pool1d_indices", {"max_pool_with_indices"}, {2, 3, 9},
                        {{}, {.kernel = 3, .stride = 3}, Kind::MaxIndex}, [](const Tensor& x) {
                          return std::get<1>(max_pool1d_with_indices(x, 3));
                        }));
  return rows;
}

std::vector<OpRow> average_rows() {
  std::vector<OpRow> rows;
  const Axis two{.kernel = 2, .stride = 2};
  rows.push_back(Row(row_of("avg_pool2d", kAverage, {2, 2, 5, 6}, {two, two, Kind::Average},
                            [](const Tensor& x) { return avg_pool2d(x, 2); }))
                     .refuses(
                         "divisor",
                         [] {
                           avg_pool2d(zeros({1, 3, 4}), 2, 2, 0, false, true, 0);
                         },
                         "divisor_override other than 0")
                     .refuses(
                         "room",
                         [] {
                           avg_pool2d(zeros({1, 3, 4}), {4, 1});
                         },
                         "do not fit into (1, 3, 4)"));
  const Axis padded{.kernel = 3, .stride = 2, .padding = 1, .ceil_mode = true};
  for (const bool include : {true, false}) {
    rows.push_back(row_of(include ? "avg_pool2d_padded" : "avg_pool2d_count", kAverage,
                          {2, 2, 6, 8}, {padded, padded, Kind::Average, include},
                          [=](const Tensor& x) { return avg_pool2d(x, 3, 2, 1, true, include); }));
  }
  rows.push_back(
      row_of("avg_pool2d_divisor", kAverage, {1, 2, 5, 7},
             {{.kernel = 3, .stride = 1}, {.kernel = 2, .stride = 3}, Kind::Average, true, -3},
             [](const Tensor& x) {
               return avg_pool2d(x, {3, 2}, {1, 3}, 0, false, true, -3);
             }));
  const Axis large{.kernel = 9, .stride = 4, .padding = 4};
  rows.push_back(row_of("avg_pool2d_large", kAverage, {1, 2, 12, 11},
                        {large, large, Kind::Average, false},
                        [](const Tensor& x) { return avg_pool2d(x, 9, 4, 4, false, false); }));
  rows.push_back(row_of("avg_pool1d", kAverage, {2, 3, 70},
                        {{}, {.kernel = 3, .stride = 1, .padding = 1}, Kind::Average},
                        [](const Tensor& x) { return avg_pool1d(x, 3, 1, 1); }));
  return rows;
}

std::vector<OpRow> adaptive_rows() {
  std::vector<OpRow> rows;
  const auto sizes = [](int64_t h, int64_t w, Kind kind) {
    return Spec{{.adaptive = h}, {.adaptive = w}, kind};
  };
  rows.push_back(
      Row(row_of("adaptive_avg_pool2d", kAverage, {2, 2, 7, 5}, sizes(3, 4, Kind::Average),
                 [](const Tensor& x) {
                   return adaptive_avg_pool2d(x, {3, 4});
                 }))
          .refuses(
              "negative",
              [] {
                adaptive_avg_pool2d(zeros({1, 3, 4}), {-1, 2});
              },
              "at least 0, got -1")
          .refuses(
              "sizes",
              [] {
                adaptive_avg_pool1d(zeros({1, 3, 4}), {1, 2});
              },
              "expected one output size, got 2")
          .refuses(
              "many",
              [] {
                adaptive_avg_pool2d(zeros({1, 3, 4}), {1, 2, 3});
              },
              "at most 2 output sizes, got 3"));
  rows.push_back(row_of("adaptive_avg_pool2d_global", kAverage, {3, 2, 4, 9},
                        sizes(1, 1, Kind::Average),
                        [](const Tensor& x) { return adaptive_avg_pool2d(x, 1); }));
  rows.push_back(row_of("adaptive_avg_pool1d", kAverage, {2, 3, 4},
                        {{}, {.adaptive = 7}, Kind::Average},
                        [](const Tensor& x) { return adaptive_avg_pool1d(x, 7); }));
  rows.push_back(row_of("adaptive_max_pool2d", kMax, {2, 2, 7, 5}, sizes(3, 5, Kind::Max),
                        [](const Tensor& x) {
                          return adaptive_max_pool2d(x, {3, std::nullopt});
                        }));
  rows.push_back(row_of("adaptive_max_pool2d_indices", {"max_pool_with_indices"}, {2, 2, 4, 5},
                        sizes(2, 3, Kind::MaxIndex), [](const Tensor& x) {
                          return std::get<1>(adaptive_max_pool2d_with_indices(x, {2, 3}));
                        }));
  rows.push_back(row_of("adaptive_max_pool1d", kMax, {2, 3, 8}, {{}, {.adaptive = 3}},
                        [](const Tensor& x) { return adaptive_max_pool1d(x, 3); }));
  rows.push_back(row_of("adaptive_max_pool1d_with_indices", {"max_pool_with_indices"}, {2, 3, 8},
                        {{}, {.adaptive = 3}}, [](const Tensor& x) {
                          return std::get<0>(adaptive_max_pool1d_with_indices(x, 3));
                        }));
  return rows;
}

}  // namespace

std::vector<OpRow> pooling_rows() {
  std::vector<OpRow> rows;
  for (auto part : {max_rows, average_rows, adaptive_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
