// Checks that all ways to compute a gradient give the same result, and that every op knows the line
// that called it.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"
#include "ebb/tests/support/op_checks.h"

namespace ebb::test {
namespace {

Tensors random_upstreams(const Tensors& outputs, uint64_t seed, double constant) {
  Tensors list;
  for (const Tensor& t : outputs) {
    Generator generator{seed, 0};
    const Tensor random = rand(t.shape(), {.dtype = f64}, &generator);
    list.push_back((constant != 0 ? full(t.shape(), constant, {.dtype = f64}) : random)
                       .to(t.dtype())
                       .to(t.device()));
  }
  return list;
}

void expect_same(const Tensor& got, const Tensor& want, DType dtype, const std::string& what,
                 double f64 = 1e-12) {
  ASSERT_EQ(got.defined(), want.defined()) << what;
  if (!got.defined()) return;
  EXPECT_EQ(to_text(got.shape()), to_text(want.shape())) << what;
  EXPECT_EQ(to_text(got.dtype()), to_text(want.dtype())) << what;
  const double tolerance = dtype == DType::F32 ? 2e-5 : f64;
  expect_values(got, want.to_vector<double>(), tolerance, tolerance, what);
}

}  // namespace

void check_ways_agree(const Case& c, const Arrays& arrays) {
  const Tensors leaves = leaves_of(c, arrays, c.dtype), wanted = wanted_of(leaves);
  const auto first = [&](bool record, double constant) {
    const Tensors out = c.row.op(leaves);
    return grad(out, wanted,
                {.grad_outputs = random_upstreams(out, 1, constant), .create_graph = record});
  };
  const Tensors plain = first(false, 0), recorded = first(true, 0);
  for (size_t i = 0; i < wanted.size(); ++i) {
    EXPECT_FALSE(plain[i].requires_grad());
    expect_same(plain[i], recorded[i], c.dtype,
                "gradient " + std::to_string(i) + ", plain against create_graph");
  }
  // backward() on the leaves, without an upstream if the output is a scalar: fused losses then pass
  // their gradient on.
  const Tensors out = c.row.op(leaves);
  if (out.size() == 1 && out[0].numel() == 1) {
    const Tensors ones_along = first(true, 1);
    for (const bool retain : {false, true}) {
      for (Tensor x : wanted) x.set_grad({});
      c.row.op(leaves)[0].backward({}, retain);
      for (size_t i = 0; i < wanted.size(); ++i) {
        expect_same(wanted[i].grad(), ones_along[i], c.dtype,
                    "backward() into leaf " + std::to_string(i));
      }
    }
  } else {
    for (Tensor x : wanted) x.set_grad({});
    backward(out, random_upstreams(out, 1, 0), false, false);
    for (size_t i = 0; i < wanted.size(); ++i) {
      expect_same(wanted[i].grad(), recorded[i], c.dtype,
                  "backward() into leaf " + std::to_string(i));
    }
  }
  // The same for the second order. (torch's second order of binary_cross_entropy, which Ebb
  // follows, adds 1e-12 in places.)
  Tensors connected;
  for (const Tensor& g : recorded) {
    if (g.requires_grad()) connected.push_back(g);
  }
  if (connected.empty()) return;
  const auto second = [&](bool record) {
    return grad(connected, wanted,
                {.grad_outputs = random_upstreams(connected, 2, 0),
                 .create_graph = record,
                 .retain_graph = true,
                 .allow_unused = true});
  };
  const Tensors plain_second = second(false), recorded_second = second(true);
  for (size_t i = 0; i < wanted.size(); ++i) {
    const std::string what = "second order " + std::to_string(i) + ", plain against create_graph";
    const Tensor zero = zeros_like(wanted[i]);  // an undefined gradient counts as zero
    expect_same(plain_second[i].defined() ? plain_second[i] : zero,
                recorded_second[i].defined() ? recorded_second[i] : zero, c.dtype, what, 1e-9);
  }
}

void check_call_sites(const Case& c, const Arrays& arrays) {
  const Tensors leaves = leaves_of(c, arrays, c.dtype);
  int recorded = 0;
  const OpObserver watch([&](const OpEvent& e) {
    if (!e.node) return;
    ++recorded;
    const std::string file = e.call_site ? e.call_site->file_name() : "";
    EXPECT_NE(file.find("tests/"), std::string::npos)
        << e.op << " was called at "
        << (e.call_site ? file + ":" + std::to_string(e.call_site->line()) : "an unknown line");
  });
  c.row.op(leaves);
  EXPECT_GT(recorded, 0) << "no op was recorded: nothing was checked";
}

}  // namespace ebb::test
