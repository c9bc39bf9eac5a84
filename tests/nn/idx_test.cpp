// The IDX reader, and Fashion-MNIST, which consists of IDX files.
#include "ebb/nn/data/idx.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>

#include "ebb/nn/data/fashion_mnist.h"
#include "files.h"

namespace ebb::data {
namespace {

using test::expect_error;
using test::TempFolder;

std::string big_endian(uint32_t n) {
  return {static_cast<char>(n >> 24), static_cast<char>(n >> 16), static_cast<char>(n >> 8),
          static_cast<char>(n)};
}

std::string idx_header(unsigned char code, std::initializer_list<uint32_t> sizes) {
  std::string bytes = {0, 0, static_cast<char>(code), static_cast<char>(sizes.size())};
  for (uint32_t n : sizes) bytes += big_endian(n);
  return bytes;
}

struct Kind {
  const char* name;
  unsigned char code;
  std::string elements;  // 3, big-endian
  DType dtype;
  std::array<double, 3> values;
};

const Kind kKinds[] = {
    {"u8", 0x08, std::string("\x00\x7F\xFF", 3), DType::U8, {0, 127, 255}},
    {"i8", 0x09, std::string("\x00\x7F\xFF", 3), DType::I64, {0, 127, -1}},
    {"i16", 0x0B, std::string("\x01\x02\x80\x00\xFF\xFE", 6), DType::I64, {258, -32768, -2}},
    {"i32",
     0x0C,
     std::string("\x00\x01\x00\x02\x80\x00\x00\x00\xFF\xFF\xFF\xFD", 12),
     DType::I64,
     {65538, -2147483648.0, -3}},
    {"f32",
     0x0D,
     std::string("\x3F\x80\x00\x00\xC0\x20\x00\x00\x00\x00\x00\x00", 12),
     DType::F32,
     {1, -2.5, 0}},
    {"f64",
     0x0E,
     std::string("\x3F\xF0\x00\x00\x00\x00\x00\x00\xC0\x04\x00\x00\x00\x00\x00\x00\x3F\xB9\x99\x99"
                 "\x99\x99\x99\x9A",
                 24),
     DType::F64,
     {1, -2.5, 0.1}},
};

class IdxKind : public testing::TestWithParam<Kind> {};

TEST_P(IdxKind, ReadsValuesPlainAndCompressed) {
  const Kind& kind = GetParam();
  const TempFolder folder;
  const std::string bytes = idx_header(kind.code, {3, 1}) + kind.elements;
  test::write_bytes(folder / "plain", bytes);
  test::write_gz(folder / "packed.gz", bytes);
  for (const char* name : {"plain", "packed.gz"}) {
    const Tensor tensor = read_idx(folder / name);
    EXPECT_EQ(tensor.dtype(), kind.dtype);
    EXPECT_EQ(tensor.shape(), Shape({3, 1}));
    const std::vector<double> values = tensor.to_vector<double>();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), kind.values.begin(), kind.values.end()));
  }
}

INSTANTIATE_TEST_SUITE_P(All, IdxKind, testing::ValuesIn(kKinds),
                         [](const auto& row) { return row.param.name; });

TEST(Idx, ElementsOfSeveralBytesAreReadInPieces) {
  const TempFolder folder;
  for (uint32_t n : {65535u, 65536u, 65537u, 140000u}) {
    std::string bytes = idx_header(0x0B, {n});
    for (uint32_t i = 0; i < n; ++i) bytes += big_endian(i * 7 % 32749).substr(2);
    test::write_bytes(folder / "x", bytes);
    const std::vector<int64_t> values = read_idx(folder / "x").to_vector<int64_t>();
    ASSERT_EQ(values.size(), n);
    for (uint32_t i = 0; i < n; ++i) ASSERT_EQ(values[i], i * 7 % 32749) << n << " " << i;
  }
  // Compressed, so that the size of the file tells nothing.
  test::write_gz(folder / "x.gz", idx_header(0x0B, {1000}) + std::string(1500, '\1'));
  expect_error([&] { read_idx(folder / "x.gz"); }, "read_idx",
               {"(1000,) takes 2000 bytes, the file holds 1500"});
  test::write_gz(folder / "x.gz", idx_header(0x0B, {70000}) + std::string(139998, '\1'));
  expect_error([&] { read_idx(folder / "x.gz"); }, "read_idx",
               {"(70000,) takes 140000 bytes, the file holds 139998"});
}

