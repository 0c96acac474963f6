#include "rpc/spec_convert.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <set>
#include <string_view>
#include <tuple>
#include <utility>

#include "kezek/bounds.h"
#include "kezek/host_list.h"
#include "rpc/batch_environment.h"
#include "rpc/field_checks.h"
#include "rpc/job_refs.h"
#include "rpc/shape_convert.h"

namespace kezek::rpc {
namespace {

constexpr DurationMs kLongestMs = 10 * 366 * kDayMs;
constexpr std::size_t kNodesNamed = 4096;

std::string At(const std::string& list, int index) {
  return list + "[" + std::to_string(index) + "]";
}

void ReadTexts(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  checks->Line("name", wire.name(), 200);
  checks->Line("project", wire.project(), 1024);
  checks->Line("job_class", wire.job_class(), 63);
  checks->Line("data_classification", wire.data_classification(), 63);
  checks->Line("container_image", wire.container_image(), 1024);
  checks->Text("comment", wire.comment(), 4096);
  checks->Path("checkpoint_path", wire.checkpoint_path());
  checks->Path("stdin_path", wire.stdin_path());
  checks->Path("stdout_path", wire.stdout_path());
  checks->Path("stderr_path", wire.stderr_path());
  checks->Path("working_dir", wire.working_dir());
  checks->Require(wire.working_dir().starts_with('/'), "working_dir",
                  "must be an absolute path: where the script runs");
  checks->Line("submit_host", wire.submit_host(), 255);
  checks->Path("submit_dir", wire.submit_dir());
  spec->name = wire.name().empty() ? "job" : wire.name();
  spec->job_class = wire.job_class();
  spec->classification = wire.data_classification();
  spec->container_image = wire.container_image();
  spec->comment = wire.comment();
  spec->checkpoint_path = wire.checkpoint_path();
  spec->stdin_path = wire.stdin_path();
  spec->stdout_path = wire.stdout_path();
  spec->stderr_path = wire.stderr_path();
  spec->working_directory = wire.working_dir();
}

void CheckScript(const v1::JobSpec& wire, std::int64_t max, FieldChecks* checks) {
  const std::string& script = wire.script();
  checks->Text("script", script, static_cast<std::size_t>(max));
  checks->Require(script.starts_with("#!"), "script",
                  "must start with #! and the interpreter, such as #!/bin/bash");
  const auto line = script.find('\n');
  checks->Require(line == std::string::npos || line == 0 || script[line - 1] != '\r', "script",
                  "has DOS line breaks: convert it, for example with dos2unix");
}

void ReadArguments(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  checks->Require(wire.arguments_size() <= 1000, "arguments", "are more than 1000");
  std::size_t total = 0;
  for (int i = 0; i < wire.arguments_size() && checks->ok(); ++i) {
    checks->Text(At("arguments", i), wire.arguments(i), 65'536);
    total += wire.arguments(i).size() + 1;
    spec->arguments.push_back(wire.arguments(i));
  }
  checks->Require(total <= 131'072, "arguments", "are more than 128 KiB in all");
}

void ReadTimes(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  if (wire.has_time_limit_ms()) {
    checks->Range("time_limit_ms", wire.time_limit_ms(), 1, kLongestJobMs);
    if (!checks->ok()) return;
    spec->time_limit_ms = (wire.time_limit_ms() + kMinuteMs - 1) / kMinuteMs * kMinuteMs;
  }
  checks->Range("time_min_ms", wire.time_min_ms(), 0, kLongestJobMs);
  checks->Require(!wire.has_time_limit_ms() || wire.time_min_ms() <= wire.time_limit_ms(),
                  "time_min_ms", "must not be longer than time_limit_ms");
  checks->Range("begin_ms", wire.begin_ms(), 0, kLatestMs);
  checks->Range("deadline_ms", wire.deadline_ms(), 0, kLatestMs);
  checks->Require(wire.deadline_ms() == 0 || wire.begin_ms() < wire.deadline_ms(), "deadline_ms",
                  "must be after begin_ms");
  spec->time_min_ms = wire.time_min_ms();
  spec->begin_ms = wire.begin_ms();
  spec->deadline_ms = wire.deadline_ms();
}

void ReadDependencies(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  checks->Require(wire.dependencies_size() <= 1000, "dependencies", "are more than 1000");
  std::set<std::tuple<JobRef, int, DurationMs>> seen;
  for (int i = 0; i < wire.dependencies_size() && checks->ok(); ++i) {
    const auto& dependency = wire.dependencies(i);
    const std::string field = At("dependencies", i);
    checks->Range(field + ".kind", dependency.kind(), v1::DEPENDENCY_KIND_AFTER_OK,
                  v1::DEPENDENCY_KIND_AFTER);
    checks->Range(field + ".delay_ms", dependency.delay_ms(), 0, kLongestMs);
    checks->Require(dependency.delay_ms() == 0 || dependency.kind() == v1::DEPENDENCY_KIND_AFTER,
                    field + ".delay_ms",
                    "goes only with AFTER: it counts from the other job's start");
    const auto job = ParseJob(dependency.job(), "spec." + field + ".job");
    if (!job) return checks->Fail(job.error());
    if (!checks->ok() || !seen.emplace(*job, dependency.kind(), dependency.delay_ms()).second) {
      continue;
    }
    spec->dependencies.push_back(
        {static_cast<DependencyKind>(dependency.kind() - 1), *job, dependency.delay_ms()});
  }
  spec->kill_on_invalid_dependency =
      !wire.has_kill_on_invalid_dependency() || wire.kill_on_invalid_dependency();
}

void ReadArray(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  if (!wire.has_array()) return;
  checks->Range("array.max_running", wire.array().max_running(), 0, kElementsMost);
  auto indices = ParseIndices(wire.array().indices(), "spec.array.indices");
  if (!indices) return checks->Fail(indices.error());
  spec->array = ArraySpec{std::move(*indices), wire.array().max_running()};
}

// Unset: a job that lost its nodes or was preempted queues again, a script that failed does not.
void ReadRequeue(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  const auto& requeue = wire.requeue();
  spec->requeue = !requeue.has_enabled() || requeue.enabled();
  spec->max_attempts = 1;
  if (!requeue.has_max_attempts()) return;
  checks->Range("requeue.max_attempts", requeue.max_attempts(), 1, 1000);
  checks->Require(spec->requeue || requeue.max_attempts() == 1, "requeue.max_attempts",
                  "must be 1 where requeue is off");
  spec->max_attempts = requeue.max_attempts();
}

void ReadSignal(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  const auto& signal = wire.signal();
  checks->Range("signal.before_end_ms", signal.before_end_ms(), 0, 7 * kDayMs);
  checks->Range("signal.grace_ms", signal.grace_ms(), 0, kDayMs);
  const bool asked = signal.before_end_ms() != 0 || signal.batch_only();
  checks->Require(!asked || !signal.name().empty(), "signal.name", "says which signal: give one");
  if (!checks->ok()) return;
  spec->grace_ms = signal.grace_ms();
  if (signal.name().empty()) return;
  spec->signal.name = SignalName(signal.name());
  checks->Require(!spec->signal.name.empty(), "signal.name",
                  "is no signal's name without SIG, such as USR1, nor a number from 1 to 64");
  spec->signal.before_end_ms = (signal.before_end_ms() + kSecondMs - 1) / kSecondMs * kSecondMs;
  spec->signal.batch_shell_only = signal.batch_only();
}

void ReadNodes(const google::protobuf::RepeatedPtrField<std::string>& lists,
               const std::string& field, const View& view, FieldChecks* checks,
               std::vector<std::string>* names) {
  checks->Require(lists.size() <= 1000, field, "has more than 1000 entries");
  for (int i = 0; i < lists.size() && checks->ok(); ++i) {
    const std::string& list = lists.at(i);
    checks->Line(At(field, i), list, 65'536);
    checks->Require(!list.empty(), At(field, i), "is empty");
    if (!checks->ok()) return;
    const auto expanded = ExpandHostList(list);
    if (!expanded) return checks->Fail(At(field, i), expanded.error().message);
    for (const auto& name : *expanded) {
      if (view.nodes.contains(name)) continue;
      return checks->Fail(At(field, i), "this cluster has no node '" + name + "'");
    }
    names->insert(names->end(), expanded->begin(), expanded->end());
    checks->Require(names->size() <= kNodesNamed, field,
                    "names more than " + std::to_string(kNodesNamed) + " nodes");
  }
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
}

void ReadPlace(const v1::JobSpec& wire, const View& view, FieldChecks* checks, JobSpec* spec) {
  checks->Range("topology.within", wire.topology().within(), 0, v1::DOMAIN_BLOCK);
  checks->Range("topology.prefer", wire.topology().prefer(), 0, v1::DOMAIN_BLOCK);
  checks->Range("topology.spread", wire.topology().spread(), 0, v1::SPREAD_BLOCK);
  checks->Require(wire.topology().spread() == v1::SPREAD_UNSPECIFIED || wire.has_array(),
                  "topology.spread", "is about the elements of an array; set `array`");
  checks->Require(wire.constraints_size() <= 32, "constraints", "are more than 32");
  for (int i = 0; i < wire.constraints_size() && checks->ok(); ++i) {
    const std::string& label = wire.constraints(i);
    const bool plain = !label.empty() && std::all_of(label.begin(), label.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             c == '.' || c == '_' || c == '-';
    });
    checks->Require(plain && label.size() <= 63, At("constraints", i),
                    "must be one label of letters, digits, dots, dashes and underscores; all "
                    "labels of the list must hold, other expressions are not understood");
    spec->constraints.push_back(label);
  }
  ReadNodes(wire.nodelist(), "nodelist", view, checks, &spec->nodes);
  ReadNodes(wire.exclude_nodes(), "exclude_nodes", view, checks, &spec->exclude_nodes);
  if (!checks->ok()) return;
  for (const auto& name : spec->nodes) {
    checks->Require(
        !std::binary_search(spec->exclude_nodes.begin(), spec->exclude_nodes.end(), name),
        "exclude_nodes", "excludes node '" + name + "', which nodelist demands");
  }
  spec->within = static_cast<Domain>(wire.topology().within());
  spec->prefer = static_cast<Domain>(wire.topology().prefer());
  spec->spread = static_cast<Spread>(wire.topology().spread());
}

void ReadRest(const v1::JobSpec& wire, FieldChecks* checks, JobSpec* spec) {
  checks->Range("kind", wire.kind(), 0, v1::JOB_KIND_INTERACTIVE);
  checks->Range("open_mode", wire.open_mode(), 0, v1::OPEN_MODE_APPEND);
  checks->Range("user_priority", wire.user_priority(), -10'000, 10'000);
  if (wire.has_umask()) checks->Range("umask", wire.umask(), 0, 0777);
  checks->Require(wire.labels_size() <= 32, "labels", "are more than 32");
  for (const auto& [key, value] : wire.labels()) {
    checks->Require(!key.empty(), "labels", "has an empty key");
    checks->Line("labels", key, 63);
    checks->Line("labels", value, 255);
    if (!checks->ok()) return;
    spec->labels.emplace(key, value);
  }
  if (!checks->ok()) return;
  spec->kind = wire.kind() == v1::JOB_KIND_UNSPECIFIED
                   ? JobKind::kBatch
                   : static_cast<JobKind>(wire.kind() - v1::JOB_KIND_BATCH);
  spec->append_output = wire.open_mode() == v1::OPEN_MODE_APPEND;
  spec->user_priority = wire.user_priority();
  spec->umask = wire.has_umask() ? wire.umask() : 0022;
}

void ReadEnvironment(const v1::JobSpec& wire, std::int64_t max, FieldChecks* checks,
                     std::map<std::string, std::string>* environment) {
  std::size_t total = 0;
  for (const auto& [name, value] : wire.environment()) {
    const bool named = !name.empty() && name.find('=') == std::string::npos;
    checks->Require(named, "environment", "a variable's name must not be empty nor hold '='");
    checks->Text("environment", name, 4096);
    checks->Text("environment", value, static_cast<std::size_t>(max));
    if (!checks->ok()) return;
    total += name.size() + value.size() + 2;
    environment->emplace(name, value);
  }
  checks->Require(total <= static_cast<std::size_t>(max), "environment",
                  "is " + std::to_string(total) + " bytes; at most " + std::to_string(max) +
                      " are allowed: export less");
  // What sbatch would add travels with it: that is where the job looks.
  if (checks->ok()) AddBatchVariables(wire, checks, environment);
}

void ReadWarnings(const v1::JobSpec& wire, FieldChecks* checks, std::vector<Reason>* warnings) {
  const auto no_effect = [warnings](const char* field) {
    warnings->push_back(
        {ReasonCode::kWarning, {{"field", field}, {"text", "taken, without effect yet"}}});
  };
  if (wire.time_min_ms() != 0) no_effect("time_min_ms");
  checks->Require(wire.ignored_options_size() <= 100, "ignored_options", "are more than 100");
  for (int i = 0; i < wire.ignored_options_size() && checks->ok(); ++i) {
    checks->Line(At("ignored_options", i), wire.ignored_options(i), 1024);
    warnings->push_back({ReasonCode::kWarning,
                         {{"field", wire.ignored_options(i)}, {"text", "taken, without effect"}}});
  }
}

std::string TypesOf(const View& view) {
  std::set<std::string> types;
  for (const auto& [name, node] : view.nodes) types.insert(node.gpu_type);
  types.erase("");
  std::string text;
  for (const std::string& type : types) text += (text.empty() ? "" : ", ") + type;
  return text.empty() ? "none" : text;
}

}  // namespace

Result<SpecParts> ReadSpec(const v1::JobSpec& wire, const View& view, const SpecLimits& limits) {
  SpecParts parts;
  FieldChecks checks("spec.");
  checks.Line("reservation", wire.reservation(), 63);
  if (view.directory->reservations.empty() && !wire.reservation().empty()) {
    parts.warnings.push_back(
        {ReasonCode::kWarning,
         {{"field", "reservation"}, {"text", "taken, without effect: nothing is reserved here"}}});
  } else {
    parts.spec.reservation = wire.reservation();
  }
  ReadTexts(wire, &checks, &parts.spec);
  CheckScript(wire, limits.script_bytes, &checks);
  ReadArguments(wire, &checks, &parts.spec);
  ReadTimes(wire, &checks, &parts.spec);
  ReadDependencies(wire, &checks, &parts.spec);
  ReadArray(wire, &checks, &parts.spec);
  ReadRequeue(wire, &checks, &parts.spec);
  ReadSignal(wire, &checks, &parts.spec);
  ReadPlace(wire, view, &checks, &parts.spec);
  ReadRest(wire, &checks, &parts.spec);
  ReadEnvironment(wire, limits.environment_bytes, &checks, &parts.environment);
  ReadWarnings(wire, &checks, &parts.warnings);
  if (!checks.ok()) return checks.error();
  const std::string& type = wire.shape().gpu_type();
  const TypeFacts facts =
      FactsOf(view.nodes, type.empty() ? view.directory->default_gpu_type : type);
  if (facts.nodes == 0 && !type.empty()) {
    return FieldProblem(Code::kInvalidArgument, {"spec.shape.gpu_type",
                                                 "NO_SUCH_GPU_TYPE",
                                                 "this cluster has no " + type.substr(0, 63) +
                                                     ". Types here: " + TypesOf(view),
                                                 {{"asked", type.substr(0, 63)}}});
  }
  ReadShape(wire.shape(), facts, &checks, &parts.spec, &parts.memory_per_cpu_mib);
  if (!checks.ok()) return checks.error();
  parts.hold = wire.hold();
  return parts;
}

std::string SignalName(const std::string& text) {
  constexpr std::array<std::string_view, 31> kNames = {
      "HUP",  "INT",  "QUIT", "ILL",    "TRAP",   "ABRT",  "BUS",  "FPE",  "KILL", "USR1", "SEGV",
      "USR2", "PIPE", "ALRM", "TERM",   "STKFLT", "CHLD",  "CONT", "STOP", "TSTP", "TTIN", "TTOU",
      "URG",  "XCPU", "XFSZ", "VTALRM", "PROF",   "WINCH", "IO",   "PWR",  "SYS"};
  if (std::find(kNames.begin(), kNames.end(), text) != kNames.end()) return text;
  int number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number < 1 || number > 64) {
    return {};
  }
  const auto index = static_cast<std::size_t>(number) - 1;
  return index < kNames.size() ? std::string(kNames[index]) : std::to_string(number);
}

}  // namespace kezek::rpc
