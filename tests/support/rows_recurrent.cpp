// Rows of recurrent cells over a packed batch: three sequences of lengths 3, 2 and 2, in both
// directions.
#include <cmath>

#include "ebb/autograd/ops/recurrent.h"
#include "ebb/tests/support/op_table.h"

namespace ebb::test {
namespace {

const std::vector<int64_t> kSizes = {3, 3, 1};
constexpr size_t kRows = 7, kBatch = 3, kWidth = 2;
constexpr size_t kStarts[] = {0, 3, 6};

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// A cell: computes the new h and c of one element from the old ones, the products of the input (a)
// and the products of the state (q).
using Step = std::function<void(const Values& a, const Values& q, double& h, double& c)>;

// Returns the states of all rows, and the last h and c. Inputs: gates, weight, bias, h0 [, c0,
// projection].
Arrays run_cell(const Arrays& in, size_t gates, const Step& step, bool reverse) {
  const Array &a = in[0], &weight = in[1], &bias = in[2];
  const bool projects = in.size() > 5;
  const size_t out_width = static_cast<size_t>(in[3].shape[1]);
  Array states{{kRows, static_cast<int64_t>(out_width)}, Values(kRows * out_width)};
  Array h = in[3], c = in.size() > 4 ? in[4] : Array{{kBatch, kWidth}, Values(kBatch * kWidth)};
  for (size_t i = 0; i < kSizes.size(); ++i) {
    const size_t t = reverse ? kSizes.size() - 1 - i : i;
    for (size_t n = 0; n < static_cast<size_t>(kSizes[t]); ++n) {
      const size_t row = kStarts[t] + n;
      Values next(kWidth);
      for (size_t j = 0; j < kWidth; ++j) {
        Values given(gates), made(gates);
        for (size_t g = 0; g < gates; ++g) {
          const size_t k = g * kWidth + j;
          given[g] = a.v[row * gates * kWidth + k];
          made[g] = bias.v[k];
          for (size_t m = 0; m < out_width; ++m)
            made[g] += weight.v[k * out_width + m] * h.v[n * out_width + m];
        }
        next[j] = projects ? 0 : h.v[n * kWidth + j];
        step(given, made, next[j], c.v[n * kWidth + j]);
      }
      for (size_t j = 0; j < out_width; ++j) {
        double value = projects ? 0 : next[j];
        for (size_t m = 0; projects && m < kWidth; ++m) value += in[5].v[j * kWidth + m] * next[m];
        h.v[n * out_width + j] = states.v[row * out_width + j] = value;
      }
    }
  }
  if (in.size() > 4) return {states, h, c};
  return {states, h};
}

std::vector<Input> inputs_of(int64_t gates, int64_t out_width = kWidth) {
  const int64_t all = gates * static_cast<int64_t>(kWidth);
  return {{.shape = {kRows, all}},
          {.shape = {all, out_width}},
          {.shape = {all}},
          {.shape = {kBatch, out_width}}};
}

OpRow simple_row(bool relu, bool reverse) {
  OpRow row{.name = std::string(relu ? "rnn_relu" : "rnn") + (reverse ? "_reverse" : ""),
            .covers = {"rnn", "gate_tanh", "gate_relu", "gate_backward"},
            .op = [=](const Tensors& in) -> Tensors {
              const auto [states, last] =
                  rnn_sequence(in[0], in[1], in[2], in[3], {kSizes, reverse}, relu);
              return {states, last};
            },
            .inputs = inputs_of(1),
            .reference = [=](const Arrays& in) -> Arrays {
              return run_cell(
                  in, 1,
                  [relu](const Values& a, const Values& q, double& h, double&) {
                    h = relu ? std::max(a[0] + q[0], 0.0) : std::tanh(a[0] + q[0]);
                  },
                  reverse);
            },
            .third_order = !relu};
  row.bad = {{"gates",
              [] {
                rnn_sequence(zeros({6, 2}), zeros({2, 2}), zeros(2), zeros({3, 2}), {kSizes});
              },
              "gates (6, 2): expected (7, 2)"},
             {"weight",
              [] {
                rnn_sequence(zeros({7, 2}), zeros({2, 3}), zeros(2), zeros({3, 2}), {kSizes});
              },
              "weight (2, 3): expected (2, 2)"},
             {"state",
              [] {
                rnn_sequence(zeros({7, 2}), zeros({2, 2}), zeros(2), zeros({2, 2}), {kSizes});
              },
              "batch_sizes start with 3: expected the 2 rows of h0"},
             {"sizes",
              [] {
                rnn_sequence(zeros({3, 2}), zeros({2, 2}), {}, zeros({1, 2}), {{1, 2}});
              },
              "batch_sizes must not increase"},
             {"dtype",
              [] {
                rnn_sequence(zeros({1, 2}), zeros({2, 2}, f64), {}, zeros({1, 2}), {{1}});
              },
              "f64"}};
  return row;
}

OpRow gru_row(bool reverse) {
  OpRow row{
      .name = reverse ? "gru_reverse" : "gru",
      .covers = {"gru", "gate_sigmoid", "gru_candidate", "gru_state"},
      .op = [=](const Tensors& in) -> Tensors {
        const auto [states, last] = gru_sequence(in[0], in[1], in[2], in[3], {kSizes, reverse});
        return {states, last};
      },
      .inputs = inputs_of(3),
      .reference = [=](const Arrays& in) -> Arrays {
        return run_cell(
            in, 3,
            [](const Values& a, const Values& q, double& h, double&) {
              const double r = sigmoid(a[0] + q[0]), z = sigmoid(a[1] + q[1]);
              h = (1 - z) * std::tanh(a[2] + r * q[2]) + z * h;
            },
            reverse);
      },
      .third_order = !reverse};
  row.bad = {{"gates",
              [] {
                gru_sequence(zeros({7, 4}), zeros({6, 2}), {}, zeros({3, 2}), {kSizes});
              },
              "gates (7, 4): expected (7, 6)"}};
  return row;
}

OpRow lstm_row(bool projects, bool reverse) {
  OpRow row{
      .name = std::string(projects ? "lstm_projection" : "lstm") + (reverse ? "_reverse" : ""),
      .covers = {"lstm", "gate_sigmoid", "gate_tanh", "lstm_cell", "lstm_state"},
      .op = [=](const Tensors& in) -> Tensors {
        const auto [states, last, cell] = lstm_sequence(
            in[0], in[1], in[2], in[3], in[4], {kSizes, reverse}, projects ? in[5] : Tensor());
        return {states, last, cell};
      },
      .inputs = inputs_of(4, projects ? 1 : kWidth),
      .reference = [=](const Arrays& in) -> Arrays {
        return run_cell(
            in, 4,
            [](const Values& a, const Values& q, double& h, double& c) {
              c = sigmoid(a[1] + q[1]) * c + sigmoid(a[0] + q[0]) * std::tanh(a[2] + q[2]);
              h = sigmoid(a[3] + q[3]) * std::tanh(c);
            },
            reverse);
      }};
  row.inputs.push_back({.shape = {kBatch, kWidth}});
  if (projects) row.inputs.push_back({.shape = {1, kWidth}});
  row.bad = {
      {"cell",
       [] {
         lstm_sequence(zeros({7, 8}), zeros({8, 2}), {}, zeros({3, 2}), zeros({2, 2}), {kSizes});
       },
       "c0 (2, 2): expected (3, 2)"}};
  return row;
}

}  // namespace

std::vector<OpRow> recurrent_rows() {
  return {simple_row(false, false), simple_row(true, true), gru_row(false),       gru_row(true),
          lstm_row(false, false),   lstm_row(false, true),  lstm_row(true, false)};
}

}  // namespace ebb::test
