// How rows of the op table are checked; registered by tests/autograd/op_table_test.cpp.
#pragma once

#include "ebb/tests/support/op_table.h"

namespace ebb::test {

enum class Layout { Contiguous, Strided, Broadcast, Empty, Scalar };

/// One row with device, dtype and layout.
struct Case {
  const OpRow& row;
  Device device;
  DType dtype;
  Layout layout;
};

// ---- inputs ----

inline constexpr uint64_t kSeed = 7;

/// The shapes of the inputs in a layout, for each of its variants.
std::vector<std::vector<Shape>> shapes_of(const OpRow& row, Layout layout);
/// Values in the row's domain, with its extremes in front where asked for; f32 holds them exactly.
Arrays arrays_of(const OpRow& row, const std::vector<Shape>& shapes, bool extremes);
/// The arrays as tensors of the case's device and layout.
Tensors tensors_of(const Case& c, const Arrays& arrays, DType dtype);
/// The same as leaves that require grad, where the row says so.
Tensors leaves_of(const Case& c, const Arrays& arrays, DType dtype);
/// Those of them that require grad.
Tensors wanted_of(const Tensors& leaves);

// ---- checks ----

/// Value, shape and dtype against the reference; the inputs are as before; the same bits wherever elements lie.
void check_values(const Case& c, const Arrays& arrays);
/// All that holds of a layout: values, and derivatives where there are any.
void run_layout(const Case& c);
/// i64 in the contiguous layout.
void run_integers(const OpRow& row, Device device);
/// Each point alone and in a vector with a tail: a convention must not depend on where an element stands.
void run_points(const OpRow& row, Device device, DType dtype);
void run_bad_inputs(const OpRow& row);
/// On the GPU: values and gradients of captured calls, at two sets of values, are those of others; or it is refused.
void run_captured(const OpRow& row);
/// Gradients from a plain backward, from one under create_graph, and from backward() on the leaves are the same.
void check_ways_agree(const Case& c, const Arrays& arrays);
/// Every op that a row records knows the line that called it.
void check_places(const Case& c, const Arrays& arrays);

}  // namespace ebb::test
