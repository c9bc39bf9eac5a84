// The rows written by hand, as a limit for comparison, and the floors.
#include <memory>
#include <numeric>

#include "driver.h"
#include "hand_mlp.h"

namespace {

using bench::Repetition;
using bench::Work;
using hand::Floats;

// Keeps the compiler from removing computations whose results are not used.
void keep(double value) { asm volatile("" : : "r,m"(value) : "memory"); }

std::vector<int64_t> make_classes(int64_t n, int64_t classes) {
  std::vector<int64_t> targets(static_cast<size_t>(n));
  for (int64_t i = 0; i < n; ++i) targets[static_cast<size_t>(i)] = i % classes;
  return targets;
}

/// Returns rows of positive numbers with sum 1.
Floats make_dense(const Work& w) {
  Floats t = hand::random_floats(w.batch * w.columns, 0, 1);
  if (w.loss != "kl_div") return t;
  for (int64_t r = 0; r < w.batch; ++r) {
    float* row = t.data() + r * w.columns;
    const float sum = std::accumulate(row, row + w.columns, 0.0f);
    for (int64_t c = 0; c < w.columns; ++c) row[c] /= sum;
  }
  return t;
}

Repetition make_step(const Work& w) {
  const auto net = std::make_shared<hand::Mlp>(w);
  return [=, x = hand::random_floats(w.batch * w.widths[0], -1, 1), dense = make_dense(w),
          classes = make_classes(w.batch, w.columns)] {
    keep(net->step(w.batch, x.data(), classes.data(), dense.data()));
  };
}

Repetition make_epoch(const Work& w) {
  struct State {
    explicit State(const Work& w)
        : pictures(w.samples * w.widths[0]),
          classes(make_classes(w.samples, w.columns)),
          order(w.samples),
          batch_classes(w.batch),
          batch(w.batch * w.widths[0]),
          net(w) {
      for (size_t i = 0; i < pictures.size(); ++i) pictures[i] = static_cast<uint8_t>(i * 7);
      std::iota(order.begin(), order.end(), 0);
    }
    std::vector<uint8_t> pictures;
    std::vector<int64_t> classes, order, batch_classes;
    Floats batch;
    std::mt19937 generator{1};
    hand::Mlp net;
  };
  const int64_t pixels = w.widths[0];
  const auto s = std::make_shared<State>(w);
  return [=] {
    std::shuffle(s->order.begin(), s->order.end(), s->generator);
    for (int64_t at = 0; at < w.samples; at += w.batch) {
      const int64_t n = std::min(w.batch, w.samples - at);
      for (int64_t r = 0; r < n; ++r) {
        const int64_t sample = s->order[static_cast<size_t>(at + r)];
        const uint8_t* from = s->pictures.data() + sample * pixels;
        float* to = s->batch.data() + r * pixels;
        for (int64_t k = 0; k < pixels; ++k) to[k] = static_cast<float>(from[k]) / 255;
        s->batch_classes[static_cast<size_t>(r)] = s->classes[static_cast<size_t>(sample)];
      }
      keep(s->net.step(n, s->batch.data(), s->batch_classes.data(), nullptr));
    }
  };
}

Repetition make_loss(const Work& w) {
  const int64_t n = w.batch * w.columns;
  const auto x = hand::random_floats(n, -2, 2), t = make_dense(w);
  const auto gradient = std::make_shared<Floats>(n);
  const float by_row = 1 / static_cast<float>(w.batch), by_element = 1 / static_cast<float>(n);
  if (w.loss == "cross_entropy") {
    return [=, classes = make_classes(w.batch, w.columns)] {
      keep(hand::cross_entropy(w.batch, w.columns, x.data(), classes.data(), by_row,
                               gradient->data()));
    };
  }
  if (w.loss == "log_softmax" || w.loss == "sigmoid") {
    const auto y = std::make_shared<Floats>(n);
    if (w.loss == "sigmoid") {
      return [=] { hand::sigmoid(n, x.data(), t.data(), y->data(), gradient->data()); };
    }
    return [=] {
      hand::log_softmax(w.batch, w.columns, x.data(), t.data(), y->data(), gradient->data());
    };
  }
  const auto loss = w.loss == "mse"         ? hand::mse
                    : w.loss == "smooth_l1" ? hand::smooth_l1
                    : w.loss == "kl_div"    ? hand::kl_div
                                            : hand::bce_with_logits;
  const float scale = w.loss == "kl_div" ? by_row : by_element;
  return [=] { keep(loss(n, x.data(), t.data(), scale, gradient->data())); };
}

Repetition make_gemm(const Work& w) {
  const int64_t m = w.batch, n = w.columns;
  const auto c = std::make_shared<Floats>(m * n);
  return [=, a = hand::random_floats(m * n, -1, 1), b = hand::random_floats(n * n, -1, 1)] {
    hand::sgemm(false, true, m, n, n, a.data(), b.data(), c->data());
  };
}

Repetition make_stream(const Work& w) {
  struct Arrays {
    Floats a, b, c;
  };
  const int64_t n = w.columns;
  const auto arrays = std::make_shared<Arrays>(Arrays{Floats(n, 1.0f), Floats(n, 2.0f), Floats(n)});
  return [=] {
    const float *a = arrays->a.data(), *b = arrays->b.data();
    float* c = arrays->c.data();
#pragma omp parallel for simd schedule(static)
    for (int64_t i = 0; i < n; ++i) c[i] = a[i] + b[i];
  };
}

Repetition prepare(const Work& w) {
  switch (w.kind) {
    case Work::Kind::Step: return make_step(w);
    case Work::Kind::Epoch: return make_epoch(w);
    case Work::Kind::Loss: return make_loss(w);
    case Work::Kind::Gemm: return make_gemm(w);
    case Work::Kind::Stream: return make_stream(w);
    case Work::Kind::Infer: {
      const auto net = std::make_shared<hand::Mlp>(w);
      return [=, x = hand::random_floats(w.batch * w.widths[0], -1, 1)] {
        keep(net->forward(w.batch, x.data())[0]);
      };
    }
    default: return nullptr;
  }
}

}  // namespace

int main(int argc, char** argv) {
  const dnnl_version_t* v = dnnl_version();
  const std::string info = "by hand on sgemm of oneDNN " + std::to_string(v->major) + "." +
                           std::to_string(v->minor) + "." + std::to_string(v->patch) +
                           ", -march=native -ffast-math";
  return bench::Driver(info, prepare).run(argc, argv);
}
