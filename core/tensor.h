// Tensor: a strided, typed view of a storage on a device, and the handle to its node in the graph.
//
// A Tensor is a cheap handle: copying it shares the elements. Data, parameters and gradients have
// the same type. Views (reshape, transpose, slice, expand, ...) share the storage of the tensor
// that they view. The functions on tensors are declared in autograd/ops/. Thread-safety: any number
// of threads may read a tensor. No other thread may use a tensor while one writes to it.
#pragma once

#include <concepts>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <limits>
#include <source_location>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "ebb/core/device.h"
#include "ebb/core/dtype.h"
#include "ebb/core/error.h"
#include "ebb/core/graph_node.h"
#include "ebb/core/hook_handle.h"
#include "ebb/core/number.h"
#include "ebb/core/ref.h"
#include "ebb/core/shape.h"
#include "ebb/core/storage.h"
#include "ebb/core/tensor_methods.h"

namespace ebb {

class Node;              // a node of the graph: autograd/graph/node.h
struct BackwardOptions;  // autograd/graph/engine.h
struct TensorOptions;    // core/creation.h

namespace detail {
/// Throws the Error of a member of Tensor that was called on an undefined tensor.
[[noreturn]] void fail_undefined(const char* member);
}  // namespace detail

/// The body that the handles of a tensor share. Ops and backends use it; users hold Tensors.
struct TensorImpl {
  RefCount count;
  DType dtype;
  bool contiguous;            ///< row-major without gaps
  uint32_t output_index = 0;  ///< the index of this tensor among the outputs of `node`
  Ref<Storage> storage;
  std::byte* data;  ///< the first element
  int64_t numel;
  /// The node that created this tensor, or its gradient leaf. Null if it requires no gradient.
  Ref<GraphNode> node;
  Shape shape;
  Shape strides;  ///< in elements

  void retain() { count.retain(); }
  void release() {
    if (count.release()) destroy(this);
  }
  static void destroy(TensorImpl* impl) noexcept;
};

/// An index with the source location where it was written.
struct Index {
  Index(std::integral auto i, std::source_location where = std::source_location::current())
      : value(Scalar(i).template to<int64_t>("select")), where(where) {}
  int64_t value;
  std::source_location where;
};

class Tensor : public TensorMethods {
 public:
  /// Creates an undefined tensor, which has no elements and no shape. Only defined(), impl() and
  /// impl_ref() may be called on it; every other member throws Error "got an undefined tensor".
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  ~Tensor() = default;

  /// Makes this variable a handle of another tensor. Elements do not change.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  /// Writes the elements of a temporary, such as a view: z[0] = y is z[0].copy_(y), and z[0] = 5 is
  /// z[0].fill_(5). Throws the errors of copy_ and fill_.
  void operator=(const Tensor& source) && { copy_(source); }
  void operator=(Scalar value) && { fill_(value); }

  // ---- properties ----
  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const& { return body("shape").shape; }
  Shape shape() const&& { return body("shape").shape; }
  const Shape& strides() const& { return body("strides").strides; }
  Shape strides() const&& { return body("strides").strides; }
  int dim() const { return body("dim").shape.dim(); }
  /// Returns the size along a dim. Negative dims count from the end. Throws Error if dim is out of
  /// range.
  int64_t size(int64_t dim) const;
  int64_t numel() const { return body("numel").numel; }
  DType dtype() const { return body("dtype").dtype; }
  Device device() const { return body("device").storage->device(); }
  /// Return shape(), dtype() and one of strides(), under torch's names.
  Shape sizes() const { return shape(); }
  DType scalar_type() const { return dtype(); }
  int64_t stride(int64_t dim) const;
  bool is_floating_point() const { return is_floating(dtype()); }
  /// The dtype and the device: zeros({2}, x.options()).
  TensorOptions options() const;
  /// zeros(shape, options()) and so on.
  Tensor new_empty(const Shape& shape) const;
  Tensor new_zeros(const Shape& shape) const;
  Tensor new_ones(const Shape& shape) const;
  Tensor new_full(const Shape& shape, Scalar value) const;
  bool is_cuda() const { return device() != Device::cpu(); }
  bool is_contiguous() const { return body("is_contiguous").contiguous; }

