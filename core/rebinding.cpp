#include "ebb/core/rebinding.h"

#include <atomic>

namespace ebb::detail {
namespace {
constinit std::atomic<uint64_t> count = 0;
}

uint64_t rebindings() { return count.load(std::memory_order_acquire); }
void count_rebinding() { count.fetch_add(1, std::memory_order_release); }

}  // namespace ebb::detail
