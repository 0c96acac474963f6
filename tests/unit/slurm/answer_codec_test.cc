// Goal: what slurmctld and slurmdbd report is read as it is meant: states, exit codes, GPU indices,
// and that an answer which says nothing is not taken for "no jobs".
// Method: recorded answers of 22.05.8; short made-up ones for forms that were not recorded.
#include <gtest/gtest.h>

#include <algorithm>

#include "slurm/codec.h"
#include "tests/unit/slurm/fixture.h"

namespace kezek::slurm {
namespace {

Result<JobsAnswer> Jobs(const std::string& name) {
  const Recorded answer = Record(name);
  return ParseJobs(answer.status, answer.body);
}

LiveJob OneJob(const std::string& name) {
  const auto answer = Jobs(name);
  EXPECT_TRUE(answer && answer->jobs.size() == 1) << name;
  return answer && !answer->jobs.empty() ? answer->jobs.front() : LiveJob{};
}

TEST(ParseJobs, RunningJobWithItsGpus) {
  const LiveJob live = OneJob("07-job-running");
  EXPECT_EQ(live.name, "full");
  EXPECT_EQ(live.job.id, 107);
  EXPECT_EQ(live.job.attempt.number, 0);
  EXPECT_EQ(live.job.unix_account, "alice");
  EXPECT_EQ(live.job.tag, "my comment {\"k\":1}");
  EXPECT_EQ(live.job.state, ClusterJobState::kRunning);
  EXPECT_FALSE(live.job.held);
  EXPECT_EQ(live.job.start_ms, 1795227069'000);
  EXPECT_EQ(live.job.end_ms, 0);  // what Slurm calls the end is the limit
  const Placement granted{{"n1", 4, {0, 1, 2, 3}}, {"n2", 4, {0, 1, 2, 3}}};
  EXPECT_EQ(live.job.granted, granted);
  EXPECT_EQ(live.job.cpus, 2);
  EXPECT_EQ(live.job.memory_mib, 2000);
  const std::vector<NodeUse> uses{{"n1", "h200", 4, 1, 1000}, {"n2", "h200", 4, 1, 1000}};
  EXPECT_EQ(live.uses, uses);
}

TEST(ParseJobs, EndedJobs) {
  const LiveJob completed = OneJob("77-job-completed");
  EXPECT_EQ(completed.job.state, ClusterJobState::kCompleted);
  EXPECT_EQ(completed.job.end_ms, 1795227071'000);
  const Placement granted{{"n1", 4, {}}, {"n2", 4, {}}};
  EXPECT_EQ(completed.job.granted, granted);
  EXPECT_TRUE(completed.uses.empty());
  const LiveJob failed = OneJob("115-job-failed");
  EXPECT_EQ(failed.job.state, ClusterJobState::kFailed);
  EXPECT_EQ(failed.job.exit_code, 7);
  EXPECT_EQ(failed.job.exit_signal, 0);
}

TEST(ParseJobs, BytesThatAreNotUtf8AreQuestionMarks) {
  Recorded answer = Record("07-job-running");
  const std::string name = "\"full\"";
  answer.body.replace(answer.body.find(name), name.size(), "\"a\xff\xd0\xb0\"");
  const auto jobs = ParseJobs(answer.status, answer.body);
  ASSERT_TRUE(jobs && jobs->jobs.size() == 1U);
  EXPECT_EQ(jobs->jobs.front().name, "a?\xd0\xb0");
  EXPECT_EQ(jobs->jobs.front().uses.size(), 2U);
  Recorded nodes = Record("03-nodes");
  nodes.body.replace(nodes.body.find("\"name\""), 6, "\"reason\":\"\xe9\",\"name\"");
  EXPECT_TRUE(ParseNodes(nodes.status, nodes.body));
  const auto refused = ParseJobs(500, "no \xff");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find("no ?"), std::string::npos);
  const auto cut = ParseJobs(
      200, R"({"errors":[],"jobs":[{"job_id":3,"name":"a\u0000b","job_state":"PENDING"}]})");
  ASSERT_TRUE(cut);
  EXPECT_EQ(cut->jobs.front().name, "a");
}

TEST(ParseJobs, OneOddJobOfSomebodyElseSpoilsNothing) {
  const std::string good = R"({"job_id":3,"name":"kezek-5-1","job_state":"PENDING"})";
  const std::string odd =
      R"({"job_id":4,"name":"x","job_state":"DREAMING","nodes":"n1","job_resources":)"
      R"({"allocated_nodes":[{"nodename":"n1"}]},"gres_detail":["gpu:h200:4"]})";
  const auto parse = [](const std::string& list) {
    return ParseJobs(200, R"({"errors":[],"jobs":[)" + list + "]}");
  };
  const auto answer = parse(good + "," + odd + R"(,{"name":"no id"},7)");
  ASSERT_TRUE(answer);
  ASSERT_EQ(answer->jobs.size(), 2U);
  EXPECT_EQ(answer->jobs[0].job.id, 3);
  ASSERT_EQ(answer->jobs[1].uses.size(), 1U) << "what it holds stays its own";
  EXPECT_EQ(answer->jobs[1].uses[0].gpus, 4);
  ASSERT_EQ(answer->odd.size(), 3U);
  EXPECT_NE(answer->odd[0].find("DREAMING"), std::string::npos) << answer->odd[0];
  // Of one of ours nothing may be guessed.
  EXPECT_FALSE(parse(good + R"(,{"job_id":9,"name":"kezek-5-1","job_state":"DREAMING"})"));
}

TEST(ParseJobs, Listing) {
  const auto answer = Jobs("49-jobs-all");
  ASSERT_TRUE(answer);
  EXPECT_FALSE(answer->unchanged);
  ASSERT_EQ(answer->jobs.size(), 22U);
  const auto& jobs = answer->jobs;
  const auto cancelled = std::find_if(
      jobs.begin(), jobs.end(), [](const LiveJob& live) { return live.job.exit_signal == 15; });
  ASSERT_NE(cancelled, jobs.end());
  EXPECT_EQ(cancelled->job.state, ClusterJobState::kCancelled);
  EXPECT_EQ(cancelled->job.exit_code, 0);
  for (const auto& live : jobs) {
    if (live.job.state != ClusterJobState::kPending) continue;
    EXPECT_EQ(live.job.start_ms, 0) << "a pending job's start is a guess";
    EXPECT_TRUE(live.job.asked.has_value());
  }
}

TEST(ParseJobs, NoAnswerIsNotAnEmptyListing) {
  EXPECT_TRUE(Jobs("50-jobs-update_time-now")->unchanged);
  EXPECT_EQ(Jobs("35-job-unknown").error().code, Code::kNotFound);
  EXPECT_EQ(Jobs("68-bad-token-jobs").error().code, Code::kUnavailable);
  EXPECT_EQ(Jobs("71-unknown-path").error().code, Code::kUnavailable);
  for (const char* body :
       {"", "{}", "[]", R"({"jobs":[{"job_id":1,"name":"kezek-1-1"}],"errors":[]})",
        R"({"jobs":[{"name":"kezek-1-1","job_state":"RUNNING"}],"errors":[]})"}) {
    EXPECT_FALSE(ParseJobs(200, body)) << body;
  }
  EXPECT_FALSE(ParseJobs(500, R"({"jobs":[],"errors":[]})"));
  EXPECT_TRUE(ParseJobs(200, R"({"jobs":[],"errors":[]})"));
}

LiveJob Made(const std::string& fields) {
  const auto answer =
      ParseJobs(200, R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1",)" + fields + "}]}");
  EXPECT_TRUE(answer) << fields;
  return answer ? answer->jobs.front() : LiveJob{};
}

TEST(ParseJobs, WhatAWaitingJobWasSubmittedFor) {
  const auto asked = [](const std::string& fields) {
    return Made(R"("job_state":"PENDING","state_reason":"JobHeldUser",)" + fields).job.asked;
  };
  const Placement both = {{"n01", 2, {}}, {"n02", 2, {}}};
  const std::string nodes = R"("required_nodes":"n[01-02]",)";
  EXPECT_EQ(asked(nodes + R"("tres_per_node":"gres:gpu:h200:2")"), both);
  EXPECT_EQ(asked(nodes + R"("tres_per_node":"gres/gpu:h200:2")"), both);
  EXPECT_EQ(asked(nodes + R"("tres_per_node":"gres/gpu:2,gres/shard:8")"), both);
  EXPECT_EQ(asked(nodes + R"("tres_per_node":"gres/gpu:h200,gres/gpu:a100")"), both);
  const Placement none = {{"n01", 0, {}}, {"n02", 0, {}}};
  EXPECT_EQ(asked(nodes + R"("tres_per_node":"")"), none);
  EXPECT_EQ(asked(R"("required_nodes":"","tres_per_node":"gres:gpu:2")"), Placement());
  EXPECT_FALSE(asked(R"("tres_per_node":"gres:gpu:2")")) << "not told";
  EXPECT_FALSE(Made(R"("job_state":"RUNNING","required_nodes":"n01")").job.asked);
}

TEST(ParseJobs, HeldAndReleased) {
  EXPECT_TRUE(Made(R"("job_state":"PENDING","priority":0,"state_reason":"None")").job.held);
  EXPECT_TRUE(Made(R"("job_state":"PENDING","priority":1,"state_reason":"JobHeldUser")").job.held);
  const LiveJob free =
      Made(R"("job_state":"PENDING","priority":1,"state_reason":"Resources","start_time":99)");
  EXPECT_FALSE(free.job.held);
  EXPECT_EQ(free.job.start_ms, 0);
  EXPECT_EQ(free.job.attempt, (AttemptRef{{JobId{5}, kNoElement}, 1}));
}

TEST(ParseJobs, CancelledBeforeItRanHasNoStart) {
  const LiveJob live =
      Made(R"("job_state":"CANCELLED","nodes":"","start_time":50,"end_time":50,"exit_code":0)");
  EXPECT_EQ(live.job.start_ms, 0);
  EXPECT_EQ(live.job.end_ms, 50'000);
}

TEST(ParseJobs, CompletingKeepsItsResources) {
  const LiveJob live = Made(
      R"("job_state":"COMPLETING","nodes":"n01","start_time":50,"end_time":60,"exit_code":1792,
         "gres_detail":[],"tres_alloc_str":"cpu=2,mem=1.50G,node=1,gres/gpu=3,gres/gpu:h200=3",
         "job_resources":{"allocated_nodes":[{"nodename":"n01","memory_allocated":1536,
           "sockets":{"0":{"cores":{"0":"allocated","1":"allocated"}}}}]})");
  EXPECT_EQ(live.job.state, ClusterJobState::kCompleting);
  EXPECT_EQ(live.job.exit_code, 0) << "not settled yet";
  EXPECT_EQ(live.job.memory_mib, 1536);
  const std::vector<NodeUse> uses{{"n01", "", 3, 2, 1536}};
  EXPECT_EQ(live.uses, uses);
}

// Two nodes were granted; Slurm shows the one that is not free yet, and the GPUs of both.
TEST(ParseJobs, CompletingDoesNotSayWhatWasGranted) {
  const LiveJob live = Made(
      R"("job_state":"COMPLETING","nodes":"n02","start_time":50,"end_time":60,
         "gres_detail":[],"tres_alloc_str":"cpu=4,node=2,gres/gpu=16,gres/gpu:h200=16",
         "job_resources":{"allocated_nodes":[{"nodename":"n02"}]})");
  EXPECT_EQ(live.job.start_ms, 50'000);
  EXPECT_TRUE(live.job.granted.empty());
}

TEST(ParseJobs, GpuIndicesWithGapsAndOtherGres) {
  const LiveJob live = Made(
      R"j("job_state":"RUNNING","nodes":"n[01-02]","start_time":50,"restart_cnt":2,
         "gres_detail":["nic:1(IDX:0,2),gpu:h200:3(IDX:0-1,5)","gpu:h200:3(IDX:N/A)"],
         "tres_alloc_str":"cpu=2,gres/gpu=6",
         "job_resources":{"allocated_nodes":[{"nodename":"n01"},{"nodename":"n02"}]})j");
  const Placement granted{{"n01", 3, {0, 1, 5}}, {"n02", 3, {}}};
  EXPECT_EQ(live.job.granted, granted);
  EXPECT_EQ(live.job.restarts, 2);
}

TEST(ParseAccounting, EndedJob) {
  const Recorded answer = Record("78-db-job");
  const auto jobs = ParseAccounting(answer.status, answer.body);
  ASSERT_TRUE(jobs && jobs->size() == 1);
  const ClusterJob& job = jobs->front().job;
  EXPECT_EQ(job.id, 107);
  EXPECT_EQ(job.state, ClusterJobState::kCompleted);
  EXPECT_EQ(job.unix_account, "alice");
  EXPECT_EQ(job.tag, "my comment {\"k\":1}");
  EXPECT_EQ(job.start_ms, 1795227069'000);
  EXPECT_EQ(job.end_ms, 1795227071'000);
  const Placement granted{{"n1", 4, {}}, {"n2", 4, {}}};
  EXPECT_EQ(job.granted, granted);
  EXPECT_EQ(job.memory_mib, 2000);
}

ClusterJob FromAccounting(const std::string& exit_code) {
  const auto jobs =
      ParseAccounting(200, R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1","nodes":"n01",
      "state":{"current":"FAILED","reason":"None"},"time":{"start":5,"end":7},"exit_code":)" +
                               exit_code + "}]}");
  EXPECT_TRUE(jobs && jobs->size() == 1);
  return jobs && !jobs->empty() ? jobs->front().job : ClusterJob{};
}

TEST(ParseAccounting, ExitCodes) {
  // 22.05 calls an exit with code 7 a success with code 0.
  EXPECT_EQ(FromAccounting(R"({"status":"SUCCESS","return_code":0})").exit_code, 1);
  EXPECT_EQ(FromAccounting(R"({"status":"ERROR","return_code":7})").exit_code, 7);
  const ClusterJob killed = FromAccounting(
      R"({"status":"SIGNALED","return_code":null,"signal":{"signal_id":9,"name":"Killed"}})");
  EXPECT_EQ(killed.exit_code, 0);
  EXPECT_EQ(killed.exit_signal, 9);
}

TEST(ParseAccounting, ARunThatWasTakenBackHasItsTimes) {
  for (const char* state : {R"("REQUEUED")", R"(["REQUEUED"])", R"(["PENDING","REQUEUED"])"}) {
    const auto jobs = ParseAccounting(200, R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1",
        "nodes":"n01","state":{"current":)" + std::string(state) +
                                               R"(},"time":{"start":5,"end":7}}]})");
    ASSERT_TRUE(jobs && jobs->size() == 1) << state;
    EXPECT_EQ(jobs->front().job.state, ClusterJobState::kPending) << state;
    EXPECT_EQ(jobs->front().job.start_ms, 5000) << state;
    EXPECT_EQ(jobs->front().job.end_ms, 7000) << state;
  }
}

bool EndedByNobody(const std::string& fields) {
  const auto jobs =
      ParseAccounting(200, R"({"errors":[],"jobs":[{"job_id":9,"name":"kezek-5-1","nodes":"n01",
      "time":{"start":5,"end":7},"exit_code":{"status":"SUCCESS","return_code":0},)" +
                               fields + "}]}");
  EXPECT_TRUE(jobs && jobs->size() == 1);
  return jobs && !jobs->empty() && jobs->front().job.node_failed;
}

TEST(ParseAccounting, WhatNobodyCancelledWasLostWithSlurmctldsState) {
  const std::string cancelled = R"("state":{"current":"CANCELLED"},"kill_request_user":)";
  EXPECT_TRUE(EndedByNobody(cancelled + "null"));
  EXPECT_TRUE(EndedByNobody(cancelled + R"("")"));
  EXPECT_FALSE(EndedByNobody(cancelled + R"("alice")"));
  EXPECT_FALSE(EndedByNobody(R"("state":{"current":"TIMEOUT"},"kill_request_user":null)"));
}

TEST(ParseAccounting, ARecordThatSlurmdbdMadeUpIsNobodys) {
  const auto record = [](const std::string& partition, const std::string& comment) {
    return R"({"errors":[],"jobs":[{"job_id":9,"name":"allocation","user":"alice",)"
           R"("nodes":"n01","state":{"current":"CANCELLED"},"partition":)" +
           partition + R"(,"time":{"submission":102,"start":100,"end":103},"comment":{"job":)" +
           comment + "}}]}";
  };
  EXPECT_TRUE(ParseAccounting(200, record("null", "null"))->empty());
  EXPECT_TRUE(ParseAccounting(200, record(R"("")", R"("")"))->empty());
  EXPECT_EQ(ParseAccounting(200, record(R"("gpu")", "null"))->size(), 1U)
      << "its owner named it so";
  EXPECT_EQ(ParseAccounting(200, record("null", R"("kezek:1:2:3")"))->size(), 1U);
}

TEST(ParseAccounting, NothingFoundIsAnAnswer) {
  const Recorded nothing = Record("91-db-job-unknown");
  const auto jobs = ParseAccounting(nothing.status, nothing.body);
  ASSERT_TRUE(jobs);
  EXPECT_TRUE(jobs->empty());
  const Recorded by_name = Record("78-db-jobs-job_name");
  ASSERT_TRUE(ParseAccounting(by_name.status, by_name.body));
  EXPECT_EQ(ParseAccounting(by_name.status, by_name.body)->size(), 2U);
  EXPECT_FALSE(ParseAccounting(200, ""));
  EXPECT_FALSE(ParseAccounting(500, R"({"errors":[{"error_number":-1}],"jobs":[]})"));
}

TEST(ParseNodes, HealthAndCapacity) {
  const Recorded answer = Record("08-nodes-allocated");
  const auto nodes = ParseNodes(answer.status, answer.body);
  ASSERT_TRUE(nodes && nodes->has_value());
  ASSERT_EQ((*nodes)->size(), 4U);
  const Node& node = (*nodes)->at(1);
  EXPECT_EQ(node.name, "n1");
  EXPECT_EQ(node.gpu_type, "h200");
  EXPECT_EQ(node.gpus, 8);
  EXPECT_EQ(node.cpus, 192);
  EXPECT_EQ(node.memory_mib, 2'000'000);
  EXPECT_EQ(node.health, NodeHealth::kUp);
  const Recorded drained = Record("76-node-drained");
  const auto one = ParseNodes(drained.status, drained.body);
  ASSERT_TRUE(one && one->has_value());
  EXPECT_EQ((*one)->front().health, NodeHealth::kDraining);
  EXPECT_EQ((*one)->front().health_reason, "bad gpu");
}

TEST(ParseNodes, GpusInUse) {
  for (const char* record :
       {"08-nodes-allocated", "24.11/08-nodes-allocated", "26.05/08-nodes-allocated"}) {
    const Recorded answer = Record(record);
    UsedGpus used;
    ASSERT_TRUE(ParseNodes(answer.status, answer.body, &used)) << record;
    EXPECT_EQ(used.at("n0"), std::vector<std::int32_t>{}) << record;
    EXPECT_EQ(used.at("n1"), (std::vector<std::int32_t>{0, 1, 2, 3})) << record;
  }
  UsedGpus used{{"gone", {1}}};
  ASSERT_TRUE(ParseNodes(200, R"j({"nodes":[
    {"name":"a","gres_used":"nic:1(IDX:0),gpu:h200:2(IDX:1,5),gpu:h200-1g.18gb:2(IDX:7-8)"},
    {"name":"b","gres_used":"gpu:h200:2"},
    {"name":"c","gres_used":""},
    {"name":"d","gres_used":"gpu:h200:0(IDX:N/A)"}]})j",
                         &used));
  EXPECT_EQ(used, (UsedGpus{{"a", {1, 5, 7, 8}}, {"d", {}}})) << "b does not tell which";
}

TEST(ParseNodes, GpusOfSeveralTypes) {
  const auto nodes = ParseNodes(200, R"j({"nodes":[
      {"name":"n01","state":"idle","cpus":64,"real_memory":1000,
       "gres":"gpu:h200:6(S:0-1),nic:2,gpu:h200-1g.18gb:7(S:0),gpu:h200-1g.18gb:7(S:1)"}]})j");
  ASSERT_TRUE(nodes && nodes->has_value());
  const Node& node = (*nodes)->front();
  EXPECT_EQ(node.gpu_type, "h200");
  EXPECT_EQ(node.gpus, 6);
  ASSERT_EQ(node.more_gpus.size(), 1U);
  EXPECT_EQ(node.more_gpus[0].gpu_type, "h200-1g.18gb");
  EXPECT_EQ(node.more_gpus[0].gpus, 14);
}