  // ---- elements ----
  /// Returns a pointer to the first element of a tensor on the CPU, for reading. The other elements
  /// are at strides(). The tensor must outlive the pointer, so a call on a temporary does not
  /// compile:
  ///
  ///     const Tensor y = x.contiguous();
  ///     const float* p = y.data<float>();
  ///
  /// Throws Error unless T is the type of the elements.
  template <class T> const T* data() const& {
    check_access(dtype_of<T>);
    return reinterpret_cast<const T*>(impl_->data);
  }
  /// detach(), torch's name for it: w.data().fill_(0).
  Tensor data() const& { return detach(); }
  template <class T> const T* data() const&& = delete;  // the elements may die with the temporary
  /// Returns the same pointer for writing. This counts as an in-place change, which a graph that
  /// saved this tensor notices.
  template <class T> T* mutable_data() & {
    check_access(dtype_of<T>);
    impl_->storage->bump_version();
    return reinterpret_cast<T*>(impl_->data);
  }
  template <class T> T* mutable_data() && = delete;
  /// Returns the only element, converted to any arithmetic type by the rule of to(DType). Throws
  /// Error unless numel() is 1, and if T cannot represent the element.
  template <class T = double> T item() const { return item_number().to<T>("item"); }
  /// Returns all elements in row-major order, copied to the host and converted to any arithmetic
  /// type by the rule of to(DType). Throws Error if T cannot represent one of them.
  template <class T> std::vector<T> to_vector() const {
    if constexpr (requires { elements<T>(); }) {
      return elements<T>();
    } else {
      static_assert(std::is_integral_v<T>, "to_vector<T>() needs float, double or an integer type");
      std::vector<T> converted;
      for (int64_t v : elements<int64_t>()) converted.push_back(Scalar(v).to<T>("to_vector"));
      return converted;
    }
  }

  // ---- conversions and copies, recorded in the graph ----
  /// Returns the values on another device, or this tensor itself if it is on that device.
  [[nodiscard]] Tensor to(Device device, Where where = Where::current()) const;
  /// Returns the values in another dtype, or this tensor itself if it has that dtype. Conversions
  /// between floating dtypes are differentiable. The same rule applies to all conversions of
  /// elements: here, in copy_, item() and to_vector().
  ///
  /// | from     | to f32, f64                | to i64, u8                    | to bool        |
  /// |----------|----------------------------|-------------------------------|----------------|
  /// | f32, f64 | nearest; beyond f32: +-inf | without the fraction; Error   | true unless 0, |
  /// |          |                            | for NaN, infinity and values  | so NaN is true |
  /// |          |                            | out of range                  |                |
  /// | i64, u8  | nearest                    | the same value; Error if u8   | true unless 0  |
  /// |          |                            | cannot represent it           |                |
  /// | bool     | 0 or 1                     | 0 or 1                        | unchanged      |
  ///
  /// On a GPU the Error is thrown the next time that the host waits for the device. Until then the
  /// element is 0.
  [[nodiscard]] Tensor to(DType dtype, Where where = Where::current()) const;
  [[nodiscard]] Tensor cpu(Where where = Where::current()) const {
    return to(Device::cpu(), where);
  }
  [[nodiscard]] Tensor cuda(Where where = Where::current()) const {
    return to(Device::cuda(), where);
  }
  [[nodiscard]] Tensor type_as(const Tensor& other, Where where = Where::current()) const {
    return to(other.dtype(), where);
  }
  /// Returns a copy with its own storage.
  [[nodiscard]] Tensor clone(Where where = Where::current()) const;
  /// Returns this tensor if it is contiguous, else a contiguous copy.
  [[nodiscard]] Tensor contiguous(Where where = Where::current()) const;
  /// Returns the i-th slice along the first dim, with shape (s1, s2, ...). A view.
  Tensor operator[](Index i) const;
  /// Returns index(x, mask_or_indices): the elements where a bool mask is true, or the slices at
  /// integer indices. The result is a copy. It is const, so that x[mask] = y does not compile; use
  /// masked_fill() or where() for that.
  const Tensor operator[](const Tensor& index) const;

  // ---- in place; throw Error on tensors that require grad, except under NoGrad ----
  /// Sets every element. Throws Error if an integer or bool dtype cannot represent the value: 0.5
  /// in i64.
  Tensor& fill_(Scalar value);
  Tensor& zero_() { return fill_(0); }
  /// Copies the values of source, which is broadcast and converted.
  Tensor& copy_(const Tensor& source);
  /// Adds alpha * other, subtracts, multiplies or divides by other, which broadcasts to the shape
  /// of this tensor. A number takes the dtype of this tensor. autograd/ops/operators.h declares x
  /// += y and the other operators.
  Tensor& add_(const Tensor& other, double alpha = 1);
  Tensor& add_(Scalar other);
  Tensor& sub_(const Tensor& other, double alpha = 1);
  Tensor& sub_(Scalar other);
  Tensor& mul_(const Tensor& other);
  Tensor& mul_(Scalar factor);
  Tensor& div_(const Tensor& other);
  Tensor& div_(Scalar divisor);

