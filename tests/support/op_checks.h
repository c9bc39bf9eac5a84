// The checks of the rows of the op table. tests/autograd/op_table_test.cpp registers them as tests.
#pragma once

#include "ebb/tests/support/op_table.h"

namespace ebb::test {

enum class Layout { Contiguous, Strided, Broadcast, Empty, Scalar };

/// A row with a device, a dtype and a layout.
struct Case {
  const OpRow& row;
  Device device;
  DType dtype;
  Layout layout;
};

// ---- inputs ----

inline constexpr uint64_t kSeed = 7;

/// Returns the shapes of the inputs in a layout, for each of its variants.
std::vector<std::vector<Shape>> shapes_of(const OpRow& row, Layout layout);
/// Returns random values in the domain of the row, after its extremes if requested. f32 represents
/// them exactly.
Arrays arrays_of(const OpRow& row, const std::vector<Shape>& shapes, bool extremes);
/// Returns the arrays as tensors with the device and layout of the case.
Tensors tensors_of(const Case& c, const Arrays& arrays, DType dtype);
/// Returns the same tensors as leaves, which require grad if the row says so.
Tensors leaves_of(const Case& c, const Arrays& arrays, DType dtype);
/// Returns the tensors that require grad.
Tensors wanted_of(const Tensors& leaves);

// ---- checks ----

/// Checks value, shape and dtype against the reference, that inputs do not change, and that the
/// bits do not depend on the layout.
void check_values(const Case& c, const Arrays& arrays);
/// Runs all checks of a layout: values, and derivatives if the op has any.
void run_layout(const Case& c);
/// Checks i64 inputs in the contiguous layout.
void run_integers(const OpRow& row, Device device);
/// Checks each point alone and in a vector with a tail, because a convention must not depend on the
/// position of an element.
void run_points(const OpRow& row, Device device, DType dtype);
void run_bad_inputs(const OpRow& row);
/// Checks on a GPU that captured calls give the same values and gradients as others, for two sets
/// of inputs, or that the capture is refused.
void run_captured(const OpRow& row);
/// Checks that gradients are the same from a plain backward, under create_graph, and from
/// backward() on the leaves.
void check_ways_agree(const Case& c, const Arrays& arrays);
/// Checks that every op that a row records knows the line that called it.
void check_call_sites(const Case& c, const Arrays& arrays);

}  // namespace ebb::test
