// Parts that fuzz targets share. A target is one file with seeds() and LLVMFuzzerTestOneInput(),
// which libFuzzer can call. replay.cpp calls it on the seeds, on past crashes and on a few
// mutations of them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ebb/core/error.h"

namespace ebb::fuzz {

/// Returns valid inputs to start from. Every target defines it.
std::vector<std::string> seeds();

/// A file of the memory that holds an input, and a path to it. One a process.
class InputFile {
 public:
  InputFile();
  /// Replaces the content.
  void write(std::string_view bytes);
  const std::string& path() const { return path_; }

 private:
  int handle_;
  std::string path_;
};

/// Ends the process when an error message is more than one short, printable line.
void check_message(const Error& error);

/// Calls body. An Error is what bad input should give; every other exception ends the process.
template <class Body> void expect_error_at_most(Body&& body) {
  try {
    body();
  } catch (const Error& error) {
    check_message(error);
  }
}

/// Hands out the bytes of an input as choices; 0 when they are used up.
class Choices {
 public:
  Choices(const uint8_t* data, size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  uint8_t byte() { return size_ > 0 ? (--size_, *data_++) : 0; }
  /// Returns one of 0 to count - 1.
  int64_t below(int64_t count) { return byte() % count; }
  std::string_view rest() const { return {reinterpret_cast<const char*>(data_), size_}; }

 private:
  const uint8_t* data_;
  size_t size_;
};

}  // namespace ebb::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
