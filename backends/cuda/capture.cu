// Steps captured as CUDA graphs.
//
// Values that change from launch to launch are stored on the device: for each optimizer its
// learning rate and the number of steps, which its own kernel counts; for random numbers the
// distance that the generator has advanced, which a last kernel updates; for a data set on the
// device the position of the batch, which the kernel that gathers it advances. The host has the
// same values. It writes them to the device before a launch only if they differ from those on the
// device: after set_lr, or if numbers were drawn between launches. A step is therefore one launch.
//
// A graph contains addresses. If any tensor has been rebound (Module::to), the graph is discarded.
// The step then runs eagerly once and is captured again.
#include "ebb/backends/cuda/capture.h"

#include <cstring>
#include <optional>

#include "ebb/backends/cuda/memory.h"
#include "ebb/backends/cuda/runtime.h"
#include "ebb/core/cuda.h"
#include "ebb/core/optimizer_rule.h"
#include "ebb/core/random.h"
#include "ebb/core/rebinding.h"

namespace ebb::cuda {
namespace {

__global__ void set_state_kernel(StepState* state, StepState value) { *state = value; }
__global__ void set_position_kernel(int64_t* position, int64_t value) { *position = value; }
__global__ void set_moved_kernel(uint64_t* moved, uint64_t value) { *moved = value; }
__global__ void move_on_kernel(uint64_t* moved, uint64_t by) { *moved += by; }

// An optimizer in a captured step.
struct CapturedOptimizer {
  OptimizerStep* host;
  StepState* device;
  StepState known;  // the value on the device
};

// A position from which a captured step gathers a batch.
struct CapturedPosition {
  const int64_t* host;
  int64_t* device;
  int64_t by, limit;
  int64_t known;  // the value on the device
};

struct FreePinned {
  void operator()(void* bytes) const { cudaFreeHost(bytes); }
};

// The state of a capture in progress.
struct Recording {
  std::vector<CapturedOptimizer> optimizers;
  std::vector<CapturedPosition> positions;
  uint64_t* moved;              // on the device
  Generator at_start;           // the thread's generator at the start
  std::vector<Tensor> storage;  // owns the memory of the states
  // Bytes of the host that the step copies to the device.
  std::vector<std::unique_ptr<void, FreePinned>> bytes;

  template <class T> T* device_memory() {
    const CapturePool::Pause pause;
    storage.push_back(
        empty({static_cast<int64_t>(sizeof(T))}, {.dtype = DType::U8, .device = Device::cuda()}));
    return reinterpret_cast<T*>(storage.back().raw());
  }
};

thread_local Recording* recording = nullptr;

}  // namespace

StepState* captured_state(OptimizerStep& step) {
  if (!recording) return nullptr;
  for (const CapturedOptimizer& o : recording->optimizers) {
    if (o.host == &step)
      fail("capture", "an optimizer makes two steps in a captured one: capture each of them");
  }
  auto* device = recording->device_memory<StepState>();
  recording->optimizers.push_back({&step, device, {-1, -1}});
  return device;
}

const uint64_t* captured_offset(uint64_t seed, uint64_t offset, int64_t count) {
  if (!recording) return nullptr;
  const Generator& now = default_generator();
  if (seed != recording->at_start.seed || offset + static_cast<uint64_t>(count) != now.offset) {
    fail("capture",
         "a captured step draws random numbers only from the calling thread's default generator");
  }
  return recording->moved;
}

int64_t* captured_position(const int64_t* position, int64_t by, int64_t limit) {
  if (!recording) return nullptr;
  for (const CapturedPosition& p : recording->positions) {
    if (p.host == position)
      fail("capture", "a captured step gathers the batch of a loader twice: gather it once");
  }
  auto* device = recording->device_memory<int64_t>();
  recording->positions.push_back({position, device, by, limit, -1});
  return device;
}

const void* captured_bytes(const void* bytes, size_t count) {
  if (!recording) return bytes;
  void* copy = nullptr;
  check(cudaHostAlloc(&copy, count, cudaHostAllocDefault), "cudaHostAlloc");
  recording->bytes.emplace_back(copy);
  std::memcpy(copy, bytes, count);
  return recording->bytes.back().get();
}

bool captures_step() { return recording != nullptr; }

void refuse_in_capture(std::string_view op, std::string_view what) {
  if (recording) fail(op, "a step that is being captured may not ", what);
}

class CapturedStep::Impl {
 public:
  explicit Impl(std::function<void()> step) : step_(std::move(step)) {}
  ~Impl() { forget_graph(); }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void call() {
    context();
    const uint64_t rebindings = ebb::detail::rebindings();
    if (rebindings != rebindings_) {  // the addresses in the graph may refer to freed memory
      forget_graph();
      warm_ = false;
      rebindings_ = rebindings;
    }
    if (!warm_) {
      step_();
      warm_ = true;
      return;
    }
    if (!graph_) capture();
    replay();
  }
  int64_t replays() const { return replays_; }

