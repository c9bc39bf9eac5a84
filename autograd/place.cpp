#include "ebb/autograd/place.h"

namespace ebb::detail {

constinit thread_local unsigned watching = 0;
constinit thread_local int composite_depth = 0;
constinit thread_local int forward_depth = 0;
constinit thread_local std::source_location place;

}  // namespace ebb::detail
