// Submitting, releasing, cancelling: bodies and answers.
#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string>
#include <utility>

#include "kezek/host_list.h"
#include "slurm/codec.h"
#include "slurm/json_fields.h"

namespace kezek::slurm {
namespace {

bool ReadNumber(std::string_view text, std::int64_t* value) {
  if (text.empty() || text.size() > 18) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
  return error == std::errc() && end == text.data() + text.size() && *value >= 0;
}

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string QuotedArguments(const JobSpec& spec) {
  std::string text;
  for (const auto& argument : spec.arguments) text += " " + Quoted(argument);
  return text;
}

std::string Octal(std::int32_t mask) {
  std::string text;
  for (int shift = 9; shift >= 0; shift -= 3) {
    text += static_cast<char>('0' + ((mask >> shift) & 7));
  }
  return text;
}

std::string Base64(const std::string& text) {
  std::string encoded((text.size() + 2) / 3 * 4 + 1, '\0');
  const int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  encoded.resize(static_cast<std::size_t>(size));
  return encoded;
}

// "#!/usr/bin/env bash -e" and "#!/bin/sh" are shells'.
bool IsShellScript(std::string_view script) {
  if (!script.starts_with("#!")) return false;
  std::string_view line = script.substr(2, script.find('\n') - 2);
  std::string_view word;
  do {
    line.remove_prefix(std::min(line.find_first_not_of(" \t\r"), line.size()));
    word = line.substr(0, line.find_first_of(" \t\r"));
    line.remove_prefix(word.size());
    if (const auto slash = word.rfind('/'); slash != std::string_view::npos) {
      word.remove_prefix(slash + 1);
    }
  } while (word == "env");
  constexpr std::array<std::string_view, 5> kShells{"sh", "bash", "dash", "ksh", "zsh"};
  return std::find(kShells.begin(), kShells.end(), word) != kShells.end();
}

bool IsForBatchShell(const JobSpec& spec) {
  return spec.signal.batch_shell_only && !spec.signal.name.empty();
}

// What goes in front of a script: slurmrestd makes a variable of the job's name in Slurm, which is
// Kezek's; and the shell turns the one signal into the other.
std::string Preamble(const JobSpec& spec) {
  std::string text;
  // Slurm may run it again before Kezek sees that it was requeued: that is another attempt's to do.
  if (spec.requeue) text = "[ \"${SLURM_RESTART_COUNT:-0}\" = 0 ] || exit 0; ";
  text += "export SLURM_JOB_NAME=" + Quoted(spec.name);
  if (IsForBatchShell(spec)) {
    text += std::string("; trap 'kill -s ") + spec.signal.name + " $$' " + kBatchShellSignal;
  }
  return text;
}

// The interpreter of a script, and its one argument if it has one, as the kernel would call it.
std::string Interpreter(std::string_view script) {
  std::string_view line = script.substr(std::min<std::size_t>(2, script.size()));
  line = line.substr(0, line.find('\n'));
  const auto trim = [](std::string_view text) {
    const auto first = text.find_first_not_of(" \t\r");
    if (first == std::string_view::npos) return std::string_view();
    return text.substr(first, text.find_last_not_of(" \t\r") - first + 1);
  };
  line = trim(line);
  const auto blank = line.find_first_of(" \t");
  const std::string path(line.substr(0, blank));
  if (blank == std::string_view::npos) return Quoted(path);
  return Quoted(path) + " " + Quoted(std::string(trim(line.substr(blank))));
}

// Runs `command` in place of the shell, so that signals reach it and its end is the job's; or under
// a shell that stays to turn the one signal into the other.
std::string RunInstead(const JobSpec& spec, const std::string& command) {
  if (!IsForBatchShell(spec)) return "exec " + command + "\n";
  return command + " <&0 &\nkezek_child=$!\ntrap \"kill -s " + spec.signal.name +
         " $kezek_child\" " + kBatchShellSignal +
         "\nwhile :; do\n  wait \"$kezek_child\"\n  kezek_code=$?\n"
         "  kill -0 \"$kezek_child\" 2>/dev/null || exit \"$kezek_code\"\ndone\n";
}

// Runs a script of another language from a file that is open and has no name any more.
std::string Wrapped(const Launch& launch) {
  const std::string encoded = Base64(launch.script);
  std::string lines;
  for (std::size_t i = 0; i < encoded.size(); i += 76) lines += encoded.substr(i, 76) + "\n";
  return "#!/bin/bash\n" + Preamble(launch.spec) +
         "\nkezek_path=/usr/bin:/bin\n"
         "kezek_script=$(PATH=$kezek_path mktemp 2>/dev/null ||"
         " PATH=$kezek_path mktemp -p /tmp) || exit 1\n"
         "PATH=$kezek_path base64 -d >\"$kezek_script\" <<'KEZEK_SCRIPT' || exit 1\n" +
         lines +
         "KEZEK_SCRIPT\nexec 9<\"$kezek_script\"\nPATH=$kezek_path rm -f \"$kezek_script\"\n" +
         RunInstead(launch.spec,
                    Interpreter(launch.script) + " /proc/self/fd/9" + QuotedArguments(launch.spec));
}

// slurmd takes the mask from a variable, as sbatch hands it over, and opens the output with it.
Json Environment(const Launch& launch) {
  Json environment = launch.environment;
  environment["SLURM_UMASK"] = Octal(launch.spec.umask);
  // Of the job that submitted this one; the preamble asks for ours.
  environment.erase("SLURM_RESTART_COUNT");
  return environment;
}

// CPUs of a node are its tasks' CPUs: v0.0.38's minimum per node does not grant any.
std::int32_t CpusPerTask(const JobSpec& spec) {
  const std::int32_t tasks = std::max(spec.ntasks_per_node, 1);
  return std::max({spec.cpus_per_task, spec.shape.cpus_per_node / tasks, 1});
}

// A path that Slurm shall take as it is, though it takes paths for patterns: with a backslash it
// replaces nothing and takes one of two away.
std::string AsPattern(const std::string& path) {
  const char twice = path.find('\\') == std::string::npos ? '%' : '\\';
  std::string pattern;
  for (const char c : path) pattern.append(c == twice ? 2 : 1, c);
  return pattern;
}

std::int64_t LimitMinutes(DurationMs limit_ms) {
  return std::max<std::int64_t>((limit_ms + kMinuteMs - 1) / kMinuteMs, 1);
}

Json SubmitJob(const Launch& launch, const std::string& partition) {
  const JobSpec& spec = launch.spec;
  std::vector<std::string> nodes;
  for (const auto& grant : launch.placement) nodes.push_back(grant.node);
  const std::string count = std::to_string(nodes.size());
  Json job = {{"name", ClusterName(launch.attempt)},
              {"comment", launch.tag},
              {"hold", true},
              {"nodes", count + "-" + count},
              {"nodelist", CompressHostList(nodes)},
              {"cpus_per_task", CpusPerTask(spec)},
              {"time_limit", LimitMinutes(launch.limit_ms)},
              {"environment", Environment(launch)},
              {"current_working_directory", spec.working_directory},
              {"standard_output", AsPattern(launch.stdout_path)}};
  // One task a node is what Slurm takes it to be; said, srun would take it for the user's wish.
  if (spec.ntasks_per_node > 1 || spec.ntasks != static_cast<std::int64_t>(nodes.size())) {
    job["tasks"] = spec.ntasks;
    job["tasks_per_node"] = spec.ntasks_per_node;
  }
  const bool append = spec.append_output || launch.attempt.number > 1;
  job["open_mode"] = append ? "append" : "truncate";
  // On, so that a job may ask Slurm to requeue itself; a new attempt comes of it.
  job[spec.requeue ? "requeue" : "no_requeue"] = true;
  const auto set = [&job](const char* key, const std::string& value) {
    if (!value.empty()) job[key] = value;
  };
  set("standard_error", AsPattern(launch.stderr_path));
  set("standard_input", AsPattern(launch.stdin_path));
  set("account", launch.slurm_account);
  set("qos", launch.qos);
  set("partition", partition);
  set("container", spec.container_image);
  if (spec.shape.gpus_per_node > 0) {
    job["gres"] = "gpu:" + spec.shape.gpu_type + ":" + std::to_string(spec.shape.gpus_per_node);
  }
  if (spec.shape.memory_mib_per_node > 0) job["memory_per_node"] = spec.shape.memory_mib_per_node;
  if (IsClustersToSend(spec.signal)) {
    job["signal"] = spec.signal.name + "@" + std::to_string(spec.signal.before_end_ms / kSecondMs);
  }
  if (spec.shape.exclusive) job["exclusive"] = "exclusive";
  return job;
}

// Refusals by slurmctld that another try may not meet; all its other numbers are about the request.
bool MayPass(std::int64_t number) {
  constexpr std::array<std::int64_t, 12> kPassing{
      2013 /* not top priority */, 2016 /* nodes busy */,    2019 /* writing a file */,
      2020 /* in transition */,    2024 /* job pending */,   2027 /* standby */,
      2028 /* node state */,       2037 /* nodes */,         2050 /* accounting policy */,
      2076 /* database */,         2079 /* QOS threshold */, 2091 /* power */};
  return std::find(kPassing.begin(), kPassing.end(), number) != kPassing.end();
}

// The way out of what Slurm's accounting lacks, which whoever the job belongs to cannot mend.
std::string AdviceOn(std::int64_t number) {
  constexpr std::int64_t kInvalidAccount = 2045;
  constexpr std::int64_t kInvalidQos = 2066;
  if (number != kInvalidAccount && number != kInvalidQos) return "";
  return "; a cluster admin sees what Slurm's accounting lacks by kezek admin slurm plan";
}

}  // namespace

std::optional<AttemptRef> ParseClusterName(std::string_view name) {
  constexpr std::string_view kPrefix = "kezek-";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  name.remove_prefix(kPrefix.size());
  const auto dash = name.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  std::string_view job = name.substr(0, dash);
  std::int64_t id = 0;
  std::int64_t element = kNoElement;
  std::int64_t number = 0;
  if (const auto bar = job.find('_'); bar != std::string_view::npos) {
    if (!ReadNumber(job.substr(bar + 1), &element) || element > INT32_MAX) return std::nullopt;
    job = job.substr(0, bar);
  }
  if (!ReadNumber(job, &id) || id == 0) return std::nullopt;
  if (!ReadNumber(name.substr(dash + 1), &number) || number == 0 || number > INT32_MAX) {
    return std::nullopt;
  }
  return AttemptRef{{JobId{id}, static_cast<std::int32_t>(element)},
                    static_cast<std::int32_t>(number)};
}

std::string LaunchScript(const Launch& launch) {
  if (!IsShellScript(launch.script)) return Wrapped(launch);
  const auto line_end = launch.script.find('\n');
  std::string script = launch.script.substr(0, line_end) + "\n" + Preamble(launch.spec);
  if (!launch.spec.arguments.empty()) script += "; set --" + QuotedArguments(launch.spec);
  // In front of what stands there, be it a comment: the lines keep their numbers.
  script += "; ";
  if (line_end != std::string::npos) script += launch.script.substr(line_end + 1);
  return script;
}

std::string SubmitBody(const Launch& launch, const std::string& partition) {
  const Json body = {{"script", LaunchScript(launch)}, {"job", SubmitJob(launch, partition)}};
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

SubmitOutcome ParseSubmit(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed) {
    const std::string text = Unusable(status, body, parsed).message;
    if (status == 400 || status == 413) return SubmitRefused{true, text};
    if (status == 401 || status == 404) return SubmitRefused{false, text};
    return SubmitUnclear{text};
  }
  const std::int64_t id = IntegerAt(parsed->body, "job_id");
  if (id > 0) return SubmitAccepted{id};
  if (!parsed->error) return SubmitUnclear{"neither a job nor an error"};
  const auto [number, text] = *parsed->error;
  const std::string words =
      text + " (Slurm error " + std::to_string(number) + ")" + AdviceOn(number);
  if (number >= 2000 && number < 3000) return SubmitRefused{!MayPass(number), words};
  if (status == 400 || (number >= 9000 && number < 10000)) return SubmitRefused{true, words};
  return SubmitUnclear{words};
}

Verdict ParseVerdict(long status, std::string_view body) {
  const auto parsed = ParseAnswer(body);
  if (!parsed) return {Verdict::Kind::kFailed, Unusable(status, body, parsed).message};
  if (!parsed->error) {
    if (status == 200) return {Verdict::Kind::kDone, ""};
    return {Verdict::Kind::kFailed, Unusable(status, body, parsed).message};
  }
  const auto& [number, text] = *parsed->error;
  if (number == kErrorUnknownJob) return {Verdict::Kind::kUnknownJob, text};
  if (number == kErrorAlreadyDone || number == kErrorJobFinished) {
    return {Verdict::Kind::kAlreadyOver, text};
  }
  return {Verdict::Kind::kFailed, text};
}

std::string LimitBody(DurationMs limit_ms) {
  return Json{{"time_limit", LimitMinutes(limit_ms)}}.dump();
}

}  // namespace kezek::slurm
