// The functions of core/cuda.h in builds without the GPU backend, which is not available there.
#include "ebb/core/cuda.h"
#include "ebb/core/error.h"

namespace ebb::cuda {
namespace {
[[noreturn]] void absent() {
  fail("cuda", "this build has no GPU backend: configure with EBB_CUDA=ON");
}
}  // namespace

class CapturedStep::Impl {};

bool is_available() { return false; }
std::string device_name() { absent(); }
void synchronize() { absent(); }
void* stream() { absent(); }
MemoryStats memory_stats() { absent(); }
void reset_peak_memory() { absent(); }
void empty_cache() { absent(); }
void set_allow_tf32(bool) { absent(); }
bool allow_tf32() { absent(); }
bool has_cudnn() { absent(); }
int64_t synchronizations() { absent(); }
CapturedStep::CapturedStep(std::function<void()>) { absent(); }
CapturedStep::~CapturedStep() = default;
CapturedStep::CapturedStep(CapturedStep&&) noexcept = default;
CapturedStep& CapturedStep::operator=(CapturedStep&&) noexcept = default;
void CapturedStep::operator()() { absent(); }
int64_t CapturedStep::replays() const { absent(); }
CapturedStep capture(std::function<void()>) { absent(); }

}  // namespace ebb::cuda
