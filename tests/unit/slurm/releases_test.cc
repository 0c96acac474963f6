// Goal: what the releases answer in their own forms is read as the same.
// Method: the same requests, recorded on each release, in one table of cases; made-up answers for
// forms that were not recorded but seen.
#include <gtest/gtest.h>

#include <string>

#include "slurm/codec.h"
#include "slurm/watch.h"
#include "tests/unit/slurm/fixture.h"

namespace kezek::slurm {
namespace {

// The recordings of one release, and the two jobs in them.
struct Release {
  const char* name;
  std::int64_t full;  // on n1 and n2, 4 GPUs each
  TimeMs start_ms;
  TimeMs end_ms;
  std::int64_t failed;  // with exit code 7
  TimeMs clock_ms;
  const char* version;
  const char* completed;
  const char* failed_record;
  const char* unchanged;
  const char* record;
  const char* no_record;
  const char* drained;
  const char* bad_token;
  const char* bad_token_jobs;
  const char* unknown_path;
};

const Release kReleases[] = {
    {"22.05", 107, 1795227069'000, 1795227071'000, 0, 1795227068'000, "22.05.8", "77-job-completed",
     "115-job-failed", "50-jobs-update_time-now", "78-db-job", "91-db-job-unknown",
     "76-node-drained", "67-bad-token", "68-bad-token-jobs", "71-unknown-path"},
    {"24.11", 92, 1795227591'000, 1795227594'000, 113, 1795227591'000, "24.11.5",
     "24.11/82-job-completed", "24.11/119-job-failed", "24.11/51-jobs-update_time-now",
     "24.11/83-db-job", "24.11/99-db-job-unknown", "24.11/79-node-drained", "24.11/68-bad-token",
     "24.11/69-bad-token-jobs", "24.11/72-unknown-path"},
    {"26.05", 2, 1795227647'000, 1795227649'000, 23, 1795227647'000, "26.05.5",
     "26.05/82-job-completed", "26.05/119-job-failed", "26.05/51-jobs-update_time-now",
     "26.05/83-db-job", "26.05/99-db-job-unknown", "26.05/79-node-drained", "26.05/68-bad-token",
     "26.05/69-bad-token-jobs", "26.05/72-unknown-path"}};

std::string TestName(std::string release) {
  release[2] = '_';
  return "Slurm" + release;
}

class ReleaseTest : public testing::TestWithParam<Release> {
 protected:
  static Recorded Answer(const std::string& name) {
    const std::string folder = std::string(GetParam().name) + "/";
    return Record(folder == "22.05/" ? name : folder + name);
  }
  static LiveJob OneJob(const Recorded& answer) {
    const auto jobs = ParseJobs(answer.status, answer.body);
    EXPECT_TRUE(jobs && jobs->jobs.size() == 1U && jobs->odd.empty());
    return jobs && !jobs->jobs.empty() ? jobs->jobs.front() : LiveJob{};
  }
  static Verdict::Kind VerdictOf(const Recorded& answer) {
    return ParseVerdict(answer.status, answer.body).kind;
  }
};

TEST_P(ReleaseTest, ARunningJobWithItsGpus) {
  const LiveJob live = OneJob(Answer("07-job-running"));
  EXPECT_EQ(live.name, "full");
  EXPECT_EQ(live.job.id, GetParam().full);
  EXPECT_EQ(live.job.unix_account, "alice");
  EXPECT_EQ(live.job.tag, "my comment {\"k\":1}");
  EXPECT_EQ(live.job.state, ClusterJobState::kRunning);
  EXPECT_FALSE(live.job.held);
  EXPECT_EQ(live.job.start_ms, GetParam().start_ms);
  EXPECT_EQ(live.job.end_ms, 0) << "what Slurm calls the end is the limit";
  EXPECT_EQ(live.job.limit_ms, 5 * kMinuteMs);
  const Placement granted{{"n1", 4, {0, 1, 2, 3}}, {"n2", 4, {0, 1, 2, 3}}};
  EXPECT_EQ(live.job.granted, granted);
  EXPECT_EQ(live.job.cpus, 2);
  EXPECT_EQ(live.job.memory_mib, 2000);
  const std::vector<NodeUse> uses{{"n1", "h200", 4, 1, 1000}, {"n2", "h200", 4, 1, 1000}};
  EXPECT_EQ(live.uses, uses);
}

TEST_P(ReleaseTest, EndedJobs) {
  const LiveJob completed = OneJob(Record(GetParam().completed));
  EXPECT_EQ(completed.job.state, ClusterJobState::kCompleted);
  EXPECT_EQ(completed.job.end_ms, GetParam().end_ms);
  const Placement granted{{"n1", 4, {}}, {"n2", 4, {}}};
  EXPECT_EQ(completed.job.granted, granted);
  EXPECT_TRUE(completed.uses.empty());
  const LiveJob failed = OneJob(Record(GetParam().failed_record));
  EXPECT_EQ(failed.job.state, ClusterJobState::kFailed);
  EXPECT_EQ(failed.job.exit_code, 7);
  EXPECT_EQ(failed.job.exit_signal, 0);
}

TEST_P(ReleaseTest, NoAnswerIsNotAnEmptyListing) {
  const Recorded unchanged = Record(GetParam().unchanged);
  const auto nothing_new = ParseJobs(unchanged.status, unchanged.body);
  ASSERT_TRUE(nothing_new);
  EXPECT_TRUE(nothing_new->unchanged);
  const Recorded unknown = Answer("35-job-unknown");
  EXPECT_EQ(ParseJobs(unknown.status, unknown.body).error().code, Code::kNotFound);
  for (const char* name : {GetParam().bad_token_jobs, GetParam().unknown_path}) {
    const Recorded answer = Record(name);
    const auto jobs = ParseJobs(answer.status, answer.body);
    ASSERT_FALSE(jobs) << name;
    EXPECT_EQ(jobs.error().code, Code::kUnavailable) << name;
  }
}

TEST_P(ReleaseTest, TheAccounting) {
  const Recorded answer = Record(GetParam().record);
  const auto jobs = ParseAccounting(answer.status, answer.body);
  ASSERT_TRUE(jobs && jobs->size() == 1U);
  const ClusterJob& job = jobs->front().job;
  EXPECT_EQ(job.id, GetParam().full);
  EXPECT_EQ(job.state, ClusterJobState::kCompleted);
  EXPECT_EQ(job.unix_account, "alice");
  EXPECT_EQ(job.tag, "my comment {\"k\":1}");
  EXPECT_EQ(job.start_ms, GetParam().start_ms);
  EXPECT_EQ(job.end_ms, GetParam().end_ms);
  const Placement granted{{"n1", 4, {}}, {"n2", 4, {}}};
  EXPECT_EQ(job.granted, granted);
  EXPECT_EQ(job.memory_mib, 2000);
  const Recorded none = Record(GetParam().no_record);
  const auto nothing = ParseAccounting(none.status, none.body);
  ASSERT_TRUE(nothing);
  EXPECT_TRUE(nothing->empty());
}

// Given fewer nodes while it runs. 22.05 keeps the start, later ones begin a record at that moment.
TEST(Releases, ARunThatWasResizedIsOneRun) {
  const std::string both = R"({"jobs":[
      {"job_id":9,"name":"kezek-5-1","user":"a","nodes":"n[1-2]",
       "state":{"current":["PENDING","RESIZING"]},"time":{"start":100,"end":160}},
      {"job_id":9,"name":"kezek-5-1","user":"a","nodes":"n1",
       "state":{"current":["PENDING","RESIZING"]},"time":{"start":160,"end":170}},
      {"job_id":9,"name":"kezek-5-1","user":"a","nodes":"n1",
       "state":{"current":["COMPLETED"]},"time":{"start":170,"end":200}}]})";
  const auto records = ParseAccounting(200, both);
  ASSERT_TRUE(records);
  const AttemptRef attempt{{JobId{5}, kNoElement}, 1};
  Watch watch("inst");
  for (const TimeMs seen : {100 * kSecondMs, TimeMs{0}}) {
    const Followed followed{attempt, 9, "a", true, seen};
    watch.Follow({followed});
    const auto end = watch.EndIn(*records, followed);
    ASSERT_TRUE(end);
    EXPECT_EQ(end->job.restarts, 0) << "it was not requeued";
    EXPECT_EQ(end->job.state, ClusterJobState::kCompleted);
    EXPECT_EQ(end->job.start_ms, 100 * kSecondMs);
    EXPECT_EQ(end->job.end_ms, 200 * kSecondMs);
  }
}

