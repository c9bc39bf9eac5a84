// Connectionist temporal classification. The forward recursion consists of public ops, so gradients
// of every order exist.
#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/activation.h"
#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/losses/distance.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kOp = "ctc_loss";
constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();

// The arguments on the host, after their checks: the labels of each sample.
struct Labels {
  std::vector<std::vector<int64_t>> of;  // by sample
  std::vector<int64_t> input_lengths;
};

std::vector<int64_t> lengths_of(const char* name, const Tensor& lengths, int64_t batch,
                                int64_t limit) {
  detail::check_class_numbers(kOp, name, lengths);
  if (lengths.dim() > 1 || lengths.numel() != batch) {
    fail(kOp, name, " ", lengths.shape(), " does not match the batch: expected ", Shape{batch});
  }
  std::vector<int64_t> values = lengths.to_vector<int64_t>();
  for (int64_t v : values) {
    if (v < 0 || v > limit) fail(kOp, name, " holds ", v, ": expected 0 to ", limit);
  }
  return values;
}

Labels read_labels(const Tensor& log_probs, const Tensor& targets, const Tensor& input_lengths,
                   const Tensor& target_lengths, int64_t blank) {
  detail::check_class_numbers(kOp, "targets", targets);
  if (targets.dim() > 2)
    fail(kOp, "targets ", targets.shape(), " must be (N, S), or (sum of target_lengths)");
  const int64_t steps = log_probs.size(0), batch = log_probs.size(1), classes = log_probs.size(2);
  if (blank < 0 || blank >= classes)
    fail(kOp, "blank ", blank, " is out of range: expected 0 to ", classes - 1);
  Labels labels;
  labels.input_lengths = lengths_of("input_lengths", input_lengths, batch, steps);
  const bool padded = targets.dim() == 2;
  if (padded && targets.size(0) != batch)
    fail(kOp, "targets ", targets.shape(), " do not match the batch of ", batch);
  const auto lengths = lengths_of("target_lengths", target_lengths, batch,
                                  padded ? targets.size(1) : targets.numel());
  int64_t total = 0;
  for (int64_t n : lengths) total += n;
  if (!padded && total != targets.numel()) {
    fail(kOp, "targets ", targets.shape(), " do not hold the ", total,
         " labels that target_lengths add up to");
  }
  const std::vector<int64_t> all = targets.to_vector<int64_t>();
  for (int64_t n = 0, at = 0; n < batch; ++n) {
    const int64_t first = padded ? n * targets.size(1) : at,
                  count = lengths[static_cast<size_t>(n)];
    labels.of.emplace_back(all.begin() + first, all.begin() + first + count);
    at += count;
    for (int64_t c : labels.of.back()) {
      if (c < 0 || c >= classes)
        fail(kOp, "target ", c, " of sample ", n, " is out of range: expected 0 to ", classes - 1);
    }
  }
  return labels;
}

// The lattice of a batch: labels with blanks between, padded to one width, as tensors.
struct Lattice {
  Tensor classes;  // (N, W) i64: the class of each state
  Tensor skips;    // (N, W) bool: can be entered from two states before
  Tensor ends;     // (N, W) bool: the last label, or the blank after it
  int64_t width;
};

Lattice make_lattice(const Labels& labels, int64_t blank, Device device) {
  size_t longest = 0;
  for (const auto& l : labels.of) longest = std::max(longest, l.size());
  const auto batch = static_cast<int64_t>(labels.of.size());
  Lattice lattice;
  lattice.width = static_cast<int64_t>(2 * longest + 1);
  std::vector<int64_t> classes(static_cast<size_t>(batch * lattice.width), blank);
  std::vector<uint8_t> skips(classes.size(), 0), ends(classes.size(), 0);
  for (size_t n = 0; n < labels.of.size(); ++n) {
    const auto& l = labels.of[n];
    const size_t row = n * static_cast<size_t>(lattice.width);
    for (size_t i = 0; i < l.size(); ++i) {
      classes[row + 2 * i + 1] = l[i];
      skips[row + 2 * i + 1] = i > 0 && l[i] != l[i - 1];
    }
    ends[row + 2 * l.size()] = 1;
    if (!l.empty()) ends[row + 2 * l.size() - 1] = 1;
  }
  const Shape shape{batch, lattice.width};
  lattice.classes = from_data(classes, shape, device);
  lattice.skips = from_data(skips, shape, device).to(DType::Bool);
  lattice.ends = from_data(ends, shape, device).to(DType::Bool);
  return lattice;
}

// Returns alpha shifted right by `by` states, with -inf in front.
Tensor shifted(const Tensor& alpha, int64_t by, const Tensor& edge) {
  const int64_t width = alpha.size(1);
  if (width <= by) return expand(edge, alpha.shape());
  return cat({expand(edge, {alpha.size(0), by}), slice(alpha, 1, 0, width - by)}, 1);
}

