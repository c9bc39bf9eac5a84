#include "ebb/nn/data/loader.h"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <exception>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "ebb/core/backend.h"
#include "ebb/core/random.h"

namespace ebb::data {
namespace {

// Independent generators for the order of an epoch and for the transform of its batches. They do
// not overlap the stream from which a user with the same seed draws weights.
struct EpochKeys {
  uint64_t order, transform;
};

EpochKeys epoch_keys(uint64_t seed, int64_t epoch) {
  const PhiloxBits bits = philox(seed, (uint64_t{1} << 63) + static_cast<uint64_t>(epoch));
  return {uint64_t{bits.word[0]} << 32 | bits.word[1], uint64_t{bits.word[2]} << 32 | bits.word[3]};
}

// Returns the rows of a batch of n samples that one of several ranks gets.
BatchRows part_of(int64_t n, int64_t rank, int64_t ranks) {
  const int64_t begin = n * rank / ranks;
  return {.first = begin, .count = n * (rank + 1) / ranks - begin, .total = n};
}

// Throws Error unless a transform returned as many targets as samples.
void check_transformed(const Batch& batch) {
  constexpr std::string_view kWho = "the transform returned ";
  for (const auto& [name, tensor] : {std::pair("input", &batch.input), {"target", &batch.target}}) {
    if (!tensor->defined()) fail("DataLoader", kWho, "an undefined ", name);
    if (tensor->dim() == 0) fail("DataLoader", kWho, "a 0-d ", name, ": expected one row a sample");
    if (tensor->device() != Device::cpu())
      fail("DataLoader", kWho, "an ", name, " on ", tensor->device(), ": expected the cpu");
  }
  if (batch.input.size(0) != batch.target.size(0)) {
    fail("DataLoader", kWho, "input ", batch.input.shape(), " and target ", batch.target.shape(),
         ", which differ in their first size");
  }
}

// Restores the generator of the calling thread, which is the user's thread if there is no loader
// thread.
class [[nodiscard]] GeneratorGuard {
 public:
  explicit GeneratorGuard(const Generator& meanwhile) : before_(default_generator()) {
    default_generator() = meanwhile;
  }
  ~GeneratorGuard() { default_generator() = before_; }
  GeneratorGuard(const GeneratorGuard&) = delete;
  GeneratorGuard& operator=(const GeneratorGuard&) = delete;

 private:
  Generator before_;
};

// A bounded queue with one producer and one consumer thread. Both sleep while they wait.
class BatchQueue {
 public:
  explicit BatchQueue(size_t capacity) : capacity_(capacity) {}

  // Waits until there is room for another item. Returns false if the consumer has left.
  bool wait_for_room() {
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return closed_ || batches_.size() < capacity_; });
    return !closed_;
  }

  // Adds an item. REQUIRES a call of wait_for_room() before each.
  void put(Batch batch) {
    std::lock_guard lock(mutex_);
    batches_.push_back(std::move(batch));
    filled_.notify_one();
  }

  // Ends the queue with an error, which the consumer receives after the batches before it.
  void put_error(std::exception_ptr error) {
    std::lock_guard lock(mutex_);
    error_ = std::move(error);
    filled_.notify_one();
  }

  Batch take() {
    std::unique_lock lock(mutex_);
    filled_.wait(lock, [&] { return error_ || !batches_.empty(); });
    if (batches_.empty()) std::rethrow_exception(error_);
    Batch batch = std::move(batches_.front());
    batches_.pop_front();
    room_.notify_one();
    return batch;
  }

  // Tells the producer that the consumer has left.
  void close() {
    std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable room_, filled_;
  std::deque<Batch> batches_;
  std::exception_ptr error_;
  size_t capacity_;
  bool closed_ = false;
};

}  // namespace

// The order of the running epoch, on the device of the data set, and the position of the current
// batch in it. A captured step refers to both by their addresses.
struct DataLoader::OnDevice {
  Tensor order;
  int64_t position = 0;

  void receive(const Tensor& host) {
    const size_t bytes = static_cast<size_t>(host.numel()) * sizeof(int64_t);
    backend(order.device())
        .copy_bytes(order.raw(), order.device(), host.raw(), Device::cpu(), bytes);
  }
};