// GET /jobs/state came after v0.0.38.
TEST(Releases, StatesOfAllJobs) {
  const Recorded one = Record("24.11/53-jobs-state");
  const auto states = ParseJobStates(one.status, one.body);
  ASSERT_TRUE(states);
  EXPECT_EQ(states->size(), 20U);
  EXPECT_EQ(states->at("82"), ClusterJobState::kCompleted);
  EXPECT_EQ(states->at("97_2"), ClusterJobState::kRunning) << "an element of an array";
  EXPECT_EQ(states->at("100"), ClusterJobState::kPending);
  const Recorded other = Record("26.05/53-jobs-state");
  const auto newer = ParseJobStates(other.status, other.body);
  ASSERT_TRUE(newer);
  EXPECT_EQ(newer->at("11"), ClusterJobState::kRunning);
  const auto odd = ParseJobStates(
      200, R"({"jobs":[{"job_id":7,"state":["DREAMING"]},{"job_id":8,"state":"RUNNING"},5]})");
  ASSERT_TRUE(odd);
  EXPECT_EQ(*odd, (JobStates{{"8", ClusterJobState::kRunning}}));
  const Recorded bad = Record("24.11/69-bad-token-jobs");
  EXPECT_FALSE(ParseJobStates(bad.status, bad.body));
  EXPECT_FALSE(ParseJobStates(304, ""));
}

