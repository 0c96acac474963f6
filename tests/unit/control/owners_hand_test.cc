// Goal: what a job's owner may change of it in the cluster itself (its name, its comment, what it
// asks for while it is held) neither loses the attempt nor gets more than was decided. Method: a
// controller driven by hand, told what the cluster would then report.

#include <gtest/gtest.h>

#include "tests/unit/control/desk_of_one.h"

namespace kezek::control {
namespace {

class OwnersHandTest : public ::testing::Test {
 protected:
  OwnersHandTest() { desk.Up(); }
  DeskOfOne desk;
};

TEST_F(OwnersHandTest, WhatIsNamedAnewStaysTheAttempts) {
  const JobId early = desk.Submit();
  const AttemptRef starting = desk.Started(early, 901);
  ClusterJob seen = desk.Seen(starting, 901, ClusterJobState::kRunning);
  seen.tag = "my own comment";
  seen.start_ms = desk.now;
  desk.Offer(Observed{seen});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(early).state, JobState::kRunning);

  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Running(job, 900);
  ClusterJob other = desk.Seen(ref, 900, ClusterJobState::kCompleted);
  other.tag = "my own comment";
  other.start_ms = desk.Of(ref).start_ms + 60'000;
  other.end_ms = other.start_ms;
  desk.Offer(Observed{other});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(job).state, JobState::kRunning) << "another job under the same id";
  ClusterJob ended = other;
  ended.start_ms = desk.Of(ref).start_ms;
  ended.end_ms = ended.start_ms + 1000;
  desk.Offer(Observed{ended});
  desk.Step(1000);
  EXPECT_EQ(desk.Row(job).state, JobState::kSucceeded);
}

TEST_F(OwnersHandTest, MoreThanWasPlannedEndsTheRunAndHoldsTheJob) {
  const JobId job = desk.Submit();
  const AttemptRef ref = desk.Started(job, 900);
  ClusterJob seen = desk.Seen(ref, 900, ClusterJobState::kRunning);
  seen.start_ms = desk.now;
  ++seen.granted.front().gpus;  // by its owner's hand, between submission and release
  desk.Offer(Observed{seen});
  const auto cancels = DeskOfOne::All<CancelAction>(desk.Step());
  ASSERT_EQ(cancels.size(), 1U);
  EXPECT_EQ(cancels[0].job.cluster_job_id, 900);
  seen.state = ClusterJobState::kCancelled;
  seen.end_ms = seen.start_ms + 1000;
  desk.Offer(Observed{seen});
  desk.Step(2000);
  EXPECT_EQ(desk.Of(ref).outcome, AttemptOutcome::kRequeued);
  EXPECT_EQ(desk.Of(ref).reason.code, ReasonCode::kPlacementDiffers);
  EXPECT_EQ(desk.Row(job).state, JobState::kQueued);
  EXPECT_EQ(desk.Row(job).hold, Hold::kCluster);
}

}  // namespace
}  // namespace kezek::control
