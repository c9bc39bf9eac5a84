// Streams, events, captures and graphs. Work is added to the stream's queue (queue.h). A capture
// records it instead, in the order of submission, which is one of the orders that its dependencies
// allow.
#include <chrono>
#include <memory>
#include <set>
#include <thread>
#include <vector>

#include "queue.h"
#include "runtime.h"

using Clock = std::chrono::steady_clock;
using ebb::emulation::Queue;
using ebb::emulation::Work;

struct CUgraph_st {
  std::vector<Work> nodes;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<Work>> nodes;
};

namespace {

struct Capture {
  CUstream_st* origin;
  cudaStreamCaptureMode mode;
  std::thread::id thread;
  std::unique_ptr<CUgraph_st> graph = std::make_unique<CUgraph_st>();
  bool invalid = false;
};

}  // namespace

struct CUstream_st {
  bool blocking;                     // this stream and the legacy stream wait for each other
  std::shared_ptr<Capture> capture;  // if null, work is added to the queue
  int recorded = 0;                  // nodes in this capture, including the fork
  int joined = 0;                    // how many of them another stream has waited for
  std::shared_ptr<Queue> queue = ebb::emulation::make_queue(blocking);
};

struct CUevent_st {
  bool timed;
  bool recorded = false;
  Clock::time_point time{};
  std::shared_ptr<Capture> capture;  // the capture in which it was last recorded
  CUstream_st* stream = nullptr;     // its stream in that capture, and how many nodes it covers
  int covers = 0;
  // Outside of captures: the queue, whose work must run up to `until`.
  std::shared_ptr<Queue> queue = nullptr;
  std::uint64_t until = 0;
};

namespace {

struct Streams {
  std::mutex mutex;
  CUstream_st legacy{true, nullptr};
  std::set<CUstream_st*> live{&legacy};
};

Streams& streams() {
  static Streams& streams = *new Streams;
  return streams;
}

thread_local cudaStreamCaptureMode thread_mode = cudaStreamCaptureModeGlobal;

// The functions below require the lock.

CUstream_st* find(cudaStream_t stream) {
  if (stream == nullptr || stream == cudaStreamLegacy || stream == cudaStreamPerThread)
    return &streams().legacy;
  return streams().live.contains(stream) ? stream : nullptr;
}

cudaError_t invalidate(Capture& capture, cudaError_t error) {
  capture.invalid = true;
  return ebb::emulation::note(error);
}

// The legacy stream waits for every blocking stream, which is forbidden while one of them captures.
cudaError_t legacy_call() {
  for (CUstream_st* s : streams().live) {
    if (s->capture && s->blocking) return invalidate(*s->capture, cudaErrorStreamCaptureImplicit);
  }
  return cudaSuccess;
}

// A wait for a capturing stream would be a wait for work that does not run.
cudaError_t wait_for(CUstream_st* stream) {
  if (stream == nullptr) return ebb::emulation::note(cudaErrorInvalidResourceHandle);
  if (stream->capture) return invalidate(*stream->capture, cudaErrorStreamCaptureUnsupported);
  return stream == &streams().legacy ? legacy_call() : cudaSuccess;
}

}  // namespace

