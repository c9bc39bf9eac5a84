// DataLoader: the samples of a Dataset in batches, epoch by epoch, prepared ahead of use on a
// separate thread, or gathered on the GPU that has the data set.
//
//   DataLoader loader(train, {.batch_size = 128, .shuffle = true, .seed = 1});
//   for (int epoch = 0; epoch < 10; ++epoch) {
//     for (const Batch& batch : loader) step(batch.input, batch.target);
//   }
//
// The order of the samples is a function of (seed, epoch). To continue a training, save epoch() and
// consumed(), and call set_epoch() and skip() with these values. The remaining batches are then the
// same bit for bit.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>
#include <optional>
#include <utility>

#include "ebb/core/batch_rows.h"
#include "ebb/nn/data/dataset.h"

namespace ebb::data {

struct Batch {
  Tensor input;   ///< (B, ...)
  Tensor target;  ///< (B, ...)
};

struct LoaderOptions {
  int64_t batch_size = 64;
  bool shuffle = false;    ///< a new order in each epoch, else the order of the dataset
  uint64_t seed = 0;       ///< of the order, and of random numbers that transform draws
  bool drop_last = false;  ///< omit a last batch of fewer than batch_size samples
  /// The largest number of batches prepared ahead. With 0, each batch is prepared on demand,
  /// without a thread.
  int prefetch = 2;
  /// Converts inputs of dtype u8 (pictures) to f32 in [0, 1]: x / 255. Other dtypes do not change.
  bool unit_float = true;
  /// The device of the batches; by default that of the data set. Copies to a GPU run while other
  /// work runs there. The batches of a data set on a GPU stay there.
  std::optional<Device> device = {};
  /// Changes a batch on the loader's thread before it is used: noise, flips, normalization. The
  /// default_generator() of the thread is seeded for each batch, from (seed, epoch, batch). It
  /// returns tensors on the CPU whose first sizes are equal; the number of samples may change. Only
  /// for data sets on the CPU.
  /// Exceptions thrown here are rethrown by the loop that asked for the batch.
  std::function<Batch(Batch)> transform = {};
};

/// A data set on a GPU needs no thread: the order of an epoch is copied there once, and a kernel
/// gathers each batch when it is requested. The batches have the same bits as those of the same
/// data set on the CPU.
///
/// Thread-safety: one thread uses a loader. The loader's thread reads the tensors of the dataset,
/// which must not change during an epoch. In a child of fork() an epoch that the parent started
/// cannot continue: its next batch is an Error, and begin() starts a new epoch.
class DataLoader {
 public:
  class Iterator;

  /// Throws Error if the dataset is empty, batch_size is below 1, prefetch is negative, or there
  /// would be no batch; and for a data set on a GPU with a transform or batches on another device.
  explicit DataLoader(Dataset dataset, LoaderOptions options = {});
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;
  /// Stops the thread. It waits at most for the batch in preparation.
  ~DataLoader();

  /// Returns the number of batches of a whole epoch.
  int64_t size() const;
  const Dataset& dataset() const { return dataset_; }
  const LoaderOptions& options() const { return options_; }

  /// Starts an epoch and ends the previous one. The first epoch is 0, and each begin() starts the
  /// next one, unless set_epoch() or skip() was called. Iterators of earlier epochs become invalid.
  /// Exceptions of the dataset or the transform are rethrown here for the first batch, and by the
  /// iterator's ++ for later ones.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

  /// Sets the epoch (>= 0) that the next begin() starts, and clears an earlier skip().
  void set_epoch(int64_t epoch);
  /// Sets the number of batches, at most size(), that the next begin() skips. Skipped batches are
  /// not prepared.
  void skip(int64_t batches);

  /// Restricts the epochs that begin() starts from now on to one rank's part of each batch: of n
  /// samples, rank r of N gets those from n r / N to n (r + 1) / N, rounded down. Together the
  /// ranks get every sample once. A batch of fewer than N samples leaves some parts empty; they
  /// have 0 rows and are not transformed. order(), size() and consumed() are those of all ranks.
  void shard(int64_t rank, int64_t ranks);
  /// Returns the rank and the number of ranks that shard() has set: 0 and 1 without a call.
  std::pair<int64_t, int64_t> shard() const { return {rank_, ranks_}; }
  /// Returns the number of samples in batch k of an epoch, in all parts together.
  int64_t samples_of(int64_t k) const;
  /// Returns the rows that this rank gets of batch k.
  BatchRows rows_of(int64_t k) const;

  /// Returns the epoch that the last begin() started, or, before the first begin(), the one that it
  /// will start.
  int64_t epoch() const { return epoch_; }
  /// Returns the number of batches of this epoch that were skipped or returned, including the
  /// current one. It does not count batches prepared ahead.
  int64_t consumed() const;
  /// Gathers the current batch of a data set on a GPU. In a captured step, each launch gathers the
  /// batch that is the current one then, and nothing has to be copied:
  ///
  ///     cuda::CapturedStep captured([&] {
  ///       const Batch b = loader.gather();
  ///       step(b.input, b.target);
  ///     });
  ///     for (auto it = loader.begin(); it != loader.end(); ++it) captured();
  ///
  /// The step throws Error if its batch is larger than what is left of the epoch. The loader must
  /// outlive it. Throws Error if the data set is on the CPU, or outside of a loop over the batches.
  Batch gather() const;
  /// Returns the numbers (i64) of the samples in the order of an epoch: size() * batch_size of them
  /// with drop_last, else all.
  Tensor order(int64_t epoch) const;

 private:
  class Epoch;
  struct OnDevice;

  Dataset dataset_;
  LoaderOptions options_;
  int64_t epoch_ = 0, next_epoch_ = 0, skip_ = 0;
  int64_t rank_ = 0, ranks_ = 1;
  std::shared_ptr<OnDevice> on_device_;  // null for a data set on the CPU
  std::unique_ptr<Epoch> running_;
};

/// Reads the batches of one epoch in order, once. Valid until the next begin() or the end of the
/// loader.
class DataLoader::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(Epoch* epoch) : epoch_(epoch) {}
  /// Returns the current batch, which is valid until ++ and may be moved from.
  Batch& operator*() const;
  Batch* operator->() const { return &**this; }
  /// Returns the number of samples of the current batch, without gathering it.
  int64_t samples() const;
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.done(); }

 private:
  bool done() const;

  Epoch* epoch_;
};

}  // namespace ebb::data
