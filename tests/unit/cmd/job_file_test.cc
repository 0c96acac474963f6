// Goal: a job file says in YAML exactly what the API's message says, one job in each document;
// whatever is wrong names its line; the files that `kezek job init` writes are such files, and
// every line that is commented out in them is right once it is not. Method: texts.

#include "cmd/kezek/job_file.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace kezek::cli {
namespace {

constexpr std::int64_t kNowMs = 1'795'246'200'000;

std::string Refusal(const std::string& text) {
  const auto jobs = ParseJobFile(text, "job.yaml", kNowMs);
  return jobs ? "taken" : jobs.error().message;
}

const std::string kScript = "script: |\n  #!/bin/sh\n  true\n";

TEST(JobFileTest, FieldsAreTheApis) {
  const auto jobs = ParseJobFile(R"(
name: lm
kind: training
shape: {nodes: 4, gpus_per_node: 8, exclusive: true}
topology:
  within: leaf
time_limit_ms: 12h
begin_ms: now+1hour
deadline_ms: 1795333000000
dependencies:
  - {kind: AFTER_OK, job: 48210_3}
  - {kind: DEPENDENCY_KIND_AFTER, job: "7", delay_ms: 60000}
array: {indices: 0-9, max_running: 2}
requeue: {enabled: true, max_attempts: 3}
environment: {A: "1", B: two words}
rlimits: {NOFILE: 1024}
arguments: [--epochs, "3"]
umask: 63
script: |
  #!/bin/bash
  srun train
)",
                                 "job.yaml", kNowMs);
  ASSERT_TRUE(jobs) << jobs.error().message;
  v1::JobSpec expected;
  ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(R"(
    name: "lm" kind: JOB_KIND_TRAINING shape { nodes: 4 gpus_per_node: 8 exclusive: true }
    topology { within: DOMAIN_LEAF } time_limit_ms: 43200000 begin_ms: 1795249800000
    deadline_ms: 1795333000000
    dependencies { kind: DEPENDENCY_KIND_AFTER_OK job: "48210_3" }
    dependencies { kind: DEPENDENCY_KIND_AFTER job: "7" delay_ms: 60000 }
    array { indices: "0-9" max_running: 2 } requeue { enabled: true max_attempts: 3 }
    environment { key: "A" value: "1" } environment { key: "B" value: "two words" }
    rlimits { key: "NOFILE" value: 1024 } arguments: "--epochs" arguments: "3" umask: 63
    script: "#!/bin/bash\nsrun train\n")",
                                                            &expected));
  std::string ours;
  std::string theirs;
  google::protobuf::TextFormat::PrintToString(jobs->at(0).spec, &ours);
  google::protobuf::TextFormat::PrintToString(expected, &theirs);
  EXPECT_EQ(ours, theirs);
  EXPECT_TRUE(jobs->at(0).has_environment);
}

TEST(JobFileTest, EachDocumentIsAJob) {
  const auto jobs =
      ParseJobFile("name: a\n" + kScript + "---\n---\nname: b\n" + kScript, "job.yaml", kNowMs);
  ASSERT_TRUE(jobs) << jobs.error().message;
  ASSERT_EQ(jobs->size(), 2U);
  EXPECT_EQ(jobs->at(1).spec.name(), "b");
  EXPECT_EQ(jobs->at(1).line, 7);
  EXPECT_FALSE(jobs->at(1).has_environment);
}

TEST(JobFileTest, WhatIsWrongNamesItsLine) {
  const std::vector<std::pair<std::string, std::string>> rows = {
      {"name: a\nshap: {}\n", "job.yaml line 2: 'shap' is no field of a job; there is shape"},
      {"shape:\n  nodes: 2\n  gpu: 4\n",
       "job.yaml line 3: 'shape.gpu' is no field of a job; there is gpus_per_node, gpus, gpu_type, "
       "gpus_per_task, cpus_per_gpu, memory_per_gpu_mib"},
      {"name: a\nname: b\n", "job.yaml line 2: 'name' is there twice"},
      {"shape: 4\n", "job.yaml line 1: shape: expected fields, one a line"},
      {"shape: {nodes: two}\n", "job.yaml line 1: shape.nodes: expected a whole number"},
      {"shape: {nodes: 99999999999}\n", "job.yaml line 1: shape.nodes: the number is too large"},
      {"hold: yes\n", "job.yaml line 1: hold: expected true or false"},
      {"\nkind: slow\n",
       "job.yaml line 2: kind: expected one of batch, training, inference, interactive"},
      {"kind: unspecified\n",
       "job.yaml line 1: kind: expected one of batch, training, inference, interactive"},
      {"arguments: one\n", "job.yaml line 1: arguments: expected a list, such as [a, b]"},
      {"arguments:\n  - [a]\n", "job.yaml line 2: arguments: expected one value"},
      {"environment: [A]\n", "job.yaml line 1: environment: expected names with values"},
      {"- name: a\n", "job.yaml line 1: expected fields, one a line"},
      {"name: a\n", "job.yaml line 1: 'script' is missing"},
      {"", "job.yaml: there is no job in it"},
      {"name: a\ncomment: 'caf\xe9'\n",
       "job.yaml line 2: not UTF-8: convert it, for example with iconv"},
      {"- a\n,", "job.yaml line 2: what stands here belongs to nothing, such as a stray ','"},
      {"labels: {a: x, b: y, a: z}\n", "job.yaml line 1: 'labels.a' is there twice"},
      {"labels: {[a]: x}\n", "job.yaml line 1: labels: expected a name"},
  };
  for (const auto& [text, message] : rows) EXPECT_EQ(Refusal(text), message) << text;
  EXPECT_EQ(Refusal("time_limit_ms: soon\n").find("job.yaml line 1: time_limit_ms: "), 0U);
  EXPECT_EQ(Refusal("name: [a\n").find("job.yaml line 2: "), 0U) << Refusal("name: [a\n");
  // The second document's error, though the first is right.
  EXPECT_EQ(Refusal(kScript + "---\nfoo: 1\n"), "job.yaml line 5: 'foo' is no field of a job");
}

// The template with every commented field in force.
std::string Uncommented(const std::string& text) {
  std::istringstream lines(text);
  std::string result;
  bool head = true;
  for (std::string line; std::getline(lines, line);) {
    head = head && line.starts_with("# ");
    const auto mark = line.find("# ");
    const bool field = !head && mark != std::string::npos && line.find_first_not_of(' ') == mark &&
                       !line.starts_with("  #!/");
    result += (field ? line.substr(0, mark) + line.substr(mark + 2) : line) + "\n";
  }
  return result;
}

TEST(JobFileTest, TheTemplatesAreJobFiles) {
  for (const char* kind : {"training", "inference", "interactive", "batch"}) {
    const auto text = JobFileTemplate(kind);
    ASSERT_TRUE(text) << kind;
    const auto jobs = ParseJobFile(*text, "job.yaml", kNowMs);
    ASSERT_TRUE(jobs) << jobs.error().message;
    EXPECT_EQ(jobs->at(0).spec.name(), std::string("my-") + kind);
    const auto all = ParseJobFile(Uncommented(*text), "job.yaml", kNowMs);
    ASSERT_TRUE(all) << all.error().message << "\n" << Uncommented(*text);
    EXPECT_GT(all->at(0).spec.ByteSizeLong(), jobs->at(0).spec.ByteSizeLong() + 100) << kind;
  }
  EXPECT_FALSE(JobFileTemplate("slow"));
}

}  // namespace
}  // namespace kezek::cli
