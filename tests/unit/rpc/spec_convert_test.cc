// Goal: every field of a wire spec is carried, or refused by name; nothing malformed gets through.
// Method: a spec with everything set, there and back; a test that fails when the proto gets a
// field that is in neither list; and the table of malformed fields.

#include "rpc/spec_convert.h"

#include <google/protobuf/text_format.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

#include "tests/unit/rpc/bad_fields.h"
#include "tests/unit/rpc/rpc_world.h"

namespace kezek::rpc {
namespace {

v1::JobSpec Plain() {
  v1::JobSpec spec;
  spec.set_script("#!/bin/bash\nhostname\n");
  spec.set_working_dir("/home/kz-aizhan");
  return spec;
}

Result<SpecParts> ReadWire(const v1::JobSpec& wire) {
  World world;
  world.directory.reservations["course"] = {.name = "course"};
  return ReadSpec(wire, *world.MakeView(), kBadFieldLimits);
}

const char kEverything[] = R"(
  name: "llm" project: "universities/kaznu/nlp" job_class: "normal" kind: JOB_KIND_TRAINING
  arguments: "--epochs" arguments: "3"
  shape { nodes: 2 gpus_per_node: 8 gpu_type: "h200" ntasks: 16 ntasks_per_node: 8
          cpus_per_node: 16 memory_per_node_mib: 1000 exclusive: true }
  topology { within: DOMAIN_BLOCK prefer: DOMAIN_LEAF spread: SPREAD_NODE }
  time_limit_ms: 3600000 time_min_ms: 60000 begin_ms: 1000000 deadline_ms: 900000000000
  dependencies { kind: DEPENDENCY_KIND_AFTER_OK job: "7" }
  dependencies { kind: DEPENDENCY_KIND_AFTER job: "8_3" delay_ms: 600000 }
  kill_on_invalid_dependency: false
  array { indices: "0-9,20-30:5" max_running: 4 }
  requeue { enabled: true max_attempts: 3 }
  signal { name: "USR1" before_end_ms: 120000 batch_only: true grace_ms: 30000 }
  checkpoint_path: "ckpt" data_classification: "internal" working_dir: "/home/aizhan"
  stdin_path: "in" stdout_path: "out-%j" stderr_path: "err-%j" open_mode: OPEN_MODE_APPEND
  comment: "line one\nline two" constraints: "nvme" nodelist: "n01" exclude_nodes: "n07"
  reservation: "course"
  user_priority: -5 container_image: "docker://x" umask: 63
  labels { key: "team" value: "speech" })";

TEST(Spec, EveryFieldIsCarriedThereAndBack) {
  v1::JobSpec wire;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kEverything, &wire));
  wire.set_script("#!/bin/sh\n");
  auto read = ReadWire(wire);
  ASSERT_TRUE(read) << read.error().message;
  read->spec.project = World::kNlp;
  v1::JobSpec back;
  FillSpec(World().directory, read->spec, &back);
  wire.clear_script();
  google::protobuf::util::MessageDifferencer differ;
  std::string difference;
  differ.ReportDifferencesToString(&difference);
  EXPECT_TRUE(differ.Compare(wire, back)) << difference;
}

// What is not in the answer has its own way, or is refused: said here, field by field.
TEST(Spec, EveryFieldOfTheProtoIsAccountedFor) {
  v1::JobSpec everything;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(kEverything, &everything));
  const std::set<std::string> elsewhere = {"script",     "environment",    "submit_host",
                                           "submit_dir", "rlimits",           // the payload
                                           "hold",       "ignored_options"};  // submission
  const auto* type = v1::JobSpec::descriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    const auto* reflection = v1::JobSpec::GetReflection();
    const bool set = field->is_repeated() ? reflection->FieldSize(everything, field) > 0
                                          : reflection->HasField(everything, field);
    EXPECT_NE(set, elsewhere.contains(field->name())) << field->name();
  }
}

TEST(Spec, AReservationIsTakenWithAWarningWhereNothingIsReserved) {
  v1::JobSpec wire = Plain();
  wire.set_reservation("course");
  const auto read = ReadSpec(wire, *World().MakeView(), kBadFieldLimits);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->spec.reservation, "");
  ASSERT_EQ(read->warnings.size(), 1U);
  EXPECT_EQ(read->warnings[0].fields.at("field"), "reservation");
}

TEST(Spec, ThePayloadTakesTheEnvironmentAndThePlaceOfSubmission) {
  v1::JobSpec wire = Plain();
  (*wire.mutable_environment())["A"] = "1";
  wire.set_submit_host("login1");
  auto read = ReadWire(wire);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->environment.at("A"), "1");
  EXPECT_EQ(read->environment.at("SLURM_SUBMIT_HOST"), "login1");
  EXPECT_EQ(read->environment.at("SLURM_SUBMIT_DIR"), "/home/kz-aizhan");
  wire.set_submit_dir("/elsewhere");
  EXPECT_EQ(ReadWire(wire)->environment.at("SLURM_SUBMIT_DIR"), "/elsewhere");
}

