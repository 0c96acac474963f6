// Goal: each change of a followed job is reported once, nobody else's is, GPU indices survive the
// job's end, and other people's use of the nodes is counted.
// Method: hand-made jobs, step by step.
#include "slurm/watch.h"

#include <gtest/gtest.h>

#include "tests/unit/slurm/live_jobs.h"

namespace kezek::slurm {
namespace {

TEST(Watch, ReportsEachChangeOnce) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  EXPECT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kPending)));
  EXPECT_FALSE(watch.Take(Live(10, kFirst, ClusterJobState::kPending)));
  EXPECT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  watch.Follow({{kFirst, 10, "a", true}});  // the same again: nothing is forgotten
  EXPECT_FALSE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  const auto end = watch.Take(Live(10, kFirst, ClusterJobState::kCompleted));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->granted, (Placement{{"n01", 2, {3, 4}}}));
  EXPECT_EQ(watch.Reported(kFirst), end);
}

TEST(Watch, WhatWasGrantedIsKnownWhileItCompletes) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  LiveJob completing = Live(10, kFirst, ClusterJobState::kCompleting);
  completing.job.granted.clear();
  const auto job = watch.Take(completing);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->granted, (Placement{{"n01", 2, {3, 4}}}));
}

TEST(Watch, ARestartHasNewIndices) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}});
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  LiveJob again = Live(10, kFirst, ClusterJobState::kCompleted);
  again.job.restarts = 1;
  const auto job = watch.Take(again);
  ASSERT_TRUE(job);
  EXPECT_TRUE(job->granted.front().gpu_indices.empty());
}

// While Kezek was away Slurm ran it again, and that run ended: its guard ended it well at once.
TEST(Watch, TheEndOfALaterRunIsNotThatOfTheOneFollowed) {
  Watch watch("inst");
  const Followed followed{kFirst, 10, "a", true, 5000};
  watch.Follow({followed});
  const auto run = [](TimeMs start_ms, ClusterJobState state) {
    LiveJob record = Live(10, kFirst, state);
    record.job.unix_account = "a";
    record.job.start_ms = start_ms;
    return record;
  };
  const LiveJob failed = run(5000, ClusterJobState::kNodeFailed);
  const LiveJob requeued = run(5000, ClusterJobState::kPending);
  const LiveJob again = run(9000, ClusterJobState::kCompleted);
  for (const auto& records : {std::vector{failed, again}, std::vector{again, failed}}) {
    const auto end = watch.EndIn(records, followed);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->job.state, ClusterJobState::kNodeFailed);
    EXPECT_EQ(end->job.start_ms, 5000);
  }
  const auto end = watch.EndIn({again, requeued}, followed);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->job.restarts, 1);
  EXPECT_FALSE(end->job.node_failed);
  EXPECT_FALSE(watch.EndIn({requeued}, followed));
  // Of one that was never seen running any end will do.
  const auto first = watch.EndIn({again}, {kFirst, 10, "a", false});
  ASSERT_TRUE(first);
  EXPECT_EQ(first->job.restarts, 0);
}

