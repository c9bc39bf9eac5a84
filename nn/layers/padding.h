// Padding layers: the function pad (autograd/ops/rearrange.h) for the last one or two dims.
#pragma once

#include <initializer_list>
#include <string>

#include "ebb/autograd/ops/rearrange.h"
#include "ebb/nn/module.h"

namespace ebb::nn {

namespace detail {

/// The common part of the padding layers: pads the last kDims dims of inputs that have one or two
/// more.
template <int kDims, PadMode kMode> class Padding : public Layer {
 public:
  Tensor forward(const Tensor& x) const override { return forward_as(name_, x, pad_, value_); }
  std::string extra_repr() const override { return to_text(pad_); }

 protected:
  /// padding: one number for all sides, or (before, after) for the last dim, then for the dim
  /// before it.
  Padding(const char* name, const Shape& padding, double value = 0)
      : name_(name), pad_(sides(name, padding)), value_(value) {}

  const char* name_;
  Shape pad_;
  double value_;

 private:
  static Shape sides(const char* name, const Shape& padding);
  static Tensor forward_as(const char* name, const Tensor& x, const Shape& pad, double value);
};

}  // namespace detail

/// Pads the last dim of (C, L) or (N, C, L) with a constant. padding: one number for both sides, or
/// (before, after). Negative numbers remove elements.
class ConstantPad1d : public detail::Padding<1, PadMode::Constant> {
 public:
  ConstantPad1d(const Shape& padding, double value) : Padding("ConstantPad1d", padding, value) {}
  std::string extra_repr() const override;
};
/// Pads the last two dims of (C, H, W) or (N, C, H, W). padding: one number for all sides, or
/// (left, right, top, bottom).
class ConstantPad2d : public detail::Padding<2, PadMode::Constant> {
 public:
  ConstantPad2d(const Shape& padding, double value) : Padding("ConstantPad2d", padding, value) {}
  std::string extra_repr() const override;
};
/// Pad with zeros.
class ZeroPad1d : public detail::Padding<1, PadMode::Constant> {
 public:
  explicit ZeroPad1d(const Shape& padding) : Padding("ZeroPad1d", padding) {}
  ZeroPad1d(std::initializer_list<int64_t> padding) : ZeroPad1d(Shape(padding)) {}
};
class ZeroPad2d : public detail::Padding<2, PadMode::Constant> {
 public:
  explicit ZeroPad2d(const Shape& padding) : Padding("ZeroPad2d", padding) {}
  ZeroPad2d(std::initializer_list<int64_t> padding) : ZeroPad2d(Shape(padding)) {}
};
/// Pad with the elements reflected at the edge, without the edge itself.
class ReflectionPad1d : public detail::Padding<1, PadMode::Reflect> {
 public:
  explicit ReflectionPad1d(const Shape& padding) : Padding("ReflectionPad1d", padding) {}
  ReflectionPad1d(std::initializer_list<int64_t> padding) : ReflectionPad1d(Shape(padding)) {}
};
class ReflectionPad2d : public detail::Padding<2, PadMode::Reflect> {
 public:
  explicit ReflectionPad2d(const Shape& padding) : Padding("ReflectionPad2d", padding) {}
  ReflectionPad2d(std::initializer_list<int64_t> padding) : ReflectionPad2d(Shape(padding)) {}
};
/// Pad with copies of the element at the edge.
class ReplicationPad1d : public detail::Padding<1, PadMode::Replicate> {
 public:
  explicit ReplicationPad1d(const Shape& padding) : Padding("ReplicationPad1d", padding) {}
  ReplicationPad1d(std::initializer_list<int64_t> padding) : ReplicationPad1d(Shape(padding)) {}
};
class ReplicationPad2d : public detail::Padding<2, PadMode::Replicate> {
 public:
  explicit ReplicationPad2d(const Shape& padding) : Padding("ReplicationPad2d", padding) {}
  ReplicationPad2d(std::initializer_list<int64_t> padding) : ReplicationPad2d(Shape(padding)) {}
};
/// Pad with the elements of the opposite side.
class CircularPad1d : public detail::Padding<1, PadMode::Circular> {
 public:
  explicit CircularPad1d(const Shape& padding) : Padding("CircularPad1d", padding) {}
  CircularPad1d(std::initializer_list<int64_t> padding) : CircularPad1d(Shape(padding)) {}
};
class CircularPad2d : public detail::Padding<2, PadMode::Circular> {
 public:
  explicit CircularPad2d(const Shape& padding) : Padding("CircularPad2d", padding) {}
  CircularPad2d(std::initializer_list<int64_t> padding) : CircularPad2d(Shape(padding)) {}
};

}  // namespace ebb::nn
