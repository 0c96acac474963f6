// Goal: only borrowers make room, only for jobs inside a guarantee, as few and as cheap as can be,
// and nobody who could take it back. Method: narrated cases on a few nodes of eight GPUs, projects
// a2 to a4; and random small worlds, where verify judges each victim and all smaller sets of
// victims are tried: with fewer of them the job would not fit, and where scavengers suffice nobody
// else goes. A failure prints its seed.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "scheduler/engine/passes.h"
#include "scheduler/engine/placement.h"
#include "scheduler/engine/verify.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

const Reservation& ClaimOf(const Plan& plan, const JobRef& row) {
  const auto found =
      std::find_if(plan.reservations.begin(), plan.reservations.end(),
                   [&](const ReservationChange& change) { return change.reservation.row == row; });
  EXPECT_NE(found, plan.reservations.end());
  return found->reservation;
}

class ReclaimTest : public testing::Test {
 protected:
  ReclaimTest() {
    for (const std::int64_t project : {2, 3, 4}) tree.Add(project, 1);
    for (const char* node : {"n1", "n2", "n3", "n4"}) nodes.push_back(H200(node));
  }
  void Guarantee(std::int64_t project, std::int64_t gpus) {
    tree.directory().accounts.at(AccountId{project}).settings.shares["h200"].guarantee_milli =
        gpus * 1000;
  }
  // Since so many minutes.
  void Runs(std::int64_t job, std::int64_t project, const std::vector<std::string>& on,
            std::int32_t gpus, std::int64_t minutes, const std::string& job_class = "normal") {
    JobSpec spec = Gang(project, static_cast<std::int32_t>(on.size()), gpus);
    spec.job_class = job_class;
    const Waiting row = Queued(job, std::move(spec));
    Start start{.job = row.ref,
                .row = row.ref,
                .counted_milli = 1000 * gpus * static_cast<std::int64_t>(on.size())};
    for (const std::string& node : on) start.placement.push_back({node, gpus, {}});
    running.push_back(HoldingOf(start, row, kNoon - minutes * kMinuteMs));
  }
  void Waits(std::int64_t job, JobSpec spec) { waiting.push_back(Queued(job, std::move(spec))); }

  // "21@n1 for 11 12, 22@n2 for 13"
  std::string Reclaims() {
    World world(EngineConfig{.reclaim = true}, tree.Make());
    for (const Node& node : nodes) world.SetNode(node);
    for (const Holding& attempt : running) world.SetHolding(attempt);
    for (const Waiting& job : waiting) world.SetWaiting(job);
    world.Refresh(kNoon);
    plan = DecideAll(world, kNoon);
    EXPECT_TRUE(plan.dropped.empty()) << plan.dropped.front().second;
    std::string text;
    for (const Preempt& preempt : plan.preempts) {
      const Reservation& claim = ClaimOf(plan, preempt.for_row);
      if (preempt.victim != claim.victims.front()) continue;
      text += (text.empty() ? "" : ", ") + ToText(claim.row);
      for (const NodeGrant& grant : claim.placement) {
        text += (&grant == &claim.placement.front() ? "@" : "+") + grant.node;
      }
      text += " for";
      for (const AttemptRef& victim : claim.victims) text += " " + ToText(victim.job);
    }
    return text;
  }

  SmallTree tree;
  std::vector<Node> nodes;
  std::vector<Holding> running;
  std::vector<Waiting> waiting;
  Plan plan;
};

TEST_F(ReclaimTest, ABorrowerMakesRoomForWhoIsGuaranteed) {
  Guarantee(2, 8);
  for (int i = 1; i <= 4; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 20 + i);
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "21@n1 for 11") << "the one that loses least";
  Waits(22, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "21@n1 for 11") << "a second would be outside the guarantee";
}

TEST_F(ReclaimTest, WhatAClosedAccountStillRunsIsBorrowed) {
  Guarantee(2, 8);
  Guarantee(3, 32);
  for (int i = 1; i <= 4; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 20 + i);
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "");
  tree.directory().accounts.at(AccountId{3}).closed = true;
  EXPECT_EQ(Reclaims(), "21@n1 for 11");
}

TEST_F(ReclaimTest, WhatAGuaranteeCoversStays) {
  Guarantee(2, 8);
  Guarantee(3, 24);
  for (int i = 1; i <= 4; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 60 * i);
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "21@n1 for 11") << "the youngest is borrowed, the three older are not";
  Guarantee(3, 32);
  EXPECT_EQ(Reclaims(), "");
}

