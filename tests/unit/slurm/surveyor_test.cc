// Goal: what the surveyor makes of Slurm's answers when parts of it forget, restart or are away:
// no end is missed, none is invented.
// Method: a server that answers by path from a table, which the test changes as it goes.
#include "slurm/surveyor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <string>

#include "tests/unit/slurm/surveyor_fixture.h"

namespace kezek::slurm {
namespace {

TEST_F(SurveyorTest, EndOfAJobThatSlurmctldForgotComesFromTheAccounting) {
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("COMPLETED"));
  Start();
  surveyor_->Follow({kFollowed});
  const auto observed = Wait<Observed>();
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->job.state, ClusterJobState::kCompleted);
  EXPECT_EQ(observed->job.end_ms, 107'000);
  EXPECT_EQ(Count<Unknown>(), 0);
}

TEST_F(SurveyorTest, UnknownNeedsBothAnswers) {
  Answer("/slurmdb/v0.0.38/job/9", 500, R"({"errors":[{"error_number":-1}],"jobs":[]})");
  Start(0);
  surveyor_->Follow({kFollowed});
  LetItAskTwice();
  EXPECT_EQ(Count<Unknown>(), 0) << "slurmdbd has not answered";
  Answer("/slurmdb/v0.0.38/job/9", 200, "");
  LetItAskTwice();
  EXPECT_EQ(Count<Unknown>(), 0) << "nor has it now";
  EXPECT_EQ(Count<ClusterSilent>(), 0) << "slurmctld has";
  Answer("/slurmdb/v0.0.38/job/9", 200, kNothingFound);
  const auto unknown = Wait<Unknown>();
  ASSERT_TRUE(unknown);
  EXPECT_EQ(unknown->attempt, kAttempt);
}

TEST_F(SurveyorTest, AJobThatTheAccountingHasNotHeardOfIsWaitedFor) {
  Start();
  surveyor_->Follow({kFollowed});
  surveyor_->Look(kFollowed);
  while (Asked("/slurmdb/v0.0.38/job/9") < 2) LetItAskTwice();
  EXPECT_EQ(Count<Unknown>() + Count<Observed>(), 0);
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("FAILED"));
  const auto observed = Wait<Observed>();
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->job.state, ClusterJobState::kFailed);
  EXPECT_EQ(Count<Unknown>(), 0);
}

TEST_F(SurveyorTest, RecordsThatWaitInSlurmctldAreWaitedFor) {
  Answer("/slurm/v0.0.38/diag", 200,
         R"({"errors":[],"statistics":{"req_time":1795227068,"dbd_agent_queue_size":5000}})");
  Start(0);
  surveyor_->Look(kFollowed);
  while (Asked("/slurmdb/v0.0.38/job/9") < 2) LetItAskTwice();
  EXPECT_EQ(Count<Unknown>(), 0);
  Answer("/slurm/v0.0.38/diag", 200, Record("02-diag").body);
  EXPECT_TRUE(Wait<Unknown>());
}

TEST_F(SurveyorTest, LooksThatPiledUpWhileSlurmWasAwayAreOneLook) {
  Answer("/slurm/v0.0.38/ping", 200, "");
  Answer("/slurm/v0.0.38/job/9", 200, JobsBody(R"("job_state":"RUNNING","nodes":"n01")"));
  Start();
  ASSERT_TRUE(Wait<ClusterSilent>());
  for (int i = 0; i < 100; ++i) {
    surveyor_->Look(kFollowed);
    if (i % 50 == 0) LetItAskTwice();
  }
  Answer("/slurm/v0.0.38/ping", 200, Record("01-ping").body);
  ASSERT_TRUE(Wait<Observed>());
  LetItAskTwice();
  EXPECT_LE(Asked("/slurm/v0.0.38/job/9"), 2) << "two, where an answer came too late to count";
}

TEST_F(SurveyorTest, AnEndOnItsWayToTheAccountingIsWaitedFor) {
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("RUNNING"));
  Start();
  surveyor_->Look(kFollowed);
  LetItAskTwice();
  EXPECT_EQ(Count<Unknown>() + Count<Observed>(), 0);
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("FAILED"));
  surveyor_->Look(kFollowed);
  const auto observed = Wait<Observed>();
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->job.state, ClusterJobState::kFailed);
}

TEST_F(SurveyorTest, ARecordThatNeverEndsIsGivenUpInTheEnd) {
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("RUNNING"));
  Start(0);
  surveyor_->Look(kFollowed);
  EXPECT_TRUE(Wait<Unknown>());
}

