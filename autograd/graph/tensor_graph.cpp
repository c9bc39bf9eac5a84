// The members of Tensor that create or use a graph: conversions, in-place writes, gradients.
#include "ebb/autograd/graph/engine.h"
#include "ebb/autograd/graph/node_extras.h"
#include "ebb/autograd/ops/formulas/arithmetic.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/pointwise.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/core/rebinding.h"

namespace ebb {
namespace {

struct Convert {
  static constexpr std::string_view name = "to";
  struct State {
    DType dtype = DType::F32;
    Device device;
  };
  static int shape(const Tensor& x, DType, Device) {
    check_defined(name, x);
    return 0;
  }
  static Tensor forward(State& state, int, const Tensor& x, DType dtype, Device device) {
    state = {x.dtype(), x.device()};
    const Device from = x.device();
    Tensor out = empty(x.shape(), {.dtype = dtype, .device = from});
    backend(from).copy(out, x);
    if (device == from) return out;
    Tensor moved = empty(x.shape(), {.dtype = dtype, .device = device});
    backend(device.type == DeviceType::CPU ? from : device)
        .copy_bytes(moved.raw(), device, out.raw(), from,
                    static_cast<size_t>(out.numel()) * size_of(dtype));
    return moved;
  }
  static Tensor backward(const State& state, const Tensor& g) {
    return is_floating(state.dtype) ? apply<Convert>(g, state.dtype, state.device) : Tensor();
  }
};

// x in row-major order, in its own storage.
struct Clone {
  static constexpr std::string_view name = "clone";
  struct State {};
  static int shape(const Tensor& x) {
    check_defined(name, x);
    return 0;
  }
  static Tensor forward(State&, int, const Tensor& x) {
    Tensor out = empty(x.shape(), {.dtype = x.dtype(), .device = x.device()});
    backend(x.device()).copy(out, x);
    return out;
  }
  static Tensor backward(const State&, const Tensor& g) { return g; }
};

}  // namespace

// ---- conversions ----

Tensor Tensor::to(Device device, Where where) const {
  check_defined("to", *this);
  return device == this->device() ? *this
                                  : apply<Convert>(*TensorArg(*this, where), dtype(), device);
}
Tensor Tensor::to(DType dtype, Where where) const {
  check_defined("to", *this);
  return dtype == this->dtype() ? *this : apply<Convert>(*TensorArg(*this, where), dtype, device());
}
Tensor Tensor::clone(Where where) const { return apply<Clone>(*TensorArg(*this, where)); }
Tensor Tensor::contiguous(Where where) const {
  check_defined("contiguous", *this);
  return is_contiguous() ? *this : clone(where);
}
Tensor Tensor::operator[](Index i) const {
  return ebb::select(TensorArg(*this, i.where), 0, i.value);
}

// ---- in place ----

namespace {

// Throws Error if a source would lose its gradient, or does not fit.
void check_source(std::string_view op, const Tensor& target, const Tensor& source) {
  check_writable(op, target);
  check_defined(op, source);
  if (source.requires_grad() && grad_enabled()) {
    fail(op, "in-place ops are not recorded, and the source ", source,
         " requires grad: use no_grad or detach()");
  }
  if (!broadcasts_to(source.shape(), target.shape())) {
    fail(op, "source ", source.shape(), " does not broadcast to ", target.shape());
  }
}

// Returns the source, or a copy if it overlaps the target at other elements, because these would be
// written before they are read.
Tensor apart(const Tensor& target, const Tensor& source) {
  if (target.impl()->storage.get() != source.impl()->storage.get()) return source;
  const bool same = target.raw() == source.raw() && target.shape() == source.shape() &&
                    target.strides() == source.strides();
  return same ? source : source.clone();
}

// Computes target = f(target, source) in place. Integers are computed in i64.
template <class F>
Tensor& update(std::string_view op, Tensor& target, const F& formula, const Tensor& source) {
  check_source(op, target, source);
  const Tensor operand = apart(target, source);
  const Tensor* both[] = {&target, &operand};
  check_same_kind(op, both);
  constexpr int N = 2;
  const FormulaOp& table = detail::formula_op<F, N, false>();
  if (!is_floating(target.dtype()) && (!table.has_integers || target.dtype() == DType::Bool)) {
    fail(op, "expected a floating tensor, got ", target);
  }
  const DType compute = is_floating(target.dtype()) ? target.dtype() : DType::I64;
  Tensor result = target;
  if (!target.is_contiguous()) result = empty_like(target);
  Tensor* out[] = {&result};
  backend(target.device())
      .pointwise({&table, &formula, Pass::Value, compute, &target.shape(), both, out});
  if (!target.is_contiguous()) backend(target.device()).copy(target, result);
  target.impl()->storage->bump_version();
  return target;
}

// Returns a number as a tensor with the dtype and device of target. Throws Error if an integer
// dtype cannot represent it.
Tensor operand_of(std::string_view op, const Tensor& target, Scalar value) {
  check_defined(op, target);
  value.check_exact(op, target.dtype());
  return scalar(value, {.dtype = target.dtype(), .device = target.device()});
}

}  // namespace

Tensor& Tensor::fill_(Scalar value) {
  check_writable("fill_", *this);
  value.check_exact("fill_", dtype());
  backend(device()).fill(*this, value);
  impl_->storage->bump_version();
  return *this;
}

Tensor& Tensor::copy_(const Tensor& source) {
  check_source("copy_", *this, source);
  const Tensor here = apart(*this, source.to(device()));
  backend(device()).copy(*this, here);
  impl_->storage->bump_version();
  return *this;
}

Tensor& Tensor::add_(const Tensor& other, double alpha) {
  return alpha == 1 ? update("add_", *this, formulas::Add{}, other)
                    : update("add_", *this, formulas::AddScaled{alpha}, other);
}
Tensor& Tensor::add_(Scalar other) { return add_(operand_of("add_", *this, other)); }
Tensor& Tensor::sub_(const Tensor& other, double alpha) {
  return alpha == 1 ? update("sub_", *this, formulas::Sub{}, other) : add_(other, -alpha);
}
Tensor& Tensor::sub_(Scalar other) { return sub_(operand_of("sub_", *this, other)); }
Tensor& Tensor::mul_(const Tensor& other) { return update("mul_", *this, formulas::Mul{}, other); }
Tensor& Tensor::mul_(Scalar factor) { return mul_(operand_of("mul_", *this, factor)); }
Tensor& Tensor::div_(const Tensor& other) { return update("div_", *this, formulas::Div{}, other); }
Tensor& Tensor::div_(Scalar divisor) { return div_(operand_of("div_", *this, divisor)); }

// ---- gradients ----

Tensor& Tensor::requires_grad_(bool on) {
  check_defined("requires_grad_", *this);
  if (on && !is_floating(dtype()))
    fail("requires_grad_", "only floating tensors have gradients, this one is ", dtype());
  if (!is_leaf())
    fail("requires_grad_", *this, " is the result of an op: detach() it to make a leaf");
  if (on == requires_grad()) return *this;
  if (on) Ref<LeafNode>::adopt(new LeafNode)->attach(*this);
  else impl_->node = nullptr;
  return *this;
}

bool Tensor::is_leaf() const { return !body("is_leaf").node || node()->is_leaf(); }

Tensor Tensor::grad() const {
  check_defined("grad", *this);
  if (!impl_->node) return {};
  if (node()->is_leaf()) return static_cast<LeafNode*>(node())->grad;
  if (const Node::Extras* extras = node()->extras_if_any()) {
    for (const auto& [output, kept] : extras->kept) {
      if (output == static_cast<int>(impl_->output_index)) return kept;
    }
  }
  return {};
}

void Tensor::set_grad(const Tensor& grad) const {
  check_defined("set_grad", *this);
  if (!requires_grad() || !is_leaf()) fail("set_grad", *this, " is not a leaf that requires grad");
  if (grad.defined() && (!(grad.shape() == shape()) || grad.dtype() != dtype())) {
    fail("set_grad", "gradient ", grad, " does not match ", *this);
  }
  static_cast<LeafNode*>(node())->grad = grad;
}

void Tensor::set_data(const Tensor& other) {
  check_defined("set_data", *this);
  check_defined("set_data", other);
  if (!is_leaf()) fail("set_data", *this, " is the result of an op");
  if (requires_grad() && (!(other.shape() == shape()) || !is_floating(other.dtype()))) {
    fail("set_data", other, " cannot replace ", *this);
  }
  const TensorImpl& from = *other.impl();
  impl_->dtype = from.dtype;
  impl_->contiguous = from.contiguous;
  impl_->storage = from.storage;
  impl_->data = from.data;
  impl_->numel = from.numel;
  impl_->shape = from.shape;
  impl_->strides = from.strides;
  detail::count_rebinding();
  if (!requires_grad()) return;
  node()->output(0).dtype = from.dtype;
  set_grad({});
}

const Tensor& Tensor::retain_grad() const {
  check_defined("retain_grad", *this);
  if (!requires_grad()) fail("retain_grad", *this, " does not require grad");
  if (!is_leaf())
    node()->extras().kept.emplace_back(static_cast<int>(impl_->output_index), Tensor());
  return *this;
}

Tensor Tensor::detach() const {
  check_defined("detach", *this);
  return make_view(*this, shape(), strides());
}

std::string Tensor::grad_node_name() const {
  check_defined("grad_node_name", *this);
  return is_leaf() ? std::string() : std::string(node()->name());
}

}  // namespace ebb