// It was cancelled while it waited, or closed with its controller's state.
TEST(Watch, ALaterRunThatNeverBeganIsNotTheEndOfTheOneTakenBack) {
  Watch watch("inst");
  const auto run = [](TimeMs start_ms, TimeMs end_ms, ClusterJobState state) {
    LiveJob record = Live(10, kFirst, state);
    record.job.unix_account = "a";
    record.job.start_ms = start_ms;
    record.job.end_ms = end_ms;
    return record;
  };
  const std::vector records{run(5000, 6000, ClusterJobState::kPending),
                            run(0, 99'000, ClusterJobState::kCancelled)};
  for (const TimeMs start_ms : {TimeMs{5000}, TimeMs{0}}) {  // seen running, or not
    const Followed followed{kFirst, 10, "a", true, start_ms};
    watch.Follow({followed});
    const auto end = watch.EndIn(records, followed);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->job.restarts, 1);
    EXPECT_EQ(end->job.run_start_ms, 5000);
    EXPECT_EQ(end->job.run_end_ms, 6000);
  }
}

TEST(Watch, TheRunThatSlurmTookBackIsTheOneThatIsFollowed) {
  Watch watch("inst");
  const auto run = [](TimeMs start_ms, TimeMs end_ms, ClusterJobState state) {
    LiveJob record = Live(10, kFirst, state);
    record.job.unix_account = "a";
    record.job.start_ms = start_ms;
    record.job.end_ms = end_ms;
    return record;
  };
  const std::vector records{run(9000, 9500, ClusterJobState::kCompleted),
                            run(5000, 6000, ClusterJobState::kNodeFailed),
                            run(7000, 8000, ClusterJobState::kPending)};
  ClusterJob job = Live(10, kFirst, ClusterJobState::kCancelled).job;
  job.restarts = 2;
  const auto first_run = [&](TimeMs start_ms) {
    watch.Follow({{kFirst, 10, "a", true, start_ms, {}}});
    ClusterJob seen = job;
    watch.AddFirstRun(records, &seen);
    return seen;
  };
  EXPECT_EQ(first_run(7000).run_end_ms, 8000);
  EXPECT_FALSE(first_run(7000).node_failed);
  EXPECT_EQ(first_run(5000).run_end_ms, 6000);
  EXPECT_TRUE(first_run(5000).node_failed);
  EXPECT_EQ(first_run(0).run_start_ms, 5000) << "none was seen: the first there was";
  EXPECT_EQ(first_run(4000).run_end_ms, 0) << "not told yet";
}

// Its owner may give it another attempt's name, but not that one's tag.
TEST(Watch, ANameLikeAnotherAttemptsDoesNotHideTheJob) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false, 0, "inst:1:x"}});
  LiveJob renamed = Live(10, kSecond, ClusterJobState::kRunning);
  renamed.job.unix_account = "a";
  LiveJob other = renamed;
  other.job.tag = "inst:1:y";
  EXPECT_FALSE(watch.Take(other));
  const auto job = watch.Take(renamed);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->attempt, kFirst);
}

TEST(Watch, AnIdThatSlurmUsesAgainIsNotTheJob) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", true}});
  const std::vector<LiveJob> listing{Live(10, kSecond, ClusterJobState::kRunning)};
  const auto changes = watch.TakeListing(listing, 0);
  EXPECT_TRUE(changes.observed.empty());
  ASSERT_EQ(changes.missing.size(), 1U);
  EXPECT_EQ(changes.missing.front().attempt, kFirst);
}

// A cluster that lost its state gives its ids again while Kezek does not know the end of the jobs
// that had them.
TEST(Watch, TwoAttemptsUnderOneIdAreBothFollowed) {
  for (const bool first_is_old : {true, false}) {
    const AttemptRef& old_one = first_is_old ? kFirst : kSecond;
    const AttemptRef& new_one = first_is_old ? kSecond : kFirst;
    Watch watch("inst");
    watch.Follow({{old_one, 10, "a", true, 5000}, {new_one, 10, "a", false}});
    EXPECT_EQ(watch.Hot(0, 10).size(), 1U);
    LiveJob live = Live(10, new_one, ClusterJobState::kRunning);
    live.job.unix_account = "a";
    live.job.start_ms = 9000;
    const auto changes = watch.TakeListing({live}, 0);
    ASSERT_EQ(changes.observed.size(), 1U);
    EXPECT_EQ(changes.observed.front().attempt, new_one);
    ASSERT_EQ(changes.missing.size(), 1U);
    EXPECT_EQ(changes.missing.front().attempt, old_one);
    EXPECT_FALSE(watch.Reported(old_one));
    ASSERT_TRUE(watch.Reported(new_one));
    EXPECT_TRUE(watch.WithForeignUse({{.name = "n01"}}, {live}).front().foreign_gpus == 0);
  }
}

// A job that Slurm could not launch is requeued, too: that says nothing of who had its id before.
TEST(Watch, ARestartOfAnotherAttemptIsNotOurs) {
  Watch watch("inst");
  const Followed old_one{kFirst, 10, "a", true, 5000, {}};
  LiveJob live = Live(10, kSecond, ClusterJobState::kPending);
  live.job.unix_account = "a";
  live.job.restarts = 1;
  watch.Follow({old_one});
  EXPECT_FALSE(watch.Take(live));
  watch.Follow({old_one, {kSecond, 10, "a", false, 0, {}}});
  const auto job = watch.Take(live);
  ASSERT_TRUE(job);
  EXPECT_EQ(job->attempt, kSecond);
  live.job.attempt = {};  // its owner has named it anew
  watch.Follow({old_one});
  EXPECT_TRUE(watch.Take(live));
}

