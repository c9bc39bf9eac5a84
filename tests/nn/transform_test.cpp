// Tests the errors of a loader whose transform returns something else than samples with their
// targets.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ebb/nn/data/loader.h"
#include "files.h"

namespace ebb::data {
namespace {

using test::expect_error;

void first_batch(std::function<Batch(Batch)> transform, int prefetch) {
  DataLoader loader(Dataset(ones({6, 2}), zeros({6}, {.dtype = i64})),
                    {.batch_size = 3, .prefetch = prefetch, .transform = std::move(transform)});
  (void)loader.begin();
}

TEST(Transform, WhatIsNoBatchIsAnErrorThatNamesTheTransform) {
  for (int prefetch : {0, 2}) {
    const auto says = [&](std::function<Batch(Batch)> transform, const std::string& text) {
      expect_error([&] { first_batch(transform, prefetch); }, "DataLoader",
                   {"the transform returned", text});
    };
    says([](Batch b) { return Batch{b.input, {}}; }, "an undefined target");
    says([](Batch b) { return Batch{{}, b.target}; }, "an undefined input");
    says([](Batch b) { return Batch{scalar(1), b.target}; }, "a 0-d input");
    says(
        [](Batch b) {
          return Batch{ones({2, 2}), b.target};
        },
        "input (2, 2) and target (3,), which differ in their first size");
    first_batch([](Batch) { return Batch{ones({1, 5}), ones({1})}; }, prefetch);  // fewer are fine
  }
}

TEST(DataLoader, AForkedChildStartsAnEpochOfItsOwnAndIsNotHungByTheParents) {
  DataLoader loader(Dataset(arange(8), arange(8)), {.batch_size = 2});
  auto it = loader.begin();
  const pid_t child = fork();
  if (child == 0) {
    alarm(20);  // instead of hanging for ever
    int status = 1;
    try {
      for (int i = 0; i < 4; ++i) ++it;
    } catch (const Error& error) {
      if (std::string(error.what()).find("before fork()") != std::string::npos) status = 0;
    }
    int64_t seen = 0;
    for (const Batch& batch : loader) seen += batch.input.numel();
    _exit(seen == 8 ? status : 2);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_EQ((++it)->input.to_vector<int64_t>(), (std::vector<int64_t>{2, 3}));
}

}  // namespace
}  // namespace ebb::data
