// The tick: the engine decides, the controller plans attempts.
#include <algorithm>
#include <string>
#include <utility>

#include "kezek/check.h"
#include "quota/limits.h"
#include "scheduler/control/core.h"
#include "scheduler/control/launch_spec.h"
#include "scheduler/control/tag.h"

namespace kezek::control {
namespace {

LaunchContext ContextOf(const Core& core, const Job& job, const Attempt& attempt) {
  const quota::AccountTree& tree = core.state.tree();
  const auto account = tree.IndexOf(job.spec->project);
  LaunchContext context;
  context.output_root = core.config.output_root;
  context.cluster_name = core.config.cluster_name;
  context.container_launch = core.config.container_launch;
  context.project = core.PathOf(job.spec->project);
  context.unix_account = core.UnixAccountOf(job.user);
  const auto& users = core.state.directory()->users;
  if (const auto user = users.find(job.user); user != users.end()) {
    context.unix_uid = user->second.unix_uid;
  }
  if (account != quota::kNoAccount) {
    context.slurm_account = tree.SlurmAccount(account);
    context.qos = tree.SlurmQos(account);
  }
  context.tag = MakeTag(core.config.keyed_hash, core.state.installation(), attempt.epoch,
                        attempt.ref, context.unix_account);
  return context;
}

// The job's next attempt; of an element that has no row yet, by the row of its array.
Attempt PlanAttempt(const Core& core, const Job& job, const engine::Start& start) {
  const auto& rates = core.config.rate_milli;
  const auto rate = rates.find(job.spec->shape.gpu_type);
  Attempt attempt;
  attempt.ref = {start.job, start.job == job.ref ? job.attempts + 1 : 1};
  attempt.placement = start.placement;
  attempt.planned_ms = core.now;
  attempt.limit_ms = job.spec->time_limit_ms;
  attempt.signalled = IsClustersToSend(job.spec->signal);
  attempt.counted_milli = start.counted_milli;
  attempt.rate_milli = rate == rates.end() ? 1000 : rate->second;
  attempt.factor_milli = core.ClassOf(job.spec->job_class).factor_milli;
  attempt.settings_version = core.state.directory()->settings_version;
  attempt.as_scavenger = bool{start.scavenges};
  attempt.epoch = core.state.epoch();
  return attempt;
}

// Whose nodes these are, if somebody's: a gang is of one pool.
void NameOwner(const Core& core, const Placement& placement, Reason& reason) {
  const Directory& directory = *core.state.directory();
  if (!IsApart(placement, directory.owners)) return;
  const NodeOwner& owner = directory.owners.at(placement.front().node);
  if (!owner.job_class.empty()) {
    reason.fields["lane"] = owner.job_class;
  } else {
    const quota::AccountTree& tree = core.state.tree();
    reason.fields["dedicated"] = tree.path(tree.IndexOf(owner.account));
  }
}

// The attempt is committed as starting; the submission is done after that commit.
void Launch1(Core& core, const engine::Start& start) {
  const bool known = core.state.FindJob(start.job) != nullptr;
  const Job& row = core.JobOf(known ? start.job : start.row);
  const Attempt attempt = PlanAttempt(core, row, start);
  const quota::Draw draw = DrawOf(core, row, attempt);
  if (draw.stop.code != ReasonCode::kNone || draw.scavenges) {
    // Cannot be: the engine has the same balances. If it were, nothing would be held.
    core.ready.report.alarms.push_back("budgets do not hold " + ClusterName(attempt.ref));
    core.plan.waiting.Tell(row.ref, *row.spec, draw.stop);
    return;
  }
  Job job = known ? core.JobOf(start.job) : MakeElement(core, start.job);
  KEZEK_CHECK(job.state == JobState::kQueued, "only queued jobs start: " + ToText(job.ref));
  ++job.attempts;
  std::string nodes;
  for (const NodeGrant& grant : attempt.placement) nodes += (nodes.empty() ? "" : ",") + grant.node;
  Reason planned{ReasonCode::kPlanned, {{"nodes", nodes}}};
  if (start.scavenges) planned.fields["budget"] = start.scavenges.name;
  NameOwner(core, attempt.placement, planned);
  if (const Reservation* promise = core.state.FindReservation(start.row);
      promise != nullptr && promise->placement == attempt.placement) {
    planned.fields["promised_ms"] = std::to_string(promise->from_ms);
    if (const auto since = core.reclaims_since.find(start.row); since != core.reclaims_since.end())
      core.ready.report.promises.reclaimed_ms.push_back(core.now - since->second);
  }
  core.Say(Move(job, JobState::kStarting, std::move(planned), kActorKezek, attempt.ref.number,
                core.now));
  core.Put(job);
  core.Put(attempt);
  BookHolds(core, job, attempt, draw);
  core.Do(SubmitAction{MakeLaunch(job, attempt, ContextOf(core, job, attempt)), job.ref.id});
  ++core.ready.report.starts;
}

// Nothing may start: what the engine would have given is said to wait for the cluster, or for an
// admin. What settings bar waits for neither.
void Withhold(Core& core) {
  Reason reason = ClusterReason(core.cluster_answers ? 0 : core.cluster_since_ms);
  if (!core.stop.empty()) reason = {ReasonCode::kSchedulingStopped, {{"text", core.stop}}};
  for (const engine::Start& start : core.plan.starts) {
    const bool known = core.state.FindJob(start.job) != nullptr;
    const Job& row = core.JobOf(known ? start.job : start.row);
    core.plan.waiting.Tell(start.row, *row.spec, reason);
  }
  core.plan.waiting.TellAll(reason, quota::IsBar);
  core.plan.starts.clear();
  core.plan.preempts.clear();
  core.plan.reservations.clear();  // what was promised stays
  core.plan.more = false;
}

}  // namespace

bool TickDue(const Core& core) {
  if (core.tick == 0 || core.plan.more) return true;
  const TimeMs since = core.now - core.last_tick_ms;
  return since >= (core.tick_wanted ? core.config.gather_ms : core.config.heartbeat_ms);
}

void Tick(Core& core) {
  ++core.tick;
  core.last_tick_ms = core.now;
  core.tick_wanted = false;
  core.ready.load_jobs.insert(core.ready.load_jobs.end(), core.ask_again.begin(),
                              core.ask_again.end());
  core.ask_again.clear();
  EndAsides(core);
  if (core.config.engine.phase_ended) core.config.engine.phase_ended("take_in");
  core.plan = core.engine.Decide(core.now);
  core.plan_version = core.state.directory()->settings_version;
  JudgePlan(core);
  SayWhatIsScaled(core);
  WarnOfWaiting(core);
  RecountPart(core);
  if (!core.cluster_answers || !core.nodes_seen || !core.MayAct()) Withhold(core);
  for (const engine::Start& start : core.plan.starts) Launch1(core, start);
  KeepPromises(core);
  core.ready.report.ticked = true;
}

}  // namespace kezek::control
