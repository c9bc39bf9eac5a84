// Cutting, repeating, padding, choosing, sorting, running sums and einsum.
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/einsum.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ops.h"

namespace ebb::parity {
namespace {

template <class F> Call one(F f) {
  return [f] { return Tensors{f()}; };
}

Shape shape_option(Arguments& a, const std::string& name) {
  std::vector<int64_t> values;
  a.read(name, values);
  return Shape(values);
}

int64_t number(Arguments& a, const std::string& name, int64_t fallback) {
  a.read(name, fallback);
  return fallback;
}

Call narrow_call(Arguments& a) {
  return one([x = a.input(), dim = a.required<int64_t>("dim"), start = a.required<int64_t>("start"),
              length = a.required<int64_t>("length")] { return narrow(x, dim, start, length); });
}

Call split_call(Arguments& a) {
  std::vector<int64_t> sizes;
  a.read("size", sizes);
  const int64_t dim = number(a, "dim", 0);
  return [=, x = a.input()] {
    return sizes.size() == 1 ? split(x, sizes[0], dim) : split(x, sizes, dim);
  };
}

Call chunk_call(Arguments& a) {
  const int64_t chunks = a.required<int64_t>("chunks"), dim = number(a, "dim", 0);
  return [=, x = a.input()] { return chunk(x, chunks, dim); };
}

template <Tensor (*f)(const TensorArg&, const Shape&)>
Call with_list(Arguments& a, const char* name) {
  return one([x = a.input(), list = shape_option(a, name)] { return f(x, list); });
}
Call repeat_call(Arguments& a) { return with_list<repeat>(a, "repeats"); }
Call flip_call(Arguments& a) { return with_list<flip>(a, "dims"); }

Call roll_call(Arguments& a) {
  return one([x = a.input(), shifts = shape_option(a, "shifts"), dims = shape_option(a, "dims")] {
    return roll(x, shifts, dims);
  });
}

template <Tensor (*f)(const TensorArg&, int64_t)> Call with_diagonal(Arguments& a) {
  return one([x = a.input(), k = number(a, "diagonal", 0)] { return f(x, k); });
}

Call diagonal_call(Arguments& a) {
  return one([x = a.input(), offset = number(a, "offset", 0), dim1 = number(a, "dim1", 0),
              dim2 = number(a, "dim2", 1)] { return diagonal(x, offset, dim1, dim2); });
}

Call pad_call(Arguments& a) {
  PadMode mode{};
  double value = 0;
  a.read("mode", mode);
  a.read("value", value);
  return one(
      [=, x = a.input(), sides = shape_option(a, "pad")] { return pad(x, sides, mode, value); });
}

Call masked_fill_call(Arguments& a) {
  return one([x = a.inputs(2), value = a.required<double>("value")] {
    return masked_fill(x[0], x[1], value);
  });
}
Call masked_select_call(Arguments& a) {
  return one([x = a.inputs(2)] { return masked_select(x[0], x[1]); });
}
Call nonzero_call(Arguments& a) {
  return one([x = a.input()] { return nonzero(x); });
}
Call pow_of_call(Arguments& a) {
  return one([x = a.input(), base = a.required<double>("base")] { return pow(base, x); });
}

Call sort_call(Arguments& a) {
  bool descending = false;
  a.read("descending", descending);
  return [x = a.input(), dim = number(a, "dim", -1), descending] {
    const auto [values, indices] = sort(x, dim, descending);
    return Tensors{values, indices};
  };
}
Call topk_call(Arguments& a) {
  bool largest = true;
  a.read("largest", largest);
  return [x = a.input(), k = a.required<int64_t>("k"), dim = number(a, "dim", -1), largest] {
    const auto [values, indices] = topk(x, k, dim, largest);
    return Tensors{values, indices};
  };
}
template <Tensor (*f)(const TensorArg&, int64_t)> Call running(Arguments& a) {
  return one([x = a.input(), dim = a.required<int64_t>("dim")] { return f(x, dim); });
}
Call prod_call(Arguments& a) {
  bool keepdim = false;
  a.read("keepdim", keepdim);
  return one(
      [x = a.input(), dims = shape_option(a, "dim"), keepdim] { return prod(x, dims, keepdim); });
}
Call einsum_call(Arguments& a) {
  return one([x = a.inputs(1, 3), equation = a.required<std::string>("equation")] {
    return einsum(equation, x);
  });
}

constexpr Op kOps[] = {
    {"narrow", narrow_call},
    {"split", split_call},
    {"chunk", chunk_call},
    {"repeat", repeat_call},
    {"flip", flip_call},
    {"roll", roll_call},
    {"tril", with_diagonal<tril>},
    {"triu", with_diagonal<triu>},
    {"diagonal", diagonal_call},
    {"diag", with_diagonal<diag>},
    {"pad", pad_call},
    {"masked_fill", masked_fill_call},
    {"masked_select", masked_select_call},
    {"nonzero", nonzero_call},
    {"pow_of", pow_of_call},
    {"sort", sort_call},
    {"topk", topk_call},
    {"cumsum", running<cumsum>},
    {"cumprod", running<cumprod>},
    {"prod", prod_call},
    {"einsum", einsum_call},
};

}  // namespace

std::span<const Op> rearrange_ops() { return kOps; }

}  // namespace ebb::parity
