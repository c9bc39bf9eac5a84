// A guard without a name ends at the end of its statement.
#include "ebb/autograd/inspect/anomaly.h"
#include "ebb/autograd/inspect/op_observer.h"
#include "ebb/core/grad_mode.h"
#include "ebb/nn/module.h"

void guards(const ebb::TensorArg& x, ebb::nn::LayerWatch& watch) {
#ifdef MISUSE
  ebb::NoGrad();                                // refused: nodiscard
  ebb::GradMode(false);                         // refused: nodiscard
  ebb::DetectAnomaly();                         // refused: nodiscard
  ebb::detect_anomaly();                        // refused: nodiscard
  ebb::OpObserver([](const ebb::OpEvent&) {});  // refused: nodiscard
  ebb::CompositeScope{x};                       // refused: nodiscard
  ebb::nn::LayerWatch::Scope{watch};            // refused: nodiscard
#endif
  const ebb::NoGrad no_grad;
  const ebb::GradMode mode(true);
  const auto anomaly = ebb::detect_anomaly();
  const ebb::OpObserver observer([](const ebb::OpEvent&) {});
  const ebb::CompositeScope scope(x);
  const ebb::nn::LayerWatch::Scope layers(watch);
}
