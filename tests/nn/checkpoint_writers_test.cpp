// Tests who may save to a folder, which files a save may delete, and that files of different
// checkpoints are refused.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "ebb/nn/layers/linear.h"
#include "ebb/nn/losses/regression.h"
#include "ebb/nn/serialize/checkpoint.h"
#include "ebb/nn/train/trainer.h"
#include "files.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;
using test::expect_error;
using test::TempFolder;

Checkpoint numbered(int64_t n) {
  const auto value = static_cast<double>(n);
  return {{{"weight", full({50}, value)}}, {{"state", full({50}, value)}}, {}};
}

// The number of a checkpoint; -1 when its parts are of different ones.
int64_t number_of(const Checkpoint& c) {
  const auto model = c.model.at(0).second.to_vector<int64_t>(),
             training = c.training.at(0).second.to_vector<int64_t>();
  return model == training ? model[0] : -1;
}

TEST(CheckpointWriter, HasTheFolderForItself) {
  const TempFolder folder;
  CheckpointWriter writer(folder / "runs/x");
  writer.save(numbered(1));
  expect_error([&] { save_checkpoint(folder / "runs/x", numbered(2)); }, "save_checkpoint",
               {folder / "runs/x", "another process or thread is saving there"});
  expect_error([&] { CheckpointWriter(folder / "runs/x/"); }, "save_checkpoint",
               {"another process or thread is saving there"});
  save_checkpoint(folder / "runs/y", numbered(7));  // another folder
  writer.save(numbered(3));
  EXPECT_EQ(number_of(load_checkpoint(folder / "runs/x")), 3);
  { const CheckpointWriter gone = std::move(writer); }
  save_checkpoint(folder / "runs/x", numbered(4));
  EXPECT_FALSE(fs::exists(folder / "runs/.x.ebb-lock"));
}

TEST(CheckpointWriter, ItsRightEndsWithTheProcess) {
  const TempFolder folder;
  for (int how = 0; how < 2; ++how) {
    const pid_t child = fork();
    if (child == 0) {
      new CheckpointWriter(folder / "x");
      _exit(0);  // the lock file stays
    }
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(fs::exists(folder / ".x.ebb-lock"));
    save_checkpoint(folder / "x", numbered(1));
    EXPECT_FALSE(fs::exists(folder / ".x.ebb-lock"));
  }
}

TEST(CheckpointWriter, AForkedChildDoesNotGiveTheRightAway) {
  const TempFolder folder;
  CheckpointWriter writer(folder / "x");
  const pid_t child = fork();
  if (child == 0) {
    { const CheckpointWriter copy = std::move(writer); }
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_THROW(CheckpointWriter(folder / "x"), Error);
  writer.save(numbered(1));
}

TEST(CheckpointWriter, SaysAtOnceThatItCannotWrite) {
  const TempFolder folder;
  test::write_bytes(folder / "file", "text");
  expect_error([&] { CheckpointWriter(folder / "file/x"); }, "save_checkpoint", {folder / "file"});
  fs::create_directory(folder / "locked");
  fs::permissions(folder / "locked", fs::perms::owner_read | fs::perms::owner_exec);
  if (geteuid() != 0) {
    expect_error([&] { CheckpointWriter(folder / "locked/x"); }, "save_checkpoint", {"locked"});
  }
  expect_error([&] { CheckpointWriter("/proc/ebb/x"); }, "save_checkpoint", {"/proc"});
  fs::create_directory(folder / "gone");
  CheckpointWriter writer(folder / "gone/x");
  fs::remove_all(folder / "gone");
  expect_error([&] { writer.save(numbered(1)); }, "save_checkpoint",
               {"cannot write to " + (folder / "gone/.x.ebb-new"), "No such file"});
  fs::permissions(folder / "locked", fs::perms::owner_all);
}

TEST(CheckpointWriter, FilesThatAppearBetweenTwoSavesStay) {
  const TempFolder folder;
  CheckpointWriter writer(folder / "x");
  writer.save(numbered(1));
  const auto expect_kept = [&](const std::string& path) {
    test::write_bytes(folder / path, "years of work");
    expect_error([&] { writer.save(numbered(2)); }, "save_checkpoint",
                 {"holds \"thesis.tex\", which is not part of a checkpoint"});
    EXPECT_EQ(test::read_bytes(folder / path), "years of work");
    EXPECT_EQ(number_of(load_checkpoint(folder / "x")), 1);
    fs::remove(folder / path);
  };
  expect_kept("x/thesis.tex");
  for (const char* work : {".x.ebb-new", ".x.ebb-old"}) {
    fs::create_directory(folder / work);
    expect_kept(std::string(work) + "/thesis.tex");
  }
  writer.save(numbered(3));
  EXPECT_EQ(number_of(load_checkpoint(folder / "x")), 3);
  EXPECT_FALSE(fs::exists(folder / ".x.ebb-new") || fs::exists(folder / ".x.ebb-old"));
}

TEST(CheckpointWriter, TwoAtATimeNeverMixAndOneGoesOn) {
  const TempFolder folder;
  std::atomic<int> saved = 0, refused = 0;
  std::atomic<bool> done = false;
  const auto save = [&](int64_t first) {
    for (int64_t n = first; n < first + 60; ++n) {
      try {
        save_checkpoint(folder / "x", numbered(n));
        ++saved;
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("another process"), std::string::npos)
            << error.what();
        ++refused;
      }
    }
  };
  save_checkpoint(folder / "x", numbered(0));
  std::thread reader([&] {
    while (!done) EXPECT_GE(number_of(load_checkpoint(folder / "x")), 0);
  });
  std::thread other([&] { save(1000); });
  save(2000);
  other.join();
  done = true;
  reader.join();
  EXPECT_EQ(saved + refused, 120);
  EXPECT_GT(saved, 0);
}