// One epoch. It owns handles of everything that its thread needs, so that the loader may be moved.
class DataLoader::Epoch {
 public:
  Epoch(const DataLoader& loader, int64_t epoch, int64_t first)
      : dataset_(loader.dataset_),
        options_(loader.options_),
        order_(loader.order(epoch)),
        on_device_(loader.on_device_),
        transform_key_(epoch_keys(options_.seed, epoch).transform),
        rank_(loader.rank_),
        ranks_(loader.ranks_),
        size_(loader.size()),
        next_(first),
        process_(getpid()),
        queue_(std::make_unique<BatchQueue>(static_cast<size_t>(options_.prefetch))) {
    if (on_device_) on_device_->receive(order_);
    if (on_device_ || options_.prefetch == 0 || first == size_) return;
    try {
      thread_ = std::thread([this, first] { run(first); });
    } catch (const std::system_error& error) {
      fail("DataLoader", "cannot start its thread: ", error.what());
    }
  }
  ~Epoch() {
    if (!thread_.joinable()) return;
    // A forked child does not have this thread, and must not take its locks.
    if (getpid() != process_) {
      new std::thread(std::move(thread_));
      (void)queue_.release();
      return;
    }
    queue_->close();
    thread_.join();
  }
  Epoch(const Epoch&) = delete;
  Epoch& operator=(const Epoch&) = delete;

  // Makes the next batch the current one, or none at the end.
  void advance() {
    batch_.reset();
    is_at_batch_ = next_ < size_;
    if (on_device_) {
      const BatchRows part = part_at(std::min(next_ * options_.batch_size, order_.numel()));
      on_device_->position = part.first;
      samples_ = part.count;
    }
    if (!is_at_batch_) return;
    if (!on_device_) receive();
    ++next_;
  }

  bool is_at_batch() const { return is_at_batch_; }
  Batch& batch() {
    if (!batch_) batch_ = gather();
    return *batch_;
  }
  int64_t samples() const { return samples_; }
  Batch gather() const { return take(on_device_->order, &on_device_->position, samples()); }
  int64_t consumed() const { return next_; }

 private:
  void run(int64_t first) {
    try {
      const int64_t end = order_.numel();
      for (int64_t index = first; index * options_.batch_size < end && queue_->wait_for_room();
           ++index) {
        queue_->put(make(index));
      }
    } catch (...) {
      queue_->put_error(std::current_exception());
    }
  }

  // Takes the next batch from the thread, or prepares it here.
  void receive() {
    try {
      if (thread_.joinable() && getpid() != process_)
        fail("DataLoader", "this epoch was started before fork(): start a new one in the child");
      batch_ = thread_.joinable() ? queue_->take() : make(next_);
    } catch (...) {
      size_ = next_;  // the epoch ends here
      is_at_batch_ = false;
      throw;
    }
    for (const Tensor* t : {&batch_->input, &batch_->target}) backend(t->device()).receive(*t);
    samples_ = batch_->input.size(0);
  }

  // Returns the rows of this rank in the batch that starts at position `first` of the order.
  BatchRows part_at(int64_t first) const {
    BatchRows part = part_of(std::min(options_.batch_size, order_.numel() - first), rank_, ranks_);
    part.first += first;
    return part;
  }

  Batch take(const Tensor& order, const int64_t* position, int64_t count) const {
    auto [input, target] =
        detail::take_samples(dataset_, order, position, count, options_.unit_float);
    return {std::move(input), std::move(target)};
  }

  Batch make(int64_t index) const {
    const int64_t first = index * options_.batch_size;
    BatchRows part = part_at(first);
    Batch batch = take(order_, &part.first, part.count);
    if (options_.transform && part.count > 0) {
      part.first -= first;
      const BatchRowsScope scope(part);
      const GeneratorGuard guard({transform_key_, static_cast<uint64_t>(index) << 40});
      batch = options_.transform(std::move(batch));
      check_transformed(batch);
    }
    if (options_.device.value_or(Device::cpu()) == Device::cpu()) return batch;
    Backend& device = backend(*options_.device);
    return {device.upload(batch.input.contiguous()), device.upload(batch.target.contiguous())};
  }

  const Dataset dataset_;
  const LoaderOptions options_;
  const Tensor order_;
  const std::shared_ptr<OnDevice> on_device_;
  const uint64_t transform_key_;
  const int64_t rank_, ranks_;
  int64_t size_, next_;
  bool is_at_batch_ = false;
  int64_t samples_ = 0;         // of the current batch
  std::optional<Batch> batch_;  // the current one; on a GPU only if it is requested
  const pid_t process_;
  std::unique_ptr<BatchQueue> queue_;
  std::thread thread_;
};