TEST(Idx, AnEmptyDimensionGivesAnEmptyTensor) {
  const TempFolder folder;
  test::write_bytes(folder / "x", idx_header(0x08, {0, 28, 28}));
  EXPECT_EQ(read_idx(folder / "x").shape(), Shape({0, 28, 28}));
}

TEST(Idx, EveryTruncationIsAnError) {
  const TempFolder folder;
  const std::string bytes = idx_header(0x0C, {2, 2}) + std::string(16, '\1');
  for (size_t n = 0; n < bytes.size(); ++n) {
    test::write_bytes(folder / "x", bytes.substr(0, n));
    expect_error([&] { read_idx(folder / "x"); }, "read_idx",
                 {folder / "x", n < 4 ? "not an IDX file" : "truncated",
                  n < 12 ? "" : "(2, 2) takes 16 bytes"});
  }
  test::write_bytes(folder / "x", bytes);
  EXPECT_EQ(read_idx(folder / "x").numel(), 4);
}

TEST(Idx, ATruncatedOrDamagedGzipIsAnError) {
  const TempFolder folder;
  std::string noise;  // does not compress, so each byte of the file matters
  for (uint32_t i = 0; i < 5000; ++i) noise += static_cast<char>((i * i * 7919) >> 5);
  test::write_gz(folder / "x.gz", idx_header(0x08, {5000}) + noise);
  const std::string packed = test::read_bytes(folder / "x.gz");
  EXPECT_EQ(read_idx(folder / "x.gz").numel(), 5000);
  for (size_t n = 0; n < packed.size(); n += n < 40 ? 1 : 97) {
    test::write_bytes(folder / "x.gz", packed.substr(0, n));
    expect_error([&] { read_idx(folder / "x.gz"); }, "read_idx",
                 {folder / "x.gz", n < 10 ? "" : "truncated"});
  }
  std::string damaged = packed;
  damaged[damaged.size() / 2] = static_cast<char>(damaged[damaged.size() / 2] ^ 0x55);
  test::write_bytes(folder / "x.gz", damaged);
  expect_error([&] { read_idx(folder / "x.gz"); }, "read_idx", {"damaged"});
}

TEST(Idx, AFileOfAnotherFormatIsAnError) {
  const TempFolder folder;
  expect_error([&] { read_idx(folder / "none"); }, "read_idx",
               {folder / "none", "No such file or directory"});
  expect_error([&] { read_idx(folder / ""); }, "read_idx", {"is not a regular file"});
  test::write_bytes(folder / "text", "1,2,3\n4,5,6\n");
  expect_error([&] { read_idx(folder / "text"); }, "read_idx", {"not an IDX file"});
  test::write_bytes(folder / "type", idx_header(0x0A, {1}) + "x");
  expect_error([&] { read_idx(folder / "type"); }, "read_idx", {"unknown element type 10"});
  test::write_bytes(folder / "scalar", idx_header(0x08, {}) + "x");
  expect_error([&] { read_idx(folder / "scalar"); }, "read_idx", {"1 to 8 dimensions, got 0"});
  test::write_bytes(folder / "deep", idx_header(0x08, {1, 1, 1, 1, 1, 1, 1, 1, 1}) + "x");
  expect_error([&] { read_idx(folder / "deep"); }, "read_idx", {"1 to 8 dimensions, got 9"});
  test::write_bytes(folder / "long", idx_header(0x08, {2}) + "xyz");
  expect_error([&] { read_idx(folder / "long"); }, "read_idx",
               {"goes on after the last element of (2,)"});
}

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

