#include "ebb/tests/nn/property/world.h"

#include <filesystem>
#include <numeric>

namespace ebb::test::property {
namespace {

// Gives the thread's generator back: what the harness draws is not part of the sequence.
class KeepGenerator {
 public:
  KeepGenerator() = default;
  ~KeepGenerator() { default_generator() = before_; }
  KeepGenerator(const KeepGenerator&) = delete;
  KeepGenerator& operator=(const KeepGenerator&) = delete;

 private:
  Generator before_ = default_generator();
};

std::unique_ptr<nn::Optimizer> make(const RuleOptions& o, std::vector<nn::NamedTensor> parameters) {
  switch (o.rule) {
    case Rule::Adam:
      return std::make_unique<nn::Adam>(
          std::move(parameters),
          nn::AdamOptions{.lr = o.lr, .eps = o.eps, .weight_decay = o.weight_decay});
    case Rule::AdamW:
      if (o.weight_decay == 0.01)  // the default
        return std::make_unique<nn::AdamW>(std::move(parameters),
                                           nn::AdamWOptions{.lr = o.lr, .eps = o.eps});
      return std::make_unique<nn::AdamW>(
          std::move(parameters),
          nn::AdamWOptions{.lr = o.lr, .eps = o.eps, .weight_decay = o.weight_decay});
    case Rule::RMSprop:
      return std::make_unique<nn::RMSprop>(
          std::move(parameters),
          nn::RMSpropOptions{
              .lr = o.lr, .eps = o.eps, .weight_decay = o.weight_decay, .momentum = 0.5});
    case Rule::SGD: break;
  }
  return std::make_unique<nn::SGD>(std::move(parameters),
                                   nn::SGDOptions{.lr = o.lr,
                                                  .momentum = o.momentum,
                                                  .dampening = o.dampening,
                                                  .weight_decay = o.weight_decay,
                                                  .nesterov = o.nesterov});
}

std::vector<int64_t> order_of(const data::DataLoader& loader, int64_t epoch) {
  return loader.order(epoch).to_vector<int64_t>();
}

}  // namespace

World::World(uint64_t seed, std::string folder)
    : random_(seed),
      spec_(random_spec(random_)),
      folder_(std::move(folder)),
      reference_(spec_),
      samples_(3 + random_.below(8)) {
  manual_seed(seed);
  model_.emplace(spec_);
  std::vector<Tensor> parameters = model_->whole.parameters();
  require(parameters.size() == reference_.params.size(), "the number of parameters");
  for (size_t i = 0; i < parameters.size(); ++i)
    reference_.params[i].value = parameters[i].to_vector<double>();
  reference_.generator = default_generator();
  if (random_.chance(0.7)) {  // most sequences begin in f64, where comparisons are sharp
    narrow_ = was_narrow_ = false;
    model_->whole.to(f64);
    reference_.convert(false);
  }
  for (int64_t i = 0; i < samples_ * spec_.width; ++i) {
    inputs_.push_back(static_cast<float>(random_.uniform(-1, 1)));
    targets_.push_back(static_cast<float>(random_.uniform(-1, 1)));
  }
  const Shape shape{samples_, spec_.width};
  loader_ = std::make_unique<data::DataLoader>(
      data::Dataset(from_data(inputs_, shape), from_data(targets_, shape)),
      data::LoaderOptions{.batch_size = 1 + random_.below(3),
                          .shuffle = random_.chance(0.5),
                          .seed = seed,
                          .drop_last = random_.chance(0.3),
                          .prefetch = random_.below(2) * 2,
                          .transform = [this](data::Batch b) {
                            return data::Batch{b.input.to(dtype()), b.target.to(dtype())};
                          }});
  new_optimizer();
  int64_t numbers = 0;
  for (const Param& p : reference_.params) numbers += static_cast<int64_t>(p.value.size());
  require(model_->whole.parameter_count() == numbers, "parameter_count()");
}

bool World::run() {
  using Call = void (World::*)();
  constexpr Call calls[] = {&World::steps_by_hand, &World::steps_by_hand, &World::train,
                            &World::train,         &World::train,         &World::epoch_by_hand,
                            &World::convert,       &World::freeze,        &World::set_mode,
                            &World::predict,       &World::set_lr,        &World::copy_model,
                            &World::move_loader,   &World::load_state,    &World::summarize};
  const int count = 4 + random_.below(9);
  for (int i = 0; i < count; ++i) {
    (this->*calls[random_.below(std::size(calls))])();
    if (reference_.fragile) return false;
    compare();
  }
  return true;
}

// ---- comparing ----

void World::require(bool holds, const std::string& what) const {
  if (!holds) throw Difference{what};
}

void World::require_near(const Tensor& got, const Doubles& want, const std::string& what) const {
  const Doubles values = got.to_vector<double>();
  require(values.size() == want.size(), what + ": the number of elements");
  const double tolerance = was_narrow_ ? 2e-3 : 1e-8;
  for (size_t i = 0; i < values.size(); ++i) {
    if (!(std::fabs(values[i] - want[i]) <= tolerance * std::max(1.0, std::fabs(want[i])))) {
      require(false, what + ": element " + std::to_string(i) + " is " + to_text(values[i]) +
                         ", expected " + to_text(want[i]));
    }
  }
}

void World::compare() const {
  const std::vector<nn::NamedTensor> parameters = model_->whole.named_parameters();
  require(parameters.size() == reference_.params.size(), "the number of parameters");
  for (size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, tensor] = parameters[i];
    const Param& want = reference_.params[i];
    require(tensor.dtype() == dtype(), name + ": its dtype");
    require(tensor.requires_grad() == want.requires_grad, name + ": requires_grad");
    require_near(tensor, want.value, name);
    require(tensor.grad().defined() == !want.grad.empty(), name + ": whether it has a gradient");
    if (tensor.grad().defined()) require_near(tensor.grad(), want.grad, name + ": its gradient");
  }
  require(optimizer_->steps() == reference_.steps, "the optimizer's steps");
  require(optimizer_->lr() == reference_.rule.lr * reference_.factor, "the learning rate");
  require(optimizer_->base_lr() == reference_.rule.lr, "the base of the learning rate");
  compare_modes();
  require(default_generator().offset == reference_.generator.offset &&
              default_generator().seed == reference_.generator.seed,
          "the position of the generator");
}

