// Goal: a decision that breaks a rule costs one job its turn, three such plans in a row cost the
// controller its right to decide, and totals or holdings that are wrong are found and told.
// Method: the controller's core with plans and holdings put into it by hand, as no engine makes
// them.

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>

#include "scheduler/control/core.h"
#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class AlarmsTest : public ::testing::Test {
 protected:
  AlarmsTest() { desk.Up(); }
  // With the nodes, and what has been submitted.
  Core& Make() {
    core_ = std::make_unique<Core>(desk.config, *desk.store.Lead(), 0);
    Core& core = *core_;
    core.now = desk.now;
    core.cluster_answers = core.nodes_seen = core.listed = true;
    for (const auto& [name, node] : core.state.nodes()) core.engine.SetNode(node);
    for (const auto& [ref, job] : core.state.jobs()) core.refresh.insert(ref);
    Settle(core);
    return core;
  }
  // A plan of which verify dropped this.
  static void DropAbout(Core& core, const JobRef& job) {
    core.plan = engine::Plan{};
    core.plan.dropped = {{job, "GPUs of n1 twice"}};
    core.plan.dropped_starts = {{job, job, {{"n1", 2, {}}}, 2000}};
    core.ready = Ready{};
    JudgePlan(core);
    Settle(core);
  }
  static bool Warns(const Core& core, const std::string& field) {
    const auto& events = core.ready.changes.events;
    return std::any_of(events.begin(), events.end(), [&](const Event& event) {
      const auto found = event.reason.fields.find("field");
      return event.reason.code == ReasonCode::kWarning && found != event.reason.fields.end() &&
             found->second == field;
    });
  }
  DeskOfOne desk;

 private:
  std::unique_ptr<Core> core_;
};

TEST_F(AlarmsTest, ADroppedDecisionSetsItsJobAsideWithAnAlarmAndADump) {
  const JobRef job{desk.Submit()};
  Core& core = Make();
  DropAbout(core, job);
  EXPECT_TRUE(core.set_aside.contains(job));
  ASSERT_EQ(core.ready.changes.events.size(), 1U);
  EXPECT_EQ(core.ready.changes.events[0].reason.code, ReasonCode::kSetAside);
  ASSERT_EQ(core.ready.report.alarms.size(), 2U);
  const std::string& dump = core.ready.report.alarms[1];
  EXPECT_NE(dump.find("GPUs of n1 twice"), std::string::npos) << dump;
  EXPECT_NE(dump.find("n1 gpus=8"), std::string::npos) << dump;
  EXPECT_TRUE(core.stop.empty());
}

TEST_F(AlarmsTest, APendingElementSetsTheRestOfItsArrayAside) {
  const JobId array = desk.Submit([](JobSpec& spec) { spec.array = ArraySpec{{{0, 9, 1}}, 0}; });
  Core& core = Make();
  DropAbout(core, {array, 3});
  EXPECT_TRUE(core.set_aside.contains({array, kNoElement}));
  EXPECT_EQ(core.ready.changes.events.size(), 1U);
  core.tick_wanted = true;
  Tick(core);
  EXPECT_TRUE(core.plan.starts.empty()) << "it is not planned again";
}

TEST_F(AlarmsTest, AfterThreeBadPlansInARowNothingIsDecided) {
  const JobRef waits{desk.Submit()};
  const JobRef a{desk.Submit()};
  const JobRef b{desk.Submit()};
  Core& core = Make();
  DropAbout(core, a);
  DropAbout(core, b);
  core.plan = engine::Plan{};
  core.plan.starts = {{waits, waits, {}, 0}};
  JudgePlan(core);  // a good one
  DropAbout(core, a);
  DropAbout(core, b);
  core.plan = engine::Plan{};
  JudgePlan(core);  // an empty one proves nothing
  EXPECT_TRUE(core.stop.empty());
  DropAbout(core, a);
  EXPECT_FALSE(core.stop.empty());
  EXPECT_TRUE(Warns(core, "verify"));
  core.ready = Ready{};
  Tick(core);
  EXPECT_EQ(core.ready.report.starts, 0);
  core.stop.clear();  // an admin has looked
  Tick(core);
  EXPECT_EQ(core.ready.report.starts, 1);
}

TEST_F(AlarmsTest, AStopOutlivesTheProcess) {
  desk.Submit();  // waits
  std::vector<JobRef> bad;
  for (int i = 0; i < 3; ++i) bad.push_back({desk.Submit()});
  Core& core = Make();
  for (const JobRef& job : bad) DropAbout(core, job);
  const std::string stop = core.stop;
  ASSERT_FALSE(stop.empty());
  ASSERT_TRUE(desk.store.Commit(core.ready.changes).has_value());
  Core& next = Make();
  EXPECT_EQ(next.stop, stop);
  Tick(next);
  EXPECT_EQ(next.ready.report.starts, 0);
  ASSERT_TRUE(Execute(next, {UserId{1}, "aida", ResumeScheduling{.text = "seen"}}).has_value());
  ASSERT_TRUE(desk.store.Commit(next.ready.changes).has_value());
  Core& last = Make();
  EXPECT_EQ(last.stop, "");
  Tick(last);
  EXPECT_GT(last.ready.report.starts, 0);
}

TEST_F(AlarmsTest, HoldingsThatNoAttemptHasAreFoundWithinTenMinutes) {
  Core& core = Make();
  const auto recount = [&core] {
    core.ready = Ready{};
    for (const TimeMs end = core.now + 10 * kMinuteMs; core.now < end; core.now += kSecondMs) {
      RecountPart(core);
    }
    return core.ready.report.alarms.size();
  };
  EXPECT_EQ(recount(), 0U);
  engine::Holding ghost;
  ghost.attempt = {{JobId{77}}, 1};
  ghost.project = DeskOfOne::kProject;
  ghost.job_class = "normal";
  ghost.shape = {1, 9, "h200", 1, 1, false};
  ghost.placement = {{"n1", 9, {}}};
  ghost.counted_milli = 9000;
  core.engine.SetHolding(ghost);
  EXPECT_EQ(recount(), 2U) << "nobody's, and more than there is";
  EXPECT_TRUE(Warns(core, "recount"));
  EXPECT_EQ(recount(), 0U) << "said once";
}

}  // namespace
}  // namespace kezek::control
