// Printed texts, compared character by character: modules, tables, the progress of a training.
#include <gtest/gtest.h>

#include <chrono>
#include <iostream>
#include <sstream>

#include "ebb/ebb.h"
#include "ebb/tests/nn/files.h"

namespace {

using namespace ebb;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(ExactText, OfAModule) {
  std::ostringstream out;
  out << nn::Linear(2, 3) << "|"
      << nn::Sequential(nn::Linear(2, 3), nn::Sequential(nn::ReLU(), nn::Dropout(0.25)));
  EXPECT_EQ(out.str(),
            "Linear(in_features=2, out_features=3, bias=True)|Sequential(\n"
            "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
            "  (1): Sequential(\n"
            "    (0): ReLU()\n"
            "    (1): Dropout(p=0.25)\n"
            "  )\n"
            ")");
}

TEST(ExactText, OfDurations) {
  EXPECT_EQ(nn::format_seconds(0), "0 s");
  EXPECT_EQ(nn::format_seconds(59.2), "1:00");
  EXPECT_EQ(nn::format_seconds(754), "12:34");
  EXPECT_EQ(nn::format_seconds(3599), "59:59");
  EXPECT_EQ(nn::format_seconds(3600), "1:00:00");
  EXPECT_EQ(nn::format_seconds(2 * 3600 + 61 * 60 + 5), "3:01:05");
  EXPECT_EQ(nn::format_seconds(-1), "0 s");
  EXPECT_EQ(nn::format_seconds(1e300), "2777:46:40");
}

TEST(ExactText, OfErrorsOfMetrics) {
  nn::ConfusionMatrix m(2);
  test::expect_error([&] { m.add(tensor({2}, i64), tensor({0}, i64)); }, "ConfusionMatrix",
                     {"class 2 is out of range: expected 0 to 1"});
  test::expect_error([&] { (void)m.at(0, -1); }, "ConfusionMatrix", {"class -1 is out of range"});
  test::expect_error([] { (void)nn::LabelCounts(2).f1(2); }, "LabelCounts", {"label 2 is out of"});
}

// Standard output is a file here: tables have their full width, and each epoch is one line.
TEST(ExactText, OfATraining) {
  const nn::Summary s = nn::summary(nn::Linear(2, 2), {1, 2});
  nn::Linear model(1, 2, {.bias = false, .dtype = f64});
  {
    const NoGrad guard;
    model.weight.fill_(0);
  }
  nn::SGD optimizer(model.named_parameters(), {.lr = 0});
  data::DataLoader loader({ones({3, 1}, {.dtype = f64}), tensor({0, 1, 1}, i64)},
                          {.batch_size = 2, .shuffle = false});
  int batches = 0;
  const auto number_of_batch = [&](const Tensor& scores, const Tensor&) {
    return sum(scores) * 0 + ++batches;
  };
  nn::Trainer trainer(model, optimizer, loader, number_of_batch, {.epochs = 2});
  testing::internal::CaptureStdout();
  EXPECT_EQ(nn::terminal_columns(), 0);
  std::cout << s << std::flush;
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(trainer.run());
  EXPECT_EQ(trainer.epochs_run(), 2);
  EXPECT_GT(trainer.seconds(), 0);
  EXPECT_LE(trainer.seconds(),
            std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  const std::vector<std::string> lines = lines_of(testing::internal::GetCapturedStdout());
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_EQ(lines[0], lines_of(nn::to_text(s))[0]);
  // Means over samples: (1 + 1 + 2) / 3, (3 + 3 + 4) / 3. argmax takes the first of equal scores.
  EXPECT_EQ(lines[3].substr(0, 41), "epoch 1/2  loss 1.3333  accuracy 33.33 % ");
  EXPECT_EQ(lines[4].substr(0, 41), "epoch 2/2  loss 3.3333  accuracy 33.33 % ");
  EXPECT_EQ(lines[4].substr(lines[4].size() - 8), "0 s left");
}

}  // namespace
