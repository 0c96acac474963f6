// Goal: the small parts are right: index ranges, tags, timers, launches. Method: tables, and for
// ranges every set within a small universe.

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "kezek/index_ranges.h"
#include "scheduler/control/launch_spec.h"
#include "scheduler/control/tag.h"
#include "scheduler/control/timers.h"

namespace kezek::control {
namespace {

std::set<std::int32_t> Indices(const std::vector<IndexRange>& ranges) {
  const std::vector<std::int32_t> all = FirstIndices(ranges, 1000);
  return {all.begin(), all.end()};
}

TEST(RangesTest, TakingOneOutLeavesTheOthers) {
  for (std::int32_t last = 0; last < 12; ++last) {
    for (std::int32_t step = 1; step < 5; ++step) {
      const std::vector<IndexRange> ranges = {{2, 2 + last, step}, {40, 40, 1}};
      const std::set<std::int32_t> all = Indices(ranges);
      EXPECT_EQ(CountIndices(ranges), std::ssize(all));
      for (std::int32_t index = 0; index < 45; ++index) {
        EXPECT_EQ(ContainsIndex(ranges, index), all.contains(index));
        std::set<std::int32_t> expected = all;
        expected.erase(index);
        EXPECT_EQ(Indices(WithoutIndex(ranges, index)), expected) << last << " " << step;
      }
    }
  }
}

TEST(RangesTest, FirstFew) {
  EXPECT_EQ(FirstIndices({{0, 9999, 1}}, 3), (std::vector<std::int32_t>{0, 1, 2}));
  EXPECT_EQ(FirstIndices({{5, 9, 2}, {20, 30, 10}}, 4), (std::vector<std::int32_t>{5, 7, 9, 20}));
  EXPECT_TRUE(FirstIndices({}, 4).empty());
  EXPECT_EQ(CountIndices({{5, 4, 1}}), 0);
}

std::string FakeHash(std::string_view text) {
  std::size_t sum = 7;
  for (const char c : text) sum = sum * 31 + static_cast<unsigned char>(c);
  return std::to_string(sum);
}

ClusterJob TaggedJob(std::int64_t epoch) {
  ClusterJob job;
  job.id = 5;
  job.attempt = {{JobId{48}}, 2};
  job.unix_account = "kz-a";
  job.tag = MakeTag(FakeHash, "inst", epoch, job.attempt, "kz-a");
  return job;
}

TEST(TagTest, OnlyWhatAgreesIsOurs) {
  const std::set<std::int64_t> issued{1, 3};
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, TaggedJob(3)), Belongs::kYes);
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, TaggedJob(1)), Belongs::kYes);
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, TaggedJob(4)), Belongs::kUnknownEpoch);
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, TaggedJob(2)), Belongs::kUnknownEpoch);
  EXPECT_EQ(WhoseIs(FakeHash, "other", issued, TaggedJob(3)), Belongs::kNo);
  ClusterJob job = TaggedJob(3);
  job.unix_account = "kz-b";  // the tag of another user's job
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, job), Belongs::kNo);
  job = TaggedJob(3);
  job.attempt.number = 3;
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, job), Belongs::kNo);
  job.attempt.number = 0;  // not named like one of ours
  EXPECT_EQ(WhoseIs(FakeHash, "inst", issued, job), Belongs::kNo);
}

TEST(TagTest, WhatIsNotATag) {
  for (const char* text :
       {"", "kezek", "kezek:", "kezek:a", "kezek:a:1", "kezek:a:x:h", "kezek:a:0:h", "kezek:a:-1:h",
        "kezek:a::h", "slurm:a:1:h", "kezek:a:1x:h", "kezek:a:99999999999999999999:h"}) {
    EXPECT_FALSE(ParseTag(text).has_value()) << text;
  }
  const auto parts = ParseTag("kezek:a-b:12:ff");
  ASSERT_TRUE(parts.has_value());
  EXPECT_EQ(parts->installation, "a-b");
  EXPECT_EQ(parts->epoch, 12);
  EXPECT_EQ(parts->hash, "ff");
}

