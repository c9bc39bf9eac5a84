// Rows of reductions.
#include "ebb/autograd/ops/reduce.h"

#include <algorithm>
#include <cmath>

#include "ebb/tests/support/op_row.h"
#include "ebb/tests/support/reduce_references.h"

namespace ebb::test {
namespace {

using Fold = std::function<double(const Values&)>;

// Computes out[...] = fold(the elements that differ only in `dims`).
std::function<Arrays(const Arrays&)> folding(Shape dims, bool keepdim, Fold fold) {
  return [=](const Arrays& in) -> Arrays {
    const Array& x = in[0];
    bool reduced[kMaxDims] = {};
    for (int64_t d : dims) reduced[d < 0 ? d + x.shape.dim() : d] = true;
    Shape out;
    for (int d = 0; d < x.shape.dim(); ++d) {
      const bool gone = dims.empty() || reduced[d];
      if (!gone) out.push_back(x.shape[d]);
      else if (keepdim) out.push_back(1);
    }
    std::vector<Values> groups(static_cast<size_t>(out.numel()));
    for (int64_t i = 0; i < x.shape.numel(); ++i) {
      const Shape at = unravel(i, x.shape);
      Shape to;
      for (int d = 0; d < x.shape.dim(); ++d) {
        const bool gone = dims.empty() || reduced[d];
        if (!gone) to.push_back(at[d]);
        else if (keepdim) to.push_back(0);
      }
      groups[static_cast<size_t>(ravel(to, out))].push_back(x.v[static_cast<size_t>(i)]);
    }
    Array result{out, {}};
    for (const Values& group : groups) result.v.push_back(fold(group));
    return {result};
  };
}

double first_largest(const Values& v) {
  for (size_t i = 0; i < v.size(); ++i) {
    if (std::isnan(v[i])) return static_cast<double>(i);
  }
  return static_cast<double>(std::max_element(v.begin(), v.end()) - v.begin());
}
double first_smallest(const Values& v) {
  for (size_t i = 0; i < v.size(); ++i) {
    if (std::isnan(v[i])) return static_cast<double>(i);
  }
  return static_cast<double>(std::min_element(v.begin(), v.end()) - v.begin());
}

using Reduction = Tensor (*)(const TensorArg&, const Shape&, bool);

// Adds the same reduction over all dims, over one in the middle, and over two dims apart with
// keepdim.
std::vector<OpRow> forms_of(const std::string& name, Reduction op, const Fold& fold,
                            const Input& domain) {
  struct Form {
    std::string suffix;
    Shape dims;
    bool keepdim;
  };
  std::vector<OpRow> rows;
  for (const Form& form : {Form{"", {}, false}, Form{"_dim", {1}, false},
                           Form{"_last", {-1}, false}, Form{"_dims_keepdim", {0, 2}, true}}) {
    OpRow row = Row(name + form.suffix)
                    .covers(name)
                    .calls([=](const Tensor& x) { return op(x, form.dims, form.keepdim); })
                    .on(domain)
                    .expects(folding(form.dims, form.keepdim, fold));
    row.inputs[0].shape = {2, 3, 4};
    row.empty = {{2, 3, 0}};
    if (form.suffix == "_dim") row.empty = {{0, 3, 2}};
    row.has_empty = true;
    row.has_scalar = form.dims.empty();
    row = Row(row)
              .without_refusals()
              .refuses(
                  "dim",
                  [op] {
                    op(zeros({2, 3}), {2}, false);
                  },
                  "dim 2 is out of range")
              .refuses(
                  "twice",
                  [op] {
                    op(zeros({2, 3}), {1, -1}, false);
                  },
                  "dim -1 appears twice in (1, -1)")
              .refuses(
                  "undefined", [op] { op(Tensor(), {}, false); }, "undefined tensor");
    rows.push_back(row);
  }
  return rows;
}

// max(x, dim): values and indices. The gradient is that of the chosen elements alone.
std::vector<OpRow> extreme_rows() {
  std::vector<OpRow> rows;
  for (const bool top : {true, false}) {
    using Pair = std::tuple<Tensor, Tensor> (*)(const TensorArg&, int64_t, bool);
    const Pair op = top ? Pair(max) : Pair(min);
    const Fold value = top ? largest : smallest, index = top ? first_largest : first_smallest;
    for (const bool keepdim : {false, true}) {
      OpRow row = Row(std::string(top ? "max" : "min") + (keepdim ? "_along_keepdim" : "_along"))
                      .covers("gather")
                      .calls([=](const Tensor& x) { return std::get<0>(op(x, 1, keepdim)); })
                      .on(input({2, 3, 4}).including(kInf, -kInf, kNaN, 3))
                      .expects(folding({1}, keepdim, value))
                      .zero_second(0)
                      .also_integers()
                      .empty({0, 3, 2})
                      .refuses(
                          "dim",
                          [op] {
                            op(zeros({2, 3}), 2, false);
                          },
                          "dim 2 is out of range")
                      .refuses(
                          "nothing",
                          [op] {
                            op(zeros({0, 3}), 0, false);
                          },
                          "cannot reduce dims of size 0 of shape (0, 3)")
                      .refuses(
                          "undefined", [op] { op(Tensor(), 0, false); }, "undefined tensor");
      rows.push_back(row);
      rows.push_back(Row(row)
                         .named(row.name + "_indices")
                         .calls([=](const Tensor& x) { return std::get<1>(op(x, 1, keepdim)); })
                         .expects(folding({1}, keepdim, index))
                         .without_gradient()
                         .returns(i64));
    }
    rows.push_back(
        Row(top ? "max" : "min")
            .covers(top ? "amax" : "amin")
            .calls([top](const Tensor& x) { return top ? max(x) : min(x); })
            .on(input({2, 3, 4}).including(kInf, -kInf, 3))
            .expects(folding({}, false, value))
            .zero_second(0)
            .also_integers()
            .scalars()
            .refuses(
                "nothing",
                [top] {
                  top ? max(zeros({0, 3})) : min(zeros({0, 3}));
                },
                "expected at least one element, got shape (0, 3)")
            .refuses(
                "undefined", [top] { top ? max(Tensor()) : min(Tensor()); }, "undefined tensor"));
  }
  return rows;
}

std::vector<OpRow> truth_rows() {
  std::vector<OpRow> rows;
  for (const bool any_of : {true, false}) {
    const Fold fold = [any_of](const Values& v) {
      size_t count = 0;
      for (double x : v) count += x != 0;
      return any_of ? count > 0 : count == v.size();
    };
    const Reduction op = any_of ? any : all;
    for (const bool dims : {false, true}) {
      rows.push_back(Row(std::string(any_of ? "any" : "all") + (dims ? "_dims" : ""))
                         .covers("not_equal")
                         .calls([=](const Tensor& x) {
                           return dims ? op(x, {0, 2}, true) : op(x, {}, false);
                         })
                         .on(input({2, 3, 2}).exactly({0, 0, 1, 2, kNaN, 3, 0, 0, -1, kInf, 0, 1}))
                         .expects(dims ? folding({0, 2}, true, fold) : folding({}, false, fold))
                         .returns(boolean)
                         .without_gradient()
                         .empty({2, 3, 0})
                         .refuses(
                             "dim", [op] { op(zeros({2}), {1}, false); }, "dim 1 is out of range")
                         .refuses(
                             "undefined", [op] { op(Tensor(), {}, false); }, "undefined tensor"));
    }
  }
  return rows;
}

std::vector<OpRow> whole_argument_rows() {
  std::vector<OpRow> rows;
  for (const bool top : {true, false}) {
    rows.push_back(Row(top ? "argmax_whole" : "argmin_whole")
                       .covers("reshape")
                       .calls([top](const Tensor& x) { return top ? argmax(x) : argmin(x); })
                       .on(input({3, 5, 7}))
                       .expects(folding({}, false, top ? first_largest : first_smallest))
                       .returns(i64)
                       .without_gradient()
                       .also_integers()
                       .scalars()
                       .refuses(
                           "nothing", [top] { top ? argmax(zeros({0})) : argmin(zeros({0})); },
                           "expected at least one element, got shape (0,)"));
  }
  return rows;
}

OpRow argument_row(const std::string& name, Tensor (*op)(const TensorArg&, int64_t, bool),
                   const Fold& fold) {
  return Row(name)
      .calls([op](const Tensor& x) { return op(x, 1, false); })
      .on(input({2, 3, 4}).including(kNaN, kInf, -kInf, 1))
      .expects(folding({1}, false, fold))
      .returns(i64)
      .without_gradient()
      .also_integers()
      .empty({0, 3, 2})
      .refuses(
          "dim",
          [op] {
            op(zeros({2, 3}), 5, false);
          },
          "dim 5 is out of range")
      .refuses(
          "nothing",
          [op] {
            op(zeros({2, 0}), 1, false);
          },
          "cannot reduce dims of size 0");
}

}  // namespace

std::vector<OpRow> reduce_rows() {
  std::vector<OpRow> rows;
  const auto take = [&](std::vector<OpRow> forms, auto change) {
    for (OpRow& row : forms) {
      change(row);
      rows.push_back(std::move(row));
    }
  };
  take(forms_of("sum", sum, total, {}), [](OpRow& row) {
    row.zero_second = {0};
    row.has_integers = true;
    row.f32_tolerance = {3e-7, 1e-6};
    row.f64_tolerance = {1e-15, 1e-14};
  });
  take(forms_of("mean", mean, average, {}), [](OpRow& row) {
    row.covers = {};
    row.zero_second = {0};
    row.bad.push_back(
        {"integers", [] { mean(zeros({2}, {.dtype = i64})); }, "expected a floating tensor"});
  });
  const Input special{.extremes = {kInf, -kInf, kNaN, 3}};
  for (const bool top : {true, false}) {
    take(forms_of(top ? "amax" : "amin", top ? amax : amin, top ? largest : smallest, special),
         [&](OpRow& row) {
           row.zero_second = {0};
           row.has_integers = true;
           if (row.name.size() == 4) row.has_empty = false;  // an error: see below
           if (row.name.ends_with("last") || row.name.ends_with("keepdim")) row.empty = {{0, 3, 4}};
           if (row.name.ends_with("keepdim")) row.has_empty = false;
           row = Row(row).refuses(
               "nothing",
               [top] {
                 (top ? amax : amin)(zeros({0, 3}), {0}, false);
               },
               "cannot reduce dims of size 0 of shape (0, 3)");
         });
  }
  take(forms_of("logsumexp", logsumexp, log_sum_exp, {.extremes = {1000, -1000, 999}}),
       [](OpRow& row) {
         row.third_order = true;
         row = Row(row).refuses(
             "integers", [] { logsumexp(zeros({2}, {.dtype = i64})); },
             "expected a floating tensor");
       });
  rows.push_back(argument_row("argmax", argmax, first_largest));
  rows.push_back(argument_row("argmin", argmin, first_smallest));
  for (OpRow& row : whole_argument_rows()) rows.push_back(row);
  for (OpRow& row : extreme_rows()) rows.push_back(row);
  for (OpRow& row : truth_rows()) rows.push_back(row);

  rows.push_back(Row("sum_to")
                     .calls([](const Tensor& x) {
                       return sum_to(x, {3, 1});
                     })
                     .on(input({2, 3, 4}))
                     .expects([](const Arrays& in) -> Arrays {
                       Array out = folding({0, 2}, false, total)(in)[0];
                       out.shape = {3, 1};
                       return {out};
                     })
                     .zero_second(0)
                     .refuses(
                         "shape",
                         [] {
                           sum_to(zeros({2, 3}), {2});
                         },
                         "shape (2,) does not broadcast to (2, 3)")
                     .refuses(
                         "longer",
                         [] {
                           sum_to(zeros({3}), {2, 3});
                         },
                         "shape (2, 3) does not broadcast to (3,)")
                     .refuses(
                         "undefined", [] { sum_to(Tensor(), {2}); }, "undefined tensor"));
  return rows;
}

}  // namespace ebb::test
