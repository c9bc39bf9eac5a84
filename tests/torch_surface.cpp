// Common idioms of PyTorch's C++ frontend, with `torch::` replaced by `ebb::`. A PyTorch user may
// type everything that compiles and passes here. docs/coming-from-pytorch.md lists the names, and
// those that are absent.
#include <ebb/ebb.h>
#include <gtest/gtest.h>

#include <cmath>
#include <sstream>
#include <tuple>
#include <vector>

namespace {

using ebb::Tensor;
namespace nn = ebb::nn;

// ---- creating tensors ----

TEST(TorchSurface, Creation) {
  Tensor a = ebb::zeros({2, 3});
  Tensor b = ebb::ones({2, 3});
  Tensor c = ebb::full({2, 3}, 7.0);
  Tensor d = ebb::eye(3);
  Tensor e = ebb::arange(5);
  Tensor f = ebb::arange(0., 1., .25);
  Tensor g = ebb::linspace(0, 1, 5);
  Tensor h = ebb::randn({2, 3}, ebb::kFloat64);
  Tensor i = ebb::rand({2, 3});
  Tensor j = ebb::randint(10, {4});
  Tensor k = ebb::randperm(6);
  Tensor l = ebb::zeros_like(a), m = ebb::ones_like(a), n = ebb::full_like(a, 2.5);
  Tensor o = ebb::rand_like(a), p = ebb::randn_like(a), q = ebb::empty_like(a);
  Tensor r = ebb::tensor(1.5);
  Tensor s = ebb::tensor({1.0, 2.0});
  Tensor t = ebb::tensor({{{1.0, 2.0}, {3.0, 4.0}}, {{5.0, 6.0}, {7.0, 8.0}}});
  Tensor u = ebb::tensor({0, 1});
  EXPECT_EQ(c.sum().item<double>(), 42);
  EXPECT_EQ(d.sum().item<double>(), 3);
  EXPECT_EQ(e.dtype(), ebb::kInt64);
  EXPECT_EQ(f.numel(), 4);
  EXPECT_EQ(f.dtype(), ebb::kFloat32);
  EXPECT_DOUBLE_EQ(g[1].item<double>(), 0.25);
  EXPECT_EQ(h.dtype(), ebb::kFloat64);
  EXPECT_TRUE((i >= 0).all().item<bool>());
  EXPECT_TRUE((j < 10).all().item<bool>());
  EXPECT_EQ(k.sum().item<int64_t>(), 15);
  EXPECT_EQ(r.dim(), 0);
  EXPECT_EQ(s.size(0), 2);
  EXPECT_EQ(t.sizes(), ebb::Shape({2, 2, 2}));
  EXPECT_EQ(u.dtype(), ebb::kInt64);
  for (const Tensor& like : {l, m, n, o, p, q, b}) EXPECT_EQ(like.sizes(), a.sizes());
  EXPECT_EQ(ebb::zeros(3).sizes(), ebb::Shape({3}));
}

TEST(TorchSurface, Properties) {
  Tensor x = ebb::randn({4, 5});
  EXPECT_EQ(x.dim(), 2);
  EXPECT_EQ(x.size(0), 4);
  EXPECT_EQ(x.size(-1), 5);
  EXPECT_EQ(x.numel(), 20);
  EXPECT_FALSE(x.is_cuda());
  EXPECT_FALSE(x.requires_grad());
  EXPECT_TRUE(x.is_contiguous());
  EXPECT_TRUE(x.defined());
  std::ostringstream out;
  out << x.sizes() << x.dtype() << x;
  EXPECT_NE(out.str().find("(4, 5)"), std::string::npos);
}

// ---- views and indexing ----

TEST(TorchSurface, Views) {
  Tensor x = ebb::arange(24).to(ebb::kFloat32);
  Tensor y = x.view({2, 3, 4});
  EXPECT_EQ(y.reshape({6, 4}).size(0), 6);
  EXPECT_EQ(y.permute({2, 0, 1}).sizes(), ebb::Shape({4, 2, 3}));
  EXPECT_EQ(y.transpose(0, 1).sizes(), ebb::Shape({3, 2, 4}));
  EXPECT_EQ(y.flatten(1).sizes(), ebb::Shape({2, 12}));
  EXPECT_EQ(y.unsqueeze(0).squeeze(0).sizes(), y.sizes());
  EXPECT_EQ(y.select(0, 1).sizes(), ebb::Shape({3, 4}));
  EXPECT_EQ(y.slice(2, 1, 3).sizes(), ebb::Shape({2, 3, 2}));
  EXPECT_EQ(y.narrow(2, 1, 2).sizes(), ebb::Shape({2, 3, 2}));
  EXPECT_EQ(y[0][1][2].item<float>(), 6);
  EXPECT_EQ(y.view_as(x).sizes(), x.sizes());
  EXPECT_EQ(ebb::ones({1, 3}).expand({2, 3}).sizes(), ebb::Shape({2, 3}));
  EXPECT_EQ(ebb::ones({2, 3}).t().sizes(), ebb::Shape({3, 2}));
  EXPECT_EQ(x.chunk(3).size(), 3u);
  EXPECT_EQ(x.split(10).size(), 3u);
  EXPECT_EQ(ebb::cat({y, y}, 1).sizes(), ebb::Shape({2, 6, 4}));
  EXPECT_EQ(ebb::stack({y, y}).sizes(), ebb::Shape({2, 2, 3, 4}));
  EXPECT_EQ(ebb::ones({2, 3}).repeat({2, 2}).sizes(), ebb::Shape({4, 6}));
  EXPECT_EQ(x.flip({0})[0].item<float>(), 23);
  EXPECT_EQ(x.roll(1, 0)[0].item<float>(), 23);
}

TEST(TorchSurface, Indexing) {
  Tensor x = ebb::tensor({{1.0, 2.0}, {3.0, 4.0}});
  EXPECT_TRUE(ebb::equal(x.index_select(0, ebb::tensor({1})), ebb::tensor({{3.0, 4.0}})));
  EXPECT_TRUE(ebb::equal(x.gather(1, ebb::tensor({{0}, {1}})), ebb::tensor({{1.0}, {4.0}})));
  EXPECT_TRUE(ebb::equal(x[x > 2.0], ebb::tensor({3.0, 4.0})));
  EXPECT_TRUE(ebb::equal(x.masked_select(x > 2.0), ebb::tensor({3.0, 4.0})));
  EXPECT_TRUE(ebb::equal(x.masked_fill(x > 2.0, 0.0), ebb::tensor({{1.0, 2.0}, {0.0, 0.0}})));
  EXPECT_EQ((x > 2.0).nonzero().sizes(), ebb::Shape({2, 2}));
  Tensor z = ebb::zeros({2, 2});
  z[0] = ebb::ones({2});
  z[1] = 5.0;
  EXPECT_EQ(z.sum().item<double>(), 12);
  EXPECT_TRUE(ebb::equal(ebb::where(x > 2.0, x, 0.0), ebb::tensor({{0.0, 0.0}, {3.0, 4.0}})));
  EXPECT_EQ(ebb::tril(ebb::ones({3, 3})).sum().item<double>(), 6);
  EXPECT_EQ(x.diag().sum().item<double>(), 5);
}

// ---- arithmetic ----

TEST(TorchSurface, Arithmetic) {
  Tensor x = ebb::tensor({1.0, 2.0, 3.0});
  Tensor y = x * 2 + 1 - x / 2;
  EXPECT_DOUBLE_EQ(y[0].item<double>(), 2.5);
  EXPECT_DOUBLE_EQ(x.pow(2).sum().item<double>(), 14);
  EXPECT_DOUBLE_EQ(ebb::pow(2.0, x)[2].item<double>(), 8);
  EXPECT_DOUBLE_EQ((1 - x).abs().sum().item<double>(), 3);
  EXPECT_NEAR(x.exp().log().sum().item<double>(), 6, 1e-5);
  EXPECT_NEAR(x.sin().square().add(x.cos().square()).sum().item<double>(), 3, 1e-5);
  EXPECT_DOUBLE_EQ(x.clamp(0, 2).sum().item<double>(), 5);
  EXPECT_DOUBLE_EQ(ebb::clamp(x, 2).sum().item<double>(), 7);
  EXPECT_DOUBLE_EQ(ebb::maximum(x, ebb::full_like(x, 2.0)).sum().item<double>(), 7);
  EXPECT_DOUBLE_EQ(ebb::maximum(x, 2.0).sum().item<double>(), 7);
  x += 1;
  x *= 2;
  x -= ebb::ones({3});
  x /= 1;
  EXPECT_DOUBLE_EQ(x.sum().item<double>(), 15);
  x.add_(1).mul_(2);
  EXPECT_DOUBLE_EQ(x.sum().item<double>(), 36);
  EXPECT_DOUBLE_EQ((-x).neg().sum().item<double>(), 36);
  EXPECT_DOUBLE_EQ(ebb::tensor({1.5, 2.5}).round().sum().item<double>(), 4);
  EXPECT_DOUBLE_EQ(ebb::tensor({1.5, -2.5}).floor().sum().item<double>(), -2);
}

TEST(TorchSurface, Comparisons) {
  Tensor x = ebb::tensor({1.0, 2.0, 3.0});
  Tensor mask = (x > 1.0) & !(x == 3.0);
  EXPECT_EQ(mask.sum().item<int64_t>(), 1);
  EXPECT_TRUE((x.eq(2.0) | x.ne(2.0)).all().item<bool>());
  EXPECT_TRUE(x.lt(4.0).all().item<bool>());
  EXPECT_FALSE(x.isnan().any().item<bool>());
  EXPECT_TRUE(ebb::allclose(x, x + 1e-9));
  EXPECT_TRUE(ebb::equal(x, x.clone()));
}

TEST(TorchSurface, Reductions) {
  Tensor x = ebb::tensor({{1.0, 5.0, 2.0}, {4.0, 0.0, 6.0}});
  EXPECT_EQ(x.sum(1).sizes(), ebb::Shape({2}));
  EXPECT_EQ(x.sum(1, true).sizes(), ebb::Shape({2, 1}));
  EXPECT_EQ(x.mean(0).sizes(), ebb::Shape({3}));
  EXPECT_DOUBLE_EQ(x.mean().item<double>(), 3);
  EXPECT_DOUBLE_EQ(x.max().item<double>(), 6);
  auto [values, indices] = x.max(1);
  EXPECT_TRUE(ebb::equal(indices, ebb::tensor({1, 2})));
  EXPECT_DOUBLE_EQ(values.sum().item<double>(), 11);
  EXPECT_TRUE(ebb::equal(std::get<1>(ebb::max(x, 1)), x.argmax(1)));
  EXPECT_EQ(x.argmax().item<int64_t>(), 5);
  EXPECT_NEAR(x.std().item<double>(), 2.3664319, 1e-5);
  EXPECT_NEAR(x.var(1, true).sum().item<double>(), 4.33333333 + 9.33333333, 1e-4);
  EXPECT_NEAR(x.norm().item<double>(), std::sqrt(82.0), 1e-5);
  EXPECT_DOUBLE_EQ(x.prod(1)[0].item<double>(), 10);
  EXPECT_DOUBLE_EQ(x.cumsum(1)[1][2].item<double>(), 10);
  auto [sorted, order] = x.sort(1);
  EXPECT_TRUE(ebb::equal(order[0], ebb::tensor({0, 2, 1})));
  auto [top, where] = x.topk(2, 1);
  EXPECT_TRUE(ebb::equal(top[1], ebb::tensor({6.0, 4.0})));
  EXPECT_TRUE(ebb::equal(where[1], ebb::tensor({2, 0})));
  EXPECT_TRUE(ebb::equal(x.argsort(1)[0], order[0]));
  EXPECT_TRUE(ebb::equal(sorted[0], ebb::tensor({1.0, 2.0, 5.0})));
}

TEST(TorchSurface, Products) {
  Tensor a = ebb::tensor({{1.0, 2.0}, {3.0, 4.0}}), v = ebb::tensor({1.0, 1.0});
  EXPECT_TRUE(ebb::equal(a.matmul(v), ebb::tensor({3.0, 7.0})));
  EXPECT_TRUE(ebb::equal(a.mm(ebb::eye(2)), a));
  EXPECT_TRUE(ebb::equal(ebb::mm(a, a.t()), ebb::einsum("ij,kj->ik", {a, a})));
  EXPECT_DOUBLE_EQ(v.dot(v).item<double>(), 2);
  EXPECT_EQ(ebb::outer(v, v).sizes(), ebb::Shape({2, 2}));
  EXPECT_EQ(ebb::bmm(ebb::ones({3, 2, 4}), ebb::ones({3, 4, 5})).sizes(), ebb::Shape({3, 2, 5}));
  EXPECT_NEAR(ebb::cosine_similarity(a, a, 1).sum().item<double>(), 2, 1e-5);
}

// ---- gradients ----

TEST(TorchSurface, Backward) {
  Tensor x = ebb::tensor({2.0, 3.0}).requires_grad_();
  Tensor y = (x * x).sum();
  y.backward();
  EXPECT_TRUE(ebb::equal(x.grad(), ebb::tensor({4.0, 6.0})));
  x.grad().zero_();
  Tensor loss = x.pow(3).sum();
  Tensor g = ebb::autograd::grad({loss}, {x}, {}, true, true)[0];
  Tensor h = ebb::autograd::grad({g.sum()}, {x})[0];
  EXPECT_TRUE(ebb::equal(h, ebb::tensor({12.0, 18.0})));
  {
    ebb::NoGradGuard no_grad;
    EXPECT_FALSE((x * 2).requires_grad());
  }
  Tensor d = x.detach();
  EXPECT_FALSE(d.requires_grad());
  Tensor z = x * 2;
  z.retain_grad();
  z.register_hook([](const Tensor& grad) { return grad * 2; });
  z.register_hook([](const Tensor& grad) { EXPECT_TRUE(grad.defined()); });
  z.sum().backward();
  EXPECT_TRUE(z.grad().defined());
}

// ---- modules ----

TEST(TorchSurface, Pooling) {
  namespace F = ebb::nn::functional;
  const Tensor x = ebb::randn({2, 3, 8, 6});
  EXPECT_EQ(nn::MaxPool2d(2)(x).sizes(), ebb::Shape({2, 3, 4, 3}));
  nn::MaxPool2d pool({3, 2}, {.stride = {2, 1}, .padding = {1, 0}, .ceil_mode = true});
  EXPECT_EQ(pool(x).sizes(), ebb::Shape({2, 3, 5, 5}));
  auto [values, indices] = pool->forward_with_indices(x);
  EXPECT_TRUE(ebb::equal(values, pool->forward(x)));
  EXPECT_EQ(indices.dtype(), ebb::kInt64);
  EXPECT_EQ(nn::AvgPool2d(2, {.stride = 1})(x).sizes(), ebb::Shape({2, 3, 7, 5}));
  EXPECT_EQ(nn::AdaptiveAvgPool2d({5, 7})(x).sizes(), ebb::Shape({2, 3, 5, 7}));
  EXPECT_EQ(nn::AdaptiveMaxPool2d({std::nullopt, 1})(x).sizes(), ebb::Shape({2, 3, 8, 1}));
  Tensor leaf = x.clone().requires_grad_();
  ebb::adaptive_avg_pool2d(leaf, {3, 0}).sum().backward();
  EXPECT_EQ(leaf.grad().abs().sum().item<double>(), 0);
  EXPECT_EQ(nn::MaxPool1d(2)(x[0]).sizes(), ebb::Shape({3, 8, 3}));
  EXPECT_TRUE(
      ebb::equal(ebb::max_pool2d(x, 2), F::max_pool2d(x, {2, 2}, {2, 2}, {0, 0}, {1, 1}, false)));
  std::ostringstream out;
  out << nn::MaxPool2d(2) << nn::AvgPool1d(2) << nn::AdaptiveAvgPool2d({std::nullopt, 5}) << pool;
  EXPECT_EQ(out.str(),
            "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"
            "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"
            "AdaptiveAvgPool2d(output_size=(None, 5))"
            "MaxPool2d(kernel_size=(3, 2), stride=(2, 1), padding=(1, 0), dilation=1, "
            "ceil_mode=True)");
}

TEST(TorchSurface, Normalization) {
  namespace F = ebb::nn::functional;
  const Tensor x = ebb::randn({4, 6, 5, 5});
  nn::BatchNorm2d norm(6, {.momentum = 0.2});
  const Tensor y = norm->forward(x);
  EXPECT_EQ(norm.num_batches_tracked.item<int64_t>(), 1);
  EXPECT_TRUE(ebb::allclose(y, F::batch_norm(x, {}, {}, {.training = true})));
  norm->eval();
  EXPECT_TRUE(ebb::allclose(norm(x), F::batch_norm(x, norm->running_mean, norm.running_var)));
  EXPECT_EQ(nn::BatchNorm1d(5)(x[0]).sizes(), ebb::Shape({6, 5, 5}));
  EXPECT_TRUE(ebb::allclose(nn::LayerNorm({5, 5})(x), F::layer_norm(x, {5, 5})));
  EXPECT_TRUE(ebb::allclose(nn::GroupNorm(3, 6)(x), ebb::group_norm(x, 3)));
  EXPECT_TRUE(ebb::allclose(nn::InstanceNorm2d(6)(x), ebb::instance_norm(x)));
  EXPECT_TRUE(ebb::allclose(nn::RMSNorm(5)(x), F::rms_norm(x, 5)));
}

struct Net : nn::Module {
  Net()
      : fc1(register_module("fc1", nn::Linear(4, 8))),
        fc2(register_module("fc2", nn::Linear(8, 3))),
        scale(register_parameter("scale", ebb::ones({1}))) {}
  Tensor forward(Tensor x) {
    x = ebb::relu(fc1->forward(x));
    x = ebb::dropout(x, /*p=*/0.5, /*train=*/is_training());
    return ebb::log_softmax(fc2(x) * scale, /*dim=*/1);
  }
  nn::Linear fc1, fc2;
  Tensor scale;
};

TEST(TorchSurface, TrainingLoop) {
  ebb::manual_seed(1);
  Net net;
  ebb::optim::SGD optimizer(net.parameters(), {.lr = 0.1, .momentum = 0.9});
  Tensor data = ebb::randn({16, 4}), target = ebb::randint(3, {16});
  double first = 0, last = 0;
  for (int epoch = 0; epoch < 60; ++epoch) {
    net.train();
    optimizer.zero_grad();
    Tensor prediction = net.forward(data);
    Tensor loss = ebb::nll_loss(prediction, target);
    loss.backward();
    nn::utils::clip_grad_norm_(net.parameters(), 1.0);
    optimizer.step();
    if (epoch == 0) first = loss.item<double>();
    last = loss.item<double>();
  }
  EXPECT_LT(last, first);
  net.eval();
  Tensor guess = net.forward(data).argmax(1);
  EXPECT_GT(guess.eq(target).sum().item<int64_t>(), 5);
  for (const auto& p : net.named_parameters()) EXPECT_FALSE(p.first.empty());
}

TEST(TorchSurface, Sequential) {
  nn::Sequential seq(nn::Linear(3, 4), nn::ReLU(), nn::Dropout(0.5), nn::Linear(4, 1));
  seq.eval();
  EXPECT_EQ(seq.forward(ebb::ones({2, 3})).sizes(), ebb::Shape({2, 1}));
  EXPECT_EQ(seq(ebb::ones({2, 3})).sizes(), ebb::Shape({2, 1}));
  std::ostringstream text;
  text << seq;
  EXPECT_NE(text.str().find("(0): Linear(in_features=3, out_features=4, bias=True)"),
            std::string::npos)
      << text.str();
  seq.to(ebb::kFloat64);
  for (Tensor& p : seq.parameters()) EXPECT_EQ(p.dtype(), ebb::kFloat64);
}

TEST(TorchSurface, Convolutions) {
  namespace F = ebb::nn::functional;
  Tensor x = ebb::randn({2, 3, 8, 8}), w = ebb::randn({4, 3, 3, 3}), b = ebb::zeros({4});
  EXPECT_EQ(ebb::conv2d(x, w).sizes(), ebb::Shape({2, 4, 6, 6}));
  EXPECT_EQ(ebb::conv2d(x, w, b, 2, 1).sizes(), ebb::Shape({2, 4, 4, 4}));
  EXPECT_EQ(ebb::conv2d(x, w, b, {1, 2}, "valid").sizes(), ebb::Shape({2, 4, 6, 3}));
  EXPECT_EQ(F::conv2d(x, w, b, {.padding = "same"}).sizes(), ebb::Shape({2, 4, 8, 8}));
  EXPECT_EQ(ebb::conv1d(x[0], ebb::ones({2, 8, 3}), {}, 1, 1).sizes(), ebb::Shape({3, 2, 8}));
  EXPECT_EQ(ebb::conv_transpose2d(ebb::randn({2, 4, 3, 3}), w, {}, 2, 1, 1).sizes(),
            ebb::Shape({2, 3, 6, 6}));
  nn::Sequential net(nn::Conv2d(3, 5, 3, nn::Conv2dOptions{.stride = 2}),
                     nn::ConvTranspose2d(5, 3, {2, 2}));
  EXPECT_EQ(net->forward(x).sizes(), ebb::Shape({2, 3, 4, 4}));
  EXPECT_EQ(F::fold(F::unfold(x, 2), 8, 2).sizes(), x.sizes());
}

TEST(TorchSurface, SequenceLayers) {
  namespace F = nn::functional;
  Tensor words = ebb::randint(10, {5, 2});
  nn::Embedding embedding(10, 4);
  Tensor x = embedding->forward(words);
  EXPECT_TRUE(ebb::equal(x, F::embedding(words, embedding->weight)));
  nn::GRU gru(4, 8, {.num_layers = 2});
  auto gru_output = gru->forward(x);
  EXPECT_EQ(std::get<0>(gru_output).sizes(), ebb::Shape({5, 2, 8}));
  EXPECT_EQ(std::get<1>(gru_output).sizes(), ebb::Shape({2, 2, 8}));
  nn::LSTM lstm(4, 8);
  std::tuple<Tensor, std::tuple<Tensor, Tensor>> lstm_output = lstm->forward(x);
  auto [hx, cx] = std::get<1>(lstm_output);
  EXPECT_EQ(std::get<0>(lstm->forward(x, std::make_tuple(hx, cx))).sizes(), ebb::Shape({5, 2, 8}));
  nn::LSTMCell cell(4, 8);
  auto [h, c] = cell->forward(x[0], std::make_tuple(hx[0], cx[0]));
  EXPECT_EQ(h.sizes(), c.sizes());
  namespace rnn = nn::utils::rnn;
  auto packed = rnn::pack_padded_sequence(x, ebb::tensor({5, 3}));
  auto [padded, lengths] =
      rnn::pad_packed_sequence(std::get<0>(gru->forward_with_packed_input(packed)));
  EXPECT_EQ(padded.sizes(), ebb::Shape({5, 2, 8}));
  EXPECT_EQ(lengths[1].item<int64_t>(), 3);
  nn::MultiheadAttention attention(4, 2, {.dropout = 0.1});
  auto [output, weights] = attention->forward(x, x, x, Tensor(), true, Tensor());
  EXPECT_EQ(weights.sizes(), ebb::Shape({2, 5, 5}));
  EXPECT_EQ(F::scaled_dot_product_attention(x, x, x).sizes(), x.sizes());
}

TEST(TorchSurface, FunctionalLosses) {
  namespace F = ebb::nn::functional;
  Tensor logits = ebb::randn({4, 3}), target = ebb::tensor({0, 1, 2, 1});
  EXPECT_EQ(F::cross_entropy(logits, target).dim(), 0);
  EXPECT_EQ(F::mse_loss(logits, ebb::zeros({4, 3})).dim(), 0);
  EXPECT_EQ(F::softmax(logits, 1).sizes(), logits.sizes());
  EXPECT_EQ(F::one_hot(target, 3).sizes(), ebb::Shape({4, 3}));
  EXPECT_EQ(F::selu(logits).sizes(), logits.sizes());
  EXPECT_EQ(F::pad(logits, {1, 1}).sizes(), ebb::Shape({4, 5}));
  EXPECT_NEAR(F::normalize(logits).norm().item<double>(), 2, 1e-5);
  nn::CrossEntropyLoss criterion;
  EXPECT_EQ(criterion(logits, target).dim(), 0);
  nn::init::xavier_uniform_(logits);
  nn::init::constant_(logits, 0.5);
  EXPECT_EQ(logits[0][0].item<float>(), 0.5f);
}

TEST(TorchSurface, ModulesChangeThroughTheirArrow) {
  using namespace ebb;
  nn::Conv2d conv(1, 2, 3);
  conv->eval();
  EXPECT_FALSE(conv->is_training());
  conv->weight.requires_grad_(false);
  conv->weight.fill_(1.0);
  EXPECT_EQ(conv->weight.sum().item(), 18);
  nn::LSTM lstm(2, 3);
  lstm->to(kFloat64);
  EXPECT_EQ(lstm->parameters()[0].dtype(), kFloat64);
  EXPECT_EQ(nn::LayerNorm({5})(randn({2, 5})).size(1), 5);
  // A dim whose size stays the same is copied, whatever the factor.
  const Tensor x = randn({1, 1, 3});
  EXPECT_TRUE(equal(interpolate(x, {.scale_factor = {1.3}, .mode = InterpolateMode::Linear}), x));
}

}  // namespace