TEST(Idx, AFalseHeaderAllocatesNoMemory) {
  const TempFolder folder;
  const int64_t before = peak_memory();
  test::write_bytes(folder / "x", idx_header(0x08, {3'000'000'000, 1000}) + "few");
  expect_error([&] { read_idx(folder / "x"); }, "read_idx",
               {"truncated", "3000000000000 bytes, 15 bytes hold 3"});
  EXPECT_LT(peak_memory() - before, int64_t{16} << 20);
  test::write_bytes(folder / "y", idx_header(0x0E, {4'000'000'000, 4'000'000'000, 0}));
  expect_error([&] { read_idx(folder / "y"); }, "read_idx", {"too large"});
}

// ---- Fashion-MNIST ----

void write_fashion(const TempFolder& folder, uint32_t test_labels, char label) {
  const auto images = [](uint32_t n) {
    return idx_header(0x08, {n, 28, 28}) + std::string(n * 784, '\x33');
  };
  const auto labels = [&](uint32_t n) { return idx_header(0x08, {n}) + std::string(n, label); };
  test::write_gz(folder / "train-images-idx3-ubyte.gz", images(3));
  test::write_bytes(folder / "train-labels-idx1-ubyte", labels(3));
  test::write_bytes(folder / "t10k-images-idx3-ubyte", images(2));
  test::write_gz(folder / "t10k-labels-idx1-ubyte.gz", labels(test_labels));
}

TEST(FashionMnist, ReadsPlainAndCompressedFiles) {
  const TempFolder folder;
  write_fashion(folder, 2, 9);
  const FashionMnist data = load_fashion_mnist(folder / "");
  EXPECT_EQ(data.train.inputs().shape(), Shape({3, 28, 28}));
  EXPECT_EQ(data.train.inputs().dtype(), DType::U8);
  EXPECT_EQ(data.test.targets().to_vector<int64_t>(), (std::vector<int64_t>{9, 9}));
  EXPECT_EQ(data.test.targets().dtype(), DType::I64);
  EXPECT_EQ(data.test.class_names().at(9), "Ankle boot");
}

TEST(FashionMnist, ErrorsNameTheMissingOrWrongFile) {
  const TempFolder folder;
  write_fashion(folder, 2, 9);
  std::filesystem::remove(folder / "train-labels-idx1-ubyte");
  std::filesystem::remove(folder / "t10k-images-idx3-ubyte");
  expect_error([&] { load_fashion_mnist(folder / ""); }, "load_fashion_mnist",
               {"train-labels-idx1-ubyte[.gz], t10k-images-idx3-ubyte[.gz]",
                "package dataset-fashion-mnist"});
  expect_error([&] { load_fashion_mnist("/no/such/folder"); }, "load_fashion_mnist",
               {"/no/such/folder lacks train-"});
  write_fashion(folder, 3, 9);
  expect_error([&] { load_fashion_mnist(folder / ""); }, "load_fashion_mnist",
               {"t10k-labels", "u8 (2,)", "u8 (3,)"});
  write_fashion(folder, 2, 10);
  expect_error([&] { load_fashion_mnist(folder / ""); }, "load_fashion_mnist",
               {"train-labels", "label 0 is 10"});
  test::write_bytes(folder / "train-images-idx3-ubyte", "");
  std::filesystem::remove(folder / "train-images-idx3-ubyte.gz");
  expect_error([&] { load_fashion_mnist(folder / ""); }, "read_idx", {"train-images-idx3-ubyte"});
}

TEST(FashionMnist, ThePackagedFilesAreUnchanged) {
  if (!std::filesystem::exists(kFashionMnistFolder))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const FashionMnist data = load_fashion_mnist();
  EXPECT_EQ(data.train.inputs().shape(), Shape({60000, 28, 28}));
  EXPECT_EQ(data.test.inputs().shape(), Shape({10000, 28, 28}));
  std::array<int, 10> counts{};
  for (int64_t target : data.train.targets().to_vector<int64_t>())
    ++counts[static_cast<size_t>(target)];
  for (int count : counts) EXPECT_EQ(count, 6000);
  double sum = 0;  // the mean in the literature is 0.2860
  const uint8_t* pixels = data.train.inputs().data<uint8_t>();
  for (int64_t i = 0; i < data.train.inputs().numel(); ++i) sum += pixels[i];
  EXPECT_NEAR(sum / 255 / static_cast<double>(data.train.inputs().numel()), 0.2860, 5e-5);
}

}  // namespace
}  // namespace ebb::data
