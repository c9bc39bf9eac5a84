// Tells mutated code if a mutant is selected, and records which mutants a test reaches. The
// environment variable EBB_MUTANT=number selects one. Only scripts/mutate uses this file; it copies
// it into the tree that it builds.
#pragma once

#include <cstdlib>

namespace ebb::mutation {

inline constexpr int kMost = 20000;
inline unsigned char reached[kMost];

inline int chosen_by_environment() {
  const char* text = std::getenv("EBB_MUTANT");
  return text ? std::atoi(text) : -1;
}
inline const int chosen = chosen_by_environment();

inline bool is_on(int number) {
  reached[number] = 1;
  return chosen == number;
}

}  // namespace ebb::mutation

#define EBB_MUTANT(number) (::ebb::mutation::is_on(number))
