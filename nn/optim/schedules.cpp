#include "ebb/nn/optim/schedules.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "ebb/nn/serialize/checkpoint.h"

namespace ebb::nn {
namespace {

constexpr std::string_view kOp = "schedule";
constexpr std::string_view kPlateau = "ReduceLROnPlateau";

void check_positive(const char* name, int64_t value) {
  if (value < 1) fail(kOp, "expected ", name, " of at least 1, got ", value);
}
void check_factor(const char* name, double value) {
  if (!(value >= 0) || !std::isfinite(value))
    fail(kOp, "expected ", name, " of at least 0, got ", value);
}

// Returns a value between `from`, at share 0, and `to`, at share 1.
double anneal(schedules::Anneal how, double from, double to, double share) {
  if (how == schedules::Anneal::Linear) return from + (to - from) * share;
  return to + (from - to) / 2 * (1 + std::cos(std::numbers::pi * share));
}

}  // namespace

Schedule::Schedule(std::function<double(int64_t step)> factor) : factor_(std::move(factor)) {
  if (!factor_) fail(kOp, "got an empty function");
}

double Schedule::operator()(int64_t step) const {
  if (step < 0) fail(kOp, "expected a step of at least 0, got ", step);
  const double factor = factor_(step);
  if (!(factor >= 0) || !std::isfinite(factor))
    fail(kOp, "the factor at step ", step, " is ", factor, ": expected at least 0");
  return factor;
}

std::function<double(double)> Schedule::by_progress(int64_t steps) const {
  check_positive("steps", steps);
  constexpr double kRounding = 1e-6;  // the rounding error of a progress that is a whole step
  return [schedule = *this, steps](double progress) {
    const double step = std::floor(progress * static_cast<double>(steps) + kRounding);
    if (!(step >= 0 && step < 0x1p63))
      fail(kOp, "expected a progress of at least 0 for ", steps, " steps, got ", progress);
    return schedule(static_cast<int64_t>(step));
  };
}

Schedule operator*(Schedule a, Schedule b) {
  return Schedule([a = std::move(a), b = std::move(b)](int64_t t) { return a(t) * b(t); });
}

namespace schedules {

Schedule constant(double factor, int64_t total_iters) {
  check_factor("factor", factor);
  return Schedule([=](int64_t t) { return t < total_iters ? factor : 1.0; });
}

Schedule linear(double start_factor, double end_factor, int64_t total_iters) {
  check_factor("start_factor", start_factor);
  check_factor("end_factor", end_factor);
  check_positive("total_iters", total_iters);
  return Schedule([=](int64_t t) {
    const double share =
        static_cast<double>(std::min(t, total_iters)) / static_cast<double>(total_iters);
    return start_factor + (end_factor - start_factor) * share;
  });
}

Schedule step(int64_t step_size, double gamma) {
  check_positive("step_size", step_size);
  check_factor("gamma", gamma);
  return Schedule([=](int64_t t) { return std::pow(gamma, static_cast<double>(t / step_size)); });
}

Schedule multistep(std::vector<int64_t> milestones, double gamma) {
  check_factor("gamma", gamma);
  std::sort(milestones.begin(), milestones.end());
  return Schedule([milestones = std::move(milestones), gamma](int64_t t) {
    const auto passed = std::upper_bound(milestones.begin(), milestones.end(), t);
    return std::pow(gamma, static_cast<double>(passed - milestones.begin()));
  });
}

Schedule exponential(double gamma) {
  check_factor("gamma", gamma);
  return Schedule([=](int64_t t) { return std::pow(gamma, static_cast<double>(t)); });
}

Schedule polynomial(int64_t total_iters, double power) {
  check_positive("total_iters", total_iters);
  check_factor("power", power);
  return Schedule([=](int64_t t) {
    const double left = static_cast<double>(total_iters - std::min(t, total_iters));
    return std::pow(left / static_cast<double>(total_iters), power);
  });
}

Schedule cosine(int64_t T_max, double eta_min) {
  check_positive("T_max", T_max);
  check_factor("eta_min", eta_min);
  return Schedule([=](int64_t t) {
    const double half = t / T_max % 2 != 0 ? 1 : 0;  // the factor rises in each second half
    const double period = static_cast<double>(T_max), at = static_cast<double>(t % T_max);
    return anneal(Anneal::Cosine, 1, eta_min, (half * period + at) / period);
  });
}

Schedule cosine_restarts(int64_t T_0, int64_t T_mult, double eta_min) {
  check_positive("T_0", T_0);
  check_positive("T_mult", T_mult);
  check_factor("eta_min", eta_min);
  constexpr int64_t kLongest = std::numeric_limits<int64_t>::max();
  return Schedule([=](int64_t t) {
    int64_t length = T_0, left = t;
    if (T_mult == 1) left %= T_0;
    while (left >= length) {
      left -= length;
      length = length > kLongest / T_mult ? kLongest : length * T_mult;
    }
    return anneal(Anneal::Cosine, 1, eta_min,
                  static_cast<double>(left) / static_cast<double>(length));
  });
}

Schedule one_cycle(int64_t total_steps, OneCycleOptions o) {
  check_positive("total_steps", total_steps);
  if (!(o.pct_start >= 0 && o.pct_start <= 1))
    fail(kOp, "expected pct_start from 0 to 1, got ", o.pct_start);
  if (!(o.div_factor > 0) || !(o.final_div_factor > 0))
    fail(kOp, "expected factors above 0, got ", o.div_factor, " and ", o.final_div_factor);
  const double n = static_cast<double>(total_steps), first = 1 / o.div_factor,
               last = first / o.final_div_factor;
  struct Phase {
    double end, from, to;
  };
  std::vector<Phase> phases{{o.pct_start * n - 1, first, 1}};
  if (o.three_phase) phases.push_back({2 * o.pct_start * n - 2, 1, first});
  phases.push_back({n - 1, o.three_phase ? first : 1, last});
  return Schedule([=](int64_t t) {
    if (t >= total_steps)
      fail(kOp, "one_cycle has ", total_steps, " steps, and this is step ", t, ", from 0");
    const double at = static_cast<double>(t);
    double begin = 0;
    for (size_t k = 0;; begin = phases[k++].end) {
      if (at > phases[k].end && k + 1 < phases.size()) continue;
      const double length = phases[k].end - begin;
      return anneal(o.anneal_strategy, phases[k].from, phases[k].to,
                    length == 0 ? 1 : (at - begin) / length);
    }
  });
}

Schedule cyclic(double max_factor, CyclicOptions o) {
  check_factor("max_factor", max_factor);
  check_positive("step_size_up", o.step_size_up);
  if (o.step_size_down < 0) fail(kOp, "expected step_size_down of at least 0");
  check_factor("gamma", o.gamma);
  const double up = static_cast<double>(o.step_size_up);
  const double total =
      up + static_cast<double>(o.step_size_down ? o.step_size_down : o.step_size_up);
  return Schedule([=](int64_t t) {
    const double at = static_cast<double>(t), cycle = std::floor(1 + at / total);
    const double x = 1 + at / total - cycle, ratio = up / total;
    const double height = (max_factor - 1) * (x <= ratio ? x / ratio : (x - 1) / (ratio - 1));
    double scale = 1;
    if (o.mode == CyclicMode::Triangular2) scale = std::pow(2, 1 - cycle);
    if (o.mode == CyclicMode::ExpRange) scale = std::pow(o.gamma, at);
    return 1 + height * scale;
  });
}

Schedule sequence(std::vector<Schedule> schedules, std::vector<int64_t> milestones) {
  if (schedules.empty() || milestones.size() + 1 != schedules.size()) {
    fail(kOp, "expected one milestone fewer than schedules, got ", milestones.size(), " and ",
         schedules.size());
  }
  if (!std::is_sorted(milestones.begin(), milestones.end()) ||
      (!milestones.empty() && milestones[0] < 0))
    fail(kOp, "milestones must rise from 0");
  return Schedule(
      [schedules = std::move(schedules), milestones = std::move(milestones)](int64_t t) {
        const auto next = std::upper_bound(milestones.begin(), milestones.end(), t);
        const auto k = static_cast<size_t>(next - milestones.begin());
        return schedules[k](k == 0 ? t : t - milestones[k - 1]);
      });
}

Schedule warm_up(int64_t steps, double start_factor, Schedule then) {
  if (steps == 0) return then;
  return sequence({linear(start_factor, 1, steps), std::move(then)}, {steps});
}

}  // namespace schedules

// ---- ReduceLROnPlateau ----

ReduceLROnPlateau::ReduceLROnPlateau(Optimizer& optimizer, ReduceLROnPlateauOptions o)
    : optimizer_(optimizer), options_(o) {
  if (!(o.factor >= 0 && o.factor < 1))
    fail(kPlateau, "expected a factor from 0 to below 1, got ", o.factor);
  if (o.patience < 0 || o.cooldown < 0) {
    fail(kPlateau, "expected patience and cooldown of at least 0, got ", o.patience, " and ",
         o.cooldown);
  }
  if (!(o.threshold >= 0) || !(o.min_lr >= 0) || !(o.eps >= 0) || !std::isfinite(o.min_lr)) {
    fail(kPlateau, "expected threshold, min_lr and eps of at least 0, got ", o.threshold, ", ",
         o.min_lr, " and ", o.eps);
  }
  best_ = std::numeric_limits<double>::infinity() * (o.mode == PlateauMode::Min ? 1 : -1);
}

bool ReduceLROnPlateau::improves(double value) const {
  const bool min = options_.mode == PlateauMode::Min;
  const double sign = min ? -1 : 1;
  const double bound = options_.threshold_mode == ThresholdMode::Rel
                           ? best_ * (1 + sign * options_.threshold)
                           : best_ + sign * options_.threshold;
  return min ? value < bound : value > bound;
}

bool ReduceLROnPlateau::step(double value) {
  ++calls_;
  if (improves(value)) {
    best_ = value;
    bad_ = 0;
  } else {
    ++bad_;
  }
  if (cooling_ > 0) {
    --cooling_;
    bad_ = 0;
  }
  if (bad_ <= options_.patience) return false;
  cooling_ = options_.cooldown;
  bad_ = 0;
  bool reduced = false;
  for (size_t group = 0; group < optimizer_.groups(); ++group) {
    const double now = optimizer_.base_lr(group);
    const double next = std::max(now * options_.factor, options_.min_lr);
    if (now - next <= options_.eps) continue;
    optimizer_.set_lr(next, group);
    reduced = true;
  }
  return reduced;
}

std::vector<NamedTensor> ReduceLROnPlateau::state_dict() const {
  std::vector<double> rates;
  for (size_t group = 0; group < optimizer_.groups(); ++group)
    rates.push_back(optimizer_.base_lr(group));
  return {{"best", scalar(best_, DType::F64)},
          {"counts", from_data(std::vector<int64_t>{bad_, cooling_, calls_}, {3})},
          {"lr", from_data(rates, {static_cast<int64_t>(rates.size())})}};
}

void ReduceLROnPlateau::load_state_dict(const std::vector<NamedTensor>& state) {
  const std::vector<NamedTensor> loaded = state_dict();
  load_state(loaded, state, kPlateau);
  const double best = loaded[0].second.item();
  const std::vector<int64_t> counts = loaded[1].second.to_vector<int64_t>();
  const std::vector<double> rates = loaded[2].second.to_vector<double>();
  constexpr int64_t kMost = int64_t{1} << 53;
  if (std::isnan(best) ||
      std::any_of(counts.begin(), counts.end(), [](int64_t n) { return n < 0 || n > kMost; }))
    fail(kPlateau, "the state's best value is NaN or a count is not from 0 to 2^53");
  for (double rate : rates) {
    if (!(rate >= 0) || !std::isfinite(rate))
      fail(kPlateau, "the state has a learning rate of ", rate);
  }
  best_ = best;
  bad_ = counts[0];
  cooling_ = counts[1];
  calls_ = counts[2];
  for (size_t group = 0; group < rates.size(); ++group) optimizer_.set_lr(rates[group], group);
}

}  // namespace ebb::nn
