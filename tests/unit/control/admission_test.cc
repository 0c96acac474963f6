// Goal: what a user leaves open is completed as semantics say, and what can never run is refused
// with the field, as the API calls it, and the way out. Method: one small machine and tree; a table
// of refusals.

#include "scheduler/control/admission.h"

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "kezek/v1/job_spec.pb.h"
#include "scheduler/control/directory.h"
#include "scheduler/sim/workload.h"
#include "tests/support/field_path.h"

namespace kezek::control {
namespace {

constexpr AccountId kProject{5};

class AdmissionTest : public ::testing::Test {
 protected:
  static Admission Make(const std::function<void(Account&)>& change = {},
                        const ControlConfig& config = sim::SimConfig()) {
    Snapshot snapshot;
    snapshot.accounts = sim::SimAccounts();
    for (Account& account : snapshot.accounts) {
      if (change && account.id == kProject) change(account);
    }
    std::map<std::string, Node> nodes;
    for (Node& node : sim::SimNodes()) {
      node.cleared = config.classifications;
      nodes[node.name] = node;
    }
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

TEST_F(AdmissionTest, TimeLimitsAreWholeMinutesFromProjectOrClass) {
  JobSpec spec = Open(1, 1);
  spec.time_limit_ms = 61'000;
  EXPECT_EQ(Make().Complete(spec)->time_limit_ms, 2 * kMinuteMs);
  const auto with_default = [](Account& account) {
    account.settings.default_time_limit_ms = 3 * kHourMs;
  };
  EXPECT_EQ(Make(with_default).Complete(Open(1, 1))->time_limit_ms, 3 * kHourMs);
}

TEST_F(AdmissionTest, AJobThatNamesNoClassGetsItsProjectsOrTheConfigurations) {
  const auto with_default = [](Account& account) { account.settings.default_class = "debug"; };
  const Admission admission = Make(with_default);
  const Result<JobSpec> spec = admission.Complete(Open(1, 1));
  ASSERT_TRUE(spec.has_value()) << spec.error().message;
  EXPECT_EQ(spec->job_class, "debug");
  JobSpec named = Open(1, 1);
  named.job_class = "realtime";
  EXPECT_EQ(admission.Complete(named)->job_class, "realtime");
  ControlConfig config = sim::SimConfig();
  config.default_class = "scavenger";
  EXPECT_EQ(Make({}, config).Complete(Open(1, 1))->job_class, "scavenger");
  EXPECT_EQ(Make(with_default, config).Complete(Open(1, 1))->job_class, "debug");
}

TEST_F(AdmissionTest, MoreThanThePartOfGpusCountsMore) {
  JobSpec spec = Open(1, 1);
  spec.shape.memory_mib_per_node = 512'000;
  const Admission admission = Make();
  EXPECT_EQ(admission.Counted(*admission.Complete(spec)), 4000);
  spec.shape.memory_mib_per_node = -1;
  EXPECT_EQ(admission.Complete(spec)->shape.memory_mib_per_node, 1'024'000);
}

TEST_F(AdmissionTest, AClassificationThatBarsNeighboursTakesWholeNodes) {
  ControlConfig config = sim::SimConfig();
  config.classifications = {"public", "internal", "secret", "top"};
  config.alone_from = "secret";
  const Admission admission = Make({}, config);
  for (const auto& [classification, counted] : std::map<std::string, MilliGpus>{
           {"", 2000}, {"public", 2000}, {"internal", 2000}, {"secret", 16'000}, {"top", 16'000}}) {
    JobSpec spec = Open(2, 1);
    spec.classification = classification;
    const Result<JobSpec> complete = admission.Complete(spec);
    ASSERT_TRUE(complete.has_value()) << classification << complete.error().message;
    EXPECT_EQ(admission.Counted(*complete), counted) << classification;
  }
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
       Code::kFailedPrecondition, "topology.within", "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) {
         s.job_class = "debug";
         s.time_limit_ms = 2 * kHourMs;
       },
       Code::kFailedPrecondition, "time_limit_ms", "TIME_LIMIT_TOO_LONG"},
      {[](JobSpec& s) { s.shape.memory_mib_per_node = 1'024'001; }, Code::kFailedPrecondition,
       "shape.memory_per_node_mib", "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) { s.constraints = {"nvme"}; }, Code::kFailedPrecondition, "constraints",
       "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) { s.nodes = {"n99"}; }, Code::kFailedPrecondition, "nodelist",
       "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) {
         for (const Node& node : sim::SimNodes()) s.exclude_nodes.push_back(node.name);
       },
       Code::kFailedPrecondition, "exclude_nodes", "NEVER_FITS_MACHINE"},
      {[](JobSpec& s) { s.classification = "secret"; }, Code::kFailedPrecondition,
       "data_classification", "CLASSIFICATION_NOT_ALLOWED"},
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
    EXPECT_EQ(result.error().details[0].field, c.field);
    EXPECT_TRUE(IsFieldPath(*v1::JobSpec::descriptor(), c.field)) << c.field;
  }
}

