// Goal: that guarantees are scaled is an event once, not at each tick, and so is that they count in
// full again. Method: the controller's core with standings put into it by hand.

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "kezek/reason_text.h"
#include "scheduler/control/core.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class GuaranteesTest : public ::testing::Test {
 protected:
  GuaranteesTest() : core(desk.config, *desk.store.Lead(), desk.now) {
    core.now = desk.now;
    core.cluster_answers = core.nodes_seen = true;
    const quota::AccountTree& tree = core.state.tree();
    top_ = tree.id(tree.children(quota::kRootIndex)[0]);
  }
  // What is said when a tick shows this, `later`.
  std::vector<Event> Tick(EntitledBy top, EntitledBy root = EntitledBy::kShare,
                          DurationMs later = kSecondMs) {
    core.now += later;
    core.plan = engine::Plan{};
    core.plan.standings[{kRootAccount, "h200"}] = {.guarantee_milli = 48'000, .entitled_by = root};
    core.plan.standings[{top_, "h200"}] = {.guarantee_milli = 16'000,
                                           .demand_milli = 20'000,
                                           .guarantee_now_milli = 8'500,
                                           .entitled_by = top};
    core.ready = Ready{};
    SayWhatIsScaled(core);
    return core.ready.changes.events;
  }
  DeskOfOne desk;
  Core core;

 private:
  AccountId top_;
};

TEST_F(GuaranteesTest, IsSaidOnceThatTheyAreScaled) {
  const std::vector<Event> events = Tick(EntitledBy::kScaled);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].subject, Subject::kCluster);
  EXPECT_EQ(Sentence(events[0].reason),
            "Guarantees in demand of h200 exceed the GPUs in service: those of 1 account count in "
            "proportion now, 8.5 of 16 GPUs.");
  EXPECT_TRUE(Tick(EntitledBy::kScaled).empty());
  EXPECT_TRUE(Tick(EntitledBy::kGuarantee).empty()) << "demand may be about the brink";
  EXPECT_TRUE(Tick(EntitledBy::kScaled).empty());
}

TEST_F(GuaranteesTest, IsSaidAfterAWhileThatTheyCountInFull) {
  Tick(EntitledBy::kScaled);
  EXPECT_TRUE(Tick(EntitledBy::kGuarantee, EntitledBy::kShare, 9 * kMinuteMs).empty());
  const std::vector<Event> events = Tick(EntitledBy::kGuarantee, EntitledBy::kShare, 9 * kMinuteMs);
  ASSERT_EQ(events.size(), 1U);
  EXPECT_EQ(events[0].reason.code, ReasonCode::kGuaranteesWhole);
  EXPECT_TRUE(Tick(EntitledBy::kGuarantee).empty());
  EXPECT_EQ(Tick(EntitledBy::kScaled).size(), 1U) << "the next time is news again";
}

TEST_F(GuaranteesTest, NothingIsSaidOfALimitOrWhileWhatServesIsNotKnown) {
  EXPECT_TRUE(Tick(EntitledBy::kScaled, EntitledBy::kRunningLimit).empty());
  core.cluster_answers = false;
  EXPECT_TRUE(Tick(EntitledBy::kScaled).empty());
}

}  // namespace
}  // namespace kezek::control
