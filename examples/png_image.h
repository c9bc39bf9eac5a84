// A small RGB image that can be saved as a PNG file, using libpng.
#pragma once

#include <png.h>

#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "ebb/core/error.h"
#include "ebb/nn/distributed/group.h"

namespace examples {

class PngImage {
 public:
  PngImage(int64_t width, int64_t height)
      : width_(width), height_(height), pixels_(static_cast<size_t>(3 * width * height), 255) {}

  /// Returns the red, green and blue of a pixel. REQUIRES 0 <= x < width and 0 <= y < height.
  uint8_t* at(int64_t x, int64_t y) { return &pixels_[static_cast<size_t>(3 * (y * width_ + x))]; }

  /// Draws a filled disc. Parts outside of the image are ignored.
  void disc(int64_t cx, int64_t cy, int64_t radius, const uint8_t* color) {
    for (int64_t y = cy - radius; y <= cy + radius; ++y) {
      for (int64_t x = cx - radius; x <= cx + radius; ++x) {
        const bool inside = (x - cx) * (x - cx) + (y - cy) * (y - cy) <= radius * radius;
        if (!inside || x < 0 || y < 0 || x >= width_ || y >= height_) continue;
        for (int c = 0; c < 3; ++c) at(x, y)[c] = color[c];
      }
    }
  }

  /// Writes the file, on the first rank of a run. Throws ebb::Error if it cannot be written.
  void save(const std::string& path) const {
    if (!ebb::distributed::Group::world().is_first()) return;
    png_image header = {};
    header.version = PNG_IMAGE_VERSION;
    header.width = static_cast<png_uint_32>(width_);
    header.height = static_cast<png_uint_32>(height_);
    header.format = PNG_FORMAT_RGB;
    if (!png_image_write_to_file(&header, path.c_str(), 0, pixels_.data(), 0, nullptr)) {
      ebb::fail("png", path, ": cannot be written: ", header.message);
    }
  }

 private:
  int64_t width_, height_;
  std::vector<uint8_t> pixels_;
};

}  // namespace examples