TEST_P(ReleaseTest, Nodes) {
  const Recorded answer = Answer("08-nodes-allocated");
  const auto nodes = ParseNodes(answer.status, answer.body);
  ASSERT_TRUE(nodes && nodes->has_value() && (*nodes)->size() >= 2U);
  const Node& node = (*nodes)->at(1);
  EXPECT_EQ(node.name, "n1");
  EXPECT_EQ(node.gpu_type, "h200");
  EXPECT_EQ(node.gpus, 8);
  EXPECT_EQ(node.cpus, 192);
  EXPECT_EQ(node.memory_mib, 2'000'000);
  EXPECT_EQ(node.health, NodeHealth::kUp);
  const Recorded drained = Record(GetParam().drained);
  const auto one = ParseNodes(drained.status, drained.body);
  ASSERT_TRUE(one && one->has_value());
  EXPECT_EQ((*one)->front().health, NodeHealth::kDraining);
  EXPECT_EQ((*one)->front().health_reason, "bad gpu");
  const Recorded missing = Answer("10-node-missing");
  EXPECT_FALSE(ParseNodes(missing.status, missing.body));
  EXPECT_FALSE(ParseNodes(304, "")->has_value());
}

TEST_P(ReleaseTest, VersionAndClock) {
  const Recorded ping = Answer("01-ping");
  const auto version = ParsePing(ping.status, ping.body);
  ASSERT_TRUE(version);
  EXPECT_EQ(*version, GetParam().version);
  const Recorded bad = Record(GetParam().bad_token);
  const auto refused = ParsePing(bad.status, bad.body);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kUnavailable);
  const Recorded diag = Answer("02-diag");
  EXPECT_EQ(*ParseClock(diag.status, diag.body), GetParam().clock_ms);
  EXPECT_EQ(*ParseBacklog(diag.status, diag.body), 0);
}

TEST_P(ReleaseTest, VerdictsByTheBody) {
  EXPECT_EQ(VerdictOf(Answer("12-update-release")), Verdict::Kind::kDone);
  EXPECT_EQ(VerdictOf(Answer("32-cancel-pending")), Verdict::Kind::kDone);
  EXPECT_EQ(VerdictOf(Answer("34-cancel-unknown")), Verdict::Kind::kUnknownJob);
  EXPECT_EQ(VerdictOf(Answer("37-update-unknown")), Verdict::Kind::kUnknownJob);
  EXPECT_EQ(VerdictOf(Record(GetParam().unknown_path)), Verdict::Kind::kFailed);
}

