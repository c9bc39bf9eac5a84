// Communicator: what Ebb asks of an engine that exchanges bytes between the processes of a run.
//
// An engine is a shared library of its own (backends/mpi), because MPI implementations have no
// common binary interface. It is loaded when a program first uses distributed::Group::world().
//
// All functions except abort() are collective: every rank calls the same functions in the same
// order with the same sizes, from one thread. A function that waits ends all ranks, with a message
// that names the missing rank, when a rank does not call it within the timeout.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace ebb {

class Communicator {
 public:
  /// The most bytes per rank in one call.
  static constexpr size_t kMostBytes = size_t{1} << 22;

  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  /// Returns the number of ranks on this node.
  virtual int node_size() const = 0;

  virtual void barrier() = 0;
  /// Copies bytes of rank `root` to all ranks.
  virtual void broadcast(std::byte* data, size_t bytes, int root) = 0;
  /// Writes the data of rank r to block r of out, which has size() blocks of `bytes`.
  virtual void all_gather(const std::byte* data, size_t bytes, std::byte* out) = 0;
  /// Sends block r of `send` to rank r, and writes the block from rank r to block r of `receive`.
  virtual void all_to_all(const std::byte* send, size_t bytes, std::byte* receive) = 0;

  /// Returns memory that all ranks share, one block of at least `bytes` for each rank, or nothing
  /// if the ranks are on several nodes. Two calls in a row return different memory; the third
  /// returns that of the first. barrier() makes what was written visible to the others.
  virtual std::vector<std::byte*> shared_blocks(size_t bytes) = 0;

  /// Prints the message with the rank on standard error, and ends all ranks with status 1.
  [[noreturn]] virtual void abort(std::string_view message) = 0;
};

/// The function with which an engine's library starts: extern "C", named kStartCommunicator. Its
/// argument is the number of seconds to wait for a rank. The object lives until the process ends.
using StartCommunicator = Communicator* (*)(double timeout);
inline constexpr const char* kStartCommunicator = "ebb_start_communicator";

}  // namespace ebb
