// Ctrl-C (SIGINT) and SIGTERM as requests to stop, for any number of trainings in any threads.
#pragma once

#include <cstdint>

namespace ebb::nn::detail {

/// While at least one of these lives, the first SIGINT and the first SIGTERM are noted instead of ending the process; the
/// next one is handled as it was before. The handlers of before are put back when the last one ends, or at the first
/// signal. A signal that was ignored stays ignored (nohup). Thread-safety: any number of threads may make and end them.
class [[nodiscard]] StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  /// Returns true if a signal has arrived since this one was made.
  bool arrived() const;

 private:
  uint64_t before_;
};

}  // namespace ebb::nn::detail
