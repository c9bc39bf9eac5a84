// Random small models through random sequences of public calls, against a reference in plain
// doubles.
//
// Each sequence is a function of its seed. A failure prints the seed and the calls; this runs it
// again:
//   export EBB_PROPERTY_SEED=17 EBB_PROPERTY_SEQUENCES=1
//   build/tests/ebb_nn_tests --gtest_filter='Property.*'
// and EBB_PROPERTY_SEQUENCES=100000 runs many.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "ebb/tests/nn/property/world.h"
#include "files.h"

namespace ebb::test::property {
namespace {

uint64_t number_of(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

TEST(Property, RandomSequencesOfPublicCallsDoWhatTheReferenceDoes) {
  const uint64_t first = number_of("EBB_PROPERTY_SEED", 1),
                 count = number_of("EBB_PROPERTY_SEQUENCES", 400);
  const TempFolder folder(memory_folder());
  uint64_t early = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    std::string log, wrong;
    try {
      World world(seed, folder / "checkpoint");
      try {
        early += !world.run();
      } catch (const Difference& difference) {
        wrong = difference.text;
      } catch (const std::exception& error) {
        wrong = std::string("threw ") + error.what();
      }
      log = world.log();
    } catch (const Difference& difference) {
      wrong = difference.text;
    }
    ASSERT_EQ(wrong, "") << "EBB_PROPERTY_SEED=" << seed << " after the calls\n" << log;
  }
  EXPECT_LT(early, count / 4 + 2) << "too many sequences ended early";
  RecordProperty("ended_early", std::to_string(early));
}

}  // namespace
}  // namespace ebb::test::property
