#include "cudnn_graph.h"

#include <bit>

namespace ebb::emulation::dnn {
namespace {

// Reads a tensor. Only packed NCHW is supported.
Layout layout_of(const Descriptor& tensor) {
  const Layout l{tensor.get<std::int64_t, 4>(CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64),
                 tensor.get<cudnnDataType_t>(CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE)[0],
                 tensor.get<std::int64_t>(CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64)[0],
                 tensor.get<std::int64_t>(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64)[0]};
  const Sizes& n = l.sizes;
  for (const std::int64_t size : n) {
    if (size < 1) throw CUDNN_STATUS_BAD_PARAM;
  }
  const auto strides = tensor.get<std::int64_t, 4>(CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64);
  if (strides != Sizes{n[1] * n[2] * n[3], n[2] * n[3], n[3], 1}) throw CUDNN_STATUS_NOT_SUPPORTED;
  if (l.alignment < 4 || !std::has_single_bit(static_cast<std::uint64_t>(l.alignment)))
    throw CUDNN_STATUS_BAD_PARAM;
  return l;
}

struct Names {
  cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
};
Names names_of(cudnnBackendDescriptorType_t operation) {
  switch (operation) {
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
      return {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
      return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
    default:
      return {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
              CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
  }
}

}  // namespace

void check_tensor(const Descriptor& tensor) { layout_of(tensor); }

Problem problem_of(const Descriptor& graph) {
  const Descriptor& operation = graph.part(CUDNN_ATTR_OPERATIONGRAPH_OPS);
  const Names names = names_of(operation.type);
  const Descriptor& convolution =
      operation.part(names.convolution, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  const auto tensor = [&](cudnnBackendAttributeName_t name) {
    return layout_of(operation.part(name, CUDNN_BACKEND_TENSOR_DESCRIPTOR));
  };
  const auto pair = [&](cudnnBackendAttributeName_t name) {
    return convolution.get<std::int64_t, 2>(name, CUDNN_TYPE_INT64);
  };
  Problem p{operation.type,
            tensor(names.x),
            tensor(names.w),
            tensor(names.y),
            {pair(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES), pair(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS),
             pair(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), pair(CUDNN_ATTR_CONVOLUTION_DILATIONS)}};
  if (!p.window.gives(p.x.sizes, p.w.sizes, p.y.sizes)) throw CUDNN_STATUS_BAD_PARAM;
  const auto type =
      convolution.get<cudnnDataType_t>(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE)[0];
  if (p.x.type != type || p.w.type != type || p.y.type != type || p.x.id == p.w.id ||
      p.x.id == p.y.id || p.w.id == p.y.id)
    throw CUDNN_STATUS_BAD_PARAM;
  if (type != CUDNN_DATA_FLOAT ||
      convolution.get<cudnnConvolutionMode_t>(CUDNN_ATTR_CONVOLUTION_CONV_MODE,
                                              CUDNN_TYPE_CONVOLUTION_MODE)[0] !=
          CUDNN_CROSS_CORRELATION ||
      convolution.get<std::int64_t>(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64)[0] != 2)
    throw CUDNN_STATUS_NOT_SUPPORTED;
  const auto scale = [&](cudnnBackendAttributeName_t name) {
    return operation.get<float>(name, CUDNN_TYPE_FLOAT)[0];
  };
  if (scale(names.alpha) != 1 || scale(names.beta) != 0) throw CUDNN_STATUS_NOT_SUPPORTED;
  return p;
}

}  // namespace ebb::emulation::dnn
