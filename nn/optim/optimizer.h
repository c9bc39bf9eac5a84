// Optimizers: SGD, Adam, AdamW and the other element-wise ones, over their common base.
#pragma once

#include "ebb/nn/optim/elementwise.h"
#include "ebb/nn/optim/optimizer_base.h"
