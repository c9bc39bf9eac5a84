// The safetensors reader and writer.
#include "ebb/nn/serialize/safetensors.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "ebb/autograd/ops/views.h"
#include "ebb/core/random.h"
#include "files.h"

namespace ebb {
namespace {

using test::expect_error;
using test::TempFolder;

// Returns a file with this header and this data.
std::string file_of(const std::string& header, const std::string& data) {
  const uint64_t length = header.size();
  std::string bytes(8, '\0');
  std::memcpy(bytes.data(), &length, 8);
  return bytes + header + data;
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.numel()) * size_of(a.dtype())) == 0;
}

NamedTensors one_of_each() {
  const bool mask[] = {true, false, true};
  return {{"pixels", from_data(std::vector<uint8_t>{0, 1, 255}, {3})},
          {"weight",
           from_data(std::vector<float>{1, -0.0f, 1e-45f, std::numeric_limits<float>::infinity()},
                     {2, 2})},
          {"mask", from_data(std::span<const bool>(mask), {3, 1})},
          {"exact", from_data(std::vector<double>{0.1, std::nan("1")}, {2})},
          {"step", from_data(std::vector<int64_t>{std::numeric_limits<int64_t>::min()}, {})},
          {"none", zeros({0, 4})}};
}

TEST(SafeTensors, AllDtypesAreSavedAndLoadedBitForBitInOrder) {
  const TempFolder folder;
  const NamedTensors tensors = one_of_each();
  const Metadata metadata{{"format", "pt"}, {"text", "lines\n\"quotes\" and Grüße"}};
  save_safetensors(folder / "x", tensors, metadata);
  const SafeTensors loaded = load_safetensors(folder / "x");
  EXPECT_EQ(loaded.metadata, metadata);
  ASSERT_EQ(loaded.tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    EXPECT_EQ(loaded.tensors[i].first, tensors[i].first);
    EXPECT_TRUE(same(loaded.tensors[i].second, tensors[i].second)) << tensors[i].first;
  }
  EXPECT_TRUE(same(*loaded.find("mask"), tensors[2].second));
  EXPECT_EQ(loaded.find("mas"), nullptr);
}

TEST(SafeTensors, TensorsOfTheMostDimensionsAndOfOneByteAreSavedAndLoaded) {
  const TempFolder folder;
  const NamedTensors tensors = {
      {"deep", reshape(arange(0, 12, 1, {.dtype = f32}), {1, 2, 1, 1, 3, 1, 1, 2})},
      {"byte", from_data(std::vector<uint8_t>{200}, {1})},
      {"number", from_data(std::vector<uint8_t>{7}, {})}};
  ASSERT_EQ(tensors[0].second.dim(), kMaxDims);
  save_safetensors(folder / "x", tensors);
  const SafeTensors loaded = load_safetensors(folder / "x");
  ASSERT_EQ(loaded.tensors.size(), tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i)
    EXPECT_TRUE(same(loaded.tensors[i].second, tensors[i].second)) << tensors[i].first;
}

TEST(SafeTensors, AnEmptyFileIsSavedAndLoaded) {
  const TempFolder folder;
  save_safetensors(folder / "x", {});
  EXPECT_TRUE(load_safetensors(folder / "x").tensors.empty());
}

TEST(SafeTensors, TheBytesAreThoseOfTheFormat) {
  const TempFolder folder;
  save_safetensors(folder / "x",
                   {{"b", from_data(std::vector<uint8_t>{7, 8}, {2})}, {"a", tensor({1.0})}},
                   {{"k", "v"}});
  std::string header =
      R"({"__metadata__":{"k":"v"},"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
      R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  header.resize((header.size() + 7) / 8 * 8, ' ');
  EXPECT_EQ(test::read_bytes(folder / "x"),
            file_of(header, std::string("\0\0\x80\x3F\x07\x08", 6)));
}

