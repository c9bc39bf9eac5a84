// Makes calls of the C library fail, or kills the process at one: this program's own open(),
// write(), rename() and others come before those of the library, also for std::filesystem.
#pragma once

#include <cerrno>

namespace ebb::test {

/// A call of the watched functions, and its fate. Calls are counted only while a Faults exists.
struct Plan {
  int at = 0;            ///< the number of the call, from 1; 0: none
  int code = EIO;        ///< errno of the call that fails; 0: SIGKILL
  bool exchange = true;  ///< false: renameat2() does not exist
  bool memory = false;   ///< counts allocations of tensors instead of file calls
};

class [[nodiscard]] Faults {
 public:
  explicit Faults(Plan plan);
  ~Faults();
  Faults(const Faults&) = delete;
  Faults& operator=(const Faults&) = delete;

  /// Returns the number of calls so far.
  int calls() const;
};

}  // namespace ebb::test
