// Progress: one line that is updated on a terminal and fits its width, and occasional lines
// elsewhere.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ebb/nn/train/callback.h"

namespace ebb::nn {

/// The contents of a progress line.
struct ProgressLine {
  std::string label;  ///< "epoch 2/10"
  double share = 0;   ///< of all samples, in [0, 1]
  double loss = 0;
  double accuracy = 0;                                       ///< NaN: omitted
  double rate = 0;                                           ///< samples/s
  double left = 0;                                           ///< seconds
  std::vector<std::pair<std::string, double>> figures = {};  ///< more, after the accuracy
};

class Progress {
 public:
  /// total: the samples of the whole run. done: those that a resumed training has already seen.
  explicit Progress(int64_t total, int64_t done = 0);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Returns true if update() would print something now.
  bool is_due() const;
  /// Prints the label ("epoch 2/10"), a bar of done / total, loss and accuracy (running means of
  /// the epoch; an accuracy of NaN is omitted), samples/s and the time left. A terminal is updated
  /// at most every 0.1 s. Elsewhere a line is printed every 10 s and by finish_epoch().
  void update(const std::string& label, int64_t done, double loss, double accuracy);
  /// Prints the last state of an epoch, with its validation figures, and moves to the next line.
  void finish_epoch(const std::string& label, int64_t done, const EpochRecord& record);

 private:
  using Clock = std::chrono::steady_clock;
  void print(ProgressLine line, int64_t done) const;
  double seconds_since_start() const;

  int64_t total_, first_;
  bool terminal_;
  bool open_line_ = false;
  Clock::time_point start_, shown_;
};

/// Returns the width of the terminal of standard output in columns: 80 if it is unknown, and 0 if
/// standard output is not a terminal. Each call asks the terminal, because it may have been
/// resized.
int terminal_columns();

/// Returns the line for a terminal, with at most columns - 1 characters, so that it never wraps.
/// The bar uses the remaining width, up to 24 cells. If fewer than 4 remain, the bar is omitted,
/// and then samples/s, the time left and the accuracy. With columns = 0 the line has no bar and any
/// length, as for a file.
std::string to_text(const ProgressLine& line, int columns);

/// Returns a duration such as "1:05:09", "12:34" or "7 s".
std::string format_seconds(double seconds);

}  // namespace ebb::nn
