// Resize of ONNX: nearest and linear interpolation, one dim after the other.
#include <algorithm>
#include <cmath>

#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/matmul.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/interop/onnx_program.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb::detail {
namespace {

using Step = OnnxStep;
using Ints = std::vector<int64_t>;

// The positions of the input that the elements of a resized dim read.
class ResizedDim {
 public:
  ResizedDim(const Step& s, int64_t in, int64_t out, double scale)
      : s_(s), in_(in), out_(out), scale_(scale) {
    constexpr int64_t kMost = int64_t{1} << 28;  // elements of the matrix of weights
    if (in < 1 || out < 1 || !(scale > 0) || in > kMost / out)
      s.refuse("a size of ", in, " resized to ", out);
  }

  Tensor nearest_places() const {
    const std::string mode = s_.text("nearest_mode", "round_prefer_floor");
    Ints places;
    for (int64_t i = 0; i < out_; ++i) {
      const double at = position(i);
      const double place = mode == "floor"               ? std::floor(at)
                           : mode == "ceil"              ? std::ceil(at)
                           : mode == "round_prefer_ceil" ? std::floor(at + 0.5)
                                                         : std::ceil(at - 0.5);
      places.push_back(std::clamp<int64_t>(static_cast<int64_t>(place), 0, in_ - 1));
    }
    return from_data(places, {out_});
  }

  // Returns linear interpolation as a matrix (in, out).
  Tensor weights(DType dtype) const {
    std::vector<double> matrix(static_cast<size_t>(in_ * out_));
    for (int64_t i = 0; i < out_; ++i) {
      const double at = std::clamp(position(i), 0.0, static_cast<double>(in_ - 1));
      const auto low = static_cast<int64_t>(at);
      const double part = at - static_cast<double>(low);
      matrix[static_cast<size_t>(low * out_ + i)] += 1 - part;
      if (part > 0) matrix[static_cast<size_t>((low + 1) * out_ + i)] += part;
    }
    return from_data(matrix, {in_, out_}).to(dtype);
  }

 private:
  double position(int64_t i) const {
    const std::string mode = s_.text("coordinate_transformation_mode", "half_pixel");
    const double at = static_cast<double>(i);
    if (mode == "asymmetric") return at / scale_;
    if (mode == "align_corners")
      return out_ == 1 ? 0 : at * static_cast<double>(in_ - 1) / static_cast<double>(out_ - 1);
    if (mode == "pytorch_half_pixel" && out_ == 1) return 0;
    if (mode != "half_pixel" && mode != "pytorch_half_pixel")
      s_.refuse("the coordinates ", shown(mode), " are not supported");
    return (at + 0.5) / scale_ - 0.5;
  }

  const Step& s_;
  int64_t in_, out_;
  double scale_;
};

}  // namespace

std::vector<Tensor> onnx_resize(const OnnxStep& s) {
  const std::string mode = s.text("mode", "nearest");
  if ((mode != "nearest" && mode != "linear") || s.number("antialias", 0) ||
      !s.numbers("axes").empty() || s.text("keep_aspect_ratio_policy", "stretch") != "stretch")
    s.refuse("this mode of Resize is not supported");
  Tensor x = s.in(0);
  const Tensor given_scales = s.optional(2), given_sizes = s.optional(3);
  const std::vector<double> scales =
      given_scales.defined() ? given_scales.to_vector<double>() : std::vector<double>{};
  const Ints sizes = given_sizes.defined() ? s.list(3) : Ints{};
  const auto count = static_cast<size_t>(x.dim());
  if (scales.size() != count && sizes.size() != count)
    s.refuse("expected a scale or a size for each of ", count, " dims");
  for (int d = 0; d < x.dim(); ++d) {
    const auto at = static_cast<size_t>(d);
    const int64_t in = x.shape()[d];
    const bool has_size = sizes.size() == count;
    const double wanted = has_size ? static_cast<double>(sizes[at])
                                   : std::floor(static_cast<double>(in) * scales[at]);
    if (!(wanted >= 0 && wanted < 1e9)) s.refuse("a size of ", wanted);
    const auto out = static_cast<int64_t>(wanted);
    const double scale = has_size ? wanted / static_cast<double>(in) : scales[at];
    if (out == in && scale == 1) continue;
    const ResizedDim dim(s, in, out, scale);
    if (mode == "nearest") x = index_select(x, d, dim.nearest_places());
    else x = transpose(matmul(transpose(x, d, -1), dim.weights(x.dtype())), d, -1);
  }
  return {x};
}

}  // namespace ebb::detail
