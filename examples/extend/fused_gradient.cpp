// A fused gradient that is itself an op: forward and gradient are one loop over memory each, and
// gradients of every order follow.
#include "check.h"

using ebb::Shape;
using ebb::Tensor;

// Calls body with the elements of x and y, made contiguous.
template <class Body>
void on_elements(const Tensor& x, const Tensor& y, const Tensor& g, Tensor& out, Body body) {
  const Tensor a = x.contiguous(), b = y.contiguous(), c = g.contiguous();
  if (x.dtype() == ebb::f32)
    body(a.data<float>(), b.data<float>(), c.data<float>(), out.mutable_data<float>());
  else body(a.data<double>(), b.data<double>(), c.data<double>(), out.mutable_data<double>());
}

/// Computes 2 g_n (x_nk - y_nk), the gradient of the squared distances by x. It is linear in all
/// three inputs, and its own backward uses public ops.
struct SquaredDistancesGradient {
  static constexpr std::string_view name = "squared_distances_gradient";
  struct State {
    ebb::Saved x, y, g;
  };
  static Shape shape(const Tensor& x, const Tensor&, const Tensor&) { return x.shape(); }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Tensor& y,
                        const Tensor& g) {
    state = {ebb::Saved(x), ebb::Saved(y), ebb::Saved(g)};
    Tensor out = ebb::empty(shape, {.dtype = x.dtype()});
    on_elements(x, y, g, out,
                [rows = shape[0], columns = shape[1]](auto* a, auto* b, auto* upstream, auto* to) {
                  for (int64_t i = 0; i < rows * columns; ++i)
                    to[i] = 2 * upstream[i / columns] * (a[i] - b[i]);
                });
    return out;
  }
  static std::array<Tensor, 3> backward(const State& state, const Tensor& c) {
    const Tensor by_x = 2.0 * c * ebb::unsqueeze(state.g.get(), 1);
    return {by_x, -by_x, ebb::sum(2.0 * c * (state.x.get() - state.y.get()), {1})};
  }
};

/// Computes d_n = sum_k (x_nk - y_nk)^2: (N, K), (N, K) -> (N).
struct SquaredDistances {
  static constexpr std::string_view name = "squared_distances";
  struct State {
    ebb::Saved x, y;
  };
  static Shape shape(const Tensor& x, const Tensor& y) {
    const Tensor* both[] = {&x, &y};
    ebb::check_floating(name, x);
    ebb::check_same_kind(name, both);
    if (x.dim() != 2 || !(x.shape() == y.shape())) {
      ebb::fail(name, "inputs ", x.shape(), " and ", y.shape(), " must both be (N, K)");
    }
    return {x.size(0)};
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x, const Tensor& y) {
    state = {ebb::Saved(x), ebb::Saved(y)};
    Tensor out = ebb::zeros(shape, {.dtype = x.dtype()});
    on_elements(x, y, x, out,
                [rows = shape[0], columns = x.size(1)](auto* a, auto* b, auto*, auto* to) {
                  for (int64_t i = 0; i < rows * columns; ++i)
                    to[i / columns] += (a[i] - b[i]) * (a[i] - b[i]);
                });
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g) {
    const Tensor by_x = ebb::apply<SquaredDistancesGradient>(state.x.get(), state.y.get(), g);
    return {by_x, -by_x};
  }
};
Tensor squared_distances(const ebb::TensorArg& x, const Tensor& y) {
  return ebb::apply<SquaredDistances>(*x, y);
}

int main() {
  return run([] {
    const auto f = [](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{squared_distances(in[0], in[1])};
    };
    const Tensor x = leaf({3, 4}), y = leaf({3, 4});
    ebb::gradcheck(f, {x, y});
    ebb::gradgradcheck(f, {x, y});
    expect("squared_distances", squared_distances(x, y), ebb::sum(ebb::square(x - y), {1}));
  });
}
