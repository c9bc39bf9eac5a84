// Switches recording of the graph on and off, for the calling thread.
#pragma once

namespace ebb {

namespace detail {
extern constinit thread_local bool recording;
}

/// Returns true unless a NoGrad guard exists on this thread.
inline bool grad_enabled() { return detail::recording; }

/// Switches recording on or off for a scope: GradMode mode(false);
class [[nodiscard]] GradMode {
 public:
  [[nodiscard]] explicit GradMode(bool on) : before_(detail::recording) { detail::recording = on; }
  ~GradMode() { detail::recording = before_; }
  GradMode(const GradMode&) = delete;
  static bool is_enabled() { return detail::recording; }
  static void set_enabled(bool on) { detail::recording = on; }
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

/// Switches recording off for a scope: { NoGrad guard; parameter.add_(update); }
/// A guard without a name would end at once, so the compiler warns about the statement `NoGrad();`.
class [[nodiscard]] NoGrad : public GradMode {
 public:
  [[nodiscard]] NoGrad() : GradMode(false) {}
};

}  // namespace ebb
