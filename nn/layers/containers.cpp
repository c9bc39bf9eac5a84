#include "ebb/nn/layers/containers.h"

#include <algorithm>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {

void detail::refuse_class(std::string_view container, const Layer& layer) {
  fail(container, "the layer is a ", class_name(layer), ", not of the class that was requested");
}

size_t detail::layer_index(std::string_view container, int64_t i, int64_t size) {
  const int64_t index = i < 0 ? i + size : i;
  if (index < 0 || index >= size)
    fail(container, "index ", i, " is out of range: there are ", size, " layers");
  return static_cast<size_t>(index);
}

void ModuleList::append(std::shared_ptr<Layer> layer) {
  add_child(std::to_string(layers_->size()), *layer);
  layers_->push_back(std::move(layer));
}

const Layer& ModuleList::operator[](int64_t i) const {
  return *(*layers_)[detail::layer_index("ModuleList", i, size())];
}

void ModuleDict::add(const std::string& name, std::shared_ptr<Layer> layer) {
  add_child(name, *layer);
  layers_->emplace_back(name, std::move(layer));
}

const Layer& ModuleDict::operator[](const std::string& name) const {
  const auto found = std::ranges::find(*layers_, name, &Entry::first);
  if (found == layers_->end()) {
    std::string names;
    for (const Entry& entry : *layers_) names += (names.empty() ? "" : ", ") + entry.first;
    fail("ModuleDict", "no layer '", name,
         names.empty() ? "': it is empty" : "': expected one of " + names);
  }
  return *found->second;
}

bool ModuleDict::contains(const std::string& name) const {
  return std::ranges::find(*layers_, name, &Entry::first) != layers_->end();
}

std::vector<std::string> ModuleDict::keys() const {
  std::vector<std::string> names;
  for (const Entry& entry : *layers_) names.push_back(entry.first);
  return names;
}

Tensor Residual::forward(const Tensor& x) const { return x + inner_.forward(x); }

Tensor Parallel::forward(const Tensor& x) const {
  std::vector<Tensor> results;
  for (const Layer& branch : branches_) results.push_back(branch(x));
  if (!options_.sum) return cat(results, options_.dim);
  Tensor total = results[0];
  for (size_t i = 1; i < results.size(); ++i) total = total + results[i];
  return total;
}

std::string Parallel::extra_repr() const {
  return options_.sum ? "sum=True" : detail::options_text({{"dim", options_.dim}});
}

Lambda::Lambda(std::function<Tensor(const Tensor&)> function, std::string name)
    : function_(std::move(function)), name_(std::move(name)) {
  if (!function_) fail("Lambda", "expected a function, got none");
}

}  // namespace ebb::nn
