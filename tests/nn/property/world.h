// One random sequence of public calls on a random model, compared with the reference after each
// call.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ebb/tests/nn/property/reference.h"

namespace ebb::test::property {

/// Thrown by a sequence where Ebb and the reference differ.
struct Difference {
  std::string text;
};

class World {
 public:
  /// folder: for checkpoints; files in it are overwritten.
  World(uint64_t seed, std::string folder);

  /// Makes a number of random calls and compares after each. Throws Difference. Returns false when
  /// the sequence ended early, because rounding to f32 may have decided something, or because the
  /// model diverged.
  bool run();
  /// The calls so far.
  const std::string& log() const { return log_; }

 private:
  // calls
  void steps_by_hand();
  void epoch_by_hand();
  void train();
  void convert();
  void freeze();
  void set_mode();
  void predict();
  void set_lr();
  void copy_model();
  void move_loader();
  void load_state();
  void summarize();

  // what they are made of
  void note(const std::string& text) { log_ += text + "\n"; }
  void require(bool holds, const std::string& what) const;
  void require_near(const Tensor& got, const Doubles& want, const std::string& what) const;
  void compare() const;
  void compare_modes() const;
  void new_optimizer();
  void make_optimizer();
  Model fresh_model();
  void adopt(Model model);
  Tensor tensor_of(const Doubles& rows) const;
  Doubles rows_of(const Doubles& all, const std::vector<int64_t>& rows) const;
  std::vector<int64_t> batch_rows(const std::vector<int64_t>& order, int64_t batch) const;
  void reference_step(const std::vector<int64_t>& rows);
  void resume_refused(const nn::TrainerOptions& options);
  DType dtype() const { return narrow_ ? f32 : f64; }

  Random random_;
  Spec spec_;
  std::string folder_, log_;
  Reference reference_;
  std::optional<Model> model_;
  std::unique_ptr<nn::Optimizer> optimizer_;
  Doubles inputs_, targets_;  // (samples, width)
  int64_t samples_;
  std::atomic<bool> narrow_ = true;  // the loader's thread reads it
  std::unique_ptr<data::DataLoader> loader_;
  bool was_narrow_ = true;  // at any time: tolerances
};

}  // namespace ebb::test::property
