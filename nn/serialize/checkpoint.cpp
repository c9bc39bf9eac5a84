#include "ebb/nn/serialize/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <utility>

#include "ebb/core/grad_mode.h"
#include "ebb/nn/serialize/file.h"
#include "ebb/nn/serialize/shown.h"

namespace ebb {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSave = "save_checkpoint", kLoad = "load_checkpoint";
constexpr std::string_view kModel = "model.safetensors", kTraining = "training.safetensors";
// The key of the version of this layout, in training.safetensors.
constexpr const char* kVersionKey = "ebb.checkpoint";
constexpr const char* kVersion = "1";
// The key of the id, which both files of a checkpoint have in common.
constexpr const char* kIdKey = "ebb.id";

std::string file_in(const std::string& folder, std::string_view name) {
  return (fs::path(folder) / name).string();
}

// Repeats a step that a signal interrupts. Only for steps that may be repeated.
template <class Step> auto repeated(const Step& step) {
  for (;;) {
    try {
      return step();
    } catch (const fs::filesystem_error& error) {
      if (error.code() != std::errc::interrupted) throw;
    }
  }
}
template <class Step> void repeated(std::error_code& error, const Step& step) {
  do step(error);
  while (error == std::errc::interrupted);
}

bool has_file(const std::string& folder, std::string_view name) {
  std::error_code ignored;
  bool exists = false;
  repeated(ignored, [&](std::error_code& e) { exists = fs::exists(file_in(folder, name), e); });
  return exists;
}

// Mixes bytes into a 64-bit hash, eight at a time (the finalizer of MurmurHash3 after each).
uint64_t mix(uint64_t hash, const void* bytes, size_t count) {
  const auto* at = static_cast<const unsigned char*>(bytes);
  for (size_t done = 0; done < count; done += 8) {
    uint64_t word = 0;
    std::memcpy(&word, at + done, std::min<size_t>(8, count - done));
    hash ^= word;
    hash ^= hash >> 33;
    hash *= 0xff51afd7ed558ccdull;
    hash ^= hash >> 33;
    hash *= 0xc4ceb9fe1a85ec53ull;
    hash ^= hash >> 33;
  }
  return hash + count;
}

// Returns a hash of the content of both files, 128 bits in hexadecimal. Equal checkpoints have
// equal ids, so that equal trainings write equal files.
std::string id_of(const Checkpoint& checkpoint) {
  uint64_t low = 1, high = 2;
  const auto add = [&](const void* bytes, size_t count) {
    low = mix(low, bytes, count);
    high = mix(high ^ low, bytes, count);
  };
  for (const NamedTensors* tensors : {&checkpoint.model, &checkpoint.training}) {
    for (const auto& [name, tensor] : *tensors) {
      check_defined(kSave, tensor);
      add(name.data(), name.size());
      const Tensor packed = tensor.detach().to(Device::cpu()).contiguous();
      add(packed.raw(), static_cast<size_t>(packed.numel()) * size_of(packed.dtype()));
    }
    add("|", 1);
  }
  for (const auto& [key, value] : checkpoint.metadata) {
    add(key.data(), key.size());
    add(value.data(), value.size());
  }
  char text[40];
  std::snprintf(text, sizeof text, "%016llx%016llx", static_cast<unsigned long long>(low),
                static_cast<unsigned long long>(high));
  return text;
}

// The files of a checkpoint get their names after they have been synced, training.safetensors last.
// A checkpoint with both names is therefore complete.
bool is_whole(const std::string& folder) {
  std::error_code ignored;
  return fs::is_directory(fs::symlink_status(folder, ignored)) && has_file(folder, kModel) &&
         has_file(folder, kTraining);
}

// The paths of a checkpoint, and of the work files of a save.
struct Paths {
  std::string target, fresh, old, lock;

