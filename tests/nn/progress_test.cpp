// The progress line and the tables fit into the terminal.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <sstream>
#include <thread>

#include "ebb/ebb.h"

namespace {

using namespace ebb;

const nn::ProgressLine kLine{.label = "epoch 12/100",
                             .share = 0.5,
                             .loss = 0.1234,
                             .accuracy = 0.9876,
                             .rate = 123456,
                             .left = 754};

TEST(Progress, TheBarShrinksFirst) {
  EXPECT_EQ(nn::to_text(kLine, 0),
            "epoch 12/100  loss 0.1234  accuracy 98.76 %  123456 samples/s  12:34 left");
  const std::string numbers = "loss 0.1234  accuracy 98.76 %  123456 samples/s  12:34 left";
  EXPECT_EQ(nn::to_text(kLine, 200), "epoch 12/100 [############------------] " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 100), "epoch 12/100 [############------------] " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 84), "epoch 12/100 [####----] " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 80), "epoch 12/100 [##--] " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 79), "epoch 12/100  " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 60), "epoch 12/100  loss 0.1234  accuracy 98.76 %  12:34 left");
  EXPECT_EQ(nn::to_text(kLine, 50), "epoch 12/100  loss 0.1234  accuracy 98.76 %");
  EXPECT_EQ(nn::to_text(kLine, 30), "epoch 12/100  loss 0.1234");
  EXPECT_EQ(nn::to_text(kLine, 20), "epoch 12/100  loss ");
  EXPECT_EQ(nn::to_text(kLine, 10), "epoch 12/");
  for (const auto& [columns, fewer] : {std::pair(60, 50), {50, 30}}) {
    const std::string text = nn::to_text(kLine, columns);  // appears as soon as it fits
    EXPECT_EQ(nn::to_text(kLine, static_cast<int>(text.size()) + 1), text);
    EXPECT_EQ(nn::to_text(kLine, static_cast<int>(text.size())), nn::to_text(kLine, fewer));
  }
  EXPECT_EQ(nn::to_text(kLine, 74), "epoch 12/100  " + numbers);
  EXPECT_EQ(nn::to_text(kLine, 73), nn::to_text(kLine, 60));
  nn::ProgressLine beyond = kLine;
  beyond.share = 1e300;
  EXPECT_EQ(nn::to_text(beyond, 80), "epoch 12/100 [####] " + numbers);
}

TEST(Progress, FitsAnyWidthWithAnyNumbers) {
  std::vector<nn::ProgressLine> lines{kLine};
  for (double odd : {double(NAN), double(INFINITY), -1e300, 1e300}) {
    for (double nn::ProgressLine::*field :
         {&nn::ProgressLine::share, &nn::ProgressLine::loss, &nn::ProgressLine::accuracy,
          &nn::ProgressLine::rate, &nn::ProgressLine::left}) {
      lines.push_back(kLine);
      lines.back().*field = odd;
    }
  }
  for (const nn::ProgressLine& line : lines) {
    for (int columns = 1; columns <= 150; ++columns) {
      EXPECT_LT(nn::to_text(line, columns).size(), static_cast<size_t>(columns));
    }
    EXPECT_NE(nn::to_text(line, 150).find(" left"), std::string::npos) << nn::to_text(line, 150);
  }
}