void World::compare_modes() const {
  for (size_t node = 0; node < spec_.nodes.size(); ++node) {
    require(model_->modules[node].is_training() == reference_.training[node],
            "the mode of module " + std::to_string(node));
  }
}

// ---- pieces ----

Tensor World::tensor_of(const Doubles& rows) const {
  const auto width = static_cast<int64_t>(spec_.width);
  return from_data(rows, {static_cast<int64_t>(rows.size()) / width, width}).to(dtype());
}

Doubles World::rows_of(const Doubles& all, const std::vector<int64_t>& rows) const {
  Doubles picked;
  for (int64_t row : rows) {
    const auto first = all.begin() + row * spec_.width;
    picked.insert(picked.end(), first, first + spec_.width);
  }
  return picked;
}

std::vector<int64_t> World::batch_rows(const std::vector<int64_t>& order, int64_t batch) const {
  const int64_t size = loader_->options().batch_size, first = batch * size,
                last = std::min<int64_t>(first + size, static_cast<int64_t>(order.size()));
  return {order.begin() + first, order.begin() + last};
}

void World::reference_step(const std::vector<int64_t>& rows) {
  reference_.zero_grad();
  reference_.loss_and_gradients(rows_of(inputs_, rows), rows_of(targets_, rows));
  reference_.step();
}

void World::make_optimizer() {
  optimizer_ = make(reference_.rule, model_->whole.named_parameters());
}