TEST_F(SurveyorTest, AnotherJobUnderTheSameIdIsNotOurs) {
  Answer("/slurm/v0.0.38/job/9", 200,
         R"({"errors":[],"jobs":[{"job_id":9,"name":"bash","job_state":"RUNNING"}]})");
  Start(0);
  surveyor_->Look(kFollowed);
  EXPECT_TRUE(Wait<Unknown>());
}

// What slurmctld had not told slurmdbd before it lost its state has no name, and another's times.
TEST_F(SurveyorTest, ALookByNumberAloneTakesNoOthersEnd) {
  std::string nameless = Record9("CANCELLED");
  nameless.replace(nameless.find("kezek-5-1"), 9, "something");
  Answer("/slurmdb/v0.0.38/job/9", 200, nameless);
  Start(0);
  surveyor_->Follow({{kAttempt, 9, "alice", true, 102'000, {}}});
  surveyor_->Look({kAttempt, 9, "alice", false});
  ASSERT_TRUE(Wait<Unknown>());
  EXPECT_EQ(Count<Observed>(), 0);
}

TEST_F(SurveyorTest, AJobThatItsOwnerNamedAnewIsFoundAliveAndEnded) {
  Followed started = kFollowed;
  started.start_ms = 100 * kSecondMs;
  std::string renamed = JobsBody(R"("job_state":"RUNNING","nodes":"n01")");
  renamed.replace(renamed.find("kezek-5-1"), 9, "evil");
  Answer("/slurm/v0.0.38/job/9", 200, renamed);
  Start(0);
  surveyor_->Look(started);
  const auto alive = Wait<Observed>();
  ASSERT_TRUE(alive);
  EXPECT_EQ(alive->job.attempt, kAttempt);
  std::string record = Record9("COMPLETED");
  record.replace(record.find("kezek-5-1"), 9, "evil");
  Answer("/slurm/v0.0.38/job/9", 500, kUnknownJob);
  Answer("/slurmdb/v0.0.38/job/9", 200, record);
  surveyor_->Look(started);
  const auto ended = Wait<Observed>();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->job.attempt, kAttempt);
  EXPECT_EQ(ended->job.state, ClusterJobState::kCompleted);
}

TEST_F(SurveyorTest, ChangesInTheListingAreReportedOnce) {
  Answer("/slurm/v0.0.38/jobs", 200, JobsBody(R"("job_state":"RUNNING","nodes":"n01")"));
  Start();
  surveyor_->Follow({kFollowed});
  ASSERT_TRUE(Wait<Observed>());
  LetItAskTwice();
  EXPECT_EQ(Count<Observed>(), 0);
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("REQUEUED"));
  Answer("/slurm/v0.0.38/jobs", 200,
         JobsBody(R"("job_state":"TIMEOUT","nodes":"n01","restart_cnt":1)"));
  const auto observed = Wait<Observed>();
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->job.state, ClusterJobState::kTimedOut);
  EXPECT_EQ(observed->job.restarts, 1);
}