namespace ebb::emulation {

cudaError_t submit(cudaStream_t stream, Work work) {
  std::shared_ptr<Queue> queue;
  bool legacy = false;
  {
    const std::lock_guard lock(streams().mutex);
    CUstream_st* const s = find(stream);
    if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
    if (s == &streams().legacy) {
      if (const cudaError_t error = legacy_call(); error != cudaSuccess) return error;
    }
    if (s->capture) {
      if (s->capture->invalid) return note(cudaErrorStreamCaptureInvalidated);
      s->capture->graph->nodes.push_back(std::move(work));
      ++s->recorded;
      return cudaSuccess;
    }
    queue = s->queue;
    legacy = s == &streams().legacy;
  }
  if (legacy) finish(nullptr);
  queue->push(std::move(work));
  const Moment moment = runs_late() ? next_moment() : Moment::kOwn;
  if (moment == Moment::kOwn || legacy) queue->run_all();
  else if (moment == Moment::kOthers) run_queues([&](const Queue& q) { return &q != queue.get(); });
  return cudaSuccess;
}

void finish(cudaStream_t stream) {
  std::shared_ptr<Queue> queue;
  {
    const std::lock_guard lock(streams().mutex);
    const CUstream_st* const s = find(stream);
    if (s == nullptr) return;
    queue = s->queue;
    if (s == &streams().legacy) stream = nullptr;
  }
  if (stream == nullptr) run_queues([](const Queue& q) { return q.blocking(); });
  else queue->run_all();
}

cudaError_t unsafe_call() {
  const std::lock_guard lock(streams().mutex);
  if (thread_mode == cudaStreamCaptureModeRelaxed) return cudaSuccess;
  for (CUstream_st* s : streams().live) {
    if (!s->capture || s->capture->mode == cudaStreamCaptureModeRelaxed) continue;
    const bool own = s->capture->thread == std::this_thread::get_id();
    const bool global = s->capture->mode == cudaStreamCaptureModeGlobal &&
                        thread_mode == cudaStreamCaptureModeGlobal;
    if (own || global) return invalidate(*s->capture, cudaErrorStreamCaptureUnsupported);
  }
  return cudaSuccess;
}

bool is_capturing(cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  const CUstream_st* const s = find(stream);
  return s != nullptr && s->capture != nullptr;
}

}  // namespace ebb::emulation

using ebb::emulation::note;
using ebb::emulation::submit;
using ebb::emulation::tally;

// ---- streams  ----
cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  const std::lock_guard lock(streams().mutex);
  *stream = new CUstream_st{flags == cudaStreamDefault, nullptr};
  streams().live.insert(*stream);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  ebb::emulation::finish(stream);
  const std::lock_guard lock(streams().mutex);
  CUstream_st* const s = find(stream);
  if (s == nullptr || s == &streams().legacy) return note(cudaErrorInvalidResourceHandle);
  streams().live.erase(s);
  delete s;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ++tally().synchronizations;
  return cudaStreamQuery(stream);
}

// Runs the work of the stream first, so that no caller has to poll.
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  {
    const std::lock_guard lock(streams().mutex);
    if (const cudaError_t error = wait_for(find(stream)); error != cudaSuccess) return error;
  }
  ebb::emulation::finish(stream);
  return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
  ++tally().synchronizations;
  {
    const std::lock_guard lock(streams().mutex);
    for (CUstream_st* s : streams().live) {
      if (s->capture) return wait_for(s);
    }
  }
  ebb::emulation::finish_all();
  return cudaSuccess;
}

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  const std::lock_guard lock(streams().mutex);
  CUstream_st* const s = find(stream);
  if (s == nullptr || event == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (!event->recorded) return cudaSuccess;
  if (!event->capture) {
    if (s->capture) return invalidate(*s->capture, cudaErrorStreamCaptureIsolation);
    if (event->queue != s->queue)
      s->queue->push([other = event->queue, n = event->until] { other->run(n); });
    return cudaSuccess;
  }
  if (!event->capture->graph || s == &streams().legacy)
    return note(cudaErrorCapturedEvent);  // or that capture has ended
  if (!s->capture) {                      // the stream joins the capture
    s->capture = event->capture;
    s->recorded = 1;
    s->joined = 0;
  }
  if (s->capture != event->capture) return invalidate(*s->capture, cudaErrorStreamCaptureMerge);
  CUstream_st* const other = event->stream;
  if (other != s && streams().live.contains(other))
    other->joined = std::max(other->joined, event->covers);
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return submit(stream, [=] { function(data); });
}