TEST(ParseJobs, GpusOfSeveralTypesAreUsesOfTheirOwn) {
  const LiveJob live = Made(
      R"j("job_state":"RUNNING","nodes":"n01",
         "gres_detail":["gpu:h200:1(IDX:0),gpu:mig:2(IDX:7-8)"],
         "tres_alloc_str":"cpu=2,mem=1G,node=1,gres/gpu=3",
         "job_resources":{"allocated_nodes":[{"nodename":"n01","memory_allocated":1024,
           "sockets":{"0":{"cores":{"0":"allocated","1":"allocated"}}}}]})j");
  const std::vector<NodeUse> uses{{"n01", "h200", 1, 2, 1024}, {"n01", "mig", 2, 0, 0}};
  EXPECT_EQ(live.uses, uses);
  EXPECT_EQ(live.job.granted, (Placement{{"n01", 3, {0, 7, 8}}}));
}

TEST(ParseNodes, HealthOfEveryForm) {
  const auto health = [](const std::string& fields) {
    const auto nodes = ParseNodes(200, R"({"errors":[],"nodes":[{"name":"n",)" + fields + "}]}");
    return nodes && nodes->has_value() ? (*nodes)->front().health : NodeHealth::kUnknown;
  };
  EXPECT_EQ(health(R"("state":"mixed","state_flags":["COMPLETING"])"), NodeHealth::kUp);
  EXPECT_EQ(health(R"("state":"idle","state_flags":["DRAIN","NOT_RESPONDING"])"),
            NodeHealth::kDown);
  EXPECT_EQ(health(R"("state":"down","state_flags":[])"), NodeHealth::kDown);
  EXPECT_EQ(health(R"("state":"allocated","state_flags":["DRAIN"])"), NodeHealth::kDraining);
  EXPECT_EQ(health(R"("state":"unknown","state_flags":[])"), NodeHealth::kUnknown);
  EXPECT_FALSE(ParseNodes(304, "")->has_value());
  const Recorded missing = Record("10-node-missing");
  EXPECT_FALSE(ParseNodes(missing.status, missing.body));
}

TEST(ParsePing, VersionAndClock) {
  const Recorded ping = Record("01-ping");
  const auto version = ParsePing(ping.status, ping.body);
  ASSERT_TRUE(version);
  EXPECT_EQ(*version, "22.05.8");
  const Recorded bad = Record("67-bad-token");
  EXPECT_EQ(ParsePing(bad.status, bad.body).error().code, Code::kUnavailable);
  // Newer versions answer 200 to a bad token.
  EXPECT_FALSE(ParsePing(200, R"({"errors":[],"pings":[{"ping":"DOWN"}]})"));
  const Recorded diag = Record("02-diag");
  const auto clock = ParseClock(diag.status, diag.body);
  ASSERT_TRUE(clock);
  EXPECT_EQ(*clock, 1795227068'000);
  EXPECT_EQ(*ParseBacklog(diag.status, diag.body), 0);
  EXPECT_FALSE(ParseBacklog(200, R"({"errors":[],"statistics":{}})"));
}

}  // namespace
}  // namespace kezek::slurm
