#include "ebb/nn/train/progress.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace ebb::nn {

std::string format_seconds(double seconds) {
  const auto s = static_cast<long>(std::ceil(std::max(seconds, 0.0)));
  char text[32];
  if (s < 60) std::snprintf(text, sizeof text, "%ld s", s);
  else if (s < 3600) std::snprintf(text, sizeof text, "%ld:%02ld", s / 60, s % 60);
  else std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
  return text;
}

Progress::Progress(int64_t total, int64_t done)
    : total_(total),
      first_(done),
      terminal_(isatty(STDOUT_FILENO) == 1),
      start_(Clock::now()),
      shown_(start_) {}

Progress::~Progress() {
  if (open_line_) std::printf("\n");
}

double Progress::seconds_since_start() const {
  return std::chrono::duration<double>(Clock::now() - start_).count();
}

std::string Progress::line(const std::string& label, int64_t done, double loss,
                           double accuracy) const {
  constexpr int kWidth = 24;
  const double rate = static_cast<double>(done - first_) / std::max(seconds_since_start(), 1e-9);
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  char share[32] = "", text[256];
  if (!std::isnan(accuracy))
    std::snprintf(share, sizeof share, "accuracy %5.2f %%  ", 100 * accuracy);
  std::snprintf(text, sizeof text, "loss %.4f  %s%.0f samples/s  %s left", loss, share, rate,
                format_seconds(left).c_str());
  if (!terminal_) return label + "  " + text;
  const int filled = total_ > 0 ? static_cast<int>(kWidth * done / total_) : kWidth;
  std::string bar(static_cast<size_t>(kWidth), '-');
  std::fill_n(bar.begin(), std::clamp(filled, 0, kWidth), '#');
  return label + " [" + bar + "] " + text;
}

bool Progress::is_due() const {
  return std::chrono::duration<double>(Clock::now() - shown_).count() >= (terminal_ ? 0.1 : 10);
}

void Progress::update(const std::string& label, int64_t done, double loss, double accuracy) {
  if (!is_due()) return;
  shown_ = Clock::now();
  open_line_ = terminal_;
  std::printf(terminal_ ? "\r\x1b[K%s" : "%s\n", line(label, done, loss, accuracy).c_str());
  std::fflush(stdout);
}

void Progress::finish_epoch(const std::string& label, int64_t done, double loss, double accuracy) {
  std::printf(terminal_ ? "\r\x1b[K%s\n" : "%s\n", line(label, done, loss, accuracy).c_str());
  std::fflush(stdout);
  open_line_ = false;
  shown_ = Clock::now();
}

}  // namespace ebb::nn
