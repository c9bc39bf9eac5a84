// The parts that the adapters to oneDNN share. Only onednn*.cpp include this header.
#pragma once

#include <dnnl.hpp>

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <unordered_map>

#ifdef _OPENMP
#include <omp.h>
#endif

namespace ebb::cpu::onednn {

inline const dnnl::engine& engine() {
  static const dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

/// Returns the number of threads that a primitive would use, on which it depends; 0 without OpenMP.
inline int64_t threads() {
#ifdef _OPENMP
  return omp_in_parallel() ? 1 : omp_get_max_threads();
#else
  return 0;
#endif
}

/// Executes by the C function, because the C++ wrapper builds a map and a vector for every call.
inline void execute(const dnnl::primitive& primitive, const dnnl::stream& stream, int count,
                    const dnnl_exec_arg_t* args) {
  dnnl::error::wrap_c_api(dnnl_primitive_execute(primitive.get(), stream.get(), count, args),
                          "could not execute a primitive");
}

/// Hashes a key of int64_t members alone.
struct KeyHash {
  template <class Key> size_t operator()(const Key& key) const {
    static_assert(sizeof(Key) % sizeof(uint64_t) == 0);
    uint64_t words[sizeof(Key) / sizeof(uint64_t)], h = 0;
    std::memcpy(words, &key, sizeof(Key));
    for (uint64_t word : words) h = (h ^ word) * 0x9E3779B97F4A7C15u, h ^= h >> 32;
    return h;
  }
};

/// The primitives of one thread by their keys, with the stream and the scratchpad that they share.
/// A primitive is a class with a constructor from Key and a member usable().
template <class Key, class Primitive> class Cache {
 public:
  /// Returns the primitive for a key, and builds it if it is new. Returns null if oneDNN has no
  /// optimized implementation.
  Primitive* find(const Key& key) {
    auto found = primitives_.find(key);
    if (found == primitives_.end()) {
      if (primitives_.size() >= kMost) primitives_.clear();
      std::unique_ptr<Primitive> primitive;
      try {
        primitive = std::make_unique<Primitive>(key);
        if (!primitive->usable()) primitive.reset();
      } catch (const dnnl::error&) {
        primitive.reset();
      }
      found = primitives_.emplace(key, std::move(primitive)).first;
    }
    return found->second.get();
  }

  void* scratchpad(size_t bytes) {
    if (bytes > scratchpad_bytes_) {
      scratchpad_.reset();
      scratchpad_.reset(::operator new (bytes, std::align_val_t{64}));
      scratchpad_bytes_ = bytes;
    }
    return scratchpad_.get();
  }

  const dnnl::stream& stream() const { return stream_; }

 private:
  static constexpr size_t kMost = 256;
  struct Delete {
    void operator()(void* p) const { ::operator delete (p, std::align_val_t{64}); }
  };

  dnnl::stream stream_{engine()};
  std::unordered_map<Key, std::unique_ptr<Primitive>, KeyHash> primitives_;
  std::unique_ptr<void, Delete> scratchpad_;
  size_t scratchpad_bytes_ = 0;
};

}  // namespace ebb::cpu::onednn
