// An optimizer of your own: one rule for the CPU and the GPU. Included by optimizer.cpp and
// own_cuda_kernel.cu, so it includes only the part of Ebb that both compilers can compile.
#pragma once

#include <ebb/core/optimizer_rule.h>
#include <ebb/core/scalar.h>

#include <string_view>

/// m = beta m + (1 - beta) g; p = p - lr sign(m).
struct SignDescent {
  double lr = 1e-3;
  double beta = 0.9;
  static constexpr std::string_view name = "SignDescent";
  static constexpr std::string_view buffers[] = {"momentum"};
  template <class T> struct Update {
    T lr, rate;
    EBB_HD Update(const SignDescent& rule, ebb::StepNumbers now)
        : lr(T(now.lr)), rate(T(1 - rule.beta)) {}
    EBB_HD void operator()(T& p, T g, T& m) const {
      m += rate * (g - m);
      p -= lr * ebb::sign(m);
    }
  };
};