TEST(TimersTest, OneTimeForEachKey) {
  Timers timers;
  const AttemptRef a{{JobId{1}}, 0};
  const AttemptRef b{{JobId{2}}, 1};
  timers.Set(a, 50);
  timers.Set(b, 40);
  timers.Set(a, 30);
  EXPECT_EQ(timers.Next(), 30);
  EXPECT_EQ(timers.PopDue(29), std::nullopt);
  EXPECT_EQ(timers.PopDue(45), a);
  EXPECT_EQ(timers.PopDue(45), b);
  EXPECT_EQ(timers.PopDue(45), std::nullopt);
  timers.Set(a, 60);
  timers.Set(a, 0);
  EXPECT_EQ(timers.Next(), std::nullopt);
}

TEST(LaunchSpecTest, EnvironmentPathsAndArrays) {
  JobSpec spec;
  spec.name = "train";
  spec.working_directory = "/home/a";
  spec.stdout_path = "out-%A_%a-%x-%u.txt";
  spec.checkpoint_path = "ckpt";
  spec.array = ArraySpec{{{1, 9, 3}, {20, 20, 1}}, 0};
  Job job;
  job.ref = {JobId{48}, 7};
  job.spec = std::make_shared<const JobSpec>(spec);
  job.preemptions = 2;
  job.resume_from = "ckpt/9";
  Attempt attempt;
  attempt.ref = {job.ref, 2};
  attempt.placement = {{"n1", 8, {}}};
  attempt.limit_ms = kHourMs;
  const LaunchContext context{.output_root = "/out",
                              .cluster_name = "c",
                              .project = "uni/nlp",
                              .unix_account = "kz-a",
                              .slurm_account = "s",
                              .qos = "q",
                              .tag = "t"};
  Launch launch = MakeLaunch(job, attempt, context);
  EXPECT_EQ(launch.stdout_path, "/home/a/out-48_7-train-kz-a.txt");
  EXPECT_EQ(launch.stderr_path, launch.stdout_path);
  EXPECT_TRUE(launch.spec.append_output) << "a second attempt appends";
  EXPECT_EQ(launch.environment.at("KEZEK_JOB_ID"), "48_7");
  EXPECT_EQ(launch.environment.at("KEZEK_ATTEMPT"), "2");
  EXPECT_EQ(launch.environment.at("KEZEK_PREEMPTED"), "2");
  EXPECT_EQ(launch.environment.at("KEZEK_CHECKPOINT"), "ckpt");
  EXPECT_EQ(launch.environment.at("KEZEK_RESUME_FROM"), "ckpt/9");
  EXPECT_EQ(launch.environment.at("SLURM_ARRAY_TASK_ID"), "7");
  EXPECT_EQ(launch.environment.at("SLURM_ARRAY_TASK_COUNT"), "4");
  EXPECT_EQ(launch.environment.at("SLURM_ARRAY_TASK_MIN"), "1");
  EXPECT_EQ(launch.environment.at("SLURM_ARRAY_TASK_MAX"), "20");
  CompleteLaunch(launch, {JobId{48}, "#!/bin/sh\n", {{"A", "1"}, {"KEZEK_ATTEMPT", "9"}}});
  EXPECT_EQ(launch.script, "#!/bin/sh\n");
  EXPECT_EQ(launch.environment.at("A"), "1");
  EXPECT_EQ(launch.environment.at("KEZEK_ATTEMPT"), "2") << "what Kezek sets wins";
}

