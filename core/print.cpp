// Printing tensors for people: aligned columns, long dims shortened, then shape, dtype and graph
// node.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <ostream>

#include "ebb/core/backend.h"
#include "ebb/core/tensor.h"

namespace ebb {
namespace {

constexpr int64_t kShortenAbove = 1000;  // elements
constexpr int64_t kEdge = 3;             // entries shown at both ends of a shortened dim

std::string format_element(double value, DType dtype, int precision) {
  if (dtype == DType::Bool) return value != 0 ? "true" : "false";
  if (value != value) return "nan";  // without the sign that printf prints
  char text[64];
  if (std::isfinite(value) && value != 0 && (std::fabs(value) >= 1e5 || std::fabs(value) < 1e-4)) {
    std::snprintf(text, sizeof text, "%.*e", precision, value);
  } else {
    std::snprintf(text, sizeof text, "%.*f", precision, value);
  }
  return text;
}

class Printer {
 public:
  Printer(const Tensor& t, int precision) : shape_(t.shape()), shorten_(t.numel() > kShortenAbove) {
    const Tensor shown = shorten_ ? shown_elements(t) : t;
    shown_ = shown.shape();
    if (t.dtype() == DType::I64 || t.dtype() == DType::U8) {
      for (int64_t v : shown.to_vector<int64_t>()) texts_.push_back(std::to_string(v));
    } else {
      for (double v : shown.to_vector<double>())
        texts_.push_back(format_element(v, t.dtype(), precision));
    }
    if (!shorten_) {
      for (const std::string& text : texts_) width_ = std::max(width_, text.size());
    }
  }

  std::string print() { return texts_.empty() ? "[]" : print_dim(0, 0, 1); }

 private:
  bool is_cut(int dim) const { return shorten_ && shape_[dim] > 2 * kEdge; }

  // The elements at both ends of the dims that are cut: copied corner by corner, so that nothing
  // else is looked at.
  Tensor shown_elements(const Tensor& t) const {
    Shape shape = t.shape(), corner = t.shape();
    int corners = 1;
    for (int i = 0; i < t.dim(); ++i) {
      if (!is_cut(i)) continue;
      shape[i] = 2 * kEdge;
      corner[i] = kEdge;
      corners *= 2;
    }
    const Tensor shown = empty(shape, options_like(t));
    for (int c = 0; c < corners; ++c) {
      int64_t from = 0, to = 0;
      for (int i = 0, bit = 1; i < t.dim(); ++i) {
        if (!is_cut(i)) continue;
        if (c & bit) {  // the end of dim i
          from += (t.shape()[i] - kEdge) * t.strides()[i];
          to += kEdge * shown.strides()[i];
        }
        bit *= 2;
      }
      Tensor window = make_view(shown, corner, shown.strides(), to);
      backend(t.device()).copy(window, make_view(t, corner, t.strides(), from));
    }
    return shown;
  }

  std::string print_dim(int dim, int64_t first, size_t indent) {
    if (dim == shape_.dim()) {
      const std::string& text = texts_[static_cast<size_t>(first)];
      return text.size() < width_ ? std::string(width_ - text.size(), ' ') + text : text;
    }
    int64_t inner = 1;
    for (int i = dim + 1; i < shape_.dim(); ++i) inner *= shown_[i];
    const bool is_row = dim == shape_.dim() - 1;
    const std::string separator = is_row ? ", " : ",\n" + std::string(indent, ' ');
    std::string text = "[";
    for (int64_t i = 0; i < shown_[dim]; ++i) {
      if (i) text += separator;
      if (i == kEdge && is_cut(dim)) text += "..." + separator;
      text += print_dim(dim + 1, first + i * inner, indent + 1);
    }
    return text + "]";
  }

  Shape shape_, shown_;  // shapes of the tensor and of the elements that are shown
  bool shorten_;
  size_t width_ = 0;
  std::vector<std::string> texts_;
};

}  // namespace

std::string to_string(const Tensor& tensor, int precision) {
  if (!tensor.defined()) return "Tensor(undefined)";
  std::string text = Printer(tensor, precision).print();
  text += (tensor.dim() > 1 && tensor.numel() > 0 ? "\n" : " ") + to_text(tensor);
  return text;
}

std::string to_text(const Tensor& tensor) {
  if (!tensor.defined()) return "Tensor(undefined)";
  std::string text =
      "Tensor(shape=" + to_text(tensor.shape()) + ", dtype=" + to_text(tensor.dtype());
  if (tensor.device() != Device::cpu()) text += ", device=" + to_text(tensor.device());
  if (tensor.requires_grad()) {
    const std::string name = tensor.grad_node_name();
    text += name.empty() ? ", requires_grad=true" : ", grad_node=" + name;
  }
  return text + ")";
}

std::ostream& operator<<(std::ostream& out, const Tensor& tensor) {
  return out << to_string(tensor);
}

}  // namespace ebb
