#include "ebb/nn/distributed/group.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <numeric>
#include <string>

#include "ebb/core/creation.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/distributed/launch.h"
#include "ebb/nn/distributed/ordered_sum.h"

namespace ebb::distributed {
namespace {

constexpr std::string_view kOp = "distributed";

Group start() {
  const detail::Launch launch = detail::launch();
  if (launch.size <= 1) return {};
  const std::string library = "libebb_mpi_" + std::string(launch.mpi) + ".so";
  // Plugins of MPI need its symbols.
  void* const engine = dlopen(library.c_str(), RTLD_NOW | RTLD_GLOBAL);
  if (!engine) {
    fail(kOp, "this is one of ", launch.size, " processes that were started together, but ",
         library, " cannot be loaded: build Ebb with EBB_MPI=ON and this MPI (", dlerror(), ")");
  }
  const auto begin = reinterpret_cast<StartCommunicator>(dlsym(engine, kStartCommunicator));
  if (!begin) fail(kOp, library, " has no function ", kStartCommunicator);
  Communicator* const communicator = begin(detail::timeout());
  if (communicator->size() != launch.size) {
    fail(kOp, "MPI has connected ", communicator->size(), " of ", launch.size,
         " processes: mpirun belongs to another MPI than ", library);
  }
  return Group(std::shared_ptr<Communicator>(communicator, [](Communicator*) {}));
}

// The elements of a tensor in contiguous memory of the host, for reading and writing.
class HostBytes {
 public:
  explicit HostBytes(const Tensor& x) : x_(x.detach()), host_(x_.to(Device::cpu()).contiguous()) {}

  std::byte* data() const { return host_.raw(); }
  size_t size() const { return static_cast<size_t>(host_.numel()) * size_of(host_.dtype()); }
  const Tensor& tensor() const { return host_; }
  /// Writes the elements back to the tensor.
  void store() {
    const NoGrad guard;
    if (host_.raw() == x_.raw()) x_.impl()->storage->bump_version();
    else x_.copy_(host_);
  }

 private:
  Tensor x_, host_;
};

// Calls each(offset, count) for parts of at most kMostBytes.
template <class Each> void in_parts(size_t bytes, Each&& each) {
  for (size_t at = 0; at < bytes; at += Communicator::kMostBytes)
    each(at, std::min(Communicator::kMostBytes, bytes - at));
}

// Returns blocks of equal size, one from each rank.
std::vector<std::byte> gather(Communicator& engine, const std::byte* data, size_t bytes) {
  const auto ranks = static_cast<size_t>(engine.size());
  std::vector<std::byte> all(ranks * bytes), part;
  in_parts(bytes, [&](size_t at, size_t count) {
    part.resize(ranks * count);
    engine.all_gather(data + at, count, part.data());
    for (size_t r = 0; r < ranks; ++r)
      std::memcpy(all.data() + r * bytes + at, part.data() + r * count, count);
  });
  return all;
}

// The facts of a tensor that another rank needs to receive it.
struct Header {
  DType dtype;
  int dim;
  int64_t sizes[kMaxDims];
};

}  // namespace

Group Group::world() {
  static const Group world = start();
  return world;
}

void Group::barrier() const {
  if (engine_) engine_->barrier();
}

void Group::all_reduce(const Tensor& x) const {
  check_defined("all_reduce", x);
  if (!is_floating(x.dtype())) fail("all_reduce", "expected a floating tensor, got ", x);
  if (!engine_) return;
  HostBytes host(x);
  detail::sum_over_ranks(*engine_, {host.tensor()}, 1);
  host.store();
}

void Group::broadcast(const Tensor& x, int root) const {
  check_defined("broadcast", x);
  if (root < 0 || root >= size())
    fail("broadcast", "expected a root of 0 to ", size() - 1, ", got ", root);
  if (!engine_) return;
  HostBytes host(x);
  in_parts(host.size(),
           [&](size_t at, size_t count) { engine_->broadcast(host.data() + at, count, root); });
  host.store();
}

std::vector<Tensor> Group::all_gather(const Tensor& x) const {
  check_defined("all_gather", x);
  if (!engine_) return {x.detach()};
  const HostBytes host(x);
  Header own{};
  own.dtype = x.dtype();
  own.dim = x.dim();
  for (int i = 0; i < x.dim(); ++i) own.sizes[i] = x.size(i);
  const std::vector<std::byte> headers =
      gather(*engine_, reinterpret_cast<const std::byte*>(&own), sizeof own);

  const auto ranks = static_cast<size_t>(size());
  std::vector<Tensor> all;
  size_t most = 0;
  for (size_t r = 0; r < ranks; ++r) {
    Header of;
    std::memcpy(&of, headers.data() + r * sizeof of, sizeof of);
    Shape shape;
    for (int i = 0; i < of.dim; ++i) shape.push_back(of.sizes[i]);
    all.push_back(empty(shape, {.dtype = of.dtype}));
    most = std::max(most, static_cast<size_t>(all[r].numel()) * size_of(of.dtype));
  }
  std::vector<std::byte> padded(most);
  std::memcpy(padded.data(), host.data(), host.size());
  const std::vector<std::byte> data = gather(*engine_, padded.data(), most);
  for (size_t r = 0; r < ranks; ++r) {
    const size_t bytes = static_cast<size_t>(all[r].numel()) * size_of(all[r].dtype());
    std::memcpy(all[r].raw(), data.data() + r * most, bytes);
    all[r] = all[r].to(x.device());
  }
  return all;
}

std::vector<uint64_t> Group::all_gather(uint64_t word) const {
  if (!engine_) return {word};
  std::vector<uint64_t> all(static_cast<size_t>(size()));
  engine_->all_gather(reinterpret_cast<const std::byte*>(&word), sizeof word,
                      reinterpret_cast<std::byte*>(all.data()));
  return all;
}

uint64_t Group::any_of(uint64_t flags) const {
  if (!engine_) return flags;
  const std::vector<uint64_t> all = all_gather(flags);
  return std::accumulate(all.begin(), all.end(), uint64_t{0}, std::bit_or<>());
}

void Group::abort(std::string_view message) const {
  if (engine_) engine_->abort(message);
  std::fflush(stdout);
  std::fprintf(stderr, "[distributed] %s\n", std::string(message).c_str());
  std::_Exit(1);
}

}  // namespace ebb::distributed
