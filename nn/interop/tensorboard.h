// TensorBoard's event files: curves, histograms, pictures, texts and graphs of a training.
//
//   SummaryWriter writer("runs/first");
//   writer.add_scalar("loss/train", loss.item(), n);  // then: tensorboard --logdir runs
//
// The names are those of torch.utils.tensorboard. A file is a list of records: length, check sum,
// an Event message (tensorflow/core/util/event.proto), check sum.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

/// Writes the events of one run to a new file in a folder. Records are written to the file in
/// order and at the latest by flush() or the destructor; a process that is killed loses at most the
/// records since the last flush.
///
/// Thread-safety: one thread at a time may use a writer. All members throw Error that names the
/// file if it cannot be written (disk full), and Error for a tag that is empty or not UTF-8.
/// Records that could not be written are kept, and the next flush writes them.
class SummaryWriter {
 public:
  /// Creates the folder and the file events.out.tfevents.SECONDS.HOST.PROCESS.NUMBER in it.
  explicit SummaryWriter(const std::string& folder);
  /// Flushes. An error is ignored: call flush() to see it.
  ~SummaryWriter();
  SummaryWriter(SummaryWriter&&) noexcept;
  SummaryWriter& operator=(SummaryWriter&&) noexcept;

  /// Adds a point of a curve. NaN and infinities are stored as they are.
  void add_scalar(std::string_view tag, double value, int64_t step);
  /// Adds a histogram of all elements with `bins` bins of equal width between the smallest and the
  /// largest one. NaN and infinities are left out; a tensor without finite elements is an Error.
  void add_histogram(std::string_view tag, const Tensor& values, int64_t step, int bins = 64);
  /// Adds a picture: u8 pixels, or floating ones of which 0 is black and 1 is white (values beyond
  /// are clamped). Shape: (H, W) or (C, H, W) with 1, 3 or 4 channels. Throws Error for others.
  void add_image(std::string_view tag, const Tensor& image, int64_t step);
  /// Adds a text, which TensorBoard shows as Markdown.
  void add_text(std::string_view tag, std::string_view text, int64_t step);
  /// Adds the recorded graph that ends in `root`, with a node for each op and leaf. names: the
  /// names of leaves, for example model.named_parameters(). Throws Error if root does not require
  /// grad.
  void add_graph(const Tensor& root, const std::vector<std::pair<std::string, Tensor>>& names = {});

  /// Writes all records to the file.
  void flush();
  /// Returns the path of the file.
  const std::string& path() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace ebb