TEST(CheckpointWriter, ASecondTrainingIsRefusedAtItsStartAndTheFirstGoesOn) {
  const TempFolder folder;
  const auto train = [&](const data::Dataset& dataset,
                         std::function<data::Batch(data::Batch)> each) {
    nn::Linear model(2, 1);
    nn::SGD optimizer(model.named_parameters());
    data::DataLoader loader(dataset,
                            {.batch_size = 2, .prefetch = 0, .transform = std::move(each)});
    nn::Trainer trainer(model, optimizer, loader,
                        [](const Tensor& y, const Tensor& t) { return nn::mse_loss(y, t); },
                        {.epochs = 2, .checkpoint = folder / "x", .quiet = true});
    return trainer.run();
  };
  const data::Dataset dataset(ones({4, 2}), zeros({4, 1}));
  int refused = 0;
  EXPECT_TRUE(train(dataset, [&](data::Batch batch) {
    expect_error([&] { train(dataset, {}); }, "save_checkpoint", {"is saving there"});
    ++refused;
    return batch;
  }));
  EXPECT_EQ(refused, 4);
  EXPECT_TRUE(train(dataset, {}));  // the folder is free again
}

TEST(CheckpointFiles, ThoseOfDifferentCheckpointsAreRefused) {
  const TempFolder folder;
  save_checkpoint(folder / "x", numbered(1));
  save_checkpoint(folder / "y", numbered(2));
  EXPECT_EQ(load_safetensors(folder / "x/model.safetensors").metadata.at("format"), "pt");
  fs::rename(folder / "y/model.safetensors", folder / "x/model.safetensors");
  expect_error(
      [&] { load_checkpoint(folder / "x"); }, "load_checkpoint",
      {folder / "x", "model.safetensors and training.safetensors are not of one checkpoint"});
  save_safetensors(folder / "x/model.safetensors", numbered(1).model);
  expect_error([&] { load_checkpoint(folder / "x"); }, "load_checkpoint",
               {"not of one checkpoint"});
  expect_error(
      [&] {
        save_checkpoint(folder / "z", {{}, {}, {{"ebb.id", "1"}}});
      },
      "save_checkpoint", {"ebb.id is reserved"});
}

TEST(CheckpointFiles, EqualCheckpointsAreEqualFiles) {
  const TempFolder folder;
  const auto id = [&](const char* name) {
    return load_safetensors(folder / (std::string(name) + "/model.safetensors"))
        .metadata.at("ebb.id");
  };
  save_checkpoint(folder / "x", numbered(1));
  save_checkpoint(folder / "y", numbered(1));
  save_checkpoint(folder / "z", numbered(2));
  EXPECT_EQ(id("x"), "03d7534043273a35bea96758941282c7");  // computed in another language
  EXPECT_EQ(id("x"), id("y"));
  EXPECT_NE(id("x"), id("z"));
  Checkpoint other = numbered(1);
  other.training.emplace_back("more", ones({1}));
  save_checkpoint(folder / "u", other);  // the same weights, another training
  EXPECT_NE(id("x"), id("u"));
  const auto id_with = [&](const Metadata& metadata) {
    Checkpoint c = numbered(1);
    c.metadata = metadata;
    save_checkpoint(folder / "v", c);
    return id("v");
  };
  EXPECT_NE(id("x"), id_with({{"k", "1"}}));
  EXPECT_NE(id_with({{"k", "1"}}), id_with({{"k", "2"}}));
  EXPECT_NE(id_with({{"k", "1"}}), id_with({{"l", "1"}}));
}

