// The engine on MPI. It is compiled once for each MPI implementation, into a library that
// distributed::Group::world() loads; it uses no symbol of Ebb.
//
// Functions of MPI that wait are not used, because nothing could be said about a rank that does not
// come. Ranks of one node do not exchange messages: they write to a window of shared memory, and a
// barrier is one counter per rank in it.
#include <mpi.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>

#include "ebb/backends/mpi/roll_call.h"
#include "ebb/core/communicator.h"

namespace ebb::mpi {
namespace {

// Memory that the ranks of a node share: one block for each.
struct Window {
  MPI_Win handle = MPI_WIN_NULL;
  size_t bytes = 0;
  std::vector<std::byte*> blocks;

  // Collective. Windows are freed by the end of the process.
  void allocate(MPI_Comm node, size_t bytes_per_rank) {
    bytes = bytes_per_rank;
    void* own = nullptr;
    MPI_Win_allocate_shared(static_cast<MPI_Aint>(bytes), 1, MPI_INFO_NULL, node, &own, &handle);
    int size = 0;
    MPI_Comm_size(node, &size);
    blocks.resize(static_cast<size_t>(size));
    for (int r = 0; r < size; ++r) {
      MPI_Aint length = 0;
      int unit = 0;
      void* block = nullptr;
      MPI_Win_shared_query(handle, r, &length, &unit, &block);
      blocks[static_cast<size_t>(r)] = static_cast<std::byte*>(block);
    }
    MPI_Win_lock_all(MPI_MODE_NOCHECK, handle);
  }
};

// The number of barriers that a rank has entered, alone in its cache lines.
using Arrivals = std::atomic<uint64_t>;
static_assert(Arrivals::is_always_lock_free, "other processes read it");
constexpr size_t kCounterBytes = 256;

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(double timeout) : roll_call_(timeout) {
    MPI_Comm_rank(MPI_COMM_WORLD, &rank_);
    MPI_Comm_size(MPI_COMM_WORLD, &size_);
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node_);
    MPI_Comm_size(node_, &node_size_);
    const char* const shared = std::getenv("EBB_DISTRIBUTED_SHARED_MEMORY");
    shares_memory_ = node_size_ == size_ && !(shared && std::strcmp(shared, "0") == 0);
    if (!shares_memory_) return;
    counters_.allocate(node_, kCounterBytes);
    new (counters_.blocks[static_cast<size_t>(rank_)]) Arrivals(0);
    MPI_Barrier(MPI_COMM_WORLD);
  }

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  int node_size() const override { return node_size_; }

  void barrier() override {
    if (!shares_memory_) {
      MPI_Request request;
      MPI_Ibarrier(MPI_COMM_WORLD, &request);
      wait("barrier", request);
      return;
    }
    const uint64_t now = ++barriers_;
    arrivals(rank_).store(now, std::memory_order_release);
    int r = 0;
    roll_call_.wait("barrier", [&] {
      while (r < size_ && arrivals(r).load(std::memory_order_acquire) >= now) ++r;
      return r == size_;
    });
  }

  void broadcast(std::byte* data, size_t bytes, int root) override {
    if (shares_memory_) {
      const std::vector<std::byte*> blocks = shared_blocks(bytes);
      const auto from = static_cast<size_t>(root);
      if (rank_ == root) std::memcpy(blocks[from], data, bytes);
      barrier();
      if (rank_ != root) std::memcpy(data, blocks[from], bytes);
      return;
    }
    MPI_Request request;
    MPI_Ibcast(data, static_cast<int>(bytes), MPI_BYTE, root, MPI_COMM_WORLD, &request);
    wait("broadcast", request);
  }

  void all_gather(const std::byte* data, size_t bytes, std::byte* out) override {
    if (shares_memory_) {
      const std::vector<std::byte*> blocks = shared_blocks(bytes);
      std::memcpy(blocks[static_cast<size_t>(rank_)], data, bytes);
      barrier();
      for (const std::byte* block : blocks) {
        std::memcpy(out, block, bytes);
        out += bytes;
      }
      return;
    }
    MPI_Request request;
    const int count = static_cast<int>(bytes);
    MPI_Iallgather(data, count, MPI_BYTE, out, count, MPI_BYTE, MPI_COMM_WORLD, &request);
    wait("all_gather", request);
  }

  void all_to_all(const std::byte* send, size_t bytes, std::byte* receive) override {
    MPI_Request request;
    const int count = static_cast<int>(bytes);
    MPI_Ialltoall(send, count, MPI_BYTE, receive, count, MPI_BYTE, MPI_COMM_WORLD, &request);
    wait("all_to_all", request);
  }

  std::vector<std::byte*> shared_blocks(size_t bytes) override {
    if (!shares_memory_) return {};
    Window& window = windows_[next_window_];
    next_window_ = 1 - next_window_;
    if (bytes > window.bytes) {
      // A large window is allocated once. The small one stays, because ranks may still read it.
      constexpr size_t kSmall = size_t{1} << 14;
      barrier();
      window.allocate(node_, bytes <= kSmall ? kSmall : std::max(bytes, kMostBytes));
    }
    return window.blocks;
  }

  [[noreturn]] void abort(std::string_view message) override {
    end_all_ranks(std::string(message));
  }

  void leave(int status) { roll_call_.leave(status); }

 private:
  Arrivals& arrivals(int r) {
    return *std::launder(reinterpret_cast<Arrivals*>(counters_.blocks[static_cast<size_t>(r)]));
  }

  void wait(const char* what, MPI_Request& request) {
    roll_call_.wait(what, [&] {
      int done = 0;
      MPI_Test(&request, &done, MPI_STATUS_IGNORE);
      return done != 0;
    });
  }

  RollCall roll_call_;
  int rank_ = 0, size_ = 1, node_size_ = 1;
  bool shares_memory_ = false;
  MPI_Comm node_ = MPI_COMM_NULL;
  Window counters_, windows_[2];
  size_t next_window_ = 0;
  uint64_t barriers_ = 0;
};

MpiCommunicator* communicator = nullptr;

// Without OMP_NUM_THREADS each rank would use all cores.
void share_cores() {
  if (std::getenv("OMP_NUM_THREADS") || omp_get_max_threads() != omp_get_num_procs()) return;
  const int cores = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  const int share = std::max(1, cores / communicator->node_size());
  omp_set_num_threads(std::min(share, omp_get_num_procs()));
}

// A rank that fails ends the others: they would wait for it.
void at_exit(int status, void*) {
  int finalized = 0;
  MPI_Finalized(&finalized);
  if (finalized || ending_all_ranks) return;
  std::fflush(stdout);
  communicator->leave(status);
  MPI_Finalize();
}

}  // namespace
}  // namespace ebb::mpi

extern "C" ebb::Communicator* ebb_start_communicator(double timeout) {
  int initialized = 0;
  MPI_Initialized(&initialized);
  if (!initialized) {
    int provided = 0;
    MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided);
  }
  using namespace ebb::mpi;
  communicator = new MpiCommunicator(timeout);
  share_cores();
  if (!initialized) on_exit(at_exit, nullptr);
  return communicator;
}
