// The methods of Tensor that are functions as well: x.sum(1) is sum(x, 1). Tensor derives from
// TensorMethods.
//
// A method takes the arguments of its function after the tensor, in the same order and with the
// same defaults, and calls the function. The headers in autograd/ops/ document formulas,
// derivatives, shapes and errors. `where` is the caller's source location, for messages.
// tests/surface/tensor_methods_test.cpp compares each method with its function.
#pragma once

#include <cstdint>
#include <source_location>
#include <string_view>
#include <tuple>
#include <vector>

#include "ebb/core/number.h"
#include "ebb/core/shape.h"

namespace ebb {

class Tensor;
namespace indexing {
class TensorIndex;  // autograd/ops/tensor_index.h
}

class TensorMethods {
 protected:
  using Where = std::source_location;  // of the caller, for messages

 public:
  // ---- activations: autograd/ops/activation.h ----
  Tensor relu(Where where = Where::current()) const;
  Tensor sigmoid(Where where = Where::current()) const;
  Tensor tanh(Where where = Where::current()) const;
  Tensor softmax(int64_t dim, Where where = Where::current()) const;
  Tensor log_softmax(int64_t dim, Where where = Where::current()) const;

  // ---- arithmetic: autograd/ops/arithmetic.h ----
  Tensor add(const Tensor& other, Where where = Where::current()) const;
  Tensor add(Scalar other, Where where = Where::current()) const;
  /// Returns this + alpha other.
  Tensor add(const Tensor& other, double alpha, Where where = Where::current()) const;
  Tensor sub(const Tensor& other, Where where = Where::current()) const;
  Tensor sub(Scalar other, Where where = Where::current()) const;
  Tensor sub(const Tensor& other, double alpha, Where where = Where::current()) const;
  Tensor mul(const Tensor& other, Where where = Where::current()) const;
  Tensor mul(Scalar other, Where where = Where::current()) const;
  Tensor div(const Tensor& other, Where where = Where::current()) const;
  Tensor div(Scalar other, Where where = Where::current()) const;
  Tensor pow(const Tensor& exponent, Where where = Where::current()) const;
  Tensor pow(double exponent, Where where = Where::current()) const;
  Tensor neg(Where where = Where::current()) const;
  Tensor abs(Where where = Where::current()) const;
  Tensor sign(Where where = Where::current()) const;
  Tensor square(Where where = Where::current()) const;
  Tensor sqrt(Where where = Where::current()) const;
  Tensor rsqrt(Where where = Where::current()) const;
  Tensor reciprocal(Where where = Where::current()) const;
  Tensor exp(Where where = Where::current()) const;
  Tensor expm1(Where where = Where::current()) const;
  Tensor log(Where where = Where::current()) const;
  Tensor log1p(Where where = Where::current()) const;
  Tensor erf(Where where = Where::current()) const;
  Tensor sin(Where where = Where::current()) const;
  Tensor cos(Where where = Where::current()) const;
  Tensor tan(Where where = Where::current()) const;
  Tensor atan2(const Tensor& x, Where where = Where::current()) const;
  Tensor fmod(const Tensor& divisor, Where where = Where::current()) const;
  Tensor fmod(double divisor, Where where = Where::current()) const;
  Tensor erfinv(Where where = Where::current()) const;
  Tensor floor(Where where = Where::current()) const;
  Tensor ceil(Where where = Where::current()) const;
  Tensor round(Where where = Where::current()) const;
  Tensor trunc(Where where = Where::current()) const;
  Tensor clamp(double min, double max, Where where = Where::current()) const;
  Tensor clamp_min(double min, Where where = Where::current()) const;
  Tensor clamp_max(double max, Where where = Where::current()) const;
  Tensor maximum(const Tensor& other, Where where = Where::current()) const;
  Tensor minimum(const Tensor& other, Where where = Where::current()) const;
  /// Returns this where condition is true, else other.
  Tensor where(const Tensor& condition, const Tensor& other, Where where = Where::current()) const;

