// Batches of sequences of different lengths: padded, (T, N, ...), or packed without the padding.
// torch.nn.utils.rnn.
#pragma once

#include <optional>
#include <tuple>
#include <vector>

#include "ebb/core/tensor.h"

namespace ebb::nn::utils::rnn {

/// Sequences without padding: the elements of step 0 of all sequences, then those of step 1, and so
/// on. Within a step, the longest sequences come first.
struct PackedSequence {
  Tensor data;         ///< (sum of the lengths, ...)
  Tensor batch_sizes;  ///< (T) i64 on the CPU: the number of sequences with an element t
  /// (N) i64: the number of each packed sequence in the input; undefined if the order is the same.
  Tensor sorted_indices = {};
  /// (N) i64: the inverse of sorted_indices, the packed position of each sequence of the input.
  Tensor unsorted_indices = {};
};

/// Packs padded sequences: input (T, N, ...), or (N, T, ...) with batch_first; lengths (N) i64 on
/// the CPU.
///
/// Derivative: each upstream goes to the element it belongs to, and the padding gets 0. Throws
/// Error unless all lengths are from 1 to T and, with enforce_sorted, do not increase. Without
/// enforce_sorted, the sequences are sorted by length.
///
///     using namespace nn::utils::rnn;
///     PackedSequence packed = pack_padded_sequence(zeros({5, 2, 3}), tensor({5, 2}));
///     packed.data;  // (7, 3)
PackedSequence pack_padded_sequence(const Tensor& input, const Tensor& lengths,
                                    bool batch_first = false, bool enforce_sorted = true);

/// Returns the padded sequences (T, N, ...), or (N, T, ...) with batch_first, in the order in which
/// they were packed, and their lengths (N). T is total_length, or the longest length. Throws Error
/// if total_length is less than that.
std::tuple<Tensor, Tensor> pad_packed_sequence(const PackedSequence& sequence,
                                               bool batch_first = false, double padding_value = 0,
                                               std::optional<int64_t> total_length = {});

/// Stacks sequences (T_i, ...) of different lengths: (T, N, ...), or (N, T, ...) with batch_first.
Tensor pad_sequence(const std::vector<Tensor>& sequences, bool batch_first = false,
                    double padding_value = 0);

/// Packs sequences (T_i, ...): pack_padded_sequence(pad_sequence(sequences), lengths).
PackedSequence pack_sequence(const std::vector<Tensor>& sequences, bool enforce_sorted = true);

}  // namespace ebb::nn::utils::rnn
