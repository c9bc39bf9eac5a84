// ebb-interop COMMAND ARGUMENTS...: reads and writes files for the tests in Python of this folder.
#include <cstdio>
#include <exception>
#include <map>

#include "files.h"

int main(int count, char** values) {
  using namespace ebb::interop;
  const std::map<std::string, void (*)(const Arguments&)> commands = {{"numpy", numpy},
                                                                      {"safetensors", safetensors},
                                                                      {"state_dict", state_dict},
                                                                      {"tensorboard", tensorboard},
                                                                      {"onnx", onnx},
                                                                      {"onnx_import", onnx_import}};
  const auto command = commands.find(count > 1 ? values[1] : "");
  if (command == commands.end()) {
    std::fprintf(stderr, "expected a command\n");
    return 2;
  }
  try {
    command->second(Arguments(values + 2, values + count));
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
