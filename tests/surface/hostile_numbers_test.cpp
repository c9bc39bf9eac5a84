// Calls the functions that take numbers with the most extreme ones, in all combinations. They
// return or throw Error. Built with the sanitizers, this finds sums that overflow and reads outside
// of tensors.
#include <ebb/ebb.h>
#include <gtest/gtest.h>

#include <concepts>
#include <string>

namespace {

using namespace ebb;
using I = int64_t;

// No size between 4 and 2^53 is requested, so that no memory is either.
constexpr I kNumbers[] = {INT64_MIN, -(I{1} << 62), -1, 0, 1, 3, I{1} << 53, I{1} << 62, INT64_MAX};

class HostileNumbers : public testing::Test {
 protected:
  // Calls f, which may throw nothing but Error.
  template <class F> static void call(const std::string& name, I a, I b, I c, const F& f) {
    try {
      (void)f();
    } catch (const Error&) {
    } catch (const std::exception& error) {
      ADD_FAILURE() << name << " of " << a << ", " << b << ", " << c << " throws " << error.what();
    }
  }
  // Calls a function of one to three numbers with all combinations of kNumbers.
  template <class F> static void each(const std::string& name, const F& f) {
    for (const I a : kNumbers) {
      if constexpr (std::invocable<F, I>) {
        call(name, a, 0, 0, [&] { return f(a); });
      } else {
        for (const I b : kNumbers) {
          if constexpr (std::invocable<F, I, I>) {
            call(name, a, b, 0, [&] { return f(a, b); });
          } else {
            for (const I c : kNumbers) call(name, a, b, c, [&] { return f(a, b, c); });
          }
        }
      }
    }
  }
  static Tensor list(const std::vector<I>& numbers) {
    return from_data(numbers, {static_cast<I>(numbers.size())});
  }
  static Tensor counted(const Shape& shape) {
    return reshape(arange(0, shape.numel(), 1, {.dtype = f32}), shape);
  }

