// TensorBoard's event files. tests/interop reads them with TensorBoard.
#include "ebb/nn/interop/tensorboard.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <cmath>
#include <cstring>

#include "ebb/autograd/ops/operators.h"
#include "files.h"

namespace ebb {
namespace {

using test::expect_error;
using test::TempFolder;

// Returns the messages of a file. Fails unless it consists of whole records.
std::vector<std::string> records_of(const std::string& path) {
  const std::string bytes = test::read_bytes(path);
  std::vector<std::string> records;
  size_t at = 0;
  while (at < bytes.size()) {
    uint64_t length = 0;
    std::memcpy(&length, bytes.data() + at, 8);
    EXPECT_LE(at + 16 + length, bytes.size());
    records.push_back(bytes.substr(at + 12, length));
    at += 16 + length;
  }
  EXPECT_EQ(at, bytes.size());
  return records;
}

TEST(SummaryWriter, AFileIsAListOfWholeRecordsAfterEachFlush) {
  const TempFolder folder;
  std::string path;
  {
    SummaryWriter writer(folder / "a/b");
    path = writer.path();
    EXPECT_NE(path.find("/a/b/events.out.tfevents."), std::string::npos);
    ASSERT_EQ(records_of(path).size(), 1u);
    EXPECT_NE(records_of(path)[0].find("brain.Event:2"), std::string::npos);
    writer.add_scalar("loss", 0.5, 3);
    writer.flush();
    EXPECT_EQ(records_of(path).size(), 2u);
    writer.add_scalar("loss", 0.25, 4);
    SummaryWriter moved = std::move(writer);
    moved.add_text("note", "text", 0);
  }
  EXPECT_EQ(records_of(path).size(), 4u);
}

TEST(SummaryWriter, TheBytesOfARecordAreThoseOfTheFormat) {
  const TempFolder folder;
  SummaryWriter writer(folder / "");
  writer.add_scalar("t", 1, 300);
  writer.flush();
  // wall_time (skipped), step = 300, summary { value { tag = "t", simple_value = 1 } }
  const std::string event = records_of(writer.path()).at(1);
  EXPECT_EQ(event.substr(9),
            std::string("\x10\xAC\x02\x2A\x0A\x0A\x08\x0A\x01t\x15\0\0\x80\x3F", 15));
  EXPECT_EQ(event.size(), 24u);
}

TEST(SummaryWriter, TwoWritersOfAFolderHaveFilesOfTheirOwn) {
  const TempFolder folder;
  const SummaryWriter a(folder / ""), b(folder / "");
  EXPECT_NE(a.path(), b.path());
}

TEST(SummaryWriter, BadInputIsAnErrorAndWritesNothing) {
  const TempFolder folder;
  SummaryWriter writer(folder / "");
  const auto refuse = [&](auto&& body, const std::string& part) {
    expect_error(body, "SummaryWriter", {part});
  };
  refuse([&] { writer.add_scalar("", 1, 0); }, "a tag that is not empty and UTF-8");
  refuse([&] { writer.add_scalar("\xFF", 1, 0); }, "a tag that is not empty and UTF-8");
  refuse([&] { writer.add_text("t", "\xFF", 0); }, "not UTF-8");
  refuse([&] { writer.add_histogram("h", zeros({0}), 0); }, "of (0,) without finite elements");
  refuse([&] { writer.add_histogram("h", full({2}, NAN), 0); }, "without finite elements");
  refuse([&] { writer.add_histogram("h", ones({2}), 0, 0); }, "1 to 1048576 bins, got 0");
  refuse([&] { writer.add_image("i", ones({2}), 0); }, "image (H, W) or (C, H, W), got f32 (2,)");
  refuse([&] { writer.add_image("i", ones({2, 2}, i64), 0); }, "got i64 (2, 2)");
  refuse([&] { writer.add_image("i", ones({2, 4, 4}), 0); }, "1, 3 or 4 channels");
  refuse([&] { writer.add_image("i", ones({0, 4}), 0); }, "got u8 (0, 4, 1)");
  refuse([&] { writer.add_graph(ones({2})); }, "does not require grad");
  refuse([&] { writer.add_graph(Tensor()); }, "undefined");
  writer.flush();
  EXPECT_EQ(records_of(writer.path()).size(), 1u);
  test::write_bytes(folder / "file", "");
  refuse([&] { SummaryWriter(folder / "file/x"); }, folder / "file/x");
}

TEST(SummaryWriter, AFullDiskLosesNoRecord) {
  const TempFolder folder;
  SummaryWriter writer(folder / "");
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const auto old_handler = signal(SIGXFSZ, SIG_IGN);
  const rlimit small{100, before.rlim_max};
  setrlimit(RLIMIT_FSIZE, &small);
  writer.add_text("long", std::string(1000, 'x'), 0);
  for (int i = 0; i < 2; ++i) {
    expect_error([&] { writer.flush(); }, "SummaryWriter", {writer.path(), "File too large"});
    writer.add_scalar("a", i, i);
  }
  setrlimit(RLIMIT_FSIZE, &before);
  signal(SIGXFSZ, old_handler);
  writer.flush();
  const std::vector<std::string> records = records_of(writer.path());
  ASSERT_EQ(records.size(), 4u);
  EXPECT_NE(records[1].find(std::string(1000, 'x')), std::string::npos);
}

TEST(SummaryWriter, DeepGraphsAreWritten) {
  const TempFolder folder;
  Tensor x = ones({1});
  x.requires_grad_();
  Tensor y = x;
  for (int i = 0; i < 20000; ++i) y = y + 1.0;
  SummaryWriter writer(folder / "");
  writer.add_graph(y);
  writer.flush();
  EXPECT_EQ(records_of(writer.path()).size(), 2u);
}

}  // namespace
}  // namespace ebb
