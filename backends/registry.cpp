// Which backends this build has.
#include "ebb/backends/cpu/cpu_backend.h"
#include "ebb/core/backend.h"

namespace ebb {

Backend& backend(Device device) {
  if (device.type == DeviceType::CPU) [[likely]]
    return cpu::backend();
  fail("backend", "device ", device, " is not built in: this build has only the cpu");
}

}  // namespace ebb
