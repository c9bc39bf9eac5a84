#include "ebb/autograd/graph/call_site.h"

namespace ebb::detail {

constinit thread_local unsigned observers = 0;
constinit thread_local int composite_depth = 0;
constinit thread_local int forward_depth = 0;
constinit thread_local std::source_location call_site;

}  // namespace ebb::detail