// As sbatch does it, so that srun and slurmd find them.
TEST(Spec, ThePayloadTakesTheVariablesThatSbatchAdds) {
  v1::JobSpec wire = Plain();
  EXPECT_EQ(ReadWire(wire)->environment.size(), 1U) << "nothing asked, nothing said";
  wire.mutable_shape()->set_nodes(2);
  wire.mutable_shape()->set_ntasks_per_node(4);
  wire.mutable_shape()->set_cpus_per_task(2);
  wire.mutable_shape()->set_gpus(8);
  for (const char* job : {"7", "8"}) {
    wire.add_dependencies()->set_kind(v1::DEPENDENCY_KIND_AFTER_OK);
    wire.mutable_dependencies()->rbegin()->set_job(job);
  }
  wire.add_dependencies()->set_kind(v1::DEPENDENCY_KIND_AFTER_ANY);
  wire.mutable_dependencies()->rbegin()->set_job("9_1");
  wire.set_open_mode(v1::OPEN_MODE_APPEND);
  (*wire.mutable_rlimits())["NOFILE"] = 1024;
  (*wire.mutable_rlimits())["CORE"] = -1;
  const std::map<std::string, std::string> expected = {
      {"SLURM_SUBMIT_DIR", "/home/kz-aizhan"},
      {"SLURM_NTASKS", "8"},
      {"SLURM_NPROCS", "8"},
      {"SLURM_NTASKS_PER_NODE", "4"},
      {"SLURM_CPUS_PER_TASK", "2"},
      {"SLURM_GPUS", "8"},
      {"SLURM_JOB_DEPENDENCY", "afterok:7:8,afterany:9_1"},
      {"SLURM_OPEN_MODE", "a"},
      {"SLURM_RLIMIT_NOFILE", "1024"},
      {"SLURM_RLIMIT_CORE", "18446744073709551615"}};
  const auto read = ReadWire(wire);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->environment, expected);
}

TEST(Spec, DefaultsAreThose) {
  const auto read = ReadWire(Plain());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->spec.name, "job");
  EXPECT_EQ(read->spec.kind, JobKind::kBatch);
  EXPECT_EQ(read->spec.job_class, "") << "the desk's to choose";
  EXPECT_EQ(read->spec.time_limit_ms, 0) << "the desk's to choose";
  EXPECT_EQ(read->spec.umask, 0022);
  EXPECT_TRUE(read->spec.requeue) << "a job whose node fails queues again";
  EXPECT_EQ(read->spec.max_attempts, 1) << "a script that fails does not";
  EXPECT_TRUE(read->spec.kill_on_invalid_dependency);
  EXPECT_FALSE(read->hold);
  EXPECT_TRUE(read->warnings.empty());
}

TEST(Spec, TimesAreRoundedUp) {
  v1::JobSpec wire = Plain();
  wire.set_time_limit_ms(61'000);
  wire.mutable_signal()->set_name("10");
  wire.mutable_signal()->set_before_end_ms(1'001);
  const auto read = ReadWire(wire);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->spec.time_limit_ms, 120'000);
  EXPECT_EQ(read->spec.signal.before_end_ms, 2'000);
  EXPECT_EQ(read->spec.signal.name, "USR1");
}

TEST(Spec, OptionsWithoutEffectBecomeWarnings) {
  v1::JobSpec wire = Plain();
  wire.add_ignored_options("--partition=gpu");
  wire.set_time_min_ms(60'000);
  wire.mutable_signal()->set_grace_ms(30'000);
  const auto read = ReadWire(wire);
  ASSERT_TRUE(read);
  std::set<std::string> fields;
  for (const Reason& warning : read->warnings) {
    EXPECT_EQ(warning.code, ReasonCode::kWarning);
    fields.insert(warning.fields.at("field"));
  }
  EXPECT_EQ(fields, (std::set<std::string>{"--partition=gpu", "time_min_ms"}));
}

TEST(Spec, WhatIsMalformedIsRefusedByName) {
  EXPECT_GE(BadFields().size(), 60U);
  for (const auto& bad : BadFields()) {
    v1::JobSpec wire = Plain();
    bad.spoil(wire);
    SCOPED_TRACE(std::string(bad.field) + ": " + wire.ShortDebugString().substr(0, 200));
    const auto read = ReadWire(wire);
    ASSERT_FALSE(read);
    const FieldError& detail = read.error().details.at(0);
    EXPECT_EQ(detail.field, "spec." + std::string(bad.field)) << detail.message;
    EXPECT_EQ(detail.reason, bad.reason) << detail.message;
    EXPECT_FALSE(detail.message.empty());
  }
}

}  // namespace
}  // namespace kezek::rpc
