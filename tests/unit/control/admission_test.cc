// Goal: what a user leaves open is completed as semantics say, and what can never run is refused
// with the field and the way out. Method: one small machine and tree; a table of refusals.

#include "scheduler/control/admission.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "scheduler/control/directory.h"
#include "scheduler/sim/workload.h"

namespace kezek::control {
namespace {

constexpr AccountId kProject{5};

class AdmissionTest : public ::testing::Test {
 protected:
  static Admission Make(const std::function<void(Account&)>& change = {}) {
    Snapshot snapshot;
    snapshot.accounts = sim::SimAccounts();
    for (Account& account : snapshot.accounts) {
      if (change && account.id == kProject) change(account);
    }
    std::map<std::string, Node> nodes;
    for (const Node& node : sim::SimNodes()) nodes[node.name] = node;
    const ControlConfig config = sim::SimConfig();
    return {config, std::make_shared<const Directory>(MakeDirectory(config, snapshot)), nodes};
  }
  // Nothing said but the project and the GPUs.
  static JobSpec Open(std::int32_t nodes, std::int32_t gpus) {
    JobSpec spec;
    spec.project = kProject;
    spec.job_class = "";
    spec.shape.nodes = nodes;
    spec.shape.gpus_per_node = gpus;
    spec.ntasks = spec.ntasks_per_node = spec.cpus_per_task = 0;
    return spec;
  }
};

TEST_F(AdmissionTest, DefaultsAreTheJobsPartOfItsNode) {
  const Result<JobSpec> spec = Make().Complete(Open(1, 2));
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->job_class, "normal");
  EXPECT_EQ(spec->shape.gpu_type, "h200");
  EXPECT_EQ(spec->shape.cpus_per_node, 16);
  EXPECT_EQ(spec->shape.memory_mib_per_node, 256'000);
  EXPECT_EQ(spec->ntasks, 1);
  EXPECT_EQ(spec->cpus_per_task, 16);
  EXPECT_EQ(spec->time_limit_ms, kHourMs);
  EXPECT_EQ(Make().Counted(*spec), 2000);
}

TEST_F(AdmissionTest, WhatIsCompleteStaysAsItIs) {
  const Admission admission = Make();
  const Result<JobSpec> once = admission.Complete(Open(2, 4));
  ASSERT_TRUE(once.has_value());
  const Result<JobSpec> twice = admission.Complete(*once);
  ASSERT_TRUE(twice.has_value());
  EXPECT_EQ(*once, *twice);
}

TEST_F(AdmissionTest, TotalsAreSpreadOverTheFewestNodes) {
  const auto shape = [](std::int32_t total) {
    const Result<JobSpec> spec = Make().Complete(Open(0, total));
    return spec ? std::pair(spec->shape.nodes, spec->shape.gpus_per_node) : std::pair(0, 0);
  };
  EXPECT_EQ(shape(1), std::pair(1, 1));
  EXPECT_EQ(shape(8), std::pair(1, 8));
  EXPECT_EQ(shape(12), std::pair(2, 6));
  EXPECT_EQ(shape(9), std::pair(3, 3));
  EXPECT_EQ(shape(64), std::pair(8, 8));
  const Result<JobSpec> odd = Make().Complete(Open(0, 11));
  ASSERT_FALSE(odd.has_value());
  EXPECT_EQ(odd.error().details.at(0).field, "shape.gpus");
  EXPECT_NE(odd.error().message.find("10 or 12"), std::string::npos) << odd.error().message;
}

TEST_F(AdmissionTest, TimeLimitsAreWholeMinutesFromProjectOrClass) {
  JobSpec spec = Open(1, 1);
  spec.time_limit_ms = 61'000;
  EXPECT_EQ(Make().Complete(spec)->time_limit_ms, 2 * kMinuteMs);
  const auto with_default = [](Account& account) {
    account.settings.default_time_limit_ms = 3 * kHourMs;
  };
  EXPECT_EQ(Make(with_default).Complete(Open(1, 1))->time_limit_ms, 3 * kHourMs);
}

TEST_F(AdmissionTest, MoreThanThePartOfGpusCountsMore) {
  JobSpec spec = Open(1, 1);
  spec.shape.memory_mib_per_node = 512'000;
  const Admission admission = Make();
  EXPECT_EQ(admission.Counted(*admission.Complete(spec)), 4000);
  spec.shape.memory_mib_per_node = -1;
  EXPECT_EQ(admission.Complete(spec)->shape.memory_mib_per_node, 1'024'000);
}

TEST_F(AdmissionTest, RefusalsNameTheField) {
  struct Case {
    std::function<void(JobSpec&)> change;
    Code code;
    std::string field;
    std::string reason;
  };
  const std::vector<Case> cases = {
      {[](JobSpec& s) { s.shape.gpus_per_node = -1; }, Code::kInvalidArgument,
       "shape.gpus_per_node", "OUT_OF_RANGE"},
      {[](JobSpec& s) { s.shape.gpu_type = "a100"; }, Code::kInvalidArgument, "shape.gpu_type",
       "NO_SUCH_GPU_TYPE"},
      {[](JobSpec& s) { s.job_class = "gold"; }, Code::kInvalidArgument, "job_class",
       "NO_SUCH_CLASS"},
      {[](JobSpec& s) { s.project = AccountId{99}; }, Code::kNotFound, "project",
       "NO_SUCH_ACCOUNT"},
      {[](JobSpec& s) { s.shape.gpus_per_node = 9; }, Code::kFailedPrecondition,
       "shape.gpus_per_node", "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) { s.shape.nodes = 9; }, Code::kFailedPrecondition, "shape.nodes",
       "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) {
         s.shape.nodes = 5;
         s.within = Domain::kLeaf;
       },
       Code::kFailedPrecondition, "within", "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) {
         s.job_class = "debug";
         s.time_limit_ms = 2 * kHourMs;
       },
       Code::kFailedPrecondition, "time_limit", "TIME_LIMIT_TOO_LONG"},
      {[](JobSpec& s) { s.array = ArraySpec{}; }, Code::kInvalidArgument, "array.indices",
       "REQUIRED"},
      {[](JobSpec& s) {
         s.time_limit_ms = kHourMs;
         s.time_min_ms = 2 * kHourMs;
       },
       Code::kInvalidArgument, "time_min_ms", "OUT_OF_RANGE"},
      {[](JobSpec& s) {
         s.shape.nodes = 4;
         s.ntasks = 3;
       },
       Code::kInvalidArgument, "shape.ntasks", "FEWER_TASKS_THAN_NODES"},
  };
  for (const Case& c : cases) {
    JobSpec spec = Open(1, 1);
    c.change(spec);
    const Result<JobSpec> result = Make().Complete(spec);
    ASSERT_FALSE(result.has_value()) << c.field;
    EXPECT_EQ(result.error().code, c.code) << result.error().message;
    ASSERT_EQ(result.error().details.size(), 1U);
    EXPECT_EQ(result.error().details[0].reason, c.reason);
    EXPECT_EQ(result.error().details[0].field.substr(0, c.field.size()), c.field);
  }
}

TEST_F(AdmissionTest, FullQueuesRefuse) {
  const Admission admission =
      Make([](Account& account) { account.settings.account_limits.jobs_queued = 3; });
  View view;
  view.queued_in_account[kProject] = 2;
  EXPECT_TRUE(admission.Admit(view, UserId{1}, Open(1, 1)).has_value());
  JobSpec array = Open(1, 1);
  array.array = ArraySpec{{{0, 1, 1}}, 0};
  const Result<JobSpec> refused = admission.Admit(view, UserId{1}, array);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
}

}  // namespace
}  // namespace kezek::control
