// Matrix products, beyond what core/backend.h asks of them.
#pragma once

namespace ebb::cuda {

/// Makes what products need once: cuBLASLt's handle and workspace, and what its epilogues do. Waits for the device.
void prepare_products();

}  // namespace ebb::cuda
