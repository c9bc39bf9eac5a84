// The CUDA kernels of the element-wise optimizers.
#include "ebb/nn/optim/rules.h"

#include "ebb/backends/cuda/cuda_backend.h"
#include "ebb/backends/cuda/rule_kernels.h"
#include "ebb/nn/optim/passes.h"

namespace ebb::cuda {

void enter_optimizer_rules() {
  using namespace nn::rules;
  enter_rules<SgdPlain, SgdMomentum, Adam, AmsGrad, Adamax, NAdam, RAdam, RmsProp, RmsPropMomentum,
              RmsPropCentered, RmsPropCenteredMomentum, Adagrad, Adadelta, Rprop, Asgd, Lion,
              Descend, LambDirection, MuonMomentum, AdafactorVariance, AdafactorDescend>();
}

}  // namespace ebb::cuda
