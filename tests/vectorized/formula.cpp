// Formulas of a user: the call operator of Bump has no mark, that of MarkedBump has EBB_HD, as the
// documentation says.
#include "ebb/backends/cpu/pointwise_kernels.h"
#include "ebb/backends/cpu/rule_kernels.h"

struct Bump {
  template <class T> T operator()(T x) const { return x * x * ebb::sigmoid(x); }
};

struct MarkedBump {
  template <class T> EBB_HD T operator()(T x) const { return x * x * ebb::sigmoid(x); }
};

const void* marked_bump_kernels() { return &ebb::cpu::kBlockKernels<MarkedBump, 1, true>; }
const void* bump_kernels() { return &ebb::cpu::kBlockKernels<Bump, 1, true>; }

// A rule of an optimizer.
struct Damped {
  double lr = 0.1;
  static constexpr std::string_view name = "Damped";
  static constexpr std::string_view buffers[] = {"velocity", "square"};
  template <class T> struct Update {
    T lr, keep;
    EBB_HD Update(const Damped&, ebb::StepNumbers now) : lr(T(now.lr)), keep(T(0.9)) {}
    EBB_HD void operator()(T& p, T g, T& velocity, T& square) const {
      square = keep * square + g * g;
      velocity = keep * velocity + g / (ebb::sqrt(square) + T(1e-8));
      p -= lr * velocity;
    }
  };
};

const void* damped_kernels() { return &ebb::cpu::kRuleKernels<Damped>; }
