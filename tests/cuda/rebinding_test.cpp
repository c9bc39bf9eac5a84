// Models that are converted and moved after optimizers, trainers and captured steps were made of
// them.
#include <gtest/gtest.h>

#include "ebb/ebb.h"
#include "ebb/tests/cuda/device.h"

namespace ebb::test {
namespace {

using Rebinding = CudaTest;

struct Training {
  nn::Sequential model{nn::Linear(6, 16), nn::ReLU(), nn::Dropout(0.25), nn::Linear(16, 3)};
  Tensor x = zeros({10, 6}), t = zeros({10}, {.dtype = i64}), loss;
  nn::Adam optimizer{model.named_parameters(), {.lr = 0.01}};  // its state is on the CPU at first

  Training() {
    Generator generator{3};
    const NoGrad guard;
    for (Tensor p : model.parameters()) normal_(p, 0, 0.3, &generator);
    manual_seed(5);
  }
  void to(Device device) {
    model.to(device);
    x.set_data(x.to(device));
    t.set_data(t.to(device));
  }
  void to(DType dtype) {
    model.to(dtype);
    x.set_data(x.to(dtype));
  }
  void step() {
    loss = nn::cross_entropy(model(x), t);
    optimizer.zero_grad();
    loss.backward();
    optimizer.step();
  }
  // Prepares step i of a run: conversions, moves, a new rate, a new batch.
  void feed(int i) {
    if (i == 5) to(f64);
    if (i == 9) to(f32);
    if (i == 10) to(f64);
    if (i == 14) to(Device::cpu()), to(kCuda);
    if (i == 18) optimizer.set_lr(0.02);
    Generator generator{100 + static_cast<uint64_t>(i), 0};
    x.copy_(randn({10, 6}, {}, &generator));
    t.copy_(argmax(slice(x, 1, 0, 3), 1));
  }
};

TEST_F(Rebinding, ACapturedStepIsCapturedAnew) {
  std::vector<double> wanted;
  Training eager;
  eager.to(kCuda);
  for (int i = 0; i < 24; ++i) {
    eager.feed(i);
    eager.step();
    wanted.push_back(eager.loss.item());
  }
  Training captured;
  captured.to(kCuda);
  cuda::CapturedStep step([&] { captured.step(); });
  std::vector<Tensor> reuse;  // what the old graph's addresses would hit
  for (int i = 0; i < 24; ++i) {
    captured.feed(i);
    reuse.push_back(zeros({16, 6}, {.device = kCuda}));
    step();
    EXPECT_EQ(captured.loss.item(), wanted[static_cast<size_t>(i)]) << "step " << i;
  }
  EXPECT_EQ(step.replays(),
            24 - 5);  // after the start and each of four changes a step that is not captured
  for (const Tensor& zeros : reuse) {
    for (float v : zeros.to_vector<float>()) ASSERT_EQ(v, 0);
  }
  const auto want = eager.model.parameters(), got = captured.model.parameters();
  for (size_t k = 0; k < want.size(); ++k)
    EXPECT_EQ(got[k].to_vector<double>(), want[k].to_vector<double>()) << "parameter " << k;
}

TEST_F(Rebinding, AnOptimizerFollowsItsModelToTheDeviceAndBack) {
  Training here, moved;
  for (int i = 0; i < 6; ++i) {
    manual_seed(static_cast<uint64_t>(i));
    here.step();
    moved.to(i % 3 == 1 ? kCuda : Device::cpu());
    manual_seed(static_cast<uint64_t>(i));
    moved.step();
  }
  const auto want = here.model.parameters(), got = moved.model.parameters();
  for (size_t k = 0; k < want.size(); ++k)
    expect_values(got[k].to_vector<double>(), want[k].to_vector<double>(), 1e-4, 1e-5, "parameter");
}

TEST_F(Rebinding, AnOptimizerRefusesParametersOnTwoDevices) {
  nn::Linear model(2, 2);
  nn::SGD optimizer(model.named_parameters(), {.momentum = 0.5});
  for (Tensor p : model.parameters()) p.set_grad(ones(p.shape()));
  model.bias.set_data(model.bias.to(kCuda));
  model.bias.set_grad(ones({2}, {.device = kCuda}));
  expect_error([&] { optimizer.step(); }, "optimizer",
               {"parameter bias is on cuda", "all parameters must be on one device"});
}

TEST_F(Rebinding, ATrainerFollowsItsModel) {
  const auto train = [](std::initializer_list<Device> devices, bool capture) {
    Generator g{3};
    const Tensor x = randn({70, 6}, {}, &g);
    Training t;
    t.to(*devices.begin());
    data::DataLoader loader({x, argmax(slice(x, 1, 0, 3), 1)}, {.batch_size = 16});
    nn::Trainer trainer(t.model, t.optimizer, loader, nn::CrossEntropyLoss(),
                        {.epochs = 2, .quiet = true, .capture = capture});
    for (Device device : devices) {
      t.to(device);
      t.to(f64);
      t.to(f32);
      EXPECT_TRUE(trainer.run());
    }
    return t.model.parameters()[0].to_vector<double>();
  };
  const Device cpu = Device::cpu();
  const auto plain = train({cpu, cpu, cpu}, false);
  expect_values(train({cpu, kCuda, cpu}, false), plain, 1e-3, 1e-4, "moved");
  expect_values(train({kCuda, kCuda, kCuda}, true), plain, 1e-3, 1e-4, "captured");
  expect_error([&] { train({kCuda, cpu}, true); }, "Trainer", {"capture needs a model on a GPU"});
}

}  // namespace
}  // namespace ebb::test
