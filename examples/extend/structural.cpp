// A structural op moves, sums or mixes elements. It is one struct with shape, forward and backward.
#include "check.h"

using ebb::Shape;
using ebb::Tensor;

/// Computes cumulative sums along the last dim: (..., n) -> (..., n). Its gradient is the same op
/// in the other direction, so gradients of every order follow.
struct CumulativeSum {
  static constexpr std::string_view name = "cumulative_sum";
  struct State {  // what backward needs
    bool backwards;
  };
  static Shape shape(const Tensor& x, bool) {  // all checks; its result is passed to forward
    ebb::check_floating(name, x);
    if (x.dim() == 0) ebb::fail(name, "input ", x.shape(), " has no dim to sum along");
    return x.shape();
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, bool backwards) {
    state.backwards = backwards;
    const int64_t n = shape[shape.dim() - 1];
    Tensor out = x.clone();
    Tensor total = ebb::zeros_like(ebb::select(out, -1, 0));
    for (int64_t i = 0; i < n; ++i) {  // forward is not recorded, so it may write in place
      Tensor column = ebb::select(out, -1, backwards ? n - 1 - i : i);
      total.add_(column);
      column.copy_(total);
    }
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return ebb::apply<CumulativeSum>(g, !state.backwards);
  }
};
Tensor cumulative_sum(const ebb::TensorArg& x) { return ebb::apply<CumulativeSum>(*x, false); }

/// Computes x / |x| for each row of (N, K). Saves its output and the norms; backward uses public
/// ops.
struct NormalizeRows {
  static constexpr std::string_view name = "normalize_rows";
  struct State {
    ebb::Saved y, x;
  };
  static int shape(const Tensor& x) {
    ebb::check_floating(name, x);
    if (x.dim() != 2) ebb::fail(name, "input ", x.shape(), " must be (N, K)");
    return 0;
  }
  static Tensor norm(const Tensor& x) { return ebb::sqrt(ebb::sum(x * x, {1}, true)); }
  static Tensor forward(State& state, int, const Tensor& x) {
    const Tensor y = x / norm(x);
    state = {ebb::Saved::output(y), ebb::Saved(x)};  // keeps the output without a reference cycle
    return y;
  }
  static Tensor backward(const State& state, const Tensor& g) {  // (g - y <g, y>) / |x|
    const Tensor y = state.y.get();
    return (g - y * ebb::sum(g * y, {1}, true)) / norm(state.x.get());
  }
};
Tensor normalize_rows(const ebb::TensorArg& x) { return ebb::apply<NormalizeRows>(*x); }

/// An op without backward. A gradient that reaches it is an error that names the op.
struct RankRows {
  static constexpr std::string_view name = "rank_rows";
  struct State {};
  static int shape(const Tensor&) { return 0; }
  static Tensor forward(State&, int, const Tensor& x) {
    return ebb::sum((ebb::unsqueeze(x, 2) > ebb::unsqueeze(x, 1)).to(x.dtype()), {2});
  }
};

int main() {
  return run([] {
    const Tensor x = leaf({3, 4});
    for (auto op : {cumulative_sum, normalize_rows}) {
      const auto f = [op](const std::vector<Tensor>& in) { return std::vector<Tensor>{op(in[0])}; };
      ebb::gradcheck(f, {x});
      // cumulative_sum is linear, so its second order is 0.
      ebb::gradgradcheck(f, {x}, {.allow_zero = op == cumulative_sum});
    }
    expect("cumulative_sum", cumulative_sum(ebb::tensor({1, 2, 3}, ebb::f64)),
           ebb::tensor({1, 3, 6}, ebb::f64));
    try {
      ebb::sum(ebb::apply<RankRows>(x) * x).backward();
      ebb::fail("rank_rows", "the missing derivative was not reported");
    } catch (const ebb::Error& error) {
      if (std::string(error.what()).find("no derivative") == std::string::npos) throw;
      std::cout << "rank_rows: " << error.what() << "\n";
    }
  });
}
