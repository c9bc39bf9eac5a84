// Operators of tensors, methods that write in place, and indexing by several indices.
#include <ebb/ebb.h>
#include <gtest/gtest.h>

#include <vector>

namespace {

using ebb::Tensor;

// ---- operators.h ----

TEST(Operators, MasksTakeBoolsOnly) {
  const Tensor a = ebb::tensor({true, true, false, false}),
               b = ebb::tensor({true, false, true, false});
  EXPECT_TRUE(ebb::equal(a & b, ebb::tensor({true, false, false, false})));
  EXPECT_TRUE(ebb::equal(a | b, ebb::tensor({true, true, true, false})));
  EXPECT_TRUE(ebb::equal(a ^ b, ebb::tensor({false, true, true, false})));
  EXPECT_TRUE(ebb::equal(!a, ebb::tensor({false, false, true, true})));
  EXPECT_TRUE(ebb::equal(~a, !a));
  EXPECT_THROW((void)(a & ebb::tensor({1, 0, 1, 0})), ebb::Error);
  EXPECT_THROW((void)!ebb::tensor({1.0}), ebb::Error);
}

TEST(Operators, AssignmentChangesTheElementsThatOthersSee) {
  Tensor x = ebb::tensor({1.0, 2.0});
  const Tensor other = x;
  x += 1;
  x *= ebb::tensor({2.0, 3.0});
  x -= 0.5;
  x /= 2;
  EXPECT_TRUE(ebb::equal(other, ebb::tensor({1.75, 4.25})));
  x[0] += 1;
  EXPECT_TRUE(ebb::equal(other, ebb::tensor({2.75, 4.25})));
  Tensor counts = ebb::tensor({1, 2});
  counts += 2;
  counts *= 3;
  EXPECT_TRUE(ebb::equal(counts, ebb::tensor({9, 12})));
  EXPECT_THROW(counts += 0.5, ebb::Error);
  EXPECT_THROW(counts /= 2, ebb::Error);
  EXPECT_TRUE(ebb::equal(counts, ebb::tensor({9, 12})));
}

TEST(Operators, AssignmentThatIsRecordedReplacesTheHandle) {
  const Tensor w = ebb::tensor({2.0, 3.0}).requires_grad_();
  Tensor loss = ebb::zeros({});
  const Tensor before = loss;
  for (int i = 0; i < 3; ++i) loss += ebb::sum(w * w);
  loss *= 2;
  EXPECT_EQ(before.item(), 0);
  EXPECT_EQ(loss.item(), 78);
  loss.backward();
  EXPECT_TRUE(ebb::equal(w.grad(), ebb::tensor({24.0, 36.0})));
}

TEST(Operators, AssignmentToALeafIsRefusedAndLeavesIt) {
  Tensor w = ebb::tensor({2.0, 3.0}).requires_grad_();
  EXPECT_THROW(w += 1, ebb::Error);
  EXPECT_TRUE(ebb::equal(w.detach(), ebb::tensor({2.0, 3.0})));
  {
    const ebb::NoGrad guard;
    w += 1;
  }
  EXPECT_TRUE(ebb::equal(w.detach(), ebb::tensor({3.0, 4.0})));
  Tensor x = ebb::zeros({2});
  EXPECT_THROW(x += ebb::ones({2, 2}).requires_grad_(), ebb::Error);
  EXPECT_EQ(x.dim(), 1);
}

// ---- methods in place ----

TEST(InPlace, GivesWhatTheFunctionGives) {
  const Tensor x = ebb::tensor({0.5, 1.5, 2.25});
  const auto same = [&](const auto& write, const Tensor& want) {
    Tensor y = x.clone();
    const Tensor other = y;
    write(y);
    EXPECT_TRUE(ebb::equal(other, want)) << other << want;
  };
  same([](Tensor& y) { y.abs_(); }, x.abs());
  same([](Tensor& y) { y.ceil_(); }, x.ceil());
  same([](Tensor& y) { y.clamp_(1, 2); }, x.clamp(1, 2));
  same([](Tensor& y) { y.clamp_max_(1); }, x.clamp_max(1));
  same([](Tensor& y) { y.clamp_min_(1); }, x.clamp_min(1));
  same([](Tensor& y) { y.cos_(); }, x.cos());
  same([](Tensor& y) { y.exp_(); }, x.exp());
  same([](Tensor& y) { y.floor_(); }, x.floor());
  same([](Tensor& y) { y.log_(); }, x.log());
  same([](Tensor& y) { y.neg_(); }, x.neg());
  same([](Tensor& y) { y.pow_(3); }, x.pow(3));
  same([](Tensor& y) { y.reciprocal_(); }, x.reciprocal());
  same([](Tensor& y) { y.relu_(); }, x.relu());
  same([](Tensor& y) { y.round_(); }, x.round());
  same([](Tensor& y) { y.sigmoid_(); }, x.sigmoid());
  same([](Tensor& y) { y.sin_(); }, x.sin());
  same([](Tensor& y) { y.sqrt_(); }, x.sqrt());
  same([](Tensor& y) { y.square_(); }, x.square());
  same([](Tensor& y) { y.tanh_(); }, x.tanh());
  same([](Tensor& y) { y.masked_fill_(y > 1, 7); }, ebb::tensor({0.5, 7.0, 7.0}));
  same([](Tensor& y) { y.sub_(y.clone(), 0.5); }, x * 0.5);
  same([](Tensor& y) { y.data().fill_(3); }, ebb::tensor({3.0, 3.0, 3.0}));
  Tensor y = x.clone();
  y.uniform_(2, 3);
  EXPECT_TRUE(((y >= 2) & (y < 3)).all().item<bool>());
  EXPECT_TRUE(y.normal_().isfinite().all().item<bool>());
  y.bernoulli_();
  EXPECT_TRUE(((y == 0) | (y == 1)).all().item<bool>());
}

TEST(InPlace, IsRefusedOnTensorsThatRequireGrad) {
  Tensor w = ebb::ones({2}).requires_grad_();
  EXPECT_THROW(w.relu_(), ebb::Error);
  EXPECT_THROW(w.index_put_({0}, 1), ebb::Error);
  const ebb::NoGrad guard;
  w.mul_(-1).relu_().index_put_({0}, 5);
  EXPECT_TRUE(ebb::equal(w.detach(), ebb::tensor({5.0, 0.0})));
}

// ---- x.index({...}); the results are those of Python's torch ----

using namespace ebb::indexing;

TEST(Index, NumbersSlicesNoneAndEllipsisGiveViews) {
  Tensor x = ebb::reshape(ebb::arange(24), {2, 3, 4});
  EXPECT_TRUE(ebb::equal(x.index({1}), x[1]));
  EXPECT_TRUE(ebb::equal(x.index({Slice(), 1}), x.select(1, 1)));
  EXPECT_TRUE(
      ebb::equal(x.index({0, Slice(1, None), Slice(None, 3, 2)}), ebb::tensor({{4, 6}, {8, 10}})));
  EXPECT_TRUE(ebb::equal(x.index({"...", -1}), x.select(2, 3)));
  EXPECT_TRUE(ebb::equal(x.index({0, Ellipsis, Slice(-2, None)}), x[0].slice(1, 2, 4)));
  EXPECT_EQ(x.index({None, Slice(), None}).sizes(), ebb::Shape({1, 2, 1, 3, 4}));
  EXPECT_EQ(x.index({Ellipsis, None}).sizes(), ebb::Shape({2, 3, 4, 1}));
  x.index({Slice(), 0}).fill_(7);
  EXPECT_EQ(x[1][0][3].item<int>(), 7);
}

TEST(Index, TensorsChooseElements) {
  const Tensor x = ebb::reshape(ebb::arange(24), {2, 3, 4});
  const Tensor a = ebb::tensor({1, 0}), b = ebb::tensor({2, -1});
  EXPECT_TRUE(ebb::equal(x.index({a}), ebb::stack({x[1], x[0]})));
  EXPECT_TRUE(ebb::equal(x.index({Slice(), b}), ebb::stack({x.select(1, 2), x.select(1, 2)}, 1)));
  EXPECT_TRUE(ebb::equal(x.index({a, b}), ebb::stack({x[1][2], x[0][2]})));
  // Adjacent tensors stay in place; with a slice between them they come first.
  EXPECT_TRUE(ebb::equal(x.index({Slice(), a, b}), ebb::tensor({{6, 3}, {18, 15}})));
  EXPECT_TRUE(ebb::equal(x.index({a, Slice(), b}), ebb::tensor({{14, 18, 22}, {3, 7, 11}})));
  // Shapes broadcast.
  EXPECT_TRUE(
      ebb::equal(x.index({ebb::tensor({{1}, {0}}), b, 0}), ebb::tensor({{20, 20}, {8, 8}})));
  const Tensor mask = x > 20;
  EXPECT_TRUE(ebb::equal(x.index({mask}), ebb::tensor({21, 22, 23})));
  EXPECT_TRUE(ebb::equal(x.index({Slice(), ebb::tensor({true, false, true}), 0}),
                         ebb::tensor({{0, 8}, {12, 20}})));
}

TEST(Index, HasGradients) {
  Tensor x = ebb::ones({2, 3}).requires_grad_();
  (x.index({ebb::tensor({0, 0, 1}), ebb::tensor({2, 2, 0})}) * ebb::tensor({1.0, 2.0, 4.0}))
      .sum()
      .backward();
  EXPECT_TRUE(ebb::equal(x.grad(), ebb::tensor({{0.0, 0.0, 3.0}, {4.0, 0.0, 0.0}})));
}

TEST(Index, PutWritesIntoTheElements) {
  Tensor x = ebb::zeros({2, 3});
  x.index_put_({Slice(), 1}, ebb::tensor({1.0, 2.0}));
  x.index_put_({0, Ellipsis, 0}, 5);
  x.index_put_({x > 1.5}, -1);
  EXPECT_TRUE(ebb::equal(x, ebb::tensor({{-1.0, 1.0, 0.0}, {0.0, -1.0, 0.0}})));
}

TEST(Index, BadIndicesAreRefusedInOneLine) {
  Tensor x = ebb::zeros({2, 3});
  const auto error = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const ebb::Error& e) {
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error([&] {
              (void)x.index({0, 0, 0});
            }),
            "[index] expected at most 2 indices for shape (2, 3), got 3");
  EXPECT_EQ(error([&] {
              (void)x.index({Ellipsis, "..."});
            }),
            "[index] expected one Ellipsis, got 2");
  EXPECT_EQ(error([&] { (void)x.index({"x"}); }), "[index] expected \"...\", got \"x\"");
  EXPECT_EQ(error([&] { (void)x.index({Slice(None, None, -1)}); }),
            "[index] expected a step of at least 1, got -1");
  EXPECT_EQ(error([&] { (void)x.index({ebb::tensor({1.0})}); }),
            "[index] expected an index of i64 or a mask of bool, got f32");
  EXPECT_NE(error([&] { (void)x.index({ebb::tensor({2})}); }).find("[index]"), std::string::npos);
  EXPECT_NE(error([&] { (void)x.index({ebb::tensor({true})}); }).find("mask (1,) does not fit"),
            std::string::npos);
  EXPECT_NE(error([&] { x.index_put_({ebb::tensor({0})}, 1); }).find("not supported"),
            std::string::npos);
  for (const std::string& text :
       {error([&] { (void)x.index({5}); }), error([&] { (void)x.unbind(2); }),
        error([&] { (void)ebb::scalar(1.0).unbind(); })}) {
    EXPECT_EQ(text[0], '[') << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
}

}  // namespace
