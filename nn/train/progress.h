// Progress: one line that is redrawn on a terminal, plain lines now and then elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace ebb::nn {

class Progress {
 public:
  /// total: samples of the whole run, of which `done` have been seen already (a resumed training).
  explicit Progress(int64_t total, int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// True when update() would show something now.
  bool is_due() const;
  /// Shows label ("epoch 2/10"), a bar of done / total, loss, accuracy (both running means of the epoch; an
  /// accuracy of NaN is left out), samples/s and the time left. On a terminal at most every 0.1 s; otherwise a line at
  /// each tenth of an epoch is too much: every 10 s, and when finish_epoch() is called.
  void update(const std::string& label, int64_t done, double loss, double accuracy);
  /// Shows the last state of an epoch in full and moves to the next line.
  void finish_epoch(const std::string& label, int64_t done, double loss, double accuracy);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(const std::string& label, int64_t done, double loss, double accuracy) const;
  double seconds_since_start() const;

  int64_t total_, first_;
  bool terminal_;
  bool open_line_ = false;
  Clock::time_point start_, shown_;
};

/// "1:05:09", "12:34" or "7 s".
std::string format_seconds(double seconds);

}  // namespace ebb::nn
