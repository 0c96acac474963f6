// Goal: listings that take long, fail or tell of much blind and silence nothing, and cost few
// requests. Method: as surveyor_test.cc.
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/slurm/surveyor_fixture.h"

namespace kezek::slurm {
namespace {

// A listing of many jobs takes long, and longer than it may on a busy machine.
TEST_F(SurveyorTest, AListingThatDoesNotComeSilencesAndBlindsNothing) {
  const auto node = [](const std::string& used) {
    return R"({"errors":[],"nodes":[{"name":"n01","state":"mixed","gres":"gpu:h200:8",)"
           R"("gres_used":")" +
           used + R"("}]})";
  };
  const std::string running =
      JobsBody(R"j("job_state":"RUNNING","nodes":"n01","tres_alloc_str":"gres/gpu=3",)j"
               R"j("job_resources":{"allocated_nodes":[{"nodename":"n01"}]},)j"
               R"j("gres_detail":["gpu:h200:3(IDX:0-2)"])j");
  Answer("/slurm/v0.0.38/nodes", 200, node("gpu:h200:3(IDX:0-2)"));
  Answer("/slurm/v0.0.38/jobs", 200, running);
  Start();
  surveyor_->Follow({kFollowed});
  ASSERT_TRUE(Wait<Observed>());
  Delay("/slurm/v0.0.38/jobs", 60'000);
  surveyor_->Reconcile();
  ASSERT_TRUE(WaitUntilAsked("/slurm/v0.0.38/jobs", 2));
  // The end, which the listing under way cannot tell of, is told by the GPUs that are free.
  Answer("/slurm/v0.0.38/job/9", 200, JobsBody(R"("job_state":"COMPLETED","nodes":"n01")"));
  Answer("/slurm/v0.0.38/nodes", 200, node("gpu:h200:0(IDX:N/A)"));
  const auto ended = Wait<Observed>();
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->job.state, ClusterJobState::kCompleted);
  const auto late = Wait<Oddity>();
  ASSERT_TRUE(late);
  EXPECT_NE(late->text.find("has not answered a listing of jobs in 6 s"), std::string::npos);
  EXPECT_EQ(Count<ClusterSilent>(), 0);
  EXPECT_EQ(Count<Listing>(), 0);
  Delay("/slurm/v0.0.38/jobs", 0);
  EXPECT_TRUE(Wait<Listing>()) << "the order was kept";
}

TEST_F(SurveyorTest, ListingsThatCannotBeReadSilenceInTheEnd) {
  Start();
  ASSERT_TRUE(Wait<ClusterUp>());
  Answer("/slurm/v0.0.38/jobs", 500, R"({"errors":[{"error_number":-1,"error":"busy"}]})");
  surveyor_->Find(kAttempt);
  const auto found = Wait<FoundByName>();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->complete);
  EXPECT_EQ(Count<ClusterSilent>(), 0) << "it may be too busy just now";
  EXPECT_TRUE(Wait<ClusterSilent>());
}

TEST_F(SurveyorTest, ReadsAreFewHoweverManyJobsAreToStart) {
  std::vector<Followed> many;
  std::string jobs;
  for (int i = 0; i < 200; ++i) {
    many.push_back({{{JobId{100 + i}, kNoElement}, 1}, 100 + i, "alice", false});
    const std::string id = std::to_string(100 + i);
    const std::string one = R"({"job_id":)" + id + R"(,"name":"kezek-)" + id +
                            R"(-1","user_name":"alice","job_state":"PENDING"})";
    jobs += (i == 0 ? "" : ",") + one;
    Answer("/slurm/v0.0.38/job/" + id, 200, R"({"errors":[],"jobs":[)" + one + "]}");
  }
  Answer("/slurm/v0.0.38/jobs", 200, R"({"errors":[],"jobs":[)" + jobs + "]}");
  Start();
  ASSERT_TRUE(Wait<ClusterUp>());
  surveyor_->Follow(many);
  for (int i = 0; i < 200; ++i) ASSERT_TRUE(Wait<Observed>());
  const int before = AskedInAll();
  std::this_thread::sleep_for(std::chrono::seconds(4));
  // Eight at once, 4.5 a second; listings and nodes, which come in any case, are among them.
  EXPECT_LE(AskedInAll() - before, 8 + 4 * 5 + 2);
}

