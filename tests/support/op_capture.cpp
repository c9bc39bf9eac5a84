// Checks every row as a captured step: a launch with new inputs gives the same result as a call
// with them.
#include <algorithm>

#include "ebb/autograd/graph/engine.h"
#include "ebb/core/cuda.h"
#include "ebb/core/grad_mode.h"
#include "ebb/core/random.h"
#include "ebb/tests/support/check.h"
#include "ebb/tests/support/op_checks.h"

namespace ebb::test {
namespace {

// Returns other values of the same domain. Indices and other fixed values stay the same.
Arrays turned(const OpRow& row, Arrays arrays) {
  for (size_t i = 0; i < arrays.size(); ++i) {
    if (row.inputs[i].fixed.empty()) std::reverse(arrays[i].v.begin(), arrays[i].v.end());
  }
  return arrays;
}

// Returns the results, then the gradients of the leaves.
Tensors step_of(const OpRow& row, const Tensors& leaves, const Tensors& upstreams) {
  Tensors made = row.op(leaves);
  if (!row.differentiable) return made;
  for (const Tensor& g : grad(made, wanted_of(leaves), {.grad_outputs = upstreams}))
    made.push_back(g);
  return made;
}

}  // namespace

void run_captured(const OpRow& row) {
  const Case c{row, Device::cuda(), f32, Layout::Contiguous};
  const Arrays first = arrays_of(row, shapes_of(row, c.layout)[0], false),
               second = turned(row, first);
  Tensors leaves = leaves_of(c, first, f32), upstreams;
  for (const Tensor& out : row.op(leaves)) {
    Generator generator{kSeed, 0};
    upstreams.push_back(rand(out.shape(), {.dtype = f32}, &generator).to(c.device));
  }
  Tensors made;
  cuda::CapturedStep step([&] { made = step_of(row, leaves, upstreams); });
  if (!row.captured) {
    step();
    expect_error(step, "", {"captured"});
    return;
  }
  for (const Arrays* arrays : {&first, &second, &first}) {
    const Tensors fresh = leaves_of(c, *arrays, f32), want = step_of(row, fresh, upstreams);
    {
      const NoGrad guard;
      for (size_t i = 0; i < leaves.size(); ++i) leaves[i].copy_(fresh[i]);
    }
    step();
    ASSERT_EQ(made.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i)
      expect_same_bits(made[i], want[i], "result " + std::to_string(i));
  }
  EXPECT_EQ(step.replays(), 2);
}

}  // namespace ebb::test