 private:
  void forget_graph() {
    if (!graph_) return;
    if (!captured_->bytes.empty())
      cudaStreamSynchronize(context().stream);  // launches may still read them
    cudaGraphExecDestroy(graph_);
    graph_ = nullptr;
    captured_.reset();
  }

  void capture() {
    if (recording) fail("capture", "a captured step captures another one");
    Recording r;
    r.moved = r.device_memory<uint64_t>();
    r.at_start = default_generator();
    cudaGraph_t graph = nullptr;
    const auto take_back = [&] {  // resets the counts of the host, because nothing has run yet
      for (const CapturedOptimizer& o : r.optimizers) --o.host->step;
      default_generator() = r.at_start;
    };
    begin_capture();
    try {
      const CapturePool::Scope scope(pool_);
      recording = &r;
      step_();
      taken_ = default_generator().offset - r.at_start.offset;
      if (taken_ > 0) launch(move_on_kernel, 1, 1, r.moved, taken_);
      recording = nullptr;
    } catch (...) {
      recording = nullptr;
      cudaStreamEndCapture(context().stream, &graph);
      if (graph) cudaGraphDestroy(graph);
      cudaGetLastError();
      take_back();
      throw;
    }
    take_back();
    check(cudaStreamEndCapture(context().stream, &graph), "end capture");
    const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
    cudaGraphDestroy(graph);
    check(status, "instantiate graph");
    captured_ = std::move(r);
    known_moved_ = ~uint64_t{0};
  }

  void check_replay(const Recording& r) const {
    for (const CapturedPosition& p : r.positions) {
      if (*p.host > p.limit - p.by) {
        fail("capture", "the step gathers a batch of ", p.by, " samples, and the epoch has ",
             p.limit - *p.host, " left");
      }
    }
    const uint64_t seed = default_generator().seed;
    if (taken_ > 0 && seed != r.at_start.seed) {
      fail("capture", "the step was captured with seed ", r.at_start.seed,
           ", the generator now has ", seed);
    }
  }

  void replay() {
    Recording& r = *captured_;
    check_replay(r);  // before anything is changed
    for (CapturedOptimizer& o : r.optimizers) {
      const StepState wanted{o.host->lr, o.host->step};
      if (wanted.lr != o.known.lr || wanted.step != o.known.step)
        launch(set_state_kernel, 1, 1, o.device, wanted);
      o.known = {wanted.lr, wanted.step + 1};
    }
    for (CapturedPosition& p : r.positions) {
      const int64_t wanted = *p.host;
      if (wanted != p.known) launch(set_position_kernel, 1, 1, p.device, wanted);
      p.known = wanted + p.by;
    }
    Generator& g = default_generator();
    if (taken_ > 0) {
      const uint64_t moved = g.offset - r.at_start.offset;
      if (moved != known_moved_) launch(set_moved_kernel, 1, 1, r.moved, moved);
      known_moved_ = moved + taken_;
    }
    check(cudaGraphLaunch(graph_, context().stream), "graph launch");
    for (CapturedOptimizer& o : r.optimizers) ++o.host->step;
    g.offset += taken_;
    ++replays_;
  }

  std::function<void()> step_;
  CapturePool pool_;
  std::optional<Recording> captured_;
  cudaGraphExec_t graph_ = nullptr;
  uint64_t taken_ = 0;                               // random numbers per step
  uint64_t known_moved_ = 0;                         // the value on the device
  uint64_t rebindings_ = ebb::detail::rebindings();  // at the last eager run of the step
  bool warm_ = false;
  int64_t replays_ = 0;
};

CapturedStep::CapturedStep(std::function<void()> step)
    : impl_(std::make_unique<Impl>(std::move(step))) {}
CapturedStep::~CapturedStep() = default;
CapturedStep::CapturedStep(CapturedStep&&) noexcept = default;
CapturedStep& CapturedStep::operator=(CapturedStep&&) noexcept = default;
void CapturedStep::operator()() { impl_->call(); }
int64_t CapturedStep::replays() const { return impl_->replays(); }
CapturedStep capture(std::function<void()> step) { return CapturedStep(std::move(step)); }

}  // namespace ebb::cuda
