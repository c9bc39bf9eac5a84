// Embeddings. The lookup is a separate op, because the row of padding_idx has no gradient. It
// gathers rows. Its gradient adds rows and is an op too, so gradients of every order exist.
#include "ebb/nn/layers/embedding.h"

#include <algorithm>
#include <limits>

#include "ebb/autograd/ops/arithmetic.h"
#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/op.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/reduce.h"
#include "ebb/autograd/ops/sorting.h"
#include "ebb/autograd/ops/statistics.h"
#include "ebb/autograd/ops/views.h"
#include "ebb/core/backend.h"
#include "ebb/core/random.h"
#include "ebb/nn/class_numbers.h"
#include "ebb/nn/layers/repr.h"

namespace ebb::nn {
namespace {

constexpr int64_t kNoPadding = -1;

// Returns index (n) as (n, width) without a copy, to gather whole rows of a matrix.
Tensor for_rows(const Tensor& index, int64_t width) {
  return expand(unsqueeze(index, 1), {index.numel(), width});
}

Tensor lookup(const Tensor& weight, const Tensor& index, int64_t padding, const Tensor& count = {});

// Computes zeros (rows, D) to which the rows of g (n, D) are added at index, except at `padding`.
struct EmbeddingGradient {
  static constexpr std::string_view name = "embedding_backward";
  struct State {
    Saved index;
    int64_t padding;
  };
  static Shape shape(const Tensor& g, const Tensor&, int64_t rows, int64_t) {
    return {rows, g.size(1)};
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& g, const Tensor& index,
                        int64_t, int64_t padding) {
    state = {Saved(index), padding};
    Tensor out = zeros(shape, options_like(g));
    Backend& device = backend(g.device());
    if (g.numel() > 0) device.scatter_add(out, 0, for_rows(index, shape[1]), g);
    if (padding != kNoPadding && shape[1] > 0) {
      Tensor row = select(out, 0, padding);
      device.fill(row, 0);
    }
    return out;
  }
  static std::array<Tensor, 2> backward(const State& state, const Tensor& u) {
    const Tensor index = state.index.get();
    const Tensor rows = lookup(u, index, kNoPadding);
    if (state.padding == kNoPadding) return {rows, Tensor()};
    return {masked_fill(rows, unsqueeze(index == state.padding, 1), 0), Tensor()};
  }
};

// Computes the rows of weight (rows, D) at index (n): (n, D). Their gradients are divided by count
// (n, 1), if it is defined.
struct EmbeddingLookup {
  static constexpr std::string_view name = "embedding";
  struct State {
    Saved index, count;
    int64_t rows, padding;
  };
  static Shape shape(const Tensor& weight, const Tensor& index, const Tensor&, int64_t) {
    return {index.numel(), weight.size(1)};
  }
  static Tensor forward(State& state, const Shape& shape, const Tensor& weight, const Tensor& index,
                        const Tensor& count, int64_t padding) {
    state = {Saved(index), Saved(count), weight.size(0), padding};
    Tensor out = empty(shape, options_like(weight));
    if (out.numel() > 0) backend(weight.device()).gather(out, weight, 0, for_rows(index, shape[1]));
    return out;
  }
  static std::array<Tensor, 3> backward(const State& state, const Tensor& g) {
    const Tensor share = state.count.defined() ? div(g, state.count.get()) : g;
    return {apply<EmbeddingGradient>(share, state.index.get(), state.rows, state.padding), Tensor(),
            Tensor()};
  }
};

Tensor lookup(const Tensor& weight, const Tensor& index, int64_t padding, const Tensor& count) {
  return apply<EmbeddingLookup>(weight, index, count, padding);
}

// Returns how often each row occurs in index: (rows).
Tensor counts_of(const Tensor& index, const Tensor& weight) {
  const Tensor one = ones({index.numel()}, options_like(weight));
  return scatter_add(one, {weight.size(0)}, 0, index);
}

// Scales the rows in index that are longer than max_norm, in place.
void renormalize(const Tensor& weight, const Tensor& index, double max_norm, double norm_type) {
  const NoGrad guard;
  const Tensor length = norm(weight, norm_type, {1}, true);
  const Tensor used = unsqueeze(counts_of(index, weight), 1) > 0;
  const Tensor factor =
      where(logical_and(used, length > max_norm), max_norm / (length + 1e-7), 1.0);
  Tensor target = weight;
  target.mul_(factor);
}

void check_weight(std::string_view op, const Tensor& weight, Device device) {
  check_floating(op, weight);
  if (weight.dim() != 2) {
    fail(op, "weight ", weight.shape(),
         " is not a table: expected (num_embeddings, embedding_dim)");
  }
  if (weight.device() != device) {
    fail(op, "devices differ: input on ", device, ", weight on ", weight.device());
  }
}

int64_t padding_row(std::string_view op, const std::optional<int64_t>& padding, int64_t rows) {
  if (!padding) return kNoPadding;
  const int64_t row = *padding < 0 ? *padding + rows : *padding;
  if (row < 0 || row >= rows) {
    fail(op, "padding_idx ", *padding, " is out of range: expected ", -rows, " to ", rows - 1);
  }
  return row;
}

// Computes embedding() of a checked index (n), with errors that name `op`.
Tensor embed(std::string_view op, const Tensor& index, const Tensor& weight,
             const EmbeddingFuncOptions& options) {
  const int64_t padding = padding_row(op, options.padding_idx, weight.size(0));
  backend(index.device()).check_indices(op, index, weight.size(0), std::nullopt);
  if (options.max_norm) renormalize(weight, index, *options.max_norm, options.norm_type);
  Tensor count;
  if (options.scale_grad_by_freq)
    count = unsqueeze(index_select(counts_of(index, weight), 0, index), 1);
  return lookup(weight, index, padding, count);
}

// ---- bags ----

using Mode = EmbeddingBagMode;
constexpr std::string_view kBag = "embedding_bag";

// Reduces bags (B, L, D) without the vectors where left_out (B, L), if defined, is true.
Tensor reduce_bags(const Tensor& bags, const Tensor& left_out, Mode mode) {
  const bool all = !left_out.defined();
  if (mode == Mode::Max) {
    if (bags.size(1) == 0) return sum(bags, {1});
    if (all) return std::get<0>(max(bags, 1));
    constexpr double lowest = -std::numeric_limits<double>::infinity();
    const Tensor largest = std::get<0>(max(masked_fill(bags, unsqueeze(left_out, 2), lowest), 1));
    return masked_fill(largest, ebb::all(left_out, {1}, true), 0);
  }
  const Tensor total = sum(all ? bags : masked_fill(bags, unsqueeze(left_out, 2), 0), {1});
  if (mode == Mode::Sum) return total;
  if (all) return total / static_cast<double>(std::max<int64_t>(bags.size(1), 1));
  return total / clamp_min(sum(logical_not(left_out).to(bags.dtype()), {1}, true), 1);
}

// Throws Error unless offsets start at 0, do not decrease and do not exceed the input.
void check_offsets(const Tensor& offsets, const Tensor& input, bool include_last) {
  if (offsets.dtype() != DType::I64 || offsets.dim() != 1 || offsets.numel() < include_last) {
    fail(kBag, "offsets ", offsets, " do not fit: expected i64 (B), or (B + 1) with the end");
  }
  if (offsets.device() != input.device()) {
    fail(kBag, "devices differ: input on ", input.device(), ", offsets on ", offsets.device());
  }
  const int64_t bags = offsets.numel();
  if (bags == 0) return;
  Backend& device = backend(offsets.device());
  const NoGrad guard;
  device.check_values(kBag, slice(offsets, 0, 0, 1), {0, 0, "offsets must start at 0"});
  const Tensor ends = cat({offsets, full({1}, input.numel(), options_like(offsets))});
  const Tensor lengths = slice(ends, 0, 1, bags + 1) - slice(ends, 0, 0, bags);
  device.check_values(kBag, lengths, {0, 0x1p53, "offsets must not decrease or exceed the input"});
}

// Returns the index of the bag of each of n elements, or the number of bags for elements after the
// last bag.
Tensor bag_of_each(const Tensor& offsets, int64_t n) {
  const NoGrad guard;
  const Tensor one = ones({offsets.numel()}, {.dtype = DType::F64, .device = offsets.device()});
  const Tensor starts = scatter_add(one, {n + 1}, 0, offsets);
  return (slice(cumsum(starts, 0), 0, 0, n) - 1).to(DType::I64);
}

// Returns the sums (B, D) of the rows (n, D) that offsets divide into bags.
Tensor sum_bags(const Tensor& rows, const Tensor& offsets, int64_t bags) {
  const Tensor bag = bag_of_each(offsets, rows.size(0));
  const Tensor index = expand(unsqueeze(bag, 1), rows.shape());
  return slice(scatter_add(rows, {offsets.numel(), rows.size(1)}, 0, index), 0, 0, bags);
}

// Returns the positions of the elements of each bag in the input as a matrix (B, length of the
// longest bag), and a mask that is true after the end of a bag.
std::pair<Tensor, Tensor> positions_of(const Tensor& offsets, int64_t bags, int64_t n) {
  std::vector<int64_t> starts = offsets.to_vector<int64_t>();
  starts.push_back(n);
  int64_t longest = 0;
  for (size_t b = 0; b < static_cast<size_t>(bags); ++b)
    longest = std::max(longest, starts[b + 1] - starts[b]);
  std::vector<int64_t> positions;
  std::vector<uint8_t> ended;
  for (size_t b = 0; b < static_cast<size_t>(bags); ++b) {
    for (int64_t i = 0; i < longest; ++i) {
      ended.push_back(starts[b] + i >= starts[b + 1]);
      positions.push_back(ended.back() ? 0 : starts[b] + i);
    }
  }
  const Shape shape{bags, longest};
  return {from_data(positions, shape, offsets.device()),
          from_data(ended, shape, offsets.device()).to(DType::Bool)};
}

void check_bag_options(const Tensor& input, const Tensor& weight,
                       const EmbeddingBagFuncOptions& options) {
  const Tensor &offsets = options.offsets, &factors = options.per_sample_weights;
  if (input.dim() == 2 && offsets.defined())
    fail(kBag, "an input of two dims ", input.shape(), " has a bag a row: expected no offsets");
  if (input.dim() == 1 && !offsets.defined())
    fail(kBag, "an input of one dim ", input.shape(), " needs offsets (B): got none");
  if (input.dim() != 1 && input.dim() != 2)
    fail(kBag, "input ", input.shape(), " must be (B, L), or (n) with offsets (B)");
  if (offsets.defined()) check_offsets(offsets, input, options.include_last_offset);
  if (options.scale_grad_by_freq && options.mode == Mode::Max)
    fail(kBag, "scale_grad_by_freq does not go with the mode Max");
  if (!factors.defined()) return;
  if (options.mode != Mode::Sum) fail(kBag, "per_sample_weights need the mode Sum");
  if (!(factors.shape() == input.shape()) || factors.dtype() != weight.dtype()) {
    fail(kBag, "per_sample_weights ", factors, " do not fit: expected ", weight.dtype(), " ",
         input.shape());
  }
}

}  // namespace

Tensor embedding(const TensorArg& input, const Tensor& weight, EmbeddingFuncOptions options) {
  const CompositeScope scope(input);
  constexpr std::string_view kOp = "embedding";
  detail::check_class_numbers(kOp, "input", input);
  check_weight(kOp, weight, input->device());
  Shape shape = input->shape();
  shape.push_back(weight.size(1));
  const Tensor index = reshape(input->to(DType::I64), {input->numel()}).contiguous();
  return reshape(embed(kOp, index, weight, options), shape);
}

Tensor embedding_bag(const TensorArg& input, const Tensor& weight,
                     EmbeddingBagFuncOptions options) {
  const CompositeScope scope(input);
  detail::check_class_numbers(kBag, "input", input);
  check_weight(kBag, weight, input->device());
  check_bag_options(input, weight, options);
  const int64_t n = input->numel(), width = weight.size(1);
  const Tensor index = reshape(input->to(DType::I64), {n}).contiguous();
  Tensor rows =
      embed(kBag, index, weight,
            {options.padding_idx, options.max_norm, options.norm_type, options.scale_grad_by_freq});
  const int64_t padding = padding_row(kBag, options.padding_idx, weight.size(0));
  Tensor left_out = padding == kNoPadding ? Tensor() : index == padding;
  if (options.per_sample_weights.defined())
    rows = rows * reshape(options.per_sample_weights, {n, 1});
  if (input->dim() == 2) {
    if (left_out.defined()) left_out = reshape(left_out, input->shape());
    return reduce_bags(reshape(rows, {input->size(0), input->size(1), width}), left_out,
                       options.mode);
  }
  const Tensor& offsets = options.offsets;
  const int64_t bags = offsets.numel() - (options.include_last_offset ? 1 : 0);
  if (options.mode == Mode::Max) {
    const auto [positions, ended] = positions_of(offsets, bags, n);
    if (positions.numel() == 0) return sum(rows) + zeros({bags, width}, options_like(weight));
    const Tensor at = reshape(positions, {positions.numel()});
    const Tensor gathered = reshape(index_select(rows, 0, at), {bags, positions.size(1), width});
    if (left_out.defined())
      left_out = logical_or(ended, reshape(ebb::index(left_out, at), positions.shape()));
    return reduce_bags(gathered, left_out.defined() ? left_out : ended, options.mode);
  }
  const Tensor keep =
      left_out.defined() ? unsqueeze(logical_not(left_out).to(weight.dtype()), 1) : Tensor();
  if (keep.defined()) rows = masked_fill(rows, unsqueeze(left_out, 1), 0);
  const Tensor total = sum_bags(rows, offsets, bags);
  if (options.mode == Mode::Sum) return total;
  const Tensor counted = keep.defined() ? keep : ones({n, 1}, options_like(weight));
  return total / clamp_min(sum_bags(counted, offsets, bags), 1);
}

namespace {

Tensor new_table(std::string_view layer, int64_t rows, int64_t width, DType dtype,
                 const std::optional<int64_t>& padding) {
  if (rows < 1 || width < 1) {
    fail(layer, "expected at least 1 embedding of at least 1 dim, got ", rows, " of ", width);
  }
  Tensor table = empty({rows, width}, {.dtype = dtype});
  normal_(table, 0, 1);
  const int64_t row = padding_row(layer, padding, rows);
  if (row != kNoPadding) select(table, 0, row).zero_();
  return table;
}

// Returns the options that differ from their defaults, as torch prints them.
std::string shown(const std::optional<double>& max_norm, double norm_type,
                  bool scale_grad_by_freq) {
  std::string text;
  if (max_norm) text += ", " + detail::options_text({{"max_norm", *max_norm}});
  if (norm_type != 2) text += ", " + detail::options_text({{"norm_type", norm_type}});
  if (scale_grad_by_freq) text += ", scale_grad_by_freq=True";
  return text;
}

std::string padding_text(const std::optional<int64_t>& padding, const Tensor& weight) {
  if (!padding) return "";
  return ", padding_idx=" + std::to_string(*padding < 0 ? *padding + weight.size(0) : *padding);
}

std::string sizes_of(const Tensor& weight) {
  return std::to_string(weight.size(0)) + ", " + std::to_string(weight.size(1));
}

}  // namespace

Embedding::Embedding(int64_t num_embeddings, int64_t embedding_dim, EmbeddingOptions options)
    : Embedding(
          new_table("Embedding", num_embeddings, embedding_dim, options.dtype, options.padding_idx),
          {options.padding_idx, options.max_norm, options.norm_type, options.scale_grad_by_freq}) {}

Embedding::Embedding(const Tensor& given, const EmbeddingFuncOptions& options)
    : weight(add_parameter("weight", given)), options_(options) {}

Embedding Embedding::from_pretrained(const Tensor& weight, EmbeddingFromPretrainedOptions options) {
  check_floating("Embedding", weight);
  if (weight.dim() != 2)
    fail("Embedding", "weight ", weight.shape(), " is not a table: expected (rows, dim)");
  padding_row("Embedding", options.padding_idx, weight.size(0));
  Embedding table(weight.detach(), {options.padding_idx, options.max_norm, options.norm_type,
                                    options.scale_grad_by_freq});
  if (options.freeze) table.requires_grad_(false);
  return table;
}

Tensor Embedding::forward(const Tensor& input) const { return embedding(input, weight, options_); }

std::string Embedding::extra_repr() const {
  return sizes_of(weight) + padding_text(options_.padding_idx, weight) +
         shown(options_.max_norm, options_.norm_type, options_.scale_grad_by_freq);
}

EmbeddingBag::EmbeddingBag(int64_t num_embeddings, int64_t embedding_dim,
                           EmbeddingBagOptions options)
    : weight(add_parameter("weight", new_table("EmbeddingBag", num_embeddings, embedding_dim,
                                               options.dtype, options.padding_idx))),
      options_{.max_norm = options.max_norm,
               .norm_type = options.norm_type,
               .scale_grad_by_freq = options.scale_grad_by_freq,
               .mode = options.mode,
               .include_last_offset = options.include_last_offset,
               .padding_idx = options.padding_idx} {}

Tensor EmbeddingBag::forward(const Tensor& input, const Tensor& offsets,
                             const Tensor& per_sample_weights) const {
  EmbeddingBagFuncOptions options = options_;
  options.offsets = offsets;
  options.per_sample_weights = per_sample_weights;
  return embedding_bag(input, weight, options);
}

std::string EmbeddingBag::extra_repr() const {
  const char* modes[] = {"sum", "mean", "max"};
  return sizes_of(weight) +
         shown(options_.max_norm, options_.norm_type, options_.scale_grad_by_freq) + ", " +
         detail::options_text({{"mode", modes[static_cast<int>(options_.mode)]}}) +
         padding_text(options_.padding_idx, weight);
}

}  // namespace ebb::nn
