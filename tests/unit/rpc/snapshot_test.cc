// Goal: a snapshot is a trace of what ran and waits, with nothing in it that a job's owner wrote,
// and only of the GPU type asked for. Method: rows of records made by hand; a gRPC server on fakes.

#include "rpc/snapshot.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kezek/v1/cluster.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

JobRecord RecordOf(AccountId project, JobState state) {
  JobSpec spec;
  spec.project = project;
  spec.name = "secret-model";
  spec.job_class = "normal";
  spec.shape = {.nodes = 2, .gpus_per_node = 8, .gpu_type = "h200"};
  spec.time_limit_ms = 2 * kHourMs;
  JobRecord record;
  record.job.ref = {JobId{7}};
  record.job.user = UserId{31};
  record.job.spec = std::make_shared<const JobSpec>(spec);
  record.job.state = state;
  record.job.submitted_ms = 1000 * kSecondMs;
  return record;
}

Attempt Ran(TimeMs start_s, TimeMs end_s, TimeMs checkpoint_s = 0) {
  Attempt attempt;
  attempt.state = AttemptState::kEnded;
  attempt.start_ms = start_s * kSecondMs;
  attempt.end_ms = end_s * kSecondMs;
  attempt.last_checkpoint_ms = checkpoint_s * kSecondMs;
  return attempt;
}

TEST(SnapshotTest, TimeRunForNothingCountsAsWaited) {
  const World world;
  JobRecord record = RecordOf(World::kNlp, JobState::kSucceeded);
  record.attempts = {Ran(1100, 1400, 1300), Ran(2000, 2500)};
  const std::string path = PathOf(world.directory, World::kNlp);
  EXPECT_EQ(TraceRows(record, world.directory),
            "7,1000,700,16,2,u31," + path + ",800,7200,normal,succeeded\n");
  record.attempts = {};
  record.job.state = JobState::kCancelled;
  EXPECT_EQ(TraceRows(record, world.directory), "") << "it has never run";
}

TEST(SnapshotTest, WhatHasNotEndedHasNoRunTimeAndAnArrayItsElements) {
  World world;
  world.directory.accounts.at(World::kNlp).name = "n,l\"p";
  JobRecord record = RecordOf(World::kNlp, JobState::kQueued);
  JobSpec spec = *record.job.spec;
  spec.array.emplace();
  record.job.spec = std::make_shared<const JobSpec>(spec);
  record.job.pending = {{3, 7, 4}};
  const std::string rows = TraceRows(record, world.directory);
  EXPECT_EQ(rows.find("7_3,1000,,16,2,u31,\""), 0U) << rows;
  EXPECT_NE(rows.find("n,l\"\"p\",,7200,normal,queued\n7_7,1000,,16"), std::string::npos) << rows;
  EXPECT_EQ(rows.find("secret"), std::string::npos);
}

class SnapshotRpcTest : public Served {
 protected:
  grpc::Status Take(const std::string& user, const v1::SnapshotRequest& request) {
    text_.clear();
    const auto context = As(user);
    const auto stub = v1::ClusterService::NewStub(channel_);
    const auto reader = stub->Snapshot(context.get(), request);
    v1::SnapshotResponse response;
    while (reader->Read(&response)) text_ += response.data();
    return reader->Finish();
  }

  std::string text_;
};

TEST_F(SnapshotRpcTest, ItIsStreamedToWhoMaySeeAll) {
  const std::int64_t job = Submit("aizhan@kaznu", "a");
  Submit("dana@acme", "b");
  ASSERT_TRUE(Take("root@kezek", {}).ok());
  EXPECT_EQ(text_.rfind("# cluster: ", 0), 0U) << text_;
  EXPECT_NE(text_.find("\n# gpu_type: h200\n# gpus: "), std::string::npos) << text_;
  EXPECT_NE(text_.find("\njob_id,submit_s,duration_s,gpus,"), std::string::npos) << text_;
  EXPECT_NE(text_.find("\n" + std::to_string(job) + ","), std::string::npos) << text_;
  v1::SnapshotRequest later;
  later.mutable_history()->set_since_ms(clock_.Now() + kHourMs);
  ASSERT_TRUE(Take("root@kezek", later).ok());
  EXPECT_EQ(text_.find("\n" + std::to_string(job) + ","), std::string::npos) << text_;
  EXPECT_EQ(Take("aizhan@kaznu", {}).error_code(), grpc::StatusCode::PERMISSION_DENIED);
}

TEST_F(SnapshotRpcTest, WhatIsAskedWronglyIsSaid) {
  v1::SnapshotRequest request;
  request.set_gpu_type("b300");
  EXPECT_EQ(Reason(Take("root@kezek", request)), "NO_SUCH_GPU_TYPE");
  request.clear_gpu_type();
  request.mutable_history()->set_since_ms(2000);
  request.mutable_history()->set_until_ms(1000);
  EXPECT_EQ(Reason(Take("root@kezek", request)), "FIELD_INVALID");
}

}  // namespace
}  // namespace kezek::rpc
