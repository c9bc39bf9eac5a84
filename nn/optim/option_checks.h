// Checks of the options of optimizers.
#pragma once

#include <cmath>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "ebb/core/error.h"

namespace ebb::nn::detail {

/// Throws Error that names op and the option unless every value is finite and at least 0.
inline void check_not_negative(std::string_view op,
                               std::initializer_list<std::pair<const char*, double>> values) {
  for (const auto& [name, value] : values) {
    if (!(value >= 0) || !std::isfinite(value))
      fail(op, "expected ", name, " of at least 0, got ", value);
  }
}

/// Throws Error unless the options that Adam and similar optimizers share are in range.
template <class Options> void check_adam(std::string_view op, const Options& o) {
  check_not_negative(op, {{"lr", o.lr},
                          {"beta1", o.beta1},
                          {"beta2", o.beta2},
                          {"eps", o.eps},
                          {"weight_decay", o.weight_decay}});
  if (o.beta1 >= 1 || o.beta2 >= 1)
    fail(op, "expected betas below 1, got ", o.beta1, " and ", o.beta2);
}

}  // namespace ebb::nn::detail