  // ---- gradients (defined in autograd/) ----
  bool requires_grad() const { return static_cast<bool>(body("requires_grad").node); }
  /// Starts (or stops) recording for a leaf. Throws Error for integer tensors and for results of
  /// recorded ops.
  Tensor& requires_grad_(bool on = true);
  /// Returns true unless a recorded op created this tensor.
  bool is_leaf() const;
  /// Returns the accumulated gradient of a leaf (or of a tensor with retain_grad()). Undefined
  /// before backward.
  Tensor grad() const;
  /// Sets the gradient of a leaf. An undefined tensor clears it.
  void set_grad(const Tensor& grad) const;
  /// Keeps the gradient of a tensor that is not a leaf, so that grad() returns it after backward.
  const Tensor& retain_grad() const;
  /// Calls hook with the gradient of this tensor whenever backward computes it. If the hook returns
  /// a defined tensor, that one replaces the gradient; a hook may also return nothing.
  ///
  ///     y.register_hook([](const Tensor& g) { std::cout << g; });
  ///     y.register_hook([](const Tensor& g) { return g * 0.5; });
  template <class F> HookHandle register_hook(F hook) const {
    if constexpr (std::is_void_v<std::invoke_result_t<F&, const Tensor&>>) {
      return add_hook([hook = std::move(hook)](const Tensor& gradient) mutable {
        hook(gradient);
        return Tensor();
      });
    } else {
      return add_hook(std::move(hook));
    }
  }
  /// Returns the node of the graph that created this tensor, or null unless requires_grad(). The
  /// node has hooks of its own (autograd/graph/node.h).
  Node* node() const;
  /// Computes the gradients of all leaves that this tensor depends on and adds them to their
  /// grad().
  ///
  /// gradient: the upstream gradient, with the shape of this tensor; 1 by default, for one element.
  /// create_graph: see GradOptions in autograd/graph/engine.h. Throws Error if no graph was
  /// recorded, or if an earlier backward has freed it.
  void backward(const Tensor& gradient = {}, bool retain_graph = false,
                bool create_graph = false) const;
  /// Does the same with named options: y.backward({.create_graph = true}). A template, so that
  /// y.backward({}) calls the overload above.
  template <class = void> void backward(const BackwardOptions& options) const {
    backward_with(options);
  }
  /// Returns a tensor with the same storage and without a graph.
  [[nodiscard]] Tensor detach() const;
  /// Returns the name of the op that created this tensor, or "" for a leaf.
  std::string grad_node_name() const;

  /// Makes all handles of this tensor refer to the elements of another one, as Module::to() does
  /// with parameters. It clears the gradient and is not recorded. Throws Error if the shape of a
  /// leaf that requires grad would change.
  void set_data(const Tensor& other);

  // ---- for ops and backends ----
  TensorImpl* impl() const { return impl_.get(); }
  Ref<TensorImpl> impl_ref() const { return impl_; }
  /// Returns the address of the first element, on any device. The other elements are at strides().
  /// For kernels: writing there does not count as an in-place change, so write only to tensors that
  /// no other code has seen.
  std::byte* raw() const { return body("raw").data; }
  uint32_t version() const { return body("version").storage->version(); }
  /// Returns true if no other handle and no view refers to the elements, so that they may be
  /// overwritten or passed on.
  bool is_unique() const { return body("is_unique").count.unique() && impl_->storage->unique(); }

 private:
  const TensorImpl& body(const char* member) const {
    if (!impl_) [[unlikely]]
      detail::fail_undefined(member);
    return *impl_;
  }
  HookHandle add_hook(std::function<Tensor(const Tensor&)> hook) const;
  void backward_with(const BackwardOptions& options) const;
  void check_access(DType asked) const;
  Scalar item_number() const;
  template <class T>
  requires(std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, int64_t> ||
           std::same_as<T, uint8_t> || std::same_as<T, bool>) std::vector<T> elements()
  const;

  Ref<TensorImpl> impl_;
};

std::string to_text(const Tensor& tensor);

/// Throws Error that names op if the tensor is undefined.
inline void check_defined(std::string_view op, const Tensor& tensor) {
  if (!tensor.defined()) [[unlikely]]
    fail(op, "got an undefined tensor");
}

/// Throws Error that names op if the tensor must not be changed in place: it requires grad and
/// recording is on, or its elements share memory.
void check_writable(std::string_view op, const Tensor& tensor);

/// Returns a view of the same storage, without a graph. offset counts elements from the first one
/// of base. REQUIRES that the view stays inside of the storage.
Tensor make_view(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset = 0);

/// Returns the text of a tensor, with `precision` digits. Large tensors are shortened in the
/// middle.
std::string to_string(const Tensor& tensor, int precision = 4);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace ebb

// Creation functions come with the type: zeros, full, arange, tensor({1, 2}) ...
#include "ebb/core/creation.h"
