// Every method of core/tensor_methods.h gives what its function gives, and every method is in the
// list below.
#include <ebb/ebb.h>
#include <gtest/gtest.h>

#include <fstream>
#include <functional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

namespace {

using ebb::Tensor;
using Results = std::vector<Tensor>;

Results list(const Tensor& result) { return {result}; }
Results list(const std::tuple<Tensor, Tensor>& pair) {
  return {std::get<0>(pair), std::get<1>(pair)};
}
Results list(const std::vector<Tensor>& tensors) { return tensors; }
Results list(bool result) { return {ebb::scalar(result)}; }

struct Pair {
  std::string name;
  std::function<Results()> method, function;
};

template <class Method, class Function>
Pair pair(const std::string& name, Method method, Function function) {
  return {name, [=] { return list(method()); }, [=] { return list(function()); }};
}

std::vector<Pair> pairs() {
  const Tensor x = ebb::tensor({{1.5, -2.0, 0.5}, {4.0, 0.25, -6.0}}), y = x * 0.5 + 1.0;
  const Tensor p = ebb::abs(x) + 0.125, v = ebb::tensor({1.0, 2.0, 3.0});
  const Tensor cube = ebb::reshape(ebb::arange(0., 12.), {2, 3, 2}),
               square = cube[0].t().matmul(cube[0]);
  const Tensor batch = ebb::transpose(cube, 1, 2), mask = x > 0;
  const Tensor index = ebb::tensor({{0, 1, 1}}), rows = ebb::tensor({1, 0});
  return {
      pair(
          "relu", [=] { return x.relu(); }, [=] { return ebb::relu(x); }),
      pair(
          "sigmoid", [=] { return x.sigmoid(); }, [=] { return ebb::sigmoid(x); }),
      pair(
          "tanh", [=] { return x.tanh(); }, [=] { return ebb::tanh(x); }),
      pair(
          "softmax", [=] { return x.softmax(1); }, [=] { return ebb::softmax(x, 1); }),
      pair(
          "log_softmax", [=] { return x.log_softmax(0); }, [=] { return ebb::log_softmax(x, 0); }),
      pair(
          "add", [=] { return x.add(y); }, [=] { return x + y; }),
      pair(
          "add", [=] { return x.add(2); }, [=] { return x + 2; }),
      pair(
          "sub", [=] { return x.sub(y); }, [=] { return x - y; }),
      pair(
          "sub", [=] { return x.sub(2.5); }, [=] { return x - 2.5; }),
      pair(
          "mul", [=] { return x.mul(y); }, [=] { return x * y; }),
      pair(
          "mul", [=] { return x.mul(3); }, [=] { return x * 3; }),
      pair(
          "div", [=] { return x.div(p); }, [=] { return x / p; }),
      pair(
          "div", [=] { return x.div(4); }, [=] { return x / 4; }),
      pair(
          "pow", [=] { return p.pow(y); }, [=] { return ebb::pow(p, y); }),
      pair(
          "pow", [=] { return x.pow(3); }, [=] { return ebb::pow(x, 3); }),
      pair(
          "neg", [=] { return x.neg(); }, [=] { return -x; }),
      pair(
          "abs", [=] { return x.abs(); }, [=] { return ebb::abs(x); }),
      pair(
          "sign", [=] { return x.sign(); }, [=] { return ebb::sign(x); }),
      pair(
          "square", [=] { return x.square(); }, [=] { return ebb::square(x); }),
      pair(
          "sqrt", [=] { return p.sqrt(); }, [=] { return ebb::sqrt(p); }),
      pair(
          "rsqrt", [=] { return p.rsqrt(); }, [=] { return ebb::rsqrt(p); }),
      pair(
          "reciprocal", [=] { return p.reciprocal(); }, [=] { return ebb::reciprocal(p); }),
      pair(
          "exp", [=] { return x.exp(); }, [=] { return ebb::exp(x); }),
      pair(
          "expm1", [=] { return x.expm1(); }, [=] { return ebb::expm1(x); }),
      pair(
          "log", [=] { return p.log(); }, [=] { return ebb::log(p); }),
      pair(
          "log1p", [=] { return p.log1p(); }, [=] { return ebb::log1p(p); }),
      pair(
          "erf", [=] { return x.erf(); }, [=] { return ebb::erf(x); }),
      pair(
          "sin", [=] { return x.sin(); }, [=] { return ebb::sin(x); }),
      pair(
          "cos", [=] { return x.cos(); }, [=] { return ebb::cos(x); }),
      pair(
          "floor", [=] { return x.floor(); }, [=] { return ebb::floor(x); }),
      pair(
          "ceil", [=] { return x.ceil(); }, [=] { return ebb::ceil(x); }),
      pair(
          "round", [=] { return x.round(); }, [=] { return ebb::round(x); }),
      pair(
          "trunc", [=] { return x.trunc(); }, [=] { return ebb::trunc(x); }),
      pair(
          "clamp", [=] { return x.clamp(-1, 2); }, [=] { return ebb::clamp(x, -1, 2); }),
      pair(
          "clamp_min", [=] { return x.clamp_min(1); }, [=] { return ebb::clamp_min(x, 1); }),
      pair(
          "clamp_max", [=] { return x.clamp_max(1); }, [=] { return ebb::clamp_max(x, 1); }),
      pair(
          "maximum", [=] { return x.maximum(y); }, [=] { return ebb::maximum(x, y); }),
      pair(
          "minimum", [=] { return x.minimum(y); }, [=] { return ebb::minimum(x, y); }),
      pair(
          "eq", [=] { return x.eq(y); }, [=] { return x == y; }),
      pair(
          "eq", [=] { return x.eq(1.5); }, [=] { return x == 1.5; }),
      pair(
          "ne", [=] { return x.ne(y); }, [=] { return x != y; }),
      pair(
          "ne", [=] { return x.ne(1.5); }, [=] { return x != 1.5; }),
      pair(
          "lt", [=] { return x.lt(y); }, [=] { return x < y; }),
      pair(
          "lt", [=] { return x.lt(1.5); }, [=] { return x < 1.5; }),
      pair(
          "le", [=] { return x.le(y); }, [=] { return x <= y; }),
      pair(
          "le", [=] { return x.le(1.5); }, [=] { return x <= 1.5; }),
      pair(
          "gt", [=] { return x.gt(y); }, [=] { return x > y; }),
      pair(
          "gt", [=] { return x.gt(1.5); }, [=] { return x > 1.5; }),
      pair(
          "ge", [=] { return x.ge(y); }, [=] { return x >= y; }),
      pair(
          "ge", [=] { return x.ge(1.5); }, [=] { return x >= 1.5; }),
      pair(
          "logical_and", [=] { return x.logical_and(mask); },
          [=] { return ebb::logical_and(x, mask); }),
      pair(
          "logical_or", [=] { return mask.logical_or(x); },
          [=] { return ebb::logical_or(mask, x); }),
      pair(
          "logical_not", [=] { return mask.logical_not(); },
          [=] { return ebb::logical_not(mask); }),
      pair(
          "isnan", [=] { return x.isnan(); }, [=] { return ebb::isnan(x); }),
      pair(
          "isinf", [=] { return x.isinf(); }, [=] { return ebb::isinf(x); }),
      pair(
          "isfinite", [=] { return x.isfinite(); }, [=] { return ebb::isfinite(x); }),
      pair(
          "sum", [=] { return x.sum(); }, [=] { return ebb::sum(x); }),
      pair(
          "sum", [=] { return x.sum(1, true); }, [=] { return ebb::sum(x, {1}, true); }),
      pair(
          "mean", [=] { return x.mean(0); }, [=] { return ebb::mean(x, {0}); }),
      pair(
          "prod", [=] { return x.prod(1); }, [=] { return ebb::prod(x, {1}); }),
      pair(
          "std", [=] { return x.std(1); }, [=] { return ebb::std(x, {1}); }),
      pair(
          "var", [=] { return x.var(0, 0.0, true); }, [=] { return ebb::var(x, {0}, 0.0, true); }),
      pair(
          "norm", [=] { return x.norm(1, 1); }, [=] { return ebb::norm(x, 1, {1}); }),
      pair(
          "logsumexp", [=] { return x.logsumexp(1); }, [=] { return ebb::logsumexp(x, {1}); }),
      pair(
          "amax", [=] { return x.amax(1); }, [=] { return ebb::amax(x, {1}); }),
      pair(
          "amin", [=] { return x.amin(0, true); }, [=] { return ebb::amin(x, {0}, true); }),
      pair(
          "max", [=] { return x.max(); }, [=] { return ebb::max(x); }),
      pair(
          "max", [=] { return x.max(1, true); }, [=] { return ebb::max(x, 1, true); }),
      pair(
          "min", [=] { return x.min(); }, [=] { return ebb::min(x); }),
      pair(
          "min", [=] { return x.min(0); }, [=] { return ebb::min(x, 0); }),
      pair(
          "argmax", [=] { return x.argmax(); }, [=] { return ebb::argmax(x); }),
      pair(
          "argmax", [=] { return x.argmax(1); }, [=] { return ebb::argmax(x, 1); }),
      pair(
          "argmin", [=] { return x.argmin(); }, [=] { return ebb::argmin(x); }),
      pair(
          "argmin", [=] { return x.argmin(0, true); }, [=] { return ebb::argmin(x, 0, true); }),
      pair(
          "any", [=] { return mask.any(1); }, [=] { return ebb::any(mask, {1}); }),
      pair(
          "all", [=] { return mask.all(); }, [=] { return ebb::all(mask); }),
      pair(
          "equal", [=] { return x.equal(y); }, [=] { return ebb::equal(x, y); }),
      pair(
          "allclose", [=] { return x.allclose(y, 10); }, [=] { return ebb::allclose(x, y, 10); }),
      pair(
          "cumsum", [=] { return x.cumsum(1); }, [=] { return ebb::cumsum(x, 1); }),
      pair(
          "cumprod", [=] { return x.cumprod(0); }, [=] { return ebb::cumprod(x, 0); }),
      pair(
          "sort", [=] { return x.sort(0, true); }, [=] { return ebb::sort(x, 0, true); }),
      pair(
          "argsort", [=] { return x.argsort(); }, [=] { return ebb::argsort(x); }),
      pair(
          "topk", [=] { return x.topk(2, 1, false); }, [=] { return ebb::topk(x, 2, 1, false); }),
      pair(
          "matmul", [=] { return x.matmul(v); }, [=] { return ebb::matmul(x, v); }),
      pair(
          "mm", [=] { return x.mm(x.t()); }, [=] { return ebb::matmul(x, ebb::transpose(x)); }),
      pair(
          "mv", [=] { return x.mv(v); }, [=] { return ebb::matmul(x, v); }),
      pair(
          "bmm", [=] { return cube.bmm(batch); }, [=] { return ebb::matmul(cube, batch); }),
      pair(
          "dot", [=] { return v.dot(v); }, [=] { return ebb::sum(v * v); }),
      pair(
          "outer", [=] { return v.outer(v); }, [=] { return ebb::outer(v, v); }),
      pair(
          "reshape",
          [=] {
            return x.reshape({3, -1});
          },
          [=] {
            return ebb::reshape(x, {3, -1});
          }),
      pair(
          "view", [=] { return x.view({6}); }, [=] { return ebb::reshape(x, {6}); }),
      pair(
          "view_as", [=] { return x.view_as(x.t().contiguous()); },
          [=] {
            return ebb::reshape(x, {3, 2});
          }),
      pair(
          "flatten", [=] { return cube.flatten(1); }, [=] { return ebb::flatten(cube, 1); }),
      pair(
          "transpose", [=] { return cube.transpose(0, 2); },
          [=] { return ebb::transpose(cube, 0, 2); }),
      pair(
          "t", [=] { return x.t(); }, [=] { return ebb::transpose(x, 0, 1); }),
      pair(
          "permute",
          [=] {
            return cube.permute({2, 0, 1});
          },
          [=] {
            return ebb::permute(cube, {2, 0, 1});
          }),
      pair(
          "unsqueeze", [=] { return x.unsqueeze(1); }, [=] { return ebb::unsqueeze(x, 1); }),
      pair(
          "squeeze", [=] { return x.unsqueeze(1).squeeze(); }, [=] { return x; }),
      pair(
          "squeeze", [=] { return x.unsqueeze(1).squeeze(1); }, [=] { return x; }),
      pair(
          "select", [=] { return x.select(1, 2); }, [=] { return ebb::select(x, 1, 2); }),
      pair(
          "slice", [=] { return x.slice(1, 0, 3, 2); }, [=] { return ebb::slice(x, 1, 0, 3, 2); }),
      pair(
          "narrow", [=] { return x.narrow(1, 1, 2); }, [=] { return ebb::slice(x, 1, 1, 3); }),
      pair(
          "expand",
          [=] {
            return v.expand({2, 3});
          },
          [=] {
            return ebb::expand(v, {2, 3});
          }),
      pair(
          "expand_as", [=] { return v.expand_as(x); },
          [=] {
            return ebb::expand(v, {2, 3});
          }),
      pair(
          "repeat",
          [=] {
            return x.repeat({2, 1});
          },
          [=] {
            return ebb::cat({x, x});
          }),
      pair(
          "flip", [=] { return x.flip({0}); }, [=] { return ebb::flip(x, {0}); }),
      pair(
          "roll", [=] { return x.roll(1, 1); }, [=] { return ebb::roll(x, 1, 1); }),
      pair(
          "tril", [=] { return square.tril(); }, [=] { return ebb::tril(square); }),
      pair(
          "triu", [=] { return square.triu(1); }, [=] { return ebb::triu(square, 1); }),
      pair(
          "diag", [=] { return v.diag(); }, [=] { return ebb::diag(v); }),
      pair(
          "chunk", [=] { return x.chunk(2, 1); }, [=] { return ebb::chunk(x, 2, 1); }),
      pair(
          "split", [=] { return x.split(2, 1); }, [=] { return ebb::split(x, 2, 1); }),
      pair(
          "gather", [=] { return x.gather(0, index); }, [=] { return ebb::gather(x, 0, index); }),
      pair(
          "index_select", [=] { return x.index_select(0, rows); },
          [=] { return ebb::index_select(x, 0, rows); }),
      pair(
          "masked_fill", [=] { return x.masked_fill(mask, 7); },
          [=] { return ebb::masked_fill(x, mask, 7); }),
      pair(
          "masked_select", [=] { return x.masked_select(mask); },
          [=] { return ebb::masked_select(x, mask); }),
      pair(
          "add", [=] { return x.add(y, 2); }, [=] { return x + y * 2.0; }),
      pair(
          "sub", [=] { return x.sub(y, 2); }, [=] { return x - y * 2.0; }),
      pair(
          "tan", [=] { return x.tan(); }, [=] { return ebb::tan(x); }),
      pair(
          "atan2", [=] { return x.atan2(y); }, [=] { return ebb::atan2(x, y); }),
      pair(
          "fmod", [=] { return x.fmod(p); }, [=] { return ebb::fmod(x, p); }),
      pair(
          "fmod", [=] { return x.fmod(1.5); }, [=] { return ebb::fmod(x, 1.5); }),
      pair(
          "erfinv", [=] { return (x * 0.1).erfinv(); }, [=] { return ebb::erfinv(x * 0.1); }),
      pair(
          "where", [=] { return x.where(mask, y); }, [=] { return ebb::where(mask, x, y); }),
      pair(
          "max", [=] { return x.max(y); }, [=] { return ebb::maximum(x, y); }),
      pair(
          "min", [=] { return x.min(y); }, [=] { return ebb::minimum(x, y); }),
      pair(
          "diagonal", [=] { return square.diagonal(1); }, [=] { return ebb::diagonal(square, 1); }),
      pair(
          "unbind", [=] { return x.unbind(1); }, [=] { return ebb::unbind(x, 1); }),
      pair(
          "split",
          [=] {
            return x.split(std::vector<int64_t>{1, 2}, 1);
          },
          [=] {
            return ebb::split(x, std::vector<int64_t>{1, 2}, 1);
          }),
      pair(
          "reshape_as", [=] { return x.reshape_as(x.t()); },
          [=] {
            return ebb::reshape(x, {3, 2});
          }),
      pair(
          "index",
          [=] {
            return x.index({ebb::indexing::Slice(), 1});
          },
          [=] { return ebb::select(x, 1, 1); }),
      pair(
          "nonzero", [=] { return mask.nonzero(); }, [=] { return ebb::nonzero(mask); }),
  };
}

TEST(TensorMethods, GiveWhatTheirFunctionsGive) {
  for (const Pair& p : pairs()) {
    const Results got = p.method(), want = p.function();
    ASSERT_EQ(got.size(), want.size()) << p.name;
    for (size_t i = 0; i < got.size(); ++i) {
      EXPECT_EQ(got[i].dtype(), want[i].dtype()) << p.name;
      EXPECT_TRUE(ebb::equal(got[i], want[i])) << p.name << "\n" << got[i] << "\n" << want[i];
    }
  }
}

TEST(TensorMethods, AllAreCompared) {
  std::ifstream file(std::string(EBB_SOURCE_DIR) + "/core/tensor_methods.h");
  std::ostringstream text;
  text << file.rdbuf();
  const std::string source = text.str();
  const std::regex declaration(R"((?:Tensor|Tensor>|bool) (\w+)\()");
  std::set<std::string> declared, compared;
  for (std::sregex_iterator at(source.begin(), source.end(), declaration), end; at != end; ++at)
    declared.insert((*at)[1]);
  for (const Pair& p : pairs()) compared.insert(p.name);
  EXPECT_GT(declared.size(), 80u);
  EXPECT_EQ(declared, compared);
}

TEST(TensorMethods, ErrorsNameTheLineOfTheCaller) {
  const Tensor x = ebb::tensor({1.0, -1.0}).requires_grad_();
  const int line = __LINE__ + 1;
  const Tensor y = x.sqrt();
  EXPECT_EQ(y.node()->made_at().line(), static_cast<unsigned>(line));
}

TEST(TensorMethods, ViewRefusesACopy) {
  const Tensor x = ebb::ones({2, 3});
  EXPECT_THROW((void)x.t().view({6}), ebb::Error);
  EXPECT_EQ(x.t().reshape({6}).numel(), 6);
}

}  // namespace
