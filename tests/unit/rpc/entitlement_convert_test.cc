// Goal: how an account stands is told with all parts of its entitlement and what it stopped at.
// Method: a standing put into a view by hand.
#include "rpc/entitlement_convert.h"

#include <gtest/gtest.h>

#include <memory>

#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

class EntitlementRowTest : public ::testing::Test {
 protected:
  EntitlementRowTest() {
    AccountSettings& settings = world.directory.accounts.at(World::kNlp).settings;
    settings.shares["h200"].guarantee_milli = 8'000;
    settings.shares["h200"].borrow_max_milli = 16'000;
    settings.account_limits.running_milli = 20'000;
  }
  v1::EntitlementRow Row(EntitledBy by, MilliGpus guarantee_now = 8'000) const {
    View view = *world.MakeView();
    view.standings[{World::kNlp, "h200"}] = {.guarantee_milli = 8'000,
                                             .entitled_milli = 20'000,
                                             .allocated_milli = 9'000,
                                             .demand_milli = 30'000,
                                             .guarantee_now_milli = guarantee_now,
                                             .entitled_gpus = 20,
                                             .lent_milli = 1'000,
                                             .idle_milli = 500,
                                             .entitled_by = by};
    return ToEntitlementRow(view, World::kNlp, "h200");
  }
  World world;
};

TEST_F(EntitlementRowTest, HasAllParts) {
  const v1::EntitlementRow row = Row(EntitledBy::kRunningLimit);
  EXPECT_EQ(row.account(), "universities/kaznu/nlp");
  EXPECT_EQ(row.guarantee_milli_gpus(), 8'000);
  EXPECT_EQ(row.guarantee_now_milli_gpus(), 8'000);
  EXPECT_EQ(row.cap_milli_gpus(), 20'000) << "the limit, which is less than what it may borrow";
  EXPECT_EQ(row.demand_milli_gpus(), 30'000);
  EXPECT_EQ(row.entitlement_milli_gpus(), 20'000);
  EXPECT_EQ(row.entitlement_gpus(), 20);
  EXPECT_EQ(row.running_milli_gpus(), 9'000);
  EXPECT_EQ(row.guaranteed_milli_gpus(), 8'000);
  EXPECT_EQ(row.borrowed_milli_gpus(), 1'000);
  EXPECT_EQ(row.lent_milli_gpus(), 1'000);
  EXPECT_EQ(row.kept_idle_milli_gpus(), 500);
  EXPECT_EQ(row.owed_milli_gpus(), 11'000);
  EXPECT_EQ(row.bound_by().code(), "RUNNING_LIMIT");
  EXPECT_EQ(row.bound_by().fields().at("limit"), "20");
  EXPECT_EQ(row.bound_by().sentence(), "It may run no more than 20 GPUs.");
}

TEST_F(EntitlementRowTest, SaysWhatItStoppedAt) {
  EXPECT_EQ(Row(EntitledBy::kDemand).bound_by().code(), "DEMAND");
  EXPECT_EQ(Row(EntitledBy::kBorrowMax).bound_by().fields().at("limit"), "16");
  const v1::EntitlementRow scaled = Row(EntitledBy::kScaled, 6'000);
  EXPECT_EQ(scaled.bound_by().code(), "SCALED");
  EXPECT_EQ(scaled.guaranteed_milli_gpus(), 6'000) << "inside what the guarantee is cut to";
  EXPECT_EQ(scaled.borrowed_milli_gpus(), 3'000);
}

TEST_F(EntitlementRowTest, OfAStandbyTellsTheSettingsOnly) {
  const v1::EntitlementRow row = ToEntitlementRow(*world.MakeView(), World::kNlp, "h200");
  EXPECT_EQ(row.guarantee_milli_gpus(), 8'000);
  EXPECT_FALSE(row.has_guarantee_now_milli_gpus());
  EXPECT_FALSE(row.has_bound_by());
}

TEST_F(EntitlementRowTest, WhatIsClosedHasNoGuarantee) {
  world.directory.accounts.at(world.directory.accounts.at(World::kNlp).parent).closed = true;
  const v1::EntitlementRow row = ToEntitlementRow(*world.MakeView(), World::kNlp, "h200");
  EXPECT_EQ(row.guarantee_milli_gpus(), 0);
  EXPECT_EQ(row.cap_milli_gpus(), 16'000) << "what it may borrow";
}

}  // namespace
}  // namespace kezek::rpc
