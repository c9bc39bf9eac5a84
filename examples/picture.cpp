// Prints the graph of a small classifier's loss: as a table, or for Graphviz: picture dot | dot
// -Tsvg > graph.svg
#include <ebb/ebb.h>

#include <iostream>
#include <string_view>

using namespace ebb;

int main(int argc, char** argv) {
  const bool dot = argc == 2 && argv[1] == std::string_view("dot");
  if (argc > 1 && !dot) return std::cerr << "error: picture expected no argument or 'dot'\n", 2;
  manual_seed(1);
  nn::Sequential model(nn::Linear(64, 32), nn::Tanh(), nn::Linear(32, 10));
  const Tensor x = randn({16, 64}), target = arange(0, 16);
  const Tensor loss = nn::cross_entropy(model(x), target - 10 * (target >= 10).to(i64));
  const PictureOptions options{.names = model.named_parameters()};
  std::cout << (dot ? to_dot(loss, options) : graph_text(loss, options));
}
