// Goal: what is promised to a waiting job is shown with it and in the list of all promises; of
// another institution's job only when it begins and how many GPUs. Method: a gRPC server on fakes
// whose view has promises to jobs of two institutions.

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "kezek/v1/cluster.grpc.pb.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

using PromisedTest = Served;

TEST_F(PromisedTest, WhatIsPromisedIsShownWithoutOthersNodes) {
  World world;
  const std::int64_t mine = Submit("aizhan@kaznu", "a");
  const std::int64_t foreign = Submit("dana@acme", "b");
  View view = *world.MakeView();
  view.promised[Ref(mine)] = {World::kAizhan, World::kNlp, 9'000, {{"n01", 8, {}}}, 8'000};
  view.promised[Ref(foreign)] = {World::kDana, World::kBot, 8'000, {{"n02", 8, {}}}, 8'000};
  desk_.SetView(std::make_shared<const View>(view));
  v1::ListJobsRequest all;
  all.mutable_filter()->set_scope(v1::JOB_SCOPE_ALL);
  v1::ListJobsResponse jobs;
  ASSERT_TRUE(stub_->List(As("aizhan@kaznu").get(), all, &jobs).ok());
  ASSERT_EQ(jobs.jobs_size(), 2);
  for (const v1::Job& job : jobs.jobs())
    EXPECT_EQ(job.has_reservation(), job.id() == mine) << job.job();
  const auto cluster = v1::ClusterService::NewStub(channel_);
  v1::ListReservationsRequest request;
  request.set_jobs(true);
  v1::ListReservationsResponse response;
  ASSERT_TRUE(cluster->ListReservations(As("aizhan@kaznu").get(), request, &response).ok());
  ASSERT_EQ(response.jobs_size(), 2);
  EXPECT_EQ(response.jobs(0).job(), "");
  EXPECT_EQ(response.jobs(0).counted_milli_gpus(), 8'000);
  EXPECT_EQ(response.jobs(0).reservation().start_ms(), 8'000);
  EXPECT_FALSE(response.jobs(0).reservation().has_placement());
  EXPECT_EQ(response.jobs(1).job(), std::to_string(mine));
  EXPECT_EQ(response.jobs(1).reservation().start_ms(), 9'000);
  EXPECT_EQ(response.jobs(1).reservation().placement().node_list(), "n01");
}

}  // namespace
}  // namespace kezek::rpc
