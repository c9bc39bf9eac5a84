#include "ebb/core/shape.h"

#include <algorithm>
#include <cstdio>
#include <ostream>

#include "ebb/core/device.h"
#include "ebb/core/dtype.h"

namespace ebb {

std::string to_text(double value) {
  if (value != value) return "nan";  // without the sign that printf prints
  char text[32];
  std::snprintf(text, sizeof text, "%g", value);
  return text;
}

std::string to_text(const Shape& shape) {
  std::string text(1, '(');
  for (int i = 0; i < shape.dim(); ++i) text.append(i ? ", " : "").append(std::to_string(shape[i]));
  return text.append(shape.dim() == 1 ? ",)" : ")");
}

void Shape::refuse(std::string_view op) const {
  for (int64_t n : *this) {
    if (n < 0) fail(op, "shape ", *this, " has a negative size");
  }
  fail(op, "shape ", *this, " is too large: a tensor has at most ", kMaxElements, " elements");
}

void Shape::refuse_index(int i) const {
  fail("shape", "index ", i, " is out of range: ", *this, " has ", dims_, " dimensions");
}

std::ostream& operator<<(std::ostream& out, const Shape& shape) { return out << to_text(shape); }
std::ostream& operator<<(std::ostream& out, DType dtype) { return out << name_of(dtype); }
std::ostream& operator<<(std::ostream& out, Device device) { return out << to_text(device); }

Shape contiguous_strides(const Shape& shape) {
  Shape strides = shape;
  int64_t step = 1;
  for (int i = shape.dim() - 1; i >= 0; --i) {
    strides[i] = step;
    step *= shape[i];
  }
  return strides;
}

Shape broadcast_shapes(std::string_view op, const Shape& a, const Shape& b) {
  Shape out = a.dim() >= b.dim() ? a : b;
  for (int i = 1; i <= std::min(a.dim(), b.dim()); ++i) {
    const int64_t m = a[a.dim() - i], n = b[b.dim() - i];
    if (m != n && m != 1 && n != 1)
      fail(op, "shapes ", a, " and ", b, " do not broadcast: ", m, " against ", n);
    out[out.dim() - i] = m == 1 ? n : m;
  }
  return out;
}

bool broadcasts_to(const Shape& from, const Shape& to) {
  const int lead = to.dim() - from.dim();
  bool fits = lead >= 0;
  for (int i = 0; fits && i < from.dim(); ++i) fits = from[i] == to[lead + i] || from[i] == 1;
  return fits;
}

Shape broadcast_strides(const Shape& shape, const Shape& strides, const Shape& target) {
  Shape out = target;
  const int lead = target.dim() - shape.dim();
  for (int i = 0; i < target.dim(); ++i) {
    out[i] = i < lead || (shape[i - lead] == 1 && target[i] != 1) ? 0 : strides[i - lead];
  }
  return out;
}

int normalize_dim(std::string_view op, int64_t dim, int dims) {
  const int range = std::max(dims, 1);
  if (dim < -range || dim >= range) {
    fail(op, "dim ", dim, " is out of range: expected -", range, " to ", range - 1, " for ", dims,
         " dimensions");
  }
  return static_cast<int>(dim < 0 ? dim + range : dim);
}

std::string to_text(Device device) {
  return device.type == DeviceType::CPU ? "cpu" : "cuda:" + std::to_string(device.index);
}

Device Device::parse(const std::string& text) {
  if (text == "cpu") return cpu();
  if (text == "cuda") return cuda();
  if (text.size() == 6 && text.starts_with("cuda:") && text[5] >= '0' && text[5] <= '9')
    return cuda(text[5] - '0');
  fail("device", "unknown device '", text, "': expected cpu, cuda or cuda:N");
}

void coalesce(Shape& shape, Shape* strides, int count) {
  for (int i = shape.dim() - 1; i >= 0 && shape.dim() > 1; --i) {
    bool merges = shape[i] == 1;
    if (!merges && i > 0) {  // dim i - 1 continues where dim i ends, for every operand
      merges = true;
      for (int k = 0; k < count; ++k)
        merges = merges && strides[k][i - 1] == strides[k][i] * shape[i];
      if (merges) {
        shape[i] *= shape[i - 1];
        for (int k = 0; k < count; ++k) strides[k].erase(i - 1);
        shape.erase(i - 1);
        continue;
      }
    }
    if (merges) {
      for (int k = 0; k < count; ++k) strides[k].erase(i);
      shape.erase(i);
    }
  }
  if (shape.dim() == 0) {
    shape.push_back(1);
    for (int k = 0; k < count; ++k) strides[k].push_back(0);
  }
}

}  // namespace ebb