  // ---- comparisons; each result is a bool tensor ----
  Tensor eq(const Tensor& other, Where where = Where::current()) const;
  Tensor eq(Scalar other, Where where = Where::current()) const;
  Tensor ne(const Tensor& other, Where where = Where::current()) const;
  Tensor ne(Scalar other, Where where = Where::current()) const;
  Tensor lt(const Tensor& other, Where where = Where::current()) const;
  Tensor lt(Scalar other, Where where = Where::current()) const;
  Tensor le(const Tensor& other, Where where = Where::current()) const;
  Tensor le(Scalar other, Where where = Where::current()) const;
  Tensor gt(const Tensor& other, Where where = Where::current()) const;
  Tensor gt(Scalar other, Where where = Where::current()) const;
  Tensor ge(const Tensor& other, Where where = Where::current()) const;
  Tensor ge(Scalar other, Where where = Where::current()) const;
  Tensor logical_and(const Tensor& other, Where where = Where::current()) const;
  Tensor logical_or(const Tensor& other, Where where = Where::current()) const;
  Tensor logical_not(Where where = Where::current()) const;
  Tensor isnan(Where where = Where::current()) const;
  Tensor isinf(Where where = Where::current()) const;
  Tensor isfinite(Where where = Where::current()) const;

  // ---- reductions: autograd/ops/reduce.h; an empty list of dims means all dims ----
  Tensor sum(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor mean(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor prod(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor std(const Shape& dims = {}, double correction = 1, bool keepdim = false,
             Where where = Where::current()) const;
  Tensor var(const Shape& dims = {}, double correction = 1, bool keepdim = false,
             Where where = Where::current()) const;
  Tensor norm(double p = 2, const Shape& dims = {}, bool keepdim = false,
              Where where = Where::current()) const;
  Tensor logsumexp(const Shape& dims = {}, bool keepdim = false,
                   Where where = Where::current()) const;
  Tensor amax(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor amin(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor max(Where where = Where::current()) const;
  Tensor max(const Tensor& other, Where where = Where::current()) const;
  Tensor min(Where where = Where::current()) const;
  Tensor min(const Tensor& other, Where where = Where::current()) const;
  std::tuple<Tensor, Tensor> max(int64_t dim, bool keepdim = false,
                                 Where where = Where::current()) const;
  std::tuple<Tensor, Tensor> min(int64_t dim, bool keepdim = false,
                                 Where where = Where::current()) const;
  Tensor argmax(Where where = Where::current()) const;
  Tensor argmax(int64_t dim, bool keepdim = false, Where where = Where::current()) const;
  Tensor argmin(Where where = Where::current()) const;
  Tensor argmin(int64_t dim, bool keepdim = false, Where where = Where::current()) const;
  Tensor any(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  Tensor all(const Shape& dims = {}, bool keepdim = false, Where where = Where::current()) const;
  bool equal(const Tensor& other) const;
  bool allclose(const Tensor& other, double rtol = 1e-5, double atol = 1e-8,
                bool equal_nan = false) const;

  // ---- sorting and running sums ----
  Tensor cumsum(int64_t dim, Where where = Where::current()) const;
  Tensor cumprod(int64_t dim, Where where = Where::current()) const;
  std::tuple<Tensor, Tensor> sort(int64_t dim = -1, bool descending = false,
                                  Where where = Where::current()) const;
  Tensor argsort(int64_t dim = -1, bool descending = false, Where where = Where::current()) const;
  std::tuple<Tensor, Tensor> topk(int64_t k, int64_t dim = -1, bool largest = true,
                                  Where where = Where::current()) const;

  // ---- products: autograd/ops/matmul.h ----
  Tensor matmul(const Tensor& other, Where where = Where::current()) const;
  Tensor mm(const Tensor& other, Where where = Where::current()) const;
  Tensor mv(const Tensor& vector, Where where = Where::current()) const;
  Tensor bmm(const Tensor& other, Where where = Where::current()) const;
  Tensor dot(const Tensor& other, Where where = Where::current()) const;
  Tensor outer(const Tensor& other, Where where = Where::current()) const;

  // ---- views: autograd/ops/views.h ----
  Tensor reshape(const Shape& shape, Where where = Where::current()) const;
  Tensor view(const Shape& shape, Where where = Where::current()) const;
  Tensor view_as(const Tensor& other, Where where = Where::current()) const;
  Tensor flatten(int64_t start_dim = 0, int64_t end_dim = -1, Where where = Where::current()) const;
  Tensor transpose(int64_t dim0, int64_t dim1, Where where = Where::current()) const;
  Tensor t(Where where = Where::current()) const;
  Tensor permute(const Shape& dims, Where where = Where::current()) const;
  Tensor unsqueeze(int64_t dim, Where where = Where::current()) const;
  Tensor squeeze(Where where = Where::current()) const;
  Tensor squeeze(int64_t dim, Where where = Where::current()) const;
  Tensor select(int64_t dim, int64_t index, Where where = Where::current()) const;
  Tensor slice(int64_t dim, int64_t start, int64_t end, int64_t step = 1,
               Where where = Where::current()) const;
  Tensor narrow(int64_t dim, int64_t start, int64_t length, Where where = Where::current()) const;
  Tensor expand(const Shape& shape, Where where = Where::current()) const;
  Tensor expand_as(const Tensor& other, Where where = Where::current()) const;
  Tensor repeat(const Shape& repeats, Where where = Where::current()) const;
  Tensor flip(const Shape& dims, Where where = Where::current()) const;
  Tensor roll(const Shape& shifts, const Shape& dims = {}, Where where = Where::current()) const;
  Tensor tril(int64_t diagonal = 0, Where where = Where::current()) const;
  Tensor triu(int64_t diagonal = 0, Where where = Where::current()) const;
  Tensor diag(int64_t diagonal = 0, Where where = Where::current()) const;
  Tensor diagonal(int64_t offset = 0, int64_t dim1 = 0, int64_t dim2 = 1,
                  Where where = Where::current()) const;
  std::vector<Tensor> unbind(int64_t dim = 0, Where where = Where::current()) const;
  std::vector<Tensor> chunk(int64_t chunks, int64_t dim = 0, Where where = Where::current()) const;
  std::vector<Tensor> split(int64_t split_size, int64_t dim = 0,
                            Where where = Where::current()) const;
  std::vector<Tensor> split(const std::vector<int64_t>& sizes, int64_t dim = 0,
                            Where where = Where::current()) const;
  Tensor reshape_as(const Tensor& other, Where where = Where::current()) const;

  // ---- indexing: autograd/ops/indexing.h ----
  Tensor gather(int64_t dim, const Tensor& index, Where where = Where::current()) const;
  Tensor index_select(int64_t dim, const Tensor& index, Where where = Where::current()) const;
  Tensor masked_fill(const Tensor& mask, Scalar value, Where where = Where::current()) const;
  Tensor masked_select(const Tensor& mask, Where where = Where::current()) const;
  Tensor nonzero(Where where = Where::current()) const;
  Tensor index(const std::vector<indexing::TensorIndex>& indices,
               Where where = Where::current()) const;

  // ---- in place: each sets this tensor to the result of its function; refused as copy_() is ----
  Tensor& abs_();
  Tensor& ceil_();
  Tensor& clamp_(double min, double max);
  Tensor& clamp_max_(double max);
  Tensor& clamp_min_(double min);
  Tensor& cos_();
  Tensor& exp_();
  Tensor& floor_();
  Tensor& log_();
  Tensor& neg_();
  Tensor& pow_(double exponent);
  Tensor& reciprocal_();
  Tensor& relu_();
  Tensor& round_();
  Tensor& sigmoid_();
  Tensor& sin_();
  Tensor& sqrt_();
  Tensor& square_();
  Tensor& tanh_();
  Tensor& masked_fill_(const Tensor& mask, Scalar value);
  Tensor& index_put_(const std::vector<indexing::TensorIndex>& indices, const Tensor& value);
  Tensor& index_put_(const std::vector<indexing::TensorIndex>& indices, Scalar value);
  /// Random numbers, uniform in [from, to), normal, or 1 with probability p.
  Tensor& uniform_(double from = 0, double to = 1);
  Tensor& normal_(double mean = 0, double std = 1);
  Tensor& bernoulli_(double p = 0.5);

 private:
  const Tensor& self() const;
  Tensor& writable(const char* op);
  Tensor& become(const Tensor& result);
};

}  // namespace ebb
