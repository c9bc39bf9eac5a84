// Functions that the tests of DLPack call from Python, through ctypes.
#include "ebb/nn/interop/dlpack.h"

#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

using namespace ebb;

namespace {
std::string message;
Tensor held;  // the tensor that Python gave
}  // namespace

extern "C" {

/// Returns 0, 1, 2, ... as a struct that Python takes: `transposed` swaps the two dims.
void* ebb_make(int dtype, bool transposed, bool versioned, void** data) {
  Tensor x = arange(6).to(static_cast<DType>(dtype));
  x = transposed ? make_view(x, {3, 2}, {1, 3}) : make_view(x, {2, 3}, {3, 1});
  *data = x.raw();
  return versioned ? static_cast<void*>(to_dlpack_versioned(x)) : to_dlpack(x);
}

/// Calls the deleter, as the destructor of a capsule that no library took.
void ebb_delete(void* managed, bool versioned) {
  if (versioned) {
    auto* t = static_cast<dlpack::DLManagedTensorVersioned*>(managed);
    t->deleter(t);
  } else {
    auto* t = static_cast<dlpack::DLManagedTensor*>(managed);
    t->deleter(t);
  }
}

/// Takes a struct. Returns null, or the message of the Error.
const char* ebb_take(void* managed, bool versioned) {
  try {
    held = versioned ? from_dlpack(static_cast<dlpack::DLManagedTensorVersioned*>(managed))
                     : from_dlpack(static_cast<dlpack::DLManagedTensor*>(managed));
    return nullptr;
  } catch (const Error& error) {
    message = error.what();
    return message.c_str();
  }
}

/// Describes the tensor: "f32 (2, 3) sum 15".
const char* ebb_describe() {
  double sum = 0;
  for (double v : held.to_vector<double>()) sum += v;
  message = to_text(held.dtype()) + " " + to_text(held.shape()) + " sum " + std::to_string(sum);
  return message.c_str();
}

void* ebb_data() { return held.raw(); }
void ebb_set_first(double value) { make_view(held, {1}, {1}).fill_(value); }
void ebb_drop() { held = Tensor(); }

}  // extern "C"
