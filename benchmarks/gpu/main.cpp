// ebb-gpu-bench: measures ceilings, training steps, layers and losses on the GPU. Prints one JSON
// line per row.
//
//   ebb-gpu-bench [--group ceiling|training|layer|loss] [--filter TEXT] [--quick] [--once]
//                 [--device cuda|cpu]
//
// --quick tests the program with small shapes. Its figures have no meaning. --once runs every step
// twice and prints nothing, for a profiler.
#include <cstdio>
#include <exception>

#include "measure.h"

namespace ebb::gpu_bench {
namespace {

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&]() -> std::string {
      if (i + 1 == argc) fail("ebb-gpu-bench", flag, " needs a value");
      return argv[++i];
    };
    if (flag == "--quick") {
      options.quick = true;
    } else if (flag == "--once") {
      options.once = true;
    } else if (flag == "--group") {
      options.group = value();
      if (options.group != "ceiling" && options.group != "training" && options.group != "layer" &&
          options.group != "loss") {
        fail("ebb-gpu-bench", "expected --group ceiling, training, layer or loss, got ",
             options.group);
      }
    } else if (flag == "--filter") {
      options.filter = value();
    } else if (flag == "--device") {
      options.device = Device::parse(value());
    } else {
      fail("ebb-gpu-bench",
           "expected --group GROUP, --filter TEXT, --quick, --once or --device DEVICE, got ", flag);
    }
  }
  return options;
}

void run(const Options& options) {
  const Bench bench(options);
  if (bench.on_gpu() && !cuda::is_available())
    fail("ebb-gpu-bench", "this machine has no GPU that works");
  const auto wanted = [&](const char* group) {
    return options.group.empty() || options.group == group;
  };
  if (wanted("ceiling")) run_ceilings(bench);
  if (wanted("training")) {
    run_training(bench);
    run_epochs(bench);
  }
  if (wanted("layer")) run_layers(bench);
  if (wanted("loss")) run_losses(bench);
}

}  // namespace
}  // namespace ebb::gpu_bench

int main(int argc, char** argv) {
  try {
    ebb::gpu_bench::run(ebb::gpu_bench::read_options(argc, argv));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
