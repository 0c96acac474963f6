// What a Slurm batch script, its #KEZEK lines and the command line ask for, as plain values.
//
// Every field is unset unless somebody wrote it, and remembers where: so a refusal, here or by the
// server, can name the line. Nothing here knows defaults; those are the server's.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "kezek/job.h"
#include "kezek/resources.h"

namespace kezek::script {

// Who wrote an option. A later one overrides an earlier one.
enum class Source { kSbatch, kKezek, kFlag };

// Where an option stands. `line` counts from 1 in the script and is 0 for a flag.
struct Origin {
  Source source = Source::kFlag;
  int line = 0;
  bool operator==(const Origin&) const = default;
};

template <typename T>
struct Setting {
  T value{};
  Origin origin;
  std::string written;  // as it stands there: `--gres=gpu:4`, `-N 2`
  bool operator==(const Setting&) const = default;
};

template <typename T>
using Optional = std::optional<Setting<T>>;

// A number of GPUs, of a named type or of any (`type` empty). Never zero.
struct GpuCount {
  std::string type;
  std::int64_t count = 0;
  bool operator==(const GpuCount&) const = default;
};

// Slurm's --nodes: `4` is {4, 4}; `2-4` is {2, 4}.
struct NodeRange {
  std::int64_t min = 0;
  std::int64_t max = 0;
  bool operator==(const NodeRange&) const = default;
};

// Memory in MiB, rounded up. Zero means all of the node, as Slurm's --mem=0 does.
struct Memory {
  std::int64_t mib = 0;
  bool operator==(const Memory&) const = default;
};

// One piece of --array: first, first + step, … up to last.
struct ArrayRange {
  std::int64_t first = 0;
  std::int64_t last = 0;
  std::int64_t step = 1;
  bool operator==(const ArrayRange&) const = default;
};

// --array as written. `max_running` is 0 when there is no `%`.
struct ArraySpec {
  std::vector<ArrayRange> ranges;
  std::int64_t max_running = 0;
  bool operator==(const ArraySpec&) const = default;
};

// One job this one waits for; `element` is set for one element of an array (`48211_7`).
struct Dependency {
  DependencyKind kind = DependencyKind::kAfterOk;
  std::int64_t job = 0;
  std::optional<std::int64_t> element;
  std::int64_t delay_ms = 0;  // after `after`: `after:12+5` is five minutes
  bool operator==(const Dependency&) const = default;
};

// --signal: sent `seconds_before` the end of the time limit, to the batch shell alone when
// `batch_shell_only`, else to the job's steps. `name` has no SIG in front.
struct SignalSpec {
  std::string name;
  std::int64_t seconds_before = 60;
  bool batch_shell_only = false;
  bool operator==(const SignalSpec&) const = default;
};

// --export: the whole environment of the submitter or none of it, then the named variables of it,
// then assignments, in the order written.
struct ExportSpec {
  bool all = true;
  std::vector<std::string> names;
  std::vector<std::pair<std::string, std::string>> assignments;
  bool operator==(const ExportSpec&) const = default;
};

enum class OpenMode { kAppend, kTruncate };

struct BatchOptions {
  Optional<std::string> name;
  Optional<std::string> comment;
  Optional<std::string> project;    // -A
  Optional<std::string> job_class;  // -q

  Optional<NodeRange> nodes;
  Optional<std::int64_t> ntasks;
  Optional<std::int64_t> ntasks_per_node;
  Optional<std::int64_t> cpus_per_task;
  Optional<GpuCount> gpus;           // in all: -G
  Optional<GpuCount> gpus_per_node;  // --gres=gpu:… and --gpus-per-node
  Optional<GpuCount> gpus_per_task;
  Optional<std::int64_t> cpus_per_gpu;
  Optional<Memory> memory_per_node;
  Optional<Memory> memory_per_cpu;
  Optional<Memory> memory_per_gpu;
  Optional<bool> exclusive;
  Optional<std::vector<std::string>> constraints;  // all of them
  Optional<std::vector<std::string>> node_list;
  Optional<std::vector<std::string>> exclude;
  Optional<std::string> reservation;

  Optional<std::int64_t> time_limit_ms;
  Optional<std::int64_t> time_min_ms;
  Optional<std::int64_t> begin_ms;     // UTC milliseconds
  Optional<std::int64_t> deadline_ms;  // UTC milliseconds
  Optional<SignalSpec> signal;
  Optional<ArraySpec> array;
  Optional<std::vector<Dependency>> dependencies;
  Optional<bool> cancel_on_unmet_dependency;  // --kill-on-invalid-dep
  Optional<bool> requeue;
  Optional<bool> hold;
  Optional<std::int64_t> nice;

  Optional<std::string> output;
  Optional<std::string> error;
  Optional<std::string> input;
  Optional<OpenMode> open_mode;
  Optional<std::string> working_directory;
  Optional<ExportSpec> environment;

  // Kezek's own, on #KEZEK lines and as flags.
  Optional<JobKind> kind;
  Optional<std::string> gpu_type;
  Optional<Domain> within;
  Optional<Domain> prefer;
  Optional<Spread> spread;
  Optional<std::int64_t> max_attempts;
  Optional<std::int64_t> grace_ms;
  Optional<std::string> checkpoint_path;
  Optional<std::string> classification;
  Optional<std::string> container_image;

  // Taken, and of no effect in Kezek, as written: `--partition=gpu`.
  std::vector<Setting<std::string>> ignored;

  // For the one who submits, not for the job.
  Optional<bool> wait;
  Optional<bool> parsable;
  Optional<std::string> wrap;
};

}  // namespace kezek::script
