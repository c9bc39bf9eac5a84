// The values of a captured step that change from launch to launch, and their addresses on the
// device. core/cuda.h documents CapturedStep.
#pragma once

#include <cstdint>
#include <string_view>

#include "ebb/core/backend.h"

namespace ebb::cuda {

/// The part of an optimizer step that changes, on the device.
struct StepState {
  double lr;
  int64_t step;       ///< the number of earlier steps
  unsigned ticket{};  ///< 0 between kernels
};

/// Returns the address of the state of an optimizer while this thread captures a step, else null.
StepState* captured_state(OptimizerStep& step);
/// Returns the address of the number to add to the offset of random numbers while this thread
/// captures a step, else null. Throws Error if the numbers come from another generator than the
/// default one of the thread.
const uint64_t* captured_offset(uint64_t seed, uint64_t offset, int64_t count);
/// Returns the address on the device of a position of the host, while this thread captures a step,
/// else null. Each launch finds the position of the host there, and its kernel has to advance it by
/// `by`. A launch throws Error if the position would pass `limit`. REQUIRES that *position exists
/// as long as the captured step.
int64_t* captured_position(const int64_t* position, int64_t by, int64_t limit);
/// Returns a copy of host bytes that lives as long as the captured step, which reads it at every
/// launch. Returns the bytes themselves if this thread does not capture a step.
const void* captured_bytes(const void* bytes, size_t count);
/// Returns true while this thread captures a step.
bool captures_step();
/// Throws Error that names op if this thread captures a step, because a captured step must not
/// contain the op.
void refuse_in_capture(std::string_view op, std::string_view what = "wait for the device");

}  // namespace ebb::cuda
