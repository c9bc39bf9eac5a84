// Shared by the training examples: their flags, training several models for a comparison, and the
// final output.
#pragma once

#include <ebb/ebb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "ebb/backends/cpu/parallel.h"

namespace examples {

/// The flags of every training example. An example sets its own defaults before parsing.
struct Flags {
  int64_t epochs = 10;
  int64_t batch_size = 128;
  double lr = 1e-3;
  uint64_t seed = 1;
  std::string data;
  std::string out;
  std::string device = "cpu";
  int threads = 0;
  bool resume = false;
  bool capture = false;

  std::string checkpoint() const { return out + "/checkpoint"; }
};

/// Runs an example: parses the flags of app and calls body(). Under mpirun only the first rank
/// prints to standard output. Every error is one line on standard error. The exit status is 2 for
/// wrong flags, that of body(), or 1 for an exception.
template <class Body> int run(CLI::App& app, int argc, char** argv, Body&& body) {
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "error: %s (--help lists the flags)\n", error.what());
    return 2;
  }
  try {
    if (!ebb::distributed::Group::world().is_first() && !std::freopen("/dev/null", "w", stdout))
      return 1;
    return body();
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

/// Runs a training example, which has the flags of Flags: calls body(flags). The exit status is 130
/// if training was stopped.
template <class Body>
int run(int argc, char** argv, const std::string& what, Flags flags, Body&& body) {
  CLI::App app(what);
  app.add_option("--epochs", flags.epochs, "Passes over the training data")->capture_default_str();
  app.add_option("--batch-size", flags.batch_size, "Samples per step")->capture_default_str();
  app.add_option("--lr", flags.lr, "Learning rate")->capture_default_str();
  app.add_option("--seed", flags.seed, "Seed of weights, shuffling and dropout")
      ->capture_default_str();
  app.add_option("--data", flags.data, "File or folder of the data")->capture_default_str();
  app.add_option("--out", flags.out, "Folder for checkpoints and images")->capture_default_str();
  app.add_option("--device", flags.device, "cpu or cuda")->capture_default_str();
  app.add_option("--threads", flags.threads, "Number of threads; 0: all cores")
      ->capture_default_str();
  app.add_flag("--capture", flags.capture, "Run each step as one CUDA graph (GPU only)");
  app.add_flag("--resume", flags.resume, "Continue from the checkpoint in --out");
  return run(app, argc, argv, [&] {
    if (flags.threads > 0) ebb::cpu::set_num_threads(flags.threads);
    ebb::manual_seed(flags.seed);
    return body(flags);
  });
}

/// Prints where the checkpoint is after Ctrl-C, and returns the exit status.
inline int stopped(const std::string& folder) {
  std::printf("stopped; the checkpoint is in %s (continue with --resume)\n", folder.c_str());
  return 130;
}

/// Trains the models that an example compares, one after the other, with the same settings.
class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  /// Trains with Adam and shuffled batches, prints one line, and writes a checkpoint to --out/name.
  /// Returns false if Ctrl-C stopped it. With --resume, the first model must have a checkpoint. The
  /// others continue from theirs, or start from the beginning if they have none.
  bool train(const std::string& name, ebb::nn::Layer& model, const ebb::data::Dataset& dataset,
             ebb::nn::LossFunction loss) {
    const std::string folder = flags_.out + "/" + name;
    ebb::nn::Adam optimizer(model.named_parameters(), {.lr = flags_.lr});
    const ebb::Device device = ebb::Device::parse(flags_.device);
    ebb::data::DataLoader loader(
        dataset.to_if_it_fits(device),
        {.batch_size = flags_.batch_size, .shuffle = true, .seed = flags_.seed, .device = device});
    ebb::nn::Trainer trainer(
        model, optimizer, loader, std::move(loss),
        {.epochs = flags_.epochs,
         .checkpoint = folder,
         .checkpoint_every = 1,
         .resume = flags_.resume && (is_first_ || ebb::checkpoint_exists(folder)),
         .quiet = true,
         .capture = flags_.capture});
    is_first_ = false;
    if (!trainer.run() || trainer.interrupted()) return stopped(folder), false;
    std::printf("trained %s: %lld epochs in %.2f s\n", name.c_str(),
                static_cast<long long>(trainer.epochs_run()), trainer.seconds());
    std::fflush(stdout);
    return true;
  }

 private:
  const Flags& flags_;
  bool is_first_ = true;
};

/// Prints the confusion matrix, the folder of the checkpoint, the time, and last the accuracy on
/// the test set.
inline void report(const Flags& flags, const ebb::nn::Trainer& trainer,
                   const ebb::nn::ConfusionMatrix& matrix, const std::vector<std::string>& names) {
  std::printf("\n%s\ncheckpoint in %s\n",
              matrix.to_table(names, ebb::nn::terminal_columns()).c_str(),
              flags.checkpoint().c_str());
  if (trainer.epochs_run() > 0) {
    std::printf("%.2f s per epoch\n",
                trainer.seconds() / static_cast<double>(trainer.epochs_run()));
  }
  std::printf("test accuracy: %.2f %%\n", 100 * matrix.accuracy());
}

}  // namespace examples
