#include "rpc/job_convert.h"

#include <algorithm>
#include <utility>

#include "kezek/host_list.h"
#include "kezek/index_ranges.h"
#include "kezek/node_parts.h"
#include "kezek/output_path.h"
#include "kezek/reason_text.h"
#include "rpc/job_refs.h"
#include "rpc/node_convert.h"
#include "rpc/spec_convert.h"

namespace kezek::rpc {
namespace {

v1::JobState ToWireState(JobState state) {
  return static_cast<v1::JobState>(static_cast<int>(state) + v1::JOB_STATE_QUEUED);
}

std::int64_t CountOf(const JobRecord& record, JobState state) {
  const auto found = record.elements.find(state);
  return found == record.elements.end() ? 0 : found->second;
}

void FillArray(const JobRecord& record, v1::ArrayCounts* wire) {
  const auto as_int = [](std::int64_t count) { return static_cast<std::int32_t>(count); };
  const std::int64_t total = CountIndices(record.job.spec->array->indices);
  std::int64_t others = 0;
  for (const auto& [state, count] : record.elements) {
    if (state != JobState::kCancelled) others += count;
  }
  wire->set_total(as_int(total));
  wire->set_queued(as_int(CountOf(record, JobState::kQueued)));
  wire->set_starting(as_int(CountOf(record, JobState::kStarting)));
  wire->set_running(as_int(CountOf(record, JobState::kRunning)));
  wire->set_succeeded(as_int(CountOf(record, JobState::kSucceeded)));
  wire->set_failed(
      as_int(CountOf(record, JobState::kFailed) + CountOf(record, JobState::kTimedOut)));
  wire->set_cancelled(as_int(total - others));
  wire->set_queued_indices(FormatIndices(record.job.pending));
}

// For a client to pass on: never 0 for a job that has not succeeded.
std::int32_t ExitCodeOf(const JobRecord& record, JobState state) {
  if (!IsFinal(state) || state == JobState::kSucceeded) return 0;
  if (record.attempts.empty()) return 1;
  const Attempt& last = record.attempts.back();
  if (last.exit_signal != 0) return 128 + last.exit_signal;
  return last.exit_code != 0 ? last.exit_code : 1;
}

TimeMs StartOf(const JobRecord& record) {
  return record.attempts.empty() ? 0 : record.attempts.back().start_ms;
}

std::string_view UnixAccountOf(const Directory& directory, UserId user) {
  const auto found = directory.users.find(user);
  return found == directory.users.end() ? std::string_view() : found->second.unix_account;
}

v1::Hold ToWireHold(Hold hold) { return static_cast<v1::Hold>(static_cast<int>(hold)); }

}  // namespace

JobState StateOf(const JobRecord& record) {
  if (!IsArrayRow(record.job)) return record.job.state;
  for (const JobState state : {JobState::kRunning, JobState::kStarting, JobState::kQueued}) {
    if (CountOf(record, state) > 0) return state;
  }
  if (!IsFinal(record.job.state)) return record.job.state;
  if (CountOf(record, JobState::kFailed) + CountOf(record, JobState::kTimedOut) > 0) {
    return JobState::kFailed;
  }
  const std::int64_t total = CountIndices(record.job.spec->array->indices);
  return CountOf(record, JobState::kSucceeded) == total ? JobState::kSucceeded
                                                        : JobState::kCancelled;
}

Reason ReasonOf(const View& view, const Job& job) {
  if (job.state != JobState::kQueued) return job.reason;
  if (auto standing = view.FindWaiting(job.ref, *job.spec)) return std::move(standing->reason);
  return job.hold != Hold::kNone ? job.hold_reason : job.reason;
}

std::optional<JobRecord> ElementWithoutRow(const JobRecord& array, std::int32_t element) {
  if (!array.job.spec->array || !ContainsIndex(array.job.spec->array->indices, element)) {
    return std::nullopt;
  }
  JobRecord record{.job = array.job};
  record.job.ref.element = element;
  record.job.attempts = 0;
  record.job.failed_runs = 0;
  if (!ContainsIndex(array.job.pending, element)) record.job.state = JobState::kCancelled;
  record.job.pending.clear();
  return record;
}

MilliGpuMs JobWriter::ChargeOf(const JobRecord& record, const Attempt& attempt) const {
  if (attempt.state != AttemptState::kEnded) return desk.ChargeSoFar(attempt, now_ms);
  const auto found = record.charged.find(attempt.ref.number);
  return found == record.charged.end() ? 0 : found->second;
}

MilliGpus JobWriter::CountedOf(const JobRecord& record) const {
  if (!record.attempts.empty() && record.attempts.back().counted_milli > 0) {
    return record.attempts.back().counted_milli;
  }
  return desk.Counted(*record.job.spec);
}

void JobWriter::Fill(const JobRecord& record, v1::Job* wire) const {
  const Job& job = record.job;
  wire->set_cluster(settings.cluster);
  wire->set_job_class(job.spec->job_class);
  wire->set_counted_milli_gpus(CountedOf(record));
  if (!caller.Reaches(job.user, job.spec->project)) return FillRedacted(record, wire);
  wire->set_id(job.ref.id.value);
  if (job.ref.element != kNoElement) wire->set_array_index(job.ref.element);
  wire->set_job(ToText(job.ref));
  const Directory& directory = caller.directory();
  const auto owner = directory.users.find(job.user);
  if (owner != directory.users.end()) wire->set_user(owner->second.name);
  wire->set_project(PathOf(directory, job.spec->project));
  FillSpec(directory, *job.spec, wire->mutable_spec());
  wire->mutable_spec()->set_hold(job.hold == Hold::kUser);
  FillResolved(record, wire->mutable_resolved());
  FillState(record, wire);
  for (const auto& attempt : record.attempts) FillAttempt(record, attempt, wire->add_attempts());
  if (IsArrayRow(job)) FillArray(record, wire->mutable_array());
}

void JobWriter::FillRedacted(const JobRecord& record, v1::Job* wire) const {
  wire->set_redacted(true);
  wire->set_state(ToWireState(StateOf(record)));
  wire->set_submitted_ms(record.job.submitted_ms);
  wire->set_queued_since_ms(record.job.queued_since_ms);
  wire->set_started_ms(StartOf(record));
}

void JobWriter::FillState(const JobRecord& record, v1::Job* wire) const {
  const Job& job = record.job;
  const JobState state = StateOf(record);
  wire->set_state(ToWireState(state));
  wire->set_hold(ToWireHold(job.hold));
  const Reason reason = ReasonOf(view(), job);
  if (reason.code != ReasonCode::kNone) *wire->mutable_reason() = ToWire(reason);
  const auto promised = view().promised.find(job.ref);
  if (promised != view().promised.end() && !IsFinal(state)) {
    FillReservation(view().nodes, promised->second, wire->mutable_reservation());
  }
  wire->set_submitted_ms(job.submitted_ms);
  wire->set_queued_since_ms(job.queued_since_ms);
  wire->set_started_ms(StartOf(record));
  wire->set_ended_ms(IsFinal(state) ? job.ended_ms : 0);
  wire->set_exit_code(ExitCodeOf(record, state));
  wire->set_attempt_count(job.attempts);
  wire->set_failed_runs(job.failed_runs);
  wire->set_preemptions(job.preemptions);
  wire->set_last_seq(record.last_seq);
}

void JobWriter::FillResolved(const JobRecord& record, v1::ResolvedSpec* wire) const {
  const JobSpec& spec = *record.job.spec;
  wire->set_project(PathOf(caller.directory(), spec.project));
  wire->set_job_class(spec.job_class);
  wire->set_nodes(spec.shape.nodes);
  wire->set_gpus_per_node(spec.shape.gpus_per_node);
  wire->set_gpu_type(spec.shape.gpu_type);
  wire->set_cpus_per_node(spec.shape.cpus_per_node);
  wire->set_memory_per_node_mib(spec.shape.memory_mib_per_node);
  wire->set_ntasks(spec.ntasks);
  wire->set_ntasks_per_node(spec.ntasks_per_node);
  wire->set_cpus_per_task(spec.cpus_per_task);
  wire->set_time_limit_ms(spec.time_limit_ms);
  wire->set_requeue(spec.requeue);
  wire->set_max_attempts(spec.max_attempts);
  const MilliGpus counted = CountedOf(record);
  const MilliGpus asked = MilliGpus{1000} * spec.shape.gpus_per_node * spec.shape.nodes;
  wire->set_counted_milli_gpus(counted);
  if (counted <= asked) return;
  auto* reason = wire->mutable_counted_because();
  reason->set_code("COUNTED_AS_MORE");
  (*reason->mutable_fields())["asked"] = GpuText(asked);
  (*reason->mutable_fields())["counted"] = GpuText(counted);
  reason->set_sentence(GpuText(asked) + (asked == 1000 ? " GPU" : " GPUs") + " asked, counted as " +
                       GpuText(counted) + ": " +
                       (spec.shape.exclusive ? "whole nodes are kept from others."
                                             : "its part of the nodes' CPUs or memory is larger."));
}

void JobWriter::FillAttempt(const JobRecord& record, const Attempt& attempt,
                            v1::Attempt* wire) const {
  wire->set_number(attempt.ref.number);
  wire->set_state(static_cast<v1::AttemptState>(static_cast<int>(attempt.state) + 1));
  wire->set_outcome(static_cast<v1::AttemptOutcome>(static_cast<int>(attempt.outcome)));
  FillPlacement(view().nodes, attempt.placement, wire->mutable_placement());
  wire->set_slurm_job_id(attempt.cluster_job_id);
  wire->set_planned_ms(attempt.planned_ms);
  wire->set_start_ms(attempt.start_ms);
  wire->set_end_ms(attempt.end_ms);
  if (attempt.state == AttemptState::kRunning && attempt.start_ms != 0) {
    wire->set_ends_by_ms(attempt.start_ms + attempt.limit_ms);
  }
  wire->set_time_limit_ms(attempt.limit_ms);
  wire->set_exit_code(attempt.exit_code);
  wire->set_exit_signal(attempt.exit_signal);
  wire->set_counted_milli_gpus(attempt.counted_milli);
  wire->set_charge_milli_gpu_ms(ChargeOf(record, attempt));
  const auto refunded = record.refunded.find(attempt.ref.number);
  if (refunded != record.refunded.end()) wire->set_refunded_milli_gpu_ms(refunded->second);
  wire->set_rate_milli(attempt.rate_milli);
  wire->set_factor_milli(attempt.factor_milli);
  wire->set_settings_version(attempt.settings_version);
  wire->set_last_checkpoint_ms(attempt.last_checkpoint_ms);
  if (attempt.reason.code != ReasonCode::kNone) {
    *wire->mutable_reason() = ToWire(attempt.reason);
  }
  const JobSpec& spec = *record.job.spec;
  const OutputNames names{
      .attempt = attempt.ref,
      .job_name = spec.name,
      .unix_account = UnixAccountOf(caller.directory(), record.job.user),
      .node = attempt.placement.empty() ? std::string_view() : HostOf(attempt.placement[0].node)};
  wire->set_stdout_path(OutputPathOf(spec, names, settings.output_root, false));
  wire->set_stderr_path(OutputPathOf(spec, names, settings.output_root, true));
}

void FillPlacement(const std::map<std::string, Node>& nodes, const Placement& placement,
                   v1::Placement* wire) {
  std::vector<std::string> names;
  std::optional<std::vector<NodeDomain>> common;  // the smallest first
  bool known = true;
  for (const auto& grant : placement) {
    auto* one = wire->add_nodes();
    one->set_node(grant.node);
    one->set_gpus(grant.gpus);
    for (const auto index : grant.gpu_indices) one->add_gpu_indices(index);
    names.push_back(grant.node);
    const auto node = nodes.find(grant.node);
    if (node == nodes.end()) {
      known = false;
      continue;
    }
    const auto domains = DomainsOf(node->second);
    if (!common) common = domains;
    const auto differ =
        std::mismatch(common->rbegin(), common->rend(), domains.rbegin(), domains.rend());
    common->erase(common->begin(), differ.first.base());
  }
  wire->set_node_list(CompressHostList(std::move(names)));
  if (!known || !common) return;
  const auto named = std::find_if(common->begin(), common->end(),
                                  [](const NodeDomain& each) { return !each.name.empty(); });
  if (named != common->end()) wire->set_domain(named->name);
}

void FillReservation(const std::map<std::string, Node>& nodes, const Promised& promised,
                     v1::JobReservation* wire) {
  wire->set_start_ms(promised.from_ms);
  FillPlacement(nodes, promised.placement, wire->mutable_placement());
}

v1::EventKind KindOf(const Event& event) {
  if (event.subject != Subject::kJob) return v1::EVENT_KIND_OTHER;
  if (event.from != event.to && !event.to.empty()) return v1::EVENT_KIND_STATE;
  if (event.reason.code == ReasonCode::kWarning ||
      event.reason.code == ReasonCode::kPlacementDiffers) {
    return v1::EVENT_KIND_WARNING;
  }
  if (event.reason.code == ReasonCode::kReservedAt ||
      event.reason.code == ReasonCode::kReclaimUnderWay ||
      event.reason.code == ReasonCode::kReservationEnded) {
    return v1::EVENT_KIND_RESERVATION;
  }
  if (event.reason.code == ReasonCode::kCheckpoint) return v1::EVENT_KIND_CHECKPOINT;
  return v1::EVENT_KIND_UPDATE;
}

void FillEvent(const Event& event, const std::string& cluster, v1::Event* wire) {
  wire->set_seq(event.seq);
  wire->set_time_ms(event.time_ms);
  wire->set_subject(static_cast<v1::Subject>(static_cast<int>(event.subject) + 1));
  wire->set_kind(KindOf(event));
  wire->set_cluster(cluster);
  wire->set_name(event.subject == Subject::kJob ? ToText(event.job) : event.name);
  wire->set_attempt(event.attempt);
  wire->set_from(event.from);
  wire->set_to(event.to);
  if (event.reason.code != ReasonCode::kNone) *wire->mutable_reason() = ToWire(event.reason);
  wire->set_actor(event.actor);
}

void FillSpec(const Directory& directory, const JobSpec& spec, v1::JobSpec* wire) {
  wire->set_name(spec.name);
  wire->set_project(PathOf(directory, spec.project));
  wire->set_job_class(spec.job_class);
  wire->set_kind(static_cast<v1::JobKind>(static_cast<int>(spec.kind) + v1::JOB_KIND_BATCH));
  wire->mutable_arguments()->Assign(spec.arguments.begin(), spec.arguments.end());
  auto* shape = wire->mutable_shape();
  shape->set_nodes(spec.shape.nodes);
  shape->set_gpus_per_node(spec.shape.gpus_per_node);
  shape->set_gpu_type(spec.shape.gpu_type);
  shape->set_ntasks(spec.ntasks);
  shape->set_ntasks_per_node(spec.ntasks_per_node);
  shape->set_cpus_per_node(spec.shape.cpus_per_node);
  shape->set_memory_per_node_mib(spec.shape.memory_mib_per_node);
  shape->set_exclusive(spec.shape.exclusive);
  wire->mutable_topology()->set_within(static_cast<v1::Domain>(static_cast<int>(spec.within)));
  wire->mutable_topology()->set_prefer(static_cast<v1::Domain>(static_cast<int>(spec.prefer)));
  wire->mutable_topology()->set_spread(static_cast<v1::Spread>(static_cast<int>(spec.spread)));
  wire->set_time_limit_ms(spec.time_limit_ms);
  wire->set_time_min_ms(spec.time_min_ms);
  wire->set_begin_ms(spec.begin_ms);
  wire->set_deadline_ms(spec.deadline_ms);
  for (const auto& dependency : spec.dependencies) {
    auto* one = wire->add_dependencies();
    one->set_kind(static_cast<v1::DependencyKind>(static_cast<int>(dependency.kind) + 1));
    one->set_job(ToText(dependency.on));
    one->set_delay_ms(dependency.delay_ms);
  }
  wire->set_kill_on_invalid_dependency(spec.kill_on_invalid_dependency);
  if (spec.array) {
    wire->mutable_array()->set_indices(FormatIndices(spec.array->indices));
    wire->mutable_array()->set_max_running(spec.array->max_running);
  }
  wire->mutable_requeue()->set_enabled(spec.requeue);
  wire->mutable_requeue()->set_max_attempts(spec.max_attempts);
  wire->mutable_signal()->set_name(spec.signal.name);
  wire->mutable_signal()->set_before_end_ms(spec.signal.before_end_ms);
  wire->mutable_signal()->set_batch_only(spec.signal.batch_shell_only);
  wire->mutable_signal()->set_grace_ms(spec.grace_ms);
  wire->set_checkpoint_path(spec.checkpoint_path);
  wire->set_data_classification(spec.classification);
  wire->set_working_dir(spec.working_directory);
  wire->set_stdin_path(spec.stdin_path);
  wire->set_stdout_path(spec.stdout_path);
  wire->set_stderr_path(spec.stderr_path);
  wire->set_open_mode(spec.append_output ? v1::OPEN_MODE_APPEND : v1::OPEN_MODE_TRUNCATE);
  wire->set_comment(spec.comment);
  wire->mutable_constraints()->Assign(spec.constraints.begin(), spec.constraints.end());
  wire->mutable_nodelist()->Assign(spec.nodes.begin(), spec.nodes.end());
  wire->mutable_exclude_nodes()->Assign(spec.exclude_nodes.begin(), spec.exclude_nodes.end());
  wire->set_reservation(spec.reservation);
  wire->set_user_priority(spec.user_priority);
  wire->set_container_image(spec.container_image);
  wire->set_umask(spec.umask);
  wire->mutable_labels()->insert(spec.labels.begin(), spec.labels.end());
}

}  // namespace kezek::rpc