// A terminal that receives standard output.
class Terminal {
 public:
  Terminal() : master_(posix_openpt(O_RDWR | O_NOCTTY)) {
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) return;
    const int slave = open(ptsname(master_), O_RDWR | O_NOCTTY);
    struct termios mode = {};
    tcgetattr(slave, &mode);
    cfmakeraw(&mode);
    tcsetattr(slave, TCSANOW, &mode);
    std::fflush(stdout);
    before_ = dup(STDOUT_FILENO);
    dup2(slave, STDOUT_FILENO);
    close(slave);
  }
  ~Terminal() { restore(); }

  bool works() const { return before_ >= 0; }
  void resize(int columns) {
    struct winsize size = {};
    size.ws_row = 24;
    size.ws_col = static_cast<unsigned short>(columns);
    ioctl(master_, TIOCSWINSZ, &size);
  }
  // Returns the output since the last read(), without what has not been flushed.
  std::string read() {
    std::string all;
    for (pollfd ready{master_, POLLIN, 0}; poll(&ready, 1, all.empty() ? 1000 : 10) > 0;) {
      char text[4096];
      const ssize_t got = ::read(master_, text, sizeof text);
      if (got <= 0) break;
      all.append(text, static_cast<size_t>(got));
    }
    return all;
  }
  void restore() {
    if (before_ < 0) return;
    std::fflush(stdout);
    dup2(before_, STDOUT_FILENO);
    close(before_);
    close(master_);
    before_ = -1;
  }

 private:
  int master_, before_ = -1;
};

const nn::EpochRecord kSeventh{7, {{"loss", 0.25}, {"accuracy", 0.5}, {"val_loss", 0.125}}};

