// A temporary array of a kernel.
#pragma once

#include <cstdint>

#include "ebb/core/memory.h"

namespace ebb::cpu {

/// An uninitialized array of n elements from Ebb's allocator. Unlike std::vector it calls no malloc
/// in a warm program.
template <class T> class Temporary {
 public:
  explicit Temporary(int64_t n)
      : bytes_(static_cast<size_t>(n) * sizeof(T)),
        data_(bytes_ > 0 ? static_cast<T*>(memory::allocate(bytes_)) : nullptr) {}
  ~Temporary() { memory::deallocate(data_, bytes_); }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  T* data() const { return data_; }
  T& operator[](int64_t i) const { return data_[i]; }

 private:
  size_t bytes_;
  T* data_;
};

}  // namespace ebb::cpu