void World::new_optimizer() {
  RuleOptions o{.rule = static_cast<Rule>(random_.below(4)), .lr = random_.uniform(0.001, 0.05)};
  if (o.rule == Rule::SGD && random_.chance(0.6)) {
    o.momentum = 0.5;
    o.nesterov = random_.chance(0.5);
    o.dampening = o.nesterov || random_.chance(0.5) ? 0 : 0.25;
  }
  if (o.rule == Rule::AdamW) o.weight_decay = 0.01;
  // A small eps multiplies rounding errors of gradients near 0 in every step.
  if (o.rule == Rule::RMSprop) o.eps = 0.5;
  if (random_.chance(0.3)) o.weight_decay = 0.1;
  reference_.new_optimizer(o);
  make_optimizer();
}

// A model as another program makes it: with other weights, but of the same dtype, with the same
// parts frozen and in the same modes.
Model World::fresh_model() {
  Model fresh(spec_);
  fresh.whole.to(dtype());
  std::vector<Tensor> parameters = fresh.whole.parameters();
  for (size_t i = 0; i < parameters.size(); ++i)
    parameters[i].requires_grad_(reference_.params[i].requires_grad);
  for (size_t node = 0; node < fresh.modules.size(); ++node) {  // chains come before their parts
    if (fresh.modules[node].is_training() != reference_.training[node])
      fresh.modules[node].train(reference_.training[node]);
  }
  for (size_t node = 0; node < fresh.modules.size(); ++node) {
    if (spec_.nodes[node].kind != Kind::Chain) fresh.modules[node].train(reference_.training[node]);
  }
  return fresh;
}

void World::adopt(Model model) {
  optimizer_.reset();
  model_ = std::move(model);
  for (Param& p : reference_.params) p.grad.clear();
  make_optimizer();
}

// ---- calls ----

void World::steps_by_hand() {
  note("steps_by_hand");
  const int count = 1 + random_.below(3);
  for (int s = 0; s < count; ++s) {
    std::vector<int64_t> rows(static_cast<size_t>(1 + random_.below(4)));
    for (int64_t& row : rows) row = random_.below(static_cast<int>(samples_));
    const Doubles x = rows_of(inputs_, rows), t = rows_of(targets_, rows);
    optimizer_->zero_grad();
    reference_.zero_grad();
    const int passes = 1 + random_.below(2);  // gradients add up
    for (int pass = 0; pass < passes; ++pass) {
      const Tensor loss = nn::mse_loss(model_->whole(tensor_of(x)), tensor_of(t));
      loss.backward();
      const double want = reference_.loss_and_gradients(x, t);
      if (!reference_.fragile) require_near(loss, {want}, "the loss");
    }
    optimizer_->step();
    reference_.step();
  }
}

// An epoch whose loader is moved on the way.
void World::epoch_by_hand() {
  const int epoch = random_.below(4);
  const int move_at = random_.below(static_cast<int>(loader_->size()));
  note("epoch_by_hand " + std::to_string(epoch) + ", move_at " + std::to_string(move_at));
  const std::vector<int64_t> order = order_of(*loader_, epoch);
  loader_->set_epoch(epoch);
  int64_t batch = 0;
  for (auto it = loader_->begin(); it != loader_->end(); ++it, ++batch) {
    const std::vector<int64_t> rows = batch_rows(order, batch);
    require_near((*it).input, rows_of(inputs_, rows), "the batch");
    optimizer_->zero_grad();
    nn::mse_loss(model_->whole((*it).input), (*it).target).backward();
    optimizer_->step();
    reference_step(rows);
    if (batch == move_at) move_loader();
    require(loader_->consumed() == batch + 1, "consumed()");
  }
  require(batch == loader_->size(), "the number of batches");
}

void World::convert() {
  note("convert");
  narrow_ = !narrow_;
  was_narrow_ = was_narrow_ || narrow_;
  model_->whole.to(dtype());
  reference_.convert(narrow_);
}

