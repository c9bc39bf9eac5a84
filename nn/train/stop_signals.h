// Treats Ctrl-C (SIGINT) and SIGTERM as requests to stop, for any number of trainings in any
// threads.
#pragma once

#include <cstdint>

namespace ebb::nn::detail {

/// While an object of this class exists, the first SIGINT and the first SIGTERM are recorded
/// instead of ending the process. The next one is handled as before. The previous handlers are
/// restored when the last object is destroyed, or by the first signal. An ignored signal stays
/// ignored (nohup). Thread-safety: any thread may create and destroy objects.
class [[nodiscard]] StopSignals {
 public:
  /// launched: mpirun has started the process. A signal then may arrive twice, from the terminal
  /// and from mpirun, and counts once within a second.
  explicit StopSignals(bool launched = false);
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Returns true if a signal has arrived since this object was created.
  bool arrived() const;

 private:
  uint64_t before_;
};

}  // namespace ebb::nn::detail
