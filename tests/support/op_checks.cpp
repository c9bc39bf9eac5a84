#include "ebb/tests/support/op_checks.h"

#include <cmath>

#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {

void check_values(const Case& c, const Arrays& arrays) {
  const Tensors in = tensors_of(c, arrays, c.dtype);
  const Tensors out = c.row.op(in);
  const Arrays want = c.row.reference(arrays);
  const Tolerance tolerance = c.dtype == f32   ? c.row.f32_tolerance
                              : c.dtype == f64 ? c.row.f64_tolerance
                                               : Tolerance{0, 0};
  ASSERT_EQ(out.size(), want.size());
  for (size_t i = 0; i < out.size(); ++i) {
    ASSERT_TRUE(out[i].defined());
    EXPECT_EQ(to_text(out[i].shape()), to_text(want[i].shape));
    EXPECT_EQ(to_text(out[i].dtype()), to_text(c.row.out_dtype == f32 ? c.dtype : c.row.out_dtype));
    EXPECT_EQ(to_text(out[i].device()), to_text(c.device));
    // A value that f32 cannot represent counts as the infinity or zero that it rounds to.
    Values expected = want[i].v;
    if (c.dtype == f32) {
      for (double& v : expected) v = static_cast<double>(static_cast<float>(v));
    }
    expect_values(out[i], expected, tolerance.relative, tolerance.absolute);
  }
  for (size_t i = 0; i < in.size(); ++i)
    expect_values(in[i], arrays[i].v, 0, 0, "input after the op");
  if (c.layout != Layout::Strided || !c.row.bitwise) return;
  const Tensors plain =
      c.row.op(tensors_of({c.row, c.device, c.dtype, Layout::Contiguous}, arrays, c.dtype));
  for (size_t i = 0; i < out.size(); ++i)
    expect_same_bits(out[i], plain[i], "strided against contiguous");
}

namespace {

GradcheckOptions strict() {
  return {.eps = 1e-6, .atol = 1e-7, .rtol = 1e-6, .allow_zero = true, .raise = false};
}

// Runs one checker. The inputs for which it finds no influence must be those that the row names.
void expect_passes(const Case& c, const GradcheckReport& report,
                   const std::vector<int>& stated_zero, const char* order) {
  EXPECT_TRUE(report.passed) << order << ": " << report.message;
  if (c.layout == Layout::Scalar || c.layout == Layout::Broadcast)
    return;  // all of the few elements may be where it is zero
  std::vector<int> zero;
  for (int i : report.zero_inputs) {
    if (i < static_cast<int>(c.row.inputs.size())) zero.push_back(i);
  }
  EXPECT_EQ(zero, stated_zero) << order << ": inputs whose gradients are zero everywhere";
}

void check_derivatives(const Case& c, const Arrays& arrays) {
  const Tensors leaves = leaves_of(c, arrays, f64);
  expect_passes(c, gradcheck(c.row.op, leaves, strict()), c.row.zero_gradient, "order 1");
  expect_passes(c, gradgradcheck(c.row.op, leaves, strict()), c.row.zero_second, "order 2");
  if (!c.row.third_order || c.layout != Layout::Contiguous) return;
  const auto gradient = [&](const Tensors& at) {
    const Tensors out = c.row.op(at);
    Tensors upstreams;
    for (const Tensor& o : out) {
      Generator generator{kSeed, 0};
      upstreams.push_back(randn(o.shape(), {.dtype = f64}, &generator));
    }
    return grad(out, wanted_of(at), {.grad_outputs = upstreams, .create_graph = true});
  };
  GradcheckOptions options = strict();
  options.atol = options.rtol = 1e-5;
  expect_passes(c, gradgradcheck(gradient, leaves, options), c.row.zero_third, "order 3");
}

// Returns gradients of order 1 and 2 for fixed random upstream gradients.
Tensors two_orders(const Case& c, const Arrays& arrays, DType dtype) {
  const Tensors leaves = leaves_of(c, arrays, dtype), wanted = wanted_of(leaves);
  const auto upstreams = [&](const Tensors& of, uint64_t seed) {
    Tensors list;
    for (const Tensor& t : of) {
      Generator generator{seed, 0};
      list.push_back(rand(t.shape(), {.dtype = f32}, &generator).to(dtype).to(c.device));
    }
    return list;
  };
  const Tensors out = c.row.op(leaves);
  Tensors all = grad(out, wanted, {.grad_outputs = upstreams(out, 1), .create_graph = true});
  Tensors connected, gradients = all;
  for (const Tensor& g : gradients) {
    if (g.requires_grad()) connected.push_back(g);
  }
  if (connected.empty()) return all;
  for (const Tensor& g :
       grad(connected, wanted, {.grad_outputs = upstreams(connected, 2), .allow_unused = true})) {
    all.push_back(g.defined() ? g : zeros({}, {.dtype = dtype}));
  }
  return all;
}

void check_f32_against_f64(const Case& c, const Arrays& arrays) {
  const Tensors low = two_orders(c, arrays, f32), high = two_orders(c, arrays, f64);
  ASSERT_EQ(low.size(), high.size());
  for (size_t i = 0; i < low.size(); ++i) {
    EXPECT_EQ(low[i].dtype(), f32);
    EXPECT_EQ(to_text(low[i].shape()), to_text(high[i].shape()));
    expect_values(low[i], high[i].to_vector<double>(), 2e-5, 2e-5,
                  "gradient " + std::to_string(i) + " in f32");
  }
}

// Checks that a GPU computes the same as the CPU, whose gradients are checked numerically.
void check_against_cpu(const Case& c, const Arrays& arrays) {
  const Tensors here = two_orders(c, arrays, f64),
                there = two_orders({c.row, Device::cpu(), c.dtype, c.layout}, arrays, f64);
  ASSERT_EQ(here.size(), there.size());
  for (size_t i = 0; i < here.size(); ++i) {
    EXPECT_EQ(to_text(here[i].shape()), to_text(there[i].shape()));
    expect_values(here[i], there[i].to_vector<double>(), 1e-10, 1e-10,
                  "gradient " + std::to_string(i) + " on the GPU");
  }
}

void check_empty_gradients(const Case& c, const Arrays& arrays) {
  const Tensors leaves = leaves_of(c, arrays, c.dtype), wanted = wanted_of(leaves);
  const Tensors out = c.row.op(leaves);
  Tensors upstreams;
  for (const Tensor& o : out) upstreams.push_back(ones_like(o));
  const Tensors gradients = grad(out, wanted, {.grad_outputs = upstreams});
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_EQ(to_text(gradients[i].shape()), to_text(wanted[i].shape()));
    expect_values(gradients[i], Values(static_cast<size_t>(wanted[i].numel())), 0, 0,
                  "gradient of nothing");
  }
}

}  // namespace

