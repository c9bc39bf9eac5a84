#include "ebb/nn/distributed/launch.h"

#include <cmath>
#include <cstdlib>
#include <string>

#include "ebb/core/error.h"

namespace ebb::distributed::detail {
namespace {

int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  return text ? std::atoi(text) : 0;
}

}  // namespace

Launch launch() {
  if (const int size = number_in("OMPI_COMM_WORLD_SIZE"); size > 0) return {size, "openmpi"};
  if (const int size = number_in("PMI_SIZE"); size > 0) return {size, "mpich"};
  // srun sets the number of tasks also for programs that do not use MPI, but a rank only for MPI.
  const int tasks = number_in("SLURM_NTASKS");
  if (std::getenv("PMIX_RANK") && tasks > 0) return {tasks, "openmpi"};
  if (std::getenv("PMI_RANK") && tasks > 0) return {tasks, "mpich"};
  return {};
}

double timeout() {
  constexpr double kSeconds = 60;
  const char* text = std::getenv("EBB_DISTRIBUTED_TIMEOUT");
  if (!text) return kSeconds;
  char* end = nullptr;
  const double seconds = std::strtod(text, &end);
  if (end == text || *end != '\0' || !(seconds > 0) || std::isinf(seconds))
    fail("distributed", "EBB_DISTRIBUTED_TIMEOUT: expected seconds above 0, got '", text, "'");
  return seconds;
}

}  // namespace ebb::distributed::detail
