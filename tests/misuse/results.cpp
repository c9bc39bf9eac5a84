// A member that returns another tensor does not change this one.
#include "ebb/core/tensor.h"

void results(const ebb::Tensor& x) {
#ifdef MISUSE
  x.to(ebb::f64);             // refused: nodiscard
  x.to(ebb::Device::cuda());  // refused: nodiscard
  x.clone();                  // refused: nodiscard
  x.contiguous();             // refused: nodiscard
  x.detach();                 // refused: nodiscard
#endif
  const ebb::Tensor y = x.to(ebb::f64).clone().contiguous().detach();
  (void)y;
}
