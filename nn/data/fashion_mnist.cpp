#include "ebb/nn/data/fashion_mnist.h"

#include <array>
#include <filesystem>

#include "ebb/nn/data/idx.h"

namespace ebb::data {
namespace {

constexpr std::string_view kOp = "load_fashion_mnist";
constexpr std::array<const char*, 4> kFiles = {"train-images-idx3-ubyte", "train-labels-idx1-ubyte",
                                               "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"};

// Returns the path of each file, with .gz if only that one exists.
std::array<std::string, 4> find_files(const std::string& folder) {
  std::array<std::string, 4> paths;
  std::string missing;
  for (size_t i = 0; i < kFiles.size(); ++i) {
    const std::string plain = (std::filesystem::path(folder) / kFiles[i]).string();
    std::error_code ignored;
    for (const std::string& path : {plain + ".gz", plain}) {
      if (std::filesystem::is_regular_file(path, ignored)) paths[i] = path;
    }
    if (paths[i].empty())
      missing += (missing.empty() ? "" : ", ") + std::string(kFiles[i]) + "[.gz]";
  }
  if (!missing.empty()) {
    fail(kOp, folder, " lacks ", missing,
         ": install the Debian package dataset-fashion-mnist or name another folder");
  }
  return paths;
}

Dataset read_pair(const std::string& images_path, const std::string& labels_path) {
  const Tensor images = read_idx(images_path);
  if (images.dtype() != DType::U8 || images.dim() != 3 || images.size(1) != 28 ||
      images.size(2) != 28) {
    fail(kOp, images_path, ": expected u8 (N, 28, 28), got ", images.dtype(), " ", images.shape());
  }
  const Tensor labels = read_idx(labels_path);
  if (labels.dtype() != DType::U8 || labels.dim() != 1 || labels.size(0) != images.size(0)) {
    fail(kOp, labels_path, ": expected u8 (", images.size(0), ",), got ", labels.dtype(), " ",
         labels.shape());
  }
  const std::vector<int64_t> classes = labels.to_vector<int64_t>();
  for (size_t i = 0; i < classes.size(); ++i) {
    if (classes[i] > 9)
      fail(kOp, labels_path, ": label ", i, " is ", classes[i], ", expected 0 to 9");
  }
  return Dataset(images, from_data(classes, labels.shape()),
                 {"T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt",
                  "Sneaker", "Bag", "Ankle boot"});
}

}  // namespace

FashionMnist load_fashion_mnist(const std::string& folder) {
  const std::array<std::string, 4> paths = find_files(folder);
  return {read_pair(paths[0], paths[1]), read_pair(paths[2], paths[3])};
}

}  // namespace ebb::data
