// Your own kernel on the GPU: a structural op that passes raw pointers and Ebb's stream to a
// launcher.
//
// Ebb submits all work on the device to one stream, in program order. A kernel on this stream runs
// after all earlier work and before all later work. Nothing has to wait, and memory may be freed at
// once.
#include "own_cuda_kernel.h"

#include <ebb/nn/optim/rule_optimizer.h>

#include "check.h"
#include "sign_descent.h"

using ebb::Shape;
using ebb::Tensor;

Tensor soft_ramp(const ebb::TensorArg& x) { return ebb::pointwise(SoftRamp{}, x); }
Tensor log_cosh_loss(const ebb::TensorArg& x, const Tensor& t) {
  using namespace ebb::nn;
  return pointwise_loss(LogCoshLoss{}, {}, Reduction::Mean, MeanOver::Elements, x, t);
}

/// Computes the running median of three along a vector, and keeps both ends: (n) -> (n), on the
/// device of x.
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
  static Tensor forward(State& state, const Shape& shape, const Tensor& x) {
    const Tensor in = x.contiguous();
    Tensor out = ebb::empty(shape, {.dtype = x.dtype(), .device = x.device()});
    Tensor chosen = ebb::empty(shape, {.dtype = ebb::i64, .device = x.device()});
    if (x.dtype() == ebb::f32) run_on<float>(in, out, chosen);
    else run_on<double>(in, out, chosen);
    state = {chosen, x.shape()};
    return out;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return ebb::scatter_add(g, state.input, 0, state.chosen);
  }

 private:
  template <class T> static void run_on(const Tensor& in, const Tensor& out, const Tensor& chosen) {
    // The address of the first element, on any device.
    const T* x = reinterpret_cast<const T*>(in.raw());
    T* y = reinterpret_cast<T*>(out.raw());
    int64_t* indices = reinterpret_cast<int64_t*>(chosen.raw());
    const int64_t n = in.numel();
    if (in.device().type == ebb::DeviceType::CUDA)
      return launch_median3(x, y, indices, n, ebb::cuda::stream());
    for (int64_t i = 0; i < n; ++i) {
      indices[i] = median3_at(x, i, n);
      y[i] = x[indices[i]];
    }
  }
};
Tensor median3(const ebb::TensorArg& x) { return ebb::apply<Median3>(*x); }

int main() {
  const int status = run([] {
    const auto f = [](const std::vector<Tensor>& in) {
      return std::vector<Tensor>{median3(soft_ramp(in[0]))};
    };
    const Tensor x = leaf({9});
    ebb::gradcheck(f, {x}, {.allow_zero = true});
    ebb::gradgradcheck(f, {x});
    expect("median3", median3(ebb::tensor({5, 1, 2, 9, 3}, ebb::f64)),
           ebb::tensor({5, 2, 2, 3, 3}, ebb::f64));
    if (!ebb::cuda::is_available()) return;

    Tensor on_host = ebb::randn({1000}, {.dtype = ebb::f64}).requires_grad_();
    Tensor on_device = on_host.detach().to(ebb::Device::cuda()).requires_grad_();
    for (Tensor* t : {&on_host, &on_device}) {
      const Tensor y = median3(soft_ramp(*t));
      log_cosh_loss(y, ebb::ones_like(y)).backward();
      ebb::nn::RuleOptimizer<SignDescent>({{"x", *t}}, {.lr = 0.5}).step();
    }
    expect("values on the GPU", median3(soft_ramp(on_device)).to(ebb::Device::cpu()),
           median3(soft_ramp(on_host)));
    expect("gradients on the GPU", on_device.grad().to(ebb::Device::cpu()), on_host.grad());
  });
  if (status == EXIT_SUCCESS && !ebb::cuda::is_available())
    return std::cout << "skipped: there is no GPU\n", 77;
  return status;
}
