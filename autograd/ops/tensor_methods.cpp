// The methods of core/tensor_methods.h that return new tensors. Each calls its function.
#include "ebb/core/tensor_methods.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/elementary.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/operators.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/tensor_index.h"
#include "ebb/autograd/ops/views.h"

namespace ebb {

const Tensor& TensorMethods::self() const { return static_cast<const Tensor&>(*this); }

Tensor TensorMethods::relu(Where where) const { return ebb::relu(TensorArg(self(), where)); }
Tensor TensorMethods::sigmoid(Where where) const { return ebb::sigmoid(TensorArg(self(), where)); }
Tensor TensorMethods::tanh(Where where) const { return ebb::tanh(TensorArg(self(), where)); }
Tensor TensorMethods::softmax(int64_t dim, Where where) const {
  return ebb::softmax(TensorArg(self(), where), dim);
}
Tensor TensorMethods::log_softmax(int64_t dim, Where where) const {
  return ebb::log_softmax(TensorArg(self(), where), dim);
}
Tensor TensorMethods::add(const Tensor& other, Where where) const {
  return ebb::add(TensorArg(self(), where), other);
}
Tensor TensorMethods::add(Scalar other, Where where) const {
  return ebb::add(TensorArg(self(), where), other);
}
Tensor TensorMethods::sub(const Tensor& other, Where where) const {
  return ebb::sub(TensorArg(self(), where), other);
}
Tensor TensorMethods::sub(Scalar other, Where where) const {
  return TensorArg(self(), where) - other;
}
Tensor TensorMethods::mul(const Tensor& other, Where where) const {
  return ebb::mul(TensorArg(self(), where), other);
}
Tensor TensorMethods::mul(Scalar other, Where where) const {
  return ebb::mul(TensorArg(self(), where), other);
}
Tensor TensorMethods::div(const Tensor& other, Where where) const {
  return ebb::div(TensorArg(self(), where), other);
}
Tensor TensorMethods::div(Scalar other, Where where) const {
  return ebb::div(TensorArg(self(), where), other);
}
Tensor TensorMethods::pow(const Tensor& exponent, Where where) const {
  return ebb::pow(TensorArg(self(), where), exponent);
}
Tensor TensorMethods::pow(double exponent, Where where) const {
  return ebb::pow(TensorArg(self(), where), exponent);
}
Tensor TensorMethods::neg(Where where) const { return ebb::neg(TensorArg(self(), where)); }
Tensor TensorMethods::abs(Where where) const { return ebb::abs(TensorArg(self(), where)); }
Tensor TensorMethods::sign(Where where) const { return ebb::sign(TensorArg(self(), where)); }
Tensor TensorMethods::square(Where where) const { return ebb::square(TensorArg(self(), where)); }
Tensor TensorMethods::sqrt(Where where) const { return ebb::sqrt(TensorArg(self(), where)); }
Tensor TensorMethods::rsqrt(Where where) const { return ebb::rsqrt(TensorArg(self(), where)); }
Tensor TensorMethods::reciprocal(Where where) const {
  return ebb::reciprocal(TensorArg(self(), where));
}
Tensor TensorMethods::exp(Where where) const { return ebb::exp(TensorArg(self(), where)); }
Tensor TensorMethods::expm1(Where where) const { return ebb::expm1(TensorArg(self(), where)); }
Tensor TensorMethods::log(Where where) const { return ebb::log(TensorArg(self(), where)); }
Tensor TensorMethods::log1p(Where where) const { return ebb::log1p(TensorArg(self(), where)); }
Tensor TensorMethods::erf(Where where) const { return ebb::erf(TensorArg(self(), where)); }
Tensor TensorMethods::sin(Where where) const { return ebb::sin(TensorArg(self(), where)); }
Tensor TensorMethods::cos(Where where) const { return ebb::cos(TensorArg(self(), where)); }
Tensor TensorMethods::floor(Where where) const { return ebb::floor(TensorArg(self(), where)); }
Tensor TensorMethods::ceil(Where where) const { return ebb::ceil(TensorArg(self(), where)); }
Tensor TensorMethods::round(Where where) const { return ebb::round(TensorArg(self(), where)); }
Tensor TensorMethods::trunc(Where where) const { return ebb::trunc(TensorArg(self(), where)); }
Tensor TensorMethods::clamp(double min, double max, Where where) const {
  return ebb::clamp(TensorArg(self(), where), min, max);
}
Tensor TensorMethods::clamp_min(double min, Where where) const {
  return ebb::clamp_min(TensorArg(self(), where), min);
}
Tensor TensorMethods::clamp_max(double max, Where where) const {
  return ebb::clamp_max(TensorArg(self(), where), max);
}
Tensor TensorMethods::maximum(const Tensor& other, Where where) const {
  return ebb::maximum(TensorArg(self(), where), other);
}
Tensor TensorMethods::minimum(const Tensor& other, Where where) const {
  return ebb::minimum(TensorArg(self(), where), other);
}
Tensor TensorMethods::eq(const Tensor& other, Where where) const {
  return ebb::eq(TensorArg(self(), where), other);
}
Tensor TensorMethods::eq(Scalar other, Where where) const {
  return ebb::eq(TensorArg(self(), where), other);
}
Tensor TensorMethods::ne(const Tensor& other, Where where) const {
  return ebb::ne(TensorArg(self(), where), other);
}
Tensor TensorMethods::ne(Scalar other, Where where) const {
  return ebb::ne(TensorArg(self(), where), other);
}
Tensor TensorMethods::lt(const Tensor& other, Where where) const {
  return ebb::lt(TensorArg(self(), where), other);
}
Tensor TensorMethods::lt(Scalar other, Where where) const {
  return ebb::lt(TensorArg(self(), where), other);
}
Tensor TensorMethods::le(const Tensor& other, Where where) const {
  return ebb::le(TensorArg(self(), where), other);
}
Tensor TensorMethods::le(Scalar other, Where where) const {
  return ebb::le(TensorArg(self(), where), other);
}
Tensor TensorMethods::gt(const Tensor& other, Where where) const {
  return ebb::gt(TensorArg(self(), where), other);
}
Tensor TensorMethods::gt(Scalar other, Where where) const {
  return ebb::gt(TensorArg(self(), where), other);
}
Tensor TensorMethods::ge(const Tensor& other, Where where) const {
  return ebb::ge(TensorArg(self(), where), other);
}
Tensor TensorMethods::ge(Scalar other, Where where) const {
  return ebb::ge(TensorArg(self(), where), other);
}
Tensor TensorMethods::logical_and(const Tensor& other, Where where) const {
  return ebb::logical_and(TensorArg(self(), where), other);
}
Tensor TensorMethods::logical_or(const Tensor& other, Where where) const {
  return ebb::logical_or(TensorArg(self(), where), other);
}
Tensor TensorMethods::logical_not(Where where) const {
  return ebb::logical_not(TensorArg(self(), where));
}
Tensor TensorMethods::isnan(Where where) const { return ebb::isnan(TensorArg(self(), where)); }
Tensor TensorMethods::isinf(Where where) const { return ebb::isinf(TensorArg(self(), where)); }
Tensor TensorMethods::isfinite(Where where) const {
  return ebb::isfinite(TensorArg(self(), where));
}
Tensor TensorMethods::sum(const Shape& dims, bool keepdim, Where where) const {
  return ebb::sum(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::mean(const Shape& dims, bool keepdim, Where where) const {
  return ebb::mean(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::prod(const Shape& dims, bool keepdim, Where where) const {
  return ebb::prod(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::std(const Shape& dims, double correction, bool keepdim, Where where) const {
  return ebb::std(TensorArg(self(), where), dims, correction, keepdim);
}
Tensor TensorMethods::var(const Shape& dims, double correction, bool keepdim, Where where) const {
  return ebb::var(TensorArg(self(), where), dims, correction, keepdim);
}
Tensor TensorMethods::norm(double p, const Shape& dims, bool keepdim, Where where) const {
  return ebb::norm(TensorArg(self(), where), p, dims, keepdim);
}
Tensor TensorMethods::logsumexp(const Shape& dims, bool keepdim, Where where) const {
  return ebb::logsumexp(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::amax(const Shape& dims, bool keepdim, Where where) const {
  return ebb::amax(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::amin(const Shape& dims, bool keepdim, Where where) const {
  return ebb::amin(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::max(Where where) const { return ebb::max(TensorArg(self(), where)); }
Tensor TensorMethods::min(Where where) const { return ebb::min(TensorArg(self(), where)); }
std::tuple<Tensor, Tensor> TensorMethods::max(int64_t dim, bool keepdim, Where where) const {
  return ebb::max(TensorArg(self(), where), dim, keepdim);
}
std::tuple<Tensor, Tensor> TensorMethods::min(int64_t dim, bool keepdim, Where where) const {
  return ebb::min(TensorArg(self(), where), dim, keepdim);
}
Tensor TensorMethods::argmax(Where where) const { return ebb::argmax(TensorArg(self(), where)); }
Tensor TensorMethods::argmax(int64_t dim, bool keepdim, Where where) const {
  return ebb::argmax(TensorArg(self(), where), dim, keepdim);
}
Tensor TensorMethods::argmin(Where where) const { return ebb::argmin(TensorArg(self(), where)); }
Tensor TensorMethods::argmin(int64_t dim, bool keepdim, Where where) const {
  return ebb::argmin(TensorArg(self(), where), dim, keepdim);
}
Tensor TensorMethods::any(const Shape& dims, bool keepdim, Where where) const {
  return ebb::any(TensorArg(self(), where), dims, keepdim);
}
Tensor TensorMethods::all(const Shape& dims, bool keepdim, Where where) const {
  return ebb::all(TensorArg(self(), where), dims, keepdim);
}
bool TensorMethods::equal(const Tensor& other) const { return ebb::equal(self(), other); }
bool TensorMethods::allclose(const Tensor& other, double rtol, double atol, bool equal_nan) const {
  return ebb::allclose(self(), other, rtol, atol, equal_nan);
}
Tensor TensorMethods::cumsum(int64_t dim, Where where) const {
  return ebb::cumsum(TensorArg(self(), where), dim);
}
Tensor TensorMethods::cumprod(int64_t dim, Where where) const {
  return ebb::cumprod(TensorArg(self(), where), dim);
}
std::tuple<Tensor, Tensor> TensorMethods::sort(int64_t dim, bool descending, Where where) const {
  return ebb::sort(TensorArg(self(), where), dim, descending);
}
Tensor TensorMethods::argsort(int64_t dim, bool descending, Where where) const {
  return ebb::argsort(TensorArg(self(), where), dim, descending);
}
std::tuple<Tensor, Tensor> TensorMethods::topk(int64_t k, int64_t dim, bool largest,
                                               Where where) const {
  return ebb::topk(TensorArg(self(), where), k, dim, largest);
}
Tensor TensorMethods::matmul(const Tensor& other, Where where) const {
  return ebb::matmul(TensorArg(self(), where), other);
}
Tensor TensorMethods::mm(const Tensor& other, Where where) const {
  return ebb::mm(TensorArg(self(), where), other);
}
Tensor TensorMethods::mv(const Tensor& vector, Where where) const {
  return ebb::mv(TensorArg(self(), where), vector);
}
Tensor TensorMethods::bmm(const Tensor& other, Where where) const {
  return ebb::bmm(TensorArg(self(), where), other);
}
Tensor TensorMethods::dot(const Tensor& other, Where where) const {
  return ebb::dot(TensorArg(self(), where), other);
}
Tensor TensorMethods::outer(const Tensor& other, Where where) const {
  return ebb::outer(TensorArg(self(), where), other);
}
Tensor TensorMethods::reshape(const Shape& shape, Where where) const {
  return ebb::reshape(TensorArg(self(), where), shape);
}
Tensor TensorMethods::view(const Shape& shape, Where where) const {
  return ebb::view(TensorArg(self(), where), shape);
}
Tensor TensorMethods::view_as(const Tensor& other, Where where) const {
  return ebb::view(TensorArg(self(), where), other.shape());
}
Tensor TensorMethods::flatten(int64_t start_dim, int64_t end_dim, Where where) const {
  return ebb::flatten(TensorArg(self(), where), start_dim, end_dim);
}
Tensor TensorMethods::transpose(int64_t dim0, int64_t dim1, Where where) const {
  return ebb::transpose(TensorArg(self(), where), dim0, dim1);
}
Tensor TensorMethods::t(Where where) const { return ebb::t(TensorArg(self(), where)); }
Tensor TensorMethods::permute(const Shape& dims, Where where) const {
  return ebb::permute(TensorArg(self(), where), dims);
}
Tensor TensorMethods::unsqueeze(int64_t dim, Where where) const {
  return ebb::unsqueeze(TensorArg(self(), where), dim);
}
Tensor TensorMethods::squeeze(Where where) const { return ebb::squeeze(TensorArg(self(), where)); }
Tensor TensorMethods::squeeze(int64_t dim, Where where) const {
  return ebb::squeeze(TensorArg(self(), where), dim);
}
Tensor TensorMethods::select(int64_t dim, int64_t index, Where where) const {
  return ebb::select(TensorArg(self(), where), dim, index);
}
Tensor TensorMethods::slice(int64_t dim, int64_t start, int64_t end, int64_t step,
                            Where where) const {
  return ebb::slice(TensorArg(self(), where), dim, start, end, step);
}
Tensor TensorMethods::narrow(int64_t dim, int64_t start, int64_t length, Where where) const {
  return ebb::narrow(TensorArg(self(), where), dim, start, length);
}
Tensor TensorMethods::expand(const Shape& shape, Where where) const {
  return ebb::expand(TensorArg(self(), where), shape);
}
Tensor TensorMethods::expand_as(const Tensor& other, Where where) const {
  return ebb::expand(TensorArg(self(), where), other.shape());
}
Tensor TensorMethods::repeat(const Shape& repeats, Where where) const {
  return ebb::repeat(TensorArg(self(), where), repeats);
}
Tensor TensorMethods::flip(const Shape& dims, Where where) const {
  return ebb::flip(TensorArg(self(), where), dims);
}
Tensor TensorMethods::roll(const Shape& shifts, const Shape& dims, Where where) const {
  return ebb::roll(TensorArg(self(), where), shifts, dims);
}
Tensor TensorMethods::tril(int64_t diagonal, Where where) const {
  return ebb::tril(TensorArg(self(), where), diagonal);
}
Tensor TensorMethods::triu(int64_t diagonal, Where where) const {
  return ebb::triu(TensorArg(self(), where), diagonal);
}
Tensor TensorMethods::diag(int64_t diagonal, Where where) const {
  return ebb::diag(TensorArg(self(), where), diagonal);
}
std::vector<Tensor> TensorMethods::chunk(int64_t chunks, int64_t dim, Where where) const {
  return ebb::chunk(TensorArg(self(), where), chunks, dim);
}
std::vector<Tensor> TensorMethods::split(int64_t split_size, int64_t dim, Where where) const {
  return ebb::split(TensorArg(self(), where), split_size, dim);
}
Tensor TensorMethods::gather(int64_t dim, const Tensor& index, Where where) const {
  return ebb::gather(TensorArg(self(), where), dim, index);
}
Tensor TensorMethods::index_select(int64_t dim, const Tensor& index, Where where) const {
  return ebb::index_select(TensorArg(self(), where), dim, index);
}
Tensor TensorMethods::masked_fill(const Tensor& mask, Scalar value, Where where) const {
  return ebb::masked_fill(TensorArg(self(), where), mask, value);
}
Tensor TensorMethods::masked_select(const Tensor& mask, Where where) const {
  return ebb::masked_select(TensorArg(self(), where), mask);
}
Tensor TensorMethods::nonzero(Where where) const { return ebb::nonzero(TensorArg(self(), where)); }

Tensor TensorMethods::add(const Tensor& other, double alpha, Where where) const {
  return ebb::add(TensorArg(self(), where), ebb::mul(other, alpha));
}
Tensor TensorMethods::sub(const Tensor& other, double alpha, Where where) const {
  return ebb::sub(TensorArg(self(), where), ebb::mul(other, alpha));
}
Tensor TensorMethods::tan(Where where) const { return ebb::tan(TensorArg(self(), where)); }
Tensor TensorMethods::atan2(const Tensor& x, Where where) const {
  return ebb::atan2(TensorArg(self(), where), x);
}
Tensor TensorMethods::fmod(const Tensor& divisor, Where where) const {
  return ebb::fmod(TensorArg(self(), where), divisor);
}
Tensor TensorMethods::fmod(double divisor, Where where) const {
  return ebb::fmod(TensorArg(self(), where), divisor);
}
Tensor TensorMethods::erfinv(Where where) const { return ebb::erfinv(TensorArg(self(), where)); }
Tensor TensorMethods::where(const Tensor& condition, const Tensor& other, Where where) const {
  return ebb::where(TensorArg(condition, where), self(), other);
}
Tensor TensorMethods::max(const Tensor& other, Where where) const {
  return ebb::maximum(TensorArg(self(), where), other);
}
Tensor TensorMethods::min(const Tensor& other, Where where) const {
  return ebb::minimum(TensorArg(self(), where), other);
}
Tensor TensorMethods::diagonal(int64_t offset, int64_t dim1, int64_t dim2, Where where) const {
  return ebb::diagonal(TensorArg(self(), where), offset, dim1, dim2);
}
std::vector<Tensor> TensorMethods::unbind(int64_t dim, Where where) const {
  return ebb::unbind(TensorArg(self(), where), dim);
}
std::vector<Tensor> TensorMethods::split(const std::vector<int64_t>& sizes, int64_t dim,
                                         Where where) const {
  return ebb::split(TensorArg(self(), where), sizes, dim);
}
Tensor TensorMethods::reshape_as(const Tensor& other, Where where) const {
  check_defined("reshape_as", other);
  return ebb::reshape(TensorArg(self(), where), other.shape());
}
Tensor TensorMethods::index(const std::vector<indexing::TensorIndex>& indices, Where where) const {
  return ebb::index(TensorArg(self(), where), indices);
}

const Tensor Tensor::operator[](const Tensor& index) const { return ebb::index(*this, index); }

}  // namespace ebb
