// What the kernels of a captured step need to know: where on the device the values lie that change from launch to
// launch. See CapturedStep in cuda.h.
#pragma once

#include <cstdint>
#include <string_view>

#include "ebb/core/backend.h"

namespace ebb::cuda {

/// The changing part of an optimizer's step, on the device.
struct StepState {
  double lr;
  int64_t step;  ///< steps made before this one
};

/// While this thread captures: where the state of an optimizer lies, null else.
StepState* captured_state(OptimizerStep& step);
/// While this thread captures: what to add to the offset of a random number, null else. Throws Error when the numbers
/// come from a generator other than the thread's default one.
const uint64_t* captured_offset(uint64_t seed, uint64_t offset, int64_t count);
/// While this thread captures: a copy of host bytes that lives as long as the captured step, which reads it at every
/// launch; else the bytes themselves.
const void* captured_bytes(const void* bytes, size_t count);
/// Throws Error naming op while this thread captures a step, which may not do what the op does.
void refuse_in_capture(std::string_view op, std::string_view what = "wait for the device");

}  // namespace ebb::cuda
