// Crosses every row of the op table with device, dtype and layout. Tests are registered by name:
// op_table.sigmoid/cpu/f32/strided; run some with --gtest_filter='*sigmoid/*'.
//
// contiguous, strided, broadcast, empty, scalar: value, shape and dtype against the reference; the same bits wherever
// the elements lie; in f64 gradcheck of orders 1 and 2 (3 where the row says so), in f32 gradients of both orders
// against those in f64. points: values and gradients at kinks and limits. bad_input: the messages.
#include <algorithm>
#include <set>

#include "ebb/autograd/engine.h"
#include "ebb/autograd/gradcheck.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/autograd/registry.h"
#include "ebb/core/backend.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

enum class Layout { Contiguous, Strided, Broadcast, Empty, Scalar };
constexpr const char* kLayoutNames[] = {"contiguous", "strided", "broadcast", "empty", "scalar"};
constexpr uint64_t kSeed = 7;

struct Case {
  const OpRow& row;
  Device device;
  DType dtype;
  Layout layout;
};

// ---- inputs ----

// Values that f32 holds exactly, so that both dtypes see the same numbers.
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

Arrays arrays_of(const OpRow& row, const std::vector<Shape>& shapes, bool extremes) {
  Arrays arrays;
  for (size_t i = 0; i < shapes.size(); ++i) arrays.push_back(values_of(row.inputs[i], shapes[i], extremes, i));
  return arrays;
}

// The same elements in the storage of a transposed tensor of twice the length, between NaNs (or ones).
Tensor strided(const Tensor& x) {
  const NoGrad guard;
  Shape backwards, order;
  for (int d = x.dim() - 1; d >= 0; --d) {
    backwards.push_back(x.shape()[d]);
    order.push_back(d);
  }
  backwards.push_back(3);
  const Tensor storage = full(backwards, is_floating(x.dtype()) ? kNaN : 1, {.dtype = x.dtype(), .device = x.device()});
  Tensor view = permute(select(storage, -1, 1), order);
  view.copy_(x);
  return view;
}

Tensors tensors_of(const Case& c, const Arrays& arrays, DType dtype) {
  Tensors tensors;
  for (size_t i = 0; i < arrays.size(); ++i) {
    const Input& input = c.row.inputs[i];
    Tensor x = from_data(arrays[i].v, arrays[i].shape).to(input.is_floating() ? dtype : input.dtype).to(c.device);
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
  for (const Input& input : row.inputs) shapes.push_back(layout == Layout::Scalar ? Shape{} : input.shape);
  return {shapes};
}

// ---- checks ----

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
    // A value that f32 cannot hold counts as the infinity or zero that it rounds to.
    Values expected = want[i].v;
    if (c.dtype == f32) {
      for (double& v : expected) v = static_cast<double>(static_cast<float>(v));
    }
    expect_values(out[i], expected, tolerance.relative, tolerance.absolute);
  }
  for (size_t i = 0; i < in.size(); ++i) expect_values(in[i], arrays[i].v, 0, 0, "input after the op");
  if (c.layout != Layout::Strided || !c.row.bitwise) return;
  const Tensors plain = c.row.op(tensors_of({c.row, c.device, c.dtype, Layout::Contiguous}, arrays, c.dtype));
  for (size_t i = 0; i < out.size(); ++i) expect_same_bits(out[i], plain[i], "strided against contiguous");
}

GradcheckOptions strict() { return {.eps = 1e-6, .atol = 1e-7, .rtol = 1e-6, .allow_zero = true, .raise = false}; }

// Runs one checker; the inputs that it found without influence must be those that the row states.
void expect_passes(const Case& c, const GradcheckReport& report, const std::vector<int>& stated_zero,
                   const char* order) {
  EXPECT_TRUE(report.passed) << order << ": " << report.message;
  if (c.layout == Layout::Scalar || c.layout == Layout::Broadcast) return;  // few elements may lie where it is zero
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

// Gradients of order 1 and 2 for fixed random upstreams.
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
  for (const Tensor& g : grad(connected, wanted, {.grad_outputs = upstreams(connected, 2), .allow_unused = true})) {
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
    expect_values(low[i], high[i].to_vector<double>(), 2e-5, 2e-5, "gradient " + std::to_string(i) + " in f32");
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
    expect_values(gradients[i], Values(static_cast<size_t>(wanted[i].numel())), 0, 0, "gradient of nothing");
  }
}

void run_layout(const Case& c) {
  for (const std::vector<Shape>& shapes : shapes_of(c.row, c.layout)) {
    if (testing::Test::HasFatalFailure()) return;
    std::string trace = "shapes";
    for (const Shape& s : shapes) trace += " " + to_text(s);
    SCOPED_TRACE(trace);
    check_values(c, arrays_of(c.row, shapes, c.layout != Layout::Scalar));
    if (!c.row.differentiable) continue;
    const Arrays tame = arrays_of(c.row, shapes, false);
    if (c.layout == Layout::Empty) check_empty_gradients(c, tame);
    else if (c.dtype == f32) check_f32_against_f64(c, tame);
    else if (c.device == Device::cpu()) check_derivatives(c, tame);
  }
}

