// Rows of sorting, running sums and products, einsum, and draws.
#include "ebb/autograd/ops/sorting.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "ebb/autograd/ops/einsum.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

// Applies `rule` to each row along dim 1 of (a, n, b). The result has the length of rule(row).
std::function<Arrays(const Arrays&)> along(std::function<Values(const Values&)> rule) {
  return [=](const Arrays& in) -> Arrays {
    const Array& x = in[0];
    const int64_t n = x.shape[1];
    Array out;
    for (int64_t a = 0; a < x.shape[0]; ++a) {
      for (int64_t b = 0; b < x.shape[2]; ++b) {
        Values row;
        for (int64_t i = 0; i < n; ++i)
          row.push_back(x.v[static_cast<size_t>(ravel({a, i, b}, x.shape))]);
        const Values made = rule(row);
        if (out.v.empty()) {
          out.shape = {x.shape[0], static_cast<int64_t>(made.size()), x.shape[2]};
          out.v.resize(static_cast<size_t>(out.shape.numel()));
        }
        for (size_t i = 0; i < made.size(); ++i)
          out.v[static_cast<size_t>(ravel({a, static_cast<int64_t>(i), b}, out.shape))] = made[i];
      }
    }
    if (out.v.empty()) out.shape = x.shape;
    return {out};
  };
}

Values order_of(const Values& row, bool descending) {
  Values places(row.size());
  std::iota(places.begin(), places.end(), 0);
  std::stable_sort(places.begin(), places.end(), [&](double i, double j) {
    const double a = row[static_cast<size_t>(i)], b = row[static_cast<size_t>(j)];
    const bool less = a < b || (std::isnan(b) && !std::isnan(a));
    const bool greater = a > b || (std::isnan(a) && !std::isnan(b));
    return descending ? greater : less;
  });
  return places;
}

using Pair = std::tuple<Tensor, Tensor>;

// Values and indices of one sort as two rows.
void add_pair(std::vector<OpRow>& rows, const std::string& name, bool descending, int64_t k,
              std::function<Pair(const Tensor&)> op, std::vector<BadInput> bad) {
  const auto places = [=](const Values& row) {
    Values order = order_of(row, descending);
    if (k > 0) order.resize(static_cast<size_t>(k));
    return order;
  };
  OpRow values = Row(name)
                     .covers("sort")
                     .calls([op](const Tensor& x) { return std::get<0>(op(x)); })
                     .on(input({2, 6, 3}).including(kInf, 1, -kInf, 1, kNaN, 1, 0, -0.0))
                     .expects(along([=](const Values& row) {
                       Values out;
                       for (double i : places(row)) out.push_back(row[static_cast<size_t>(i)]);
                       return out;
                     }))
                     .zero_second(0)
                     .also_integers();
  values.bad = std::move(bad);
  rows.push_back(values);
  rows.push_back(Row(values)
                     .named(name + "_indices")
                     .calls([op](const Tensor& x) { return std::get<1>(op(x)); })
                     .expects(along(places))
                     .without_gradient()
                     .returns(i64));
}

std::vector<OpRow> order_rows() {
  std::vector<OpRow> rows;
  const std::vector<BadInput> bad = {
      {"dim",
       [] {
         sort(zeros({2, 3}), 2);
       },
       "dim 2 is out of range"},
      {"undefined", [] { sort(Tensor()); }, "undefined tensor"},
      {"argsort", [] { argsort(zeros({2}), 1); }, "dim 1 is out of range"}};
  add_pair(
      rows, "sort", false, 0, [](const Tensor& x) { return sort(x, 1); }, bad);
  rows.push_back(
      Row(rows.back()).named("argsort").calls([](const Tensor& x) { return argsort(x, 1); }));
  add_pair(
      rows, "sort_descending", true, 0, [](const Tensor& x) { return sort(x, 1, true); }, bad);
  const std::vector<BadInput> bad_k = {
      {"k",
       [] {
         topk(zeros({2, 3}), 4);
       },
       "k from 0 to 3, the size of dim 1 of shape (2, 3), got 4"},
      {"negative",
       [] {
         topk(zeros({2, 3}), -1);
       },
       "got -1"},
      {"dim", [] { topk(zeros({2}), 1, 1); }, "dim 1 is out of range"}};
  add_pair(
      rows, "topk", true, 3, [](const Tensor& x) { return topk(x, 3, 1); }, bad_k);
  add_pair(
      rows, "topk_smallest", false, 2, [](const Tensor& x) { return topk(x, 2, 1, false); }, bad_k);
  return rows;
}

