// Device: the CPU or a GPU.
#pragma once

#include <cstdint>
#include <iosfwd>
#include <string>

namespace ebb {

enum class DeviceType : uint8_t { CPU, CUDA };
inline constexpr int kDeviceTypeCount = 2;

struct Device {
  DeviceType type = DeviceType::CPU;
  int8_t index = 0;

  static constexpr Device cpu() { return {}; }
  static constexpr Device cuda(int index = 0) {
    return {DeviceType::CUDA, static_cast<int8_t>(index)};
  }
  /// Parses "cpu", "cuda" or "cuda:1". Throws Error for another text.
  static Device parse(const std::string& text);

  friend constexpr bool operator==(Device, Device) = default;
};

/// Returns "cpu" or "cuda:0".
std::string to_text(Device device);
std::ostream& operator<<(std::ostream& out, Device device);

}  // namespace ebb
