// BatchRows: which rows of a batch this thread computes, when several processes share the batch.
//
//   const BatchRowsScope scope({.first = 32, .count = 32, .total = 64});
//   dropout(x, 0.5);  // draws the numbers of rows 32 to 63 of a batch of 64
//
// Random tensors with `count` rows then hold what these rows of the whole batch would hold, and the
// generator advances by the whole batch. So dropout does not depend on the number of processes.
#pragma once

#include <cstdint>

namespace ebb {

struct BatchRows {
  int64_t first = 0;
  int64_t count = 0;
  int64_t total = 0;
};

/// Declares the rows of the calling thread for a scope, which may be inside another one.
class [[nodiscard]] BatchRowsScope {
 public:
  explicit BatchRowsScope(const BatchRows& rows);
  ~BatchRowsScope();
  BatchRowsScope(const BatchRowsScope&) = delete;
  BatchRowsScope& operator=(const BatchRowsScope&) = delete;

 private:
  BatchRows before_;
};

}  // namespace ebb
