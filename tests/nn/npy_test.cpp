// NumPy's files. tests/interop compares them with NumPy itself.
#include "ebb/nn/serialize/npy.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "files.h"

namespace ebb {
namespace {

using namespace std::string_literals;
using test::expect_error;
using test::TempFolder;

// Returns a file of version 1.0 with this dict and these elements.
std::string npy_of(const std::string& dict, const std::string& data) {
  return "\x93NUMPY\x01\x00"s + static_cast<char>(dict.size() & 0xFF) +
         static_cast<char>(dict.size() >> 8) + dict + data;
}

std::string dict_of(const std::string& descr, const std::string& shape,
                    const std::string& fortran = "False") {
  return "{'descr': '" + descr + "', 'fortran_order': " + fortran + ", 'shape': " + shape + ", }\n";
}

bool same(const Tensor& a, const Tensor& b) {
  return a.dtype() == b.dtype() && a.shape() == b.shape() && a.is_contiguous() &&
         std::memcmp(a.raw(), b.raw(), static_cast<size_t>(a.numel()) * size_of(a.dtype())) == 0;
}

NamedTensors one_of_each() {
  const bool mask[] = {true, false, true};
  return {{"pixels", from_data(std::vector<uint8_t>{0, 1, 255}, {3})},
          {"weight", from_data(std::vector<float>{1, -0.0f, 1e-45f, INFINITY}, {2, 2})},
          {"mask", from_data(std::span<const bool>(mask), {3, 1})},
          {"exact", from_data(std::vector<double>{0.1, std::nan("1")}, {2})},
          {"step", from_data(std::vector<int64_t>{std::numeric_limits<int64_t>::min()}, {})},
          {"none", zeros({0, 4})}};
}

class Npy : public ::testing::Test {
 protected:
  Tensor load(const std::string& bytes) {
    test::write_bytes(folder_ / "x.npy", bytes);
    return load_npy(folder_ / "x.npy");
  }
  void expect_refused(const std::string& bytes, const std::string& part) {
    expect_error([&] { load(bytes); }, "load_npy", {folder_ / "x.npy", part});
  }
  TempFolder folder_;
};

TEST_F(Npy, TheBytesAreThoseOfTheFormat) {
  save_npy(folder_ / "x", tensor({{1.0, 2.0}, {3.0, 4.0}}, f32));
  std::string dict = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }";
  dict.resize(128 - 10 - 1, ' ');
  EXPECT_EQ(test::read_bytes(folder_ / "x"),
            npy_of(dict + "\n", "\0\0\x80\x3F\0\0\0\x40\0\0\x40\x40\0\0\x80\x40"s));
}

TEST_F(Npy, AllDtypesAreSavedAndLoadedBitForBit) {
  for (const auto& [name, value] : one_of_each()) {
    save_npy(folder_ / name, value);
    EXPECT_TRUE(same(load_npy(folder_ / name), value)) << name;
  }
}

TEST_F(Npy, StridedAndRecordedTensorsAreWrittenByValue) {
  const Tensor base = from_data(std::vector<float>{1, 2, 3, 4, 5, 6}, {2, 3});
  Tensor strided = make_view(base, {3, 2}, {1, 3});
  save_npy(folder_ / "t", strided);
  EXPECT_EQ(load_npy(folder_ / "t").to_vector<float>(), (std::vector<float>{1, 4, 2, 5, 3, 6}));
  Tensor parameter = tensor({1, 2}, f32);
  parameter.requires_grad_();
  save_npy(folder_ / "p", parameter);
  EXPECT_FALSE(load_npy(folder_ / "p").requires_grad());
  expect_error([&] { save_npy(folder_ / "u", Tensor()); }, "save_npy", {"undefined"});
  expect_error([&] { save_npy(folder_ / "no/such", base); }, "save_npy", {"No such file"});
}

TEST_F(Npy, FortranOrderIsReadByValue) {
  const Tensor x = load(npy_of(dict_of("|u1", "(2, 3)", "True"), "\1\4\2\5\3\6"));
  EXPECT_TRUE(same(x, from_data(std::vector<uint8_t>{1, 2, 3, 4, 5, 6}, {2, 3})));
  const Tensor cube = load(npy_of(dict_of("|u1", "(2, 1, 3)", "True"), "\1\4\2\5\3\6"));
  EXPECT_TRUE(same(cube, from_data(std::vector<uint8_t>{1, 2, 3, 4, 5, 6}, {2, 1, 3})));
  EXPECT_EQ(load(npy_of(dict_of("<f4", "(0, 3)", "True"), "")).shape(), Shape({0, 3}));
}

TEST_F(Npy, OtherTypesAndOrdersOfBytesBecomeTheTypeThatHasAllTheirValues) {
  const auto values = [&](const std::string& descr, const std::string& data, const char* shape) {
    return load(npy_of(dict_of(descr, shape), data));
  };
  const Tensor half = values("<f2", "\x00\x3C\x01\x00\x00\xFC\xFF\x7B"s, "(4,)");
  EXPECT_EQ(half.dtype(), f32);
  EXPECT_EQ(half.to_vector<float>(),
            (std::vector<float>{1, std::ldexp(1.0f, -24), -INFINITY, 65504}));
  EXPECT_EQ(values(">f4", "\x3F\x80\0\0"s, "()").item<float>(), 1);
  EXPECT_EQ(values(">i2", "\xFF\xFE\0\1"s, "(2,)").to_vector<int64_t>(),
            (std::vector<int64_t>{-2, 1}));
  EXPECT_EQ(values("|i1", "\x80\x7F", "(2,)").to_vector<int64_t>(),
            (std::vector<int64_t>{-128, 127}));
  EXPECT_EQ(values("<u2", "\xFF\xFF", "(1,)").item<int64_t>(), 65535);
  EXPECT_EQ(values("<u4", "\xFF\xFF\xFF\xFF", "(1,)").item<int64_t>(), 4294967295);
  EXPECT_EQ(values("<u8", "\1\0\0\0\0\0\0\0"s, "(1,)").item<int64_t>(), 1);
  expect_refused(npy_of(dict_of("<u8", "(1,)"), std::string(8, '\xFF')),
                 "the U64 18446744073709551615 does not fit i64");
  expect_refused(npy_of(dict_of("|b1", "(2,)"), "\1\2"), "a BOOL is neither 0 nor 1");
}

TEST_F(Npy, LaterVersionsAndOtherSpellingsAreRead) {
  const std::string dict = dict_of("|u1", "(2,)");
  for (const char version : {'\2', '\3'}) {
    const std::string bytes =
        "\x93NUMPY"s + version + '\0' + static_cast<char>(dict.size()) + "\0\0\0"s + dict + "\1\2";
    EXPECT_EQ(load(bytes).to_vector<uint8_t>(), (std::vector<uint8_t>{1, 2}));
  }
  const std::string compact = "{\"shape\":(2,1),\"fortran_order\":False,\"descr\":\"=u1\"}";
  EXPECT_EQ(load(npy_of(compact, "\1\2")).shape(), Shape({2, 1}));
}

TEST_F(Npy, EveryTruncationIsAnError) {
  save_npy(folder_ / "x", tensor({1, 2, 3}));
  const std::string bytes = test::read_bytes(folder_ / "x");
  for (size_t n = 0; n < bytes.size(); ++n) {
    SCOPED_TRACE(n);
    expect_refused(bytes.substr(0, n), "truncated");
  }
  expect_refused(bytes + '\0', "too long: 25 bytes of elements, expected 24 for I64 (3,)");
}

TEST_F(Npy, FalseHeadersAreErrors) {
  const std::string four(4, '\0');
  const std::pair<std::string, std::string> cases[] = {
      {"\x93NUMPX\x01\x00\x76\x00"s + four, "not a .npy file"},
      {"\x93NUMPY\x04\x00\x02\x00{}"s, "version 4.0, expected 1.0"},
      {"\x93NUMPY\x02\x00\xFF\xFF\xFF\xFF"s + four, "a header of 4294967295 bytes"},
      {"\x93NUMPY\x01\x00\xFF\xFF"s + four, "truncated"},
      {npy_of("", four), "not that of an array, at its byte 0"},
      {npy_of("[]", four), "not that of an array, at its byte 0"},
      {npy_of("{}", four), "lacks descr, fortran_order or shape"},
      {npy_of("{'descr': '<f4'", four), "not that of an array"},
      {npy_of(dict_of("<f4", "(1,)") + "x", four), "not that of an array"},
      {npy_of("{'descr': '<f4', 'descr': '<f4'}", four), "the key \"descr\""},
      {npy_of("{'other\n': 1}", four), "the key \"other\\n\""},
      {npy_of("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}", four),
       "an array of records"},
      {npy_of(dict_of("<c8", "(1,)"), four), "the element type \"<c8\" is not one of f2"},
      {npy_of(dict_of("|O", "(1,)"), four), "the element type \"|O\" is not one of f2"},
      {npy_of(dict_of("f4", "(1,)"), four), "the element type \"f4\""},
      {npy_of(dict_of("", "(1,)"), four), "the element type \"\""},
      {npy_of(dict_of("<f4", "(-1,)"), four), "not that of an array"},
      {npy_of(dict_of("<f4", "(1.5,)"), four), "not that of an array"},
      {npy_of(dict_of("<f4", "1"), four), "not that of an array"},
      {npy_of(dict_of("<f4", "(1,)", "0"), four), "not that of an array"},
      {npy_of(dict_of("<f4", "(1, 1, 1, 1, 1, 1, 1, 1, 1)"), four), "a shape of more than 8 sizes"},
      {npy_of(dict_of("<f4", "(4294967296, 4294967296)"), four), "the shape is too large"},
      {npy_of(dict_of("<f4", "(0, 4294967296, 4294967296)"), four), "the shape is too large"},
      {npy_of(dict_of("<f4", "(18446744073709551616,)"), four), "the shape is too large"},
      {npy_of(dict_of("<f4", "(1000000000,)"), four),
       "truncated: 4 bytes of elements, expected 4000000000"},
  };
  for (const auto& [bytes, part] : cases) {
    SCOPED_TRACE(bytes.substr(0, 100));
    expect_refused(bytes, part);
  }
}

// ---- archives ----

class Npz : public Npy {
 protected:
  void expect_refused(const std::string& bytes, const std::string& part) {
    test::write_bytes(folder_ / "y.npz", bytes);
    expect_error([&] { load_npz(folder_ / "y.npz"); }, "load_npz", {folder_ / "y.npz", part});
  }
};

TEST_F(Npz, ArraysAreSavedAndLoadedBitForBitInOrder) {
  const NamedTensors tensors = one_of_each();
  for (const bool compressed : {false, true}) {
    save_npz(folder_ / "x", tensors, {.compressed = compressed});
    const NamedTensors loaded = load_npz(folder_ / "x");
    ASSERT_EQ(loaded.size(), tensors.size());
    for (size_t i = 0; i < tensors.size(); ++i) {
      EXPECT_EQ(loaded[i].first, tensors[i].first);
      EXPECT_TRUE(same(loaded[i].second, tensors[i].second)) << tensors[i].first;
    }
  }
  save_npz(folder_ / "none", {});
  EXPECT_TRUE(load_npz(folder_ / "none").empty());
}

TEST_F(Npz, CompressionMakesZerosSmall) {
  save_npz(folder_ / "x", {{"zeros", zeros({100, 1000})}}, {.compressed = true});
  EXPECT_LT(std::filesystem::file_size(folder_ / "x"), 2000u);
  EXPECT_TRUE(same(load_npz(folder_ / "x")[0].second, zeros({100, 1000})));
}

TEST_F(Npz, NamesThatCannotBeReadAreRefusedAndNothingIsWritten) {
  const Tensor t = ones({1});
  const auto save = [&](const NamedTensors& tensors) {
    return [&, tensors] { save_npz(folder_ / "x", tensors); };
  };
  expect_error(save({{"a", t}, {"a", t}}), "save_npz", {"\"a\" comes twice"});
  expect_error(save({{"", t}}), "save_npz", {"a tensor has no name"});
  expect_error(save({{"\xFF", t}}), "save_npz", {"is not UTF-8"});
  expect_error(save({{"a", Tensor()}}), "save_npz", {"\"a\" is undefined"});
  EXPECT_TRUE(std::filesystem::is_empty(folder_ / ""));
}

TEST_F(Npz, EveryTruncationIsAnError) {
  for (const bool compressed : {false, true}) {
    save_npz(folder_ / "x", {{"a", tensor({1, 2, 3})}}, {.compressed = compressed});
    const std::string bytes = test::read_bytes(folder_ / "x");
    for (size_t n = 0; n < bytes.size(); ++n) {
      SCOPED_TRACE(n);
      expect_refused(bytes.substr(0, n), "truncated, or not a .npz file");
    }
  }
}

// The last byte of compressed data may have unused bits.
TEST_F(Npz, AChangedByteIsAnErrorOrChangesNoElement) {
  const Tensor x = tensor({1, 2, 3});
  for (const bool compressed : {false, true}) {
    save_npz(folder_ / "x", {{"a", x}}, {.compressed = compressed});
    const std::string bytes = test::read_bytes(folder_ / "x");
    int errors = 0;
    const size_t start = 30 + std::strlen("a.npy"), end = bytes.find("PK\1\2");
    for (size_t n = start; n < end; ++n) {
      SCOPED_TRACE(n);
      std::string damaged = bytes;
      damaged[n] = static_cast<char>(damaged[n] ^ 0x40);
      test::write_bytes(folder_ / "y.npz", damaged);
      try {
        EXPECT_TRUE(same(load_npz(folder_ / "y.npz").at(0).second, x));
      } catch (const Error& error) {
        ++errors;
        EXPECT_NE(std::string(error.what()).find("array \"a.npy\": "), std::string::npos);
      }
    }
    EXPECT_GE(errors, static_cast<int>(end - start) - (compressed ? 1 : 0));
  }
}

TEST_F(Npz, FalseDirectoriesAreErrors) {
  save_npz(folder_ / "x", {{"a", tensor({1, 2, 3})}, {"b", tensor({1})}});
  const std::string bytes = test::read_bytes(folder_ / "x");
  const size_t first = bytes.find("PK\1\2"), second = bytes.find("PK\1\2", first + 1),
               end = bytes.find("PK\5\6");
  const auto changed = [&](size_t at, const std::string& to) {
    std::string result = bytes;
    return result.replace(at, to.size(), to);
  };
  expect_refused(changed(first + 8, "\1"), "is encrypted");
  expect_refused(changed(first + 10, "\14"), "compressed by method 12");
  expect_refused(changed(first + 20, "\xFF\xFF\xFF\xFF"), "overlap");
  expect_refused(changed(first + 24, "\xFF"), "its size does not fit its bytes");
  expect_refused(changed(first + 42, "\xFE\xFF\xFF\x7F"), "begins after the end of the file");
  expect_refused(changed(first + 42, "\2"), "does not begin with the header of an entry");
  expect_refused(changed(first + 16, "\7\7\7\7"), "its check sum is wrong");
  expect_refused(changed(first + 28, "\xFF\xFF"), "the directory of the archive is damaged");
  expect_refused(changed(first, "XX"), "the directory of the archive is damaged");
  expect_refused(changed(second + 46, "a"), "the name \"a\" comes twice");
  expect_refused(changed(end + 10, "\3"), "the directory of the archive is damaged");
  expect_refused(changed(end + 12, "\xFE\xFF\xFF\x7F"), "the directory of the archive is damaged");
  expect_refused(changed(end + 16, "\xFF\xFF\xFF\xFF"), "a ZIP64 archive");
  EXPECT_NO_THROW(load_npz(folder_ / "x"));
}

TEST_F(Npz, ManyEntriesOfTheSameBytesAreRefused) {
  save_npz(folder_ / "x", {{"a", zeros({1000})}});
  const std::string bytes = test::read_bytes(folder_ / "x");
  const size_t first = bytes.find("PK\1\2"), end = bytes.find("PK\5\6");
  std::string many = bytes.substr(0, first);
  constexpr int kCount = 200;
  for (int i = 0; i < kCount; ++i) many += bytes.substr(first, end - first);
  std::string last = bytes.substr(end);
  last[8] = last[10] = static_cast<char>(kCount);
  const auto length = static_cast<uint32_t>(kCount * (end - first));
  std::memcpy(last.data() + 12, &length, 4);
  expect_refused(many + last, "entries of the archive overlap");
}

}  // namespace
}  // namespace ebb