  Paths(std::string_view op, const std::string& folder) {
    fs::path path = fs::path(folder).lexically_normal();
    if (!path.has_filename()) path = path.parent_path();  // a slash at the end
    std::error_code ignored;
    if (fs::is_symlink(path, ignored)) path = fs::weakly_canonical(path, ignored);
    const std::string name = path.filename().string();
    if (name.empty() || name == "." || name == "..")
      fail(op, "expected a folder to save to, got \"", folder, "\"");
    target = path.string();
    fresh = detail::work_path(target, "new");
    old = detail::work_path(target, "old");
    lock = detail::work_path(target, "lock");
  }

  // Returns the folder to read, or "" if there is none. A save without exchange may move a folder
  // to the target while this function checks the others, so it checks the target twice.
  std::string find() const {
    if (has_target()) return target;
    if (is_whole(fresh)) return fresh;
    if (is_whole(old)) return old;
    return has_target() ? target : "";
  }

 private:
  bool has_target() const { return has_file(target, kModel) || has_file(target, kTraining); }
};

constexpr std::array<std::string_view, 4> kOwnFiles = {
    kModel, kTraining, ".model.safetensors.ebb-partial", ".training.safetensors.ebb-partial"};

// Returns true if a file has the id that Ebb writes near the start of the headers of both files.
bool is_marked(const std::string& path) {
  constexpr int64_t kMost = 1 << 20;
  detail::File file = detail::File::open_to_read(kSave, path);
  std::string head(static_cast<size_t>(std::min(file.size(), kMost)), '\0');
  file.read(head.data(), head.size());
  return head.find("\"" + std::string(kIdKey) + "\":") != std::string::npos;
}

// Throws Error if a folder has files other than those of a checkpoint, because replacing it deletes
// them.
void refuse_foreign_files(const std::string& folder) {
  const fs::file_status status = fs::symlink_status(folder);
  if (!fs::exists(status)) return;
  if (!fs::is_directory(status)) fail(kSave, folder, " is not a folder");
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (std::find(kOwnFiles.begin(), kOwnFiles.end(), name) == kOwnFiles.end() ||
        !fs::is_regular_file(entry.symlink_status())) {
      fail(kSave, folder, " holds ", detail::shown(name),
           ", which is not part of a checkpoint: name a folder of its own");
    }
  }
  for (std::string_view name : {kModel, kTraining}) {
    const std::string path = file_in(folder, name);
    if (fs::exists(path) && !is_marked(path))
      fail(kSave, path, " was not saved by a training: name a folder of its own");
  }
}

void remove_checkpoint(const std::string& folder, std::error_code& error) {
  const auto remove = [&](const std::string& path) {
    repeated(error, [&](std::error_code& e) { fs::remove(path, e); });
  };
  for (std::string_view name : kOwnFiles) remove(file_in(folder, name));
  remove(folder);
}

// Completes a save that was killed, so that the names for the next one are free.
void tidy(const Paths& paths) {
  for (const std::string& folder : {paths.fresh, paths.old}) refuse_foreign_files(folder);
  const std::string found = paths.find();
  if (!found.empty() && found != paths.target) {
    detail::replace_folder(kSave, found, paths.target, paths.old);
  }
  for (const std::string& rest : {paths.fresh, paths.old}) {
    std::error_code error;
    if (!fs::exists(rest)) continue;
    remove_checkpoint(rest, error);
    if (error) fail(kSave, "cannot remove ", rest, ": ", error.message());
  }
}

void write_fresh(const std::string& folder, const Checkpoint& checkpoint) {
  const std::string id = id_of(checkpoint);
  Metadata metadata = checkpoint.metadata;
  for (const auto& [key, value] : {std::pair<std::string, std::string>{kVersionKey, kVersion},
                                   std::pair<std::string, std::string>{kIdKey, id}}) {
    if (!metadata.emplace(key, value).second) fail(kSave, "the metadata ", key, " is reserved");
  }
  repeated([&] { return fs::create_directory(folder); });
  try {
    save_safetensors(file_in(folder, kModel), checkpoint.model, {{"format", "pt"}, {kIdKey, id}});
    save_safetensors(file_in(folder, kTraining), checkpoint.training, metadata);
  } catch (...) {
    std::error_code ignored;
    remove_checkpoint(folder, ignored);
    throw;
  }
}

