// Goal: what new settings would do is told as it would be: who is entitled to more, what would
// start, wait, be stopped or freed, who is next, and which running jobs no guarantee would cover;
// and nothing is changed by asking. Method: four nodes of eight GPUs, three projects a2 to a4, each
// test with the settings as they are and others; every row as text.

#include "scheduler/engine/what_if.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

class WhatIfTest : public testing::Test {
 protected:
  WhatIfTest() {
    for (const std::int64_t project : {2, 3, 4}) tree.Add(project, 1);
    for (const char* node : {"n1", "n2", "n3", "n4"}) nodes.push_back(H200(node));
  }
  AccountSettings& Settings(SmallTree& of, std::int64_t project) {
    return of.directory().accounts.at(AccountId{project}).settings;
  }
  Share& ShareOf(SmallTree& of, std::int64_t project) {
    return Settings(of, project).shares["h200"];
  }
  // A job of one whole node that has run for so many hours.
  void Runs(std::int64_t job, std::int64_t project, std::int64_t hours) {
    const Waiting row = Queued(job, Gang(project, 1, 8));
    const Start start{.job = row.ref,
                      .row = row.ref,
                      .placement = {{nodes.at(running.size()).name, 8, {}}},
                      .counted_milli = 8000};
    running.push_back(HoldingOf(start, row, kNoon - hours * kHourMs));
  }
  void Waits(std::int64_t job, std::int64_t project) {
    waiting.push_back(Queued(job, Gang(project, 1, 8)));
  }
  void Used(std::int64_t project, std::int64_t gpu_hours) {
    usage.push_back({.project = AccountId{project},
                     .user = UserId{1},
                     .gpu_type = "h200",
                     .date_ms = kNoon,
                     .amount = gpu_hours * 1000 * kHourMs});
  }

  WhatIf Try(const SmallTree& after) {
    Engine engine({}, tree.Make());
    for (const Node& node : nodes) engine.SetNode(node);
    for (const Holding& attempt : running) engine.SetHolding(attempt);
    for (const Waiting& job : waiting) engine.SetWaiting(job);
    for (const UsageBooking& booking : usage) engine.Book(booking);
    const std::string before = StartsText(engine.Decide(kNoon));
    const WhatIf result = TryOut(engine.CopyFacts(), tree.Make(), {after.Make(), {}}, kNoon);
    EXPECT_EQ(StartsText(engine.Decide(kNoon)), before) << "asking changes nothing";
    EXPECT_EQ(result.now_ms, kNoon);
    return result;
  }

  SmallTree tree;
  std::vector<Node> nodes;
  std::vector<Holding> running;
  std::vector<Waiting> waiting;
  std::vector<UsageBooking> usage;
};

std::string ListText(const char* name, const std::vector<JobRef>& jobs) {
  std::string text;
  for (const JobRef& job : jobs) text += " " + ToText(job);
  return text.empty() ? text : std::string(" ") + name + text;
}

// "a2 8→16 runs 0 starts 1 2", a line for each row; entitlements in GPUs.
std::string Text(const WhatIf& what_if) {
  std::string text;
  for (const WhatIfRow& row : what_if.rows) {
    std::vector<JobRef> unguaranteed;
    for (const AttemptRef& attempt : row.unguaranteed) unguaranteed.push_back(attempt.job);
    std::vector<JobRef> preempted;
    for (const AttemptRef& attempt : row.preempted) preempted.push_back(attempt.job);
    text += (text.empty() ? "" : "\n") + std::string("a") + std::to_string(row.account.value) +
            " " + std::to_string(row.entitled_before_milli / 1000) + "→" +
            std::to_string(row.entitled_after_milli / 1000) + " runs " +
            std::to_string(row.running_milli / 1000) + ListText("starts", row.starts) +
            ListText("waits", row.waits) + ListText("stopped", row.stopped) +
            ListText("freed", row.freed) + ListText("unguaranteed", unguaranteed) +
            ListText("preempted", preempted) + ListText("reclaims", row.reclaims);
    if (row.nearer != 0) text += " nearer " + std::to_string(row.nearer);
    if (row.farther != 0) text += " farther " + std::to_string(row.farther);
  }
  return text;
}

std::string Text(const std::vector<WhatIf::Next>& next) {
  std::string text;
  for (const WhatIf::Next& job : next) text += (text.empty() ? "" : " ") + ToText(job.job);
  return text;
}

TEST_F(WhatIfTest, TheSameSettingsMakeNoDifference) {
  Runs(1, 2, 1);
  Waits(2, 2);
  Waits(3, 3);
  const WhatIf same = Try(tree);
  EXPECT_EQ(Text(same), "");
  EXPECT_EQ(Text(same.next.at("h200").before), "2 3");
  EXPECT_EQ(same.next.at("h200").before, same.next.at("h200").after);
}

