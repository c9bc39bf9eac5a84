// One rank in the tests of distributed training: worker COMMAND [ARGUMENT...].
#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <thread>

#include "checks.h"
#include "worker_training.h"

using namespace ebb;
using namespace ebb::test;
using distributed::Group;

namespace {

const Group& world() {
  static const Group group = Group::world();
  return group;
}

double rank() { return world().rank(); }
double ranks() { return world().size(); }

// ---- functions of Group ----

void check_collectives() {
  const Group& group = world();
  group.barrier();
  // The sum over ranks in this order is not that of another order.
  for (const int64_t count : {0, 1, 3, 1000, 70000, 1100000}) {
    std::vector<Tensor> all;
    for (int r = 0; r < group.size(); ++r) {
      Generator generator{static_cast<uint64_t>(100 + r)};
      all.push_back(randn({count}, {}, &generator));
    }
    Tensor expected = all[0].clone();
    for (size_t r = 1; r < all.size(); ++r) expected = expected + all[r];
    const Tensor sum = all[static_cast<size_t>(group.rank())].clone();
    group.all_reduce(sum);
    expect(same_bits(sum, expected), "all_reduce of " + std::to_string(count) + " elements");
  }
  Tensor strided = full({3, 4}, rank() + 1, f64).transpose(0, 1);
  group.all_reduce(strided);
  expect(same_bits(strided, full({4, 3}, ranks() * (ranks() + 1) / 2, f64)), "all_reduce strided");

  for (int root = 0; root < group.size(); ++root) {
    const Tensor x = full({5}, group.rank(), i64);
    group.broadcast(x, root);
    expect(equal(x, full({5}, root, i64)), "broadcast from " + std::to_string(root));
  }
  Tensor large = rank() == 0 ? arange(600000) : zeros({600000}, i64);
  group.broadcast(large);
  expect(equal(large, arange(600000)), "broadcast of more than one bucket");

  // Rank r has r rows; rank 0 has none.
  const std::vector<Tensor> rows = group.all_gather(full({group.rank(), 2}, rank()));
  for (int r = 0; r < group.size(); ++r)
    expect(equal(rows[static_cast<size_t>(r)], full({r, 2}, r, f32)), "all_gather");
  expect(group.any_of(uint64_t{1} << group.rank()) == (uint64_t{1} << group.size()) - 1, "any_of");
}

// ---- gradients ----

void check_average() {
  manual_seed(1);
  nn::Sequential model(nn::Linear(20, 30), nn::Tanh(), nn::Linear(30, 4));
  const auto loss_of = [&](int r) {
    Generator generator{static_cast<uint64_t>(r)};
    const Tensor x = randn({8, 20}, {}, &generator);
    return mean(square(model(x)));
  };
  loss_of(world().rank()).backward();
  distributed::average_gradients(model);
  NamedTensors averaged;
  for (const auto& [name, p] : model.named_parameters())
    averaged.emplace_back(name, p.grad().clone());
  model.zero_grad();
  for (int r = 0; r < world().size(); ++r) loss_of(r).backward();
  NamedTensors expected;
  for (const auto& [name, p] : model.named_parameters())
    expected.emplace_back(name, world().size() == 1 ? p.grad() : p.grad() * (1.0 / ranks()));
  expect_same_bits(averaged, expected, "average_gradients");

  // Two parameters may have one gradient tensor, which is then in two buckets.
  const auto shared_of = [](int r) {
    Generator generator{static_cast<uint64_t>(r)};
    return randn({600000}, {}, &generator);
  };
  const Tensor a = zeros({600000}).requires_grad_(), b = zeros({600000}).requires_grad_();
  const Tensor shared = shared_of(world().rank());
  a.set_grad(shared);
  b.set_grad(shared);
  distributed::average_gradients({{"a", a}, {"b", b}});
  Tensor mean = shared_of(0);
  for (int r = 1; r < world().size(); ++r) mean = mean + shared_of(r);
  if (world().size() > 1) mean = mean * (1.0 / ranks());
  expect(same_bits(a.grad(), mean) && same_bits(b.grad(), mean), "a shared gradient");

  if (world().size() == 1) return;
  const std::string differs = error_of([&] {
    const Tensor c = zeros({rank() == 1 ? 2 : 3}).requires_grad_();
    c.set_grad(zeros_like(c));
    distributed::average_gradients({{"c", c}});
  });
  expect(differs.find("rank 1 differs from rank 0: it has the gradient of c: f32 (2,), rank 0 has "
                      "the gradient of c: f32 (3,)") != std::string::npos,
         "another shape: " + differs);
  const std::string missing = error_of([&] {
    const Tensor c = zeros({2}).requires_grad_();
    if (rank() != 1) c.set_grad(zeros_like(c));
    distributed::average_gradients({{"c", c}});
  });
  expect(missing.find("it has nothing more, rank 0 has the gradient of c") != std::string::npos,
         "a gradient on some ranks: " + missing);
}

void check_synchronize() {
  manual_seed(static_cast<uint64_t>(10 + rank()));
  nn::Linear model(3, 2);
  nn::Adam optimizer(model.named_parameters(), {.lr = 0.1});
  model.weight.set_grad(full({2, 3}, rank() + 1));
  model.bias.set_grad(full({2}, rank() + 1));
  for (int k = 0; k < 2 + static_cast<int>(rank()); ++k) optimizer.step();
  distributed::synchronize(model, optimizer);
  for (const NamedTensors& state : {model.state_dict(), optimizer.state_dict()}) {
    for (const auto& [name, tensor] : state) {
      for (const Tensor& other : world().all_gather(tensor))
        expect(same_bits(tensor, other), "synchronize " + name);
    }
  }
  expect(optimizer.steps() == 2, "synchronize steps");
  expect(default_generator().seed == 10, "synchronize the generator");
}

// ---- Trainer ----

void check_trainer() {
  // 90 samples: tails of 10 and of 2, which leave empty parts; with 3 ranks, parts differ in size.
  for (const int64_t batch_size : {16, 44}) {
    SmallTraining trained(batch_size), expected(batch_size);
    const int64_t parts = world().size();
    nn::Trainer trainer(trained.model, trained.optimizer, trained.loader, trained.loss,
                        {.epochs = 2, .quiet = true});
    manual_seed(11);
    expect(trainer.run(), "run");
    const Generator after = default_generator();
    manual_seed(11);
    train_in_parts(expected.model, expected.optimizer, expected.loader, expected.loss, parts, 2);
    const std::string what = "Trainer in batches of " + std::to_string(batch_size);
    expect_same_bits(trained.model.state_dict(), expected.model.state_dict(), what);
    expect_same_bits(trained.optimizer.state_dict(), expected.optimizer.state_dict(), what);
    expect(after.offset == default_generator().offset, what + ": generator");
    expect(trained.loader.rows_of(0).count == batch_size, what + ": the loader is whole again");

    // Nearly the training of one process: the loss of the epoch, up to rounding.
    SmallTraining alone(batch_size);
    nn::Trainer single(alone.model, alone.optimizer, alone.loader, alone.loss,
                       {.epochs = 2, .quiet = true, .group = Group()});
    single.run();
    for (size_t epoch = 0; epoch < 2; ++epoch) {
      const auto &a = trainer.history()[epoch], &b = single.history()[epoch];
      expect(std::abs(a.at("loss") - b.at("loss")) < 1e-5, what + ": loss of one process");
      expect(std::abs(a.at("accuracy") - b.at("accuracy")) < 1e-9, what + ": accuracy");
    }
  }
}

void check_every_sample_once() {
  data::DataLoader loader({arange(0, 23, 1, f32).reshape({23, 1}), arange(23)},
                          {.batch_size = 5, .shuffle = true});
  loader.shard(world().rank(), world().size());
  std::vector<double> seen;
  int64_t batches = 0;
  for (const data::Batch& batch : loader) {
    ++batches;
    for (const double value : batch.input.to_vector<double>()) seen.push_back(value);
  }
  std::vector<double> all;
  const auto own = static_cast<int64_t>(seen.size());
  for (const Tensor& part : world().all_gather(from_data(seen, {own}))) {
    for (const double value : part.to_vector<double>()) all.push_back(value);
  }
  std::sort(all.begin(), all.end());
  expect(all == arange(23).to_vector<double>(), "every sample once");
  expect(batches == 5, "the same number of batches");
}

void check_validation() {
  SmallTraining t(16);
  data::DataLoader validation(SmallTraining::dataset(37), {.batch_size = 9});
  const nn::Metric last{"last", [](const Tensor& scores, const Tensor& target) {
                          expect(scores.size(0) == 37 && target.size(0) == 37, "all rows");
                          return scores[36][1].item() + 10 * target[36].item();
                        }};
  const nn::LossFunction loss = t.loss;
  const auto shared = nn::validate(t.model, validation, loss, {last}, world());
  const auto alone = nn::validate(t.model, validation, loss, {last});
  for (size_t k = 0; k < alone.size(); ++k)
    expect(std::abs(shared[k].second - alone[k].second) < 1e-6, "validation " + alone[k].first);
  // A loader that its user has shared keeps its part.
  validation.shard(world().rank(), world().size());
  nn::validate(t.model, validation, loss, {}, world());
  expect(validation.shard() == std::pair(int64_t{world().rank()}, int64_t{world().size()}),
         "validation keeps the part of a loader");
}

// Accumulation of three batches, and clipping after averaging.
void check_accumulation() {
  const auto train = [](Group group) {
    SmallTraining t(16);
    t.optimizer.set_grad_options({.max_norm = 0.05, .accumulate = 3});
    nn::Trainer trainer(t.model, t.optimizer, t.loader, t.loss,
                        {.epochs = 3, .quiet = true, .group = std::move(group)});
    trainer.run();
    expect(t.optimizer.steps() == 6, "18 batches are 6 steps");
    return t.model.state_dict();
  };
  const NamedTensors shared = train(world()), alone = train({});
  for (size_t k = 0; k < shared.size(); ++k)
    expect(allclose(shared[k].second, alone[k].second, 1e-4, 1e-5), "accumulate and clip");
}

void check_differences() {
  if (world().size() == 1) return;
  const auto message = [](auto&& change) {
    SmallTraining t(16);
    nn::TrainerOptions options{.epochs = 2, .quiet = true};
    change(t, options);
    return error_of([&] { nn::Trainer(t.model, t.optimizer, t.loader, t.loss, options).run(); });
  };
  const int last = world().size() - 1;
  const auto expect_message = [](const std::string& text, const std::string& part) {
    expect(text.find(part) != std::string::npos, "expected '" + part + "', got '" + text + "'");
  };
  const std::string who =
      "[Trainer] rank " + std::to_string(last) + " differs from rank 0: it has ";
  expect_message(message([&](SmallTraining&, nn::TrainerOptions& o) {
                   if (rank() == last) o.epochs = 3;
                 }),
                 who + "epochs 3, rank 0 has epochs 2");
  expect_message(message([&](SmallTraining& t, nn::TrainerOptions&) {
                   if (rank() == last) t.optimizer.set_lr(0.5);
                 }),
                 who + "lr 0.5, rank 0 has lr 0.05");
  // Options that are not compared, here the decay of the moments, show in the first step.
  const std::string betas = error_of([&] {
    SmallTraining t(16);
    nn::Adam other(t.model.named_parameters(), {.lr = 0.05, .eps = rank() == last ? 1e-2 : 1e-8});
    nn::Trainer(t.model, other, t.loader, t.loss, {.epochs = 1, .quiet = true}).run();
  });
  expect_message(betas, "after the first step");
  expect_message(betas, "0.weight");
  const std::string shapes = error_of([&] {
    nn::Sequential model(nn::Linear(6, rank() == last ? 5 : 4),
                         nn::Linear(rank() == last ? 5 : 4, 3));
    nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
    SmallTraining t(16);
    nn::Trainer(model, optimizer, t.loader, t.loss, {.quiet = true}).run();
  });
  const std::string strange = error_of([&] {
    SmallTraining t(16);
    std::vector<nn::NamedTensor> all = t.model.named_parameters();
    all.emplace_back("loss.scale", ones({1}).requires_grad_());
    nn::SGD optimizer(all, {.lr = 0.1});
    nn::Trainer(t.model, optimizer, t.loader, t.loss, {.quiet = true}).run();
  });
  expect_message(strange, "the optimizer has 'loss.scale', which is not a parameter of the model");
  expect_message(shapes, who + "0.weight: f32 (5, 6), rank 0 has 0.weight: f32 (4, 6)");
}

// Ranks that start from different weights train those of rank 0; running means are those of rank 0.
void check_start_and_buffers() {
  manual_seed(static_cast<uint64_t>(1 + rank()));
  nn::Sequential model(nn::Linear(6, 8), nn::BatchNorm1d(8), nn::Linear(8, 3));
  nn::SGD optimizer(model.named_parameters(), {.lr = 0.1});
  SmallTraining t(16);
  nn::Trainer(model, optimizer, t.loader, t.loss, {.epochs = 2, .quiet = true}).run();
  for (const auto& [name, tensor] : model.state_dict()) {
    for (const Tensor& other : world().all_gather(tensor))
      expect(same_bits(tensor, other), "the same on all ranks: " + name);
  }
}

void check_all() {
  check_collectives();
  check_average();
  check_synchronize();
  check_every_sample_once();
  check_trainer();
  check_validation();
  check_accumulation();
  check_differences();
  check_start_and_buffers();
}

// ---- whole runs ----

// train FOLDER EPOCHS STOP RESUME: trains with a checkpoint; rank STOP asks to stop in epoch 2.
bool train(const std::string& folder, int64_t epochs, int stop, bool resume) {
  SmallTraining t(16);
  int64_t calls = 0;
  nn::Trainer* running = nullptr;
  const nn::LossFunction loss = [&](const Tensor& scores, const Tensor& target) {
    if (++calls == 8 && world().rank() == stop) running->stop();
    return t.loss(scores, target);
  };
  nn::Trainer trainer(t.model, t.optimizer, t.loader, loss,
                      {.epochs = epochs,
                       .checkpoint = folder,
                       .resume = resume,
                       .callbacks = {nn::csv_log(folder + ".csv")}});
  running = &trainer;
  return trainer.run();
}

// Trains until rank `who` does what fails.
template <class Fail> void fail_in_training(int who, Fail&& fail) {
  SmallTraining t(16);
  int64_t calls = 0;
  const nn::LossFunction loss = [&](const Tensor& scores, const Tensor& target) {
    if (++calls == 10 && world().rank() == who) fail();
    return t.loss(scores, target);
  };
  nn::Trainer(t.model, t.optimizer, t.loader, loss, {.epochs = 1000000, .quiet = true}).run();
}

int run(const std::string& command, const std::vector<std::string>& arguments) {
  const auto number = [&](size_t k) { return std::atoi(arguments.at(k).c_str()); };
  if (command == "check") check_all();
  else if (command == "train")
    return train(arguments.at(0), number(1), number(2), number(3) != 0) ? 0 : 130;
  else if (command == "throw")
    fail_in_training(number(0), [] { fail("loss", "a mistake in this loss"); });
  else if (command == "kill") fail_in_training(number(0), [] { raise(SIGKILL); });
  else if (command == "exit") fail_in_training(number(0), [] { std::exit(3); });
  else if (command == "leave") fail_in_training(number(0), [] { std::exit(0); });
  else if (command == "abort") fail_in_training(number(0), [] { world().abort("out of paper"); });
  else if (command == "endless")
    fail_in_training(0, [&] { std::ofstream(arguments.at(0) + "/started") << "\n"; });
  else if (command == "sleep")
    fail_in_training(number(0), [] { std::this_thread::sleep_for(std::chrono::hours(1)); });
  else return 2;
  return failures == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const int status = run(argv[1], {argv + 2, argv + argc});
  if (status == 0) std::printf("rank %d of %d is done\n", world().rank(), world().size());
  return status;
}