TEST_P(ReleaseTest, AHeldSubmissionIsAccepted) {
  const Recorded held = Answer("11-submit-held");
  const auto outcome = ParseSubmit(held.status, held.body);
  ASSERT_TRUE(std::holds_alternative<SubmitAccepted>(outcome));
  EXPECT_GT(std::get<SubmitAccepted>(outcome).job_id, 0);
}

INSTANTIATE_TEST_SUITE_P(Every, ReleaseTest, testing::ValuesIn(kReleases),
                         [](const auto& param) { return TestName(param.param.name); });

// What only the newer ones answer, each with its folder.
class NewerTest : public testing::TestWithParam<const char*> {
 protected:
  static Recorded Answer(const char* name) { return Record(std::string(GetParam()) + "/" + name); }
  static SubmitOutcome Submitted(const char* name) {
    const Recorded answer = Answer(name);
    return ParseSubmit(answer.status, answer.body);
  }
  static Verdict VerdictOf(const char* name) {
    const Recorded answer = Answer(name);
    return ParseVerdict(answer.status, answer.body);
  }
};

TEST_P(NewerTest, RefusalsSayWhetherTryingAgainHelps) {
  for (const char* name :
       {"116-submit-oversize", "117-submit-badtype", "71-no-script", "70-bad-json"}) {
    const auto outcome = Submitted(name);
    ASSERT_TRUE(std::holds_alternative<SubmitRefused>(outcome)) << name;
    EXPECT_TRUE(std::get<SubmitRefused>(outcome).for_good) << name;
  }
  const auto token = Submitted("67-submit-proxy-alice-for-bob");
  ASSERT_TRUE(std::holds_alternative<SubmitRefused>(token));
  EXPECT_FALSE(std::get<SubmitRefused>(token).for_good);
}

TEST_P(NewerTest, WhatWasNotDoneIsSaidInsideA200) {
  EXPECT_EQ(VerdictOf("33-cancel-again").kind, Verdict::Kind::kAlreadyOver);
  EXPECT_EQ(VerdictOf("56-cancel-others-job").kind, Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("56-cancel-others-job").text, "Access/permission denied");
  EXPECT_EQ(VerdictOf("57-update-others-job").kind, Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("43-signal-bad").kind, Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("27-update-unknown").kind, Verdict::Kind::kFailed);
  EXPECT_NE(VerdictOf("27-update-unknown").text.find("unknown field"), std::string::npos);
}

TEST_P(NewerTest, ARequeuedJobWaitsForItsNextRun) {
  const Recorded answer = Answer("125-job-preempted");
  const auto jobs = ParseJobs(answer.status, answer.body);
  ASSERT_TRUE(jobs && jobs->jobs.size() == 1U);
  const ClusterJob& job = jobs->jobs.front().job;
  EXPECT_EQ(job.state, ClusterJobState::kPending);
  EXPECT_EQ(job.restarts, 1);
  EXPECT_EQ(job.start_ms, 0);
}

INSTANTIATE_TEST_SUITE_P(Every, NewerTest, testing::Values("24.11", "26.05"),
                         [](const auto& param) { return TestName(param.param); });

std::optional<ClusterJobState> StateOf(const std::string& states) {
  const auto jobs = ParseJobs(
      200, R"({"jobs":[{"job_id":9,"name":"kezek-5-1","nodes":"n1","job_state":)" + states + "}]}");
  return jobs ? std::optional(jobs->jobs.front().job.state) : std::nullopt;
}

TEST(NestedForms, OfSeveralStatesTheOneThatCounts) {
  EXPECT_EQ(StateOf(R"(["RUNNING"])"), ClusterJobState::kRunning);
  EXPECT_EQ(StateOf(R"(["RUNNING","CONFIGURING"])"), ClusterJobState::kRunning);
  EXPECT_EQ(StateOf(R"(["CANCELLED","COMPLETING"])"), ClusterJobState::kCompleting);
  EXPECT_EQ(StateOf(R"(["COMPLETING","COMPLETED"])"), ClusterJobState::kCompleting);
  EXPECT_EQ(StateOf(R"(["NODE_FAIL","REQUEUED"])"), ClusterJobState::kPending);
  EXPECT_EQ(StateOf(R"(["PENDING","EXPEDITING"])"), ClusterJobState::kPending);
  EXPECT_EQ(StateOf(R"(["TIMEOUT","LAUNCH_FAILED"])"), ClusterJobState::kTimedOut);
  EXPECT_FALSE(StateOf(R"(["EXPEDITING"])"));
  EXPECT_FALSE(StateOf("[]"));
}

