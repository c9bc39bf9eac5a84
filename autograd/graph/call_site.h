// Where in the user's code an op was called. A node keeps it, for the errors that name the node.
//
// A public op takes its first tensor as a TensorArg (or its list of tensors as a TensorsArg), whose constructor knows
// the caller's line by a default argument. The call_site is noted when the op reads its argument, so that arguments which
// are calls themselves may be evaluated in any order. It is used up by the op that runs next: an op that took no
// TensorArg has no call_site rather than a wrong one.
#pragma once

#include <initializer_list>
#include <source_location>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

namespace detail {
/// The observers of the ops of this thread: bit 0 anomaly detection, bit 1 an OpObserver.
extern constinit thread_local unsigned observers;
inline constexpr unsigned kAnomaly = 1, kObserver = 2;
/// How many ops made of other ops, or backwards, are running: the call_site is theirs.
extern constinit thread_local int composite_depth;
/// How many ops' forwards are running.
extern constinit thread_local int forward_depth;

/// The call_site that was noted; its line is 0 when there is none.
extern constinit thread_local std::source_location call_site;

inline void note_call_site(const std::source_location& where) {
  if (composite_depth == 0) call_site = where;
}
/// After an op ran: the call_site was its.
inline void forget_call_site() {
  if (composite_depth == 0) call_site = {};
}

/// While an op's own forward runs, what it calls has no call_site of its own.
class [[nodiscard]] InsideOp {
 public:
  [[nodiscard]] InsideOp() { step(1); }
  ~InsideOp() { step(-1); }
  InsideOp(const InsideOp&) = delete;
  InsideOp& operator=(const InsideOp&) = delete;

 private:
  static void step(int by) {
    composite_depth += by;
    forward_depth += by;
  }
};
}  // namespace detail

/// How public ops take their first tensor: knows where it was called from.
class TensorArg {
 public:
  TensorArg(const Tensor& tensor, std::source_location where = std::source_location::current())
      : tensor_(tensor), where_(where) {}
  operator const Tensor&() const { return **this; }
  const Tensor& operator*() const {
    detail::note_call_site(where_);
    return tensor_;
  }
  const Tensor* operator->() const { return &**this; }

 private:
  const Tensor& tensor_;
  std::source_location where_;
};

/// How public ops take a list of tensors: cat({a, b}), cat(list).
class TensorsArg {
 public:
  TensorsArg(const std::vector<Tensor>& tensors,
             std::source_location where = std::source_location::current())
      : list_(tensors), where_(where) {}
  TensorsArg(std::initializer_list<Tensor> tensors,
             std::source_location where = std::source_location::current())
      : own_(tensors), list_(own_), where_(where) {}
  TensorsArg(const TensorsArg&) = delete;
  TensorsArg& operator=(const TensorsArg&) = delete;
  const std::vector<Tensor>& operator*() const {
    detail::note_call_site(where_);
    return list_;
  }
  const std::vector<Tensor>* operator->() const { return &**this; }

 private:
  std::vector<Tensor> own_;
  const std::vector<Tensor>& list_;
  std::source_location where_;
};

/// In an op made of other ops: keeps the call_site where the user called it, while the parts run.
///   Tensor softmin(const TensorArg& x) { const CompositeScope scope(x); return softmax(neg(x)); }
class [[nodiscard]] CompositeScope {
 public:
  template <class Arg> [[nodiscard]] explicit CompositeScope(const Arg& arg) {
    (void)*arg;
    ++detail::composite_depth;
  }
  ~CompositeScope() {
    --detail::composite_depth;
    detail::forget_call_site();
  }
  CompositeScope(const CompositeScope&) = delete;
  CompositeScope& operator=(const CompositeScope&) = delete;
};

/// While a node's backward runs: what it calls counts as called where the node was made.
class [[nodiscard]] BackwardScope {
 public:
  [[nodiscard]] explicit BackwardScope(const std::source_location& made_at)
      : before_(detail::call_site) {
    detail::call_site = made_at;
    ++detail::composite_depth;
  }
  ~BackwardScope() {
    --detail::composite_depth;
    detail::call_site = before_;
  }
  BackwardScope(const BackwardScope&) = delete;
  BackwardScope& operator=(const BackwardScope&) = delete;

 private:
  std::source_location before_;
};

}  // namespace ebb
