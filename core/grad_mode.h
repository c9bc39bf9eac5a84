// Whether ops record a graph, for the calling thread.
#pragma once

namespace ebb {

namespace detail {
extern constinit thread_local bool recording;
}

/// True unless a NoGrad guard is alive on this thread.
inline bool grad_enabled() { return detail::recording; }

/// Sets recording for a scope: GradMode mode(false);
class [[nodiscard]] GradMode {
 public:
  [[nodiscard]] explicit GradMode(bool on) : before_(detail::recording) { detail::recording = on; }
  ~GradMode() { detail::recording = before_; }
  GradMode(const GradMode&) = delete;
  GradMode& operator=(const GradMode&) = delete;

 private:
  bool before_;
};

/// Switches recording off for a scope: { NoGrad guard; parameter.add_(update); }
/// A guard without a name ends at once, so the statement `NoGrad();` is a compiler warning.
class [[nodiscard]] NoGrad : public GradMode {
 public:
  [[nodiscard]] NoGrad() : GradMode(false) {}
};

}  // namespace ebb