// What slurmctld shows of a job that it took back are times of the run to come.
TEST_F(SurveyorTest, TheEndOfARunThatSlurmTookBackComesFromTheAccounting) {
  Answer("/slurm/v0.0.38/jobs", 200,
         JobsBody(R"("job_state":"CANCELLED","nodes":"n01","restart_cnt":1)"));
  Start();
  surveyor_->Follow({kFollowed});
  surveyor_->Reconcile();
  const auto listing = Wait<Listing>();
  ASSERT_TRUE(listing);
  EXPECT_TRUE(listing->jobs.empty()) << "its end is not known yet";
  while (Asked("/slurmdb/v0.0.38/job/9") < 2) LetItAskTwice();
  EXPECT_EQ(Count<Observed>(), 0);
  Answer("/slurmdb/v0.0.38/job/9", 200, Record9("REQUEUED"));
  Answer("/slurm/v0.0.38/job/9", 200,
         JobsBody(R"("job_state":"CANCELLED","nodes":"n01","restart_cnt":1)"));
  const auto observed = Wait<Observed>();
  ASSERT_TRUE(observed);
  EXPECT_EQ(observed->job.state, ClusterJobState::kCancelled);
  EXPECT_EQ(observed->job.run_start_ms, 100'000);
  EXPECT_EQ(observed->job.run_end_ms, 107'000);
}

// Set down by hand, a node's jobs are requeued before the nodes are due to be read again.
TEST_F(SurveyorTest, TheNodesOfARequeuedJobAreToldBeforeIt) {
  Answer("/slurm/v0.0.38/jobs", 200, JobsBody(R"("job_state":"RUNNING","nodes":"n01")"));
  Start();
  surveyor_->Follow({kFollowed});
  ASSERT_TRUE(Wait<Observed>());
  ASSERT_TRUE(Wait<NodesObserved>());
  LetItAskTwice();
  std::string down = kOneNode;
  down.replace(down.find("idle"), 4, "down");
  Answer("/slurm/v0.0.38/nodes", 200, down);
  Answer("/slurm/v0.0.38/jobs", 200, JobsBody(R"("job_state":"PENDING","restart_cnt":1)"));
  ASSERT_TRUE(Wait<Observed>([](const Observed& seen) { return seen.job.restarts == 1; }));
  ASSERT_GE(Count<NodesObserved>(), 1) << "the nodes were to come first";
  const auto nodes = Wait<NodesObserved>(
      [](const NodesObserved& seen) { return seen.nodes[0].health == NodeHealth::kDown; });
  EXPECT_TRUE(nodes);
}

// slurmd cancels as root, as an admin might, what it cannot launch.
class SurveyorRefusalTest : public SurveyorTest {
 protected:
  static std::string Cancelled() { return JobsBody(R"("job_state":"CANCELLED","nodes":"n01")"); }
  static std::string AtOnce() {
    std::string body = Cancelled();
    return body.replace(body.find("107"), 3, "100");
  }
  static std::string EndedBy(const std::string& who) {
    std::string record = Record9("CANCELLED");
    return record.insert(record.find(R"("exit_code")"), R"("kill_request_user":")" + who + "\",");
  }
  static std::string AtOnceBy(const std::string& who) {
    std::string record = EndedBy(who);
    return record.replace(record.find("107"), 3, "100");
  }
  void Begin() {
    Start();
    surveyor_->Follow({kFollowed});
  }
  bool IsTheMachines() {
    const auto seen = Wait<Observed>();
    EXPECT_TRUE(seen);
    return seen && seen->job.node_failed;
  }
};

TEST_F(SurveyorRefusalTest, ItsNodeStillHasTheId) {
  Answer("/slurm/v0.0.38/jobs", 200, AtOnce());
  std::string drained = kOneNode;
  drained.replace(drained.find("idle\""), 5, R"(idle","reason":"Duplicate jobid")");
  Answer("/slurm/v0.0.38/nodes", 200, drained);
  Begin();
  EXPECT_TRUE(IsTheMachines());
}

// The node may have been put right since: the accounting tells.
TEST_F(SurveyorRefusalTest, RootEndedItInTheSecondOfItsStart) {
  Answer("/slurm/v0.0.38/jobs", 200, AtOnce());
  Answer("/slurmdb/v0.0.38/job/9", 200, AtOnceBy("root"));
  Begin();
  EXPECT_TRUE(IsTheMachines());
}

TEST_F(SurveyorRefusalTest, ItsOwnerEndedItInTheSecondOfItsStart) {
  Answer("/slurm/v0.0.38/jobs", 200, AtOnce());
  Answer("/slurmdb/v0.0.38/job/9", 200, AtOnceBy("alice"));
  Begin();
  EXPECT_FALSE(IsTheMachines());
}

// A slurmd that was killed as it launched a job gives it up when it is back, much later.
TEST_F(SurveyorRefusalTest, RootEndedItBeforeItsScriptBegan) {
  has_begun_ = [](const AttemptRef&, std::int64_t id) { return id != 9; };
  Answer("/slurm/v0.0.38/jobs", 200, Cancelled());
  Answer("/slurmdb/v0.0.38/job/9", 200, EndedBy("root"));
  Begin();
  EXPECT_TRUE(IsTheMachines());
}

TEST_F(SurveyorRefusalTest, NobodyEndedItBeforeItsScriptBegan) {
  has_begun_ = [](const AttemptRef&, std::int64_t) { return false; };
  Answer("/slurm/v0.0.38/jobs", 200, Cancelled());
  Answer("/slurmdb/v0.0.38/job/9", 200, EndedBy(""));
  Begin();
  EXPECT_TRUE(IsTheMachines());
}

TEST_F(SurveyorRefusalTest, RootEndedItAfterItsScriptHadBegun) {
  has_begun_ = [](const AttemptRef&, std::int64_t id) { return id == 9; };
  Answer("/slurm/v0.0.38/jobs", 200, Cancelled());
  Answer("/slurmdb/v0.0.38/job/9", 200, EndedBy("root"));
  Begin();
  EXPECT_FALSE(IsTheMachines());
}

// Whoever removed the file that its script had begun.
TEST_F(SurveyorRefusalTest, RootEndedItAfterAQuarterOfAnHour) {
  has_begun_ = [](const AttemptRef&, std::int64_t) { return false; };
  std::string record = EndedBy("root");
  Answer("/slurmdb/v0.0.38/job/9", 200, record.replace(record.find("107"), 3, "999"));
  Begin();
  EXPECT_FALSE(IsTheMachines());
}

// A job that is called cancelled by its owner is not run again, so nothing is said before it is
// known.
TEST_F(SurveyorRefusalTest, WhileTheAccountingDoesNotTellOrHasItRunningItIsWaitedFor) {
  has_begun_ = [](const AttemptRef&, std::int64_t) { return false; };
  Answer("/slurm/v0.0.38/jobs", 200, Cancelled());
  Answer("/slurm/v0.0.38/job/9", 200, Cancelled());
  for (const std::string& answer : {std::string(), Record9("RUNNING")}) {
    Answer("/slurmdb/v0.0.38/job/9", 200, answer);
    if (!surveyor_) Begin();
    const int before = Asked("/slurmdb/v0.0.38/job/9");
    ASSERT_TRUE(WaitUntilAsked("/slurmdb/v0.0.38/job/9", before + 2));
    EXPECT_EQ(Count<Observed>(), 0);
  }
  Answer("/slurmdb/v0.0.38/job/9", 200, EndedBy("root"));
  EXPECT_TRUE(IsTheMachines());
}

TEST_F(SurveyorRefusalTest, WithoutAccountingWhatNeverBeganIsTheMachinesInTheEnd) {
  has_begun_ = [](const AttemptRef&, std::int64_t) { return false; };
  Answer("/slurm/v0.0.38/jobs", 200, Cancelled());
  Answer("/slurm/v0.0.38/job/9", 200, Cancelled());
  Answer("/slurmdb/v0.0.38/job/9", 200, "");
  Start(kSecondMs);
  surveyor_->Follow({kFollowed});
  EXPECT_TRUE(IsTheMachines());
}

TEST_F(SurveyorRefusalTest, SlurmctldHasForgottenIt) {
  has_begun_ = [](const AttemptRef&, std::int64_t) { return false; };
  Answer("/slurmdb/v0.0.38/job/9", 200, EndedBy("root"));
  Begin();
  EXPECT_TRUE(IsTheMachines());
}

// The shared file system hangs: all others are followed meanwhile.
TEST_F(SurveyorTest, AnEndIsToldWhenItIsKnownWhetherItBegan) {
  constexpr AttemptRef kOther{{JobId{6}, kNoElement}, 1};
  std::atomic<bool> hangs = true;
  has_begun_ = [&hangs](const AttemptRef&, std::int64_t) {
    return hangs ? std::nullopt : std::optional(true);
  };
  std::string both = JobsBody(R"("job_state":"CANCELLED","nodes":"n01")");
  both.insert(both.rfind(']'),
              R"(,{"job_id":10,"name":"kezek-6-1","user_name":"alice","job_state":"RUNNING",)"
              R"("nodes":"n01"})");
  Answer("/slurm/v0.0.38/jobs", 200, both);
  Answer("/slurm/v0.0.38/job/9", 200, JobsBody(R"("job_state":"CANCELLED","nodes":"n01")"));
  Start();
  surveyor_->Follow({kFollowed, {kOther, 10, "alice", true, 0, "", 0}});
  const auto of = [](const AttemptRef& attempt) {
    return [attempt](const Observed& seen) { return seen.job.attempt == attempt; };
  };
  ASSERT_TRUE(Wait<Observed>(of(kOther)));
  ASSERT_TRUE(WaitUntilAsked("/slurm/v0.0.38/job/9", 2)) << "it is looked at again";
  EXPECT_EQ(Count<Observed>(), 0);
  hangs = false;
  const auto end = Wait<Observed>(of(kAttempt));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->job.state, ClusterJobState::kCancelled);
}