TEST_F(ReclaimTest, ScavengersGoFirstWithoutMinRun) {
  Guarantee(2, 8);
  for (int i = 1; i <= 3; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 20);
  Runs(14, 4, {"n4"}, 8, 1, "scavenger");
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "21@n4 for 14");
  Guarantee(2, 0);
  EXPECT_EQ(Reclaims(), "21@n4 for 14") << "for any job that is blocked";
}

TEST_F(ReclaimTest, NobodyIsPreemptedBeforeMinRunOrIfItsClassMayNot) {
  Guarantee(2, 8);
  Runs(11, 3, {"n1"}, 8, 9);
  Runs(12, 3, {"n2"}, 8, 20, "realtime");
  Runs(13, 3, {"n3"}, 8, 9);
  Runs(14, 3, {"n4"}, 8, 9);
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "");
  Runs(15, 4, {}, 0, 0);
  running[0].start_ms = kNoon - 10 * kMinuteMs;
  running.pop_back();
  EXPECT_EQ(Reclaims(), "21@n1 for 11");
}

TEST_F(ReclaimTest, AGuaranteeInFragmentsSaysSo) {
  Guarantee(2, 16);
  Guarantee(3, 16);
  for (const std::int64_t n : {1, 2, 3, 4}) {
    Runs(20 + n, 3, {"n" + std::to_string(n)}, 4, 30);  // covered
    Runs(30 + n, 4, {"n" + std::to_string(n)}, 4, 1);   // borrowed, not for long
  }
  Waits(11, Gang(2, 1, 8));
  Waits(12, Gang(2, 1, 4));
  Waits(13, Gang(4, 1, 8));
  EXPECT_EQ(Reclaims(), "");
  EXPECT_EQ(ReasonOf(plan, 11).code, ReasonCode::kGuaranteeFragmented);
  EXPECT_EQ(ReasonOf(plan, 12).code, ReasonCode::kWaitsForGpus) << "after min_run it has room";
  EXPECT_EQ(ReasonOf(plan, 13).code, ReasonCode::kWaitsForGpus) << "it has no guarantee";
}

TEST_F(ReclaimTest, FreeGpusAreNotLeftForPreemption) {
  Guarantee(2, 8);
  for (int i = 1; i <= 3; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 20);
  Waits(21, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "") << "it starts";
}

TEST_F(ReclaimTest, RealtimePreemptsItsOwnProjectsLowerClasses) {
  tree.directory().classes.at("realtime").preemptible = true;
  for (int i = 1; i <= 4; ++i) Runs(10 + i, 2, {"n" + std::to_string(i)}, 8, 20 + i);
  JobSpec urgent = Gang(2, 1, 8);
  urgent.job_class = "realtime";
  Waits(21, urgent);
  EXPECT_EQ(Reclaims(), "21@n1 for 11");
  waiting.clear();
  Waits(22, Gang(2, 1, 8));
  EXPECT_EQ(Reclaims(), "");
}

// Names of classes are the site's: what a class may do is in its rules.
TEST_F(ReclaimTest, WhatPreemptsItsOwnProjectIsARuleOfTheClassNotItsName) {
  auto& classes = tree.directory().classes;
  classes.at("realtime").preemptible = true;
  classes["urgent"] = classes.at("realtime");
  classes["urgent"].name = "urgent";
  classes.at("realtime").preempts_lower = false;
  for (int i = 1; i <= 4; ++i) Runs(10 + i, 2, {"n" + std::to_string(i)}, 8, 20 + i);
  JobSpec job = Gang(2, 1, 8);
  job.job_class = "realtime";
  Waits(21, job);
  EXPECT_EQ(Reclaims(), "");
  waiting.clear();
  job.job_class = "urgent";
  Waits(21, job);
  EXPECT_EQ(Reclaims(), "21@n1 for 11");
}

TEST_F(ReclaimTest, TheAccountFurthestOverGivesFirst) {
  Guarantee(2, 8);
  Guarantee(3, 8);
  Runs(11, 3, {"n1"}, 8, 300);
  Runs(12, 3, {"n2"}, 8, 15);
  Runs(13, 4, {"n3"}, 8, 60);
  Runs(14, 4, {"n4"}, 8, 30);
  Waits(21, Gang(2, 1, 8));
  // On each node one victim: what is lost decides between domains, 15 minutes of job 12.
  EXPECT_EQ(Reclaims(), "21@n2 for 12");
  Runs(15, 4, {"n2"}, 4, 15);
  running[1] = running.back();
  running.pop_back();
  Runs(12, 3, {"n2"}, 4, 15);
  nodes = {H200("n1"), H200("n2"), H200("n3"), H200("n4")};
  waiting.clear();
  Waits(21, Gang(2, 1, 4));
  // Both lose the same on one node; a4 is 20 GPUs over, a3 is 4.
  EXPECT_EQ(Reclaims(), "21@n2 for 15");
}

