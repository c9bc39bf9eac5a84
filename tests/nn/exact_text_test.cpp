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
            "    (1): Dropout(p=0.25, inplace=False)\n"
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

TEST(ExactText, OfAConfusionMatrix) {
  nn::ConfusionMatrix m(3);
  m.add(zeros({12345}, {.dtype = i64}), zeros({12345}, {.dtype = i64}));
  m.add(tensor({1, 2, 1}, i64), tensor({1, 1, 0}, i64));
  EXPECT_EQ(m.to_table(),
            "  true     0     1     2  recall   <- predicted\n"
            "     0 12345     1     .  100.0 %\n"
            "     1     .     1     1   50.0 %\n"
            "     2     .     .     .    nan %\n");
  EXPECT_EQ(m.to_table({"cat", "wild boar", "x"}),
            "     true     0     1     2  recall   <- predicted\n"
            "      cat 12345     1     .  100.0 %\n"
            "wild boar     .     1     1   50.0 %\n"
            "        x     .     .     .    nan %\n");
  EXPECT_EQ(m.to_table({"cat", "wild boar", "x"}, 23),
            "    true     0\n"
            "     cat 12345\n"
            "wild b..     .\n"
            "       x     .\n"
            "\n"
            "    true     1\n"
            "     cat     1\n"
            "wild b..     1\n"
            "       x     .\n"
            "\n"
            "    true     2  recall\n"
            "     cat     .  100.0 %\n"
            "wild b..     1   50.0 %\n"
            "       x     .    nan %\n");
  // Each width that is one column short of the next form.
  const std::string wide = m.to_table({"cat", "wild boar", "x"}, 50);
  EXPECT_EQ(lines_of(wide)[0], "     true     0     1     2  recall   <- predicted");
  EXPECT_EQ(lines_of(m.to_table({"cat", "wild boar", "x"}, 49))[0],
            "     true     0     1     2  recall");
  EXPECT_EQ(lines_of(m.to_table({}, 33)).size(), 4u);
  EXPECT_EQ(lines_of(m.to_table({}, 32)).size(), 9u);
  EXPECT_EQ(lines_of(m.to_table({}, 1)).size(), 14u);
  nn::ConfusionMatrix few(2);
  EXPECT_EQ(few.to_table({"no", "8 bytes."}, 12),
            "    true    0\n      no    .\n8 bytes.    .\n\n"
            "    true    1  recall\n      no    .    nan %\n8 bytes.    .    nan %\n");
}

TEST(ExactText, OfErrorsOfMetrics) {
  nn::ConfusionMatrix m(2);
  test::expect_error([&] { m.add(tensor({2}, i64), tensor({0}, i64)); }, "ConfusionMatrix",
                     {"class 2 is out of range: expected 0 to 1"});
  test::expect_error([&] { (void)m.at(0, -1); }, "ConfusionMatrix", {"class -1 is out of range"});
  test::expect_error([] { (void)nn::LabelCounts(2).f1(2); }, "LabelCounts", {"label 2 is out of"});
}

TEST(ExactText, OfASummary) {
  const nn::Sequential model(nn::Linear(30, 40), nn::Sequential(nn::Linear(40, 2), nn::ReLU()));
  const nn::Summary s = nn::summary(model, {1000, 30});
  const std::string wide =
      "layer           input       output      parameters  multiply-adds    bytes\n"
      "Sequential      (1000, 30)  (1000, 2)            0              0    8,000\n"
      "  0 Linear      (1000, 30)  (1000, 40)       1,240      1,200,000  164,960\n"
      "  1 Sequential  (1000, 40)  (1000, 2)            0              0    8,000\n"
      "    1.0 Linear  (1000, 40)  (1000, 2)           82         80,000    8,328\n"
      "    1.1 ReLU    (1000, 2)   (1000, 2)            0              0    8,000\n"
      "total                                        1,322      1,280,000  197,288\n";
  EXPECT_EQ(nn::to_text(s), wide);
  const auto head = [&](int columns) { return lines_of(nn::to_text(s, columns))[0]; };
  const auto row = [&](int columns) { return lines_of(nn::to_text(s, columns))[4]; };
  EXPECT_EQ(nn::to_text(s, 74), wide);
  EXPECT_EQ(row(73), "    1.0 Lin..  (1000, 40)  (1000, 2)           82         80,000    8,328");
  EXPECT_EQ(head(70), "layer       input       output      parameters  multiply-adds    bytes");
  EXPECT_EQ(head(69), "layer           input       output      parameters  multiply-adds");
  EXPECT_EQ(row(61), "    1.0 ..  (1000, 40)  (1000, 2)           82         80,000");
  EXPECT_EQ(row(60), "    1.0 Linear  (1000, 2)           82         80,000");
  EXPECT_EQ(row(52), "    1.0 Lin..  (1000, 2)           82         80,000");
  EXPECT_EQ(row(1), "    1.0 ..  (1000, 2)           82         80,000");
  nn::Summary empty;
  EXPECT_EQ(nn::to_text(empty, 80),
            "layer  input  output  parameters  multiply-adds  bytes\n"
            "total                          0              0      0\n");
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
