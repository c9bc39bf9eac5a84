// Modules that contain layers: ModuleList and ModuleDict, for models that write their own
// forward(); Residual and Parallel, which combine layers; and Lambda, which makes a layer of a
// function.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ebb/nn/layers/layer_list.h"
#include "ebb/nn/layers/sequential.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

/// A list of layers, named "0", "1", ..., that has no forward() of its own. Like every module it is
/// a handle: copies share their layers, including those appended later.
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
  /// Returns layer i. A negative i counts from the end. Throws Error if i is out of range.
  const Layer& operator[](int64_t i) const;
  /// Returns layer i as an M. Throws Error if it is of another class.
  template <class M> const M& at(int64_t i) const {
    return detail::layer_as<M>("ModuleList", (*this)[i]);
  }
  int64_t size() const { return static_cast<int64_t>(layers_->size()); }
  bool is_empty() const { return layers_->empty(); }

  /// Iterate over the layers: for (const nn::Layer& layer : list).
  detail::LayerIterator<ModuleList> begin() const { return {*this, 0}; }
  detail::LayerIterator<ModuleList> end() const { return {*this, size()}; }

 private:
  void append(std::shared_ptr<Layer> layer);

  std::shared_ptr<std::vector<std::shared_ptr<Layer>>> layers_ =
      std::make_shared<std::vector<std::shared_ptr<Layer>>>();
};

/// A dictionary of layers in order of insertion, without a forward() of its own. It is a handle, as
/// ModuleList is.
///
///     nn::ModuleDict heads;
///     heads.insert("digit", nn::Linear(8, 10));
///     Tensor scores = heads["digit"](x);
class ModuleDict : public Module {
 public:
  ModuleDict() = default;
  ModuleDict(const ModuleDict&) = default;
  ModuleDict& operator=(const ModuleDict&) = default;

  /// Adds a layer, or a module with Tensor forward(const Tensor&). Throws Error if the name is in
  /// use or contains a '.'.
  template <class M>
  requires(std::is_base_of_v<Module, M>) void insert(const std::string& name, M module) {
    add(name, as_layer(std::move(module)));
  }
  /// Returns the layer of that name. Throws Error if there is none.
  const Layer& operator[](const std::string& name) const;
  /// Returns the layer of that name as an M. Throws Error if it is of another class.
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

/// Computes x + f(x), where f is a chain of layers named "0", "1", ... (He et al. 2015). The shapes
/// of x and f(x) broadcast.
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

struct ParallelOptions {
  bool sum = false;  ///< adds the results of the branches instead of joining them along dim
  int64_t dim = 1;
};

/// Passes x to several layers, named "0", "1", ..., and joins their results along a dim, or adds
/// them.
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

/// A layer that calls a function. Printing shows `name`. Throws Error for an empty function.
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
