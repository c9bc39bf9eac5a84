// Your own kernel: a structural op that reads and writes elements through raw pointers.
//
// data<T>() reads and mutable_data<T>() writes the elements of a CPU tensor in place. strides()
// gives their layout, and contiguous() makes it simple. Any code that computes on pointers can be
// called here: a loop, a library, a thread pool.
#include "check.h"

#include <algorithm>

using ebb::Shape;
using ebb::Tensor;

/// Computes the running median of three along a vector, and keeps both ends: (n) -> (n). The
/// gradient goes to the element that was chosen, whose index forward stores.
struct Median3 {
  static constexpr std::string_view name = "median3";
  struct State {
    Tensor chosen;  // i64
    Shape input;
  };
  static Shape shape(const Tensor& x) {
    ebb::check_floating(name, x);
    if (x.dim() != 1) ebb::fail(name, "input ", x.shape(), " must be (n)");
    return x.shape();
  }

  template <class T> static void kernel(const T* x, T* y, int64_t* chosen, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
      int64_t three[3] = {std::max<int64_t>(i - 1, 0), i, std::min(i + 1, n - 1)};
      std::sort(three, three + 3, [x](int64_t a, int64_t b) { return x[a] < x[b]; });
      chosen[i] = i == 0 || i == n - 1 ? i : three[1];
      y[i] = x[chosen[i]];
    }
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& x) {
    const Tensor in = x.contiguous();
    Tensor out = ebb::empty(shape, {.dtype = x.dtype()}),
           chosen = ebb::empty(shape, {.dtype = ebb::i64});
    int64_t* indices = chosen.mutable_data<int64_t>();
    if (x.dtype() == ebb::f32)
      kernel(in.data<float>(), out.mutable_data<float>(), indices, x.numel());
    else kernel(in.data<double>(), out.mutable_data<double>(), indices, x.numel());
    state = {chosen, x.shape()};
    return out;
  }
  static Tensor backward(const State& state,
                         const Tensor& g) {  // uses a public op, so every order follows
    return ebb::scatter_add(g, state.input, 0, state.chosen);
  }
};
Tensor median3(const ebb::TensorArg& x) { return ebb::apply<Median3>(*x); }

int main() {
  return run([] {
    const auto f = [](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{median3(in[0] * in[0])};
    };
    const Tensor x = leaf({9});
    ebb::gradcheck(f, {x}, {.allow_zero = true});
    ebb::gradgradcheck(f, {x});
    expect("median3", median3(ebb::tensor({5, 1, 2, 9, 3}, ebb::f64)),
           ebb::tensor({5, 2, 2, 3, 3}, ebb::f64));
  });
}