// It ends its books of what ran at the moment when it last wrote its state, be that before the
// start.
TEST(Watch, AnEndBeforeTheStartThatWasSeenIsTheEnd) {
  Watch watch("inst");
  const Followed followed{kFirst, 10, "a", true, 5000};
  watch.Follow({followed});
  LiveJob record = Live(10, kFirst, ClusterJobState::kCancelled);
  record.job.unix_account = "a";
  record.job.start_ms = record.job.end_ms = 4000;
  record.job.tag.clear();
  const auto end = watch.EndIn({record}, followed);
  ASSERT_TRUE(end);
  EXPECT_TRUE(IsStill(followed, end->job)) << "else the controller takes it for somebody else's";
  EXPECT_EQ(end->job.start_ms, 5000);
  EXPECT_EQ(end->job.end_ms, 5000);
}

TEST(Watch, WhatRanBeforeAnAttemptWasPlannedIsAnothers) {
  Watch watch("inst");
  const Followed followed{kFirst, 10, "a", false, 0, "tag", kHourMs};
  watch.Follow({followed});
  LiveJob record = Live(10, AttemptRef{}, ClusterJobState::kCompleted);
  record.job.unix_account = "a";
  record.job.tag.clear();
  record.job.start_ms = kHourMs - kMinuteMs;
  record.job.end_ms = kHourMs;
  EXPECT_FALSE(watch.EndIn({record}, followed));
  record.job.attempt = kFirst;
  EXPECT_FALSE(watch.EndIn({record}, followed)) << "of a lost copy, which gave that number, too";
  record.job.start_ms = 0;
  record.job.end_ms = kHourMs - kMinuteMs;
  EXPECT_FALSE(watch.EndIn({record}, followed)) << "of one that was over before, and never ran";
  record.job.end_ms = kHourMs;
  EXPECT_TRUE(watch.EndIn({record}, followed));
  record.job.start_ms = kHourMs - kSecondMs;  // clocks differ
  EXPECT_TRUE(watch.EndIn({record}, followed));
}

// By a clock that is minutes behind ours: the run that was seen to begin is no other.
TEST(Watch, TheRunThatWasSeenIsNotAnothersForItsClock) {
  Watch watch("inst");
  const Followed followed{kFirst, 10, "a", true, kHourMs - kMinuteMs, "tag", kHourMs};
  watch.Follow({followed});
  LiveJob record = Live(10, kFirst, ClusterJobState::kCompleted);
  record.job.unix_account = "a";
  record.job.start_ms = kHourMs - kMinuteMs;
  record.job.end_ms = kHourMs;
  EXPECT_TRUE(watch.EndIn({record}, followed));
  EXPECT_TRUE(IsStill(followed, record.job));
}

// Before its start is known: an id that was given anew, to another job of the same user.
TEST(Watch, AStrangerUnderTheIdOfWhatHasNotStartedIsToldByItsNodes) {
  Followed followed{kFirst, 10, "a", false, 0, "tag", 0};
  followed.planned = {{"n01", 2, {}}};
  LiveJob seen = Live(10, AttemptRef{}, ClusterJobState::kRunning);
  seen.job.unix_account = "a";
  seen.job.tag = "";
  EXPECT_TRUE(IsStill(followed, seen.job)) << "its owner has named it anew, and taken its tag off";
  seen.job.granted = {{"n02", 2, {}}};
  EXPECT_FALSE(IsStill(followed, seen.job));
  seen.job.granted = {{"n01", 1, {}}};
  EXPECT_FALSE(IsStill(followed, seen.job));
  seen.job.tag = "tag";
  EXPECT_TRUE(IsStill(followed, seen.job));
  seen.job.tag = "another's";
  seen.job.granted = followed.planned;
  EXPECT_FALSE(IsStill(followed, seen.job)) << "a record that slurmdbd has no name for yet";
  seen.job.tag = "";
  seen.job.state = ClusterJobState::kPending;
  seen.job.asked = Placement{};  // for any nodes
  EXPECT_FALSE(IsStill(followed, seen.job));
  seen.job.asked = followed.planned;
  EXPECT_TRUE(IsStill(followed, seen.job));
}

