// Goal: a launch becomes exactly the submission that each version of the API understands, and no
// answer is mistaken: a job that exists is never taken for refused, nor the other way round.
// Method: bodies are read back as JSON; answers are recorded ones, and made-up ones for what could
// not be recorded.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "slurm/codec.h"
#include "tests/unit/slurm/fixture.h"

namespace kezek::slurm {
namespace {

using Json = nlohmann::json;

Launch TwoNodes() {
  Launch launch;
  launch.attempt = {{JobId{48211}, 7}, 2};
  launch.tag = "k1:4:abc";
  launch.unix_account = "kz-aizhan";
  launch.slurm_account = "kezek";
  launch.qos = "normal";
  launch.placement = {{"n02", 4, {}}, {"n01", 4, {}}};
  launch.spec.shape = {.nodes = 2,
                       .gpus_per_node = 4,
                       .gpu_type = "h200",
                       .cpus_per_node = 8,
                       .memory_mib_per_node = 1000};
  launch.spec.ntasks = 4;
  launch.spec.ntasks_per_node = 2;
  launch.spec.cpus_per_task = 1;
  launch.spec.working_directory = "/home/a";
  launch.limit_ms = 5 * kMinuteMs + 1;
  launch.script = "#!/bin/bash\necho hi\n";
  launch.environment = {{"PATH", "/bin"}, {"KEZEK_ATTEMPT", "2"}};
  launch.stdout_path = "/out/1/stdout";
  return launch;
}

const Codec& Speaking(std::string_view version) {
  for (const auto& codec : Codecs()) {
    if (codec.version() == version) return codec;
  }
  ADD_FAILURE() << "no codec for " << version;
  return Codecs().front();
}
const Codec& Plain() { return Speaking("v0.0.38"); }

Json JobOf(const Launch& launch, const std::string& partition = "", const Codec& codec = Plain()) {
  return Json::parse(codec.SubmitBody(launch, partition))["job"];
}

std::string ScriptOf(const Launch& launch) { return LaunchScript(launch, Plain().can()); }

std::string Once() {
  return R"([ "${SLURM_RESTART_COUNT:-0}" = 0 ] || exit 0; )"
         R"([ "${KEZEK_BEGUN-}" = "$SLURM_JOB_ID" ] || )"
         R"({ (set -C; : >"$KEZEK_OUTPUT_DIR/.begun-$SLURM_JOB_ID") 2>/dev/null || )"
         R"([ ! -e "$KEZEK_OUTPUT_DIR/.begun-$SLURM_JOB_ID" ] || { kill -61 $$; exit 1; }; }; )"
         R"(export KEZEK_BEGUN="$SLURM_JOB_ID" )";
}

// Where the ranks of TwoNodes() meet.
std::string Meeting() {
  return " MASTER_ADDR=\"$SLURMD_NODENAME\" MASTER_PORT=" +
         std::to_string(20'000 + (48'211 * 31 + 7 + 1) % 12'000);
}

TEST(SubmitBody, SaysAllThatTheLaunchSays) {
  const Json job = JobOf(TwoNodes(), "gpu");
  const Json expected = {
      {"name", "kezek-48211_7-2"},
      {"comment", "k1:4:abc"},
      {"hold", true},
      {"no_requeue", true},
      {"nodes", "2-2"},
      {"nodelist", "n[01-02]"},
      {"tasks", 4},
      {"tasks_per_node", 2},
      {"cpus_per_task", 4},
      {"time_limit", 6},
      {"environment", {{"PATH", "/bin"}, {"KEZEK_ATTEMPT", "2"}, {"SLURM_UMASK", "0022"}}},
      {"current_working_directory", "/home/a"},
      {"standard_output", "/out/1/stdout"},
      {"open_mode", "append"},
      {"account", "kezek"},
      {"qos", "normal"},
      {"partition", "gpu"},
      {"gres", "gpu:h200:4"},
      {"memory_per_node", 1000}};
  EXPECT_EQ(job, expected) << job.dump(1);
}

TEST(SubmitBody, SaysTheSameInTheNestedWords) {
  Launch launch = TwoNodes();
  launch.spec.arguments = {"one", "it's two"};
  launch.spec.shape.exclusive = true;
  launch.spec.signal = {"WINCH", 90 * kSecondMs, false};
  const auto number = [](int value) {
    return Json{{"set", true}, {"infinite", false}, {"number", value}};
  };
  const Json expected = {{"name", "kezek-48211_7-2"},
                         {"comment", "k1:4:abc"},
                         {"hold", true},
                         {"requeue", false},
                         {"nodes", "2-2"},
                         {"required_nodes", {"n02", "n01"}},
                         {"argv", {"kezek-48211_7-2", "one", "it's two"}},
                         {"tasks", 4},
                         {"tasks_per_node", 2},
                         {"cpus_per_task", 4},
                         {"time_limit", number(6)},
                         {"environment", {"KEZEK_ATTEMPT=2", "PATH=/bin", "SLURM_UMASK=0022"}},
                         {"current_working_directory", "/home/a"},
                         {"standard_output", "/out/1/stdout"},
                         {"open_mode", {"APPEND"}},
                         {"account", "kezek"},
                         {"qos", "normal"},
                         {"partition", "gpu"},
                         {"tres_per_node", "gres/gpu:h200:4"},
                         {"shared", {"none"}},
                         {"kill_warning_signal", "28"},  // a name that Slurm does not know
                         {"kill_warning_delay", number(90)},
                         {"memory_per_node", number(1000)}};
  for (const auto& codec : Codecs()) {
    if (codec.version() == "v0.0.38") continue;
    const Json job = JobOf(launch, "gpu", codec);
    EXPECT_EQ(job, expected) << codec.version() << job.dump(1);
  }
}

TEST(SubmitBody, PathsAreTakenAsTheyAre) {
  Launch launch = TwoNodes();
  launch.stdout_path = "/home/50%j/%a";
  launch.stderr_path = R"(/home/a\b/50%j)";
  launch.stdin_path = "/home/in";
  const Json job = JobOf(launch);
  EXPECT_EQ(job["standard_output"], "/home/50%%j/%%a");
  EXPECT_EQ(job["standard_error"], R"(/home/a\\b/50%j)");
  EXPECT_EQ(job["standard_input"], "/home/in");
}

TEST(SubmitBody, LeavesOutWhatIsNotAsked) {
  Launch launch = TwoNodes();
  launch.attempt = {{JobId{5}, kNoElement}, 1};
  launch.spec.shape.gpus_per_node = 0;
  launch.spec.shape.memory_mib_per_node = 0;  // 0 would be all of the node
  launch.spec.shape.exclusive = true;
  launch.limit_ms = 1;  // 0 minutes would be no limit
  launch.environment = {};
  const Json job = JobOf(launch);
  EXPECT_FALSE(job.contains("gres"));
  EXPECT_FALSE(job.contains("memory_per_node"));
  EXPECT_FALSE(job.contains("partition"));
  EXPECT_EQ(job["exclusive"], "exclusive");
  EXPECT_EQ(job["time_limit"], 1);
  EXPECT_EQ(job["open_mode"], "truncate");
  EXPECT_FALSE(job["environment"].empty());  // slurmrestd refuses an empty one
}

// Said, srun would take it for the user's wish: `srun -N1` would start a task for each node.
TEST(SubmitBody, OneTaskANodeIsLeftToSlurm) {
  Launch launch = TwoNodes();
  launch.spec.ntasks = 2;
  launch.spec.ntasks_per_node = 1;
  const Json job = JobOf(launch);
  EXPECT_FALSE(job.contains("tasks"));
  EXPECT_FALSE(job.contains("tasks_per_node"));
  EXPECT_EQ(job["cpus_per_task"], 8);
}

TEST(SubmitBody, BytesThatAreNotUtf8DoNotStopIt) {
  Launch launch = TwoNodes();
  launch.script = "#!/bin/sh\necho \xff\n";
  EXPECT_TRUE(Json::accept(Plain().SubmitBody(launch, "")));
}

TEST(LaunchScript, IsTheUsersOwnLineByLineWithItsNameAndArgumentsInFront) {
  Launch launch = TwoNodes();
  launch.spec.name = "it's";
  EXPECT_EQ(ScriptOf(launch), "#!/bin/bash\n" + Once() + "SLURM_JOB_NAME='it'\\''s'" + Meeting() +
                                  "; : kezek; echo hi\n");
  launch.spec.name = "lm";
  launch.spec.arguments = {"a", "it's b", ""};
  EXPECT_EQ(ScriptOf(launch), "#!/bin/bash\n" + Once() + "SLURM_JOB_NAME='lm'" + Meeting() +
                                  "; set -- 'a' 'it'\\''s b' ''; : kezek; echo hi\n");
  launch.script = "#!/usr/bin/env sh";
  EXPECT_EQ(ScriptOf(launch), "#!/usr/bin/env sh\n" + Once() + "SLURM_JOB_NAME='lm'" + Meeting() +
                                  "; set -- 'a' 'it'\\''s b' ''; : kezek; ");
}

// A job that submits its own script reads it as Slurm got it.
TEST(LaunchScript, WhatWasInFrontOfAScriptBeforeIsLeftOut) {
  Launch launch = TwoNodes();
  launch.spec.arguments = {"a"};
  launch.script = "#!/bin/bash\n#SBATCH -t 5\n\n  # why\n echo hi\n# end\n";
  const std::string first = ScriptOf(launch);
  EXPECT_TRUE(first.starts_with("#!/bin/bash\n#SBATCH -t 5\n\n  # why\n" + Once())) << first;
  EXPECT_TRUE(first.ends_with("; : kezek;  echo hi\n# end\n")) << first;
  launch.spec.arguments = {"b"};
  launch.spec.name = "next";
  const std::string afresh = ScriptOf(launch);
  launch.script = first;
  EXPECT_EQ(ScriptOf(launch), afresh);
}

TEST(LaunchScript, RunsInTheSitesContainer) {
  Launch launch = TwoNodes();
  launch.spec.container_image = "it's {command}.sif";
  launch.spec.arguments = {"{image}"};
  EXPECT_EQ(JobOf(launch)["container"], "it's {command}.sif") << "Slurm's, where nothing is said";
  launch.container_launch = "apptainer exec --bind {output} {image} {command}";
  EXPECT_FALSE(JobOf(launch).contains("container"));
  launch.script = "#!/usr/bin/env bash\necho hi\n";
  const std::string script = ScriptOf(launch);
  EXPECT_NE(script.find("kezek_script=\"$KEZEK_OUTPUT_DIR/script\"\n"), std::string::npos);
  EXPECT_TRUE(script.ends_with(
      "\nKEZEK_SCRIPT\nexec apptainer exec --bind \"$KEZEK_OUTPUT_DIR\" 'it'\\''s {command}.sif' "
      "'/usr/bin/env' 'bash' \"$kezek_script\" '{image}'\n"))
      << script;
}

TEST(LaunchScript, RunsOnceInASlurmJobThatMayBeRequeued) {
  Launch launch = TwoNodes();
  launch.spec.requeue = true;
  EXPECT_TRUE(ScriptOf(launch).starts_with("#!/bin/bash\n" + Once() + "SLURM_JOB_NAME="));
  const Json job = JobOf(launch);
  EXPECT_EQ(job["requeue"], true);
  EXPECT_FALSE(job.contains("no_requeue"));
}

TEST(LaunchScript, TheBatchShellAloneTurnsOneSignalIntoTheOther) {
  Launch launch = TwoNodes();
  launch.spec.signal = {"USR1", 90 * kSecondMs, true};
  EXPECT_NE(ScriptOf(launch).find("; trap 'kill -s USR1 $$' URG; : kezek; echo hi"),
            std::string::npos);
  EXPECT_FALSE(JobOf(launch).contains("signal")) << "v0.0.38 knows no B:";
  launch.script = "#!/usr/bin/env python3\n";
  EXPECT_NE(ScriptOf(launch).find("trap \"kill -s USR1 $kezek_child\" URG\n"), std::string::npos);
  launch.spec.signal.batch_shell_only = false;
  EXPECT_EQ(ScriptOf(launch).find("URG"), std::string::npos);
  EXPECT_EQ(JobOf(launch)["signal"], "USR1@90") << "Slurm sends it to the tasks";
}

TEST(LaunchScript, LeavesToSlurmWhatItsApiCanDo) {
  Launch launch = TwoNodes();
  launch.spec.name = "lm";
  launch.spec.arguments = {"a"};
  launch.spec.signal = {"USR1", 90 * kSecondMs, true};
  const Capabilities can = Speaking("v0.0.40").can();
  EXPECT_EQ(LaunchScript(launch, can),
            "#!/bin/bash\n" + Once() + "SLURM_JOB_NAME='lm'" + Meeting() + "; : kezek; echo hi\n");
  launch.script = "#!/usr/bin/perl\n1;\n";
  EXPECT_TRUE(LaunchScript(launch, can).ends_with("exec '/usr/bin/perl' /proc/self/fd/9 \"$@\"\n"));
}

TEST(LaunchScript, WrapsOtherLanguages) {
  Launch launch = TwoNodes();
  launch.script = "#!/usr/bin/env python3\nprint('x')\n";
  launch.spec.arguments = {"one"};
  const std::string script = ScriptOf(launch);
  EXPECT_TRUE(script.starts_with("#!/bin/bash\n")) << script;
  EXPECT_NE(script.find("IyEvdXNyL2Jpbi9lbnYgcHl0aG9uMwpwcmludCgneCcpCg=="), std::string::npos);
  EXPECT_TRUE(script.ends_with("exec '/usr/bin/env' 'python3' /proc/self/fd/9 'one'\n")) << script;
}

TEST(ClusterName, RoundTripsAndRefusesOthers) {
  for (const AttemptRef& attempt :
       {AttemptRef{{JobId{1}, kNoElement}, 1}, AttemptRef{{JobId{48211}, 0}, 12}}) {
    EXPECT_EQ(ParseClusterName(ClusterName(attempt)), attempt);
  }
  for (const char* name : {"", "kezek-", "kezek-1", "kezek-1-", "kezek-0-1", "kezek-1-0",
                           "kezek-x-1", "kezek-1_-1", "kezek-1_a-1", "kezek-1-1x", "kezek--1-1",
                           "bash", "kezek-1-99999999999", "kezek-1_99999999999-1", "Kezek-1-1"}) {
    EXPECT_FALSE(ParseClusterName(name)) << name;
  }
}

SubmitOutcome Submitted(const std::string& name) {
  const Recorded answer = Record(name);
  return ParseSubmit(answer.status, answer.body);
}

TEST(ParseSubmit, AJobIdIsAJob) {
  const auto held = Submitted("11-submit-held");  // 200 with an error entry
  ASSERT_TRUE(std::holds_alternative<SubmitAccepted>(held));
  EXPECT_EQ(std::get<SubmitAccepted>(held).job_id, 108);
  EXPECT_TRUE(std::holds_alternative<SubmitAccepted>(Submitted("39-submit-sig")));
  // Some versions report an error and make the job: it is there.
  EXPECT_TRUE(std::holds_alternative<SubmitAccepted>(
      ParseSubmit(500, R"({"errors":[{"error_code":2017,"error":"x"}],"job_id":5})")));
}

// What slurmrestd drops it only warns of, and the job is there without it.
TEST(ParseSubmit, AJobThatIsNotAsAskedIsSpoilt) {
  const std::string held =
      R"j({"description":"Job is in held state","source":"slurm_submit_batch_job()"})j";
  const auto answer = [&](const std::string& errors, const std::string& warnings) {
    return ParseSubmit(
        200, R"({"job_id":6,"errors":[)" + errors + R"(],"warnings":[)" + warnings + held + "]}");
  };
  EXPECT_TRUE(std::holds_alternative<SubmitAccepted>(answer("", "")));
  const auto dropped =
      answer("", R"j({"description":"Ignoring unknown field gres","source":"#/job/gres/"},)j");
  ASSERT_TRUE(std::holds_alternative<SubmitSpoilt>(dropped));
  EXPECT_EQ(std::get<SubmitSpoilt>(dropped).job_id, 6);
  EXPECT_EQ(std::get<SubmitSpoilt>(dropped).text, "Ignoring unknown field gres");
  const auto signal =
      answer(R"j({"description":"Unknown signal","error_number":0,"error":"No error"})j", "");
  ASSERT_TRUE(std::holds_alternative<SubmitSpoilt>(signal));
  // A node that was asked for is drained: slurmctld's own word of a job that is as asked.
  EXPECT_TRUE(std::holds_alternative<SubmitAccepted>(
      answer(R"j({"error_number":2016,"error":"Requested nodes are busy"})j", "")));
}

TEST(ParseSubmit, RefusalsSayWhetherTryingAgainHelps) {
  for (const char* name :
       {"112-submit-oversize", "113-submit-badtype", "70-no-script", "69-bad-json"}) {
    const auto outcome = Submitted(name);
    ASSERT_TRUE(std::holds_alternative<SubmitRefused>(outcome)) << name;
    EXPECT_TRUE(std::get<SubmitRefused>(outcome).for_good) << name;
  }
  EXPECT_EQ(std::get<SubmitRefused>(Submitted("112-submit-oversize")).text,
            "Requested node configuration is not available (Slurm error 2014)");
  for (const char* name : {"58-submit-tok-root-nouser", "71-unknown-path"}) {
    const auto outcome = Submitted(name);
    ASSERT_TRUE(std::holds_alternative<SubmitRefused>(outcome)) << name;
    EXPECT_FALSE(std::get<SubmitRefused>(outcome).for_good) << name;
  }
  const auto busy = ParseSubmit(500, R"({"errors":[{"errno":2016,"error":"busy"}]})");
  ASSERT_TRUE(std::holds_alternative<SubmitRefused>(busy));
  EXPECT_FALSE(std::get<SubmitRefused>(busy).for_good);
}

TEST(ParseSubmit, WhatDoesNotSayIsUnclear) {
  EXPECT_TRUE(std::holds_alternative<SubmitUnclear>(Submitted("66-submit-proxy-alice-for-bob")));
  EXPECT_TRUE(std::holds_alternative<SubmitUnclear>(Submitted("67-bad-token")));
  for (const char* body : {"", "{}", R"({"errors":[]})", R"({"errors":[{"error_code":-1}]})",
                           R"({"job_id":null,"errors":[]})", "<html>"}) {
    EXPECT_TRUE(std::holds_alternative<SubmitUnclear>(ParseSubmit(500, body))) << body;
  }
}

Verdict::Kind VerdictOf(const std::string& name) {
  const Recorded answer = Record(name);
  return ParseVerdict(answer.status, answer.body).kind;
}

TEST(ParseVerdict, TheBodyDecides) {
  EXPECT_EQ(VerdictOf("12-update-release"), Verdict::Kind::kDone);
  EXPECT_EQ(VerdictOf("32-cancel-pending"), Verdict::Kind::kDone);
  EXPECT_EQ(VerdictOf("34-cancel-unknown"), Verdict::Kind::kUnknownJob);
  EXPECT_EQ(VerdictOf("37-update-unknown"), Verdict::Kind::kUnknownJob);
  EXPECT_EQ(VerdictOf("20-update-release"), Verdict::Kind::kFailed);  // still held
  EXPECT_EQ(VerdictOf("42-signal-bad"), Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("54-cancel-others-job"), Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("55-update-others-job"), Verdict::Kind::kFailed);
  EXPECT_EQ(VerdictOf("99-try-requeue"), Verdict::Kind::kFailed);            // a 200
  EXPECT_EQ(VerdictOf("118-update-array-release"), Verdict::Kind::kFailed);  // a 200
  EXPECT_EQ(VerdictOf("33-cancel-again"), Verdict::Kind::kDone);             // it does not tell
  EXPECT_EQ(ParseVerdict(500, R"({"errors":[{"error_number":2084}]})").kind,
            Verdict::Kind::kAlreadyOver);
  EXPECT_EQ(ParseVerdict(500, R"({"errors":[]})").kind, Verdict::Kind::kFailed);
  EXPECT_EQ(ParseVerdict(200, "").kind, Verdict::Kind::kFailed);
}

}  // namespace
}  // namespace kezek::slurm
