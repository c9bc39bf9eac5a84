// Rows of variance and norms, and of products that are matmul under another name.
#include <algorithm>
#include <cmath>

#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using Fold = std::function<double(const Values&)>;

// Computes fold of the elements along dim 1 of (a, n, b), or of all elements.
std::function<Arrays(const Arrays&)> folding(bool along, bool keepdim, Fold fold) {
  return [=](const Arrays& in) -> Arrays {
    const Array& x = in[0];
    if (!along) return {Array{keepdim ? Shape{1, 1, 1} : Shape{}, {fold(x.v)}}};
    Shape out = x.shape;
    out[1] = 1;
    Array result = make_array(out, [&](const Shape& at) {
      Values row;
      for (int64_t i = 0; i < x.shape[1]; ++i)
        row.push_back(x.v[static_cast<size_t>(ravel({at[0], i, at[2]}, x.shape))]);
      return fold(row);
    });
    if (!keepdim) result.shape.erase(1);
    return {result};
  };
}

Fold variance(double correction) {
  return [=](const Values& v) {
    double mean = 0, squares = 0;
    for (double x : v) mean += x / static_cast<double>(v.size());
    for (double x : v) squares += (x - mean) * (x - mean);
    return squares / std::max(0.0, static_cast<double>(v.size()) - correction);
  };
}

Fold length(double p) {
  return [=](const Values& v) {
    double total = p == -kInf ? kInf : 0;
    for (double x : v) {
      if (std::isinf(p))
        total = p > 0 ? std::fmax(total, std::fabs(x)) : std::fmin(total, std::fabs(x));
      else total += p == 0 ? (x != 0) : std::pow(std::fabs(x), p);
    }
    return p == 0 || std::isinf(p) ? total : std::pow(total, 1 / p);
  };
}

std::vector<OpRow> variance_rows() {
  using Op = Tensor (*)(const TensorArg&, const Shape&, double, bool);
  std::vector<OpRow> rows;
  for (const bool root : {false, true}) {
    const Op op = root ? Op(ebb::std) : Op(var);
    for (const bool along : {false, true}) {
      const double correction = along ? 0 : 1;
      const Shape dims = along ? Shape{1} : Shape{};
      const Fold spread = variance(correction);
      rows.push_back(
          Row(std::string(root ? "std" : "var") + (along ? "_along" : ""))
              .covers("var")
              .calls([=](const Tensor& x) { return op(x, dims, correction, along); })
              .on(input({2, 5, 3}))
              .expects(
                  folding(along, along,
                          [=](const Values& v) { return root ? std::sqrt(spread(v)) : spread(v); }))
              .within_f64(1e-13, 1e-14)
              .third_order(root)
              .refuses(
                  "dim",
                  [op] {
                    op(zeros({2, 3}), {2}, 1, false);
                  },
                  "dim 2 is out of range")
              .refuses(
                  "integers", [op] { op(zeros({2}, {.dtype = i64}), {}, 1, false); },
                  "expected a floating tensor")
              .refuses(
                  "undefined", [op] { op(Tensor(), {}, 1, false); }, "undefined tensor"));
    }
  }
  return rows;
}

