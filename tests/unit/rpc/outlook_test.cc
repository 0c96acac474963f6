// Goal: a dry run takes nothing and says what a look ahead says, why adds it to its answer and does
// without where there is none; gangs that are too wide are told so; first estimates are put to the
// test. Method: a gRPC server on fakes with a look ahead that answers as it is told.

#include "kezek/outlook.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "rpc/outlook_convert.h"
#include "rpc/outlooks.h"
#include "tests/unit/rpc/served.h"

namespace kezek::rpc {
namespace {

constexpr TimeMs kNoon = 1'000'000;

class ToldForesight final : public Foresight {
 public:
  explicit ToldForesight(Outlook outlook) : outlook_(std::move(outlook)) {}
  TimeMs as_of_ms() const override { return kNoon; }
  Outlook Of(const OutlookQuestion& question) const override {
    const std::lock_guard lock(mutex_);
    asked_.push_back(question);
    return outlook_;
  }
  std::map<JobRef, TimeMs> Starts() const override { return {}; }
  OutlookQuestion last() const {
    const std::lock_guard lock(mutex_);
    return asked_.back();
  }

 private:
  const Outlook outlook_;
  mutable std::mutex mutex_;
  mutable std::vector<OutlookQuestion> asked_;
};

Outlook Later() {
  Outlook outlook{.as_of_ms = kNoon,
                  .start = {.start_ms = kNoon + kHourMs,
                            .placement = {},
                            .earliest = false,
                            .assumption = {ReasonCode::kUntilLimits, {{"ahead", "3"}}}},
                  .reason = {ReasonCode::kWaitsForGpus, {{"nodes", "4"}}},
                  .advice = {}};
  outlook.advice.push_back({{ReasonCode::kFewerNodes, {{"nodes", "2"}}},
                            {.start_ms = kNoon, .placement = {{"n01", 8, {}}, {"n02", 8, {}}}}});
  outlook.advice.push_back({{ReasonCode::kShorterLimit, {{"limit", "5400000"}}},
                            {.start_ms = kNoon, .placement = {{"n03", 8, {}}}}});
  outlook.advice.push_back(
      {{ReasonCode::kNoWithin, {{"within", "leaf"}}}, {.start_ms = kNoon + kMinuteMs}});
  return outlook;
}

class OutlookTest : public Served {
 protected:
  std::shared_ptr<const ToldForesight> Tell(Outlook outlook) {
    auto told = std::make_shared<const ToldForesight>(std::move(outlook));
    desk_.SetForesight(told);
    return told;
  }
  static v1::SubmitRequest DryRun(const std::function<void(v1::SubmitRequest&)>& change = {}) {
    v1::SubmitRequest request = Request("");
    request.set_dry_run(true);
    if (change) change(request);
    return request;
  }
};

TEST_F(OutlookTest, ADryRunTakesNothingAndSaysWhenItWouldStart) {
  const auto told = Tell(Later());
  v1::SubmitResponse response;
  ASSERT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), DryRun(), &response)), "OK");
  EXPECT_EQ(store_.jobs(), 0U);
  EXPECT_EQ(response.job().job(), "");
  EXPECT_EQ(response.job().resolved().job_class(), "normal");
  EXPECT_EQ(told->last().job, JobRef{});
  EXPECT_EQ(told->last().user, World::kAizhan);
  const v1::DryRun& dry = response.dry_run();
  EXPECT_FALSE(dry.starts_now());
  EXPECT_EQ(dry.reason().code(), "WAITS_FOR_GPUS");
  EXPECT_EQ(dry.estimate().start_ms(), kNoon + kHourMs);
  EXPECT_EQ(dry.estimate().as_of_ms(), kNoon);
  EXPECT_EQ(dry.estimate().assumption().sentence(),
            "At full time limits of what runs and of 3 jobs ahead of it.");
  EXPECT_FALSE(dry.estimate().has_errors());
  ASSERT_EQ(dry.advice_size(), 3);
  EXPECT_EQ(dry.advice(0).options(0), "--nodes 2");
  EXPECT_EQ(dry.advice(0).start_ms(), 0);
  EXPECT_EQ(dry.advice(0).placement().node_list(), "n[01-02]");
  EXPECT_EQ(dry.advice(1).options(0), "--time 1:30:00");
  EXPECT_EQ(dry.advice(2).options_size(), 2);
  EXPECT_EQ(dry.advice(2).start_ms(), kNoon + kMinuteMs);
}

TEST_F(OutlookTest, ADryRunThatStartsSaysWhere) {
  Tell({.as_of_ms = kNoon, .start = {.start_ms = kNoon, .placement = {{"n04", 8, {}}}}});
  v1::SubmitResponse response;
  ASSERT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), DryRun(), &response)), "OK");
  EXPECT_TRUE(response.dry_run().starts_now());
  EXPECT_EQ(response.dry_run().placement().node_list(), "n04");
  EXPECT_FALSE(response.dry_run().has_reason());
}

TEST_F(OutlookTest, WhatIsHeldHasNoTime) {
  Tell(Later());
  v1::SubmitResponse response;
  const auto request = DryRun([](auto& r) { r.mutable_spec()->set_hold(true); });
  ASSERT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), request, &response)), "OK");
  EXPECT_EQ(response.dry_run().reason().code(), "HELD_BY_USER");
  EXPECT_FALSE(response.dry_run().has_estimate());
}