// Removes an entry from the metadata and returns it, or "" if there is none.
std::string extract(Metadata& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return "";
  std::string text = std::move(found->second);
  metadata.erase(found);
  return text;
}

Checkpoint read(const std::string& folder) {
  SafeTensors model = load_safetensors(file_in(folder, kModel));
  SafeTensors training = load_safetensors(file_in(folder, kTraining));
  const std::string version = extract(training.metadata, kVersionKey);
  if (version.empty()) fail(kLoad, file_in(folder, kTraining), " is not part of a checkpoint");
  if (version != kVersion) {
    fail(kLoad, folder, " has the layout ", detail::shown(version), ", this program reads ",
         kVersion);
  }
  const std::string id = extract(training.metadata, kIdKey);
  if (extract(model.metadata, kIdKey) != id) {  // both are empty in checkpoints of older versions
    fail(kLoad, folder, ": ", kModel, " and ", kTraining, " are not of one checkpoint");
  }
  return {std::move(model.tensors), std::move(training.tensors), std::move(training.metadata)};
}

}  // namespace

namespace {
// Throws Error that names the file or folder for which a system call failed.
[[noreturn]] void fail_with(const fs::filesystem_error& error) {
  fail(kSave, "cannot write to ", error.path1().string(), ": ", error.code().message());
}
}  // namespace

struct CheckpointWriter::State {
  Paths paths;
  detail::FileLock lock;

  explicit State(const std::string& folder)
      : paths(kSave, folder), lock(kSave, lock_path(), paths.target) {}

 private:
  const std::string& lock_path() const {
    repeated([&] { return fs::create_directories(detail::parent_of(paths.target)); });
    return paths.lock;
  }
};

CheckpointWriter::CheckpointWriter(const std::string& folder) try
    : state_(std::make_unique<State>(folder)) {
  repeated([&] { refuse_foreign_files(state_->paths.target); });
} catch (const fs::filesystem_error& error) {
  fail_with(error);
}

CheckpointWriter::~CheckpointWriter() = default;
CheckpointWriter::CheckpointWriter(CheckpointWriter&&) noexcept = default;
CheckpointWriter& CheckpointWriter::operator=(CheckpointWriter&&) noexcept = default;

void CheckpointWriter::save(const Checkpoint& checkpoint) try {
  const Paths& paths = state_->paths;
  repeated([&] { refuse_foreign_files(paths.target); });
  repeated([&] { tidy(paths); });
  write_fresh(paths.fresh, checkpoint);
  detail::replace_folder(kSave, paths.fresh, paths.target, paths.old);
  std::error_code ignored;  // a file that cannot be removed will be an error of the next save
  remove_checkpoint(paths.fresh, ignored);
  remove_checkpoint(paths.old, ignored);
} catch (const fs::filesystem_error& error) {
  fail_with(error);
}

void save_checkpoint(const std::string& folder, const Checkpoint& checkpoint) {
  CheckpointWriter(folder).save(checkpoint);
}

Checkpoint load_checkpoint(const std::string& folder) {
  const Paths paths(kLoad, folder);
  for (int attempt = 0; attempt < 100; ++attempt) {
    const std::string found = paths.find();
    if (found.empty()) fail(kLoad, "no checkpoint at ", paths.target);
    // Another process may save at the same time. If the folder changes, both files are read again.
    const detail::FolderWatch watch(found);
    const auto settled = [&] { return watch.unchanged() && paths.find() == found; };
    try {
      Checkpoint checkpoint = read(found);
      if (settled()) return checkpoint;
    } catch (const Error&) {
      if (settled()) throw;
    }
  }
  fail(kLoad, paths.target, " was replaced again and again while it was read");
}

bool checkpoint_exists(const std::string& folder) { return !Paths(kLoad, folder).find().empty(); }

void check_can_save(const std::string& folder) { const CheckpointWriter writer(folder); }

}  // namespace ebb
