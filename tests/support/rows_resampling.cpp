// Rows of interpolate and of pixel_shuffle. The references compute each output from the definition.
#include "ebb/autograd/ops/resampling.h"

#include <algorithm>
#include <cmath>

#include "ebb/tests/support/op_row.h"

namespace ebb::test {
namespace {

using Mode = InterpolateMode;

// The interpolation at `position` on an axis of `in` elements, between two neighbors.
struct Mix {
  int64_t low, high;
  double part;
};
Mix mix_of(int64_t i, int64_t in, int64_t out, double scale, bool linear, bool align) {
  if (!linear) {
    const int64_t at =
        std::min(static_cast<int64_t>(std::floor(static_cast<double>(i) * scale)), in - 1);
    return {at, at, 0};
  }
  double at = (static_cast<double>(i) + 0.5) * scale - 0.5;
  if (align) at = out > 1 ? static_cast<double>(i * (in - 1)) / static_cast<double>(out - 1) : 0;
  at = std::max(at, 0.0);
  const int64_t low = std::min(static_cast<int64_t>(at), in - 1);
  return {low, std::min(low + 1, in - 1), at - static_cast<double>(low)};
}

struct Size {
  int64_t out;
  double scale = 0;  // 0: the ratio of the sizes
};

std::function<Arrays(const Arrays&)> resized(Size rows, Size cols, bool linear, bool align) {
  return [=](const Arrays& in) -> Arrays {
    const Array& x = in[0];
    const int last = x.shape.dim() - 1;
    const int64_t h = last == 3 ? x.shape[2] : 1, w = x.shape[last];
    Shape out = x.shape;
    if (last == 3) out[2] = rows.out;
    out[last] = cols.out;
    const auto ratio = [](Size s, int64_t n) {
      return s.scale > 0 ? s.scale : static_cast<double>(n) / static_cast<double>(s.out);
    };
    return {make_array(out, [&](const Shape& at) {
      const int64_t plane = at[0] * x.shape[1] + at[1], row = last == 3 ? at[2] : 0;
      const Mix r = mix_of(row, h, rows.out, last == 3 ? ratio(rows, h) : 1, linear, align);
      const Mix c = mix_of(at[last], w, cols.out, ratio(cols, w), linear, align);
      const auto value = [&](int64_t i, int64_t j) {
        return x.v[static_cast<size_t>((plane * h + i) * w + j)];
      };
      const auto along = [&](int64_t i) {
        return (1 - c.part) * value(i, c.low) + (c.part > 0 ? c.part * value(i, c.high) : 0);
      };
      return (1 - r.part) * along(r.low) + (r.part > 0 ? r.part * along(r.high) : 0);
    })};
  };
}

OpRow resize_row(const std::string& name, const Shape& shape, InterpolateOptions options,
                 std::function<Arrays(const Arrays&)> reference) {
  Shape no_batch = shape;
  no_batch[0] = 0;
  return Row(name)
      .covers("interpolate", "interpolate_backward")
      .calls([options](const Tensor& x) { return interpolate(x, options); })
      .on(input(shape))
      .expects(std::move(reference))
      .within_f32(2e-6)
      .zero_second(0)
      .empty(no_batch)
      .refuses(
          "undefined", [options] { interpolate(Tensor(), options); }, "undefined tensor")
      .refuses(
          "dims",
          [options] {
            interpolate(zeros({2, 3}), options);
          },
          "got (2, 3)");
}

}  // namespace

std::vector<OpRow> resampling_rows() {
  std::vector<OpRow> rows;
  OpRow nearest = resize_row("interpolate_nearest", {2, 2, 3, 4}, {.size = {5, 7}},
                             resized({5}, {7}, false, false));
  nearest.bad.insert(nearest.bad.end(),
                     {{"neither",
                       [] {
                         interpolate(zeros({1, 1, 2}), {});
                       },
                       "either size or scale_factor"},
                      {"both",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.size = 2, .scale_factor = {2}});
                       },
                       "either size or scale_factor"},
                      {"numbers",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.size = {2, 2}});
                       },
                       "1 dims after the channels, got 2 sizes"},
                      {"size",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.size = 0});
                       },
                       "at least 1, got 0"},
                      {"factor",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.scale_factor = {-1}});
                       },
                       "below 2^53, got -1"},
                      {"mode",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.size = 2, .mode = Mode::Bilinear});
                       },
                       "4 dims for this mode"},
                      {"corners",
                       [] {
                         interpolate(zeros({1, 1, 2}), {.size = 2, .align_corners = true});
                       },
                       "linear mode with align_corners"},
                      {"empty",
                       [] {
                         interpolate(zeros({1, 0, 2}), {.size = 2});
                       },
                       "without empty dims"}});
  rows.push_back(nearest);
  rows.push_back(resize_row("interpolate_nearest_down", {2, 3, 9}, {.scale_factor = {0.4}},
                            resized({1}, {3, 2.5}, false, false)));
  // Results of 3 rows and 8 columns: the sizes are exact multiples although the factors are not.
  rows.push_back(resize_row("interpolate_nearest_exact", {1, 2, 3, 4}, {.scale_factor = {1.3, 2.1}},
                            resized({3, 1}, {8, 0.5}, false, false)));
  rows.push_back(resize_row("interpolate_linear", {2, 3, 5}, {.size = 8, .mode = Mode::Linear},
                            resized({1}, {8}, true, false)));
  rows.push_back(resize_row("interpolate_bilinear", {2, 2, 4, 3},
                            {.scale_factor = {1.6, 2}, .mode = Mode::Bilinear},
                            resized({6, 1 / 1.6}, {6, 0.5}, true, false)));
  rows.push_back(resize_row("interpolate_bilinear_down", {1, 2, 9, 7},
                            {.size = {4, 2}, .mode = Mode::Bilinear},
                            resized({4}, {2}, true, false)));
  rows.push_back(resize_row("interpolate_bilinear_corners", {2, 2, 3, 4},
                            {.size = {7, 1}, .mode = Mode::Bilinear, .align_corners = true},
                            resized({7}, {1}, true, true)));

  OpRow shuffle =
      Row("pixel_shuffle")
          .covers("permute")
          .calls([](const Tensor& x) { return pixel_shuffle(x, 2); })
          .on(input({2, 8, 3, 2}))
          .expects([](const Arrays& in) -> Arrays {
            const Shape& s = in[0].shape;
            return {make_array({s[0], s[1] / 4, 2 * s[2], 2 * s[3]}, [&](const Shape& at) {
              const int64_t c = at[1] * 4 + at[2] % 2 * 2 + at[3] % 2;
              return in[0].v[static_cast<size_t>(ravel({at[0], c, at[2] / 2, at[3] / 2}, s))];
            })};
          })
          .zero_second(0)
          .empty({0, 8, 3, 2})
          .refuses(
              "channels",
              [] {
                pixel_shuffle(zeros({1, 6, 2, 2}), 2);
              },
              "channels upscale_factor^2 divides, got (1, 6, 2, 2) and 2")
          .refuses(
              "factor",
              [] {
                pixel_shuffle(zeros({1, 6, 2, 2}), 0);
              },
              "and 0")
          .refuses(
              "dims",
              [] {
                pixel_shuffle(zeros({4, 2}), 2);
              },
              "got (4, 2)");
  rows.push_back(shuffle);
  OpRow unshuffle = Row(shuffle)
                        .named("pixel_unshuffle")
                        .calls([](const Tensor& x) { return pixel_unshuffle(x, 3); })
                        .on(input({2, 6, 3}))
                        .expects([](const Arrays& in) {
                          const Shape& s = in[0].shape;
                          return make_array({s[0] * 9, s[1] / 3, s[2] / 3}, [&](const Shape& at) {
                            const int64_t k = at[0] % 9;
                            const Shape from{at[0] / 9, 3 * at[1] + k / 3, 3 * at[2] + k % 3};
                            return in[0].v[static_cast<size_t>(ravel(from, s))];
                          });
                        })
                        .empty({0, 6, 3})
                        .without_refusals()
                        .refuses(
                            "sizes",
                            [] {
                              pixel_unshuffle(zeros({1, 4, 3}), 2);
                            },
                            "sizes downscale_factor divides, got (1, 4, 3) and 2")
                        .refuses(
                            "dims",
                            [] {
                              pixel_unshuffle(zeros({4, 2}), 2);
                            },
                            "got (4, 2)");
  rows.push_back(unshuffle);
  return rows;
}

}  // namespace ebb::test