// ---- events  ----
cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) {
  *event = new CUevent_st{.timed = (flags & cudaEventDisableTiming) == 0, .capture = nullptr};
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  const std::lock_guard lock(streams().mutex);
  CUstream_st* const s = find(stream);
  if (s == nullptr || event == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (s->capture && s->capture->invalid) return note(cudaErrorStreamCaptureInvalidated);
  if (s == &streams().legacy) {
    if (const cudaError_t error = legacy_call(); error != cudaSuccess) return error;
  }
  event->recorded = true;
  event->time = Clock::now();
  event->capture = s->capture;
  event->stream = s;
  event->covers = s->recorded;
  event->queue = s->queue;
  event->until = s->queue->pushed();
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  std::shared_ptr<Queue> queue;
  std::uint64_t until = 0;
  {
    const std::lock_guard lock(streams().mutex);
    if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
    if (event->capture) {
      return event->capture->graph ? invalidate(*event->capture, cudaErrorCapturedEvent)
                                   : note(cudaErrorCapturedEvent);
    }
    queue = event->queue;
    until = event->until;
  }
  if (queue) queue->run(until);
  return cudaSuccess;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  ++tally().synchronizations;
  return cudaEventQuery(event);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  if (event == nullptr) return note(cudaErrorInvalidResourceHandle);
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  for (const cudaEvent_t event : {start, end}) {
    if (event == nullptr || !event->timed || !event->recorded)
      return note(cudaErrorInvalidResourceHandle);
  }
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

// ---- capture  ----
cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  const std::lock_guard lock(streams().mutex);
  CUstream_st* const s = find(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (s == &streams().legacy) return note(cudaErrorStreamCaptureUnsupported);
  if (s->capture) return note(cudaErrorIllegalState);
  s->capture = std::make_shared<Capture>(Capture{s, mode, std::this_thread::get_id()});
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  const std::lock_guard lock(streams().mutex);
  *graph = nullptr;
  CUstream_st* const s = find(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  if (!s->capture) return note(cudaErrorIllegalState);
  const std::shared_ptr<Capture> capture = s->capture;
  if (capture->origin != s) return invalidate(*capture, cudaErrorStreamCaptureUnmatched);
  if (capture->mode != cudaStreamCaptureModeRelaxed &&
      capture->thread != std::this_thread::get_id()) {
    return note(cudaErrorStreamCaptureWrongThread);
  }
  bool joined = true;
  for (CUstream_st* other : streams().live) {
    if (other->capture != capture) continue;
    joined = joined && (other == s || other->joined == other->recorded);
    other->capture = nullptr;
    other->recorded = other->joined = 0;
  }
  // An empty graph tells events that the capture has ended.
  const std::unique_ptr<CUgraph_st> recorded = std::move(capture->graph);
  if (capture->invalid) return note(cudaErrorStreamCaptureInvalidated);
  if (!joined) return note(cudaErrorStreamCaptureUnjoined);
  *graph = new CUgraph_st(std::move(*recorded));
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const std::lock_guard lock(streams().mutex);
  const CUstream_st* const s = find(stream);
  if (s == nullptr) return note(cudaErrorInvalidResourceHandle);
  *status = !s->capture           ? cudaStreamCaptureStatusNone
            : s->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                  : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode* mode) {
  std::swap(*mode, thread_mode);
  return cudaSuccess;
}

// ---- graphs  ----
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph,
                                 unsigned long long) {
  if (graph == nullptr) return note(cudaErrorInvalidValue);
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->nodes)};
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t executable, cudaStream_t) {
  return executable == nullptr ? note(cudaErrorInvalidValue) : cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (executable == nullptr) return note(cudaErrorInvalidValue);
  ++tally().graph_launches;
  return submit(stream, [nodes = executable->nodes] {
    for (const Work& node : *nodes) node();
  });
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  if (graph == nullptr || count == nullptr) return note(cudaErrorInvalidValue);
  if (nodes != nullptr) return note(cudaErrorNotSupported);  // only the number of nodes is known
  *count = graph->nodes.size();
  return cudaSuccess;
}
