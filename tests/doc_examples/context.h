// The names that examples use without declaring them. They are declared and not defined: such
// examples are compiled, not run.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iostream>

#include "ebb/autograd/check/expect_gradients.h"
#include "ebb/autograd/check/functional.h"
#include "ebb/autograd/check/gradcheck.h"
#include "ebb/autograd/graph/call_site.h"
#include "ebb/autograd/inspect/picture.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/backends/cpu/parallel.h"
#include "ebb/core/backend.h"
#include "ebb/core/cuda.h"
#include "ebb/core/host_vector.h"
#include "ebb/ebb.h"
#include "ebb/examples/extend/sign_descent.h"
#include "ebb/nn/interop/dlpack.h"
#include "ebb/nn/interop/onnx.h"
#include "ebb/nn/interop/protobuf.h"
#include "ebb/nn/interop/protobuf_reader.h"
#include "ebb/nn/interop/tensorboard.h"
#include "ebb/nn/layers/repr.h"
#include "ebb/nn/losses/reduction.h"
#include "ebb/nn/optim/rule_optimizer.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::doc_examples {

using namespace ebb;
using namespace ebb::data;
using namespace ebb::nn;
using indexing::None;
using indexing::Slice;
using ebb::detail::ProtoMessage;
using ebb::detail::ProtoReader;
using nn::detail::options_text;

inline Tensor cube(const TensorArg& x) { return pow(x, 3); }
int step(const Tensor& input, const Tensor& target);

extern Tensor x, y, z, gy, gz, loss, scores, input, target, images, tokens;
extern std::vector<Tensor> parts;
extern std::vector<nn::NamedTensor> weights, biases;
extern nn::Sequential model;
extern nn::Adam optimizer;
extern data::Dataset train, test;
extern data::DataLoader loader, validation;
extern const nn::Schedule schedule;
extern Checkpoint checkpoint;
extern double validation_loss;
extern int64_t n, grain, classes;
extern std::string bytes;

}  // namespace ebb::doc_examples
