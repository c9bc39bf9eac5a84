// Tensor: a strided, typed view of a storage on a device, and the handle to its node in the graph.
//
// A Tensor is a cheap handle: copying it shares the elements. There is one type for data, parameters and gradients.
// Views (reshape, transpose, slice, expand ...) share the storage of the tensor that they view.
// Functions on tensors stand in autograd/ops/; here is what a tensor is.
// Thread-safety: any number of threads may read one tensor; a thread that writes needs it for itself.
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

namespace detail {
/// Throws the Error of a member of Tensor that was called on an undefined tensor.
[[noreturn]] void fail_undefined(const char* member);
}  // namespace detail

/// The shared body behind Tensor handles. Used by ops and backends; users hold Tensors.
struct TensorImpl {
  RefCount count;
  DType dtype;
  bool contiguous;            ///< row-major without gaps
  uint32_t output_index = 0;  ///< which output of `node` this is
  Ref<Storage> storage;
  std::byte* data;  ///< the first element
  int64_t numel;
  Ref<GraphNode> node;  ///< who made it, or its gradient leaf; null when no gradient is wanted
  Shape shape;
  Shape strides;  ///< in elements

  void retain() { count.retain(); }
  void release() {
    if (count.release()) destroy(this);
  }
  static void destroy(TensorImpl* impl) noexcept;
};

/// An index that knows where it was written.
struct Index {
  Index(std::integral auto i, std::source_location where = std::source_location::current())
      : value(Scalar(i).template to<int64_t>("select")), where(where) {}
  int64_t value;
  std::source_location where;
};

class Tensor : public TensorMethods {
 public:
  /// An undefined tensor: it has no elements and no shape. Only defined(), impl() and impl_ref()
  /// may be called on it; every other member throws Error "got an undefined tensor".
  Tensor() = default;
  explicit Tensor(Ref<TensorImpl> impl) : impl_(std::move(impl)) {}
  Tensor(const Tensor&) = default;
  Tensor(Tensor&&) noexcept = default;
  ~Tensor() = default;

  /// Makes this variable a handle of another tensor. No elements change.
  Tensor& operator=(const Tensor&) & = default;
  Tensor& operator=(Tensor&&) & noexcept = default;
  /// Assigning to a temporary, such as a view, writes the elements: z[0] = y is z[0].copy_(y), and z[0] = 5 is
  /// z[0].fill_(5). Throws what they throw.
  void operator=(const Tensor& source) && { copy_(source); }
  void operator=(Scalar value) && { fill_(value); }

  // ---- what it is ----
  bool defined() const { return static_cast<bool>(impl_); }
  const Shape& shape() const& { return body("shape").shape; }
  Shape shape() const&& { return body("shape").shape; }
  const Shape& strides() const& { return body("strides").strides; }
  Shape strides() const&& { return body("strides").strides; }
  int dim() const { return body("dim").shape.dim(); }
  /// The size along a dim; negative dims count from the end. Throws Error when out of range.
  int64_t size(int64_t dim) const;
  int64_t numel() const { return body("numel").numel; }
  DType dtype() const { return body("dtype").dtype; }
  Device device() const { return body("device").storage->device(); }
  /// shape() by torch's name.
  Shape sizes() const { return shape(); }
  bool is_cuda() const { return device() != Device::cpu(); }
  bool is_contiguous() const { return body("is_contiguous").contiguous; }

  // ---- its elements ----
  /// Returns a pointer to the first element of a tensor on the CPU, to read; strides() says where
  /// the others are. The tensor must outlive the pointer, so a temporary does not compile:
  ///
  ///     const Tensor y = x.contiguous();
  ///     const float* p = y.data<float>();
  ///
  /// Throws Error unless T is the type of the elements.
  template <class T> const T* data() const& {
    check_access(dtype_of<T>);
    return reinterpret_cast<const T*>(impl_->data);
  }
  template <class T> const T* data() const&& = delete;  // the elements may die with the temporary
  /// Returns the same to write. Counts as an in-place change: a graph that saved this tensor notices.
  template <class T> T* mutable_data() & {
    check_access(dtype_of<T>);
    impl_->storage->bump_version();
    return reinterpret_cast<T*>(impl_->data);
  }
  template <class T> T* mutable_data() && = delete;
  /// Returns the one element, converted to any arithmetic type by the rule of to(DType). Throws Error unless numel() is
  /// 1, and when T cannot hold the element.
  template <class T = double> T item() const { return item_number().to<T>("item"); }
  /// Returns all elements in row-major order, copied to the host and converted to any arithmetic type by the rule of
  /// to(DType). Throws Error when T cannot hold one of them.
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

