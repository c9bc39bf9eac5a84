// What mutated code asks: is this mutant the one that was chosen? Also notes which mutants a test reaches.
// Chosen by the environment: EBB_MUTANT=number. Part of scripts/mutate alone, which copies it into the tree it builds.
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
