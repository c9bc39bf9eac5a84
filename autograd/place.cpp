#include "ebb/autograd/place.h"

#include "ebb/autograd/node.h"

namespace ebb {

constinit thread_local unsigned detail::watching = 0;
constinit thread_local int detail::composite_depth = 0;
constinit thread_local int detail::forward_depth = 0;

namespace {
thread_local std::source_location place;
constinit thread_local bool has_place = false;
}  // namespace

void detail::note_place(const std::source_location& where) {
  if (composite_depth > 0) return;
  place = where;
  has_place = true;
}

const std::source_location* detail::noted_place() { return has_place ? &place : nullptr; }
void detail::forget_place() { has_place = false; }

void BackwardScope::enter(const Node& node) {
  before_ = place;
  had_place_ = has_place;
  ++detail::composite_depth;
  const Node::Extras* extras = node.extras_if_any();
  has_place = extras && extras->has_location;
  if (has_place) place = extras->made_at;
}
void BackwardScope::leave() {
  --detail::composite_depth;
  place = before_;
  has_place = had_place_;
}

}  // namespace ebb