  // ---- other forms of it (recorded in the graph) ----
  // `where` is the source location of the caller, for messages.
  using Place = std::source_location;
  /// The same values on another device, or this tensor itself when it is there already.
  Tensor to(Device device, Place where = Place::current()) const;
  /// The same values in another dtype, or this tensor itself. Floating to floating is differentiable. One rule holds
  /// wherever elements are converted: here, in copy_, item() and to_vector():
  ///
  /// | from       | to f32, f64                | to i64, u8                                     | to bool          |
  /// |------------|----------------------------|------------------------------------------------|------------------|
  /// | f32, f64   | nearest; beyond f32: +-inf | the fraction is dropped; Error for NaN,        | true unless 0,   |
  /// |            |                            | infinity and what does not fit                 | so NaN is true   |
  /// | i64, u8    | nearest                    | the same value; Error when u8 cannot hold it   | true unless 0    |
  /// | bool       | 0 or 1                     | 0 or 1                                         | itself           |
  ///
  /// On a GPU the Error is thrown the next time that the host waits for it; the element is 0 until then.
  Tensor to(DType dtype, Place where = Place::current()) const;
  /// A copy with its own storage.
  Tensor clone(Place where = Place::current()) const;
  /// This tensor when it lies contiguous, else a contiguous copy.
  Tensor contiguous(Place where = Place::current()) const;
  /// The i-th slice along the first dim: shape (s1, s2 ...). A view.
  Tensor operator[](Index i) const;
  /// Returns index(x, mask_or_indices): the elements where a bool mask is true, or the slices that integers name. A copy, and
  /// const, so that x[mask] = y does not compile instead of writing into the copy: use masked_fill() or where().
  const Tensor operator[](const Tensor& index) const;

  // ---- in place; refused on tensors that require grad unless under no_grad ----
  /// Sets every element. Throws Error when value is not exact in an integer or bool dtype: 0.5 in i64.
  Tensor& fill_(Scalar value);
  Tensor& zero_() { return fill_(0); }
  /// Copies values in, broadcasting and converting them.
  Tensor& copy_(const Tensor& source);
  /// Adds alpha * other, subtracts, multiplies or divides by other, which broadcasts to this tensor's shape. A number takes
  /// this tensor's dtype. x += y and the like are declared in autograd/ops/operators.h.
  Tensor& add_(const Tensor& other, double alpha = 1);
  Tensor& add_(Scalar other);
  Tensor& sub_(const Tensor& other);
  Tensor& sub_(Scalar other);
  Tensor& mul_(const Tensor& other);
  Tensor& mul_(Scalar factor);
  Tensor& div_(const Tensor& other);
  Tensor& div_(Scalar divisor);

  // ---- gradients (defined in autograd/) ----
  bool requires_grad() const { return static_cast<bool>(body("requires_grad").node); }
  /// Starts (or stops) recording for a leaf. Throws Error on integer tensors and on results of recorded ops.
  Tensor& requires_grad_(bool on = true);
  /// True unless an op that is recorded made it.
  bool is_leaf() const;
  /// The accumulated gradient of a leaf (or of a tensor with retain_grad()); undefined before backward.
  Tensor grad() const;
  /// Sets the gradient of a leaf; an undefined tensor clears it.
  void set_grad(const Tensor& grad) const;
  /// Keeps the gradient of a tensor that is not a leaf: grad() returns it after backward.
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
  /// The node of the graph that made it, which has hooks of its own (autograd/graph/node.h); null unless requires_grad().
  Node* node() const;
  /// Computes the gradients of all leaves that this tensor depends on and adds them to their grad().
  /// gradient: the upstream, of this tensor's shape; may be left out for one element (1).
  /// create_graph: see GradOptions in autograd/graph/engine.h.
  /// REQUIRES a graph: throws Error when none was recorded, or when it was freed by an earlier backward.
  void backward(const Tensor& gradient = {}, bool retain_graph = false,
                bool create_graph = false) const;
  /// The same with named options: y.backward({.create_graph = true}).
  /// A template, so that y.backward({}) means no gradient.
  template <class = void> void backward(const BackwardOptions& options) const {
    backward_with(options);
  }
  /// The same values without a graph; shares the storage.
  Tensor detach() const;
  /// The name of the op that made it; "" for leaves.
  std::string grad_node_name() const;

  /// Makes this tensor, through every handle of it, another one's elements: what Module::to() does to parameters.
  /// Shape may not change on a leaf that requires grad. Its gradient is forgotten. Not recorded.
  void set_data(const Tensor& other);

  // ---- for ops and backends ----
  TensorImpl* impl() const { return impl_.get(); }
  Ref<TensorImpl> impl_ref() const { return impl_; }
  /// The first element, on whatever device it lies; strides() tells where the others are. For kernels: writing there
  /// does not count as a change, so write only into tensors that nobody else has seen.
  std::byte* raw() const { return body("raw").data; }
  uint32_t version() const { return body("version").storage->version(); }
  /// True when no other handle and no other view sees the elements: then they may be overwritten or handed on.
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

/// Throws Error naming op when tensor is undefined.
inline void check_defined(std::string_view op, const Tensor& tensor) {
  if (!tensor.defined()) [[unlikely]]
    fail(op, "got an undefined tensor");
}

/// Throws Error naming op when the tensor may not be changed in place: it requires grad and recording is on, or its
/// elements share memory.
void check_writable(std::string_view op, const Tensor& tensor);

/// A view of the same storage. REQUIRES that it stays inside. offset in elements from the first one of base. No graph.
Tensor make_view(const Tensor& base, const Shape& shape, const Shape& strides, int64_t offset = 0);

/// How a tensor prints, with precision digits; large ones are shortened in the middle.
std::string to_string(const Tensor& tensor, int precision = 4);
std::ostream& operator<<(std::ostream& out, const Tensor& tensor);

}  // namespace ebb

// Creation functions come with the type: zeros, full, arange, tensor({1, 2}) ...
#include "ebb/core/creation.h"
