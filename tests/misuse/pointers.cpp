// A pointer into a temporary dangles.
#include "ebb/core/tensor.h"

float first(const ebb::Tensor& x) {
#ifdef MISUSE
  const float* p = x.contiguous().data<float>();  // refused: deleted
  float* q = x.clone().mutable_data<float>();     // refused: deleted
  return *p + *q;
#endif
  const ebb::Tensor y = x.contiguous();
  ebb::Tensor z = x.clone();
  return *y.data<float>() + *z.mutable_data<float>();
}
