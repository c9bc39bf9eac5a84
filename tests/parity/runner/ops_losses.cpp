// The losses, each as a function and as a module. The options of a loss are read by the names of
// the fields of its struct.
#include "ebb/nn/losses/adaptive_log_softmax.h"
#include "ebb/nn/losses/modules.h"
#include "ops.h"

namespace ebb::parity {
namespace {

// Reads torch's deprecated form of reduction.
template <class Options> void read_legacy_reduction(Arguments& a, Options& options) {
  bool size_average = true, reduce = true;
  const bool has_average = a.read("size_average", size_average),
             has_reduce = a.read("reduce", reduce);
  if (has_average || has_reduce)
    options.reduction = nn::reduction_from_legacy(size_average, reduce);
}

/// Reads every option that the struct has, by torch's name. The others keep Ebb's default.
template <class Options> Options read_options(Arguments& a) {
  Options o;
  if constexpr (requires { o.weight; }) a.read("weight", o.weight);
  if constexpr (requires { o.pos_weight; }) a.read("pos_weight", o.pos_weight);
  if constexpr (requires { o.ignore_index; }) a.read("ignore_index", o.ignore_index);
  if constexpr (requires { o.label_smoothing; }) a.read("label_smoothing", o.label_smoothing);
  if constexpr (requires { o.alpha; }) a.read("alpha", o.alpha);
  if constexpr (requires { o.gamma; }) a.read("gamma", o.gamma);
  if constexpr (requires { o.logits; }) a.read("from_logits", o.logits);
  if constexpr (requires { o.smooth; }) a.read("smooth", o.smooth);
  if constexpr (requires { o.beta; }) a.read("beta", o.beta);
  if constexpr (requires { o.delta; }) a.read("delta", o.delta);
  if constexpr (requires { o.log_input; }) a.read("log_input", o.log_input);
  if constexpr (requires { o.log_target; }) a.read("log_target", o.log_target);
  if constexpr (requires { o.full; }) a.read("full", o.full);
  if constexpr (requires { o.eps; }) a.read("eps", o.eps);
  if constexpr (requires { o.margin; }) a.read("margin", o.margin);
  if constexpr (requires { o.p; }) a.read("p", o.p);
  if constexpr (requires { o.swap; }) a.read("swap", o.swap);
  if constexpr (requires { o.blank; }) a.read("blank", o.blank);
  if constexpr (requires { o.zero_infinity; }) a.read("zero_infinity", o.zero_infinity);
  if constexpr (requires { o.reduction; }) {
    a.read("reduction", o.reduction);
    read_legacy_reduction(a, o);
  }
  return o;
}

template <class Module> struct Loss;

template <auto kFunction, class Options> struct Loss<nn::LossModule<kFunction, Options>> {
  template <class... Inputs>
  static constexpr bool takes = std::invocable<decltype(kFunction), Inputs..., Options>;
  static constexpr size_t kInputs = takes<Tensor, Tensor>                   ? 2
                                    : takes<Tensor, Tensor, Tensor>         ? 3
                                    : takes<Tensor, Tensor, Tensor, Tensor> ? 4
                                                                            : 0;

  template <class F, class... Rest>
  static Tensors apply(const F& f, const Tensors& x, const Rest&... rest) {
    if constexpr (kInputs == 2) return {f(x[0], x[1], rest...)};
    if constexpr (kInputs == 3) return {f(x[0], x[1], x[2], rest...)};
    if constexpr (kInputs == 4) return {f(x[0], x[1], x[2], x[3], rest...)};
  }
  static Call function(Arguments& a) {
    return [x = a.inputs(kInputs), options = read_options<Options>(a)] {
      return apply(kFunction, x, options);
    };
  }
  static Call module(Arguments& a) {
    return [x = a.inputs(kInputs), options = read_options<Options>(a)] {
      return apply(nn::LossModule<kFunction, Options>(options), x);
    };
  }
};

template <class Module> constexpr Op loss(std::string_view name) {
  return {name, Loss<Module>::function, Loss<Module>::module};
}

Call ctc_from_logits(Arguments& a) {
  return [x = a.inputs(4), options = read_options<nn::CTCLossOptions>(a)] {
    return Tensors{nn::ctc_loss(log_softmax(x[0], -1), x[1], x[2], x[3], options)};
  };
}

void load(nn::Module& module, const std::vector<nn::NamedTensor>& state) {
  try {
    module.load_state_dict(state);
  } catch (const Error& error) {
    throw Problem(error.what());  // the case is wrong, not the call
  }
}

// Only a module: its parameters receive the values of the tensor options, and it has two outputs.
Call adaptive_log_softmax(Arguments& a) {
  nn::AdaptiveLogSoftmaxOptions options;
  a.read("div_value", options.div_value);
  a.read("head_bias", options.head_bias);
  return [&a, options, x = a.inputs(2), in_features = a.required<int64_t>("in_features"),
          n_classes = a.required<int64_t>("n_classes"),
          cutoffs = a.required<std::vector<int64_t>>("cutoffs"), state = a.read_state()] {
    const DType dtype = state.empty() ? DType::F32 : state[0].second.dtype();
    nn::AdaptiveLogSoftmaxWithLoss module(in_features, n_classes, cutoffs, options, dtype);
    load(module, state);
    module.to(x[0].device());
    for (const auto& [name, parameter] : module.named_parameters()) a.stand_in(name, parameter);
    const auto result = module(x[0], x[1]);
    return Tensors{result.output, result.loss};
  };
}

Call pairwise_distance(Arguments& a) {
  double p = 2, eps = 1e-6;
  bool keepdim = false;
  a.read("p", p);
  a.read("eps", eps);
  a.read("keepdim", keepdim);
  return
      [=, x = a.inputs(2)] { return Tensors{nn::pairwise_distance(x[0], x[1], p, eps, keepdim)}; };
}

constexpr Op kOps[] = {
    loss<nn::L1Loss>("l1_loss"),
    loss<nn::MSELoss>("mse_loss"),
    loss<nn::SmoothL1Loss>("smooth_l1_loss"),
    loss<nn::HuberLoss>("huber_loss"),
    loss<nn::PoissonNLLLoss>("poisson_nll_loss"),
    loss<nn::GaussianNLLLoss>("gaussian_nll_loss"),
    loss<nn::CrossEntropyLoss>("cross_entropy"),
    loss<nn::NLLLoss>("nll_loss"),
    loss<nn::MultiMarginLoss>("multi_margin_loss"),
    loss<nn::FocalLoss>("focal_loss"),
    loss<nn::BCELoss>("binary_cross_entropy"),
    loss<nn::BCEWithLogitsLoss>("binary_cross_entropy_with_logits"),
    loss<nn::MultiLabelMarginLoss>("multilabel_margin_loss"),
    loss<nn::MultiLabelSoftMarginLoss>("multilabel_soft_margin_loss"),
    loss<nn::SigmoidFocalLoss>("sigmoid_focal_loss"),
    loss<nn::DiceLoss>("dice_loss"),
    loss<nn::KLDivLoss>("kl_div"),
    loss<nn::SoftMarginLoss>("soft_margin_loss"),
    loss<nn::HingeEmbeddingLoss>("hinge_embedding_loss"),
    loss<nn::MarginRankingLoss>("margin_ranking_loss"),
    loss<nn::CosineEmbeddingLoss>("cosine_embedding_loss"),
    loss<nn::TripletMarginLoss>("triplet_margin_loss"),
    loss<nn::CTCLoss>("ctc_loss"),
    {"ctc_loss_from_logits", ctc_from_logits},
    {"adaptive_log_softmax_with_loss", adaptive_log_softmax},
    {"pairwise_distance", pairwise_distance},
};

}  // namespace

std::span<const Op> loss_ops() { return kOps; }

}  // namespace ebb::parity
