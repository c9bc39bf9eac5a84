// Group: the processes of one run, which train together.
//
//   mpirun -np 4 ./program
//
//   const auto group = distributed::Group::world();
//   for (const data::Batch& batch : loader) {
//     nn::cross_entropy(model(batch.input), batch.target).backward();
//     distributed::average_gradients(model, group);
//     optimizer.step();
//   }
//
// Started without mpirun, the group has one rank, and every function returns at once. A program
// needs no branches. docs/distributed.md describes a run from its start to its failures.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "ebb/core/communicator.h"
#include "ebb/core/tensor.h"

namespace ebb::distributed {

/// A handle of the processes (ranks) that work together. Copies refer to the same group.
///
/// The functions other than rank(), size() and abort() are collective: every rank calls them in the
/// same order, all_reduce() and broadcast() with the same shapes and dtypes. A rank that waits for
/// another one longer than the timeout ends the run with a message that names it: 60 seconds, or
/// EBB_DISTRIBUTED_TIMEOUT. Thread-safety: one thread at a time uses the groups of a process.
class Group {
 public:
  /// Creates a group of one rank.
  Group() = default;

  /// Returns all processes that mpirun or srun has started, or a group of one without them.
  ///
  /// The first call starts MPI. It shares the cores of a node among its ranks unless
  /// OMP_NUM_THREADS is set. Throws Error if several processes were started and Ebb was built
  /// without their MPI, because each of them would train alone.
  static Group world();

  int rank() const { return engine_ ? engine_->rank() : 0; }
  int size() const { return engine_ ? engine_->size() : 1; }
  /// Returns true on rank 0, which prints and writes files.
  bool is_first() const { return rank() == 0; }

  /// Waits until all ranks have called it.
  void barrier() const;
  /// Replaces x by the sum over all ranks, ((x0 + x1) + x2) + ..., in the order of the ranks.
  ///
  /// The result has the same bits on all ranks. x is f32 or f64, on any device, and keeps its
  /// memory. It may require grad; the graph does not notice.
  void all_reduce(const Tensor& x) const;
  /// Copies x of rank `root` into x of all ranks, for any dtype and device.
  ///
  ///     distributed::Group::world().broadcast(x);
  void broadcast(const Tensor& x, int root = 0) const;
  /// Returns the tensors of all ranks in the order of the ranks, on the device of x. Their shapes
  /// and dtypes may differ.
  std::vector<Tensor> all_gather(const Tensor& x) const;
  /// Returns the words of all ranks in the order of the ranks.
  std::vector<uint64_t> all_gather(uint64_t word) const;
  /// Returns the bitwise or of the flags of all ranks.
  uint64_t any_of(uint64_t flags) const;
  /// Prints the message with the rank on standard error, and ends all ranks with status 1.
  [[noreturn]] void abort(std::string_view message) const;

  /// Returns the engine; null for a group of one.
  Communicator* engine() const { return engine_.get(); }
  /// Creates a group of an engine of your own.
  explicit Group(std::shared_ptr<Communicator> engine) : engine_(std::move(engine)) {}

 private:
  std::shared_ptr<Communicator> engine_;
};

}  // namespace ebb::distributed