TEST_F(ReclaimTest, AGangGetsItsNodesInOneDomainAndSpareVictimsStay) {
  Guarantee(2, 16);
  nodes = {H200("n1", "l1"), H200("n2", "l1"), H200("n3", "l2"), H200("n4", "l2")};
  Runs(11, 3, {"n1"}, 8, 12);
  Runs(12, 3, {"n2"}, 8, 50);
  Runs(13, 3, {"n3"}, 8, 20);
  Runs(14, 3, {"n4"}, 8, 20);
  JobSpec gang = Gang(2, 2, 8);
  gang.within = Domain::kLeaf;
  Waits(21, gang);
  EXPECT_EQ(Reclaims(), "21@n3+n4 for 13 14") << "11 would be the cheapest, with 12 it is not";
}

TEST_F(ReclaimTest, NobodyGoesIfTheJobWouldStillNotFit) {
  Guarantee(2, 32);
  Runs(11, 3, {"n1"}, 8, 20);
  Runs(12, 3, {"n2"}, 8, 20);
  Runs(13, 3, {"n3"}, 8, 20, "realtime");
  Runs(14, 3, {"n4"}, 8, 20, "realtime");
  Waits(21, Gang(2, 3, 8));
  EXPECT_EQ(Reclaims(), "");
}

TEST_F(ReclaimTest, AnAccountAboveItsGuaranteeEvictsNobody) {
  Guarantee(2, 8);
  Runs(11, 2, {"n1"}, 8, 300);
  for (int i = 2; i <= 4; ++i) Runs(10 + i, 3, {"n" + std::to_string(i)}, 8, 60);
  Waits(21, Gang(2, 1, 4));
  EXPECT_EQ(Reclaims(), "");
}

// Kueue, issue 14543: two jobs preempt each other, for ever.
TEST_F(ReclaimTest, NoVictimCouldAtOnceReclaimItself) {
  // a5 guarantees 16 to its children a6 and a7; a6 has 8 of them, a7 none.
  tree.Add(5, 1, 16, "institution");
  tree.Add(6, 5, 8);
  tree.Add(7, 5);
  Runs(11, 7, {"n1"}, 8, 15);
  Runs(12, 3, {"n2"}, 8, 300);
  Runs(13, 3, {"n3"}, 8, 300);
  Runs(14, 3, {"n4"}, 8, 300);
  Waits(21, Gang(6, 1, 8));
  // 11 is a7's, the cheapest, and borrowed inside a5; but a5 covers it against a3, so it would
  // come back for one of a3's: that one goes at once.
  EXPECT_EQ(Reclaims(), "21@n2 for 12");
}

TEST_F(ReclaimTest, WhoHasRoomElsewhereDoesNotReclaimBack) {
  Guarantee(2, 8);
  Runs(11, 3, {"n1"}, 2, 20);
  Runs(12, 3, {"n1"}, 5, 20, "scavenger");
  Runs(13, 3, {"n2"}, 4, 20, "realtime");
  Runs(14, 3, {"n3"}, 3, 20, "realtime");
  Runs(15, 3, {"n3"}, 5, 20, "scavenger");
  Runs(16, 3, {"n4"}, 8, 20, "realtime");
  Waits(21, Gang(2, 1, 7));
  EXPECT_EQ(Reclaims(), "21@n1 for 12 11") << "11 could end 15, but has room on n2";
}

TEST_F(ReclaimTest, WhomAWiderDomainDoesNotNeedStays) {
  nodes = {H200("n1", "l1"), H200("n2", "l1"), H200("n3", "l2"), H200("n4", "l2"),
           H200("n5", "l3")};
  Runs(11, 3, {"n1"}, 8, 1, "scavenger");
  Runs(12, 3, {"n2"}, 8, 2, "scavenger");
  Runs(13, 4, {"n4"}, 8, 60, "scavenger");
  Runs(14, 4, {"n5"}, 8, 60, "realtime");  // so that 13 is the first in the whole machine
  Waits(21, Gang(2, 2, 8));
  EXPECT_EQ(Reclaims(), "21@n1+n3 for 11") << "11 and 12 lose less than 13, 11 alone still less";
}

