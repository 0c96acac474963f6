#include "script/apply.h"

#include <cstddef>
#include <limits>
#include <string>
#include <utility>

#include "kezek/names.h"
#include "script/text.h"
#include "script/values.h"

namespace kezek::script::apply {
namespace {

constexpr std::int64_t kMaxCount = 10'000'000;
constexpr std::int64_t kMaxUserPriority = 10'000;
constexpr std::size_t kLongestText = 4096;

// Keeps a parsed value with its place, or passes the refusal on.
template <typename T>
Result<void> Keep(Optional<T>& target, Result<T> parsed, const Given& given) {
  if (!parsed) return parsed.error();
  target = Setting<T>{std::move(*parsed), given.origin, given.written};
  return {};
}

// Text that goes on one line: no control characters, not too long.
Result<std::string> PlainText(const Given& given, bool may_be_empty) {
  if (given.value.empty() && !may_be_empty) return Bad("the value is empty");
  if (given.value.size() > kLongestText) return Bad("the value is longer than 4096 bytes");
  for (const char c : given.value) {
    if ((c >= 0 && c < ' ') || c == '\x7f') {
      return Bad(Quoted(given.value) + " holds a control character");
    }
  }
  return given.value;
}

Result<void> KeepText(Optional<std::string>& target, const Given& given, bool may_be_empty) {
  return Keep(target, PlainText(given, may_be_empty), given);
}

Result<void> KeepCount(Optional<std::int64_t>& target, const Given& given) {
  return Keep(target, ParseNumber(given.value, 1, kMaxCount), given);
}

Result<void> KeepSwitch(Optional<bool>& target, bool value, const Given& given) {
  target = Setting<bool>{value, given.origin, given.written};
  return {};
}

template <typename T>
void DropIfOlder(Optional<T>& other, const Given& given) {
  if (other && other->origin.source != given.origin.source) other.reset();
}

// The three memory options exclude each other; one from a later place takes the place of the
// others.
Result<void> KeepMemory(Optional<Memory> BatchOptions::*target, BatchOptions& options,
                        const Given& given) {
  for (const auto member : {&BatchOptions::memory_per_node, &BatchOptions::memory_per_cpu,
                            &BatchOptions::memory_per_gpu}) {
    if (member == target) continue;
    DropIfOlder(options.*member, given);
    if (options.*member) return Bad("--mem, --mem-per-cpu and --mem-per-gpu exclude each other");
  }
  return Keep(options.*target, ParseMemory(given.value), given);
}

Result<Domain> ParseDomain(std::string_view text) {
  const auto domain = FromName<Domain>(text);
  if (domain && *domain != Domain::kAny) return *domain;
  return Bad(Quoted(text) + " is not a domain: expected leaf or block");
}

Result<Spread> ParseSpread(std::string_view text) {
  const auto spread = FromName<Spread>(text);
  if (spread && *spread != Spread::kNone) return *spread;
  return Bad(Quoted(text) + " is nothing to spread over: expected node, leaf or block");
}

Result<JobKind> ParseKind(std::string_view text) {
  if (const auto kind = FromName<JobKind>(text)) return *kind;
  return Bad(Quoted(text) +
             " is not a kind of job: expected training, inference, interactive or batch");
}

Result<OpenMode> ParseOpenMode(std::string_view text) {
  if (text == "append" || text == "a") return OpenMode::kAppend;
  if (text == "truncate" || text == "t") return OpenMode::kTruncate;
  return Bad(Quoted(text) + " is not an open mode: expected append or truncate");
}

}  // namespace

Result<void> Name(BatchOptions& options, const Given& given) {
  constexpr std::size_t kLongestName = 200;
  if (given.value.size() > kLongestName) return Bad("the name is longer than 200 bytes");
  return KeepText(options.name, given, true);
}

Result<void> Project(BatchOptions& options, const Given& given) {
  return KeepText(options.project, given, false);
}

Result<void> JobClass(BatchOptions& options, const Given& given) {
  return KeepText(options.job_class, given, false);
}

Result<void> Kind(BatchOptions& options, const Given& given) {
  return Keep(options.kind, ParseKind(given.value), given);
}

Result<void> Nodes(BatchOptions& options, const Given& given) {
  return Keep(options.nodes, ParseNodes(given.value), given);
}

Result<void> Gpus(BatchOptions& options, const Given& given) {
  return Keep(options.gpus, ParseGpus(given.value), given);
}

Result<void> GpusPerNode(BatchOptions& options, const Given& given) {
  return Keep(options.gpus_per_node, ParseGpus(given.value), given);
}

Result<void> GpusPerTask(BatchOptions& options, const Given& given) {
  return Keep(options.gpus_per_task, ParseGpus(given.value), given);
}

Result<void> Gres(BatchOptions& options, const Given& given) {
  return Keep(options.gpus_per_node, ParseGres(given.value), given);
}

Result<void> GpuType(BatchOptions& options, const Given& given) {
  return KeepText(options.gpu_type, given, false);
}

Result<void> Ntasks(BatchOptions& options, const Given& given) {
  return KeepCount(options.ntasks, given);
}

Result<void> NtasksPerNode(BatchOptions& options, const Given& given) {
  return KeepCount(options.ntasks_per_node, given);
}

Result<void> CpusPerTask(BatchOptions& options, const Given& given) {
  return KeepCount(options.cpus_per_task, given);
}

Result<void> CpusPerGpu(BatchOptions& options, const Given& given) {
  return KeepCount(options.cpus_per_gpu, given);
}

Result<void> Mem(BatchOptions& options, const Given& given) {
  return KeepMemory(&BatchOptions::memory_per_node, options, given);
}

Result<void> MemPerCpu(BatchOptions& options, const Given& given) {
  if (given.value == "0") return Bad("0 is no memory at all");
  return KeepMemory(&BatchOptions::memory_per_cpu, options, given);
}

Result<void> MemPerGpu(BatchOptions& options, const Given& given) {
  if (given.value == "0") return Bad("0 is no memory at all");
  return KeepMemory(&BatchOptions::memory_per_gpu, options, given);
}

Result<void> Exclusive(BatchOptions& options, const Given& given) {
  if (given.has_value) {
    return Bad(Quoted(given.value) + ": nodes are kept for one job, not for one user or label: " +
               "write --exclusive alone");
  }
  return KeepSwitch(options.exclusive, true, given);
}

Result<void> Within(BatchOptions& options, const Given& given) {
  return Keep(options.within, ParseDomain(given.value), given);
}

Result<void> Prefer(BatchOptions& options, const Given& given) {
  return Keep(options.prefer, ParseDomain(given.value), given);
}

Result<void> SpreadOver(BatchOptions& options, const Given& given) {
  return Keep(options.spread, ParseSpread(given.value), given);
}

Result<void> Constraint(BatchOptions& options, const Given& given) {
  return Keep(options.constraints, ParseConstraints(given.value), given);
}

Result<void> NodeList(BatchOptions& options, const Given& given) {
  if (given.value.find('/') != std::string::npos) {
    return Bad(Quoted(given.value) + ": node lists are not read from files: name the nodes");
  }
  return Keep(options.node_list, ParseHostList(given.value), given);
}

Result<void> Exclude(BatchOptions& options, const Given& given) {
  if (given.value.find('/') != std::string::npos) {
    return Bad(Quoted(given.value) + ": node lists are not read from files: name the nodes");
  }
  return Keep(options.exclude, ParseHostList(given.value), given);
}

Result<void> Time(BatchOptions& options, const Given& given) {
  return Keep(options.time_limit_ms, ParseDuration(given.value), given);
}

Result<void> TimeMin(BatchOptions& options, const Given& given) {
  return Keep(options.time_min_ms, ParseDuration(given.value), given);
}

Result<void> Begin(BatchOptions& options, const Given& given) {
  return Keep(options.begin_ms, ParseMoment(given.value, given.now_ms), given);
}

Result<void> Deadline(BatchOptions& options, const Given& given) {
  Result<std::int64_t> deadline = ParseMoment(given.value, given.now_ms);
  if (deadline && *deadline <= given.now_ms) return Bad(Quoted(given.value) + " is over already");
  return Keep(options.deadline_ms, std::move(deadline), given);
}

Result<void> DependencyList(BatchOptions& options, const Given& given) {
  return Keep(options.dependencies, ParseDependencies(given.value), given);
}

Result<void> KillOnInvalidDep(BatchOptions& options, const Given& given) {
  if (given.value != "yes" && given.value != "no") {
    return Bad(Quoted(given.value) + " is neither yes nor no");
  }
  return KeepSwitch(options.cancel_on_unmet_dependency, given.value == "yes", given);
}

Result<void> Array(BatchOptions& options, const Given& given) {
  return Keep(options.array, ParseArray(given.value), given);
}

Result<void> Requeue(BatchOptions& options, const Given& given) {
  return KeepSwitch(options.requeue, true, given);
}

Result<void> NoRequeue(BatchOptions& options, const Given& given) {
  return KeepSwitch(options.requeue, false, given);
}

Result<void> MaxAttempts(BatchOptions& options, const Given& given) {
  return Keep(options.max_attempts, ParseNumber(given.value, 1, 1000), given);
}

Result<void> Signal(BatchOptions& options, const Given& given) {
  return Keep(options.signal, ParseSignal(given.value), given);
}

Result<void> Grace(BatchOptions& options, const Given& given) {
  return Keep(options.grace_ms, ParseDuration(given.value), given);
}

Result<void> Checkpoint(BatchOptions& options, const Given& given) {
  return KeepText(options.checkpoint_path, given, false);
}

Result<void> HoldJob(BatchOptions& options, const Given& given) {
  return KeepSwitch(options.hold, true, given);
}

Result<void> Nice(BatchOptions& options, const Given& given) {
  constexpr std::int64_t kSlurmsDefault = 100;
  if (!given.has_value) {
    options.nice = Setting<std::int64_t>{kSlurmsDefault, given.origin, given.written};
    return {};
  }
  return Keep(options.nice, ParseNumber(given.value, -kMaxUserPriority, kMaxUserPriority), given);
}

Result<void> Output(BatchOptions& options, const Given& given) {
  return KeepText(options.output, given, false);
}

Result<void> ErrorFile(BatchOptions& options, const Given& given) {
  return KeepText(options.error, given, false);
}

Result<void> Input(BatchOptions& options, const Given& given) {
  return KeepText(options.input, given, false);
}

Result<void> Open(BatchOptions& options, const Given& given) {
  return Keep(options.open_mode, ParseOpenMode(given.value), given);
}

Result<void> Chdir(BatchOptions& options, const Given& given) {
  return KeepText(options.working_directory, given, false);
}

Result<void> Export(BatchOptions& options, const Given& given) {
  return Keep(options.environment, ParseExport(given.value), given);
}

Result<void> Classification(BatchOptions& options, const Given& given) {
  return KeepText(options.classification, given, false);
}

Result<void> Container(BatchOptions& options, const Given& given) {
  return KeepText(options.container_image, given, false);
}

Result<void> Reservation(BatchOptions& options, const Given& given) {
  return KeepText(options.reservation, given, false);
}

Result<void> Comment(BatchOptions& options, const Given& given) {
  return KeepText(options.comment, given, true);
}

Result<void> Wait(BatchOptions& options, const Given& given) {
  return KeepSwitch(options.wait, true, given);
}

Result<void> Parsable(BatchOptions& options, const Given& given) {
  return KeepSwitch(options.parsable, true, given);
}

Result<void> Wrap(BatchOptions& options, const Given& given) {
  if (given.origin.source != Source::kFlag) {
    return Bad("a script cannot replace itself: give --wrap as a flag");
  }
  if (given.value.empty()) return Bad("the command is empty");
  options.wrap = Setting<std::string>{given.value, given.origin, given.written};
  return {};
}

}  // namespace kezek::script::apply
