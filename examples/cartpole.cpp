// Balances a pole on a cart by reinforcement learning (actor-critic), and draws the returns.
#include <chrono>
#include <cmath>
#include <random>

#include "common.h"
#include "png_image.h"

using namespace ebb;

namespace {

constexpr double kPi = std::numbers::pi;
constexpr int64_t kLimit = 500;  // an episode ends after this many steps
constexpr double kSolved = 475;  // the mean return of the last kWindow episodes to reach
constexpr size_t kWindow = 100;
constexpr double kDiscount = 0.99;

// A cart that is pushed to the left or to the right with a constant force, and a pole on a hinge.
// The equations and constants are those of Barto, Sutton and Anderson (1983), as in CartPole-v1 of
// Gymnasium. Each step gives a reward of 1; the episode ends when the pole leans by more than 12
// degrees or the cart is more than 2.4 m from the middle.
class CartPole {
 public:
  explicit CartPole(std::mt19937_64& random) {
    for (double* value : {&x_, &speed_, &angle_, &turning_}) *value = 0.1 * uniform(random) - 0.05;
  }

  static double uniform(std::mt19937_64& random) {
    return static_cast<double>(random() >> 11) * 0x1p-53;
  }

  std::vector<float> observation() const {
    return {static_cast<float>(x_), static_cast<float>(speed_), static_cast<float>(angle_),
            static_cast<float>(turning_)};
  }

  // Pushes to the right if `right` is true, for 0.02 s. Returns false when the episode has ended.
  bool step(bool right) {
    constexpr double kGravity = 9.8, kCart = 1.0, kPole = 0.1, kHalfLength = 0.5, kForce = 10;
    constexpr double kSeconds = 0.02, kTotal = kCart + kPole;
    const double sine = std::sin(angle_), cosine = std::cos(angle_);
    const double pushed =
        ((right ? kForce : -kForce) + kPole * kHalfLength * turning_ * turning_ * sine) / kTotal;
    const double turn = (kGravity * sine - cosine * pushed) /
                        (kHalfLength * (4.0 / 3 - kPole * cosine * cosine / kTotal));
    const double acceleration = pushed - kPole * kHalfLength * turn * cosine / kTotal;
    x_ += kSeconds * speed_;
    speed_ += kSeconds * acceleration;
    angle_ += kSeconds * turning_;
    turning_ += kSeconds * turn;
    return std::abs(x_) <= 2.4 && std::abs(angle_) <= 12 * kPi / 180;
  }

 private:
  double x_, speed_, angle_, turning_;
};

// The actor gives the scores of the two actions, the critic the expected return: two heads on one
// hidden layer.
struct ActorCritic : nn::Module {
  nn::Linear hidden = add_module("hidden", nn::Linear(4, 64));
  nn::Linear actor = add_module("actor", nn::Linear(64, 2));
  nn::Linear critic = add_module("critic", nn::Linear(64, 1));