TEST_F(SurveyorTest, AnOddJobIsSaidOnceAndSilencesNothing) {
  const std::string odd = R"("jobs":[{"job_id":4,"name":")"
                          "\xff"
                          R"(","job_state":"DREAMING"},)";
  std::string body = JobsBody(R"("job_state":"PENDING")");
  body.replace(body.find(R"("jobs":[)"), 8, odd);
  Answer("/slurm/v0.0.38/jobs", 200, body);
  Start();
  ASSERT_TRUE(Wait<Oddity>());
  surveyor_->Follow({kFollowed});
  ASSERT_TRUE(Wait<Observed>());
  LetItAskTwice();
  EXPECT_EQ(Count<Oddity>(), 0);
  EXPECT_EQ(Count<ClusterSilent>(), 0);
}

TEST_F(SurveyorTest, SilenceIsSaidOnceAndSoIsTheReturn) {
  Start();
  ASSERT_TRUE(Wait<ClusterUp>());
  const Recorded bad = Record("68-bad-token-jobs");
  const Recorded no_ping = Record("67-bad-token");
  Answer("/slurm/v0.0.38/ping", 500, no_ping.body);
  Answer("/slurm/v0.0.38/jobs", 500, bad.body);
  surveyor_->Reconcile();
  ASSERT_TRUE(Wait<ClusterSilent>());
  LetItAskTwice();
  EXPECT_EQ(Count<ClusterSilent>(), 0);
  EXPECT_EQ(Count<Listing>(), 0);
  Answer("/slurm/v0.0.38/jobs", 200, JobsBody(R"("job_state":"PENDING")"));
  Answer("/slurm/v0.0.38/ping", 200, Record("01-ping").body);
  ASSERT_TRUE(Wait<ClusterUp>());
  const auto listing = Wait<Listing>();  // the order was kept
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->jobs.size(), 1U);
}

