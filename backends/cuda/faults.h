// What a kernel finds wrong with its inputs: noted on the device without waiting, thrown on the host the next time that
// it waits for the device. The first finding counts.
#pragma once

#include <string_view>

#include "ebb/backends/cuda/runtime.h"

namespace ebb::cuda {

/// Lies in memory of the host that the device writes to. op and text point to static storage of the host.
struct Fault {
  const char* op;
  const char* text;  ///< the rule that was broken; null for an index out of range
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

/// Where kernels note a fault.
struct FaultNote {
  Fault* fault;
  int* taken;  ///< on the device: 1 once a thread has it
};
FaultNote fault_note();

/// For one thread that found something: writes it down unless another came first.
__device__ inline void note(FaultNote where, const Fault& found) {
  if (atomicCAS(where.taken, 0, 1) != 0) return;
  *where.fault = found;
  __threadfence_system();
  where.fault->set = 1;
}

/// After waiting: throws Error when a fault was noted, and forgets it.
void raise_fault();

}  // namespace ebb::cuda