TEST_F(AdmissionTest, WhatNoBudgetCouldEverHoldIsRefused) {
  constexpr TimeMs kNow = 100 * kDayMs;
  const Admission admission = Make([](Account& account) {
    account.settings.budgets = {{.name = "2026",
                                 .milli_gpu_hours = 10'000,
                                 .start_ms = kNow - kDayMs,
                                 .end_ms = kNow + 30 * kDayMs}};
  });
  const auto nothing = [](const BudgetRef&) -> MilliGpuMs { return 0; };
  JobSpec spec = Open(2, 8);
  spec.time_limit_ms = kHourMs;
  const Result<JobSpec> complete = admission.Complete(spec);
  ASSERT_TRUE(complete.has_value()) << complete.error().message;
  const Result<void> refused = admission.CheckBudgets(*complete, kNow, nothing);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kFailedPrecondition);
  EXPECT_EQ(refused.error().details.at(0).reason, "NEVER_FITS_BUDGET");
  EXPECT_EQ(refused.error().details.at(0).field, "time_limit_ms");
  EXPECT_NE(refused.error().details.at(0).message.find("a time limit of 35 min would fit"),
            std::string::npos)
      << refused.error().details.at(0).message;
  EXPECT_TRUE(admission
                  .CheckBudgets(*complete, kNow,
                                [](const BudgetRef&) -> MilliGpuMs { return 10'000 * kHourMs; })
                  .has_value());
  JobSpec later = *complete;
  later.begin_ms = kNow + 40 * kDayMs;
  EXPECT_TRUE(admission.CheckBudgets(later, kNow, nothing).has_value());
  JobSpec scavenger = *complete;
  scavenger.job_class = "scavenger";
  EXPECT_TRUE(admission.CheckBudgets(scavenger, kNow, nothing).has_value());
}

TEST_F(AdmissionTest, FullQueuesRefuse) {
  const Admission admission =
      Make([](Account& account) { account.settings.account_limits.jobs_queued = 3; });
  const QueuedJobs queued{{{kProject, 2}}, {}, {}};
  EXPECT_TRUE(admission.CheckQueue(queued, UserId{1}, Open(1, 1)).has_value());
  JobSpec array = Open(1, 1);
  array.array = ArraySpec{{{0, 1, 1}}, 0};
  const Result<void> refused = admission.CheckQueue(queued, UserId{1}, array);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().code, Code::kResourceExhausted);
}

TEST_F(AdmissionTest, WhatNeverFitsNamesTheNodesItMayUse) {
  const std::string first = sim::SimNodes().front().name;
  const auto refused = [](const Admission& admission) {
    const Result<JobSpec> spec = admission.Complete(Open(999, 1));
    return spec ? FieldError{} : spec.error().details.at(0);
  };
  EXPECT_EQ(refused(Make()).message.find("No set of nodes of this machine has this shape;"), 0U)
      << refused(Make()).message;
  const FieldError own =
      refused(Make([&](Account& account) { account.settings.dedicated_nodes = {first}; }));
  EXPECT_EQ(own.reason, "NEVER_FITS_MACHINE");
  EXPECT_EQ(own.values.at("pool"), "shared");
  EXPECT_EQ(
      own.message.find("No set of shared nodes of this machine has this shape, nor has one of "
                       "those dedicated to " +
                       own.values.at("dedicated")),
      0U)
      << own.message;
  ControlConfig config = sim::SimConfig();
  config.classes.at("normal").nodes = {first};
  const FieldError lane = refused(Make({}, config));
  EXPECT_EQ(lane.values.at("lane"), "normal");
  EXPECT_EQ(lane.message.find("No set of nodes of class normal has this shape;"), 0U)
      << lane.message;
}

}  // namespace
}  // namespace kezek::control
