// The calls of a sequence that use a Trainer: run, stop, run again, resume in another program.
#include <cmath>

#include "ebb/tests/nn/property/world.h"

namespace ebb::test::property {
namespace {

double schedule(double progress) { return 0.5 * (1 + std::cos(3 * progress)); }

}  // namespace

void World::train() {
  const int64_t epochs = 1 + random_.below(2), batches = loader_->size(), total = epochs * batches;
  const auto some_batch = [&](double p) {
    return random_.chance(p) ? 1 + random_.below(static_cast<int>(total)) : 0;
  };
  const bool scheduled = random_.chance(0.5);
  const int64_t stop_at = some_batch(0.6), evaluate_at = some_batch(0.3), set_at = some_batch(0.2);
  const double new_lr = random_.uniform(0.001, 0.05);
  const bool resumes = stop_at > 0 && random_.chance(0.3);
  note("train: " + to_text(epochs) + " epochs of " + to_text(batches) + " batches, scheduled " +
       to_text(scheduled) + ", stop_at " + to_text(stop_at) + ", evaluate_at " +
       to_text(evaluate_at) + ", set_at " + to_text(set_at) + ", resumes " + to_text(resumes));

  const Shape shape{samples_, spec_.width};
  const data::Dataset dataset(from_data(inputs_, shape).to(dtype()), from_data(targets_, shape));
  int64_t done = 0;
  nn::Trainer* running = nullptr;
  const nn::LossFunction loss = [&](const Tensor& scores, const Tensor& target) {
    ++done;
    if (done == evaluate_at) {
      nn::predict(model_->whole, dataset, 2);
      compare_modes();
    }
    if (done == set_at) optimizer_->set_lr(new_lr);
    if (done == stop_at) running->stop();
    return nn::mse_loss(scores, target);
  };
  nn::TrainerOptions options{.epochs = epochs,
                             .checkpoint = resumes ? folder_ : "",
                             .checkpoint_every = 1e9,
                             .lr_schedule = scheduled ? schedule : decltype(&schedule)(nullptr),
                             .quiet = true};
  // Trains the reference on the batches from first to last, which the trainer has made.
  const auto expect_batches = [&](int64_t first, int64_t last) {
    for (int64_t k = first; k < last; ++k) {
      if (scheduled)
        reference_.factor = schedule(static_cast<double>(k) / static_cast<double>(total));
      if (k + 1 == set_at) reference_.rule.lr = new_lr, reference_.factor = 1;
      const auto order = loader_->order(k / batches).to_vector<int64_t>();
      reference_step(batch_rows(order, k % batches));
    }
    if (scheduled) reference_.factor = 1;
    require(done == last, "the number of batches");
  };

  if (!reference_.training[0]) reference_.train(0, true);
  const int64_t stopped = stop_at == 0 ? total : stop_at;
  nn::Trainer trainer(model_->whole, *optimizer_, *loader_, loss, options);
  running = &trainer;
  const bool finished = trainer.run();
  require(finished == (stopped == total), "what run() returns");
  require(trainer.interrupted() == (stop_at > 0), "interrupted()");
  expect_batches(0, stopped);
  if (finished || reference_.fragile) return;
  compare();
  if (resumes) {
    adopt(fresh_model());  // draws numbers: resuming must give the generator back
    loader_ = std::make_unique<data::DataLoader>(loader_->dataset(), loader_->options());
    options.resume = true;
    options.checkpoint_every = 0;
    resume_refused(options);
    nn::Trainer next(model_->whole, *optimizer_, *loader_, loss, options);
    running = &next;
    require(next.run(), "what run() returns after a resume");
  } else {
    require(trainer.run(), "what the second run() returns");
  }
  expect_batches(stopped, total);
}

// A resume with another loader or optimizer throws, and leaves all as it was.
void World::resume_refused(const nn::TrainerOptions& options) {
  data::LoaderOptions other = loader_->options();
  std::unique_ptr<nn::Optimizer> another;
  switch (random_.below(5)) {
    case 0: other.shuffle = !other.shuffle; break;
    case 1: other.drop_last = !other.drop_last && loader_->size() > 0; break;
    case 2: ++other.seed; break;
    case 3: ++other.batch_size; break;
    default:
      if (reference_.rule.rule == Rule::SGD)
        another = std::make_unique<nn::Adam>(model_->whole.named_parameters());
      else another = std::make_unique<nn::SGD>(model_->whole.named_parameters());
  }
  if (!another && other.drop_last && other.batch_size > samples_) return;
  const Generator generator = default_generator();
  std::vector<Doubles> before;
  for (const Tensor& p : model_->whole.parameters()) before.push_back(p.to_vector<double>());
  bool refused = false;
  try {
    data::DataLoader loader(loader_->dataset(), other);
    nn::Trainer(model_->whole, another ? *another : *optimizer_, loader, nn::MSELoss(), options)
        .run();
  } catch (const Error&) {
    refused = true;
  }
  require(refused, "a checkpoint of another training was resumed");
  size_t i = 0;
  for (const Tensor& p : model_->whole.parameters())
    require(p.to_vector<double>() == before[i++], "a resume that was refused changed a parameter");
  require(optimizer_->steps() == 0, "a resume that was refused changed the optimizer");
  require(default_generator().offset == generator.offset, "a refused resume changed the generator");
}

}  // namespace ebb::test::property