  Tensor scores(const Tensor& observation) const { return actor(relu(hidden(observation))); }
};

// The course of one episode.
struct Episode {
  std::vector<float> observations;
  std::vector<int64_t> actions;
};

// Plays one episode: each action is drawn from the actor's probabilities for one observation.
Episode play(const ActorCritic& agent, std::mt19937_64& random) {
  const NoGrad guard;
  CartPole game(random);
  Episode episode;
  for (bool running = true; running && std::ssize(episode.actions) < kLimit;) {
    const std::vector<float> observation = game.observation();
    const Tensor right = softmax(agent.scores(from_data(observation, {1, 4})), 1)[0][1];
    const bool action = CartPole::uniform(random) < right.item();
    episode.observations.insert(episode.observations.end(), observation.begin(), observation.end());
    episode.actions.push_back(action);
    running = game.step(action);
  }
  return episode;
}

// Returns the loss of one episode: the log-probabilities of its actions, weighted by how much
// better than expected they turned out, and the error of the expectation.
Tensor loss_of(const ActorCritic& agent, const Episode& episode) {
  const auto steps = std::ssize(episode.actions);
  std::vector<float> returns(episode.actions.size());
  double sum = 0;
  for (size_t i = returns.size(); i-- > 0;) {
    sum = 1 + kDiscount * sum;
    returns[i] = static_cast<float>(sum * (1 - kDiscount));  // at most 1
  }
  const Tensor hidden = relu(agent.hidden(from_data(episode.observations, {steps, 4})));
  const Tensor expected = squeeze(agent.critic(hidden), 1);
  const Tensor actual = from_data(returns, {steps});
  const Tensor advantage = (actual - expected).detach();
  const Tensor spread = sqrt(mean(square(advantage - mean(advantage)))) + 1e-6;
  const Tensor surprise = nn::cross_entropy(
      agent.actor(hidden), from_data(episode.actions, {steps}), {.reduction = nn::Reduction::None});
  return mean(surprise * (advantage - mean(advantage)) / spread) +
         nn::smooth_l1_loss(expected, actual);
}

double recent_mean(const std::vector<int64_t>& returns) {
  const size_t count = std::min(kWindow, returns.size());
  double sum = 0;
  for (size_t i = returns.size() - count; i < returns.size(); ++i)
    sum += static_cast<double>(returns[i]);
  return sum / static_cast<double>(count);
}

// Draws a gray bar for the return of each episode, and the mean of the last kWindow in blue.
void draw(const std::vector<int64_t>& returns, const std::string& path) {
  constexpr int64_t kWidth = 800, kHeight = 260, kMargin = 10, kThickness = 3;
  constexpr uint8_t kGray[] = {205, 205, 205}, kBlue[] = {40, 100, 200};
  examples::PngImage image(kWidth, kHeight);
  const auto fill = [&](int64_t x, double value, int64_t height, const uint8_t* color) {
    const auto top = kMargin + static_cast<int64_t>((kHeight - kMargin) * (1 - value / kLimit));
    for (int64_t y = top; y < std::min(top + height, kHeight); ++y)
      std::copy_n(color, 3, image.at(x, y));
  };
  for (int64_t x = 0; x < kWidth; ++x) {
    const auto episode = returns.begin() + x * std::ssize(returns) / kWidth;
    fill(x, static_cast<double>(*episode), kHeight, kGray);
    fill(x, recent_mean({returns.begin(), episode + 1}), kThickness, kBlue);
  }
  image.save(path);
}

struct Flags {
  int64_t episodes = 2000;
  double lr = 5e-3;
  uint64_t seed = 1;
  std::string out = "runs/cartpole";
};

}  // namespace

int main(int argc, char** argv) {
  Flags flags;
  CLI::App app("A pole on a cart, balanced by an actor-critic agent");
  app.add_option("--episodes", flags.episodes, "Largest number of episodes")
      ->capture_default_str()
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 20));
  app.add_option("--lr", flags.lr, "Learning rate")->capture_default_str();
  app.add_option("--seed", flags.seed, "Seed of weights, actions and start positions")
      ->capture_default_str();
  app.add_option("--out", flags.out, "Folder for the image")->capture_default_str();
  return examples::run(app, argc, argv, [&] {
    std::filesystem::create_directories(flags.out);
    manual_seed(flags.seed);
    std::mt19937_64 random(flags.seed);
    ActorCritic agent;
    nn::Adam optimizer(agent.named_parameters(), {.lr = flags.lr});
    std::vector<int64_t> returns;
    const auto now = std::chrono::steady_clock::now;
    double acting = 0, learning = 0;
    int64_t steps = 0;
    bool solved = false;
    while (!solved && std::ssize(returns) < flags.episodes) {
      const auto start = now();
      const Episode episode = play(agent, random);
      const auto played = now();
      optimizer.zero_grad();
      loss_of(agent, episode).backward();
      nn::utils::clip_grad_norm_(agent.parameters(), 0.5);
      optimizer.step();
      acting += std::chrono::duration<double>(played - start).count();
      learning += std::chrono::duration<double>(now() - played).count();
      returns.push_back(std::ssize(episode.actions));
      steps += returns.back();
      solved = returns.size() >= kWindow && recent_mean(returns) >= kSolved;
      if (returns.size() % 100 == 0) {
        std::printf("episode %5zu  mean return of the last %zu: %5.1f\n", returns.size(), kWindow,
                    recent_mean(returns));
      }
    }
    const std::string picture = flags.out + "/returns.png";
    draw(returns, picture);
    std::printf("returns in %s\n", picture.c_str());
    std::printf("%lld steps in %.2f s: %.1f us to act on one observation, %.2f s of learning\n",
                static_cast<long long>(steps), acting + learning,
                1e6 * acting / static_cast<double>(steps), learning);
    std::printf(solved ? "solved after %zu episodes\n" : "not solved after %zu episodes\n",
                returns.size());
    return solved ? 0 : 1;
  });
}
