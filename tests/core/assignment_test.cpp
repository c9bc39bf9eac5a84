// z = y makes z a handle of y; z[0] = y writes into z. Objects that contain tensors assign handles.
#include <algorithm>
#include <map>
#include <optional>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/grad_mode.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;
using test::expect_values;

TEST(Assignment, ToAViewWritesTheElements) {
  Tensor z = zeros({2, 2});
  const Tensor y = ones({2});
  z[0] = y;
  expect_values(z, {1, 1, 0, 0});
  z[1] = ones({2}) * 3;
  expect_values(z, {1, 1, 3, 3});
  z[0][1] = 5;
  z[1][0] = 0.5;
  expect_values(z, {1, 5, 0.5, 3});
  slice(z, 1, 0, 1) = tensor({{7.}, {8.}});
  expect_values(z, {7, 5, 8, 3});
  transpose(z)[0] = tensor({1, 2});  // converted as copy_ does
  expect_values(z, {1, 5, 2, 3});
  z[1] = z[0];
  expect_values(z, {1, 5, 1, 5});
  z[0] = scalar(9.0);
  expect_values(z, {9, 9, 1, 5});
  EXPECT_EQ(y.to_vector<float>(), (std::vector<float>{1, 1}));
  const Tensor handle = z;  // constness is that of the handle
  handle[1] = 0;
  expect_values(z, {9, 9, 0, 0});
}

TEST(Assignment, ToAViewCountsAsAChangeInPlace) {
  Tensor z = zeros({2, 2});
  const uint32_t before = z.version();
  z[0] = 1.0;
  EXPECT_GT(z.version(), before);
}

TEST(Assignment, ToAViewIsRefusedWhereWritesAre) {
  Tensor x = ones({2, 2}).requires_grad_();
  expect_error([&] { x[0] = ones({2}); }, "copy_", {"requires grad"});
  expect_error([&] { x[0] = 1.0; }, "fill_", {"requires grad"});
  {
    const NoGrad guard;
    x[0] = zeros({2});
  }
  expect_values(x, {0, 0, 1, 1});
  Tensor z = zeros({2, 2}), i = zeros({2}, i64);
  expect_error([&] { z[0] = ones({3}); }, "copy_", {"(3,) does not broadcast to (2,)"});
  expect_error([&] { z[0] = x[0]; }, "copy_", {"requires grad"});
  expect_error([&] { z[0] = Tensor(); }, "copy_", {"undefined"});
  expect_error([&] { i[0] = 0.5; }, "fill_", {"0.5 is not an integer"});
  expect_error([&] { expand(zeros({1}), {3}) = 1.0; }, "fill_", {"share memory"});
}

TEST(Assignment, ToAVariableMakesItAnotherHandle) {
  Tensor a = tensor({1., 2.}), b = tensor({3., 4.});
  const Tensor first = a;
  a = b;
  EXPECT_EQ(a.raw(), b.raw());
  expect_values(first, {1, 2});
  a = tensor({5.});
  expect_values(b, {3, 4});
  a = {};
  EXPECT_FALSE(a.defined());
  a = std::move(b);
  expect_values(a, {3, 4});
  EXPECT_FALSE(b.defined());
  static_assert(!std::is_assignable_v<Tensor&, double>, "x = 5.0 names no tensor");
  static_assert(std::is_nothrow_move_assignable_v<Tensor> && std::is_copy_assignable_v<Tensor>);
}

TEST(Assignment, ContainersAssignHandles) {
  const auto make = [](double v) { return full({1}, v); };
  Tensor a = make(1), b = make(2);
  std::swap(a, b);
  expect_values(a, {2});
  expect_values(b, {1});
  EXPECT_EQ(std::exchange(a, make(3)).item(), 2);
  std::tie(a, b) = std::pair(make(4), make(5));
  EXPECT_EQ(b.item(), 5);

  std::vector<Tensor> list{make(3), make(1), make(2)};
  const std::vector<Tensor> kept = list;
  list.insert(list.begin(), make(0));
  std::rotate(list.begin(), list.begin() + 1, list.end());
  std::sort(list.begin(), list.end(),
            [](const Tensor& x, const Tensor& y) { return x.item() < y.item(); });
  list.erase(list.begin());
  list.back() = make(9);
  EXPECT_EQ(list[0].item() + 10 * list[1].item() + 100 * list[2].item(), 921);
  EXPECT_EQ(kept[0].item() + 10 * kept[1].item() + 100 * kept[2].item(), 213);
  list = kept;
  EXPECT_EQ(list[0].raw(), kept[0].raw());

  std::optional<Tensor> maybe;
  maybe = make(6);
  *maybe = make(7);
  EXPECT_EQ(maybe->item(), 7);
  std::map<std::string, Tensor> map;
  map["x"] = make(8);
  map.insert_or_assign("x", make(9));
  EXPECT_EQ(map.at("x").item(), 9);
  std::variant<int, Tensor> either = 1;
  either = make(3);
  either = make(4);
  EXPECT_EQ(std::get<Tensor>(either).item(), 4);
  struct Pair {
    Tensor x, y;
  } pair, other{make(1), make(2)};
  pair = other;
  EXPECT_EQ(pair.y.raw(), other.y.raw());
}

}  // namespace
}  // namespace ebb