// At the rate of the others these would take 45 s.
TEST_F(SurveyorTest, EachReleasePaysForAReading) {
  std::vector<Followed> many;
  for (int i = 0; i < 200; ++i) {
    many.push_back({{{JobId{100 + i}, kNoElement}, 1}, 100 + i, "alice", false});
    const std::string id = std::to_string(100 + i);
    Answer("/slurm/v0.0.38/job/" + id, 200,
           R"({"errors":[],"jobs":[{"job_id":)" + id + R"(,"name":"kezek-)" + id +
               R"(-1","user_name":"alice","job_state":"COMPLETED"}]})");
  }
  Start();
  ASSERT_TRUE(Wait<ClusterUp>());
  Delay("/slurm/v0.0.38/jobs", 60'000);
  surveyor_->Follow(many);
  ASSERT_TRUE(WaitUntilAsked("/slurm/v0.0.38/jobs", 1));
  for (const auto& job : many) surveyor_->Expect(job.cluster_job_id, "n01");
  constexpr std::chrono::seconds kPatience(30);
  const auto begin = std::chrono::steady_clock::now();
  while (Count<Observed>() < 200 && std::chrono::steady_clock::now() - begin < kPatience) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(Count<Observed>(), 200);
  Delay("/slurm/v0.0.38/jobs", 0);
}

TEST_F(SurveyorTest, SearchSaysWhetherBothAnswered) {
  Answer("/slurm/v0.0.38/jobs", 200, JobsBody(R"("job_state":"PENDING")"));
  Answer("/slurmdb/v0.0.38/jobs", 200, Record9("COMPLETED"));
  Start();
  surveyor_->Find(kAttempt);
  auto found = Wait<FoundByName>();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->complete);
  ASSERT_EQ(found->jobs.size(), 1U) << "the live one, once";
  EXPECT_EQ(found->jobs.front().state, ClusterJobState::kPending);
  Answer("/slurmdb/v0.0.38/jobs", 200, "");
  surveyor_->Find(kAttempt);
  found = Wait<FoundByName>();
  ASSERT_TRUE(found);
  EXPECT_FALSE(found->complete);
  EXPECT_EQ(found->jobs.size(), 1U);
}

// A record that waits does not tell what its job is now: slurmctld does, under whatever name.
TEST_F(SurveyorTest, SearchTakesWhatWaitsAsSlurmctldHasIt) {
  std::string renamed = JobsBody(R"("job_state":"PENDING","priority":0)");
  const std::string name = R"("kezek-5-1")";
  renamed.replace(renamed.find(name), name.size(), R"("mine")");
  Answer("/slurm/v0.0.38/jobs", 200, renamed);
  Answer("/slurmdb/v0.0.38/jobs", 200, Record9("PENDING"));
  Start();
  surveyor_->Find(kAttempt);
  auto found = Wait<FoundByName>();
  ASSERT_TRUE(found);
  ASSERT_EQ(found->jobs.size(), 1U);
  EXPECT_EQ(found->jobs.front().attempt, kAttempt);
  EXPECT_TRUE(found->jobs.front().held) << "it was never released";
  Answer("/slurm/v0.0.38/jobs", 200, R"({"jobs":[]})");
  surveyor_->Find(kAttempt);
  found = Wait<FoundByName>();
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->complete);
  EXPECT_TRUE(found->jobs.empty()) << "slurmctld does not know it";
}

}  // namespace
}  // namespace kezek::slurm