TEST(LaunchSpecTest, WithoutPathsOutputGoesToTheAttemptsFolder) {
  Job job;
  job.ref = {JobId{48}};
  job.spec = std::make_shared<const JobSpec>();
  Attempt attempt;
  attempt.ref = {job.ref, 1};
  const Launch launch = MakeLaunch(job, attempt, {.output_root = "/out"});
  EXPECT_EQ(launch.stdout_path, "/out/48/1/stdout");
  EXPECT_FALSE(launch.spec.append_output);
  EXPECT_FALSE(launch.environment.contains("SLURM_ARRAY_TASK_ID"));
}

// `kezek submit` in a job's script copies an environment that is that job's.
TEST(LaunchSpecTest, NothingOfTheJobThatSubmittedItIsInherited) {
  Job job;
  job.ref = {JobId{49}};
  job.spec = std::make_shared<const JobSpec>();
  Attempt attempt;
  attempt.ref = {job.ref, 1};
  Launch launch = MakeLaunch(job, attempt, {.output_root = "/out", .project = "uni/nlp"});
  JobPayload payload{.id = job.ref.id, .script = "#!/bin/sh\n", .environment = {}};
  for (const char* name :
       {"KEZEK_JOB_ID",          "KEZEK_ATTEMPT",       "KEZEK_OUTPUT_DIR",   "KEZEK_PROJECT",
        "KEZEK_PREEMPTED",       "KEZEK_CLUSTER",       "KEZEK_CHECKPOINT",   "KEZEK_RESUME_FROM",
        "KEZEK_BEGUN",           "SLURM_RESTART_COUNT", "SLURM_ARRAY_JOB_ID", "SLURM_ARRAY_TASK_ID",
        "SLURM_ARRAY_TASK_STEP", "KEZEK_TOKEN",         "KEZEK_CONTEXT",      "KEZEK_CONFIG",
        "KEZEK_ENDPOINT",        "KEZEK_CA_FILE",       "MY_KEZEK_ATTEMPT",   "PATH"}) {
    payload.environment[name] = "the submitter's";
  }
  CompleteLaunch(launch, payload);
  std::vector<std::string> inherited;
  for (const auto& [name, value] : launch.environment) {
    if (value == "the submitter's") inherited.push_back(name);
  }
  EXPECT_EQ(inherited, (std::vector<std::string>{"KEZEK_CA_FILE", "KEZEK_CONFIG", "KEZEK_CONTEXT",
                                                 "KEZEK_ENDPOINT", "KEZEK_TOKEN",
                                                 "MY_KEZEK_ATTEMPT", "PATH", "SLURM_ARRAY_JOB_ID",
                                                 "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_STEP"}))
      << "as sbatch hands on those of an array";
  EXPECT_EQ(launch.environment.at("KEZEK_JOB_ID"), "49");
  EXPECT_EQ(launch.environment.at("KEZEK_PREEMPTED"), "0");
}

// Whatever a launch sets for its job and only sometimes, another job does not get from it.
TEST(LaunchSpecTest, WhatALaunchSetsAloneIsNotHandedOn) {
  JobSpec spec;
  spec.checkpoint_path = "ckpt";
  spec.array = ArraySpec{{{1, 9, 3}}, 0};
  Job job;
  job.ref = {JobId{48}, 7};
  job.spec = std::make_shared<const JobSpec>(spec);
  job.resume_from = "ckpt/9";
  Attempt attempt;
  attempt.ref = {job.ref, 2};
  const Launch parent =
      MakeLaunch(job, attempt, {.output_root = "/out", .cluster_name = "c", .project = "uni/nlp"});
  Launch child;
  CompleteLaunch(child, {JobId{49}, "#!/bin/sh\n", parent.environment});
  std::erase_if(child.environment, [](const auto& one) {
    return one.first.starts_with("SLURM_ARRAY_");  // as sbatch does
  });
  EXPECT_EQ(child.environment, (std::map<std::string, std::string>{{"KEZEK_PROJECT", "uni/nlp"}}))
      << "which is set for every job, and for the command line";
}

}  // namespace
}  // namespace kezek::control
