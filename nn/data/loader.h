// DataLoader: the samples of a Dataset in batches, epoch by epoch, made ahead of use on a thread of its own.
//
//   DataLoader loader(train, {.batch_size = 128, .shuffle = true, .seed = 1});
//   for (int epoch = 0; epoch < 10; ++epoch) {
//     for (const Batch& batch : loader) step(batch.input, batch.target);
//   }
//
// The order of the samples is a function of (seed, epoch) and of nothing else. To go on where a training stopped, save
// epoch() and consumed(), and call set_epoch() and skip() with them: the remaining batches come bit for bit the same.
#pragma once

#include <cstdint>
#include <functional>
#include <iterator>
#include <memory>

#include "ebb/nn/data/dataset.h"

namespace ebb::data {

struct Batch {
  Tensor input;   ///< (B, ...)
  Tensor target;  ///< (B, ...)
};

struct LoaderOptions {
  int64_t batch_size = 64;
  bool shuffle = false;    ///< a new order each epoch; else the order of the dataset
  uint64_t seed = 0;       ///< of the order, and of random numbers that transform draws
  bool drop_last = false;  ///< leave out a last batch of fewer than batch_size samples
  int prefetch =
      2;  ///< at most so many batches are made ahead; 0: each is made when it is asked for, no thread
  bool unit_float =
      true;  ///< inputs of dtype u8 (pictures) become f32 in [0, 1]: x / 255; other dtypes stay
  Device device =
      {};  ///< where the batches lie; copies to a GPU run beside the work that goes on there
  /// Changes a batch before it is handed out, on the loader's thread: noise, flips, normalisation. The thread's
  /// default_generator() is set anew for each batch, from (seed, epoch, batch). Returns tensors on the CPU whose first sizes
  /// are equal; their number of samples may differ from the batch's. Exceptions thrown here are rethrown by the loop that
  /// asked for the batch.
  std::function<Batch(Batch)> transform = {};
};

/// Thread-safety: one thread uses a loader. Its own thread reads the dataset's tensors, which must not change meanwhile. In
/// a child of fork() an epoch that the parent started cannot go on: its next batch is an Error, and begin() starts a new one.
class DataLoader {
 public:
  class Iterator;

  /// Throws Error when the dataset is empty, batch_size is below 1, prefetch is negative, or no batch is left.
  explicit DataLoader(Dataset dataset, LoaderOptions options = {});
  DataLoader(DataLoader&&) noexcept;
  DataLoader& operator=(DataLoader&&) noexcept;
  /// Stops the thread; waits at most for the batch that it is making.
  ~DataLoader();

  /// The number of batches of a whole epoch.
  int64_t size() const;
  const Dataset& dataset() const { return dataset_; }
  const LoaderOptions& options() const { return options_; }

  /// Starts an epoch, from its first batch or where skip() says; ends the one before. The first is epoch 0, and each
  /// begin() takes the next, unless set_epoch() says which. Iterators of earlier epochs become invalid.
  /// Throws what the dataset or the transform throws at the first batch; so does the iterator's ++ at later ones.
  Iterator begin();
  std::default_sentinel_t end() const { return {}; }

  /// The next begin() starts this epoch (>= 0), and forgets an earlier skip().
  void set_epoch(int64_t epoch);
  /// The next begin() leaves out this many batches, at most size(). Costs no time: they are not made.
  void skip(int64_t batches);

  /// The epoch that the last begin() started; before the first one, that which it will start.
  int64_t epoch() const { return epoch_; }
  /// The batches of this epoch that were skipped or handed out, the one in hand included; not those made ahead.
  int64_t consumed() const;
  /// The numbers of the samples in the order of an epoch, i64: size() * batch_size of them with drop_last, else all.
  Tensor order(int64_t epoch) const;

 private:
  class Epoch;

  Dataset dataset_;
  LoaderOptions options_;
  int64_t epoch_ = 0, next_epoch_ = 0, skip_ = 0;
  std::unique_ptr<Epoch> running_;
};

/// Reads the batches of one epoch, once, from front to back. Valid until the next begin() or the end of the loader.
class DataLoader::Iterator {
 public:
  using iterator_concept = std::input_iterator_tag;
  using value_type = Batch;
  using difference_type = std::ptrdiff_t;

  explicit Iterator(Epoch* epoch) : epoch_(epoch) {}
  /// The batch in hand: valid until ++; it may be moved from.
  Batch& operator*() const;
  Batch* operator->() const { return &**this; }
  Iterator& operator++();
  void operator++(int) { ++*this; }
  friend bool operator==(const Iterator& it, std::default_sentinel_t) { return it.done(); }

 private:
  bool done() const;

  Epoch* epoch_;
};

}  // namespace ebb::data
