// Files that were made to harm: FIFOs, links, names that a terminal would obey, headers that cost
// more than they hold.
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>
#include <functional>

#include "ebb/nn/data/csv.h"
#include "ebb/nn/data/idx.h"
#include "ebb/nn/interop/onnx_import.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/serialize/npy.h"
#include "ebb/nn/serialize/safetensors.h"
#include "ebb/nn/serialize/shown.h"
#include "files.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TempFolder;

struct Reader {
  const char* op;
  std::function<void(const std::string&)> read;
};

const Reader kReaders[] = {
    {"load_safetensors", [](const std::string& path) { load_safetensors(path); }},
    {"load_npy", [](const std::string& path) { load_npy(path); }},
    {"load_npz", [](const std::string& path) { load_npz(path); }},
    {"import_onnx", [](const std::string& path) { import_onnx(path); }},
    {"read_csv", [](const std::string& path) { data::read_csv(path); }},
    {"read_idx", [](const std::string& path) { data::read_idx(path); }},
};

TEST(HostileFiles, AFifoIsAnErrorAndIsNotWaitedFor) {
  const TempFolder folder;
  ASSERT_EQ(mkfifo((folder / "fifo").c_str(), 0600), 0);
  for (const Reader& reader : kReaders) {
    expect_error([&] { reader.read(folder / "fifo"); }, reader.op,
                 {folder / "fifo", "is not a regular file"});
    expect_error([&] { reader.read("/dev/zero"); }, reader.op, {"is not a regular file"});
    expect_error([&] { reader.read(folder / ""); }, reader.op, {"is not a regular file"});
  }
  fs::create_directory(folder / "x");
  fs::rename(folder / "fifo", folder / "x/model.safetensors");
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_safetensors", {"not a regular file"});
  expect_error([&] { save_checkpoint(folder / "x", {}); }, "save_checkpoint",
               {"holds \"model.safetensors\", which is not part of a checkpoint"});
}

TEST(HostileFiles, NoLinkIsFollowedFromAWorkFile) {
  const TempFolder folder;
  test::write_bytes(folder / "thesis.tex", "years of work");
  const NamedTensors tensors = {{"a", ones({3})}};
  fs::create_symlink(folder / "thesis.tex", folder / ".x.ebb-partial");
  expect_error([&] { save_safetensors(folder / "x", tensors); }, "save_safetensors",
               {folder / ".x.ebb-partial", "is a symbolic link"});
  fs::remove(folder / ".x.ebb-partial");
  fs::create_hard_link(folder / "thesis.tex", folder / ".x.ebb-partial");
  expect_error([&] { save_safetensors(folder / "x", tensors); }, "save_safetensors",
               {".x.ebb-partial is not a regular file of its own"});
  fs::remove(folder / ".x.ebb-partial");
  ASSERT_EQ(mkfifo((folder / ".x.ebb-partial").c_str(), 0600), 0);
  expect_error([&] { save_safetensors(folder / "x", tensors); }, "save_safetensors",
               {".x.ebb-partial is not a regular file of its own"});
  EXPECT_EQ(test::read_bytes(folder / "thesis.tex"), "years of work");
  EXPECT_FALSE(fs::exists(folder / "x"));
}

TEST(HostileFiles, AWorkFileThatAKilledProcessLeftIsUsedAgain) {
  const TempFolder folder;
  test::write_bytes(folder / ".x.ebb-partial", std::string(5000, 'x'));
  save_safetensors(folder / "x", {{"a", tensor({7}, f32)}});
  EXPECT_EQ(load_safetensors(folder / "x").find("a")->item(), 7);
  EXPECT_FALSE(fs::exists(folder / ".x.ebb-partial"));
}

// ---- text of a file in messages ----

