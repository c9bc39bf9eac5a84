// The commands of ebb-interop. Each is called with the arguments of a test in Python.
#pragma once

#include <string>
#include <vector>

namespace ebb::interop {

using Arguments = std::vector<std::string>;

void numpy(const Arguments& arguments);
void safetensors(const Arguments& arguments);
void state_dict(const Arguments& arguments);
void tensorboard(const Arguments& arguments);
void onnx(const Arguments& arguments);
void onnx_import(const Arguments& arguments);

}  // namespace ebb::interop
