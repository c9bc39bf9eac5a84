#include "ebb/nn/utils/rnn.h"

#include <algorithm>
#include <numeric>

#include "ebb/autograd/ops/indexing.h"
#include "ebb/autograd/ops/rearrange.h"
#include "ebb/autograd/ops/views.h"

namespace ebb::nn::utils::rnn {
namespace {

std::vector<int64_t> read_lengths(std::string_view op, const Tensor& lengths, int64_t sequences,
                                  int64_t steps) {
  check_defined(op, lengths);
  if (lengths.dtype() != DType::I64 || !(lengths.shape() == Shape{sequences}))
    fail(op, "lengths ", lengths, " do not fit: expected i64 ", Shape{sequences});
  std::vector<int64_t> values = lengths.to_vector<int64_t>();
  for (int64_t length : values) {
    if (length < 1 || length > steps) fail(op, "lengths hold ", length, ": expected 1 to ", steps);
  }
  return values;
}

Tensor indices(const std::vector<int64_t>& values, Device device) {
  return from_data(values, {static_cast<int64_t>(values.size())}, device);
}

Tensor batch_second(const Tensor& x, bool batch_first) {
  return batch_first ? transpose(x, 0, 1) : x;
}

}  // namespace

PackedSequence pack_padded_sequence(const Tensor& input, const Tensor& lengths, bool batch_first,
                                    bool enforce_sorted) {
  constexpr std::string_view kOp = "pack_padded_sequence";
  check_defined(kOp, input);
  if (input.dim() < 2)
    fail(kOp, "input ", input.shape(), " has too few dims: expected (T, N, ...)");
  Tensor x = batch_second(input, batch_first);
  const int64_t steps = x.size(0), sequences = x.size(1);
  std::vector<int64_t> length = read_lengths(kOp, lengths, sequences, steps);
  PackedSequence packed;
  if (enforce_sorted) {
    if (!std::ranges::is_sorted(length, std::greater<>())) {
      fail(kOp, "lengths ", Shape(length),
           " increase: expected the longest first, or enforce_sorted = false");
    }
  } else {
    std::vector<int64_t> order(length.size()), position(length.size());
    std::iota(order.begin(), order.end(), 0);
    std::ranges::stable_sort(order, std::greater<>(),
                             [&](int64_t i) { return length[static_cast<size_t>(i)]; });
    for (size_t i = 0; i < order.size(); ++i)
      position[static_cast<size_t>(order[i])] = static_cast<int64_t>(i);
    std::ranges::sort(length, std::greater<>());
    packed.sorted_indices = indices(order, x.device());
    packed.unsorted_indices = indices(position, x.device());
    x = index_select(x, 1, packed.sorted_indices);
  }
  // The rows of step t are the first batch_sizes[t] of that step.
  std::vector<int64_t> sizes, rows;
  for (int64_t t = 0; !length.empty() && t < length[0]; ++t) {
    sizes.push_back(std::ranges::count_if(length, [t](int64_t l) { return l > t; }));
    for (int64_t n = 0; n < sizes.back(); ++n) rows.push_back(t * sequences + n);
  }
  const Tensor flat = flatten(x, 0, 1);
  const bool all = static_cast<int64_t>(rows.size()) == flat.size(0);
  packed.data = all ? flat : index_select(flat, 0, indices(rows, x.device()));
  packed.batch_sizes = indices(sizes, Device::cpu());
  return packed;
}

std::tuple<Tensor, Tensor> pad_packed_sequence(const PackedSequence& sequence, bool batch_first,
                                               double padding_value,
                                               std::optional<int64_t> total_length) {
  constexpr std::string_view kOp = "pad_packed_sequence";
  check_defined(kOp, sequence.data);
  check_defined(kOp, sequence.batch_sizes);
  const std::vector<int64_t> sizes = sequence.batch_sizes.to_vector<int64_t>();
  const auto longest = static_cast<int64_t>(sizes.size());
  const int64_t steps = total_length.value_or(longest), sequences = sizes.empty() ? 0 : sizes[0];
  if (steps < longest) {
    fail(kOp, "total_length is ", steps, ": expected at least the longest length, ", longest);
  }
  // One row of padding follows the data. Each element of the result has the number of its row.
  const Tensor& data = sequence.data;
  Shape row = data.shape();
  row[0] = 1;
  const int64_t padding = data.size(0);
  const Tensor rows = cat({data, full(row, padding_value, options_like(data))});
  std::vector<int64_t> from(static_cast<size_t>(steps * sequences), padding);
  std::vector<int64_t> lengths(static_cast<size_t>(sequences), 0);
  int64_t next = 0;
  for (size_t t = 0; t < sizes.size(); ++t) {
    for (int64_t n = 0; n < sizes[t]; ++n) {
      from[t * static_cast<size_t>(sequences) + static_cast<size_t>(n)] = next++;
      ++lengths[static_cast<size_t>(n)];
    }
  }
  if (next != padding) {
    fail(kOp, "batch_sizes add up to ", next, ": expected the ", padding, " rows of data");
  }
  Shape shape{steps, sequences};
  for (int i = 1; i < data.dim(); ++i) shape.push_back(data.size(i));
  Tensor out = reshape(index_select(rows, 0, indices(from, data.device())), shape);
  Tensor length = indices(lengths, Device::cpu());
  if (sequence.unsorted_indices.defined()) {
    out = index_select(out, 1, sequence.unsorted_indices);
    length = index_select(length, 0, sequence.unsorted_indices.to(Device::cpu()));
  }
  return {batch_second(out, batch_first), length};
}

Tensor pad_sequence(const std::vector<Tensor>& sequences, bool batch_first, double padding_value) {
  constexpr std::string_view kOp = "pad_sequence";
  if (sequences.empty()) fail(kOp, "expected at least one sequence");
  int64_t longest = 0;
  for (const Tensor& x : sequences) {
    check_defined(kOp, x);
    if (x.dim() < 1) fail(kOp, "a 0-d tensor is not a sequence");
    longest = std::max(longest, x.size(0));
  }
  std::vector<Tensor> padded;
  for (const Tensor& x : sequences) {
    Shape sides;
    for (int i = 1; i < x.dim(); ++i) {
      sides.push_back(0);
      sides.push_back(0);
    }
    sides.push_back(0);
    sides.push_back(longest - x.size(0));
    padded.push_back(pad(x, sides, PadMode::Constant, padding_value));
  }
  return stack(padded, batch_first ? 0 : 1);
}

PackedSequence pack_sequence(const std::vector<Tensor>& sequences, bool enforce_sorted) {
  std::vector<int64_t> lengths;
  for (const Tensor& x : sequences) {
    check_defined("pack_sequence", x);
    lengths.push_back(x.dim() == 0 ? 0 : x.size(0));
  }
  return pack_padded_sequence(pad_sequence(sequences), indices(lengths, Device::cpu()), false,
                              enforce_sorted);
}

}  // namespace ebb::nn::utils::rnn