TEST_F(OutlookTest, ADryRunIsRefusedAsASubmissionIs) {
  Tell(Later());
  v1::SubmitResponse response;
  const auto request = DryRun([](auto& r) { r.mutable_spec()->set_project("bot"); });
  EXPECT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), request, &response)),
            "PROJECT_NOT_FOUND");
  desk_.Refuse(FieldProblem(Code::kFailedPrecondition,
                            {"shape.nodes", "NEVER_FITS_MACHINE", "too many", {}}));
  EXPECT_EQ(Reason(stub_->Submit(As("aizhan@kaznu").get(), DryRun(), &response)),
            "NEVER_FITS_MACHINE");
}

TEST_F(OutlookTest, WithoutALookAheadADryRunIsUnavailableAndWhyIsNot) {
  v1::SubmitResponse response;
  EXPECT_EQ(stub_->Submit(As("aizhan@kaznu").get(), DryRun(), &response).error_code(),
            grpc::StatusCode::UNAVAILABLE);
  const std::int64_t job = Submit("aizhan@kaznu", "a");
  v1::ExplainRequest request;
  request.set_job(std::to_string(job));
  v1::ExplainResponse explained;
  ASSERT_TRUE(stub_->Explain(As("aizhan@kaznu").get(), request, &explained).ok());
  EXPECT_FALSE(explained.has_estimate());
}

TEST_F(OutlookTest, WhySaysWhenAndWhatWouldHelp) {
  const auto told = Tell(Later());
  const std::int64_t job = Submit("aizhan@kaznu", "a");
  v1::ExplainRequest request;
  request.set_job(std::to_string(job));
  v1::ExplainResponse response;
  ASSERT_TRUE(stub_->Explain(As("aizhan@kaznu").get(), request, &response).ok());
  EXPECT_EQ(told->last().job, Ref(job));
  EXPECT_EQ(response.estimate().start_ms(), kNoon + kHourMs);
  EXPECT_EQ(response.advice_size(), 3);
  EXPECT_FALSE(response.has_too_wide());
}

TEST_F(OutlookTest, OfManyNoneIsADryRun) {
  v1::SubmitManyRequest request;
  *request.add_submissions() = DryRun();
  v1::SubmitManyResponse response;
  ASSERT_TRUE(stub_->SubmitMany(As("aizhan@kaznu").get(), request, &response).ok());
  EXPECT_FALSE(response.results(0).error().empty());
}

// 8 nodes of 8; the other sector has 40 GPUs guaranteed, of which it asks for `demand`.
View Guaranteed(MilliGpus demand) {
  View view = *World().MakeView();
  view.standings[{World::kFirms, "h200"}] = {.demand_milli = demand, .guarantee_now_milli = 40'000};
  view.standings[{World::kCv, "h200"}] = {.demand_milli = 8'000, .guarantee_now_milli = 8'000};
  return view;
}

TEST(TooWideTest, WiderThanWhatGuaranteesInDemandLeave) {
  JobSpec spec;
  spec.project = World::kNlp;
  spec.job_class = "normal";
  spec.shape = {.nodes = 4, .gpus_per_node = 8, .gpu_type = "h200"};
  EXPECT_EQ(TooWide(Guaranteed(0), spec, 32'000), Reason{});
  EXPECT_EQ(TooWide(Guaranteed(24'000), spec, 32'000), Reason{}) << "32 are left";
  EXPECT_EQ(TooWide(Guaranteed(32'000), spec, 32'000),
            (Reason{ReasonCode::kWiderThanUnguaranteed,
                    {{"asked", "32"}, {"available", "24"}, {"nodes", "3"}}}));
  EXPECT_EQ(TooWide(Guaranteed(99'000), spec, 32'000).fields.at("available"), "16");
  spec.shape.nodes = 1;
  EXPECT_EQ(TooWide(Guaranteed(99'000), spec, 32'000), Reason{}) << "no gang";
}

TEST(EstimateTestTest, FirstEstimatesAgainstStarts) {
  EstimateTest test;
  EXPECT_EQ(test.errors(), std::nullopt);
  for (std::int64_t id = 1; id <= 11; ++id) test.Estimated({{JobRef{JobId{id}}, 1'000}});
  test.Estimated({{JobRef{JobId{1}}, 5'000}});  // not the first
  for (std::int64_t id = 1; id <= 11; ++id) test.Started(JobRef{JobId{id}}, 1'000 + id - 6);
  test.Started(JobRef{JobId{99}}, 7'000);  // had none
  EXPECT_EQ(test.errors(),
            (EstimateTest::Errors{.jobs = 11, .p10_ms = -4, .p50_ms = 0, .p90_ms = 4}));
  // Of an array the row has the estimate, and the first element tests it.
  test.Estimated({{JobRef{JobId{50}}, 1'000}});
  test.Started({JobId{50}, 0}, 1'000);
  test.Estimated({{JobRef{JobId{50}}, 9'000}});
  test.Started({JobId{50}, 1}, 1'000);
  EXPECT_EQ(test.errors()->jobs, 12);
  test.Estimated({{JobRef{JobId{60}}, 1'000}});
  test.Left(JobRef{JobId{60}});
  test.Started(JobRef{JobId{60}}, 2'000);
  EXPECT_EQ(test.errors()->jobs, 12);
}

}  // namespace
}  // namespace kezek::rpc
