// Rows of softmax and related functions.
#include <cmath>

#include "ebb/autograd/ops/activation.h"
#include "ebb/tests/support/op_row.h"
#include "ebb/tests/support/reduce_references.h"

namespace ebb::test {

std::vector<OpRow> softmax_rows() {
  using Rule = std::function<double(double x, const Values& row)>;
  const Rule share = [](double x, const Values& row) { return std::exp(x - log_sum_exp(row)); };
  const Rule log_share = [](double x, const Values& row) {
    const double top = largest(row);
    Values shifted = row;
    for (double& v : shifted) v -= top;
    return (x - top) - log_sum_exp(shifted);  // does not cancel next to 1000
  };
  // Applies `rule` to each element and the elements along dim.
  const auto along = [](int64_t dim, Rule rule) {
    return [=](const Arrays& in) -> Arrays {
      const Array& x = in[0];
      const int d = x.shape.dim() == 0 ? -1 : static_cast<int>(dim < 0 ? dim + x.shape.dim() : dim);
      return {make_array(x.shape, [&](const Shape& at) {
        Values row;
        Shape other = at;
        for (int64_t i = 0; i < (d < 0 ? 1 : x.shape[d]); ++i) {
          if (d >= 0) other[d] = i;
          row.push_back(x.v[static_cast<size_t>(ravel(other, x.shape))]);
        }
        return rule(x.v[static_cast<size_t>(ravel(at, x.shape))], row);
      })};
    };
  };
  const auto row_of = [&](const std::string& name, Tensor (*op)(const TensorArg&, int64_t),
                          int64_t dim, const Rule& rule) {
    return Row(name)
        .calls([op, dim](const Tensor& x) { return op(x, dim); })
        .on(input({2, 3, 4}).including(1000, -1000, 999, 0, -kInf))
        .expects(along(dim, rule))
        .third_order()
        .empty({0, 3, 4})
        .refuses(
            "dim",
            [op] {
              op(zeros({2, 3}), 2);
            },
            "dim 2 is out of range: expected -2 to 1")
        .refuses(
            "integers",
            [op] {
              op(zeros({2, 3}, {.dtype = i64}), 1);
            },
            "i64")
        .refuses(
            "undefined", [op] { op(Tensor(), 0); }, "undefined tensor");
  };
  std::vector<OpRow> rows{row_of("softmax", softmax, -1, share),
                          row_of("softmax_middle", softmax, 1, share),
                          row_of("log_softmax", log_softmax, -1, log_share),
                          row_of("log_softmax_first", log_softmax, 0, log_share)};
  rows[0].covers = rows[1].covers = {"softmax", "softmax_backward"};
  rows[2].covers = rows[3].covers = {"log_softmax", "log_softmax_backward"};
  OpRow least = row_of("softmin", softmin, -1, [&](double x, const Values& row) {
    Values negated = row;
    for (double& v : negated) v = -v;
    return std::exp(-x - log_sum_exp(negated));
  });
  least.inputs[0].extremes = {1000, -1000, 999, 0, kInf};
  rows.push_back(least);
  for (size_t i : {size_t{0}, size_t{2}}) {  // over a single element: the constants 1 and 0
    OpRow single =
        Row(rows[i])
            .named(rows[i].name + "_scalar")
            .calls([i](const Tensor& x) { return i == 0 ? softmax(x, 0) : log_softmax(x, -1); })
            .expects(along(0, i == 0 ? share : log_share))
            .without_empty()
            .third_order(false)
            .zero_gradient(0)
            .zero_second(0);
    single.inputs = {input()};
    rows.push_back(single);
  }
  return rows;
}

}  // namespace ebb::test