void World::freeze() {
  const int node = random_.below(static_cast<int>(spec_.nodes.size()));
  const bool on = random_.chance(0.5);
  std::vector<bool> before;
  for (const Param& p : reference_.params) before.push_back(p.requires_grad);
  bool changes = false, some_left = false;
  reference_.below(node, [&](int n) {
    for (int i : reference_.own(n)) reference_.params[static_cast<size_t>(i)].requires_grad = on;
  });
  for (size_t i = 0; i < before.size(); ++i) {
    Param& p = reference_.params[i];
    some_left |= p.requires_grad;
    if (p.requires_grad != before[i]) changes = true, p.grad.clear();
  }
  if (!some_left) {  // nothing to train: not this time
    for (size_t i = 0; i < before.size(); ++i) reference_.params[i].requires_grad = before[i];
    reference_.below(node, [&](int n) {
      for (int i : reference_.own(n)) {
        Param& p = reference_.params[static_cast<size_t>(i)];
        if (p.requires_grad) p.grad.clear();  // both forget it
      }
    });
    model_->modules[static_cast<size_t>(node)].requires_grad_(false);
    std::vector<Tensor> parameters = model_->whole.parameters();
    for (size_t i = 0; i < before.size(); ++i) parameters[i].requires_grad_(before[i]);
    return;
  }
  note("requires_grad_(" + to_text(on) + ") of module " + std::to_string(node));
  model_->modules[static_cast<size_t>(node)].requires_grad_(on);
  if (!changes) return;
  compare();
  if (random_.chance(0.3)) new_optimizer();
}

void World::set_mode() {
  const int node = random_.below(static_cast<int>(spec_.nodes.size()));
  const bool on = random_.chance(0.5);
  note("train(" + to_text(on) + ") of module " + std::to_string(node));
  model_->modules[static_cast<size_t>(node)].train(on);
  reference_.train(node, on);
}

void World::predict() {
  note("predict");
  const Shape shape{samples_, spec_.width};
  const data::Dataset dataset(from_data(inputs_, shape).to(dtype()), from_data(targets_, shape));
  const std::vector<bool> evaluation(spec_.nodes.size(), false);
  const Tensor got = nn::predict(model_->whole, dataset, 1 + random_.below(4));
  const Doubles want = reference_.forward(inputs_, evaluation);
  if (!reference_.fragile) require_near(got, want, "what predict() returns");
}

void World::set_lr() {
  note("set_lr");
  reference_.rule.lr = random_.uniform(0.001, 0.05);
  reference_.factor = 1;
  optimizer_->set_lr(reference_.rule.lr);
}

void World::copy_model() {
  note("copy_model");
  nn::Sequential copy(model_->whole);
  std::vector<nn::Module> handles = model_->modules;
  model_->whole = nn::Sequential(nn::Linear(1, 1));  // the original goes away
  default_generator() = reference_.generator;
  model_->whole = std::move(copy);
  model_->modules = std::move(handles);
}

void World::move_loader() {
  note("move_loader");
  data::DataLoader moved = std::move(*loader_);
  *loader_ = std::move(moved);
}

// Everything into a model and optimizer of another program, in memory or through a file.
void World::load_state() {
  const bool by_file = random_.chance(0.1);
  note(by_file ? "load_state by a file" : "load_state");
  const KeepGenerator keep;
  Model fresh = fresh_model();
  std::vector<nn::NamedTensor> weights = model_->whole.state_dict(),
                               state = optimizer_->state_dict();
  if (by_file) {
    save_checkpoint(folder_, {weights, state, {}});
    Checkpoint loaded = load_checkpoint(folder_);
    weights = loaded.model;
    state = loaded.training;
  }
  fresh.whole.load_state_dict(weights);
  const double factor = reference_.factor;
  adopt(std::move(fresh));
  optimizer_->load_state_dict(state);
  optimizer_->set_lr_factor(factor);
}

void World::summarize() {
  note("summary");
  const nn::Summary s = nn::summary(model_->whole, {2, spec_.width});
  require(s.parameters == model_->whole.parameter_count(), "what summary() counts");
}

}  // namespace ebb::test::property
