// Solves the heat equation with a physics-informed network: a network whose loss contains its own
// second derivative. Writes an image of the solution next to the exact one.
#include <cmath>
#include <numbers>

#include "common.h"
#include "png_image.h"

using namespace ebb;

namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kConductivity = 0.05;

// The temperature of a rod of length 1 at time 0. Both ends stay at 0.
Tensor initial(const Tensor& x) { return sin(kPi * x) + 0.5 * sin(3 * kPi * x); }

// The exact solution: each sine decays at its own rate.
double exact(double x, double t) {
  const double decay = kConductivity * kPi * kPi * t;
  return std::exp(-decay) * std::sin(kPi * x) + 0.5 * std::exp(-9 * decay) * std::sin(3 * kPi * x);
}

// The temperature u(x, t) as a network, for 0 <= x <= 1 and 0 <= t <= 1.
//
// u = initial(x) + t x (1 - x) network(x, t) has the right values at time 0 and at both ends,
// whatever the network returns. So training only has to satisfy the equation u_t = k u_xx, and the
// layer returns the residual u_t - k u_xx at each point (x, t) of a batch: (N, 2) -> (N, 1).
struct HeatEquation : nn::Layer {
  explicit HeatEquation(int64_t width)
      : network(add_module(
            "network",
            nn::Sequential(nn::Linear(2, width), nn::Tanh(), nn::Linear(width, width), nn::Tanh(),
                           nn::Linear(width, width), nn::Tanh(), nn::Linear(width, 1)))) {}

  Tensor solution(const Tensor& x, const Tensor& t) const {
    return initial(x) + t * x * (1 - x) * network(cat({x, t}, 1));
  }

  Tensor forward(const Tensor& points) const override {
    const Tensor x = slice(points, 1, 0, 1).detach().requires_grad_();
    const Tensor t = slice(points, 1, 1, 2).detach().requires_grad_();
    // Each u depends only on its own x and t, so the gradient of the sum consists of the
    // derivatives at the points.
    const std::vector<Tensor> first = grad(sum(solution(x, t)), {x, t}, {.create_graph = true});
    const Tensor second = grad(sum(first[0]), {x}, {.create_graph = true})[0];
    return first[1] - kConductivity * second;
  }

  nn::Sequential network;
};

// Red is 1, white is 0, blue is -1.
void color(uint8_t* pixel, double value) {
  const double strength = std::min(1.0, std::abs(value));
  constexpr double kRed[] = {200, 30, 40}, kBlue[] = {40, 80, 190};
  for (int c = 0; c < 3; ++c) {
    pixel[c] = static_cast<uint8_t>(255 + strength * ((value > 0 ? kRed : kBlue)[c] - 255));
  }
}

// Draws the solution, the exact solution, and 100 times the difference, with x to the right and
// time downwards. Returns the largest difference.
double draw(const HeatEquation& equation, Device device, const std::string& path) {
  constexpr int64_t kPoints = 120, kPixels = 2, kSize = kPoints * kPixels, kGap = 12;
  const NoGrad guard;
  const Tensor steps = linspace(0, 1, kPoints, {.device = device});
  const Tensor x = repeat(steps, {kPoints}).reshape({-1, 1});
  const Tensor t = repeat(steps.reshape({-1, 1}), {1, kPoints}).reshape({-1, 1});
  const std::vector<float> u = equation.solution(x, t).to_vector<float>();
  examples::PngImage image(3 * kSize + 2 * kGap, kSize);
  double largest = 0;
  for (int64_t i = 0; i < kSize * kSize; ++i) {
    const int64_t column = i % kSize, row = i / kSize;
    const int64_t right = column / kPixels, down = row / kPixels;
    const double found = static_cast<double>(u[static_cast<size_t>(down * kPoints + right)]);
    const double wanted = exact(static_cast<double>(right) / (kPoints - 1),
                                static_cast<double>(down) / (kPoints - 1));
    color(image.at(column, row), found);
    color(image.at(column + kSize + kGap, row), wanted);
    color(image.at(column + 2 * (kSize + kGap), row), 100 * (found - wanted));
    largest = std::max(largest, std::abs(found - wanted));
  }
  image.save(path);
  return largest;
}

}  // namespace

int main(int argc, char** argv) {
  examples::Flags defaults;
  defaults.epochs = 150;
  defaults.batch_size = 64;
  defaults.lr = 1e-2;
  defaults.out = "runs/pinn";
  return examples::run(
      argc, argv, "The heat equation, solved by a physics-informed network", defaults,
      [](const examples::Flags& flags) {
        const Device device = Device::parse(flags.device);
        HeatEquation equation(32);
        equation.to(device);

        constexpr int64_t kPoints = 2048;
        const data::Dataset points(rand({kPoints, 2}), zeros({kPoints, 1}));
        data::DataLoader loader(points.to_if_it_fits(device), {.batch_size = flags.batch_size,
                                                               .shuffle = true,
                                                               .seed = flags.seed,
                                                               .device = device});
        nn::Adam optimizer(equation.named_parameters(), {.lr = flags.lr});
        nn::Trainer trainer(
            equation, optimizer, loader, nn::MSELoss(),
            {.epochs = flags.epochs,
             .checkpoint = flags.checkpoint(),
             .resume = flags.resume,
             .lr_schedule = [](double done) { return 0.5 * (1 + std::cos(kPi * done)); },
             .capture = flags.capture});
        if (!trainer.run()) return examples::stopped(flags.checkpoint());

        const std::string picture = flags.out + "/solution.png";
        const double largest = draw(equation, device, picture);
        std::printf(
            "solution, exact solution and 100 times the difference in %s\n"
            "checkpoint in %s\n",
            picture.c_str(), flags.checkpoint().c_str());
        if (trainer.epochs_run() > 0) {
          std::printf("%.3f s per epoch\n",
                      trainer.seconds() / static_cast<double>(trainer.epochs_run()));
        }
        std::printf("largest error: %.5f\n", largest);
        return 0;
      });
}
