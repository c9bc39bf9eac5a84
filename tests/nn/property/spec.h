// Random small models: what they are made of, and Ebb's modules made of it.
#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <variant>
#include <vector>

#include "ebb/ebb.h"

namespace ebb::test::property {

class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}
  int below(int n) { return static_cast<int>(engine_() % static_cast<uint64_t>(n)); }
  bool chance(double p) { return uniform(0, 1) < p; }
  double uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }

 private:
  std::mt19937_64 engine_;
};

enum class Kind {
  Linear,
  DoubledLinear,
  Tied,
  ReLU,
  DoubledReLU,
  GELU,
  Tanh,
  Sigmoid,
  Dropout,
  Chain
};

/// A module. Chains have parts, which are other nodes; a node may be a part of several chains, or
/// several times of one.
struct Node {
  Kind kind = Kind::Chain;
  bool bias = false;
  double p = 0;  // of dropout
  std::vector<int> parts = {};
};

struct Spec {
  int width = 1;                 // features everywhere
  std::vector<Node> nodes = {};  // the first is the whole model
};

// ---- Ebb's side ----

/// A Linear whose forward is another one: Sequential must not take it for a Linear.
struct DoubledLinear : nn::Linear {
  using nn::Linear::Linear;
  Tensor forward(const Tensor& x) const override { return nn::Linear::forward(x) * 2.0; }
};

struct DoubledReLU : nn::ReLU {
  Tensor forward(const Tensor& x) const override { return nn::ReLU::forward(x) * 2.0; }
};

/// One weight with two names, in a module that is not a Layer.
struct Tied : nn::Module {
  explicit Tied(const nn::Linear& made)
      : in(add_parameter("in", made.weight)), out(add_parameter("out", made.weight)) {}
  Tensor forward(const Tensor& x) { return linear(tanh(linear(x, in)), out); }
  Tensor in, out;
};

using AnyModule = std::variant<nn::Linear, DoubledLinear, Tied, nn::ReLU, DoubledReLU, nn::GELU,
                               nn::Tanh, nn::Sigmoid, nn::Dropout, nn::Sequential>;

inline AnyModule make_leaf(const Node& node, int width) {
  const nn::LinearOptions options{.bias = node.bias};
  switch (node.kind) {
    case Kind::Linear: return nn::Linear(width, width, options);
    case Kind::DoubledLinear: return DoubledLinear(width, width, options);
    case Kind::Tied: return Tied(nn::Linear(width, width, {.bias = false}));
    case Kind::ReLU: return nn::ReLU();
    case Kind::DoubledReLU: return DoubledReLU();
    case Kind::GELU: return nn::GELU(GeluApproximate::Tanh);
    case Kind::Tanh: return nn::Tanh();
    case Kind::Sigmoid: return nn::Sigmoid();
    case Kind::Dropout: return nn::Dropout(node.p);
    case Kind::Chain: break;
  }
  return nn::Sequential();
}

/// A model, and handles of all its modules by node.
struct Model {
  nn::Sequential whole;
  std::vector<nn::Module> modules;

  explicit Model(const Spec& spec) {
    std::vector<AnyModule> made;
    for (const Node& node : spec.nodes) made.push_back(make_leaf(node, spec.width));
    // Chains are filled from the inside, which are the later ones: see random_spec().
    for (size_t i = spec.nodes.size(); i-- > 0;) {
      for (int part : spec.nodes[i].parts) {
        std::visit([&](const auto& m) { std::get<nn::Sequential>(made[i]).push_back(m); },
                   made[static_cast<size_t>(part)]);
      }
    }
    whole = std::get<nn::Sequential>(made[0]);
    for (const AnyModule& m : made)
      std::visit([&](const auto& each) { modules.push_back(each); }, m);
  }
};

/// A chain of one to five parts, up to three levels deep; the parts of a chain come after it in the
/// list.
inline Spec random_spec(Random& random) {
  Spec spec{.width = 1 + random.below(4), .nodes = {Node{}}};
  const auto leaf = [&](Kind kind) {
    spec.nodes.push_back({kind, random.chance(0.5), 0.1 * random.below(6)});
    return static_cast<int>(spec.nodes.size()) - 1;
  };
  const auto fill = [&](auto&& self, int chain, int depth) -> void {
    const int count = 1 + random.below(depth == 0 ? 5 : 3);
    for (int i = 0; i < count; ++i) {
      int part = 0;
      if (depth == 0 && i == 0) {
        part = leaf(Kind::Linear);
      } else if (const int earlier = random.below(static_cast<int>(spec.nodes.size()));
                 random.chance(0.3) && earlier > chain) {
        part = earlier;  // shared
      } else if (depth < 2 && random.chance(0.2)) {
        spec.nodes.push_back(Node{});
        part = static_cast<int>(spec.nodes.size()) - 1;
        self(self, part, depth + 1);
      } else if (random.chance(0.45)) {
        part = leaf(static_cast<Kind>(random.below(3)));  // with parameters
      } else {
        part = leaf(static_cast<Kind>(3 + random.below(6)));
      }
      spec.nodes[static_cast<size_t>(chain)].parts.push_back(part);
    }
  };
  fill(fill, 0, 0);
  return spec;
}

}  // namespace ebb::test::property
