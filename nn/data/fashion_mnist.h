// Fashion-MNIST: 70,000 gray images of clothing in ten classes, 28 x 28 pixels.
#pragma once

#include <string>

#include "ebb/nn/data/dataset.h"

namespace ebb::data {

/// The folder of the package dataset-fashion-mnist of Debian and Ubuntu.
inline constexpr const char* kFashionMnistFolder = "/usr/share/datasets/fashion-mnist";

struct FashionMnist {
  Dataset train;  ///< inputs u8 (60000, 28, 28), 0 is background; targets i64 (60000,)
  Dataset test;   ///< the same with 10,000 samples
};

/// Reads the four files train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte
/// and t10k-labels-idx1-ubyte, each plain or with .gz. The original MNIST has the same format.
///
/// Throws Error that lists missing files and names the package, or that names a file which is
/// damaged, is not u8 (N, 28, 28) or (N,), or has a label above 9. Source: H. Xiao, K. Rasul, R.
/// Vollgraf (2017), arXiv:1708.07747.
FashionMnist load_fashion_mnist(const std::string& folder = kFashionMnistFolder);

}  // namespace ebb::data
