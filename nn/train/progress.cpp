#include "ebb/nn/train/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <vector>

namespace ebb::nn {

std::string format_seconds(double seconds) {
  constexpr double kMost = 1e7;  // 115 days
  const auto s = static_cast<long>(std::ceil(std::clamp(seconds, 0.0, kMost)));
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

int terminal_columns() {
  if (isatty(STDOUT_FILENO) != 1) return 0;
  struct winsize size = {};
  const bool tells = ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
  return tells ? size.ws_col : 80;
}

namespace {

template <class... Values> std::string formatted(const char* format, Values... values) {
  char text[64];
  std::snprintf(text, sizeof text, format, values...);
  return text;
}

// Joins the texts with two blanks in between.
std::string joined(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += (all.empty() ? "" : "  ") + text;
  return all;
}

}  // namespace

std::string to_text(const ProgressLine& line, int columns) {
  constexpr size_t kMostCells = 24, kFewestCells = 4;
  // A number of unexpected size must not displace the others.
  std::vector<std::string> texts{
      formatted(std::fabs(line.loss) < 1e6 ? "loss %.4f" : "loss %.4g", line.loss)};
  if (!std::isnan(line.accuracy))
    texts.push_back(formatted("accuracy %5.2f %%", 100 * line.accuracy));
  for (const auto& [name, value] : line.figures) {
    if (name == "val_accuracy") texts.push_back(formatted("val_accuracy %5.2f %%", 100 * value));
    else texts.push_back(name + formatted(std::fabs(value) < 1e6 ? " %.4f" : " %.4g", value));
  }
  texts.push_back(formatted(line.rate < 1e9 ? "%.0f samples/s" : "%.3g samples/s", line.rate));
  texts.push_back(format_seconds(line.left) + " left");
  if (columns <= 0) return line.label + "  " + joined(texts);

  const size_t limit = static_cast<size_t>(columns) - 1;
  const size_t fixed = line.label.size() + 4 + joined(texts).size();  // " [", "] "
  if (fixed + kFewestCells <= limit) {
    const size_t cells = std::min(kMostCells, limit - fixed);
    const double share = std::isnan(line.share) ? 1 : std::clamp(line.share, 0.0, 1.0);
    std::string bar(cells, '-');
    std::fill_n(bar.begin(), static_cast<size_t>(static_cast<double>(cells) * share), '#');
    return line.label + " [" + bar + "] " + joined(texts);
  }
  // Without the bar, the least important texts are removed, from the back.
  const auto width = [&] { return line.label.size() + 2 + joined(texts).size(); };
  if (width() > limit) texts.erase(texts.end() - 2);  // samples/s
  while (width() > limit && texts.size() > 1) texts.pop_back();
  return (line.label + "  " + joined(texts)).substr(0, limit);
}

void Progress::print(ProgressLine line, int64_t done) const {
  line.rate = static_cast<double>(done - first_) / std::max(seconds_since_start(), 1e-9);
  line.share = total_ > 0 ? static_cast<double>(done) / static_cast<double>(total_) : 1;
  line.left = line.rate > 0 ? static_cast<double>(total_ - done) / line.rate : 0;
  std::printf("%s%s", terminal_ ? "\r\x1b[K" : "",
              to_text(line, terminal_ ? std::max(terminal_columns(), 1) : 0).c_str());
}

bool Progress::is_due() const {
  return std::chrono::duration<double>(Clock::now() - shown_).count() >= (terminal_ ? 0.1 : 10);
}

void Progress::update(const std::string& label, int64_t done, double loss, double accuracy) {
  if (!is_due()) return;
  shown_ = Clock::now();
  open_line_ = terminal_;
  print({.label = label, .loss = loss, .accuracy = accuracy}, done);
  if (!terminal_) std::printf("\n");
  std::fflush(stdout);
}

void Progress::finish_epoch(const std::string& label, int64_t done, const EpochRecord& record) {
  ProgressLine line{.label = label,
                    .loss = record.at("loss"),
                    .accuracy = record.has("accuracy") ? record.at("accuracy") : std::nan("")};
  for (const auto& figure : record.values)
    if (figure.first.starts_with("val_")) line.figures.push_back(figure);
  print(line, done);
  std::printf("\n");
  std::fflush(stdout);
  open_line_ = false;
  shown_ = Clock::now();
}

}  // namespace ebb::nn
