// Modules of modules: lists and dictionaries for forwards of one's own, and the ways to combine layers that Sequential does
// not have: in parallel, around a shortcut, and a layer made of a function.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/nn/layers/sequential.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

namespace detail {
/// Throws the Error of a layer that has another class than the one asked for.
[[noreturn]] void refuse_class(std::string_view container, const Layer& layer);

template <class M> const M& layer_as(std::string_view container, const Layer& layer) {
  const auto* found = dynamic_cast<const M*>(&layer);
  if (!found) refuse_class(container, layer);
  return *found;
}
}  // namespace detail

/// A list of layers, named "0", "1", ..., without a forward of its own. Like every module it is a handle: copies share
/// their layers, including those appended later.
///
///     nn::ModuleList list(nn::Linear(4, 8), nn::Linear(4, 8));
///     Tensor sum = list[0](x) + list[1](x);
class ModuleList : public Module {
 public:
  template <class... Modules>
  requires(std::is_base_of_v<Module, Modules>&&...) explicit ModuleList(Modules... modules) {
    (push_back(std::move(modules)), ...);
  }
  ModuleList(const ModuleList&) = default;
  ModuleList& operator=(const ModuleList&) = default;

  /// Appends a layer, or a module with Tensor forward(const Tensor&).
  template <class M>
  requires(std::is_base_of_v<Module, M>) void push_back(M module) {
    append(as_layer(std::move(module)));
  }
  /// Returns a layer; negative numbers count from the end. Throws Error when out of range.
  const Layer& operator[](int64_t i) const;
  /// Returns it as the class that it has. Throws Error when it has another.
  template <class M> const M& at(int64_t i) const {
    return detail::layer_as<M>("ModuleList", (*this)[i]);
  }
  int64_t size() const { return static_cast<int64_t>(layers_->size()); }
  bool is_empty() const { return layers_->empty(); }

  /// Iterates over the layers: for (const nn::Layer& layer : list).
  class Iterator {
   public:
    explicit Iterator(const std::shared_ptr<Layer>* at) : at_(at) {}
    const Layer& operator*() const { return **at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const std::shared_ptr<Layer>* at_;
  };
  Iterator begin() const { return Iterator(layers_->data()); }
  Iterator end() const { return Iterator(layers_->data() + layers_->size()); }

 private:
  void append(std::shared_ptr<Layer> layer);

  std::shared_ptr<std::vector<std::shared_ptr<Layer>>> layers_ =
      std::make_shared<std::vector<std::shared_ptr<Layer>>>();
};

/// Layers by name, in the order in which they were inserted, without a forward of its own. A handle, as ModuleList.
///
///     nn::ModuleDict heads;
///     heads.insert("digit", nn::Linear(8, 10));
///     Tensor scores = heads["digit"](x);
class ModuleDict : public Module {
 public:
  ModuleDict() = default;
  ModuleDict(const ModuleDict&) = default;
  ModuleDict& operator=(const ModuleDict&) = default;

  /// Adds a layer, or a module with Tensor forward(const Tensor&). Throws Error on a name that is taken or has a '.'.
  template <class M>
  requires(std::is_base_of_v<Module, M>) void insert(const std::string& name, M module) {
    add(name, as_layer(std::move(module)));
  }
  /// Returns a layer. Throws Error when there is none of that name.
  const Layer& operator[](const std::string& name) const;
  template <class M> const M& at(const std::string& name) const {
    return detail::layer_as<M>("ModuleDict", (*this)[name]);
  }
  bool contains(const std::string& name) const;
  std::vector<std::string> keys() const;
  int64_t size() const { return static_cast<int64_t>(layers_->size()); }

 private:
  void add(const std::string& name, std::shared_ptr<Layer> layer);

  using Entry = std::pair<std::string, std::shared_ptr<Layer>>;
  std::shared_ptr<std::vector<Entry>> layers_ = std::make_shared<std::vector<Entry>>();
};

/// x + f(x), where f is a chain of layers, named "0", "1", ... (He et al. 2015). The shapes of x and f(x) broadcast.
///
///     nn::Residual block(nn::Linear(8, 8), nn::ReLU());
class Residual : public Layer {
 public:
  template <class... Modules>
  requires(sizeof...(Modules) > 0 &&
           (std::is_base_of_v<Module, Modules> && ...)) explicit Residual(Modules... modules)
      : Residual(Sequential(std::move(modules)...), 0) {}
  Tensor forward(const Tensor& x) const override;

 private:
  Residual(const Sequential& inner, int) : Layer(inner), inner_(inner) {}

  Sequential inner_;
};

/// How Parallel joins the results of its branches.
struct ParallelOptions {
  bool sum = false;  ///< adds them; otherwise they are joined along dim
  int64_t dim = 1;
};

/// Gives x to several layers, named "0", "1", ..., and joins their results along a dim, or adds them.
///
///     nn::Parallel both(nn::Linear(8, 3), nn::Linear(8, 5));       // (N, 8) -> (N, 8)
///     nn::Parallel sum({.sum = true}, nn::Linear(8, 3), nn::Linear(8, 3));
class Parallel : public Layer {
 public:
  template <class... Modules>
  requires(sizeof...(Modules) > 0 &&
           (std::is_base_of_v<Module, Modules> && ...)) explicit Parallel(ParallelOptions options,
                                                                          Modules... modules)
      : Parallel(options, ModuleList(std::move(modules)...)) {}
  template <class... Modules>
  requires(sizeof...(Modules) > 0 &&
           (std::is_base_of_v<Module, Modules> && ...)) explicit Parallel(Modules... modules)
      : Parallel(ParallelOptions{}, ModuleList(std::move(modules)...)) {}
  Tensor forward(const Tensor& x) const override;
  std::string extra_repr() const override;

 private:
  Parallel(ParallelOptions options, const ModuleList& branches)
      : Layer(branches), options_(options), branches_(branches) {}

  ParallelOptions options_;
  ModuleList branches_;
};

/// A function as a layer. name: what printing shows.
///
///     nn::Sequential model(nn::Lambda([](const Tensor& x) { return x * 2; }), nn::Linear(4, 2));
class Lambda : public Layer {
 public:
  explicit Lambda(std::function<Tensor(const Tensor&)> function, std::string name = {});
  Tensor forward(const Tensor& x) const override { return function_(x); }
  std::string extra_repr() const override { return name_; }

 private:
  std::function<Tensor(const Tensor&)> function_;
  std::string name_;
};

}  // namespace ebb::nn
