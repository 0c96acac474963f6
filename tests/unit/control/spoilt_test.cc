// Goal: what the cluster made otherwise than planned is never released, by whoever leads: it is
// cancelled, its attempt is as if it had been refused, and its job is held. Method: a controller
// driven by hand; its actions and the stored rows after each round, and those of the next process.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class SpoiltTest : public ::testing::Test {
 protected:
  SpoiltTest() { desk.Up(); }

  AttemptRef Planned() {
    const AttemptRef ref{{desk.Submit()}, 1};
    desk.Tick();
    return ref;
  }
  // Held, for the nodes that were planned, with so many GPUs on each.
  ClusterJob Held(const AttemptRef& ref, std::int64_t id, std::int32_t gpus) const {
    ClusterJob job = desk.Seen(ref, id, ClusterJobState::kPending);
    job.held = true;
    job.asked = desk.Of(ref).placement;
    for (NodeGrant& grant : *job.asked) grant.gpus = gpus;
    return job;
  }
  void Counts(const Ready& ready) {
    released += DeskOfOne::All<ReleaseAction>(ready).size();
    cancelled += DeskOfOne::All<CancelAction>(ready).size();
  }
  // Gone, without having run.
  void Cancelled(const AttemptRef& ref, std::int64_t id) {
    ClusterJob gone = desk.Seen(ref, id, ClusterJobState::kCancelled);
    gone.granted.clear();
    gone.end_ms = desk.now;
    gone.state_reason = "None";
    desk.Offer(Observed{gone});
    Counts(desk.Step());
  }
  void IsHeldUncharged(const AttemptRef& ref, const std::string& text) {
    EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kLaunchFailed);
    EXPECT_EQ(desk.Of(ref).reason.fields.at("text"), text);
    const Job& job = desk.Row(ref.job.id);
    EXPECT_EQ(job.state, JobState::kQueued);
    EXPECT_EQ(job.hold, Hold::kCluster);
    EXPECT_EQ(job.hold_reason.fields.at("text"), text);
    MilliGpuMs charged = 0;
    for (const LedgerEntry& entry : desk.store.ledger()) charged += entry.amount;
    EXPECT_EQ(charged, 0);
  }

  DeskOfOne desk;
  std::size_t released = 0;
  std::size_t cancelled = 0;
};

TEST_F(SpoiltTest, WhatTheAnswerTellsIsInTheRowWithTheId) {
  const AttemptRef ref = Planned();
  desk.Offer(LaunchAccepted{ref, 900, "no gres"});
  const Ready recorded = desk.Step();
  Counts(recorded);
  ASSERT_EQ(recorded.changes.attempts.size(), 1U);
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900);
  EXPECT_EQ(desk.Of(ref).ending, Ending::kRequeue);
  EXPECT_EQ(cancelled, 1U);
  // The process dies, its successor sees it held.
  desk.Begin();
  desk.Up();
  desk.Offer(Observed{Held(ref, 900, 2)});
  Counts(desk.Step());
  Counts(desk.Tick());
  EXPECT_GE(cancelled, 2U);
  EXPECT_EQ(released, 0U);
  Cancelled(ref, 900);
  IsHeldUncharged(ref, "it was not made as planned: no gres");
}

// The process that got the answer died before it was committed.
TEST_F(SpoiltTest, WhoTakesOverComparesWithThePlan) {
  const AttemptRef ref = Planned();
  desk.Begin();
  desk.Up();
  desk.Offer(FoundByName{ref, true, {Held(ref, 900, 0)}});
  Counts(desk.Step());
  Counts(desk.Tick());
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900);
  EXPECT_EQ(released, 0U);
  EXPECT_GE(cancelled, 1U);
  const std::string node = desk.Of(ref).placement.at(0).node;
  Cancelled(ref, 900);
  IsHeldUncharged(ref,
                  "it was not made as planned: it is for " + node + ":0, not for " + node + ":2");
}

TEST_F(SpoiltTest, AJobForAnyNodesIsNotAsPlanned) {
  const AttemptRef ref = Planned();
  desk.Begin();
  desk.Up();
  ClusterJob job = Held(ref, 900, 2);
  job.asked->clear();
  desk.Offer(Listing{{job}});
  Counts(desk.Step());
  EXPECT_EQ(released, 0U);
  EXPECT_EQ(cancelled, 1U);
}

TEST_F(SpoiltTest, WhatIsAsPlannedIsReleasedByASuccessor) {
  const AttemptRef ref = Planned();
  desk.Begin();
  desk.Up();
  ClusterJob job = Held(ref, 900, 2);
  job.asked->at(0).gpu_indices = {};
  desk.Offer(FoundByName{ref, true, {job}});
  Counts(desk.Step());
  EXPECT_EQ(released, 1U);
  EXPECT_EQ(cancelled, 0U);
  const AttemptRef second = Planned();
  desk.Begin();
  desk.Up();
  ClusterJob untold = Held(second, 901, 2);
  untold.asked.reset();
  desk.Offer(FoundByName{second, true, {untold}});
  Counts(desk.Step());
  EXPECT_EQ(desk.Of(second).cluster_job_id, 901);
  EXPECT_EQ(desk.Of(second).ending, Ending::kNone) << "what is not told is taken to be right";
}

// A listing may show it before the answer comes, which knows more of it.
TEST_F(SpoiltTest, TheAnswerIsWaitedFor) {
  const AttemptRef ref = Planned();
  desk.Offer(Listing{{Held(ref, 900, 2)}});
  Counts(desk.Step());
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 0);
  EXPECT_EQ(released + cancelled, 0U);
  desk.Offer(LaunchAccepted{ref, 900, "no signal"});
  Counts(desk.Step());
  EXPECT_EQ(desk.Of(ref).cluster_job_id, 900);
  EXPECT_EQ(released, 0U);
  EXPECT_EQ(cancelled, 1U);
}

TEST_F(SpoiltTest, OfSeveralUnderOneNameNoneThatIsNotAsPlanned) {
  const AttemptRef ref = Planned();
  desk.Begin();
  desk.Up();
  desk.Offer(FoundByName{ref, true, {Held(ref, 900, 1), Held(ref, 901, 1)}});
  Counts(desk.Step());
  EXPECT_EQ(released, 0U);
  EXPECT_EQ(cancelled, 2U);
}

}  // namespace
}  // namespace kezek::control