TEST_F(WhatIfTest, AGuaranteeThatMovesLeavesBorrowersUncovered) {
  ShareOf(tree, 2).guarantee_milli = 8000;
  ShareOf(tree, 3).guarantee_milli = 16'000;
  for (const std::int64_t job : {11, 12, 13, 14}) Runs(job, 3, 20 - job);
  for (const std::int64_t job : {21, 22, 23}) Waits(job, 2);
  SmallTree after = tree;
  ShareOf(after, 2).guarantee_milli = 24'000;
  ShareOf(after, 3).guarantee_milli = 8000;
  const WhatIf result = Try(after);
  // 13 and 14 are borrowed as it is, and 21 may have the GPUs of one of them; 12, the second
  // oldest, would be borrowed, too, and all three would be asked for.
  EXPECT_EQ(Text(result),
            "a2 16→24 runs 0 reclaims 22 23\n"
            "a3 16→8 runs 32 unguaranteed 12 preempted 12 14");
  EXPECT_EQ(result.rows.at(1).unguaranteed_ms, 8000 * 8 * kHourMs) << "it has run for 8 hours";
  EXPECT_EQ(result.paths.at(AccountId{3}), "a3");
}

TEST_F(WhatIfTest, WhatMayNotBePreemptedIsNoCandidate) {
  ShareOf(tree, 3).guarantee_milli = 8000;
  Runs(11, 3, 1);
  running.back().job_class = "realtime";
  SmallTree after = tree;
  ShareOf(after, 3).guarantee_milli = 0;
  EXPECT_EQ(Text(Try(after)), "");
}

TEST_F(WhatIfTest, AWiderLimitFreesAndANarrowerOneStops) {
  Settings(tree, 2).account_limits.running_milli = 8000;
  Runs(1, 2, 1);
  Waits(2, 2);
  Waits(3, 3);
  SmallTree after = tree;
  Settings(after, 2).account_limits.running_milli = 16'000;
  Settings(after, 3).account_limits.running_milli = 4000;
  EXPECT_EQ(Text(Try(after)), "a2 8→16 runs 8 starts 2\na3 8→0 runs 0 stopped 3");
  for (const std::int64_t job : {11, 12, 13}) Runs(job, 4, 1);
  EXPECT_EQ(Text(Try(after)), "a2 8→16 runs 8 freed 2\na3 8→0 runs 0 stopped 3")
      << "no node is free";
}

TEST_F(WhatIfTest, AClosedAccountsJobsAreStopped) {
  Waits(2, 2);
  Waits(3, 3);
  SmallTree after = tree;
  after.directory().accounts.at(AccountId{3}).closed = true;
  EXPECT_EQ(Text(Try(after)), "a1 16→8 runs 0\na3 8→0 runs 0 stopped 3");
}

TEST_F(WhatIfTest, MoreWeightIsNearerToTheFront) {
  for (const std::int64_t job : {11, 12, 13, 14}) Runs(job, 4, 1);
  Used(2, 12);
  Used(3, 10);
  Waits(21, 2);
  Waits(31, 3);
  SmallTree after = tree;
  ShareOf(after, 2).weight_milli = 2000;
  const WhatIf result = Try(after);
  EXPECT_EQ(Text(result.next.at("h200").before), "31 21");
  EXPECT_EQ(Text(result.next.at("h200").after), "21 31");
  EXPECT_EQ(Text(result), "a2 8→8 runs 0 nearer 1\na3 8→8 runs 0 farther 1");
}

TEST_F(WhatIfTest, WhatStartsInsteadMakesOthersWait) {
  for (const std::int64_t job : {11, 12, 13}) Runs(job, 4, 1);
  Used(2, 12);
  Used(3, 10);
  Waits(21, 2);
  Waits(31, 3);
  SmallTree after = tree;
  ShareOf(after, 2).guarantee_milli = 8000;
  EXPECT_EQ(Text(Try(after)), "a2 8→8 runs 0 starts 21\na3 8→8 runs 0 waits 31");
}

TEST_F(WhatIfTest, StartsAreNotCutToATicksCommit) {
  waiting.push_back(Queued(7, [] {
    JobSpec spec = Gang(2, 1, 1);
    spec.array = ArraySpec{{{0, 9, 1}}, 0};
    return spec;
  }()));
  Settings(tree, 2).account_limits.running_milli = 2000;
  Engine engine({.starts_max = 1}, tree.Make());
  for (const Node& node : nodes) engine.SetNode(node);
  engine.SetWaiting(waiting.front());
  SmallTree after = tree;
  Settings(after, 2).account_limits.running_milli = 5000;
  const WhatIf result = TryOut(engine.CopyFacts(), tree.Make(), {after.Make(), {}}, kNoon);
  ASSERT_EQ(result.rows.size(), 2U);
  EXPECT_EQ(Text(result), "a1 2→5 runs 0\na2 2→5 runs 0 starts 7_2 7_3 7_4");
}

TEST_F(WhatIfTest, AnAccountThatIsNewIsThere) {
  Waits(2, 2);
  SmallTree after = tree;
  after.Add(9, 1);
  EXPECT_EQ(Text(Try(after)), "") << "it has nothing, and nobody has less";
}

}  // namespace
}  // namespace kezek::engine
