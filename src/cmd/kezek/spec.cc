#include "cmd/kezek/spec.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string_view>
#include <utility>

#include "kezek/text.h"
#include "script/values.h"

namespace kezek::cli {
namespace {

// `old.sh line 6: #SBATCH --gres=gpu:4`, or the flag.
template <typename T>
std::string PlaceOf(const script::Setting<T>& setting, const std::string& file) {
  const script::Origin& origin = setting.origin;
  if (origin.source == script::Source::kFlag) return setting.written;
  return file + " line " + std::to_string(origin.line) +
         (origin.source == script::Source::kSbatch ? ": #SBATCH " : ": #KEZEK ") + setting.written;
}

std::string Absolute(const std::string& path, const std::string& directory) {
  if (path.starts_with('/')) return path;
  return (directory == "/" ? "" : directory) + "/" + path;
}

// The one type of GPU that all options name; fails if they name two.
Result<std::string> GpuTypeOf(const Draft& draft) {
  const script::BatchOptions& options = draft.options;
  std::string type;
  std::string place;
  const auto merge = [&](const std::string& named, const std::string& where) -> Result<void> {
    if (named.empty()) return {};
    if (!type.empty() && type != named) {
      return Error{Code::kInvalidArgument,
                   where + ": another type of GPU than " + place + ": a job has one type",
                   {}};
    }
    type = named;
    place = where;
    return {};
  };
  for (const auto* count : {&options.gpus, &options.gpus_per_node, &options.gpus_per_task}) {
    if (!*count) continue;
    Result<void> merged = merge((*count)->value.type, PlaceOf(**count, draft.file));
    if (!merged) return merged.error();
  }
  if (options.gpu_type) {
    Result<void> merged = merge(options.gpu_type->value, PlaceOf(*options.gpu_type, draft.file));
    if (!merged) return merged.error();
  }
  return type;
}

std::int32_t Int32(std::int64_t number) { return static_cast<std::int32_t>(number); }

void FillNodes(const Draft& draft, MadeSpec& made) {
  const script::BatchOptions& options = draft.options;
  if (!options.nodes) return;
  const script::NodeRange& asked = options.nodes->value;
  const std::string place = PlaceOf(*options.nodes, draft.file);
  std::int64_t nodes = asked.min;
  if (asked.min != asked.max) {
    made.warnings.push_back(place + ": a job has one size here: " + std::to_string(nodes) +
                            " nodes are asked for");
  }
  // As sbatch has it: no node without a task.
  if (options.ntasks && options.ntasks->value < nodes) {
    nodes = options.ntasks->value;
    made.warnings.push_back(place + ": " + std::to_string(nodes) +
                            " tasks cannot be on more nodes than that: " + std::to_string(nodes) +
                            " are asked for");
  }
  made.spec.mutable_shape()->set_nodes(Int32(nodes));
}

Result<void> FillShape(const Draft& draft, MadeSpec& made) {
  const script::BatchOptions& options = draft.options;
  v1::Shape& shape = *made.spec.mutable_shape();
  Result<std::string> type = GpuTypeOf(draft);
  if (!type) return type.error();
  shape.set_gpu_type(*type);
  FillNodes(draft, made);
  if (options.gpus_per_node) shape.set_gpus_per_node(Int32(options.gpus_per_node->value.count));
  if (options.gpus) shape.set_gpus(Int32(options.gpus->value.count));
  if (options.gpus_per_task) shape.set_gpus_per_task(Int32(options.gpus_per_task->value.count));
  if (options.ntasks) shape.set_ntasks(Int32(options.ntasks->value));
  if (options.ntasks_per_node) shape.set_ntasks_per_node(Int32(options.ntasks_per_node->value));
  if (options.cpus_per_task) shape.set_cpus_per_task(Int32(options.cpus_per_task->value));
  if (options.cpus_per_gpu) shape.set_cpus_per_gpu(Int32(options.cpus_per_gpu->value));
  if (options.memory_per_node) shape.set_memory_per_node_mib(options.memory_per_node->value.mib);
  if (options.memory_per_cpu) shape.set_memory_per_cpu_mib(options.memory_per_cpu->value.mib);
  if (options.memory_per_gpu) shape.set_memory_per_gpu_mib(options.memory_per_gpu->value.mib);
  if (options.exclusive) shape.set_exclusive(options.exclusive->value);
  return {};
}

v1::Domain DomainOf(Domain domain) {
  return domain == Domain::kLeaf ? v1::DOMAIN_LEAF : v1::DOMAIN_BLOCK;
}

void FillPlacement(const script::BatchOptions& options, v1::JobSpec& spec) {
  if (options.within) spec.mutable_topology()->set_within(DomainOf(options.within->value));
  if (options.prefer) spec.mutable_topology()->set_prefer(DomainOf(options.prefer->value));
  if (options.spread) {
    const int spread = static_cast<int>(options.spread->value);
    spec.mutable_topology()->set_spread(static_cast<v1::Spread>(spread));
  }
  if (options.constraints) {
    for (const std::string& label : options.constraints->value) spec.add_constraints(label);
  }
  if (options.node_list) {
    for (const std::string& node : options.node_list->value) spec.add_nodelist(node);
  }
  if (options.exclude) {
    for (const std::string& node : options.exclude->value) spec.add_exclude_nodes(node);
  }
  if (options.reservation) spec.set_reservation(options.reservation->value);
}

void FillTimes(const script::BatchOptions& options, v1::JobSpec& spec) {
  if (options.time_limit_ms) spec.set_time_limit_ms(options.time_limit_ms->value);
  if (options.time_min_ms) spec.set_time_min_ms(options.time_min_ms->value);
  if (options.begin_ms) spec.set_begin_ms(options.begin_ms->value);
  if (options.deadline_ms) spec.set_deadline_ms(options.deadline_ms->value);
  if (options.signal) {
    v1::EndSignal& signal = *spec.mutable_signal();
    signal.set_name(options.signal->value.name);
    signal.set_before_end_ms(options.signal->value.seconds_before * 1000);
    signal.set_batch_only(options.signal->value.batch_shell_only);
  }
  if (options.grace_ms) spec.mutable_signal()->set_grace_ms(options.grace_ms->value);
  if (options.array) {
    spec.mutable_array()->set_indices(script::FormatIndices(options.array->value));
    spec.mutable_array()->set_max_running(Int32(options.array->value.max_running));
  }
  if (options.requeue) spec.mutable_requeue()->set_enabled(options.requeue->value);
  if (options.max_attempts) {
    spec.mutable_requeue()->set_max_attempts(Int32(options.max_attempts->value));
    if (!options.requeue) spec.mutable_requeue()->set_enabled(true);
  }
  if (options.hold) spec.set_hold(options.hold->value);
  if (options.nice) spec.set_user_priority(Int32(-options.nice->value));
  if (options.cancel_on_unmet_dependency) {
    spec.set_kill_on_invalid_dependency(options.cancel_on_unmet_dependency->value);
  }
}

void FillDependencies(const script::BatchOptions& options, v1::JobSpec& spec) {
  if (!options.dependencies) return;
  for (const script::Dependency& from : options.dependencies->value) {
    v1::Dependency& dependency = *spec.add_dependencies();
    switch (from.kind) {
      case DependencyKind::kAfterOk:
        dependency.set_kind(v1::DEPENDENCY_KIND_AFTER_OK);
        break;
      case DependencyKind::kAfterAny:
        dependency.set_kind(v1::DEPENDENCY_KIND_AFTER_ANY);
        break;
      case DependencyKind::kAfterNotOk:
        dependency.set_kind(v1::DEPENDENCY_KIND_AFTER_NOT_OK);
        break;
      case DependencyKind::kAfter:
        dependency.set_kind(v1::DEPENDENCY_KIND_AFTER);
        break;
    }
    dependency.set_job(std::to_string(from.job) +
                       (from.element ? "_" + std::to_string(*from.element) : ""));
    dependency.set_delay_ms(from.delay_ms);
  }
}

void FillPaths(const script::BatchOptions& options, const Host& host, v1::JobSpec& spec) {
  std::string directory = host.directory;
  if (options.working_directory) directory = Absolute(options.working_directory->value, directory);
  spec.set_working_dir(directory);
  if (options.output) spec.set_stdout_path(Absolute(options.output->value, directory));
  if (options.error) spec.set_stderr_path(Absolute(options.error->value, directory));
  if (options.input) spec.set_stdin_path(Absolute(options.input->value, directory));
  if (options.open_mode) {
    spec.set_open_mode(options.open_mode->value == script::OpenMode::kAppend
                           ? v1::OPEN_MODE_APPEND
                           : v1::OPEN_MODE_TRUNCATE);
  }
  if (options.checkpoint_path) spec.set_checkpoint_path(options.checkpoint_path->value);
}

void FillIdentity(const Draft& draft, v1::JobSpec& spec) {
  const script::BatchOptions& options = draft.options;
  spec.set_name(options.name && !options.name->value.empty() ? options.name->value
                                                             : draft.default_name);
  spec.set_project(options.project ? options.project->value : draft.default_project);
  if (options.job_class) spec.set_job_class(options.job_class->value);
  if (options.comment) spec.set_comment(options.comment->value);
  if (options.classification) spec.set_data_classification(options.classification->value);
  if (options.container_image) spec.set_container_image(options.container_image->value);
  if (options.kind) {
    constexpr v1::JobKind kKinds[] = {v1::JOB_KIND_BATCH, v1::JOB_KIND_TRAINING,
                                      v1::JOB_KIND_INFERENCE, v1::JOB_KIND_INTERACTIVE};
    spec.set_kind(kKinds[static_cast<std::size_t>(options.kind->value)]);
  }
  for (const auto& ignored : options.ignored) spec.add_ignored_options(ignored.value);
}

// What follows the option's name: `NONE` of `--export=NONE`.
template <typename T>
std::string ValueOf(const script::Setting<T>& setting) {
  const std::size_t end = setting.written.find_first_of("= ");
  return end == std::string::npos ? "" : setting.written.substr(end + 1);
}

// What sbatch adds for srun and slurmd to read, and only this process knows.
void AddOwnVariables(const Draft& draft, const Host& host, v1::JobSpec& spec) {
  auto& environment = *spec.mutable_environment();
  environment["SLURM_PRIO_PROCESS"] = std::to_string(host.nice);
  if (const auto& rules = draft.options.environment) {
    const bool login =
        !rules->value.all || !rules->value.names.empty() || !rules->value.assignments.empty();
    // Lets slurmd put the user's login environment beneath.
    if (login) {
      environment["SLURM_EXPORT_ENV"] = ValueOf(*rules);
      environment["SLURM_GET_USER_ENV"] = "1";
    }
  }
  const auto& gpus = draft.options.gpus_per_node;
  if (gpus && !gpus->written.starts_with("--gr")) {
    environment["SLURM_GPUS_PER_NODE"] = ValueOf(*gpus);
  }
}

void FillEnvironment(const Draft& draft, const Host& host, MadeSpec& made) {
  const script::ExportSpec rules =
      draft.options.environment ? draft.options.environment->value : script::ExportSpec{};
  auto& environment = *made.spec.mutable_environment();
  const auto copy = [&](const std::string& name, const std::string& value) {
    if (IsUtf8(name) && IsUtf8(value)) {
      environment[name] = value;
    } else {
      made.warnings.push_back("environment: " + name + " is not UTF-8 and is left out");
    }
  };
  for (const auto& [name, value] : host.environment) {
    const bool slurms = name.starts_with("SLURM_") || name.starts_with("SPANK_");
    if ((rules.all || slurms) && name != "KEZEK_TOKEN") copy(name, value);
  }
  for (const std::string& name : rules.names) {
    const auto found = host.environment.find(name);
    if (found != host.environment.end()) copy(name, found->second);
  }
  for (const auto& [name, value] : rules.assignments) copy(name, value);
  AddOwnVariables(draft, host, made.spec);
}

}  // namespace

Result<MadeSpec> MakeSpec(const Draft& draft, const Host& host) {
  MadeSpec made;
  FillIdentity(draft, made.spec);
  const Result<void> filled = FillShape(draft, made);
  if (!filled) return filled.error();
  FillPlacement(draft.options, made.spec);
  FillTimes(draft.options, made.spec);
  FillDependencies(draft.options, made.spec);
  FillPaths(draft.options, host, made.spec);
  FillEnvironment(draft, host, made);
  made.spec.set_script(draft.script);
  for (const std::string& argument : draft.arguments) made.spec.add_arguments(argument);
  made.spec.set_umask(host.umask);
  for (const auto& [name, value] : host.rlimits) (*made.spec.mutable_rlimits())[name] = value;
  made.spec.set_submit_host(host.name);
  made.spec.set_submit_dir(host.directory);
  return made;
}

std::string ShellQuoted(const std::string& argument) {
  std::string quoted = "'";
  for (const char c : argument) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace kezek::cli
