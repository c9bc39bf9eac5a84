// Printing tensors for people: aligned columns, long dims shortened, then shape, dtype and graph node.
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
  if (value != value) return "nan";  // without the sign that printf shows
  char text[64];
  if (std::isfinite(value) && value != 0 && (std::fabs(value) >= 1e5 || std::fabs(value) < 1e-4)) {
    std::snprintf(text, sizeof text, "%.*e", precision, value);
  } else {
    std::snprintf(text, sizeof text, "%.*f", precision, value);
  }
  return text;
}

// The elements along dim that are shown of a shortened tensor: those at both ends.
Tensor edges(const Tensor& t, int dim) {
  Shape shape = t.shape();
  shape[dim] = 2 * kEdge;
  const Tensor out = empty(shape, {.dtype = t.dtype(), .device = t.device()});
  shape[dim] = kEdge;
  for (const bool last : {false, true}) {
    const int64_t to = last ? kEdge : 0, from = last ? t.shape()[dim] - kEdge : 0;
    Tensor window = make_view(out, shape, out.strides(), to * out.strides()[dim]);
    backend(t.device()).copy(window, make_view(t, shape, t.strides(), from * t.strides()[dim]));
  }
  return out;
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

  // The longest dims are cut first, so that little is copied.
  Tensor shown_elements(const Tensor& t) const {
    Tensor shown = t;
    for (bool cut = true; cut;) {
      int longest = 0;
      for (int i = 1; i < shown.dim(); ++i) {
        if (shown.shape()[i] > shown.shape()[longest]) longest = i;
      }
      cut = shown.shape()[longest] > 2 * kEdge;
      if (cut) shown = edges(shown, longest);
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

  Shape shape_, shown_;  // of the tensor, and of the elements that are shown
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
