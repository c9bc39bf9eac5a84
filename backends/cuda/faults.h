// Faults: wrong inputs that a kernel finds. The kernel notes them on the device without waiting,
// and the host throws an Error the next time that it waits for the device. Only the first fault is
// reported.
#pragma once

#include <string_view>

#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {

/// A fault, in memory of the host that the device can write to. op and text point to static storage
/// of the host.
struct Fault {
  const char* op;
  const char* text;  ///< the rule that was violated; null for an index out of range
  uint32_t op_length, text_length;
  int64_t position, index, limit;
  double value;
  int set;
};

/// Returns a fault of this op, whose name has static storage, for kernels to complete.
inline Fault fault_of(std::string_view op) {
  Fault fault{};
  fault.op = op.data();
  fault.op_length = static_cast<uint32_t>(op.size());
  return fault;
}

/// The addresses where kernels note a fault.
struct FaultNote {
  Fault* fault;
  int* taken;  ///< on the device: 1 after a thread has noted a fault
};
FaultNote fault_note();

/// Notes a fault, unless another thread has noted one before. Called by one thread.
__device__ inline void note(FaultNote where, const Fault& found) {
  if (atomicCAS(where.taken, 0, 1) != 0) return;
  *where.fault = found;
  __threadfence_system();
  where.fault->set = 1;
}

/// Throws Error if a fault was noted, and clears it. Called after waiting for the device.
void raise_fault();

}  // namespace ebb::cuda