TEST(Watch, OfSeveralRecordsTheOneOfItsNameIsItsEnd) {
  Watch watch("inst");
  const Followed followed{kFirst, 10, "a", false};
  watch.Follow({followed});
  LiveJob other = Live(10, AttemptRef{}, ClusterJobState::kCompleted);
  LiveJob own = Live(10, kFirst, ClusterJobState::kCancelled);
  other.job.unix_account = own.job.unix_account = "a";
  const auto end = watch.EndIn({other, own}, followed);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->job.state, ClusterJobState::kCancelled);
}

TEST(Watch, AnotherUsersJobIsNotOursForItsName) {
  const Followed followed{kFirst, 10, "a", true};
  LiveJob seen = Live(10, kFirst, ClusterJobState::kRunning);
  seen.job.unix_account = "b";
  EXPECT_FALSE(IsIt(followed, seen.job));
  seen.job.unix_account = "a";
  EXPECT_TRUE(IsIt(followed, seen.job));
}

TEST(Watch, AJobThatItsOwnerNamedAnewIsStillTheJob) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", true, 5000}});
  LiveJob renamed = Live(10, AttemptRef{}, ClusterJobState::kRunning);
  renamed.job.unix_account = "a";
  renamed.job.start_ms = 5000;
  renamed.job.tag = "";
  const auto ours = watch.OurJobs({renamed});
  ASSERT_EQ(ours.size(), 1U);
  EXPECT_EQ(ours.front().attempt, kFirst);
  Node node;
  node.name = "n01";
  EXPECT_EQ(watch.WithForeignUse({node}, {renamed}).front().foreign_gpus, 0);
  const auto changes = watch.TakeListing({renamed}, 0);
  EXPECT_TRUE(changes.missing.empty());
  ASSERT_EQ(changes.observed.size(), 1U);
  EXPECT_EQ(changes.observed.front().attempt, kFirst);
  renamed.job.start_ms = 6000;  // of a controller that lost its state and counts anew
  EXPECT_FALSE(watch.Take(renamed));
  EXPECT_EQ(watch.TakeListing({renamed}, 0).missing.size(), 1U);
  EXPECT_EQ(watch.WithForeignUse({node}, {renamed}).front().foreign_gpus, 2);
}

TEST(Watch, WhatRunsIsToldOfAgainNowAndThen) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", true}});
  const std::vector<LiveJob> listing{Live(10, kFirst, ClusterJobState::kRunning)};
  EXPECT_EQ(watch.TakeListing(listing, kHourMs).observed.size(), 1U);
  EXPECT_TRUE(watch.TakeListing(listing, kHourMs + 10 * kSecondMs).observed.empty());
  const auto again = watch.TakeListing(listing, kHourMs + 40 * kSecondMs).observed;
  ASSERT_EQ(again.size(), 1U);
  EXPECT_EQ(again.front().attempt, kFirst);
  EXPECT_TRUE(watch.TakeListing(listing, kHourMs + 50 * kSecondMs).observed.empty());
  watch.TakeListing({Live(10, kFirst, ClusterJobState::kCompleted)}, kHourMs + 55 * kSecondMs);
  EXPECT_TRUE(watch.TakeListing({Live(10, kFirst, ClusterJobState::kCompleted)}, 2 * kHourMs)
                  .observed.empty());
}

TEST(Watch, MissingUntilItsEndWasSeen) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", true}});
  EXPECT_EQ(watch.TakeListing({}, 0).missing.size(), 1U);
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kCompleted)));
  EXPECT_TRUE(watch.TakeListing({}, 0).missing.empty());
}