TEST(SafeTensors, StridedAndRecordedTensorsAreWrittenByValue) {
  const TempFolder folder;
  const Tensor base = from_data(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor parameter = tensor({1, 2}, f32);
  parameter.requires_grad_();
  save_safetensors(folder / "x", {{"t", make_view(base, {3, 2}, {1, 3})},
                                  {"e", make_view(base, {2, 2}, {0, 1})},
                                  {"p", parameter}});
  const SafeTensors loaded = load_safetensors(folder / "x");
  EXPECT_EQ(loaded.find("t")->to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  EXPECT_EQ(loaded.find("e")->to_vector<float>(), (std::vector<float>{1, 2, 1, 2}));
  EXPECT_EQ(loaded.find("p")->to_vector<float>(), (std::vector<float>{1, 2}));
  EXPECT_FALSE(loaded.find("p")->requires_grad());
}

TEST(SafeTensors, RefusesToWriteFilesThatCannotBeRead) {
  const TempFolder folder;
  const Tensor t = ones({1});
  const auto save = [&](const NamedTensors& tensors) {
    return [&, tensors] { save_safetensors(folder / "x", tensors); };
  };
  expect_error(save({{"a", t}, {"b", t}, {"a", t}}), "save_safetensors",
               {folder / "x", "\"a\" comes twice"});
  expect_error(save({{"a", Tensor()}}), "save_safetensors", {"\"a\" is undefined"});
  expect_error(save({{"__metadata__", t}}), "save_safetensors", {"__metadata__"});
  expect_error(save({{"\xFF\xFE", t}}), "save_safetensors", {"not UTF-8"});
  expect_error(
      [&] {
        save_safetensors(folder / "x", {}, {{"k", "\xC3"}});
      },
      "save_safetensors", {"not UTF-8"});
  expect_error(
      [&] {
        save_safetensors(folder / "no/such/x", {{"a", t}});
      },
      "save_safetensors", {"No such file"});
  EXPECT_TRUE(std::filesystem::is_empty(folder / ""));
}

TEST(SafeTensors, EveryTruncationIsAnError) {
  const TempFolder folder;
  save_safetensors(folder / "x", one_of_each(), {{"k", "v"}});
  const std::string bytes = test::read_bytes(folder / "x");
  ASSERT_GT(bytes.size(), 300u);
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    test::write_bytes(folder / "cut", bytes.substr(0, n));
    expect_error([&] { load_safetensors(folder / "cut"); }, "load_safetensors",
                 {folder / "cut", "truncated"});
  }
  test::write_bytes(folder / "cut", bytes + '\0');
  expect_error([&] { load_safetensors(folder / "cut"); }, "load_safetensors",
               {"goes on after its last tensor: 1 byte"});
}

TEST(SafeTensors, DamagedBytesNeverDoMoreThanAnError) {
  const TempFolder folder;
  save_safetensors(folder / "x", one_of_each(), {{"k", "v"}});
  const std::string bytes = test::read_bytes(folder / "x");
  int errors = 0, loads = 0;
  for (uint64_t i = 0; i < 3000; ++i) {
    const PhiloxBits random = philox(1, i);
    std::string damaged = bytes;
    for (uint32_t j = 0; j <= random.word[2] % 3; ++j) {
      const PhiloxBits where = philox(2 + j, i);
      damaged[where.word[0] % (i % 2 ? damaged.size() : 300)] = static_cast<char>(where.word[1]);
    }
    test::write_bytes(folder / "y", damaged);
    try {
      load_safetensors(folder / "y");
      ++loads;
    } catch (const Error& error) {
      ++errors;
      EXPECT_EQ(std::string(error.what()).find('\n'), std::string::npos) << error.what();
    }
  }
  EXPECT_GT(errors, 1000);
  EXPECT_GT(loads, 50);  // changes to elements or to a name still load
}

// ---- false headers ----

struct Lie {
  std::string header, data, expected;
};

std::string entry(const std::string& name, const std::string& dtype, const std::string& shape,
                  const std::string& offsets) {
  return "\"" + name + R"(":{"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" +
         offsets + "}";
}

std::vector<Lie> lies() {
  const std::string four(4, '\0'), eight(8, '\0');
  const auto one = [](const std::string& dtype, const std::string& shape,
                      const std::string& offsets) {
    return "{" + entry("a", dtype, shape, offsets) + "}";
  };
  const auto two = [](const std::string& first, const std::string& second) {
    return "{" + entry("a", "F32", "[1]", first) + "," + entry("b", "F32", "[1]", second) + "}";
  };
  return {
      {"", "", "the header is not JSON"},
      {"{", "", "the header is not JSON, at its byte"},
      {"{}x", "", "the header is not JSON, at its byte"},
      {"{\"a\xFF\":{}}", "", "the header is not JSON"},
      {"[]", "", "the header is not a JSON object"},
      {R"({"a":1e999})", "", "a number that is too large"},
      {R"({"a":{"x":[[[[[1]]]]]}})", "", "nested too deep"},
      {R"({"a":[]})", "", "tensor \"a\": its entry is not a JSON object"},
      {R"({"a":1})", "", "tensor \"a\": its entry is not a JSON object"},
      {R"({"__metadata__":[]})", "", "the metadata is not a JSON object"},
      {R"({"__metadata__":{"k":1}})", "", "the metadata \"k\" is not text"},
      {R"({"a":{"shape":[1],"data_offsets":[0,4]}})", four, "tensor \"a\": no dtype"},
      {R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", four, "tensor \"a\": no shape"},
      {R"({"a":{"dtype":"F32","shape":[1]}})", four, "tensor \"a\": no data_offsets"},
      {R"({"a":{"dtype":7,"shape":[1],"data_offsets":[0,4]}})", four, "the dtype is not text"},
      {one("C64", "[2]", "[0,4]"), four, "tensor \"a\": dtype \"C64\" is not one of F8_E4M3"},
      {one("F32", "1", "[0,4]"), four, "shape is not a list"},
      {one("F32", "[-1]", "[0,4]"), four, "shape holds something other than whole numbers"},
      {one("F32", "[1.0]", "[0,4]"), four, "shape holds something other than whole numbers"},
      {one("F32", "[18446744073709551616]", "[0,4]"), four,
       "shape holds something other than whole numbers"},
      {one("F32", "[1,1,1,1,1,1,1,1,1]", "[0,4]"), four, "a shape of 9 sizes"},
      {one("F32", "[4294967296,4294967296]", "[0,4]"), four, "the shape is too large"},
      {one("F32", "[0,4294967296,4294967296]", "[0,0]"), "", "the shape is too large"},
      {one("F32", "[18446744073709551615]", "[0,4]"), four, "the shape is too large"},
      {one("F32", "[1]", "[0]"), four, "data_offsets has 1 numbers"},
      {one("F32", "[1]", "[0,8]"), eight, "data_offsets 0 to 8, expected 4 bytes for F32 (1,)"},
      {one("F32", "[1]", "[4,0]"), four, "data_offsets 4 to 0, expected 4 bytes"},
      {one("F32", "[1]", "[18446744073709551612,0]"), four, "expected 4 bytes"},
      {one("F32", "[1]", "[18446744073709551608,18446744073709551612]"), four, "leaves a hole"},
      {one("F32", "[250000000000]", "[0,1000000000000]"), four,
       "\"a\" ends at 1000000000000 of 4 bytes"},
      {one("F32", "[1]", "[4,8]"), eight,
       "\"a\" leaves a hole before it: it begins at 4, expected 0"},
      {two("[0,4]", "[2,6]"), eight,
       "\"b\" overlaps the one before it: it begins at 2, expected 4"},
      {two("[0,4]", "[0,4]"), four, "overlaps"},
      {two("[0,4]", "[8,12]"), eight + four, "\"b\" leaves a hole before it"},
      {two("[0,4]", "[4,8]"), four, "truncated: tensor \"b\" ends at 8 of 4 bytes"},
      {one("F32", "[1]", "[0,4]"), eight, "goes on after its last tensor: 4 bytes"},
      {"{" + entry("a", "F32", "[1]", "[0,4]") + "," + entry("a", "F32", "[1]", "[4,8]") + "}",
       eight, "the name \"a\" comes twice"},
      {R"({"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,4]}})", four,
       "\"dtype\" comes twice"},
      {R"({"__metadata__":{},"__metadata__":{}})", "", "\"__metadata__\" comes twice"},
      {R"({"__metadata__":{"k":"1","k":"2"}})", "", "the name \"k\" comes twice"},
      {one("BOOL", "[4]", "[0,4]"), std::string("\0\1\2\0", 4),
       "tensor \"a\": a BOOL is neither 0 nor 1"},
      {R"({"line\nbreak":1})", "", "tensor \"line\\nbreak\": its entry"},
      {"{\"" + std::string(5000, 'n') + "\":1}", "", "nnn\"...: its entry"},
  };
}