TEST(HostileFiles, TextOfAFileIsShownEscapedAndShortened) {
  EXPECT_EQ(detail::shown("0.weight"), "\"0.weight\"");
  EXPECT_EQ(detail::shown("\x1b[2J\n\"\x7f"), R"("\u001b[2J\n\"\u007f")");
  EXPECT_EQ(detail::shown("\xE2\x80\xAE\xC2\x9B"),
            R"("\u202e\u009b")");  // bidi override, C1 escape
  EXPECT_EQ(detail::shown("\xFF"), R"("\ufffd")");
  EXPECT_EQ(detail::shown("four", 4), "\"four\"");
  EXPECT_EQ(detail::shown("five5", 4), "\"five\"...");
  EXPECT_EQ(detail::shown(std::string(10'000'000, 'n')), "\"" + std::string(100, 'n') + "\"...");
}

TEST(HostileFiles, NamesOfTensorsReachNoTerminalRaw) {
  const std::string name = "\x1b[31m" + std::string(10'000'000, 'n') + "\n";
  const NamedTensors target = {{"weight", zeros({2})}}, source = {{name, zeros({2})}};
  for (const auto& [to, from] : {std::pair(target, source), {source, target}}) {
    try {
      load_state(to, from, "x.file");
      ADD_FAILURE();
    } catch (const Error& error) {
      const std::string text = error.what();
      EXPECT_LT(text.size(), 500u);
      EXPECT_EQ(text.find_first_of("\x1b\n"), std::string::npos);
    }
  }
}

// ---- sizes ----

double seconds(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

void write_header(const std::string& path, const std::string& header) {
  std::string bytes(8, '\0');
  const uint64_t length = header.size();
  std::memcpy(bytes.data(), &length, 8);
  test::write_bytes(path, bytes + header);
}

std::string empty_tensors(int count) {
  std::string header = "{";
  for (int i = 0; i < count; ++i) {
    header += std::string(i ? "," : "") + "\"t" + std::to_string(i) +
              R"(":{"dtype":"F32","shape":[0],"data_offsets":[0,0]})";
  }
  return header + "}";
}

TEST(HostileFiles, ManyTensorsTakeLinearTime) {
  const TempFolder folder;
  write_header(folder / "few", empty_tensors(5'000));
  write_header(folder / "many", empty_tensors(40'000));
  double few = HUGE_VAL, many = HUGE_VAL;  // the fastest of three, on a machine with other work
  for (int turn = 0; turn < 3; ++turn) {
    few = std::min(few, seconds([&] { load_safetensors(folder / "few"); }));
    many = std::min(many, seconds([&] {
                      EXPECT_EQ(load_safetensors(folder / "many").tensors.size(), 40'000u);
                    }));
  }
  EXPECT_LT(many, 8 * few * 4 + 0.1);  // 64 times as long if it were quadratic
}

size_t open_files() {
  const std::filesystem::directory_iterator open("/proc/self/fd");
  return static_cast<size_t>(std::distance(begin(open), end(open)));
}

TEST(HostileFiles, ErrorsLeaveNoFileOpen) {
  if (!std::filesystem::exists("/proc/self/fd")) GTEST_SKIP() << "no /proc here";
  const TempFolder folder;
  std::filesystem::create_directory(folder / ".x.ebb-partial");
  test::write_bytes(folder / "damaged", "no header");
  test::write_bytes(folder / "damaged.gz", "\x1f\x8b\x08 nothing");
  save_checkpoint(folder / "c", {{{"a", ones({2})}}, {{"b", ones({2})}}, {}});
  const CheckpointWriter writer(folder / "c");
  const size_t before = open_files();
  for (int i = 0; i < 3; ++i) {
    EXPECT_THROW(load_safetensors(folder / ""), Error);
    EXPECT_THROW(load_safetensors(folder / "damaged"), Error);
    EXPECT_THROW(data::read_csv(folder / ""), Error);
    EXPECT_THROW(data::read_csv(folder / "damaged.gz"), Error);
    EXPECT_THROW(save_safetensors(folder / "x", {{"a", ones({2})}}), Error);
    EXPECT_THROW(CheckpointWriter(folder / "c"), Error);
    load_checkpoint(folder / "c");
    save_checkpoint(folder / "d", {{{"a", ones({2})}}, {{"b", ones({2})}}, {}});
    EXPECT_TRUE(checkpoint_exists(folder / "d"));
  }
  EXPECT_EQ(open_files(), before);
}

TEST(HostileFiles, TooManyNamesAreAnError) {
  const TempFolder folder;
  std::string header = R"({"__metadata__":{)";
  for (int i = 0; i <= 1'000'000; ++i) header += (i ? ",\"" : "\"") + std::to_string(i) + "\":\"\"";
  write_header(folder / "x", header + "}}");
  header.clear();
  header.shrink_to_fit();
  const int64_t before = peak_memory();
  expect_error([&] { load_safetensors(folder / "x"); }, "load_safetensors",
               {"more than 1000000 names"});
  EXPECT_LT(peak_memory() - before, int64_t{300} << 20);
}

TEST(HostileFiles, AnIdxFileBeyondTheLimitIsAnErrorThatNamesTheOption) {
  const TempFolder folder;
  std::string bytes = {0, 0, 8, 2, 0, 0, 4, 0, 0, 0, 4, 0};  // u8 (1024, 1024)
  test::write_gz(folder / "x.gz", bytes + std::string(1 << 20, '\0'));
  expect_error([&] { data::read_idx(folder / "x.gz", {.max_bytes = (1 << 20) - 1}); }, "read_idx",
               {"(1024, 1024) takes 1048576 bytes as u8, more than max_bytes 1048575"});
  EXPECT_EQ(data::read_idx(folder / "x.gz", {.max_bytes = 1 << 20}).numel(), 1 << 20);
  test::write_gz(folder / "i16.gz",
                 std::string({0, 0, 11, 1, 0, 0, 0, 100}) + std::string(200, '\0'));
  expect_error([&] { data::read_idx(folder / "i16.gz", {.max_bytes = 799}); }, "read_idx",
               {"(100,) takes 800 bytes as i64, more than max_bytes 799"});
  // A header that asks for 10 GB of a file of 1 MB costs nothing.
  bytes[4] = 2, bytes[8] = 2;
  test::write_bytes(folder / "y", bytes + std::string(1 << 20, '\0'));
  const int64_t before = peak_memory();
  expect_error([&] { data::read_idx(folder / "y"); }, "read_idx", {"is truncated"});
  EXPECT_LT(peak_memory() - before, int64_t{16} << 20);
}

}  // namespace
}  // namespace ebb