TEST(CheckpointFiles, EveryByteCountsInTheId) {
  const TempFolder folder;
  const auto id_of = [&](const std::vector<uint8_t>& bytes) {
    save_checkpoint(folder / "x",
                    {{{"weight", from_data(bytes, {static_cast<int64_t>(bytes.size())})}}, {}, {}});
    return load_safetensors(folder / "x/model.safetensors").metadata.at("ebb.id");
  };
  std::vector<uint8_t> bytes(19);
  std::vector<std::string> ids{id_of(bytes)};
  for (uint8_t& byte : bytes) {
    byte = 1;
    ids.push_back(id_of(bytes));
    byte = 0;
  }
  bytes.push_back(0);
  ids.push_back(id_of(bytes));
  std::sort(ids.begin(), ids.end());
  EXPECT_EQ(std::unique(ids.begin(), ids.end()), ids.end());
}

// Versions before the id wrote none into either file.
TEST(CheckpointFiles, ThoseWithoutAnIdLoad) {
  const TempFolder folder;
  const Checkpoint saved = numbered(1);
  fs::create_directory(folder / "x");
  save_safetensors(folder / "x/model.safetensors", saved.model, {{"format", "pt"}});
  save_safetensors(folder / "x/training.safetensors", saved.training, {{"ebb.checkpoint", "1"}});
  EXPECT_EQ(load_checkpoint(folder / "x").model.size(), saved.model.size());
}

// ---- what belongs to the user ----

TEST(CheckpointFiles, FoldersOfTheUserStay) {
  const TempFolder folder;
  for (const char* name : {"x.new", "x.old", ".x.new", "x.partial"}) {
    fs::create_directory(folder / name);
    test::write_bytes(folder / (std::string(name) + "/model.safetensors"), "mine");
  }
  for (int64_t n = 0; n < 3; ++n) save_checkpoint(folder / "x", numbered(n));
  for (const char* name : {"x.new", "x.old", ".x.new", "x.partial"})
    EXPECT_EQ(test::read_bytes(folder / (std::string(name) + "/model.safetensors")), "mine");
}

TEST(CheckpointFiles, AModelThatNoTrainingSavedIsNotReplaced) {
  const TempFolder folder;
  fs::create_directory(folder / "x");
  save_safetensors(folder / "x/model.safetensors", numbered(1).model);
  expect_error([&] { save_checkpoint(folder / "x", numbered(2)); }, "save_checkpoint",
               {"x/model.safetensors was not saved by a training"});
  EXPECT_EQ(load_safetensors(folder / "x/model.safetensors").tensors.size(), 1u);
  for (const char* key : {"my.ebb.id", "ebb.idea"}) {  // similar keys are not the mark
    save_safetensors(folder / "x/model.safetensors", numbered(1).model, {{key, "1"}});
    expect_error([&] { save_checkpoint(folder / "x", numbered(2)); }, "save_checkpoint",
                 {"was not saved by a training"});
  }
}

TEST(CheckpointFiles, NoLinkIsFollowedFromAWorkFolder) {
  const TempFolder folder;
  save_checkpoint(folder / "precious", numbered(9));
  for (const char* name : {".x.ebb-new", ".x.ebb-old"}) {
    fs::create_directory_symlink(folder / "precious", folder / name);
    expect_error([&] { save_checkpoint(folder / "x", numbered(1)); }, "save_checkpoint",
                 {name, "is not a folder"});
    fs::remove(folder / name);
  }
  test::write_bytes(folder / "text", "mine");
  fs::create_symlink(folder / "text", folder / ".x.ebb-lock");
  expect_error([&] { save_checkpoint(folder / "x", numbered(1)); }, "save_checkpoint",
               {".x.ebb-lock is a symbolic link"});
  EXPECT_EQ(number_of(load_checkpoint(folder / "precious")), 9);
  EXPECT_EQ(test::read_bytes(folder / "text"), "mine");
}

TEST(CheckpointFiles, NamesInAFolderAreShownSafely) {
  const TempFolder folder;
  save_checkpoint(folder / "x", numbered(1));
  test::write_bytes(folder / "x/\x1b[2J", "");
  expect_error([&] { save_checkpoint(folder / "x", numbered(2)); }, "save_checkpoint",
               {R"(holds "\u001b[2J")"});
}

}  // namespace
}  // namespace ebb
