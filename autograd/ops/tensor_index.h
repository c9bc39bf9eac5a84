// Indexing by several indices at once: x.index({Slice(), 0}) is Python's x[:, 0].
#pragma once

#include <concepts>
#include <optional>
#include <string_view>
#include <variant>
#include <vector>

#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/core/tensor.h"

namespace ebb {

namespace indexing {

struct EllipsisIndexType {};
/// Inserts a dim of size 1, and means an absent bound of a Slice.
inline constexpr std::nullopt_t None = std::nullopt;
/// Means as many full slices as x has further dims. The string "..." means the same.
inline constexpr EllipsisIndexType Ellipsis{};

/// The elements start, start + step ... below stop, as in Python: negative bounds count from the
/// end, bounds are clamped to the size, and an absent bound (None) is an end of the dim. Throws
/// Error unless step >= 1.
///
///     Slice();            // [:]
///     Slice(1);           // [1:]
///     Slice(None, -1);    // [:-1]
///     Slice(0, None, 2);  // [0::2]
struct Slice {
  explicit Slice(std::optional<int64_t> start = {}, std::optional<int64_t> stop = {},
                 std::optional<int64_t> step = {});
  int64_t start, stop, step;
};

/// One index: a number, a Slice, None, Ellipsis, a bool mask or a tensor of i64.
class TensorIndex {
 public:
  TensorIndex(std::integral auto i) : value(Scalar(i).template to<int64_t>("index")) {}
  TensorIndex(bool) = delete;
  TensorIndex(std::nullopt_t) : value(std::nullopt) {}
  TensorIndex(EllipsisIndexType ellipsis) : value(ellipsis) {}
  TensorIndex(const char* ellipsis);  ///< "...". Throws Error for another text.
  TensorIndex(Slice slice) : value(slice) {}
  TensorIndex(Tensor tensor) : value(std::move(tensor)) {}

  std::variant<int64_t, Slice, std::nullopt_t, EllipsisIndexType, Tensor> value;
};

}  // namespace indexing

/// Returns the elements that the indices name, as Python's x[i, j ...]. Numbers, slices, None and
/// Ellipsis give a view.
///
/// Tensors of i64 broadcast against each other and choose elements one by one; a bool mask over k
/// dims means the k tensors of the indices of its true elements. Their dims take the place of
/// the first one, or come first if a number or a slice is between them. Differentiable. Throws
/// Error where there are more indices than dims, and for an index out of range.
///
///     Tensor x = tensor({{1, 2, 3}, {4, 5, 6}});
///     x.index({indexing::Slice(), 0});                  // [1, 4]
///     x.index({"...", indexing::Slice(1)});             // [[2, 3], [5, 6]]
///     x.index({tensor({1, 0}), tensor({0, 2})});        // [4, 3]
///
/// Composed in tensor_index.cpp. Test: index in rows_rearrange.cpp.
Tensor index(const TensorArg& x, const std::vector<indexing::TensorIndex>& indices);
/// Sets the elements that the indices name, as Python's x[i, j ...] = value, and returns x. Values
/// broadcast.
///
/// Throws Error if x requires grad outside of NoGrad. Tensors of i64 are not supported: use
/// scatter_add or where.
///
///     x.index_put_({indexing::Slice(), 0}, 7);  // a column
///     x.index_put_({x > 2}, 0);                 // by a mask
///
/// Composed in tensor_index.cpp. Test: index in rows_rearrange.cpp.
Tensor index_put_(Tensor x, const std::vector<indexing::TensorIndex>& indices, const Tensor& value);
Tensor index_put_(Tensor x, const std::vector<indexing::TensorIndex>& indices, Scalar value);

/// Returns the slices of dim 0 (or another one) as a list of views without that dim.
///
///     unbind(tensor({{1, 2}, {3, 4}}));  // [1, 2] and [3, 4]
///
/// Composed in tensor_index.cpp. Test: select in rows_views.cpp.
std::vector<Tensor> unbind(const TensorArg& x, int64_t dim = 0);

}  // namespace ebb