std::vector<OpRow> norm_rows() {
  std::vector<OpRow> rows;
  for (const double p : {2.0, 1.0, 3.0, 0.5, 0.0, kInf, -kInf}) {
    for (const bool along : {false, true}) {
      const Shape dims = along ? Shape{1} : Shape{};
      const std::string name = std::isinf(p) ? (p > 0 ? "inf" : "neg_inf") : to_text(p);
      OpRow row = Row("norm_" + name + (along ? "_along" : ""))
                      .covers(p == 2   ? "norm"
                              : p == 0 ? "sum"
                                       : "abs")
                      .calls([=](const Tensor& x) { return norm(x, p, dims, along); })
                      .on(input({2, 3, 2}).avoiding(0))
                      .expects(folding(along, along, length(p)));
      if (p == 0) row.differentiable = false;
      if (p == 1 || std::isinf(p)) row.zero_second = {0};
      row = Row(row)
                .without_refusals()
                .refuses(
                    "dim",
                    [=] {
                      norm(zeros({2, 3}), p, {2});
                    },
                    "dim 2 is out of range")
                .refuses(
                    "integers", [=] { norm(zeros({2}, {.dtype = i64}), p); },
                    "expected a floating tensor")
                .refuses(
                    "p", [] { norm(zeros({2}), kNaN); }, "got NaN");
      rows.push_back(row);
    }
  }
  rows.push_back(Row("normalize")
                     .covers("norm")
                     .calls([](const Tensor& x) { return normalize(x); })
                     .on(input({2, 3, 2}))
                     .expects([](const Arrays& in) -> Arrays {
                       const Array size = folding(true, true, length(2))(in)[0];
                       return {make_array(in[0].shape, [&](const Shape& at) {
                         return in[0].v[static_cast<size_t>(ravel(at, in[0].shape))] /
                                broadcast_at(size, at);
                       })};
                     })
                     .third_order()
                     .refuses(
                         "dim", [] { normalize(zeros({2})); }, "dim 1 is out of range")
                     .refuses(
                         "undefined", [] { normalize(Tensor()); }, "undefined tensor"));
  rows.push_back(
      Row("cosine_similarity")
          .covers("norm")
          .calls([](const Tensor& a, const Tensor& b) { return cosine_similarity(a, b); })
          .on(input({2, 3, 2}), input({1, 3, 2}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array({2, 2}, [&](const Shape& at) {
              double dot = 0, a = 0, b = 0;
              for (int64_t i = 0; i < 3; ++i) {
                const double x = broadcast_at(in[0], {at[0], i, at[1]});
                const double y = broadcast_at(in[1], {at[0], i, at[1]});
                dot += x * y, a += x * x, b += y * y;
              }
              return dot / std::sqrt(a * b);
            })};
          })
          .refuses(
              "shapes",
              [] {
                cosine_similarity(zeros({2, 3}), zeros({2, 4}));
              },
              "(2, 3) and (2, 4)")
          .refuses(
              "dtypes",
              [] {
                cosine_similarity(zeros({2, 2}), zeros({2, 2}, {.dtype = f64}));
              },
              "dtypes differ")
          .refuses(
              "dim", [] { cosine_similarity(zeros({2}), zeros({2})); }, "dim 1 is out of range"));
  return rows;
}

std::vector<OpRow> named_product_rows() {
  OpRow inner =
      Row("dot")
          .covers("matmul")
          .calls([](const Tensor& a, const Tensor& b) { return dot(a, b); })
          .on(input({5}), input({5}))
          .expects([](const Arrays& in) -> Arrays {
            double total = 0;
            for (size_t i = 0; i < in[0].v.size(); ++i) total += in[0].v[i] * in[1].v[i];
            return {Array{{}, {total}}};
          })
          .refuses(
              "length", [] { dot(zeros({2}), zeros({3})); }, "same length, got (2,) and (3,)")
          .refuses(
              "dims",
              [] {
                dot(zeros({1, 2}), zeros({1, 2}));
              },
              "two vectors");
  OpRow table =
      Row("outer")
          .covers("mul")
          .calls([](const Tensor& a, const Tensor& b) { return outer(a, b); })
          .on(input({3}), input({4}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array({3, 4}, [&](const Shape& at) {
              return in[0].v[static_cast<size_t>(at[0])] * in[1].v[static_cast<size_t>(at[1])];
            })};
          })
          .also_integers()
          .refuses(
              "dims",
              [] {
                outer(zeros({2, 2}), zeros({2}));
              },
              "two vectors, got (2, 2) and (2,)")
          .refuses(
              "undefined", [] { outer(zeros({2}), Tensor()); }, "undefined tensor");
  OpRow batch = Row("bmm")
                    .covers("matmul")
                    .calls([](const Tensor& a, const Tensor& b) { return bmm(a, b); })
                    .on(input({2, 3, 4}), input({2, 4, 2}))
                    .expects([](const Arrays& in) -> Arrays {
                      return {make_array({2, 3, 2}, [&](const Shape& at) {
                        double total = 0;
                        for (int64_t k = 0; k < 4; ++k) {
                          total +=
                              in[0].v[static_cast<size_t>(ravel({at[0], at[1], k}, in[0].shape))] *
                              in[1].v[static_cast<size_t>(ravel({at[0], k, at[2]}, in[1].shape))];
                        }
                        return total;
                      })};
                    })
                    .refuses(
                        "batch",
                        [] {
                          bmm(zeros({2, 3, 4}), zeros({1, 4, 2}));
                        },
                        "(b, m, k) and (b, k, n), got (2, 3, 4) and (1, 4, 2)")
                    .refuses(
                        "dims",
                        [] {
                          bmm(zeros({3, 4}), zeros({4, 2}));
                        },
                        "got (3, 4) and (4, 2)");
  return {inner, table, batch};
}

}  // namespace

std::vector<OpRow> statistics_rows() {
  std::vector<OpRow> rows;
  for (auto part : {variance_rows, norm_rows, named_product_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