struct RandomCase {
  explicit RandomCase(std::uint64_t seed) : random(seed) {
    for (const std::int64_t project : {2, 3, 4}) tree.Add(project, 1, 2 * Draw(0, 4));
    tree.Add(5, 1, 2 * Draw(2, 6), "institution");
    tree.Add(6, 5, Draw(0, 4));
    tree.Add(7, 5);
    World made(EngineConfig{.reclaim = true}, tree.Make());
    for (int i = 1; i <= 3; ++i) {
      made.SetNode(H200("n" + std::to_string(i), i == 3 ? "l2" : "l1"));
      for (std::int32_t left = 8; left > 0;) {
        const auto gpus = static_cast<std::int32_t>(Draw(1, left));
        left -= gpus;
        if (Draw(0, 7) != 0) made.SetHolding(Running(i, gpus));
      }
    }
    for (int i = 1; i <= 4; ++i) {
      made.SetWaiting(Queued(i, Gang(Project(), static_cast<std::int32_t>(Draw(1, 2)),
                                     static_cast<std::int32_t>(Draw(1, 8)))));
    }
    made.Refresh(kNoon);
    world.emplace(std::move(made));
  }
  std::int64_t Draw(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random);
  }
  std::int64_t Project() {
    return std::vector<std::int64_t>{2, 3, 4, 6, 7}.at(static_cast<std::size_t>(Draw(0, 4)));
  }
  Holding Running(int node, std::int32_t gpus) {
    JobSpec spec = Gang(Project(), 1, gpus);
    spec.time_limit_ms = 3 * kHourMs;
    spec.job_class = Draw(0, 3) == 0 ? "scavenger" : "normal";
    const Waiting row = Queued(100 + jobs++, std::move(spec));
    const Start start{.job = row.ref,
                      .row = row.ref,
                      .placement = {{"n" + std::to_string(node), gpus, {}}},
                      .counted_milli = 1000 * gpus};
    return HoldingOf(start, row, kNoon - Draw(5, 90) * kMinuteMs);
  }
  std::mt19937_64 random;
  SmallTree tree;
  std::int64_t jobs = 0;
  std::optional<World> world;
};

// Whether the job fits when these are gone besides what `state` lacks already.
bool FitsWithout(const World& world, const std::map<std::string, NodeUse>& used,
                 const JobSpec& spec, const std::vector<AttemptRef>& gone) {
  std::map<std::string, NodeUse> left = used;
  for (const AttemptRef& ref : gone) {
    const Holding& attempt = world.holdings().at(ref);
    AddUse(attempt.shape, attempt.placement, -1, left);
  }
  const Machine machine(world.nodes(), left, kNoon);
  return Fits(*machine.FindPool({"h200", {}, {}}), {&spec, Domain::kAny, false});
}

TEST(ReclaimProperty, NoVictimIsCoveredOrSuperfluous) {
  int taken = 0;
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const RandomCase one(seed);
    const World& world = *one.world;
    const Plan plan = DecideAll(world, kNoon);
    EXPECT_TRUE(plan.dropped.empty()) << plan.dropped.front().second;
    std::map<std::string, NodeUse> used = world.used();
    for (const Start& start : plan.starts) {
      AddUse(world.waiting().at(start.row).spec->shape, start.placement, 1, used);
    }
    std::set<AttemptRef> gone;
    for (const Preempt& preempt : plan.preempts) {
      const Reservation& each = ClaimOf(plan, preempt.for_row);
      if (preempt.victim != each.victims.front()) continue;
      const JobSpec& spec = *world.waiting().at(each.row).spec;
      EXPECT_FALSE(FitsWithout(world, used, spec, {})) << ToText(each.row);
      ASSERT_TRUE(FitsWithout(world, used, spec, each.victims));
      std::vector<AttemptRef> scavengers;
      for (const auto& [ref, attempt] : world.holdings()) {
        if (attempt.job_class == "scavenger" && !gone.contains(ref)) scavengers.push_back(ref);
      }
      bool normal = false;
      for (std::size_t i = 0; i < each.victims.size(); ++i) {
        std::vector<AttemptRef> without = each.victims;
        without.erase(without.begin() + static_cast<std::ptrdiff_t>(i));
        EXPECT_FALSE(FitsWithout(world, used, spec, without))
            << "one too many for " << ToText(each.row);
        normal |= world.holdings().at(each.victims[i]).job_class == "normal";
      }
      EXPECT_FALSE(normal && FitsWithout(world, used, spec, scavengers))
          << "scavengers suffice for " << ToText(each.row);
      for (const AttemptRef& victim : each.victims) {
        gone.insert(victim);
        const Holding& attempt = world.holdings().at(victim);
        AddUse(attempt.shape, attempt.placement, -1, used);
      }
      AddUse(spec.shape, each.placement, 1, used);
      ++taken;
    }
  }
  EXPECT_GT(taken, 100);
}

}  // namespace
}  // namespace kezek::engine