TEST(SafeTensors, FalseHeadersAreErrors) {
  const TempFolder folder;
  for (const Lie& lie : lies()) {
    SCOPED_TRACE(lie.header.substr(0, 200));
    test::write_bytes(folder / "x", file_of(lie.header, lie.data));
    expect_error([&] { load_safetensors(folder / "x"); }, "load_safetensors",
                 {folder / "x", lie.expected});
  }
}

TEST(SafeTensors, OtherTypesBecomeTheTypeThatHasAllTheirValues) {
  const TempFolder folder;
  const auto load = [&](const std::string& dtype, const std::string& data, size_t bytes) {
    const std::string size = std::to_string(data.size() / bytes);
    test::write_bytes(folder / "x", file_of("{" +
                                                entry("a", dtype, "[" + size + "]",
                                                      "[0," + std::to_string(data.size()) + "]") +
                                                "}",
                                            data));
    return *load_safetensors(folder / "x").find("a");
  };
  using namespace std::string_literals;
  const auto floats = [&](const std::string& dtype, const std::string& data, size_t bytes) {
    const Tensor x = load(dtype, data, bytes);
    EXPECT_EQ(x.dtype(), f32);
    return x.to_vector<float>();
  };
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_EQ(floats("F16", "\x00\x3C\x01\x80\x00\x7C\xFF\x7B"s, 2),
            (std::vector<float>{1, -std::ldexp(1.0f, -24), inf, 65504}));
  EXPECT_EQ(floats("BF16", "\x80\x3F\x01\x00\x80\xFF\x49\x40"s, 2),
            (std::vector<float>{1, std::ldexp(1.0f, -133), -inf, 3.140625}));
  EXPECT_EQ(floats("F8_E5M2", "\x3C\x01\xFC\x7B", 1),
            (std::vector<float>{1, std::ldexp(1.0f, -16), -inf, 57344}));
  EXPECT_EQ(floats("F8_E4M3", "\x38\x01\xFE", 1),
            (std::vector<float>{1, std::ldexp(1.0f, -9), -448}));
  for (const auto& [dtype, data] : {std::pair("F16", "\1\x7E"), {"BF16", "\x81\xFF"}})
    EXPECT_TRUE(std::isnan(floats(dtype, data, 2)[0])) << dtype;
  for (const auto& [dtype, data] : {std::pair("F8_E5M2", "\x7F"), {"F8_E4M3", "\xFF"}})
    EXPECT_TRUE(std::isnan(floats(dtype, data, 1)[0])) << dtype;
  const auto integer = [&](const std::string& dtype, const std::string& data) {
    const Tensor x = load(dtype, data, data.size());
    EXPECT_EQ(x.dtype(), i64);
    return x.item<int64_t>();
  };
  EXPECT_EQ(integer("I8", "\x80"), -128);
  EXPECT_EQ(integer("I16", "\xFE\xFF"), -2);
  EXPECT_EQ(integer("I32", "\0\0\0\x80"s), -2147483648);
  EXPECT_EQ(integer("U16", "\xFE\xFF"), 65534);
  EXPECT_EQ(integer("U32", "\xFF\xFF\xFF\xFF"), 4294967295);
  EXPECT_EQ(integer("U64", "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x7F"),
            std::numeric_limits<int64_t>::max());
  expect_error([&] { load("U64", std::string(8, '\xFF'), 8); }, "load_safetensors",
               {"tensor \"a\": the U64 18446744073709551615 does not fit i64"});
}

