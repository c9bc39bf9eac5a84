// What the training examples share: their flags, training several models to compare them, and what they print at the
// end.
#pragma once

#include <ebb/ebb.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "ebb/backends/cpu/parallel.h"

namespace examples {

/// The flags that every training example has; an example sets its own defaults before parsing.
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

/// Runs an example: parses its flags, then body(flags). Every error is one line on standard error; exit status 2 for
/// wrong flags, 130 when the training was stopped, 1 for all else.
template <class Body>
int run(int argc, char** argv, const std::string& what, Flags flags, Body&& body) {
  CLI::App app(what);
  app.add_option("--epochs", flags.epochs, "Passes over the training data")->capture_default_str();
  app.add_option("--batch-size", flags.batch_size, "Samples a step")->capture_default_str();
  app.add_option("--lr", flags.lr, "Learning rate")->capture_default_str();
  app.add_option("--seed", flags.seed, "Of weights, shuffling and dropout")->capture_default_str();
  app.add_option("--data", flags.data, "Where the data lies")->capture_default_str();
  app.add_option("--out", flags.out, "Folder for checkpoint and pictures")->capture_default_str();
  app.add_option("--device", flags.device, "cpu or cuda")->capture_default_str();
  app.add_option("--threads", flags.threads, "Threads to use; 0: all cores")->capture_default_str();
  app.add_flag("--capture", flags.capture, "On a GPU: run each step as one CUDA graph");
  app.add_flag("--resume", flags.resume, "Go on from the checkpoint in --out");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    std::fprintf(stderr, "error: %s (--help lists the flags)\n", error.what());
    return 2;
  }
  try {
    if (flags.threads > 0) ebb::cpu::set_num_threads(flags.threads);
    ebb::manual_seed(flags.seed);
    return body(flags);
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

/// What to say when Ctrl-C stopped a training whose checkpoint is in folder; the exit status.
inline int stopped(const std::string& folder) {
  std::printf("stopped; the checkpoint is in %s (go on with --resume)\n", folder.c_str());
  return 130;
}

/// Trains the models that an example compares, one after the other, all in the same way.
class Comparison {
 public:
  explicit Comparison(const Flags& flags) : flags_(flags) {}

  /// Adam, shuffled batches, one line of output, a checkpoint in --out/name. False when Ctrl-C stopped it.
  /// With --resume the first model needs a checkpoint; the others go on from theirs or start, as the run had left them.
  bool train(const std::string& name, ebb::nn::Layer& model, const ebb::data::Dataset& dataset,
             ebb::nn::LossFunction loss) {
    const std::string folder = flags_.out + "/" + name;
    ebb::nn::Adam optimizer(model.named_parameters(), {.lr = flags_.lr});
    ebb::data::DataLoader loader(dataset, {.batch_size = flags_.batch_size,
                                           .shuffle = true,
                                           .seed = flags_.seed,
                                           .device = ebb::Device::parse(flags_.device)});
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

/// Confusion matrix, where the checkpoint lies, time, and as the last figure the accuracy on the test set.
inline void report(const Flags& flags, const ebb::nn::Trainer& trainer,
                   const ebb::nn::ConfusionMatrix& matrix, const std::vector<std::string>& names) {
  std::printf("\n%s\ncheckpoint in %s\n", matrix.to_table(names).c_str(),
              flags.checkpoint().c_str());
  if (trainer.epochs_run() > 0) {
    std::printf("%.2f s an epoch\n", trainer.seconds() / static_cast<double>(trainer.epochs_run()));
  }
  std::printf("test accuracy: %.2f %%\n", 100 * matrix.accuracy());
}

}  // namespace examples