void run_layout(const Case& c) {
  for (const std::vector<Shape>& shapes : shapes_of(c.row, c.layout)) {
    if (testing::Test::HasFatalFailure()) return;
    std::string trace = "shapes";
    for (const Shape& s : shapes) trace += " " + to_text(s);
    SCOPED_TRACE(trace);
    check_values(c, arrays_of(c.row, shapes, c.layout != Layout::Scalar));
    if (!c.row.differentiable) continue;
    const Arrays tame = arrays_of(c.row, shapes, false);
    check_ways_agree(c, tame);
    if (c.layout == Layout::Contiguous) {
      SCOPED_TRACE("at the extremes");
      check_ways_agree(c, arrays_of(c.row, shapes, true));
    }
    check_call_sites(c, tame);
    if (c.layout == Layout::Empty) check_empty_gradients(c, tame);
    else if (c.dtype == f32) check_f32_against_f64(c, tame);
    else if (c.device == Device::cpu()) check_derivatives(c, tame);
    else check_against_cpu(c, tame);
  }
}

void run_integers(const OpRow& row, Device device) {
  const Case c{row, device, i64, Layout::Contiguous};
  Arrays arrays = arrays_of(row, shapes_of(row, c.layout)[0], false);
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (!row.inputs[i].fixed.empty()) continue;
    for (double& v : arrays[i].v) v = std::round(3 * v);
  }
  check_values(c, arrays);
}

void run_points(const OpRow& row, Device device, DType dtype) {
  for (const Shape& shape : {Shape{}, Shape{37}}) {
    for (const Point& point : row.points) {
      SCOPED_TRACE("at " + testing::PrintToString(point.at) + " in shape " + to_text(shape));
      Tensors at;
      for (double x : point.at)
        at.push_back(full(shape, x, {.dtype = dtype, .device = device}).requires_grad_());
      const Tensors out = row.op(at);
      const Values same(static_cast<size_t>(shape.numel()), 1);
      const auto expect = [&](const Tensor& got, double want, const std::string& what) {
        Values wanted = same;
        for (double& v : wanted) v = want;
        const double tolerance = dtype == f32 ? 1e-6 : 1e-14;
        expect_values(got, wanted, tolerance, tolerance, what);
      };
      expect(out[0], point.result, "value");
      if (point.first.empty()) continue;
      const Tensor one = ones_like(out[0]);
      const Tensors first = grad(out, at, {.grad_outputs = {one}, .create_graph = true});
      for (size_t k = 0; k < at.size(); ++k)
        expect(first[k], point.first[k], "gradient " + std::to_string(k));
      if (point.higher.empty()) continue;
      const Tensors second =
          first[0].requires_grad()
              ? grad(std::span(&first[0], 1), at, {.grad_outputs = {one}, .allow_unused = true})
              : Tensors(at.size());
      for (size_t k = 0; k < at.size(); ++k) {
        expect(second[k].defined() ? second[k] : zeros_like(at[k]), point.higher[k],
               "second order " + std::to_string(k));
      }
    }
  }
}

void run_bad_inputs(const OpRow& row) {
  ASSERT_FALSE(row.bad.empty()) << "state at least one input that the op refuses";
  for (const BadInput& bad : row.bad) {
    SCOPED_TRACE(bad.what);
    expect_error(bad.call, "", {bad.message});
  }
}

}  // namespace ebb::test
