#include "scheduler/control/admission.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "kezek/bounds.h"
#include "kezek/check.h"
#include "kezek/index_ranges.h"
#include "kezek/node_parts.h"
#include "kezek/reason_text.h"
#include "quota/charge.h"
#include "quota/limits.h"
#include "scheduler/engine/placement.h"

namespace kezek::control {
namespace {

constexpr std::int32_t kMaxPerNode = 1'000'000;
constexpr std::int64_t kMaxMemoryMib = 1'000'000'000;

Error Invalid(std::string field, std::string reason, std::string message) {
  return FieldProblem(Code::kInvalidArgument,
                      {std::move(field), std::move(reason), std::move(message), {}});
}

Error Barred(Code code, std::string field, const Reason& reason) {
  return FieldProblem(code, {std::move(field), std::string(WireName(reason.code)), Sentence(reason),
                             reason.fields});
}

Result<void> InRange(const char* field, std::int64_t value, std::int64_t low, std::int64_t high) {
  if (value >= low && value <= high) return {};
  return Invalid(field, "OUT_OF_RANGE",
                 std::to_string(value) + " is not between " + std::to_string(low) + " and " +
                     std::to_string(high));
}

// What is the same for all machines and settings.
Result<void> CheckFigures(const JobSpec& spec) {
  const Shape& shape = spec.shape;
  const std::vector<Result<void>> checks = {
      InRange("shape.nodes", shape.nodes, 1, kNodesMost),
      InRange("shape.gpus_per_node", shape.gpus_per_node, 0, kMaxPerNode),
      InRange("shape.cpus_per_node", shape.cpus_per_node, 0, kMaxPerNode),
      InRange("shape.memory_per_node_mib", shape.memory_mib_per_node, -1, kMaxMemoryMib),
      InRange("shape.ntasks", spec.ntasks, 0, kMaxPerNode),
      InRange("shape.ntasks_per_node", spec.ntasks_per_node, 0, kMaxPerNode),
      InRange("shape.cpus_per_task", spec.cpus_per_task, 0, kMaxPerNode),
      InRange("time_limit_ms", spec.time_limit_ms, 0, kLongestJobMs),
      InRange("time_min_ms", spec.time_min_ms, 0, kLongestJobMs),
      InRange("begin_ms", spec.begin_ms, 0, INT64_MAX),
      InRange("deadline_ms", spec.deadline_ms, 0, INT64_MAX),
      InRange("requeue.max_attempts", spec.max_attempts, 1, 1000),
      InRange("signal.before_end_ms", spec.signal.before_end_ms, 0, kLongestJobMs),
  };
  for (const Result<void>& check : checks) {
    if (!check) return check.error();
  }
  return {};
}

}  // namespace

DurationMs WholeMinutes(DurationMs time_ms) {
  return std::max<DurationMs>(1, (time_ms + kMinuteMs - 1) / kMinuteMs) * kMinuteMs;
}

Admission::Admission(const ControlConfig& config, std::shared_ptr<const Directory> directory,
                     std::map<std::string, Node> nodes)
    : classes_(config.classes),
      default_class_(config.default_class),
      classifications_(config.classifications),
      alone_from_(config.alone_from),
      charge_(config.charge),
      late_ms_(config.engine.late_ms),
      directory_(std::move(directory)),
      nodes_(std::move(nodes)),
      types_(quota::GpuTypes(nodes_)),
      apart_(engine::PoolsApart(nodes_, directory_->owners)),
      configured_(engine::Machine::Configured(nodes_, directory_->owners)) {
  auto tree = quota::AccountTree::Build(directory_->accounts);
  KEZEK_CHECK(tree.has_value(), "accounts were checked when they were stored");
  tree_ = std::move(*tree);
}

Result<JobSpec> Admission::Complete(JobSpec spec) const {
  if (const auto valid = CheckFigures(spec); !valid) return valid.error();
  const quota::AccountIndex project = tree_.IndexOf(spec.project);
  if (project == quota::kNoAccount) {
    return FieldProblem(Code::kNotFound,
                        {"project", "NO_SUCH_ACCOUNT", "there is no such project", {}});
  }
  if (spec.job_class.empty()) spec.job_class = tree_.DefaultClass(project);
  if (spec.job_class.empty()) spec.job_class = default_class_;
  if (!classes_.contains(spec.job_class)) {
    std::string known;
    for (const auto& [name, rules] : classes_) known += (known.empty() ? "" : ", ") + name;
    return Invalid("job_class", "NO_SUCH_CLASS",
                   "there is no class " + spec.job_class + "; classes here: " + known);
  }
  if (IsAlone(spec.classification)) spec.shape.exclusive = true;
  for (const auto step : {&Admission::ChooseType, &Admission::CompleteParts,
                          &Admission::CompleteNodes, &Admission::CompleteLimit}) {
    if (const auto done = (this->*step)(spec); !done) return done.error();
  }
  if (const auto valid = CheckRest(spec); !valid) return valid.error();
  return spec;
}

bool Admission::IsAlone(const std::string& classification) const {
  const auto from = std::find(classifications_.begin(), classifications_.end(), alone_from_);
  return std::find(from, classifications_.end(), classification) != classifications_.end();
}

Result<void> Admission::ChooseType(JobSpec& spec) const {
  std::string& type = spec.shape.gpu_type;
  if (type.empty()) type = directory_->default_gpu_type;
  if (types_.contains(type)) return {};
  std::string known;
  for (const auto& [name, size] : types_) known += (known.empty() ? "" : ", ") + name;
  return Barred(Code::kInvalidArgument, "shape.gpu_type",
                {ReasonCode::kNoSuchGpuType, {{"asked", type}, {"types", known}}});
}

// CPUs, memory and tasks: the job's part of its node where nothing is said.
Result<void> Admission::CompleteParts(JobSpec& spec) const {
  Shape& shape = spec.shape;
  const quota::NodeSize& node = types_.at(shape.gpu_type).size;
  if (spec.ntasks_per_node == 0) {
    spec.ntasks_per_node =
        spec.ntasks == 0 ? 1 : std::max(1, (spec.ntasks + shape.nodes - 1) / shape.nodes);
  }
  // One task is what a client that says nothing sends: one for each node.
  if (spec.ntasks == 0 || (spec.ntasks == 1 && shape.nodes > 1)) {
    spec.ntasks = shape.nodes * spec.ntasks_per_node;
  }
  if (spec.ntasks < shape.nodes) {
    return Invalid("shape.ntasks", "FEWER_TASKS_THAN_NODES",
                   std::to_string(spec.ntasks) + " tasks on " + std::to_string(shape.nodes) +
                       " nodes: some would have none; ask for fewer nodes");
  }
  const auto part = [&](std::int64_t whole) -> std::int64_t {
    if (shape.exclusive) return whole;
    return node.gpus == 0 ? 0 : whole * std::min(shape.gpus_per_node, node.gpus) / node.gpus;
  };
  if (shape.cpus_per_node == 0) {
    const std::int32_t tasks = spec.ntasks_per_node * std::max(1, spec.cpus_per_task);
    shape.cpus_per_node = std::max(tasks, static_cast<std::int32_t>(part(node.cpus)));
  }
  if (spec.cpus_per_task == 0) {
    spec.cpus_per_task = std::max(1, shape.cpus_per_node / spec.ntasks_per_node);
  }
  if (spec.ntasks_per_node * spec.cpus_per_task > shape.cpus_per_node) {
    shape.cpus_per_node = spec.ntasks_per_node * spec.cpus_per_task;
  }
  if (shape.memory_mib_per_node == -1) {
    shape.memory_mib_per_node = node.memory_mib;
  } else if (shape.memory_mib_per_node == 0) {
    const std::int64_t by_cpus =
        node.cpus == 0 ? 0 : node.memory_mib * std::min(shape.cpus_per_node, node.cpus) / node.cpus;
    shape.memory_mib_per_node = std::max<std::int64_t>(
        1, shape.gpus_per_node > 0 || shape.exclusive ? part(node.memory_mib) : by_cpus);
  }
  return {};
}

// A host's name means its node of the job's type.
Result<void> Admission::CompleteNodes(JobSpec& spec) const {
  for (auto* names : {&spec.nodes, &spec.exclude_nodes}) {
    for (std::string& name : *names) name = OnHost(nodes_, name, spec.shape.gpu_type);
    std::sort(names->begin(), names->end());
    names->erase(std::unique(names->begin(), names->end()), names->end());
  }
  return {};
}

Result<void> Admission::CompleteLimit(JobSpec& spec) const {
  const auto account = tree_.IndexOf(spec.project);
  if (spec.time_limit_ms == 0) {
    spec.time_limit_ms = tree_.DefaultTimeLimit(account, classes_.at(spec.job_class));
  }
  spec.time_limit_ms = WholeMinutes(spec.time_limit_ms);
  if (spec.time_min_ms > spec.time_limit_ms) {
    return Invalid("time_min_ms", "OUT_OF_RANGE", "it is longer than the time limit");
  }
  return {};
}

// Who may use it is known where the user is.
Result<void> Admission::CheckReservation(const JobSpec& spec) const {
  if (spec.reservation.empty()) return {};
  Reason reason{ReasonCode::kNoSuchReservation, {{"reservation", spec.reservation}}};
  const auto found = directory_->reservations.find(spec.reservation);
  if (found == directory_->reservations.end()) {
    return Barred(Code::kFailedPrecondition, "reservation", reason);
  }
  const DurationMs margin =
      quota::HeldTime(spec.time_limit_ms, charge_) + late_ms_ - spec.time_limit_ms;
  const DurationMs room = found->second.duration_ms - margin;
  if (spec.time_limit_ms <= room) return {};
  reason.code = ReasonCode::kReservationTooShort;
  const DurationMs fits = room / kMinuteMs * kMinuteMs;
  if (fits >= kMinuteMs) reason.fields["fits"] = std::to_string(fits);
  return Barred(Code::kFailedPrecondition, "time_limit_ms", reason);
}

Result<void> Admission::CheckRest(const JobSpec& spec) const {
  if (auto inside = CheckReservation(spec); !inside) return inside.error();
  if (spec.array && CountIndices(spec.array->indices) == 0) {
    return Invalid("array.indices", "REQUIRED", "an array has at least one element");
  }
  if (spec.array && CountIndices(spec.array->indices) > kElementsMost) {
    return Invalid("array.indices", "OUT_OF_RANGE",
                   "an array has at most " + std::to_string(kElementsMost) + " elements");
  }
  if (spec.array && spec.array->max_running < 0) {
    return Invalid("array.max_running", "OUT_OF_RANGE", "it is negative");
  }
  Reason never;  // the last pool's: of a class's lane, or of the shared nodes
  bool fits = false;
  bool apart = false;
  for (const engine::PoolKey& pool : engine::PoolsFor(apart_, tree_, spec)) {
    Reason reason = engine::WhyNeverFits(configured_, spec, pool);
    if (reason.code == ReasonCode::kNone) {
      fits = true;
      apart = apart || !pool.shared();
    } else {
      never = std::move(reason);
    }
  }
  const quota::Refusal refusal = quota::NeverFits(tree_, classes_.at(spec.job_class), spec,
                                                  Counted(spec), classifications_, apart);
  // What settings do not allow, no node is cleared for.
  const bool by_settings = refusal.reason.code == ReasonCode::kClassificationNotAllowed;
  if (!fits && !by_settings) {
    NamePools(spec, never);
    const auto field = never.fields.extract("field");
    return Barred(Code::kFailedPrecondition, field ? field.mapped() : "shape.gpu_type", never);
  }
  if (refusal.reason.code == ReasonCode::kNone) return {};
  return Barred(Code::kFailedPrecondition, refusal.field, refusal.reason);
}

// Which nodes a reason is about that none of them fits: nothing where none has an owner.
void Admission::NamePools(const JobSpec& spec, Reason& never) const {
  if (never.code != ReasonCode::kNeverFitsMachine) return;
  for (const engine::PoolKey& pool : engine::PoolsFor(apart_, tree_, spec)) {
    if (!pool.job_class.empty()) never.fields["lane"] = pool.job_class;
    if (pool.account) {
      std::string& text = never.fields["dedicated"];
      text += (text.empty() ? "" : ", ") + tree_.path(tree_.IndexOf(pool.account));
    }
    if (pool.shared() && !apart_.empty()) never.fields["pool"] = "shared";
  }
}

Result<void> Admission::CheckBudgets(const JobSpec& spec, TimeMs now,
                                     const quota::CarriedIn& carried_in) const {
  const ClassRules& rules = classes_.at(spec.job_class);
  if (rules.scavenger) return {};
  const auto rate = directory_->rate_milli.find(spec.shape.gpu_type);
  const quota::Cost cost{.project = spec.project,
                         .gpu_type = spec.shape.gpu_type,
                         .counted_milli = Counted(spec),
                         .limit_ms = spec.time_limit_ms,
                         .rate_milli = rate == directory_->rate_milli.end() ? 1000 : rate->second,
                         .factor_milli = rules.factor_milli};
  Reason never = quota::NeverHeld(tree_, cost, std::max(now, spec.begin_ms), carried_in, charge_);
  if (never.code == ReasonCode::kNone) return {};
  std::map<std::string, std::string>& fields = never.fields;
  std::string message = "budget " + fields["budget"] + " of " + fields["account"] +
                        " could not hold it even if nothing were drawn on it: it has " +
                        fields["left"] + " GPU-hours, " + fields["needed"] + " are needed";
  if (const auto fits = fields.find("fits"); fits != fields.end()) {
    message +=
        "; a time limit of " + reason_text::LengthText(std::stoll(fits->second)) + " would fit";
  }
  return FieldProblem(Code::kFailedPrecondition, {"time_limit_ms", "NEVER_FITS_BUDGET",
                                                  std::move(message), std::move(fields)});
}

Result<void> Admission::Stopped(const char* field, const Reason& reason) {
  return Barred(Code::kFailedPrecondition, field, reason);
}

Result<void> Admission::CheckQueue(const QueuedJobs& queued, UserId owner,
                                   const JobSpec& spec) const {
  const std::int64_t jobs = spec.array ? CountIndices(spec.array->indices) : 1;
  const auto rules = classes_.find(spec.job_class);
  const Reason reason = QueueLimit(tree_, rules == classes_.end() ? ClassRules{} : rules->second,
                                   spec.project, owner, jobs, queued);
  if (reason.code == ReasonCode::kNone) return {};
  const bool of_class = reason.fields.contains("class");
  return Barred(Code::kResourceExhausted, of_class ? "job_class" : "project", reason);
}

Result<void> Admission::CheckClassQueue(const QueuedJobs& queued, UserId owner, const JobSpec& spec,
                                        std::int64_t jobs) const {
  const Reason reason = quota::ClassQueueLimit(classes_.at(spec.job_class), owner, jobs, queued);
  if (reason.code == ReasonCode::kNone) return {};
  return Barred(Code::kResourceExhausted, "job_class", reason);
}

MilliGpus Admission::Counted(const JobSpec& spec) const {
  const auto type = types_.find(spec.shape.gpu_type);
  if (type == types_.end()) return 0;
  return quota::CountAtMost(spec, type->second);
}

}  // namespace kezek::control
