// Pictures of a graph must show what the graph contains.
#include "ebb/autograd/inspect/picture.h"

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/tests/support/check.h"

namespace ebb {
namespace {

using test::expect_error;

bool contains(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}
int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
  return n;
}

struct Small {
  Tensor x = tensor({{1, 2}, {3, 4}}, f64), w = tensor({{0.5, -1}, {2, 1}}, f64).requires_grad_();
  Tensor loss() const { return sum(square(matmul(x, w))); }
};

TEST(Picture, DotShowsWhatTheGraphContains) {
  Small s;
  const Tensor loss = s.loss();
  const std::string dot = to_dot(loss, {.names = {{"layer.weight", s.w}}});
  EXPECT_TRUE(dot.starts_with("digraph ")) << dot;
  EXPECT_TRUE(dot.ends_with("}\n")) << dot;
  EXPECT_TRUE(contains(dot, "label=\"sum\\n() f64\\n|gradient| 1\"")) << dot;
  // square saved its input, 4 doubles; its gradient is 1 everywhere.
  EXPECT_TRUE(contains(dot, "label=\"square\\n(2, 2) f64\\nsaved 32 B\\n|gradient| 2\"")) << dot;
  EXPECT_TRUE(contains(dot, "label=\"matmul\\n(1, 2, 2) f64\\nsaved 64 B")) << dot;
  EXPECT_TRUE(contains(dot, "label=\"layer.weight\\n(2, 2) f64")) << dot;
  EXPECT_EQ(count(dot, " -> "), count(dot, "label=") - 1) << "a chain";
  EXPECT_FALSE(s.w.grad().defined()) << "grad() is left alone";
  loss.backward();  // keeps the graph
  // The norm of the leaf's gradient is that of backward.
  double squares = 0;
  for (double g : s.w.grad().to_vector<double>()) squares += g * g;
  char text[40];
  std::snprintf(text, sizeof(text), "|gradient| %.3g\", shape=ellipse", std::sqrt(squares));
  EXPECT_TRUE(contains(dot, text)) << text << " in " << dot;
}

TEST(Picture, OfAFreedGraphHasNoNorms) {
  Small s;
  const Tensor loss = s.loss();
  loss.backward();
  const std::string dot = to_dot(loss);
  EXPECT_FALSE(contains(dot, "|gradient|")) << dot;
  EXPECT_FALSE(contains(dot, "saved")) << dot;
  EXPECT_TRUE(contains(dot, "square"));
}

TEST(Picture, TextHasOneLinePerNode) {
  Small s;
  const std::string text = graph_text(s.loss(), {.names = {{"w", s.w}}});
  const std::string nodes = to_dot(s.loss());
  EXPECT_EQ(count(text, "\n"), 1 + count(nodes, "label=")) << text;
  EXPECT_TRUE(text.starts_with("#  op")) << text;
  EXPECT_TRUE(contains(text, "\n0  sum")) << text;
  EXPECT_TRUE(contains(text, "32 B   2")) << text;
  EXPECT_TRUE(contains(graph_text(s.loss(), {.gradients = false}), "square")) << text;
  EXPECT_LT(text.find("sum"), text.find("square"));
  EXPECT_LT(text.find("square"), text.find("\n", text.find(" w ")));
}

TEST(Picture, SharedTensorsAreOneNode) {
  Tensor x = tensor({2}, f64).requires_grad_();
  const std::string dot = to_dot(x * x + x, {.names = {{"a \"name\"", x}}});
  EXPECT_EQ(count(dot, "shape=ellipse"), 1) << dot;
  EXPECT_EQ(count(dot, " -> "), 4) << dot;
  EXPECT_TRUE(contains(dot, "a \\\"name\\\"")) << dot;
}

TEST(Picture, NeedsAGraph) {
  expect_error([] { to_dot(tensor({1}, f32)); }, "to_dot", {"does not require grad"});
  expect_error([] { graph_text(Tensor()); }, "graph_text", {"undefined"});
}

}  // namespace
}  // namespace ebb