TEST_F(SurveyorTest, AClockThatGoesAstrayIsSaid) {
  Start();
  ASSERT_TRUE(Wait<ClusterUp>());
  Answer("/slurm/v0.0.38/diag", 200,
         R"({"errors":[],"statistics":{"req_time":1795227168,"dbd_agent_queue_size":0}})");
  surveyor_->Reconcile();
  const auto up = Wait<ClusterUp>();
  ASSERT_TRUE(up);
  EXPECT_GT(up->clock_skew_ms, 90'000);
  surveyor_->Reconcile();
  ASSERT_TRUE(Wait<Listing>());
  EXPECT_EQ(Count<ClusterUp>(), 0);
}

TEST_F(SurveyorTest, NodesAreReportedWhenItIsKnownWhoseJobsRunThere) {
  Answer("/slurm/v0.0.38/jobs", 200,
         JobsBody(R"("job_state":"RUNNING","nodes":"n01","job_resources":{"allocated_nodes":)"
                  R"([{"nodename":"n01"}]},"gres_detail":["gpu:h200:3"])"));
  Start();
  LetItAskTwice();
  EXPECT_EQ(Count<NodesObserved>(), 0);
  surveyor_->Follow({kFollowed});
  auto nodes = Wait<NodesObserved>();
  ASSERT_TRUE(nodes);
  EXPECT_EQ(nodes->nodes.at(0).foreign_gpus, 0);
  surveyor_->Follow({});  // a stray: it holds what it holds
  nodes = Wait<NodesObserved>();
  ASSERT_TRUE(nodes);
  EXPECT_EQ(nodes->nodes.at(0).foreign_gpus, 3);
}

// It was upgraded meanwhile: other paths, and other forms of the same.
TEST_F(SurveyorTest, AfterAnAbsenceItIsAskedAnewWhatItServes) {
  Answer("/slurm/v0.0.38/job/9", 200, JobsBody(R"("job_state":"RUNNING","nodes":"n01")"));
  Start();
  surveyor_->Follow({kFollowed});
  ASSERT_TRUE(Wait<Observed>());
  for (const char* path : {"ping", "diag", "jobs", "nodes", "job/9"}) {
    Answer(std::string("/slurm/v0.0.38/") + path, 404, "no such path");
  }
  ASSERT_TRUE(Wait<ClusterSilent>());
  Answer("/slurm/v0.0.45/diag", 200, Record("26.05/02-diag").body);
  Answer("/slurm/v0.0.45/nodes", 200, Record("26.05/08-nodes-allocated").body);
  Answer("/slurm/v0.0.45/jobs", 200, JobsBody(R"("job_state":["COMPLETED"],"nodes":"n01")"));
  Answer("/slurm/v0.0.45/ping", 200, Record("26.05/01-ping").body);
  const auto up =
      Wait<ClusterUp>([](const ClusterUp& event) { return event.version == "26.05.5"; });
  EXPECT_TRUE(up);
  const auto ended = Wait<Observed>([](const Observed& seen) { return HasEnded(seen.job.state); });
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->job.end_ms, 107'000);
}

}  // namespace
}  // namespace kezek::slurm
