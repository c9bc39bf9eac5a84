#include "ebb/nn/distributed/average.h"

#include <set>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/distributed/agreement.h"
#include "ebb/nn/distributed/ordered_sum.h"

namespace ebb::distributed {

void average_gradients(const std::vector<nn::NamedTensor>& parameters, const Group& group) {
  if (group.size() == 1) return;
  const NoGrad guard;
  NamedTensors gradients;
  for (const auto& [name, parameter] : parameters) {
    check_defined("average_gradients", parameter);
    const Tensor gradient = parameter.grad();
    if (gradient.defined()) gradients.emplace_back("the gradient of " + name, gradient.detach());
  }
  detail::check_same(group, "average_gradients", detail::described(gradients));
  // Each has its own memory, on the CPU. Two parameters may share one gradient.
  std::vector<Tensor> hosts;
  std::set<const void*> seen;
  for (const auto& [name, gradient] : gradients) {
    const Tensor host = gradient.to(Device::cpu()).contiguous();
    hosts.push_back(seen.insert(host.raw()).second ? host : host.clone());
  }
  detail::sum_over_ranks(*group.engine(), hosts, 1.0 / group.size());
  size_t k = 0;
  for (const auto& [name, parameter] : parameters) {
    const Tensor before = parameter.grad();
    if (!before.defined()) continue;
    const Tensor& host = hosts[k++];
    if (host.raw() == before.raw()) before.impl()->storage->bump_version();
    else parameter.set_grad(host.to(before.device()));
  }
}

}  // namespace ebb::distributed
