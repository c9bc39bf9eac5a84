// Extremes with indices, truth, variance, norms, and products under other names.
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/statistics.h"
#include "ops.h"

namespace ebb::parity {
namespace {

template <class F> Call one(F f) {
  return [f] { return Tensors{f()}; };
}

template <Tensor (*f)(const TensorArg&, const Tensor&)> Call binary(Arguments& a) {
  return one([x = a.inputs(2)] { return f(x[0], x[1]); });
}

template <std::tuple<Tensor, Tensor> (*f)(const TensorArg&, int64_t, bool)>
Call extreme(Arguments& a) {
  bool keepdim = false;
  a.read("keepdim", keepdim);
  return [x = a.input(), dim = a.required<int64_t>("dim"), keepdim] {
    const auto [values, indices] = f(x, dim, keepdim);
    return Tensors{values, indices};
  };
}

template <Tensor (*f)(const TensorArg&, const Shape&, bool)> Call truth(Arguments& a) {
  std::vector<int64_t> dims;
  bool keepdim = false;
  a.read("dim", dims);
  a.read("keepdim", keepdim);
  return one([x = a.input(), dims, keepdim] { return f(x, Shape(dims), keepdim); });
}

template <Tensor (*f)(const TensorArg&, const Shape&, double, bool)> Call spread(Arguments& a) {
  std::vector<int64_t> dims;
  double correction = 1;
  bool keepdim = false;
  a.read("dim", dims);
  a.read("correction", correction);
  a.read("keepdim", keepdim);
  return one([x = a.input(), dims, correction, keepdim] {
    return f(x, Shape(dims), correction, keepdim);
  });
}

Call norm_call(Arguments& a) {
  std::vector<int64_t> dims;
  double p = 2;
  bool keepdim = false;
  a.read("p", p);
  a.read("dim", dims);
  a.read("keepdim", keepdim);
  return one([x = a.input(), p, dims, keepdim] { return norm(x, p, Shape(dims), keepdim); });
}

Call normalize_call(Arguments& a) {
  double p = 2, eps = 1e-12;
  int64_t dim = 1;
  a.read("p", p);
  a.read("dim", dim);
  a.read("eps", eps);
  return one([=, x = a.input()] { return normalize(x, p, dim, eps); });
}

Call cosine_call(Arguments& a) {
  double eps = 1e-8;
  int64_t dim = 1;
  a.read("dim", dim);
  a.read("eps", eps);
  return one([=, x = a.inputs(2)] { return cosine_similarity(x[0], x[1], dim, eps); });
}

constexpr Op kOps[] = {
    {"max", extreme<max>}, {"min", extreme<min>},         {"any", truth<any>},
    {"all", truth<all>},   {"var", spread<var>},          {"std", spread<ebb::std>},
    {"norm", norm_call},   {"normalize", normalize_call}, {"cosine_similarity", cosine_call},
    {"dot", binary<dot>},  {"outer", binary<outer>},      {"bmm", binary<bmm>},
};

}  // namespace

std::span<const Op> reduction_ops() { return kOps; }

}  // namespace ebb::parity