  const Tensor x = counted({2, 3, 4}), i = x.to(i64), v = counted({5}), seq = counted({1, 2, 8}),
               img = counted({1, 2, 4, 4}), w1 = ones({2, 2, 3}), w2 = ones({2, 2, 2, 2}),
               nothing = zeros({0, 3}), wide = expand(zeros({1}), {kMaxElements});
};

TEST_F(HostileNumbers, Creation) {
  each("zeros", [&](I a) { return zeros(a); });
  each("zeros", [&](I a, I b) { return zeros({a, b}); });
  each("arange", [&](I a, I b, I c) { return arange(a, b, c); });
  each("linspace", [&](I a, I b) { return linspace(a, b, 5); });
  each("linspace", [&](I a) { return linspace(0, 1, a); });
  each("eye", [&](I a, I b) { return eye(a, b); });
  each("randperm", [&](I a) { return randperm(a); });
  each("randint", [&](I a, I b) { return randint(a, b, {3}); });
  each("scalar", [&](I a) { return scalar(a, {.dtype = u8}); });
}

TEST_F(HostileNumbers, Views) {
  each("reshape", [&](I a, I b, I c) { return reshape(x, {a, b, c}); });
  each("flatten", [&](I a, I b) { return flatten(x, a, b); });
  each("transpose", [&](I a, I b) { return transpose(x, a, b); });
  each("permute", [&](I a, I b, I c) { return permute(x, {a, b, c}); });
  each("unsqueeze", [&](I a) { return unsqueeze(x, a); });
  each("squeeze", [&](I a) { return squeeze(x, a); });
  each("slice", [&](I a, I b, I c) { return slice(v, 0, a, b, c).to_vector<double>(); });
  each("slice", [&](I a, I b, I c) { return slice(x, a, b, c); });
  each("select", [&](I a, I b) { return select(x, a, b); });
  each("expand", [&](I a, I b, I c) { return expand(v.slice(0, 0, 1), {a, b, c}); });
  each("slice_scatter", [&](I a, I b, I c) { return slice_scatter(ones({2}), {a}, 0, b, c); });
  each("slice_scatter", [&](I a, I b, I c) { return slice_scatter(ones({2}), {7}, a, b, c); });
  each("narrow", [&](I a, I b) { return narrow(v, 0, a, b); });
  each("narrow", [&](I a, I b, I c) { return narrow(x, a, b, c); });
  each("split", [&](I a, I b) { return split(x, a, b); });
  each("chunk", [&](I a, I b) { return chunk(x, a, b); });
  each("chunk", [&](I a, I b) { return chunk(nothing, a, b); });
  each("split", [&](I a, I b, I c) { return split(v, std::vector<I>{a, b, c}); });
  each("repeat", [&](I a, I b, I c) { return repeat(x, {a, b, c}); });
  each("repeat", [&](I a, I b) { return repeat(nothing, {a, b}); });
  each("flip", [&](I a, I b) { return flip(x, {a, b}); });
  each("roll", [&](I a, I b) { return roll(x, {a}, {b}); });
  each("roll", [&](I a, I b) { return roll(x, {a, b}, {0, 2}); });
  each("roll", [&](I a) { return roll(x, {a}); });
  each("tril", [&](I a) { return tril(x, a); });
  each("triu", [&](I a) { return triu(x, a); });
  each("diagonal", [&](I a, I b, I c) { return diagonal(x, a, b, c); });
  each("diag", [&](I a) { return diag(v, a); });
  each("diag", [&](I a) { return diag(x[0], a); });
  for (const PadMode m :
       {PadMode::Constant, PadMode::Reflect, PadMode::Replicate, PadMode::Circular}) {
    each("pad", [&](I a, I b) { return pad(seq, {a, b}, m); });
    each("pad", [&](I a, I b) { return pad(img, {a, b, 1, 1}, m); });
    each("pad", [&](I a, I b) { return pad(zeros({2, 0}), {a, b}, m); });
  }
  each("unbind", [&](I a) { return unbind(wide, a); });
  each("split", [&](I a) { return split(wide, a); });
  each("chunk", [&](I a) { return chunk(wide, a); });
}

TEST_F(HostileNumbers, Indices) {
  each("gather", [&](I a, I b) { return gather(v, 0, list({a, b})); });
  each("gather", [&](I a, I b) { return gather(x, a, full({2, 3, 4}, b)); });
  each("scatter_add", [&](I a, I b, I c) { return scatter_add(ones({2}), {a}, 0, list({b, c})); });
  each("index_select", [&](I a, I b) { return index_select(x, a, list({b})); });
  each("one_hot", [&](I a, I b) { return one_hot(list({b}), a); });
  each("index", [&](I a, I b) { return index(x, list({a, b})); });
  each("index", [&](I a, I b, I c) { return index(x, {indexing::Slice(a, b, c)}); });
  each("index", [&](I a, I b) { return index(x, {a, b}); });
  each("embedding", [&](I a, I b) {
    return nn::embedding(list({a}), ones({3, 2}), {.padding_idx = b});
  });
  each("embedding_bag", [&](I a, I b, I c) {
    return nn::embedding_bag(list({0, 1, 2}), ones({3, 2}), {.offsets = list({a, b, c})});
  });
}

TEST_F(HostileNumbers, Reductions) {
  each("sum", [&](I a, I b) { return sum(x, {a, b}); });
  each("sum", [&](I a) { return sum(i, {a}); });
  each("prod", [&](I a) { return prod(x, {a}); });
  each("amax", [&](I a) { return amax(x, {a}); });
  each("max", [&](I a) { return ebb::max(x, a); });
  each("argmax", [&](I a) { return argmax(x, a); });
  each("logsumexp", [&](I a) { return logsumexp(x, {a}); });
  each("var", [&](I a, I b) { return var(x, {a}, static_cast<double>(b)); });
  each("sort", [&](I a) { return sort(x, a); });
  each("topk", [&](I a, I b) { return topk(x, a, b); });
  each("cumsum", [&](I a) { return cumsum(i, a); });
  each("cumprod", [&](I a) { return cumprod(i, a); });
  each("multinomial", [&](I a, I b) { return multinomial(ones({3}), a, b > 0); });
  each("normalize", [&](I a, I b) { return normalize(x, static_cast<double>(a), b); });
  each("softmax", [&](I a) { return softmax(x, a); });
  each("sort", [&](I a) { return sort(wide, a); });
  each("cumsum", [&](I a) { return cumsum(wide, a); });
  each("topk", [&](I a) { return topk(wide, a); });
}

TEST_F(HostileNumbers, Windows) {
  each("max_pool1d", [&](I a, I b, I c) { return max_pool1d(seq, a, b, c); });
  each("max_pool1d", [&](I a, I b, I c) { return max_pool1d(seq, a, 1, b, c); });
  each("max_pool2d", [&](I a, I b, I c) { return max_pool2d(img, a, b, c); });
  each("max_pool2d", [&](I a, I b, I c) { return max_pool2d(img, a, b, c, 1, true); });
  each("avg_pool1d", [&](I a, I b, I c) { return avg_pool1d(seq, a, b, c); });
  each("avg_pool2d", [&](I a, I b, I c) { return avg_pool2d(img, {a, b}, c, 0, true, false); });
  each("avg_pool2d", [&](I a, I b) { return avg_pool2d(img, a, {}, 0, false, true, b); });
  each("adaptive_avg_pool2d", [&](I a, I b) { return adaptive_avg_pool2d(img, {a, b}); });
  each("adaptive_max_pool2d", [&](I a, I b) { return adaptive_max_pool2d(img, {a, b}); });
  each("conv1d", [&](I a, I b, I c) {
    return conv1d(seq, w1, {}, {.stride = a, .padding = b, .dilation = c});
  });
  each("conv1d", [&](I a, I b) { return conv1d(seq, w1, {}, {.padding = b, .groups = a}); });
  each("conv2d", [&](I a, I b, I c) {
    return conv2d(img, w2, {}, {.stride = a, .padding = b, .dilation = c});
  });
  each("conv_transpose1d", [&](I a, I b, I c) {
    return conv_transpose1d(seq, w1, {}, {.stride = a, .padding = b, .dilation = c});
  });
  each("conv_transpose1d", [&](I a, I b, I c) {
    return conv_transpose1d(seq, w1, {}, {.stride = a, .output_padding = b, .groups = c});
  });
  each("conv_transpose2d", [&](I a, I b, I c) {
    return conv_transpose2d(img, w2, {}, {.stride = a, .padding = b, .dilation = c});
  });
  each("unfold", [&](I a, I b, I c) { return unfold(img, a, {.dilation = b, .padding = c}); });
  each("unfold", [&](I a, I b) { return unfold(img, 2, {.padding = a, .stride = b}); });
  each("fold", [&](I a, I b, I c) {
    return fold(ones({1, 8, 9}), a, 2, {.padding = b, .stride = c});
  });
  each("fold", [&](I a, I b, I c) { return fold(ones({1, 8, 9}), {a, b}, c); });
  each("interpolate", [&](I a, I b) { return interpolate(img, {.size = {a, b}}); });
  each("interpolate",
       [&](I a) { return interpolate(seq, {.size = a, .mode = InterpolateMode::Linear}); });
  each("interpolate",
       [&](I a) { return interpolate(seq, {.scale_factor = {static_cast<double>(a)}}); });
  each("pixel_shuffle", [&](I a) { return pixel_shuffle(img, a); });
  each("pixel_unshuffle", [&](I a) { return pixel_unshuffle(img, a); });
  each("layer_norm", [&](I a, I b) { return layer_norm(x, {a, b}); });
  each("group_norm", [&](I a) { return group_norm(img, a); });
}

TEST_F(HostileNumbers, Layers) {
  each("Linear", [&](I a, I b) { return nn::Linear(a, b); });
  each("Conv1d", [&](I a, I b, I c) { return nn::Conv1d(a, b, c); });
  each("Conv2d", [&](I a, I b) { return nn::Conv2d(4, 4, a, {.groups = b}); });
  each("Embedding", [&](I a, I b) { return nn::Embedding(a, b); });
  each("Embedding", [&](I a) { return nn::Embedding(3, 2, {.padding_idx = a}); });
  each("LSTM", [&](I a, I b) { return nn::LSTM(a, b); });
  each("GRUCell", [&](I a, I b) { return nn::GRUCell(a, b); });
  each("Bilinear", [&](I a, I b) { return nn::Bilinear(a, b, 3); });
  each("MultiheadAttention", [&](I a, I b) { return nn::MultiheadAttention(a, b); });
  each("BatchNorm1d", [&](I a) { return nn::BatchNorm1d(a); });
  each("GroupNorm", [&](I a, I b) { return nn::GroupNorm(a, b); });
  each("LayerNorm", [&](I a, I b) { return nn::LayerNorm(Shape{a, b}); });
  each("TransformerEncoderLayer", [&](I a, I b) { return nn::TransformerEncoderLayer(a, b); });
  each("Dropout", [&](I a) { return nn::Dropout(static_cast<double>(a)); });
}

TEST_F(HostileNumbers, Losses) {
  each("cross_entropy", [&](I a, I b) {
    return nn::cross_entropy(ones({2, 3}), list({a, b}), {.ignore_index = b});
  });
  each("nll_loss", [&](I a, I b) { return nn::nll_loss(ones({2, 3}), list({a, b})); });
  each("multi_margin_loss", [&](I a, I b) {
    return nn::multi_margin_loss(ones({2, 3}), list({a, b}));
  });
  each("multilabel_margin_loss", [&](I a, I b, I c) {
    return nn::multilabel_margin_loss(ones({1, 3}), from_data(std::vector<I>{a, b, c}, {1, 3}));
  });
  each("ctc_loss", [&](I a, I b, I c) {
    return nn::ctc_loss(log_softmax(ones({4, 1, 3}), 2), from_data(std::vector<I>{a}, {1, 1}),
                        list({b}), list({c}));
  });
  each("ctc_loss", [&](I a) {
    return nn::ctc_loss(log_softmax(ones({4, 1, 3}), 2), from_data(std::vector<I>{1}, {1, 1}),
                        list({4}), list({1}), {.blank = a});
  });
}

TEST_F(HostileNumbers, Data) {
  each("loader", [&](I a, I b) {
    data::DataLoader l(data::Dataset(ones({5, 2}), ones({5, 1})),
                       {.batch_size = a, .shuffle = true, .drop_last = b > 2, .prefetch = 0});
    I n = 0;
    l.set_epoch(b);
    for (auto& batch : l) n += batch.input.size(0);
    return n;
  });
  each("skip", [&](I a, I b) {
    data::DataLoader l(data::Dataset(ones({5, 2}), ones({5, 1})), {.batch_size = 2, .prefetch = 0});
    l.skip(a);
    I n = 0;
    for (auto& batch : l) n += batch.input.size(0);
    l.set_epoch(b);
    return n;
  });
  each("split", [&](I a, I b) { return data::split(a, 0.5, static_cast<uint64_t>(b)); });
  each("Dataset", [&](I a) { return data::Dataset(ones({5, 2}), ones({5, 1})).take(list({a})); });
}

TEST_F(HostileNumbers, IntegerArithmetic) {
  for (const I a : kNumbers) {
    for (const I b : kNumbers) {
      const Tensor p = from_data<I>({a, b, 1, 2}, {4}), q = from_data<I>({b, a, -1, 3}, {4});
      call("add", a, b, 0, [&] { return p + q; });
      call("sub", a, b, 0, [&] { return p - q; });
      call("mul", a, b, 0, [&] { return p * q; });
      call("div", a, b, 0, [&] { return p / q; });
      call("neg", a, b, 0, [&] { return -p; });
      call("abs", a, b, 0, [&] { return ebb::abs(p); });
      call("sign", a, b, 0, [&] { return sign(p); });
      call("max", a, b, 0, [&] { return maximum(p, q); });
      call("isum", a, b, 0, [&] { return sum(p); });
      call("iprod", a, b, 0, [&] { return prod(p); });
      call("icumsum", a, b, 0, [&] { return cumsum(p, 0); });
      call("icumprod", a, b, 0, [&] { return cumprod(p, 0); });
      call("lt", a, b, 0, [&] { return p < q; });
      call("to_u8", a, b, 0, [&] { return p.to(u8); });
      call("to_f", a, b, 0, [&] { return p.to(f32).to(i64); });
      call("where", a, b, 0, [&] { return where(p < q, p, q); });
      call("isort", a, b, 0, [&] { return std::get<0>(sort(p)); });
      call("mean", a, b, 0, [&] { return mean(p); });
      call("dot", a, b, 0, [&] { return matmul(p, q); });
      call("print", a, b, 0, [&] { return to_string(p); });
      call("fill", a, b, 0, [&] { return p.clone().fill_(b); });
      call("add_", a, b, 0, [&] { return p.clone().add_(q); });
      call("idx", a, b, 0, [&] { return equal(p, q); });
      call("i_amax", a, b, 0, [&] { return amax(p); });
      call("allclose", a, b, 0, [&] { return allclose(p, q); });
      call("addc", a, b, 0, [&] { return p + b; });
      call("mulc", a, b, 0, [&] { return p * b; });
      call("csub", a, b, 0, [&] { return a - p; });
      call("ltc", a, b, 0, [&] { return p < b; });
      call("eqc", a, b, 0, [&] { return p.eq(b); });
      call("fmodc", a, b, 0, [&] { return fmod(p.to(f64), static_cast<double>(b)); });
      call("powc", a, b, 0, [&] { return pow(p.to(f64), static_cast<double>(b)); });
      call("clampc", a, b, 0,
           [&] { return clamp(p.to(f32), static_cast<double>(a), static_cast<double>(b)); });
      call("masked", a, b, 0, [&] { return masked_fill(p, p < q, b); });
      call("u8c", a, b, 0, [&] { return ones({2}, {.dtype = u8}) + b; });
      call("u8m", a, b, 0, [&] { return ones({2}, {.dtype = u8}) * b; });
      call("floor_div", a, b, 0, [&] { return floor_divide(p.to(f64), static_cast<double>(b)); });
    }
  }
}
}  // namespace