std::vector<OpRow> running_rows() {
  std::vector<OpRow> rows;
  for (const bool product : {false, true}) {
    OpRow row =
        Row(product ? "cumprod" : "cumsum")
            .covers(product ? std::vector<std::string>{"cumprod", "linear_recurrence"}
                            : std::vector<std::string>{"cumsum"})
            .calls([product](const Tensor& x) { return product ? cumprod(x, 1) : cumsum(x, 1); })
            .on(input({2, 7, 3}).including(1, kInf, 0, 2))
            .expects(along([product](const Values& row) {
              Values out;
              double total = product ? 1 : 0;
              for (double x : row) out.push_back(total = product ? total * x : total + x);
              return out;
            }))
            .within_f64(1e-14)
            .third_order(product);
    if (!product) row.zero_second = {0};
    row.has_integers = true;
    row.empty = {{0, 7, 3}};
    row.has_empty = true;
    row = Row(row)
              .without_refusals()
              .refuses(
                  "dim", [product] { product ? cumprod(zeros({2}), 1) : cumsum(zeros({2}), 1); },
                  "dim 1 is out of range")
              .refuses(
                  "undefined", [product] { product ? cumprod(Tensor(), 0) : cumsum(Tensor(), 0); },
                  "undefined tensor");
    rows.push_back(row);
  }
  // Zeros, at which a gradient that divides would fail.
  OpRow zeros_in = Row(rows[1])
                       .named("cumprod_zeros")
                       .on(input({1, 6, 2}).exactly({2, 0, 3, 1, 0, 4, 5, 0, 2, 3, 0, 1}))
                       .without_empty()
                       .third_order(false);
  zeros_in.has_integers = false;
  rows.push_back(zeros_in);
  using Reduction = Tensor (*)(const TensorArg&, const Shape&, bool);
  const Reduction product = prod;
  const auto folded = [](bool whole) {
    return [whole](const Arrays& in) -> Arrays {
      const Array& x = in[0];
      if (whole) {
        double total = 1;
        for (double v : x.v) total *= v;
        return {Array{{}, {total}}};
      }
      Array out{{1, x.shape[1], 1}, Values(static_cast<size_t>(x.shape[1]), 1)};
      for (int64_t i = 0; i < x.shape.numel(); ++i)
        out.v[static_cast<size_t>(unravel(i, x.shape)[1])] *= x.v[static_cast<size_t>(i)];
      return {out};
    };
  };
  for (const bool whole : {true, false}) {
    OpRow row = Row(whole ? "prod" : "prod_dims_keepdim")
                    .covers("prod")
                    .calls([=](const Tensor& x) {
                      return whole ? product(x, {}, false) : product(x, {0, 2}, true);
                    })
                    .on(input({2, 3, 2}).including(1, 0))
                    .expects(folded(whole))
                    .also_integers();
    row.has_scalar = whole;
    if (whole) row.empty = {{2, 0, 2}};
    row.has_empty = whole;
    row = Row(row)
              .without_refusals()
              .refuses(
                  "dim", [product] { product(zeros({2}), {1}, false); }, "dim 1 is out of range")
              .refuses(
                  "undefined", [product] { product(Tensor(), {}, false); }, "undefined tensor");
    rows.push_back(row);
  }
  OpRow with_zeros = Row(rows.back())
                         .named("prod_zeros")
                         .on(input({2, 3, 2}).exactly({2, 0, 3, 1, 0, 0, 5, 4, 2, 3, 7, 1}));
  with_zeros.has_integers = false;
  rows.push_back(with_zeros);
  return rows;
}

