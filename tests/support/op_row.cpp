#include "ebb/tests/support/op_row.h"

namespace ebb::test {

Input input(const Shape& shape) { return {.shape = shape}; }

Row& Row::expects_elements(const Shape& shape,
                           std::function<double(const Arrays& in, const Shape& at)> element) {
  return expects([shape, element = std::move(element)](const Arrays& in) {
    return make_array(shape, [&](const Shape& at) { return element(in, at); });
  });
}

Row& Row::also_integers() {
  row_.has_integers = true;
  std::erase_if(row_.bad, [](const BadInput& bad) { return bad.what == "integers"; });
  return *this;
}

Row unary(std::string name, Tensor (*op)(const Tensor&), Function1 reference) {
  return Row(unary_row(name, op, std::move(reference)));
}

Row binary(std::string name, Tensor (*op)(const Tensor&, const Tensor&), Function2 reference) {
  return Row(binary_row(name, op, std::move(reference)));
}

}  // namespace ebb::test
