// oneDNN's convolutions for f32.
//
// Tensors are plain (nchw, oihw) at the interface. Each primitive chooses its own formats ("any"),
// and what is not plain is reordered into and out of temporary memory. Measured on Zen 4 with
// oneDNN 2.6.3: a train step of a net with convolutions of 1, 32 and 64 channels takes 40 ms with
// primitives on plain tensors, 23 ms with nhwc, and 20 ms in this way. If oneDNN answers "any" for
// the gradient of the weight with products of matrices, or with AVX2 on a processor with AVX-512,
// nhwc is requested, which is faster there.
#include <algorithm>
#include <array>
#include <optional>
#include <string>

#include "ebb/backends/cpu/convolution.h"
#include "ebb/backends/cpu/gemm.h"
#include "ebb/backends/cpu/onednn.h"
#include "ebb/backends/cpu/onednn_support.h"
#include "ebb/backends/cpu/temporary.h"
#include "ebb/core/cpu.h"

namespace ebb::cpu {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;
using Kind = ConvolutionKind;

/// Everything that a primitive depends on.
struct Key {
  int64_t kind, images, channels, height, width, outputs, y_height, y_width, kernel[2];
  int64_t stride[2], padding[2], dilation[2], groups, bias, threads, winograd;
  bool operator==(const Key&) const = default;
};

bool is_winograd(const ConvolutionArgs& args) {
  const ConvolutionGeometry& g = args.geometry;
  return allow_winograd() && args.w->size(2) == 3 && args.w->size(3) == 3 && g.stride[0] == 1 &&
         g.stride[1] == 1 && g.dilation[0] == 1 && g.dilation[1] == 1 && g.groups == 1 &&
         std::min(args.x->size(1), args.y->size(1)) > 16;
}

Key key_of(const ConvolutionArgs& args) {
  const ConvolutionSizes s(args);
  const ConvolutionGeometry& g = args.geometry;
  return {static_cast<int64_t>(args.kind),
          s.images,
          s.channels,
          s.height,
          s.width,
          s.outputs,
          s.y_height,
          s.y_width,
          {s.kernel[0], s.kernel[1]},
          {g.stride[0], g.stride[1]},
          {g.padding[0], g.padding[1]},
          {g.dilation[0], g.dilation[1]},
          g.groups,
          args.bias != nullptr,
          onednn::threads(),
          is_winograd(args)};
}

memory::desc describe(const memory::dims& dims, Tag tag) {
  return memory::desc(dims, memory::data_type::f32, tag);
}

dnnl::primitive_attr own_scratchpad() {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

/// The descriptors of a convolution's tensors.
struct Descs {
  memory::desc x, w, y;
};

/// The arguments of oneDNN's constructors, without those of the tensors.
struct Window {
  dnnl::algorithm algorithm;
  memory::dims stride, dilation, front, behind;

  explicit Window(const Key& key)
      : algorithm(key.winograd ? dnnl::algorithm::convolution_winograd
                               : dnnl::algorithm::convolution_direct) {
    const int64_t sizes[2] = {key.height, key.width}, y_sizes[2] = {key.y_height, key.y_width};
    for (int i = 0; i < 2; ++i) {
      stride.push_back(key.stride[i]);
      dilation.push_back(key.dilation[i] - 1);  // oneDNN counts the gaps
      front.push_back(key.padding[i]);
      const int64_t reach =
          (y_sizes[i] - 1) * key.stride[i] + (key.kernel[i] - 1) * key.dilation[i] + 1;
      behind.push_back(reach - sizes[i] -
                       key.padding[i]);  // negative where the last elements are not read
    }
  }
};

constexpr auto kTraining = dnnl::prop_kind::forward_training;

#if DNNL_VERSION_MAJOR >= 3
dnnl::convolution_forward::primitive_desc forward_desc(const Descs& d, const memory::desc* bias,
                                                       const Window& v) {
  const auto& e = onednn::engine();
  return bias ? dnnl::convolution_forward::primitive_desc(e, kTraining, v.algorithm, d.x, d.w,
                                                          *bias, d.y, v.stride, v.dilation, v.front,
                                                          v.behind, own_scratchpad())
              : dnnl::convolution_forward::primitive_desc(e, kTraining, v.algorithm, d.x, d.w, d.y,
                                                          v.stride, v.dilation, v.front, v.behind,
                                                          own_scratchpad());
}
template <class Desc>
Desc backward_desc(const Descs& d, const Window& v,
                   const dnnl::convolution_forward::primitive_desc& forward) {
  return Desc(onednn::engine(), v.algorithm, d.x, d.w, d.y, v.stride, v.dilation, v.front, v.behind,
              forward, own_scratchpad());
}
#else
dnnl::convolution_forward::primitive_desc forward_desc(const Descs& d, const memory::desc* bias,
                                                       const Window& v) {
  using Desc = dnnl::convolution_forward::desc;
  const Desc desc =
      bias ? Desc(kTraining, v.algorithm, d.x, d.w, *bias, d.y, v.stride, v.dilation, v.front,
                  v.behind)
           : Desc(kTraining, v.algorithm, d.x, d.w, d.y, v.stride, v.dilation, v.front, v.behind);
  return {desc, own_scratchpad(), onednn::engine()};
}
template <class PrimitiveDesc>
PrimitiveDesc backward_desc(const Descs& d, const Window& v,
                            const dnnl::convolution_forward::primitive_desc& forward) {
  using Primitive = std::conditional_t<
      std::is_same_v<PrimitiveDesc, dnnl::convolution_backward_data::primitive_desc>,
      dnnl::convolution_backward_data, dnnl::convolution_backward_weights>;
  return PrimitiveDesc(
      typename Primitive::desc(v.algorithm, d.x, d.w, d.y, v.stride, v.dilation, v.front, v.behind),
      own_scratchpad(), onednn::engine(), forward);
}
#endif

using DataDesc = dnnl::convolution_backward_data::primitive_desc;
using WeightsDesc = dnnl::convolution_backward_weights::primitive_desc;

bool is_slow(const std::string& implementation) {
  const auto has = [&](const char* part) { return implementation.find(part) != std::string::npos; };
  return has("gemm") || (has("avx2") && std::string(gemm_isa()) == "avx512");
}

/// One tensor of a primitive: as oneDNN wants it, and the reorder from or to the plain one where
/// they differ.
class Operand {
 public:
  void set(const memory::desc& plain, const memory::desc& wanted, bool is_result) {
    wanted_ = wanted;
    memory_ = memory(wanted, onednn::engine(), nullptr);
    if (wanted == plain) return;
    plain_memory_ = memory(plain, onednn::engine(), nullptr);
    const memory::desc &from = is_result ? wanted : plain, &to = is_result ? plain : wanted;
    const dnnl::reorder::primitive_desc desc(onednn::engine(), from, onednn::engine(), to,
                                             own_scratchpad());
    reorder_ = dnnl::reorder(desc);
    scratchpad_ = memory(desc.scratchpad_desc(), onednn::engine(), nullptr);
    scratchpad_bytes_ = desc.scratchpad_desc().get_size();
  }

  bool is_plain() const { return !plain_memory_; }
  /// The bytes of the temporary tensor; 0 if none is needed.
  size_t bytes() const { return is_plain() ? 0 : wanted_.get_size(); }
  size_t scratchpad_bytes() const { return scratchpad_bytes_; }
  const memory::desc& wanted() const { return wanted_; }
  dnnl_memory_t get() const { return memory_.get(); }

  /// Sets where the tensor is: `plain` if it has the plain format, else `own`.
  void place(void* plain, void* own) {
    memory_.set_data_handle(is_plain() ? plain : own);
    if (!is_plain()) plain_memory_.set_data_handle(plain);
  }
  void reorder(const dnnl::stream& stream, void* scratchpad, bool is_result) {
    if (is_plain()) return;
    if (scratchpad_bytes_ > 0) scratchpad_.set_data_handle(scratchpad);
    const dnnl_exec_arg_t args[] = {{DNNL_ARG_FROM, (is_result ? memory_ : plain_memory_).get()},
                                    {DNNL_ARG_TO, (is_result ? plain_memory_ : memory_).get()},
                                    {DNNL_ARG_SCRATCHPAD, scratchpad_.get()}};
    onednn::execute(reorder_, stream, scratchpad_bytes_ > 0 ? 3 : 2, args);
  }

 private:
  memory::desc wanted_;
  memory memory_, plain_memory_, scratchpad_;
  dnnl::primitive reorder_;
  size_t scratchpad_bytes_ = 0;
};

/// A primitive with its operands, whose addresses are replaced in each call.
class Convolution {
 public:
  explicit Convolution(const Key& key) : kind_(static_cast<Kind>(key.kind)) {
    const int64_t channels = key.channels / key.groups, outputs = key.outputs / key.groups;
    const memory::dims xs{key.images, key.channels, key.height, key.width},
        ys{key.images, key.outputs, key.y_height, key.y_width};
    const memory::dims ws =
        key.groups == 1 ? memory::dims{outputs, channels, key.kernel[0], key.kernel[1]}
                        : memory::dims{key.groups, outputs, channels, key.kernel[0], key.kernel[1]};
    const Descs plain{describe(xs, Tag::nchw),
                      describe(ws, key.groups == 1 ? Tag::oihw : Tag::goihw),
                      describe(ys, Tag::nchw)};
    const Descs any{describe(xs, Tag::any), describe(ws, Tag::any), describe(ys, Tag::any)};
    const Window window(key);
    const memory::desc bias = describe({key.outputs}, Tag::x);
    const auto forward = forward_desc(any, key.bias ? &bias : nullptr, window);
    if (kind_ == Kind::Forward) {
      finish(forward, dnnl::convolution_forward(forward), plain,
             {forward.src_desc(), forward.weights_desc(), forward.dst_desc()});
      if (key.bias) bias_ = memory(bias, onednn::engine(), nullptr);
    } else if (kind_ == Kind::InputGradient) {
      const auto desc = backward_desc<DataDesc>(any, window, forward);
      finish(desc, dnnl::convolution_backward_data(desc), plain,
             {desc.diff_src_desc(), desc.weights_desc(), desc.diff_dst_desc()});
    } else {
      auto desc = backward_desc<WeightsDesc>(any, window, forward);
      if (is_slow(desc.impl_info_str())) {
        const Descs last{describe(xs, Tag::nhwc), any.w, describe(ys, Tag::nhwc)};
        try {
          auto other = backward_desc<WeightsDesc>(last, window, forward);
          if (!is_slow(other.impl_info_str())) desc = other;
        } catch (const dnnl::error&) {
        }
      }
      finish(desc, dnnl::convolution_backward_weights(desc), plain,
             {desc.src_desc(), desc.diff_weights_desc(), desc.diff_dst_desc()});
    }
  }

  bool usable() const { return usable_; }
  size_t scratchpad_bytes() const {
    return std::max(
        {scratchpad_bytes_, x_.scratchpad_bytes(), w_.scratchpad_bytes(), y_.scratchpad_bytes()});
  }
  const Operand& y() const { return y_; }

  /// y_given: y in the wanted format, if it is there already.
  void run(const dnnl::stream& stream, const ConvolutionArgs& args, void* scratchpad,
           void* y_given = nullptr) {
    const Temporary<std::byte> x(static_cast<int64_t>(x_.bytes())),
        w(static_cast<int64_t>(w_.bytes())), y(y_given ? 0 : static_cast<int64_t>(y_.bytes()));
    x_.place(args.x->raw(), x.data());
    w_.place(args.w->raw(), w.data());
    y_.place(args.y->raw(), y_given ? y_given : y.data());
    if (kind_ != Kind::InputGradient) x_.reorder(stream, scratchpad, false);
    if (kind_ != Kind::WeightGradient) w_.reorder(stream, scratchpad, false);
    if (kind_ != Kind::Forward && !y_given) y_.reorder(stream, scratchpad, false);
    std::array<dnnl_exec_arg_t, 5> list;
    int count = 0;
    const bool forward = kind_ == Kind::Forward;
    list[count++] = {kind_ == Kind::InputGradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, x_.get()};
    list[count++] = {kind_ == Kind::WeightGradient ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS,
                     w_.get()};
    list[count++] = {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, y_.get()};
    if (forward && args.bias) {
      bias_.set_data_handle(args.bias->raw());
      list[count++] = {DNNL_ARG_BIAS, bias_.get()};
    }
    if (scratchpad_bytes_ > 0) {
      scratchpad_.set_data_handle(scratchpad);
      list[count++] = {DNNL_ARG_SCRATCHPAD, scratchpad_.get()};
    }
    onednn::execute(primitive_, stream, count, list.data());
    result().reorder(stream, scratchpad, true);
  }

  /// Reorders y into `own`, a buffer of y().bytes().
  void reorder_y(const dnnl::stream& stream, const Tensor& y, void* own, void* scratchpad) {
    y_.place(y.raw(), own);
    y_.reorder(stream, scratchpad, false);
  }

 private:
  template <class Desc>
  void finish(const Desc& desc, dnnl::primitive primitive, const Descs& plain,
              const Descs& wanted) {
    usable_ = std::string(desc.impl_info_str()).find("ref") == std::string::npos;
    primitive_ = std::move(primitive);
    scratchpad_bytes_ = desc.scratchpad_desc().get_size();
    if (scratchpad_bytes_ > 0)
      scratchpad_ = memory(desc.scratchpad_desc(), onednn::engine(), nullptr);
    x_.set(plain.x, wanted.x, kind_ == Kind::InputGradient);
    w_.set(plain.w, wanted.w, kind_ == Kind::WeightGradient);
    y_.set(plain.y, wanted.y, kind_ == Kind::Forward);
  }
  Operand& result() { return kind_ == Kind::Forward ? y_ : kind_ == Kind::InputGradient ? x_ : w_; }

  Kind kind_;
  bool usable_ = false;
  Operand x_, w_, y_;
  memory bias_, scratchpad_;
  dnnl::primitive primitive_;
  size_t scratchpad_bytes_ = 0;
};

onednn::Cache<Key, Convolution>& cache() {
  thread_local onednn::Cache<Key, Convolution> cache;
  return cache;
}

// Returns the primitive for a convolution, or null.
Convolution* find(const ConvolutionArgs& args) {
  Key key = key_of(args);
  Convolution* found = cache().find(key);
  if (found || !key.winograd) return found;
  key.winograd = 0;
  return cache().find(key);
}

}  // namespace

bool onednn_convolution(const ConvolutionArgs& args) {
  Convolution* primitive = find(args);
  if (!primitive) return false;
  primitive->run(cache().stream(), args, cache().scratchpad(primitive->scratchpad_bytes()));
  return true;
}

bool onednn_gradients(const ConvolutionArgs& input, const ConvolutionArgs& weight) {
  Convolution *by_input = find(input), *by_weight = find(weight);
  by_input = find(input);  // the second one may have emptied the cache
  if (!by_input || !by_weight) return false;
  const dnnl::stream& stream = cache().stream();
  void* scratchpad =
      cache().scratchpad(std::max(by_input->scratchpad_bytes(), by_weight->scratchpad_bytes()));
  const bool shared =
      !by_input->y().is_plain() && by_input->y().wanted() == by_weight->y().wanted();
  const Temporary<std::byte> y(shared ? static_cast<int64_t>(by_input->y().bytes()) : 0);
  if (shared) by_input->reorder_y(stream, *input.y, y.data(), scratchpad);
  by_weight->run(stream, weight, scratchpad, y.data());
  by_input->run(stream, input, scratchpad, y.data());
  return true;
}

}  // namespace ebb::cpu
