// Structural ops: an op is one struct, and apply<Op>(inputs..., options...) runs and records it.
//
//   struct Flip {
//     static constexpr std::string_view name = "flip";
//     struct State { int dim; };                     // what backward needs: Saved tensors, sizes
//     static Shape shape(const Tensor& x, int dim);  // all checks; its result is passed to forward
//     static Tensor forward(State& state, const Shape& out, const Tensor& x, int dim);
//     // Calls public ops, so derivatives of every order follow.
//     static Tensor backward(const State& state, const Tensor& gradient);
//   };
//   Tensor flip(const TensorArg& x, int dim) { return apply<Flip>(*x, dim); }
//
// Arguments of type Tensor or std::vector<Tensor> are inputs, in order. All others are options.
// forward runs without recording. backward may take `const BackwardContext&` as a third parameter.
// It returns the gradients of the inputs as a Tensor (for one input), a std::array or a
// std::vector; an undefined tensor means no gradient. An op with several outputs returns
// std::array<Tensor, N> from forward and takes std::span<const Tensor> in backward. An op without a
// derivative has no backward. If a gradient reaches it, an error names the op.
#pragma once

#include <array>
#include <type_traits>
#include <vector>

#include "ebb/autograd/graph/node.h"
#include "ebb/autograd/graph/saved.h"
#include "ebb/autograd/graph/saved_bytes.h"
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/ops/registry.h"
#include "ebb/core/grad_mode.h"

namespace ebb {

namespace detail {

template <class Op> inline const RegisterOp registered{Op::name};

template <class T> inline constexpr bool is_tensor_array = false;
template <size_t N> inline constexpr bool is_tensor_array<std::array<Tensor, N>> = true;

// Calls visit(tensor) for each input among the arguments.
template <class Visit, class Arg> void visit_inputs(Visit& visit, const Arg& arg) {
  if constexpr (std::is_same_v<Arg, Tensor>) visit(arg);
  else if constexpr (std::is_same_v<Arg, std::vector<Tensor>>) {
    for (const Tensor& t : arg) visit(t);
  }
}

// Appends an argument that is not an input.
template <class Arg> void note_option(std::vector<OpOption>& options, const Arg& arg) {
  if constexpr (!std::is_same_v<Arg, Tensor> && !std::is_same_v<Arg, std::vector<Tensor>>)
    options.emplace_back(arg);
}

// Replaces a result that is also an input by a view of it, because an input must not be an output
// of the op.
inline void own_result(std::string_view op, Tensor& result) {
  if (!result.defined()) [[unlikely]]
    fail(op, "forward returned an undefined tensor");
  if (!result.impl()->count.unique()) result = make_view(result, result.shape(), result.strides());
}

}  // namespace detail

template <class Op> class OpNode final : public Node {
 public:
  OpNode(int outputs, typename Op::State&& state) : Node(outputs), state_(std::move(state)) {}
  std::string_view name() const override { return Op::name; }

  void backward(const BackwardContext& context, std::span<const Tensor> gradients,
                std::span<Tensor> results) override {
    if constexpr (requires { Op::backward(state_, gradients[0], context); }) {
      store(Op::backward(state_, gradients[0], context), results);
    } else if constexpr (requires { Op::backward(state_, gradients[0]); }) {
      store(Op::backward(state_, gradients[0]), results);
    } else if constexpr (requires { Op::backward(state_, gradients, context); }) {
      store(Op::backward(state_, gradients, context), results);
    } else if constexpr (requires { Op::backward(state_, gradients); }) {
      store(Op::backward(state_, gradients), results);
    } else {
      fail_without_derivative(*this);
    }
  }
  void release_saved() override { state_ = typename Op::State{}; }
  int64_t saved_bytes() const override { return detail::bytes_of(state_); }
  Tensor relu_mask() const override {
    if constexpr (requires { Op::relu_mask(state_); }) return Op::relu_mask(state_);
    else return {};
  }
  bool ignores_unit_seed() const override {
    if constexpr (requires { Op::ignores_unit_seed(state_); }) return Op::ignores_unit_seed(state_);
    else return false;
  }

 private:
  static void store(Tensor&& gradient, std::span<Tensor> results) {
    results[0] = std::move(gradient);
  }
  template <class List> static void store(List&& list, std::span<Tensor> results) {
    if (list.size() != results.size()) {
      fail(Op::name, "backward gave ", list.size(), " gradients for ", results.size(), " inputs");
    }
    for (size_t i = 0; i < results.size(); ++i) results[i] = std::move(list[i]);
  }

  typename Op::State state_;
};

/// Runs Op on the arguments. Records it if recording is on and an input requires grad.
template <class Op, class... Args> auto apply(const Args&... args) {
  (void)detail::registered<Op>;
  const auto plan = Op::shape(args...);
  typename Op::State state{};
  bool wanted = false;
  uint32_t inputs = 0;
  auto look = [&](const Tensor& t) {
    ++inputs;
    wanted |= t.defined() && t.requires_grad();
  };
  (detail::visit_inputs(look, args), ...);
  auto result = [&] {
    const NoGrad guard;
    const detail::InsideOp inside;
    return Op::forward(state, plan, args...);
  }();
  constexpr bool several = detail::is_tensor_array<decltype(result)>;
  if constexpr (several) {
    for (Tensor& output : result) detail::own_result(Op::name, output);
  } else {
    detail::own_result(Op::name, result);
  }
  Ref<OpNode<Op>> node;
  if (wanted && grad_enabled()) {
    int outputs = 1;
    if constexpr (several) outputs = static_cast<int>(result.size());
    node = Ref<OpNode<Op>>::adopt(new OpNode<Op>(outputs, std::move(state)));
    node->reserve_edges(inputs);
    uint32_t i = 0;
    auto connect = [&](const Tensor& t) { node->set_edge(i++, t); };
    (detail::visit_inputs(connect, args), ...);
    if constexpr (several) {
      for (int k = 0; k < outputs; ++k) {
        const Tensor& output = result[static_cast<size_t>(k)];
        if (is_floating(output.dtype())) node->attach(output, k);
        else node->note_output(output, k);
      }
    } else if (is_floating(result.dtype())) {  // integers have no gradient
      node->attach(result);
    }
  }
  if (detail::observers) [[unlikely]] {
    std::vector<const Tensor*> list, results;
    auto collect = [&](const Tensor& t) {
      if (t.defined()) list.push_back(&t);
    };
    (detail::visit_inputs(collect, args), ...);
    if constexpr (several) {
      for (const Tensor& t : result) results.push_back(&t);
    } else {
      results.push_back(&result);
    }
    std::vector<OpOption> options;
    (detail::note_option(options, args), ...);
    note_results(Op::name, node.get(), results, list, options);
  }
  detail::forget_call_site();
  return result;
}

// ---- checks of several ops ----

/// Throws Error unless all defined tensors have the same dtype and device.
void check_same_kind(std::string_view op, std::span<const Tensor* const> tensors);
/// Throws Error unless the tensor has a floating dtype.
void check_floating(std::string_view op, const Tensor& tensor);

}  // namespace ebb
