// Recurrent layers beyond the op table and the parity files: parameters, shapes, states, packing.
#include "ebb/nn/layers/recurrent.h"

#include <gtest/gtest.h>

#include "ebb/backends/cpu/parallel.h"
#include "ebb/ebb.h"
#include "ebb/tests/support/check.h"

namespace ebb::test {
namespace {

namespace rnn = nn::utils::rnn;

std::vector<std::string> names_of(const nn::Module& module) {
  std::vector<std::string> names;
  for (const auto& [name, value] : module.named_parameters()) names.push_back(name);
  return names;
}

TEST(Recurrent, ParametersAreTorchs) {
  const nn::LSTM lstm(3, 4, {.num_layers = 2, .bidirectional = true, .proj_size = 2});
  const auto names = names_of(lstm);
  ASSERT_EQ(names.size(), 20u);
  EXPECT_EQ(std::vector(names.begin(), names.begin() + 5),
            (std::vector<std::string>{"weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0",
                                      "weight_hr_l0"}));
  EXPECT_EQ(names[6], "weight_hh_l0_reverse");
  EXPECT_EQ(lstm.named_parameters()[10].second.shape(), Shape({16, 4}));  // weight_ih_l1
  for (const Tensor& p : lstm.parameters()) EXPECT_LE(amax(abs(p)).item(), 0.5);
  EXPECT_EQ(names_of(nn::RNN(3, 4, {.bias = false})),
            (std::vector<std::string>{"weight_ih_l0", "weight_hh_l0"}));
  EXPECT_EQ(names_of(nn::GRUCell(3, 4)),
            (std::vector<std::string>{"weight_ih", "weight_hh", "bias_ih", "bias_hh"}));
  std::ostringstream out;
  out << nn::GRU(3, 4, {.num_layers = 2, .batch_first = true, .dropout = 0.5}) << lstm;
  EXPECT_EQ(out.str(),
            "GRU(3, 4, num_layers=2, batch_first=True, dropout=0.5)"
            "LSTM(3, 4, proj_size=2, num_layers=2, bidirectional=True)");
}

TEST(Recurrent, StateDictRoundTrip) {
  const nn::GRU a(3, 4, {.num_layers = 2});
  nn::GRU b(3, 4, {.num_layers = 2});
  b.load_state_dict(a.state_dict());
  const Tensor x = randn({5, 2, 3});
  expect_same_bits(std::get<0>(a(x)), std::get<0>(b->forward(x)), "output");
}

TEST(Recurrent, ALoopOfCellsIsTheLayer) {
  const nn::LSTM lstm(3, 4);
  nn::LSTMCell cell(3, 4);
  const auto p = lstm.parameters();
  cell.load_state_dict(
      {{"weight_ih", p[0]}, {"weight_hh", p[1]}, {"bias_ih", p[2]}, {"bias_hh", p[3]}});
  const Tensor x = randn({5, 2, 3});
  const auto [output, state] = lstm(x);
  const auto [h_n, c_n] = state;
  nn::LSTMState at{zeros({2, 4}), zeros({2, 4})};
  for (int t = 0; t < 5; ++t) {
    at = cell(x[t], at);
    expect_values(output[t], std::get<0>(at).to_vector<double>(), 1e-5, 1e-6);
  }
  expect_values(c_n, std::get<1>(at).to_vector<double>(), 1e-5, 1e-6);
}

// The loop that computes a plain gradient, and the recorded ops that compute one with a graph, get
// upstreams of some of the outputs only.
TEST(Recurrent, GradientsOfOneOutputAlone) {
  const nn::LSTM lstm(3, 4, {.num_layers = 2, .bidirectional = true});
  const Tensor x = randn({5, 2, 3});
  const std::vector<Tensor> parameters = lstm.parameters();
  for (int which : {0, 1, 2}) {
    const auto gradients = [&](bool create_graph) {
      const auto [output, state] = lstm(x);
      const Tensor all[] = {output, std::get<0>(state), std::get<1>(state)};
      return grad(sum(square(all[which])), parameters, {.create_graph = create_graph});
    };
    const auto plain = gradients(false), recorded = gradients(true);
    for (size_t i = 0; i < plain.size(); ++i)
      expect_values(plain[i], recorded[i].to_vector<double>(), 1e-4, 1e-6);
  }
}

TEST(Recurrent, NoStepsAndNoSequences) {
  nn::GRU gru(3, 4, {.num_layers = 2, .bidirectional = true});
  const Tensor h0 = randn({4, 2, 4});
  const auto [output, h_n] = gru(zeros({0, 2, 3}), h0);
  EXPECT_EQ(output.shape(), Shape({0, 2, 8}));
  expect_same_bits(h_n, h0, "the state without steps");
  const auto [none, last] = gru(zeros({5, 0, 3}));
  EXPECT_EQ(none.shape(), Shape({5, 0, 8}));
  EXPECT_EQ(last.shape(), Shape({4, 0, 4}));
  sum(none).backward();
  for (const Tensor& p : gru.parameters()) EXPECT_EQ(sum(abs(p.grad())).item(), 0);
}

TEST(Recurrent, DropoutIsBetweenLayersAndInTrainingOnly) {
  nn::GRU gru(3, 4, {.num_layers = 2, .dropout = 1});
  const Tensor x = randn({5, 2, 3}), y = randn({5, 2, 3});
  expect_same_bits(std::get<0>(gru(x)), std::get<0>(gru(y)), "nothing passes");
  gru.eval();
  EXPECT_GT(sum(abs(std::get<0>(gru(x)) - std::get<0>(gru(y)))).item(), 0.01);
  nn::GRU one(3, 4, {.dropout = 1});  // has no layer to drop for
  EXPECT_GT(sum(abs(std::get<0>(one(x)))).item(), 0.01);
}

TEST(Recurrent, BadInputNamesTheLayerAndWhatWouldFit) {
  const nn::GRU gru(3, 4);
  const nn::LSTM lstm(3, 4, {.batch_first = true});
  expect_error(
      [&] {
        gru(zeros({5, 2, 4}));
      },
      "GRU", {"input (5, 2, 4)", "expected (T, N, 3), or (T, 3)"});
  expect_error([&] { lstm(zeros({5})); }, "LSTM", {"expected (N, T, 3)"});
  expect_error([&] { gru(zeros({5, 2, 3}, f64)); }, "GRU", {"expected f32"});
  expect_error(
      [&] {
        gru(zeros({5, 2, 3}), zeros({1, 3, 4}));
      },
      "GRU", {"h_0", "(1, 3, 4)", "expected f32 (1, 2, 4)"});
  expect_error(
      [&] {
        lstm(zeros({2, 5, 3}), nn::LSTMState{zeros({1, 2, 4}), zeros({2, 4})});
      },
      "LSTM", {"c_0", "expected f32 (1, 2, 4)"});
  expect_error([] { nn::LSTM(3, 4, {.proj_size = 4}); }, "LSTM", {"proj_size is 4", "0 to 3"});
  expect_error([] { nn::RNN(3, 4, {.dropout = 2}); }, "RNN", {"[0, 1]", "2"});
  expect_error([] { nn::RNNCell(3, 4)(zeros({2, 4})); }, "RNNCell", {"expected (N, 3) or (3,)"});
  expect_error(
      [] {
        nn::GRUCell(3, 4)(zeros({2, 3}), zeros({3, 4}));
      },
      "GRUCell", {"h ", "expected f32 (2, 4)"});
}

TEST(Recurrent, BitsDoNotDependOnThreads) {
  nn::LSTM lstm(40, 40, {.bidirectional = true});
  const Tensor x = randn({10, 32, 40});
  std::vector<Tensor> all[3];
  const int before = cpu::num_threads();
  for (int threads : {1, 2, 3}) {
    cpu::set_num_threads(threads);
    lstm.zero_grad();
    const Tensor y = std::get<0>(lstm(x));
    sum(square(y)).backward();
    all[threads - 1] = {y};
    for (const Tensor& p : lstm.parameters()) all[threads - 1].push_back(p.grad());
  }
  cpu::set_num_threads(before);
  for (size_t i = 0; i < all[0].size(); ++i) {
    for (const auto& other : {all[1], all[2]})
      expect_same_bits(other[i], all[0][i], "tensor " + std::to_string(i));
  }
}

TEST(PackedSequence, PacksAndPads) {
  const Tensor x = arange(12).to(f32).reshape({3, 2, 2}).requires_grad_();
  const auto packed = rnn::pack_padded_sequence(x, tensor({1, 3}), false, false);
  expect_values(packed.data, {2, 3, 0, 1, 6, 7, 10, 11});
  expect_values(packed.batch_sizes, {2, 1, 1});
  const auto [padded, lengths] = rnn::pad_packed_sequence(packed, true, -1, 4);
  EXPECT_EQ(padded.shape(), Shape({2, 4, 2}));
  expect_values(padded, {0, 1, -1, -1, -1, -1, -1, -1, 2, 3, 6, 7, 10, 11, -1, -1});
  expect_values(lengths, {1, 3});
  sum(padded).backward();
  expect_values(x.grad(), {1, 1, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1});
}

TEST(PackedSequence, PadsLists) {
  const Tensor a = tensor({1., 2.}), b = tensor({3.});
  expect_values(rnn::pad_sequence({a, b}), {1, 3, 2, 0});
  expect_values(rnn::pad_sequence({a, b}, true, 9), {1, 2, 3, 9});
  expect_values(rnn::pack_sequence({a, b}).data, {1, 3, 2});
  expect_values(rnn::pack_sequence({b, a}, false).sorted_indices, {1, 0});
}

TEST(PackedSequence, RefusesWhatDoesNotFit) {
  const Tensor x = zeros({3, 2, 2});
  expect_error(
      [&] {
        rnn::pack_padded_sequence(x, tensor({1, 3}));
      },
      "pack_padded_sequence", {"longest first", "enforce_sorted"});
  expect_error(
      [&] {
        rnn::pack_padded_sequence(x, tensor({4, 3}));
      },
      "pack_padded_sequence", {"lengths hold 4: expected 1 to 3"});
  expect_error(
      [&] {
        rnn::pack_padded_sequence(x, tensor({1, 0}));
      },
      "pack_padded_sequence", {"lengths hold 0"});
  expect_error([&] { rnn::pack_padded_sequence(x, tensor({1})); }, "pack_padded_sequence",
               {"expected i64 (2,)"});
  const auto packed = rnn::pack_padded_sequence(x, tensor({3, 1}));
  expect_error([&] { rnn::pad_packed_sequence(packed, false, 0, 2); }, "pad_packed_sequence",
               {"total_length is 2", "3"});
}

}  // namespace
}  // namespace ebb::test
