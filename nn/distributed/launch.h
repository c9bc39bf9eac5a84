// Launch: what the environment says about the processes that mpirun or srun has started.
#pragma once

#include <string_view>

namespace ebb::distributed::detail {

struct Launch {
  int size = 1;
  /// The implementation of MPI in the name of the engine's library; empty without a launcher.
  std::string_view mpi = {};
};

/// Reads the variables of Open MPI, MPICH (Hydra) and of PMI and PMIx, which srun sets.
Launch launch();

/// Returns the seconds in EBB_DISTRIBUTED_TIMEOUT, else 60. Throws Error unless it is above 0.
double timeout();

}  // namespace ebb::distributed::detail
