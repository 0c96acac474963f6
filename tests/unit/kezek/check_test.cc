// Goal: KEZEK_CHECK aborts with place, condition and message when its condition is false, in every
// build type, and costs nothing but the condition when it is true. Method: death tests; a counter
// shows that the message is evaluated only on failure.

#include "kezek/check.h"

#include <gtest/gtest.h>

#include <string>

namespace kezek {
namespace {

TEST(CheckTest, TrueConditionGoesOn) {
  int evaluated = 0;
  const auto message = [&evaluated] {
    ++evaluated;
    return std::string("unused");
  };
  KEZEK_CHECK(evaluated == 0, message());
  EXPECT_EQ(evaluated, 0);
}

TEST(CheckTest, ConditionIsEvaluatedOnce) {
  int evaluated = 0;
  KEZEK_CHECK(++evaluated == 1, "counted");
  EXPECT_EQ(evaluated, 1);
}

TEST(CheckTest, WorksAsTheBranchOfAnIf) {
  bool other = false;
  if (other)
    KEZEK_CHECK(false, "not reached");
  else
    other = true;
  EXPECT_TRUE(other);
}

TEST(CheckDeathTest, FalseConditionAbortsAndSaysWhere) {
  EXPECT_DEATH(KEZEK_CHECK(1 + 1 == 3, "sums"),
               "check_test\\.cc:[0-9]+: check failed: 1 \\+ 1 == 3: sums");
}

TEST(CheckDeathTest, MessageMayBeComposed) {
  const std::string gpu = "h200";
  EXPECT_DEATH(KEZEK_CHECK(gpu.empty(), "type " + gpu), "check failed: gpu.empty\\(\\): type h200");
}

}  // namespace
}  // namespace kezek
