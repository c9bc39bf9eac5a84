// Shapes, broadcasting, dtypes, devices and the text of errors.
#include "ebb/core/shape.h"

#include "ebb/core/device.h"
#include "ebb/core/dtype.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

TEST(Shape, HoldsSizesInline) {
  Shape s{2, 3, 4};
  EXPECT_EQ(s.dim(), 3);
  EXPECT_EQ(s.numel(), 24);
  EXPECT_EQ(s.back(), 4);
  s.insert(1, 7);
  EXPECT_TRUE((s == Shape{2, 7, 3, 4}));
  s.erase(0);
  EXPECT_TRUE((s == Shape{7, 3, 4}));
  EXPECT_FALSE((s == Shape{7, 3}));
  EXPECT_FALSE((s == Shape{7, 3, 5}));
  EXPECT_EQ(Shape{}.numel(), 1);
  EXPECT_EQ((Shape{3, 0}.numel()), 0);
  const Shape copy = s;
  s[0] = 1;
  EXPECT_EQ(copy[0], 7);
}

TEST(Shape, HasAtMostEightDims) {
  Shape s{1, 2, 3, 4, 5, 6, 7, 8};
  expect_error([&] { s.push_back(9); }, "shape", {"at most 8 dimensions"});
  EXPECT_EQ(s.dim(), 8);
}

TEST(Shape, PrintsAsPythonDoes) {
  EXPECT_EQ(to_text(Shape{}), "()");
  EXPECT_EQ(to_text(Shape{7}), "(7,)");
  EXPECT_EQ(to_text(Shape{32, 10}), "(32, 10)");
}

TEST(Shape, Strides) {
  EXPECT_TRUE((contiguous_strides({2, 3, 4}) == Shape{12, 4, 1}));
  EXPECT_TRUE((contiguous_strides({}) == Shape{}));
  EXPECT_TRUE((broadcast_strides({3, 1}, {1, 1}, {2, 3, 4}) == Shape{0, 1, 0}));
}

TEST(Shape, BroadcastsByNumPysRule) {
  struct Row {
    Shape a, b, out;
  };
  for (const Row& row :
       {Row{{2, 3}, {3}, {2, 3}}, Row{{2, 1}, {1, 3}, {2, 3}}, Row{{}, {4}, {4}},
        Row{{5, 1, 4}, {3, 1}, {5, 3, 4}}, Row{{0, 3}, {1, 3}, {0, 3}}, Row{{1}, {0}, {0}}}) {
    EXPECT_EQ(to_text(broadcast_shapes("op", row.a, row.b)), to_text(row.out));
    EXPECT_EQ(to_text(broadcast_shapes("op", row.b, row.a)), to_text(row.out));
  }
  EXPECT_TRUE(broadcasts_to({3}, {2, 3}));
  EXPECT_TRUE(broadcasts_to({2, 1}, {2, 3}));
  EXPECT_TRUE(broadcasts_to({}, {4}));
  EXPECT_TRUE(broadcasts_to({1}, {0}));
  EXPECT_FALSE(broadcasts_to({2, 3}, {3})) << "more dims";
  EXPECT_FALSE(broadcasts_to({3}, {1})) << "the other way";
  EXPECT_FALSE(broadcasts_to({2}, {2, 3}));
  EXPECT_FALSE(broadcasts_to({0}, {2}));
  expect_error(
      [] {
        broadcast_shapes("op", {2, 3}, {2});
      },
      "op", {"(2, 3) and (2,) do not broadcast: 3 against 2"});
  expect_error([] { broadcast_shapes("op", {0}, {2}); }, "op", {"0 against 2"});
}

TEST(Shape, NegativeDimsCountFromTheEnd) {
  EXPECT_EQ(normalize_dim("op", -1, 3), 2);
  EXPECT_EQ(normalize_dim("op", 0, 3), 0);
  EXPECT_EQ(normalize_dim("op", -1, 0), 0);
  expect_error([] { normalize_dim("op", 3, 3); }, "op",
               {"dim 3 is out of range: expected -3 to 2"});
  expect_error([] { normalize_dim("op", -4, 3); }, "op", {"dim -4"});
  expect_error([] { normalize_dim("op", 1, 0); }, "op", {"dim 1"});
}

TEST(DType, SizesAndNames) {
  const struct {
    DType dtype;
    size_t bytes;
    const char* name;
  } rows[] = {
      {f32, 4, "f32"}, {f64, 8, "f64"}, {i64, 8, "i64"}, {u8, 1, "u8"}, {boolean, 1, "bool"}};
  for (const auto& row : rows) {
    EXPECT_EQ(size_of(row.dtype), row.bytes);
    EXPECT_EQ(to_text(row.dtype), row.name);
    EXPECT_EQ(dispatch_all(row.dtype, []<class T>(T) { return sizeof(T); }), row.bytes);
  }
  EXPECT_TRUE(is_floating(f32) && is_floating(f64) && !is_floating(i64) && !is_floating(u8) &&
              !is_floating(boolean));
}

TEST(Device, ParsesAndPrints) {
  EXPECT_EQ(to_text(Device::parse("cpu")), "cpu");
  EXPECT_EQ(to_text(Device::parse("cuda")), "cuda:0");
  EXPECT_EQ(to_text(Device::parse("cuda:3")), "cuda:3");
  for (const char* text : {"", "gpu", "cuda:", "cuda:x", "cpu:0"}) {
    expect_error([&] { Device::parse(text); }, "device",
                 {"unknown device '" + std::string(text) + "'"});
  }
}

TEST(Error, AllErrorsHaveTheSameForm) {
  try {
    fail("cross_entropy", "target ", Shape{64}, " does not match input ", Shape{32, 10}, ", ", f32,
         " ", 1.5, " ", true);
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[cross_entropy] target (64,) does not match input (32, 10), f32 1.5 true");
  }
}

}  // namespace
}  // namespace ebb