// i64 in the contiguous layout.
void run_integers(const OpRow& row, Device device) {
  const Case c{row, device, i64, Layout::Contiguous};
  Arrays arrays = arrays_of(row, shapes_of(row, c.layout)[0], false);
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (!row.inputs[i].fixed.empty()) continue;
    for (double& v : arrays[i].v) v = std::round(3 * v);
  }
  check_values(c, arrays);
}

// Each point alone and in a vector with a tail: a convention must not depend on where an element stands.
void run_points(const OpRow& row, Device device, DType dtype) {
  for (const Shape& shape : {Shape{}, Shape{37}}) {
    for (const Point& point : row.points) {
      SCOPED_TRACE("at " + testing::PrintToString(point.at) + " in shape " + to_text(shape));
      Tensors at;
      for (double x : point.at) at.push_back(full(shape, x, {.dtype = dtype, .device = device}).requires_grad_());
      const Tensors out = row.op(at);
      const Values same(static_cast<size_t>(shape.numel()), 1);
      const auto expect = [&](const Tensor& got, double want, const std::string& what) {
        Values wanted = same;
        for (double& v : wanted) v = want;
        const double tolerance = dtype == f32 ? 1e-6 : 1e-14;
        expect_values(got, wanted, tolerance, tolerance, what);
      };
      expect(out[0], point.value, "value");
      if (point.gradient.empty()) continue;
      const Tensor one = ones_like(out[0]);
      const Tensors first = grad(out, at, {.grad_outputs = {one}, .create_graph = true});
      for (size_t k = 0; k < at.size(); ++k) expect(first[k], point.gradient[k], "gradient " + std::to_string(k));
      if (point.second.empty()) continue;
      const Tensors second = first[0].requires_grad()
                                 ? grad(std::span(&first[0], 1), at, {.grad_outputs = {one}, .allow_unused = true})
                                 : Tensors(at.size());
      for (size_t k = 0; k < at.size(); ++k) {
        expect(second[k].defined() ? second[k] : zeros_like(at[k]), point.second[k],
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

// ---- registration ----

class OpTableTest : public testing::Test {
 public:
  explicit OpTableTest(std::function<void()> body) : body_(std::move(body)) {}
  void TestBody() override { body_(); }

 private:
  std::function<void()> body_;
};

void add_test(const std::string& name, std::function<void()> body) {
  testing::RegisterTest("op_table", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                        [body = std::move(body)]() -> OpTableTest* { return new OpTableTest(body); });
}

void register_row(const OpRow& row, Device device) {
  const std::string place = row.name + (device == Device::cpu() ? "/cpu/" : "/cuda/");
  bool any_floating = false;
  for (const Input& input : row.inputs) any_floating |= input.is_floating();
  for (DType dtype : {f32, f64}) {
    if (!any_floating && dtype == f64) continue;
    const std::string prefix = place + (any_floating ? std::string(name_of(dtype)) : "i64") + "/";
    const auto add = [&](Layout layout) {
      add_test(prefix + kLayoutNames[static_cast<int>(layout)], [&row, device, dtype, layout] {
        run_layout({row, device, dtype, layout});
      });
    };
    add(Layout::Contiguous);
    add(Layout::Strided);
    if (!row.broadcast.empty()) add(Layout::Broadcast);
    if (row.has_empty) add(Layout::Empty);
    if (row.has_scalar) add(Layout::Scalar);
    if (!row.points.empty()) add_test(prefix + "points", [&row, device, dtype] { run_points(row, device, dtype); });
  }
  if (row.has_integers) add_test(place + "i64/contiguous", [&row, device] { run_integers(row, device); });
  if (device == Device::cpu()) add_test(place + "bad_input", [&row] { run_bad_inputs(row); });
}

bool cuda_is_built() {
  try {
    backend(Device::cuda());
    return true;
  } catch (const Error&) {
    return false;
  }
}

void every_op_has_a_row(const std::vector<OpRow>& rows) {
  std::set<std::string> covered, names;
  for (const OpRow& row : rows) {
    EXPECT_TRUE(names.insert(row.name).second) << "two rows are called " << row.name;
    covered.insert(row.covers.begin(), row.covers.end());
    if (row.covers.empty()) covered.insert(row.name);
  }
  std::set<std::string> registered;
  for (std::string_view name : op_names()) {
    if (name.starts_with("test_")) continue;  // ops that tests define
    registered.insert(std::string(name));
    EXPECT_TRUE(covered.contains(std::string(name))) << name << " has no row in tests/support/rows_*.cpp";
  }
  for (const OpRow& row : rows) {
    for (const std::string& name : row.covers) {
      EXPECT_TRUE(registered.contains(name)) << "row " << row.name << " covers " << name << ", which is no op";
    }
  }
}

void register_all() {
  static const std::vector<OpRow> rows = all_rows();
  for (const OpRow& row : rows) register_row(row, Device::cpu());
  if (cuda_is_built()) {
    for (const OpRow& row : rows) register_row(row, Device::cuda());
  } else {
    add_test("cuda/not_built",
             [] { GTEST_SKIP() << "no GPU backend in this build: " << rows.size() << " rows not run on it"; });
  }
  add_test("every_op_has_a_row", [] { every_op_has_a_row(rows); });
}

}  // namespace
}  // namespace ebb::test

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  ebb::test::register_all();
  return RUN_ALL_TESTS();
}
