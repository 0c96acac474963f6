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

constexpr std::int32_t kUsualUmask = 0022;

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

// Runs a script of another language as a file of its own.
std::string Wrapped(const Launch& launch) {
  const std::string encoded = Base64(launch.script);
  std::string lines;
  for (std::size_t i = 0; i < encoded.size(); i += 76) lines += encoded.substr(i, 76) + "\n";
  return "#!/bin/bash\numask " + Octal(launch.spec.umask) +
         "\nkezek_script=$(mktemp) || exit 1\nbase64 -d >\"$kezek_script\" <<'KEZEK_SCRIPT'\n" +
         lines + "KEZEK_SCRIPT\nchmod u+x \"$kezek_script\"\n\"$kezek_script\"" +
         QuotedArguments(launch.spec) +
         "\nkezek_code=$?\nrm -f \"$kezek_script\"\nexit $kezek_code\n";
}

// CPUs of a node are its tasks' CPUs: v0.0.38's minimum per node does not grant any.
std::int32_t CpusPerTask(const JobSpec& spec) {
  const std::int32_t tasks = std::max(spec.ntasks_per_node, 1);
  return std::max({spec.cpus_per_task, spec.shape.cpus_per_node / tasks, 1});
}

Json SubmitJob(const Launch& launch, const std::string& partition) {
  const JobSpec& spec = launch.spec;
  std::vector<std::string> nodes;
  for (const auto& grant : launch.placement) nodes.push_back(grant.node);
  const std::string count = std::to_string(nodes.size());
  Json environment = launch.environment;
  if (environment.empty()) environment = {{"KEZEK_JOB_ID", ToText(launch.attempt.job)}};
  Json job = {
      {"name", ClusterName(launch.attempt)},
      {"comment", launch.tag},
      {"hold", true},
      {"no_requeue", true},
      {"nodes", count + "-" + count},
      {"nodelist", CompressHostList(nodes)},
      {"tasks", spec.ntasks},
      {"tasks_per_node", spec.ntasks_per_node},
      {"cpus_per_task", CpusPerTask(spec)},
      {"time_limit", std::max<std::int64_t>((launch.limit_ms + kMinuteMs - 1) / kMinuteMs, 1)},
      {"environment", std::move(environment)},
      {"current_working_directory", spec.working_directory},
      {"standard_output", launch.stdout_path}};
  const bool append = spec.append_output || launch.attempt.number > 1;
  job["open_mode"] = append ? "append" : "truncate";
  const auto set = [&job](const char* key, const std::string& value) {
    if (!value.empty()) job[key] = value;
  };
  set("standard_error", launch.stderr_path);
  set("standard_input", launch.stdin_path);
  set("account", launch.slurm_account);
  set("qos", launch.qos);
  set("partition", partition);
  set("container", spec.container_image);
  if (spec.shape.gpus_per_node > 0) {
    job["gres"] = "gpu:" + spec.shape.gpu_type + ":" + std::to_string(spec.shape.gpus_per_node);
  }
  if (spec.shape.memory_mib_per_node > 0) job["memory_per_node"] = spec.shape.memory_mib_per_node;
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
  const bool plain = launch.spec.arguments.empty() && launch.spec.umask == kUsualUmask;
  if (plain) return launch.script;
  if (!IsShellScript(launch.script)) return Wrapped(launch);
  const auto line_end = launch.script.find('\n');
  std::string script = launch.script.substr(0, line_end) + "\numask " + Octal(launch.spec.umask);
  if (!launch.spec.arguments.empty()) script += "; set --" + QuotedArguments(launch.spec);
  script += "\n";
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
  const std::string words = text + " (Slurm error " + std::to_string(number) + ")";
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

}  // namespace kezek::slurm