std::vector<OpRow> einsum_rows() {
  OpRow product =
      Row("einsum")
          .covers("matmul")
          .calls([](const Tensor& a, const Tensor& b) {
            return einsum("bij,bjk->bki", {a, b});
          })
          .on(input({2, 3, 4}), input({2, 4, 2}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array({2, 2, 3}, [&](const Shape& at) {
              double total = 0;
              for (int64_t j = 0; j < 4; ++j) {
                total += in[0].v[static_cast<size_t>(ravel({at[0], at[2], j}, in[0].shape))] *
                         in[1].v[static_cast<size_t>(ravel({at[0], j, at[1]}, in[1].shape))];
              }
              return total;
            })};
          })
          .refuses(
              "sizes",
              [] {
                einsum("ij,jk->ik", {zeros({2, 3}), zeros({2, 3})});
              },
              "sizes 3 and 2 of one letter")
          .refuses(
              "letters", [] { einsum("ij->i", {zeros({2})}); }, "operand of 1 dims has 2 letters")
          .refuses(
              "operands", [] { einsum("i,i", {zeros({2})}); }, "more terms than the 1 operands")
          .refuses(
              "few",
              [] {
                einsum("i", {zeros({2}), zeros({2})});
              },
              "fewer terms than the 2 operands")
          .refuses(
              "result", [] { einsum("i->j", {zeros({2})}); },
              "a letter of the result that no operand has")
          .refuses(
              "twice", [] { einsum("i->ii", {zeros({2})}); }, "a letter twice in the result")
          .refuses(
              "character", [] { einsum("i1->i", {zeros({2})}); }, "unexpected '1'")
          .refuses(
              "dtypes",
              [] {
                einsum("i,i", {zeros({2}), zeros({2}, {.dtype = f64})});
              },
              "dtypes differ")
          .refuses(
              "integers", [] { einsum("i", {zeros({2}, {.dtype = i64})}); }, "i64");
  OpRow three =
      Row("einsum_three")
          .covers("matmul", "sum")
          .calls([](const Tensor& a, const Tensor& b, const Tensor& c) {
            return einsum("...i, ij, kj", {a, b, c});
          })
          .on(input({2, 2, 3}), input({3, 4}), input({2, 4}))
          .expects([](const Arrays& in) -> Arrays {
            return {make_array({2, 2, 2}, [&](const Shape& at) {
              double total = 0;
              for (int64_t i = 0; i < 3; ++i) {
                for (int64_t j = 0; j < 4; ++j) {
                  total += in[0].v[static_cast<size_t>(ravel({at[0], at[1], i}, in[0].shape))] *
                           in[1].v[static_cast<size_t>(ravel({i, j}, in[1].shape))] *
                           in[2].v[static_cast<size_t>(ravel({at[2], j}, in[2].shape))];
                }
              }
              return total;
            })};
          })
          .refuses(
              "dots", [] { einsum("....i", {zeros({2})}); }, "unexpected '.'");
  OpRow trace = Row("einsum_trace")
                    .covers("diagonal")
                    .calls([](const Tensor& x) { return einsum("iji->j", {x}); })
                    .on(input({3, 2, 3}))
                    .expects([](const Arrays& in) -> Arrays {
                      return {make_array({2}, [&](const Shape& at) {
                        double total = 0;
                        for (int64_t i = 0; i < 3; ++i)
                          total += in[0].v[static_cast<size_t>(ravel({i, at[0], i}, in[0].shape))];
                        return total;
                      })};
                    })
                    .zero_second(0)
                    .refuses(
                        "sizes",
                        [] {
                          einsum("ii", {zeros({2, 3})});
                        },
                        "a repeated letter with two sizes");
  return {product, three, trace};
}

std::vector<OpRow> draw_rows() {
  OpRow coins =
      Row("bernoulli")
          .covers("less")
          .calls([](const Tensors& in) -> Tensors {
            Generator generator{4, 0};
            return {bernoulli(in[0], &generator)};
          })
          .on(input({3, 4}).between(0, 1).including(0, 1))
          .expects([](const Arrays& in) -> Arrays {
            Generator generator{4, 0};
            Array out = in[0];
            const Values u = rand(out.shape, {.dtype = f64}, &generator).to_vector<double>();
            for (size_t i = 0; i < u.size(); ++i) out.v[i] = u[i] < out.v[i];
            return {out};
          })
          .refuses(
              "range", [] { bernoulli(tensor({1.5})); }, "probabilities from 0 to 1, got 1.5")
          .refuses(
              "integers", [] { bernoulli(zeros({2}, {.dtype = i64})); }, "i64");
  OpRow draws = Row("multinomial")
                    .covers("cumsum")
                    .calls([](const Tensors& in) -> Tensors {
                      Generator generator{4, 0};
                      return {multinomial(in[0], 5, true, &generator)};
                    })
                    .on(input({2, 4}).exactly({0, 1, 2, 0, 0.5, 0.25, 0, 4}))
                    .expects([](const Arrays& in) -> Arrays {
                      Generator generator{4, 0};
                      const Values u = rand({2, 5}, {.dtype = f64}, &generator).to_vector<double>();
                      return {make_array({2, 5}, [&](const Shape& at) {
                        const double* w = &in[0].v[static_cast<size_t>(4 * at[0])];
                        double left =
                            u[static_cast<size_t>(5 * at[0] + at[1])] * (w[0] + w[1] + w[2] + w[3]);
                        int i = 0;
                        while (left >= w[i]) left -= w[i++];
                        return i;
                      })};
                    })
                    .returns(i64)
                    .refuses(
                        "negative",
                        [] {
                          multinomial(tensor({1., -1.}), 1);
                        },
                        "at least 0, got -1")
                    .refuses(
                        "nothing", [] { multinomial(zeros({3}), 1, true); }, "sum above 0")
                    .refuses(
                        "many", [] { multinomial(ones({3}), 4); }, "3 samples without replacement")
                    .refuses(
                        "zeros",
                        [] {
                          multinomial(tensor({1., 0.}), 2);
                        },
                        "num_samples weights above 0")
                    .refuses(
                        "dims",
                        [] {
                          multinomial(ones({2, 2, 2}), 1);
                        },
                        "got (2, 2, 2)");
  for (OpRow* row : {&coins, &draws}) row->differentiable = row->captured = false;
  return {coins, draws};
}

}  // namespace

std::vector<OpRow> sorting_rows() {
  std::vector<OpRow> rows;
  for (auto part : {order_rows, running_rows, einsum_rows, draw_rows}) {
    for (OpRow& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace ebb::test