// Returns the losses unchanged. The gradient of a sample without an alignment is NaN at its time
// steps, as in torch.
struct Unreachable {
  static constexpr std::string_view name = "ctc_unreachable";
  struct State {
    Tensor losses, log_probs;  // without a graph
    std::vector<int64_t> input_lengths;
  };
  static int shape(const Tensor&, const Tensor&, const std::vector<int64_t>&) { return 0; }
  static Tensor forward(State& state, int, const Tensor& losses, const Tensor& log_probs,
                        const std::vector<int64_t>& lengths) {
    state = {losses.detach(), log_probs.detach(), lengths};
    return alias(losses);
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& g) {
    Tensor rows = zeros_like(state.log_probs);
    const std::vector<double> values = state.losses.to_vector<double>();
    for (size_t n = 0; n < values.size(); ++n) {
      if (values[n] != -kMinusInfinity) continue;
      Tensor steps = slice(select(rows, 1, static_cast<int64_t>(n)), 0, 0, state.input_lengths[n]);
      steps.fill_(std::numeric_limits<double>::quiet_NaN());
    }
    return {g, rows};
  }
};

// Returns -log p of each sample, (N). It computes in f64, because the contribution of a path to the
// gradient is e to the difference of large sums. The lattice is small compared with log_probs.
Tensor losses_of(const Tensor& log_probs, const Labels& labels, int64_t blank) {
  const int64_t steps = log_probs.size(0), batch = log_probs.size(1);
  const Lattice lattice = make_lattice(labels, blank, log_probs.device());
  const Tensor edge =
      full({1, 1}, kMinusInfinity, {.dtype = DType::F64, .device = log_probs.device()});
  const Tensor lengths = unsqueeze(from_data(labels.input_lengths, {batch}, log_probs.device()), 1);
  Tensor alpha;
  for (int64_t t = 0; t < steps; ++t) {
    const Tensor emitted = gather(select(log_probs, 0, t), 1, lattice.classes).to(DType::F64);
    if (t == 0) {
      const Tensor position = arange(lattice.width).to(log_probs.device());
      alpha = where(position < 2.0, emitted, edge);
      continue;
    }
    const Tensor skip = where(lattice.skips, shifted(alpha, 2, edge), edge);
    const Tensor reached = logsumexp(stack({alpha, shifted(alpha, 1, edge), skip}), {0});
    alpha = where(lengths > static_cast<double>(t), add(reached, emitted), alpha);
  }
  if (steps == 0) alpha = edge;
  const Tensor losses = neg(logsumexp(where(lattice.ends, alpha, edge), {1}));
  // Without input, the empty sequence has probability 1.
  std::vector<double> fixed(static_cast<size_t>(batch), 0);
  std::vector<uint8_t> is_fixed(fixed.size(), 0);
  for (size_t n = 0; n < fixed.size(); ++n) {
    is_fixed[n] = labels.input_lengths[n] == 0;
    fixed[n] = labels.of[n].empty() ? 0 : -kMinusInfinity;
  }
  return where(from_data(is_fixed, {batch}, losses.device()),
               from_data(fixed, {batch}, losses.device()), losses)
      .to(log_probs.dtype());
}

}  // namespace

Tensor ctc_loss(const TensorArg& log_probs, const Tensor& targets, const Tensor& input_lengths,
                const Tensor& target_lengths, CTCLossOptions o) {
  const CompositeScope scope(log_probs);
  check_floating(kOp, log_probs);
  check_reduction(kOp, o.reduction);
  if (log_probs->dim() != 2 && log_probs->dim() != 3) {
    fail(kOp, "log_probs ", log_probs->shape(), " must be (T, N, C) or (T, C)");
  }
  const bool single = log_probs->dim() == 2;
  const Tensor x = single ? unsqueeze(log_probs, 1) : *log_probs;
  const Labels labels = read_labels(x, targets, input_lengths, target_lengths, o.blank);
  const int64_t batch = x.size(1);
  Tensor losses = batch == 0 ? sum(x, {0, 2}) : losses_of(x, labels, o.blank);
  if (o.zero_infinity) {
    losses = where(losses.detach() == -kMinusInfinity, zeros_like(losses.detach()), losses);
  } else if (batch > 0) {
    losses = apply<Unreachable>(losses, x, labels.input_lengths);
  }
  if (o.reduction == Reduction::Mean) {
    std::vector<double> shares;
    for (const auto& l : labels.of)
      shares.push_back(static_cast<double>(std::max<size_t>(l.size(), 1)));
    return mean(div(losses, from_data(shares, {batch}, x.device()).to(x.dtype())));
  }
  if (o.reduction == Reduction::Sum) return sum(losses);
  return single ? reshape(losses, {}) : losses;
}

}  // namespace ebb::nn
