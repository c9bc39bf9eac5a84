// Progress: one line that is redrawn on a terminal and fits its width, plain lines now and then elsewhere.
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
  void print(const std::string& label, int64_t done, double loss, double accuracy) const;
  double seconds_since_start() const;

  int64_t total_, first_;
  bool terminal_;
  bool open_line_ = false;
  Clock::time_point start_, shown_;
};

/// Returns the width of the terminal that standard output is, in columns; 80 when it does not tell, 0 when standard
/// output is not a terminal. Asks anew each time, since terminals are resized.
int terminal_columns();

/// What a line of progress says.
struct ProgressLine {
  std::string label;  ///< "epoch 2/10"
  double share = 0;   ///< of all samples, in [0, 1]
  double loss = 0;
  double accuracy = 0;  ///< NaN: left out
  double rate = 0;      ///< samples/s
  double left = 0;      ///< seconds
};

/// Returns the line for a terminal, at most columns - 1 characters, so that it never wraps. The bar takes the room that
/// is left, up to 24 cells; where there is none for 4 of them, it is left out, and then samples/s, the time left and the
/// accuracy. columns = 0: without a bar, of any length, as for a file.
std::string to_text(const ProgressLine& line, int columns);

/// "1:05:09", "12:34" or "7 s".
std::string format_seconds(double seconds);

}  // namespace ebb::nn