DataLoader::DataLoader(Dataset dataset, LoaderOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  if (options_.batch_size < 1)
    fail("DataLoader", "expected a batch_size of at least 1, got ", options_.batch_size);
  if (options_.prefetch < 0)
    fail("DataLoader", "expected a prefetch of at least 0, got ", options_.prefetch);
  if (dataset_.size() == 0) fail("DataLoader", "the dataset is empty");
  if (size() == 0) {
    fail("DataLoader", "drop_last with batch_size ", options_.batch_size, " leaves no batch of ",
         dataset_.size(), " samples");
  }
  const Device home = dataset_.device();
  if (home == Device::cpu()) return;
  if (options_.device.value_or(home) != home) {
    fail("DataLoader", "the data set is on ", home, ", so its batches cannot be on ",
         *options_.device);
  }
  if (options_.transform)
    fail("DataLoader", "a transform needs a data set on the cpu, this one is on ", home);
  on_device_ = std::make_shared<OnDevice>();
  const int64_t samples = options_.drop_last ? size() * options_.batch_size : dataset_.size();
  on_device_->order = empty({samples}, {.dtype = DType::I64, .device = home});
}

DataLoader::DataLoader(DataLoader&&) noexcept = default;
DataLoader& DataLoader::operator=(DataLoader&&) noexcept = default;
DataLoader::~DataLoader() = default;

int64_t DataLoader::size() const {
  const int64_t whole = dataset_.size() / options_.batch_size;
  return whole + (!options_.drop_last && dataset_.size() % options_.batch_size != 0);
}

DataLoader::Iterator DataLoader::begin() {
  running_.reset();
  epoch_ = next_epoch_++;
  running_ = std::make_unique<Epoch>(*this, epoch_, std::exchange(skip_, 0));
  running_->advance();
  return Iterator(running_.get());
}

void DataLoader::set_epoch(int64_t epoch) {
  if (epoch < 0) fail("set_epoch", "expected an epoch of at least 0, got ", epoch);
  if (epoch > int64_t{1} << 53) fail("set_epoch", "expected an epoch of at most 2^53, got ", epoch);
  next_epoch_ = epoch;
  skip_ = 0;
  if (!running_) epoch_ = epoch;
}

void DataLoader::skip(int64_t batches) {
  if (batches < 0 || batches > size()) {
    fail("skip", "expected 0 to ", size(), " batches, the size of an epoch, got ", batches);
  }
  skip_ = batches;
}

void DataLoader::shard(int64_t rank, int64_t ranks) {
  if (ranks < 1 || rank < 0 || rank >= ranks)
    fail("shard", "expected a rank of 0 to ranks - 1, got rank ", rank, " of ", ranks);
  rank_ = rank;
  ranks_ = ranks;
}

int64_t DataLoader::samples_of(int64_t k) const {
  if (k < 0 || k >= size()) fail("samples_of", "expected 0 to ", size() - 1, ", got ", k);
  return std::min(options_.batch_size, dataset_.size() - k * options_.batch_size);
}

BatchRows DataLoader::rows_of(int64_t k) const { return part_of(samples_of(k), rank_, ranks_); }

Batch DataLoader::gather() const {
  if (!on_device_) fail("gather", "the data set of the loader is on the cpu: expected a GPU");
  if (ranks_ > 1) fail("gather", "the loader is shared by ", ranks_, " ranks: expected one");
  if (!running_ || !running_->is_at_batch()) fail("gather", "the loader has no current batch");
  return running_->gather();
}

int64_t DataLoader::consumed() const { return running_ ? running_->consumed() : 0; }

Tensor DataLoader::order(int64_t epoch) const {
  const int64_t all = dataset_.size();
  const int64_t used = options_.drop_last ? size() * options_.batch_size : all;
  Generator generator{epoch_keys(options_.seed, epoch).order};
  const Tensor samples = options_.shuffle ? randperm(all, &generator) : arange(all);
  return make_view(samples, {used}, {1});
}

Batch& DataLoader::Iterator::operator*() const { return epoch_->batch(); }
int64_t DataLoader::Iterator::samples() const { return epoch_->samples(); }

DataLoader::Iterator& DataLoader::Iterator::operator++() {
  epoch_->advance();
  return *this;
}

bool DataLoader::Iterator::done() const { return !epoch_->is_at_batch(); }

}  // namespace ebb::data