TEST(SafeTensors, FieldsThatItDoesNotKnowAreSkipped) {
  const TempFolder folder;
  const std::string unknown =
      R"("x":{"y":[1,-2,{"z":null}],"dtype":7,"w":true},"more":[[1.5],["shape"],[]],"last":"text")";
  for (const std::string& header :
       {R"({"a":{)" + unknown + R"(,"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],)" + unknown + "}}",
        R"({"a":{"dtype":"F32",)" + unknown + R"(,"shape":[1],"data_offsets":[0,4]}})"}) {
    test::write_bytes(folder / "x", file_of(header, std::string("\0\0\x80\x3f", 4)));
    EXPECT_EQ(load_safetensors(folder / "x").find("a")->to_vector<float>(), std::vector<float>{1});
  }
}

int64_t peak_memory() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return int64_t{usage.ru_maxrss} << 10;
}

TEST(SafeTensors, FalseLengthsAllocateNoMemory) {
  const TempFolder folder;
  const int64_t before = peak_memory();
  const auto expect = [&](uint64_t length, const std::string& text) {
    std::string bytes(8, '\0');
    std::memcpy(bytes.data(), &length, 8);
    test::write_bytes(folder / "x", bytes + "{}");
    expect_error([&] { load_safetensors(folder / "x"); }, "load_safetensors", {text});
  };
  expect(3, "truncated: a header of 3 bytes in a file of 10");
  expect(99'999'999, "truncated: a header of 99999999 bytes");
  expect(100'000'001, "more than 100000000");
  expect(~uint64_t{0}, "more than 100000000");
  EXPECT_LT(peak_memory() - before, int64_t{16} << 20);
}