TEST(Progress, FollowsTheTerminalFromRefreshToRefresh) {
  Terminal terminal;
  if (!terminal.works()) GTEST_SKIP() << "no pseudo terminal here";
  std::vector<std::pair<int, std::string>> printed;
  std::vector<int> told;
  {
    nn::Progress progress(1000);
    for (int columns : {80, 120, 40, 20, 1, 0}) {
      terminal.resize(columns);
      told.push_back(nn::terminal_columns());
      progress.finish_epoch("epoch 7/10", 700, kSeventh);
      const std::string text = terminal.read();
      if (columns != 1) printed.emplace_back(columns == 0 ? 80 : columns, text);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    EXPECT_TRUE(progress.is_due());
    progress.finish_epoch("epoch 7/10", 700, kSeventh);
    EXPECT_FALSE(progress.is_due());
    (void)terminal.read();
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    terminal.resize(50);
    EXPECT_TRUE(progress.is_due());
    progress.update("epoch 8/10", 800, 0.25, 0.5);
    EXPECT_FALSE(progress.is_due());
    printed.emplace_back(50, terminal.read() + "\n");
  }
  std::fflush(stdout);
  EXPECT_EQ(terminal.read(), "\n");  // the line that was open
  terminal.restore();
  EXPECT_EQ(told, (std::vector<int>{80, 120, 40, 20, 1, 80}));
  const std::string clear = "\r\x1b[K";
  for (const auto& [columns, text] : printed) {
    EXPECT_EQ(text.find(clear), 0u) << text;
    EXPECT_EQ(text.back(), '\n');
    EXPECT_LT(text.size() - clear.size() - 1, static_cast<size_t>(columns)) << text;
    EXPECT_NE(text.find("epoch "), std::string::npos) << text;
  }
}

TEST(Progress, TheRateCountsThisRunsSamplesOnly) {
  using Clock = std::chrono::steady_clock;
  const auto before = Clock::now();
  testing::internal::CaptureStdout();
  nn::Progress progress(100'000, 40'000);
  const auto start = Clock::now();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  const auto end = Clock::now();
  progress.finish_epoch("x", 50'000, {1, {{"loss", 1}}});
  const auto after = Clock::now();
  const std::string text = testing::internal::GetCapturedStdout();
  double rate = 0, left = 0;
  ASSERT_EQ(std::sscanf(text.c_str(), "x loss 1.0000 %lf samples/s %lf s left", &rate, &left), 2)
      << text;
  EXPECT_GE(rate, 10'000 / std::chrono::duration<double>(after - before).count() - 1);
  EXPECT_LE(rate, 10'000 / std::chrono::duration<double>(end - start).count() + 1);
  EXPECT_NEAR(left, 50'000 / rate, 1.001);  // rounded up
}

// The second of three batches takes longer than the time between two updates.
TEST(Progress, ATrainingUpdatesTheLineBetweenItsEpochs) {
  Terminal terminal;
  if (!terminal.works()) GTEST_SKIP() << "no pseudo terminal here";
  terminal.resize(120);
  nn::Linear model(1, 2);
  nn::SGD optimizer(model.named_parameters(), {.lr = 0});
  data::DataLoader loader({ones({7, 1}), zeros({7}, {.dtype = i64})},
                          {.batch_size = 2, .drop_last = true});
  int batches = 0;
  nn::Trainer trainer(model, optimizer, loader,
                      [&](const Tensor& scores, const Tensor&) {
                        if (batches++ % 3 == 1)
                          std::this_thread::sleep_for(std::chrono::milliseconds(110));
                        return sum(scores) * 0 + 1.5;
                      },
                      {.epochs = 2});
  EXPECT_TRUE(trainer.run());
  const std::string text = terminal.read();
  terminal.restore();
  const auto shows = [&](const std::string& label, size_t cells) {
    const std::string bar = std::string(cells, '#') + std::string(24 - cells, '-');
    return text.find("\r\x1b[K" + label + " [" + bar + "] loss 1.5000  ") != std::string::npos;
  };
  EXPECT_TRUE(shows("epoch 1/2", 8) && shows("epoch 1/2", 12)) << text;
  EXPECT_TRUE(shows("epoch 2/2", 20) && shows("epoch 2/2", 24)) << text;
  EXPECT_FALSE(shows("epoch 1/2", 24) || shows("epoch 2/2", 12)) << text;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

size_t width_of(const std::string& text) {
  size_t width = 0;
  for (const std::string& line : lines_of(text)) width = std::max(width, line.size());
  return width;
}

TEST(Tables, AConfusionMatrixContinuesBelow) {
  nn::ConfusionMatrix matrix(12);
  std::vector<std::string> names;
  for (int64_t i = 0; i < 12; ++i) {
    matrix.add(full({i + 1}, static_cast<double>(i), {.dtype = i64}),
               full({i + 1}, static_cast<double>(i), {.dtype = i64}));
    names.push_back("a class with a long name " + std::to_string(i));
  }
  const std::string wide = matrix.to_table(names);
  EXPECT_EQ(wide, matrix.to_table(names, 200));
  EXPECT_EQ(lines_of(wide).size(), 13u);
  for (int columns : {30, 40, 60, 80, 100}) {
    const std::string table = matrix.to_table(names, columns);
    EXPECT_LE(width_of(table), static_cast<size_t>(columns)) << table;
    for (int64_t i = 0; i < 12; ++i) {  // every count appears, and one recall per class
      EXPECT_NE(table.find(" " + std::to_string(i + 1) + ""), std::string::npos) << table;
    }
    size_t recalls = 0;
    for (size_t at = table.find("100.0 %"); at != std::string::npos;
         at = table.find("100.0 %", at + 1))
      ++recalls;
    EXPECT_EQ(recalls, 12u) << table;
  }
  EXPECT_THROW(matrix.to_table({"too", "few"}), Error);
}

TEST(Tables, ASummaryFits) {
  nn::Sequential inner(nn::Linear(784, 128), nn::ReLU());
  for (int i = 0; i < 6; ++i) inner = nn::Sequential(inner);
  const nn::Summary s = nn::summary(nn::Sequential(inner, nn::Linear(128, 10)), {32, 784});
  const std::string wide = nn::to_text(s);
  EXPECT_EQ(nn::to_text(s, 200), wide);
  EXPECT_GT(width_of(wide), 70u);
  for (int columns : {50, 60, 70}) {
    const std::string table = nn::to_text(s, columns);
    EXPECT_LE(width_of(table), static_cast<size_t>(columns)) << table;
    EXPECT_NE(table.find("parameters"), std::string::npos);
    EXPECT_NE(table.find("101,770"), std::string::npos) << table;
  }
  std::ostringstream out;
  out << s;
  EXPECT_EQ(out.str(), wide);
}

}  // namespace