TEST(NestedForms, NumbersAreThereOnlyIfSet) {
  const auto limit = [](const std::string& number) {
    const auto jobs =
        ParseJobs(200, R"({"jobs":[{"job_id":9,"name":"x","job_state":["PENDING"],"time_limit":)" +
                           number + "}]}");
    return jobs->jobs.front().job.limit_ms;
  };
  EXPECT_EQ(limit(R"({"set":true,"infinite":false,"number":9})"), 9 * kMinuteMs);
  EXPECT_EQ(limit(R"({"set":false,"infinite":true,"number":0})"), 0);
  EXPECT_EQ(limit(R"({"set":true,"infinite":true,"number":9})"), 0);
  EXPECT_EQ(limit(R"({"set":false,"infinite":false,"number":9})"), 0);
  EXPECT_EQ(limit(R"({"set":true})"), 0);
  EXPECT_EQ(limit(R"({"set":1,"number":9})"), 0);
  // Slurm's "no value" of 64 bits, which is no negative number.
  EXPECT_EQ(limit(R"({"set":true,"infinite":false,"number":18446744073709551614})"),
            1'000'000'000'000 * kMinuteMs);
}

// v0.0.40 has numbers nested, but the nodes of a job as v0.0.38.
TEST(NestedForms, NodesOfAJobInTheOldForm) {
  const auto jobs =
      ParseJobs(200,
                R"j({"jobs":[{"job_id":5,"name":"x","job_state":["RUNNING"],"nodes":"n01",
      "gres_detail":["gpu:h200:1(IDX:3)"],"tres_alloc_str":"cpu=2,mem=1000M,gres/gpu=1",
      "job_resources":{"nodes":"n01","allocated_cpus":2,"allocated_nodes":[{"nodename":"n01",
      "sockets":{"0":{"cores":{"0":"allocated","1":"allocated"}}},"memory_allocated":1000}]}}]})j");
  ASSERT_TRUE(jobs && jobs->jobs.size() == 1U);
  const std::vector<NodeUse> uses{{"n01", "h200", 1, 2, 1000}};
  EXPECT_EQ(jobs->jobs.front().uses, uses);
  EXPECT_EQ(jobs->jobs.front().job.granted, (Placement{{"n01", 1, {3}}}));
}

TEST(NestedForms, AnEmptyClusterIsNotAnUnchangedOne) {
  const auto empty = ParseJobs(200, R"({"jobs":[],"errors":[],"last_update":
      {"set":true,"infinite":false,"number":1795424591},
      "warnings":[{"description":"Zero jobs to dump","source":""}]})");
  ASSERT_TRUE(empty);
  EXPECT_FALSE(empty->unchanged);
}

TEST(NestedForms, ExitsOfTheAccounting) {
  const auto read = [](const std::string& exit) {
    const auto jobs =
        ParseAccounting(200, R"({"jobs":[{"job_id":9,"name":"kezek-5-1","nodes":"n01","state":
        {"current":["FAILED"]},"time":{"start":5,"end":7},"exit_code":)" +
                                 exit + "}]}");
    return jobs->front().job;
  };
  const std::string none = R"({"set":false,"infinite":false,"number":0})";
  const ClusterJob killed =
      read(R"({"status":["SIGNALED"],"return_code":)" + none +
           R"(,"signal":{"id":{"set":true,"infinite":false,"number":9},"name":"KILL"}})");
  EXPECT_EQ(killed.exit_signal, 9);
  EXPECT_EQ(killed.exit_code, 0);
  const ClusterJob failed = read(
      R"({"status":["ERROR"],"return_code":{"set":true,"infinite":false,"number":7},
      "signal":{"id":)" +
      none + R"(,"name":""}})");
  EXPECT_EQ(failed.exit_code, 7);
  EXPECT_EQ(failed.exit_signal, 0);
}

}  // namespace
}  // namespace kezek::slurm
