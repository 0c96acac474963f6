// Goal: every option of a batch script that Kezek understands becomes the field it stands for,
// whether an #SBATCH line, a #KEZEK line or a flag says it; what has no effect is a warning; and
// whatever else sbatch knows is an error that names the line. Method: a table of options, each in
// all three places, against the submission in protobuf's text form; the table must name every
// option that the parser has, so that a new one cannot go untested.

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "cmd/kezek/spec.h"
#include "script/option_table.h"
#include "script/parse.h"

namespace kezek::cli {
namespace {

constexpr std::int64_t kNowMs = 1'795'246'200'000;

struct Row {
  const char* option;
  const char* spec;  // what it adds to an empty submission
};

// Understood by sbatch too.
const Row kRows[] = {
    {"-J lm", "name: \"lm\""},
    {"--job-name=lm", "name: \"lm\""},
    {"-A nlp", "project: \"nlp\""},
    {"--account=kaznu/nlp", "project: \"kaznu/nlp\""},
    {"-q debug", "job_class: \"debug\""},
    {"--qos=debug", "job_class: \"debug\""},
    {"-N 2", "shape { nodes: 2 }"},
    {"-N2", "shape { nodes: 2 }"},
    {"--nodes=2", "shape { nodes: 2 }"},
    {"-n 8", "shape { ntasks: 8 }"},
    {"--ntasks=8", "shape { ntasks: 8 }"},
    {"--ntasks-per-node=4", "shape { ntasks_per_node: 4 }"},
    {"--tasks-per-node=4", "shape { ntasks_per_node: 4 }"},
    {"-c 6", "shape { cpus_per_task: 6 }"},
    {"--cpus-per-task=6", "shape { cpus_per_task: 6 }"},
    {"--gres=gpu", "shape { gpus_per_node: 1 }"},
    {"--gres=gpu:4", "shape { gpus_per_node: 4 }"},
    {"--gres=gpu:h200:4", "shape { gpus_per_node: 4 gpu_type: \"h200\" }"},
    {"--gres=gres:gpu:4", "shape { gpus_per_node: 4 }"},
    {"--gres=none", "shape { gpus_per_node: 0 }"},
    {"-G 8", "shape { gpus: 8 }"},
    {"--gpus=h200:8", "shape { gpus: 8 gpu_type: \"h200\" }"},
    {"--gpus-per-node=4", "shape { gpus_per_node: 4 }"},
    {"--gpus-per-task=h200:1", "shape { gpu_type: \"h200\" gpus_per_task: 1 }"},
    {"--cpus-per-gpu=12", "shape { cpus_per_gpu: 12 }"},
    {"--mem=64G", "shape { memory_per_node_mib: 65536 }"},
    {"--mem=0", "shape { memory_per_node_mib: 0 }"},
    {"--mem-per-cpu=4000", "shape { memory_per_cpu_mib: 4000 }"},
    {"--mem-per-gpu=100G", "shape { memory_per_gpu_mib: 102400 }"},
    {"--exclusive", "shape { exclusive: true }"},
    {"-t 1-12:30", "time_limit_ms: 131400000"},
    {"--time=90", "time_limit_ms: 5400000"},
    {"--time-min=30", "time_min_ms: 1800000"},
    {"-o out-%j", "stdout_path: \"/home/aizhan/out-%j\""},
    {"--output=/abs/out", "stdout_path: \"/abs/out\""},
    {"-e err", "stderr_path: \"/home/aizhan/err\""},
    {"--error=err", "stderr_path: \"/home/aizhan/err\""},
    {"-i in", "stdin_path: \"/home/aizhan/in\""},
    {"--input=in", "stdin_path: \"/home/aizhan/in\""},
    {"--open-mode=append", "open_mode: OPEN_MODE_APPEND"},
    {"--open-mode=truncate", "open_mode: OPEN_MODE_TRUNCATE"},
    {"-D /elsewhere", "working_dir: \"/elsewhere\""},
    {"--chdir=below", "working_dir: \"/home/aizhan/below\""},
    {"-a 0-9%2", "array { indices: \"0-9\" max_running: 2 }"},
    {"--array=1,3,5-9:2", "array { indices: \"1-9:2\" }"},
    {"-d afterok:7:8",
     "dependencies { kind: DEPENDENCY_KIND_AFTER_OK job: \"7\" }"
     " dependencies { kind: DEPENDENCY_KIND_AFTER_OK job: \"8\" }"},
    {"--dependency=afterany:7_3", "dependencies { kind: DEPENDENCY_KIND_AFTER_ANY job: \"7_3\" }"},
    {"-d afternotok:7,after:9",
     "dependencies { kind: DEPENDENCY_KIND_AFTER_NOT_OK job: \"7\" }"
     " dependencies { kind: DEPENDENCY_KIND_AFTER job: \"9\" }"},
    {"-d after:9+5", "dependencies { kind: DEPENDENCY_KIND_AFTER job: \"9\" delay_ms: 300000 }"},
    {"-b now+1hour", "begin_ms: 1795249800000"},
    {"--begin=now+60", "begin_ms: 1795246260000"},
    {"--deadline=now+2hours", "deadline_ms: 1795253400000"},
    {"--requeue", "requeue { enabled: true }"},
    {"--no-requeue", "requeue { enabled: false }"},
    {"--signal=USR1@120", "signal { name: \"USR1\" before_end_ms: 120000 }"},
    {"--signal=B:TERM", "signal { name: \"TERM\" before_end_ms: 60000 batch_only: true }"},
    {"--signal=10@30", "signal { name: \"USR1\" before_end_ms: 30000 }"},
    {"-C nvme", "constraints: \"nvme\""},
    {"--constraint=nvme&ib400", "constraints: \"nvme\" constraints: \"ib400\""},
    {"-w n[01-02]", "nodelist: \"n01\" nodelist: \"n02\""},
    {"--nodelist=n05", "nodelist: \"n05\""},
    {"-x n03", "exclude_nodes: \"n03\""},
    {"--exclude=n03,n04", "exclude_nodes: \"n03\" exclude_nodes: \"n04\""},
    {"--comment=first", "comment: \"first\""},
    {"-H", "hold: true"},
    {"--hold", "hold: true"},
    {"--nice=5", "user_priority: -5"},
    {"--nice", "user_priority: -100"},
    {"--kill-on-invalid-dep=no", "kill_on_invalid_dependency: false"},
    {"--kill-on-invalid-dep=yes", "kill_on_invalid_dependency: true"},
    {"--export=ALL", "environment { key: \"A\" value: \"1\" }"},
    {"--export=NONE",
     "environment { key: \"SLURM_EXPORT_ENV\" value: \"NONE\" } "
     "environment { key: \"SLURM_GET_USER_ENV\" value: \"1\" }"},
    {"--export=NIL",
     "environment { key: \"SLURM_EXPORT_ENV\" value: \"NIL\" } "
     "environment { key: \"SLURM_GET_USER_ENV\" value: \"1\" }"},
    {"--export=V=x",
     "environment { key: \"SLURM_EXPORT_ENV\" value: \"V=x\" } "
     "environment { key: \"SLURM_GET_USER_ENV\" value: \"1\" } "
     "environment { key: \"V\" value: \"x\" }"},
    {"--export=ALL,V=x",
     "environment { key: \"A\" value: \"1\" } "
     "environment { key: \"SLURM_EXPORT_ENV\" value: \"ALL,V=x\" } "
     "environment { key: \"SLURM_GET_USER_ENV\" value: \"1\" } "
     "environment { key: \"V\" value: \"x\" }"},
    {"--wait", ""},
    {"-W", ""},
    {"--parsable", ""},
    // Without effect: a warning, and kept to say so.
    {"-p gpu", "ignored_options: \"--partition=gpu\""},
    {"--partition=gpu", "ignored_options: \"--partition=gpu\""},
    {"--mail-type=END", "ignored_options: \"--mail-type=END\""},
    {"--mail-user=a@b.kz", "ignored_options: \"--mail-user=a@b.kz\""},
    {"--reservation=maint", "reservation: \"maint\""},
};

// Kezek's own: not on #SBATCH lines.
const Row kOwnRows[] = {
    {"--kind=training", "kind: JOB_KIND_TRAINING"},
    {"--project=nlp", "project: \"nlp\""},
    {"--class=debug", "job_class: \"debug\""},
    {"--gpu-type=h200", "shape { gpu_type: \"h200\" }"},
    {"--within=leaf", "topology { within: DOMAIN_LEAF }"},
    {"--prefer=block", "topology { prefer: DOMAIN_BLOCK }"},
    {"--spread=leaf", "topology { spread: SPREAD_LEAF }"},
    {"--max-attempts=3", "requeue { enabled: true max_attempts: 3 }"},
    {"--grace=5m", "signal { grace_ms: 300000 }"},
    {"--checkpoint=ckpt", "checkpoint_path: \"ckpt\""},
    {"--classification=internal", "data_classification: \"internal\""},
    {"--container-image=a.sqsh", "container_image: \"a.sqsh\""},
};

struct Read {
  std::string spec;  // or the error
  std::vector<std::string> warnings;
};

Host TestHost() {
  Host host;
  host.directory = "/home/aizhan";
  host.environment = {{"A", "1"}};
  return host;
}

Read ReadDraft(const std::string& script, const std::vector<std::string>& flags) {
  Draft draft;
  draft.file = "job.sh";
  Result<script::ParsedScript> parsed = script::ParseScript(script, draft.file, kNowMs);
  if (!parsed) return {"error: " + parsed.error().message, {}};
  draft.options = parsed->options;
  const script::OtherParser none = [](const std::string&, const std::string*) { return 0; };
  Result<script::ParsedFlags> given = script::ParseFlags(flags, kNowMs, none, draft.options);
  if (!given) return {"error: " + given.error().message, {}};
  Result<MadeSpec> made = MakeSpec(draft, TestHost());
  if (!made) return {"error: " + made.error().message, {}};
  Read read;
  read.warnings = parsed->warnings;
  read.warnings.insert(read.warnings.end(), given->warnings.begin(), given->warnings.end());
  google::protobuf::TextFormat::PrintToString(made->spec, &read.spec);
  return read;
}

// The submission without anything asked, and with what the row says merged into it.
std::string Expected(const Row& row) {
  v1::JobSpec spec;
  spec.set_working_dir("/home/aizhan");
  spec.set_submit_dir("/home/aizhan");
  spec.set_umask(022);
  spec.mutable_shape();
  v1::JobSpec added;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(row.spec, &added)) << row.option;
  if (!std::string_view(row.option).starts_with("--export"))
    (*spec.mutable_environment())["A"] = "1";
  (*spec.mutable_environment())["SLURM_PRIO_PROCESS"] = "0";
  if (std::string_view(row.option).starts_with("--gpus-per-node")) {
    (*spec.mutable_environment())["SLURM_GPUS_PER_NODE"] = "4";
  }
  spec.MergeFrom(added);
  std::string text;
  google::protobuf::TextFormat::PrintToString(spec, &text);
  return text;
}

std::string WithoutScript(std::string text) {
  const auto start = text.find("script: ");
  if (start == std::string::npos) return text;
  return text.erase(start, text.find('\n', start) + 1 - start);
}

// `-N 2` and `--nodes=2` as words of a command line.
std::vector<std::string> Words(const std::string& option) {
  const auto blank = option.find(' ');
  if (blank == std::string::npos) return {option};
  return {option.substr(0, blank), option.substr(blank + 1)};
}

std::string Script(const std::string& line) { return "#!/bin/sh\n# a job\n" + line + "\ntrue\n"; }

TEST(OptionsTest, EveryOptionMeansTheSameInEveryPlace) {
  for (const Row& row : kRows) {
    const std::string option = row.option;
    const std::string expected = Expected(row);
    for (const char* mark : {"#SBATCH ", "#KEZEK "}) {
      EXPECT_EQ(WithoutScript(ReadDraft(Script(mark + option), {}).spec), expected)
          << mark << option;
    }
    EXPECT_EQ(WithoutScript(ReadDraft(Script("# no option"), Words(option)).spec), expected)
        << "flag " << option;
  }
}

TEST(OptionsTest, KezeksOwnAreNotSbatchs) {
  for (const Row& row : kOwnRows) {
    const std::string option = row.option;
    const std::string expected = Expected(row);
    EXPECT_EQ(WithoutScript(ReadDraft(Script("#KEZEK " + option), {}).spec), expected) << option;
    EXPECT_EQ(WithoutScript(ReadDraft(Script("#"), Words(option)).spec), expected) << option;
    // Only the other names of sbatch's own options pass there too.
    if (option.starts_with("--project") || option.starts_with("--class")) continue;
    const std::string refused = ReadDraft(Script("#SBATCH " + option), {}).spec;
    EXPECT_TRUE(refused.starts_with("error: job.sh line 3: #SBATCH " + option)) << refused;
  }
}

TEST(OptionsTest, WhatHasNoEffectIsAWarningThatNamesTheLine) {
  for (const char* option : {"-p gpu", "--mail-type=END", "--mail-user=a@b.kz"}) {
    const Read read = ReadDraft(Script(std::string("#SBATCH ") + option), {});
    ASSERT_EQ(read.warnings.size(), 1U) << option;
    EXPECT_TRUE(read.warnings[0].starts_with("job.sh line 3: #SBATCH " + std::string(option)))
        << read.warnings[0];
  }
}

TEST(OptionsTest, WhatElseSbatchKnowsIsAnErrorThatNamesTheLine) {
  int refused = 0;
  for (const script::Option& option : script::Options()) {
    if (option.use != script::Use::kRefused) continue;
    ++refused;
    const bool takes = option.argument == script::Argument::kRequired;
    const std::string text = "--" + std::string(script::LongName(option)) + (takes ? "=1" : "");
    for (const char* mark : {"#SBATCH ", "#KEZEK "}) {
      const std::string said = ReadDraft(Script(mark + text), {}).spec;
      EXPECT_TRUE(said.starts_with("error: job.sh line 3: " + std::string(mark) + text)) << said;
    }
    const std::string said = ReadDraft(Script("#"), {text}).spec;
    EXPECT_TRUE(said.starts_with("error: " + text)) << said;
  }
  EXPECT_GT(refused, 40);
}

TEST(OptionsTest, TheTableNamesEveryOption) {
  std::set<std::string> named;
  const auto note = [&named](const Row& row) {
    const std::string word = Words(row.option)[0];
    const std::string_view name = std::string_view(word).substr(0, word.find('='));
    if (name.starts_with("--")) {
      named.insert(std::string(script::LongName(**script::FindLong(name.substr(2)))));
    } else {
      named.insert(std::string(script::LongName(*script::FindLetter(name[1]))));
    }
  };
  for (const Row& row : kRows) note(row);
  for (const Row& row : kOwnRows) note(row);
  for (const script::Option& option : script::Options()) {
    if (option.use == script::Use::kRefused || script::LongName(option) == "wrap") continue;
    EXPECT_TRUE(named.contains(std::string(script::LongName(option)))) << script::LongName(option);
  }
}

TEST(OptionsTest, LaterPlacesOverrideEarlierOnes) {
  const std::string script = "#!/bin/sh\n#KEZEK -J kezek -c 2\n#SBATCH -J sbatch -c 1 -n 4\ntrue\n";
  const std::string spec = ReadDraft(script, {"-c", "3"}).spec;
  EXPECT_NE(spec.find("name: \"kezek\""), std::string::npos) << spec;
  EXPECT_NE(spec.find("cpus_per_task: 3"), std::string::npos) << spec;
  EXPECT_NE(spec.find("ntasks: 4"), std::string::npos) << spec;
}

}  // namespace
}  // namespace kezek::cli
