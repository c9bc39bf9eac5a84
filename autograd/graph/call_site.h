// Call sites: the source locations of the user's calls of ops. A node keeps its call site for
// errors that name the node.
//
// A public op takes its first tensor as a TensorArg, or its list of tensors as a TensorsArg. The
// constructors of these types have the caller's source location as a default argument. The op notes
// the call site when it reads its argument, so that arguments which are calls themselves may be
// evaluated in any order. The op that runs next uses the call site up, so an op without a TensorArg
// has no call site instead of a wrong one.
#pragma once

#include <initializer_list>
#include <source_location>
#include <string_view>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb {

namespace detail {
/// The observers of ops on this thread: bit 0 is anomaly detection, bit 1 an OpObserver.
extern constinit thread_local unsigned observers;
inline constexpr unsigned kAnomaly = 1, kObserver = 2;
/// The number of composite ops and backwards that are running. The call site belongs to the
/// outermost one.
extern constinit thread_local int composite_depth;
/// The number of forward functions of ops that are running.
extern constinit thread_local int forward_depth;

/// The call site that was noted last. Its line is 0 if there is none.
extern constinit thread_local std::source_location call_site;

inline void note_call_site(const std::source_location& where) {
  if (composite_depth == 0) call_site = where;
}
/// Clears the call site after the op that used it.
inline void forget_call_site() {
  if (composite_depth == 0) call_site = {};
}

/// A scope for the forward function of an op. Ops that it calls have no call sites of their own.
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

/// The type of the first tensor of a public op, which knows the source location of the call.
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

/// The type of a list of tensors of a public op: cat({a, b}), cat(list).
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

/// A scope for a composite op. Ops that it calls have the call site of the user's call, and their
/// errors name the composite op.
///
///     Tensor softmin(const TensorArg& x) {
///       const CompositeScope scope(x);
///       return softmax(neg(x), 0);
///     }
class [[nodiscard]] CompositeScope {
 public:
  /// The op has the name of the function that constructs the scope.
  template <class Arg>
  [[nodiscard]] explicit CompositeScope(
      const Arg& arg, std::source_location function = std::source_location::current())
      : CompositeScope(arg, std::string_view(function.function_name())) {}
  /// REQUIRES that the characters of op outlive the scope.
  template <class Arg> [[nodiscard]] CompositeScope(const Arg& arg, std::string_view op) {
    (void)*arg;
    if (detail::composite_depth++ == 0) detail::composite_op = op;
  }
  ~CompositeScope() {
    if (--detail::composite_depth == 0) detail::composite_op = {};
    detail::forget_call_site();
  }
  CompositeScope(const CompositeScope&) = delete;
  CompositeScope& operator=(const CompositeScope&) = delete;
};

/// A scope for the backward of a node. Ops that it calls have the call site of the node.
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