TEST(Watch, HotAreThoseOfWhichNewsIsDue) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", false}, {kSecond, 11, "a", true}});
  ASSERT_EQ(watch.Hot(0, 9).size(), 1U);
  EXPECT_EQ(watch.Hot(0, 9).front().job.cluster_job_id, 10);
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kRunning)));
  EXPECT_TRUE(watch.Hot(0, 9).empty());
  watch.Expect(11, 0, 1000);
  EXPECT_TRUE(watch.Hot(100, 9).empty()) << "nothing happens at once";
  EXPECT_EQ(watch.Hot(200, 9).size(), 1U);
  EXPECT_TRUE(watch.Hot(1000, 9).empty());
  watch.Expect(11, 1000, 2000);
  ASSERT_TRUE(watch.Take(Live(11, kSecond, ClusterJobState::kCompleting)));
  EXPECT_EQ(watch.Hot(3000, 9).size(), 1U) << "completing: its end is due";
  ASSERT_TRUE(watch.Take(Live(11, kSecond, ClusterJobState::kCancelled)));
  EXPECT_TRUE(watch.Hot(3000, 9).empty());
  watch.Follow({{kFirst, 12, "a", false}, {kSecond, 13, "a", false}});
  EXPECT_EQ(watch.Hot(0, 1).size(), 1U);
}

TEST(Watch, ForeignUseIsOfAllThatAreNotFollowed) {
  Watch watch("inst");
  watch.Follow({{kSecond, 22, "a", true}});
  LiveJob stranger = Live(20, {}, ClusterJobState::kRunning);
  stranger.name = "bash";
  // Named and tagged like ours, by somebody who has read the tag.
  const LiveJob impostor = Live(21, kFirst, ClusterJobState::kRunning);
  const std::vector<LiveJob> listing{stranger, impostor,
                                     Live(22, kSecond, ClusterJobState::kRunning)};
  Node first;
  first.name = "n01";
  Node second;
  second.name = "n02";
  const auto nodes = watch.WithForeignUse({first, second}, listing);
  EXPECT_EQ(nodes[0].foreign_gpus, 4);
  EXPECT_EQ(nodes[0].foreign_cpus, 8);
  EXPECT_EQ(nodes[0].foreign_memory_mib, 200);
  EXPECT_EQ(nodes[1].foreign_gpus, 0);
  // Named or tagged like ours: all three (the stranger has our tag).
  EXPECT_EQ(watch.OurJobs(listing).size(), 3U);
}

TEST(Watch, StrangersUseGpusOfTheirType) {
  const Watch watch("inst");
  LiveJob stranger = Live(20, {}, ClusterJobState::kRunning);
  stranger.uses = {{"n01", "h200", 1, 4, 100}, {"n01", "h200-1g", 3, 0, 0}};
  LiveJob without_gpus = Live(21, {}, ClusterJobState::kRunning);
  without_gpus.uses = {{"n01", "", 0, 2, 50}};
  Node host;
  host.name = "n01";
  host.gpu_type = "h200";
  host.more_gpus = {{.gpu_type = "h200-1g", .gpus = 14}};
  const auto nodes = watch.WithForeignUse({host}, {stranger, without_gpus});
  EXPECT_EQ(nodes[0].foreign_gpus, 1);
  EXPECT_EQ(nodes[0].foreign_cpus, 6);
  EXPECT_EQ(nodes[0].foreign_memory_mib, 150);
  EXPECT_EQ(nodes[0].more_gpus.at(0).foreign_gpus, 3);
}

TEST(Watch, AJobWhoseEndWasReadIsNoStrangerInAnOlderListing) {
  Watch watch("inst");
  watch.Follow({{kFirst, 10, "a", true}});
  const std::vector<LiveJob> listing{Live(10, kFirst, ClusterJobState::kRunning)};
  watch.TakeListing(listing, 0);
  ASSERT_TRUE(watch.Take(Live(10, kFirst, ClusterJobState::kCompleted)));
  watch.Follow({});  // its attempt has ended
  Node node;
  node.name = "n01";
  EXPECT_EQ(watch.WithForeignUse({node}, listing)[0].foreign_gpus, 0);
  // A newer listing shows it alive after all: then it holds what it holds.
  watch.TakeListing(listing, 0);
  EXPECT_EQ(watch.WithForeignUse({node}, listing)[0].foreign_gpus, 2);
}

}  // namespace
}  // namespace kezek::slurm
