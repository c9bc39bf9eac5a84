// Shared by the examples of this folder: gradient checks of orders 1 and 2, and the exit status.
#pragma once

#include <ebb/ebb.h>

#include <cstdlib>
#include <iostream>

/// Returns random f64 values that require grad, as gradcheck expects.
inline ebb::Tensor leaf(const ebb::Shape& shape) {
  return ebb::randn(shape, {.dtype = ebb::f64}).requires_grad_();
}

/// Runs body. An error is printed in one line, and the exit status is then 1.
template <class Body> int run(Body body) {
  try {
    ebb::manual_seed(1);
    body();
  } catch (const std::exception& error) {
    std::cerr << "error: " << error.what() << "\n";
    return EXIT_FAILURE;
  }
  return EXIT_SUCCESS;
}

/// Throws unless got is within 1e-12 of want.
inline void expect(const char* what, const ebb::Tensor& got, const ebb::Tensor& want) {
  const double error = ebb::max(ebb::abs(got - want)).item();
  if (!(error <= 1e-12)) ebb::fail(what, "off by ", error);
  std::cout << what << ": right\n";
}