TEST(SafeTensors, AMissingFileOrAFolderIsAnError) {
  const TempFolder folder;
  expect_error([&] { load_safetensors(folder / "x"); }, "load_safetensors",
               {folder / "x", "No such file"});
  expect_error([&] { load_safetensors(folder / ""); }, "load_safetensors", {"not a regular file"});
  expect_error([] { load_safetensors("/dev/zero"); }, "load_safetensors", {"not a regular file"});
}

// ---- a full disk ----

// Runs body in a process that can write files of at most `bytes`. Returns its exit status.
int with_small_files(rlim_t bytes, const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{bytes, bytes};
    setrlimit(RLIMIT_FSIZE, &limit);
    _exit(body());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

TEST(SafeTensors, AFullDiskKeepsTheOldFile) {
  const TempFolder folder;
  save_safetensors(folder / "x", {{"a", tensor({7}, f32)}});
  const NamedTensors large = {{"a", zeros({100, 100})}};
  for (rlim_t limit : {0, 5, 100, 4096, 40000}) {
    const int status = with_small_files(limit, [&] {
      try {
        save_safetensors(folder / "x", large);
      } catch (const Error& error) {
        const std::string text = error.what();
        return text.find(".x.ebb-partial: File too large") != std::string::npos ? 0 : 2;
      }
      return 1;
    });
    EXPECT_EQ(status, 0) << limit;
    EXPECT_EQ(load_safetensors(folder / "x").find("a")->item(), 7);
    EXPECT_FALSE(std::filesystem::exists(folder / ".x.ebb-partial"));
  }
}

}  // namespace
}  // namespace ebb
