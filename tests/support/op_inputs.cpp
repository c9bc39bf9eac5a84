// Inputs of rows: values in their domain, as tensors in every layout.
#include <cmath>

#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/op_checks.h"

namespace ebb::test {
namespace {

// Returns values that f32 represents exactly, so that both dtypes have the same numbers.
Array values_of(const Input& input, const Shape& shape, bool extremes, size_t number) {
  Array a{shape, Values(static_cast<size_t>(shape.numel()))};
  Generator generator{kSeed + number, 0};
  const Values random = rand(shape, {.dtype = f64}, &generator).to_vector<double>();
  for (size_t i = 0; i < a.v.size(); ++i) {
    if (!input.fixed.empty()) {
      a.v[i] = input.fixed[i];
      continue;
    }
    double x = input.low + (input.high - input.low) * random[i];
    for (double kink : input.kinks) {
      if (std::fabs(x - kink) < 0.05) x = kink + (x < kink ? -0.05 : 0.05);
    }
    if (extremes && i < input.extremes.size()) x = input.extremes[i];
    a.v[i] = static_cast<double>(static_cast<float>(x));
  }
  return a;
}

// Returns the same elements inside the storage of a transposed tensor of twice the length, between
// NaNs (or ones).
Tensor strided(const Tensor& x) {
  const NoGrad guard;
  Shape backwards, order;
  for (int d = x.dim() - 1; d >= 0; --d) {
    backwards.push_back(x.shape()[d]);
    order.push_back(d);
  }
  backwards.push_back(3);
  const Tensor storage = full(backwards, is_floating(x.dtype()) ? kNaN : 1,
                              {.dtype = x.dtype(), .device = x.device()});
  Tensor view = permute(select(storage, -1, 1), order);
  view.copy_(x);
  return view;
}

}  // namespace

Arrays arrays_of(const OpRow& row, const std::vector<Shape>& shapes, bool extremes) {
  Arrays arrays;
  for (size_t i = 0; i < shapes.size(); ++i)
    arrays.push_back(values_of(row.inputs[i], shapes[i], extremes, i));
  return arrays;
}

Tensors tensors_of(const Case& c, const Arrays& arrays, DType dtype) {
  Tensors tensors;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const Input& input = c.row.inputs[i];
    Tensor x = from_data(arrays[i].v, arrays[i].shape)
                   .to(input.is_floating() ? dtype : input.dtype)
                   .to(c.device);
    if (c.layout == Layout::Strided) x = strided(x);
    tensors.push_back(x);
  }
  return tensors;
}

Tensors leaves_of(const Case& c, const Arrays& arrays, DType dtype) {
  Tensors tensors = tensors_of(c, arrays, dtype);
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (c.row.inputs[i].requires_grad && c.row.inputs[i].is_floating()) tensors[i].requires_grad_();
  }
  return tensors;
}

Tensors wanted_of(const Tensors& leaves) {
  Tensors wanted;
  for (const Tensor& x : leaves) {
    if (x.requires_grad()) wanted.push_back(x);
  }
  return wanted;
}

std::vector<std::vector<Shape>> shapes_of(const OpRow& row, Layout layout) {
  if (layout == Layout::Broadcast) return row.broadcast;
  if (layout == Layout::Empty) return {row.empty};
  std::vector<Shape> shapes;
  for (const Input& input : row.inputs)
    shapes.push_back(layout == Layout::Scalar ? Shape{} : input.shape);
  return {shapes};
}

}  // namespace ebb::test
