// Goal: counted GPUs are shown as people write them. Method: a table.
#include "kezek/resources.h"

#include <gtest/gtest.h>

namespace kezek {
namespace {

TEST(Resources, CountedGpusAsText) {
  EXPECT_EQ(GpusText(0), "0");
  EXPECT_EQ(GpusText(2000), "2");
  EXPECT_EQ(GpusText(2500), "2.5");
  EXPECT_EQ(GpusText(63), "0.063");
  EXPECT_EQ(GpusText(-1250), "-1.25");
}

}  // namespace
}  // namespace kezek
