// An undefined tensor: every member says so, and a view of a temporary does not compile.
#include <sstream>

#include "ebb/autograd/graph/engine.h"
#include "ebb/core/tensor.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

template <class Call> void refuses(const char* name, Call call) {
  SCOPED_TRACE(name);
  expect_error(call, name, {"got an undefined tensor"});
}

TEST(Undefined, EveryMemberSaysSo) {
  const Tensor u;
  Tensor v;
  EXPECT_FALSE(u.defined());
  EXPECT_EQ(u.impl(), nullptr);
  EXPECT_FALSE(u.impl_ref());
  refuses("shape", [&] { (void)u.shape(); });
  refuses("strides", [&] { (void)u.strides(); });
  refuses("dim", [&] { (void)u.dim(); });
  refuses("size", [&] { (void)u.size(0); });
  refuses("numel", [&] { (void)u.numel(); });
  refuses("dtype", [&] { (void)u.dtype(); });
  refuses("device", [&] { (void)u.device(); });
  refuses("is_contiguous", [&] { (void)u.is_contiguous(); });
  refuses("data", [&] { (void)u.data<float>(); });
  refuses("data", [&] { (void)v.mutable_data<float>(); });
  refuses("item", [&] { (void)u.item(); });
  refuses("item", [&] { (void)u.item<int64_t>(); });
  refuses("to_vector", [&] { (void)u.to_vector<double>(); });
  refuses("to", [&] { (void)u.to(Device::cpu()); });
  refuses("to", [&] { (void)u.to(f64); });
  refuses("clone", [&] { (void)u.clone(); });
  refuses("contiguous", [&] { (void)u.contiguous(); });
  refuses("select", [&] { (void)u[0]; });
  refuses("fill_", [&] { v.fill_(1); });
  refuses("fill_", [&] { v.zero_(); });
  refuses("copy_", [&] { v.copy_(ones({1})); });
  refuses("add_", [&] { v.add_(ones({1})); });
  refuses("mul_", [&] { v.mul_(ones({1})); });
  refuses("mul_", [&] { v.mul_(2.0); });
  refuses("requires_grad", [&] { (void)u.requires_grad(); });
  refuses("requires_grad_", [&] { v.requires_grad_(); });
  refuses("is_leaf", [&] { (void)u.is_leaf(); });
  refuses("grad", [&] { (void)u.grad(); });
  refuses("set_grad", [&] { u.set_grad(ones({1})); });
  refuses("retain_grad", [&] { u.retain_grad(); });
  refuses("register_hook", [&] { u.register_hook([](const Tensor&) {}); });
  refuses("node", [&] { (void)u.node(); });
  refuses("backward", [&] { u.backward(); });
  refuses("backward", [&] { u.backward({.retain_graph = true}); });
  refuses("detach", [&] { (void)u.detach(); });
  refuses("grad_node_name", [&] { (void)u.grad_node_name(); });
  refuses("set_data", [&] { v.set_data(ones({1})); });
  refuses("raw", [&] { (void)u.raw(); });
  refuses("version", [&] { (void)u.version(); });
  refuses("is_unique", [&] { (void)u.is_unique(); });
}

TEST(Undefined, AsAnArgumentOfMembers) {
  Tensor t = ones({2});
  const Tensor u;
  refuses("copy_", [&] { t.copy_(u); });
  refuses("add_", [&] { t.add_(u); });
  refuses("mul_", [&] { t.mul_(u); });
  refuses("set_data", [&] { t.set_data(u); });
  refuses("make_view", [&] { (void)make_view(u, {}, {}); });
}

TEST(Undefined, AGradientBeforeBackward) {
  const Tensor w = ones({2}).requires_grad_();
  refuses("shape", [&] { (void)w.grad().shape(); });
  refuses("numel", [&] { (void)w.grad().numel(); });
}

TEST(Undefined, Prints) {
  std::ostringstream text;
  text << Tensor();
  EXPECT_EQ(text.str(), "Tensor(undefined)");
  EXPECT_EQ(to_text(Tensor()), "Tensor(undefined)");
}

// ---- a pointer into a temporary does not compile; a shape of one is a copy ----

template <class T>
concept HasData = requires(T t) {
  static_cast<T>(t).template data<float>();
};
template <class T>
concept HasMutableData = requires(T t) {
  static_cast<T>(t).template mutable_data<float>();
};

static_assert(HasData<Tensor&> && HasData<const Tensor&>);
static_assert(!HasData<Tensor&&> && !HasData<const Tensor&&>);
static_assert(HasMutableData<Tensor&>);
static_assert(!HasMutableData<Tensor&&> && !HasMutableData<const Tensor&>);
static_assert(std::is_same_v<decltype(std::declval<const Tensor&>().shape()), const Shape&>);
static_assert(std::is_same_v<decltype(std::declval<Tensor&&>().shape()), Shape>);
static_assert(std::is_same_v<decltype(std::declval<Tensor&&>().strides()), Shape>);

TEST(Temporary, ItsShapeOutlivesIt) {
  const Shape& shape = ones({2, 3}).shape();
  EXPECT_EQ(to_text(shape), "(2, 3)");
  int64_t product = 1;
  for (const int64_t n : ones({2, 3}).shape()) product *= n;
  EXPECT_EQ(product, 6);
}

}  // namespace
}  // namespace ebb
