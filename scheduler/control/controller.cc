#include "scheduler/control/controller.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "kezek/check.h"
#include "scheduler/control/core.h"
#include "scheduler/control/directory.h"
#include "scheduler/control/host_parts.h"
#include "scheduler/control/tag.h"

namespace kezek::control {
namespace {

// As they were stored.
void BeginBudgets(Core& core, const Snapshot& snapshot) {
  for (const auto& [ref, balance] : snapshot.budgets) core.engine.SetBudget(ref, balance);
  for (const LedgerEntry& entry : snapshot.holds) {
    if (core.state.FindAttempt(entry.attempt) != nullptr) {
      core.follow[entry.attempt].booked.Add(entry);
    }
  }
  for (const Correction& correction : snapshot.corrections) {
    core.corrections[correction.id] = correction;
  }
  core.last_correction = snapshot.last_correction;
}

// After a restart nothing is known but the rows: what is due follows from them.
void BeginFollowing(Core& core, const Snapshot& snapshot) {
  core.places = Places(snapshot.places);
  core.late_until_ms = core.now + core.config.lost_answer_ms;
  for (const LedgerEntry& entry : snapshot.usage) {
    core.engine.Book({.project = entry.project,
                      .user = entry.user,
                      .gpu_type = entry.gpu_type,
                      .date_ms = entry.date_ms,
                      .amount = entry.amount,
                      .above = core.AboveAt(entry.project, entry.settings_version)});
    core.follow[entry.attempt].booked.Add(entry);
  }
  for (const auto& [whose, dated] : snapshot.settled_usage) {
    core.engine.Book({.project = whose.project,
                      .user = whose.user,
                      .gpu_type = whose.gpu_type,
                      .above = core.AboveAt(whose.project, whose.settings_version)},
                     dated);
  }
  for (const EndedRun& run : snapshot.ended_runs) core.engine.Ended(run);
  for (const auto& [ref, attempt] : core.state.attempts()) {
    FollowUp& follow = core.follow[ref];
    if (attempt.cluster_job_id == 0) {
      // However long ago it was planned: it may have been sent in the last moment of the process
      // before, and still be on its way.
      follow.find_at_ms = core.late_until_ms;
    } else {
      follow.look_at_ms = core.now;
    }
    core.attend.insert(ref);
  }
  for (const auto& [ref, job] : core.state.jobs()) {
    if (job.state == JobState::kQueued) core.refresh.insert(ref);
  }
  for (const auto& [name, node] : core.state.nodes()) core.engine.SetNode(node);
}

// Settings that the configuration of today does not allow stand as they are until they are changed.
void SayWhatNoLongerFits(Core& core) {
  const quota::TreeRules rules = RulesOf(core.config, core.state.nodes());
  for (const quota::SettingProblem& problem : core.state.tree().Problems(rules)) {
    core.Log("settings: " + problem.error.message);
  }
}

// Goes before all other actions: what is asked in the same step is answered by what is followed.
void FollowAll(Core& core) {
  if (!core.follow_changed) return;
  core.follow_changed = false;
  FollowAction action;
  for (const auto& [ref, attempt] : core.state.attempts()) {
    if (attempt.cluster_job_id != 0) action.jobs.push_back(core.FollowedOf(attempt));
  }
  auto& actions = core.ready.actions;
  actions.insert(actions.begin(), std::move(action));
}

void TakeTimers(Core& core) {
  while (const auto key = core.timers.PopDue(core.now)) {
    if (key->number == 0) {
      core.refresh.insert(key->job);
    } else {
      core.attend.insert(*key);
    }
  }
  if (core.now < core.reconcile_at_ms) return;
  core.reconcile_at_ms = core.now + (core.listed ? core.config.reconcile_ms : core.config.retry_ms);
  // A job that an older copy of the database explains, say, though the first listing did not show
  // it.
  if (core.now < core.late_until_ms) {
    core.reconcile_at_ms = std::min(core.reconcile_at_ms, core.late_until_ms);
  }
  core.Do(ReconcileAction{});
}

void CollectChanges(Core& core) {
  Changes& changes = core.ready.changes;
  for (auto& [ref, job] : core.changed_jobs) changes.jobs.push_back(std::move(job));
  for (auto& [ref, attempt] : core.changed_attempts) {
    changes.attempts.push_back(std::move(attempt));
  }
  for (auto& [name, node] : core.changed_nodes) changes.nodes.push_back(std::move(node));
  for (auto& [row, reservation] : core.changed_reservations) {
    if (reservation) {
      changes.reservations.push_back(*std::move(reservation));
    } else {
      changes.reservations_ended.push_back(row);
    }
  }
  for (auto& [name, reservation] : core.changed_windows) {
    if (reservation) {
      changes.admin_reservations.push_back(*std::move(reservation));
    } else {
      changes.admin_reservations_ended.push_back(name);
    }
  }
  for (auto& [id, user] : core.changed_users) changes.users.push_back(std::move(user));
  for (auto& [id, token] : core.changed_tokens) changes.tokens.push_back(std::move(token));
  core.changed_jobs.clear();
  core.changed_attempts.clear();
  core.changed_nodes.clear();
  core.changed_reservations.clear();
  core.changed_windows.clear();
  core.changed_users.clear();
  core.changed_tokens.clear();
}

void Report(Core& core) {
  RoundReport& report = core.ready.report;
  report.now_ms = core.now;
  report.tick = core.tick;
  report.waiting = core.view == nullptr ? 0 : core.view->CountWaiting();
  report.keyed = core.engine.keyed() - std::exchange(core.keyed, core.engine.keyed());
  report.alive = std::ssize(core.state.attempts());
  report.commands = std::ssize(core.ready.replies);
  report.events = core.ready.changes.events;
  std::map<std::tuple<AccountId, std::string, bool>, MilliGpuMs> charged;
  for (const LedgerEntry& entry : core.ready.changes.ledger) {
    const bool foreign = entry.kind == EntryKind::kForeign;
    if (IsCharge(entry) && entry.kind != EntryKind::kAdjustment)
      charged[{entry.project, entry.gpu_type, foreign}] += entry.amount;
  }
  for (const auto& [whose, amount] : charged) {
    const auto& [project, gpu_type, foreign] = whose;
    report.charged.push_back({project, gpu_type, amount, foreign});
  }
  report.stopped = core.stop;
  PromiseMeasure& promises = report.promises;
  promises.reclaims = std::ssize(core.reclaims_since);
  promises.reserved = std::ssize(core.state.reservations()) - promises.reclaims;
  for (const auto& [row, since] : core.reclaims_since) {
    promises.oldest_reclaim_ms = std::max(promises.oldest_reclaim_ms, core.now - since);
  }
}

struct Take {
  Core& core;
  void operator()(const Committed& committed) const {
    for (const Job& job : committed.submitted) {
      core.state.AddSubmitted(job);
      core.refresh.insert(job.ref);
    }
  }
  void operator()(const CommandInput& input) const {
    core.ready.replies.push_back({input.token, Execute(core, input.command)});
  }
  void operator()(const ClusterEvent& event) const { OnClusterEvent(core, event); }
  void operator()(const LoadedJobs& loaded) const { OnLoaded(core, loaded); }
};

engine::EngineConfig EngineConfigOf(const ControlConfig& config) {
  engine::EngineConfig engine = config.engine;
  engine.charge = config.charge;
  return engine;
}

}  // namespace

Core::Core(const ControlConfig& config_in, const Snapshot& snapshot, TimeMs now_in)
    : config(config_in),
      state(config_in, snapshot),
      engine(EngineConfigOf(config_in), state.directory()),
      stop(snapshot.stop),
      history(std::max(now_in, snapshot.history_until_ms)),
      now(now_in) {
  for (const auto& [name, node] : state.nodes()) {
    if (node.drained_by_kezek && node.set_aside_until_ms != 0) node_faults[name].times = 1;
  }
}

void Core::Put(const Job& job) {
  state.PutJob(job);
  changed_jobs.insert_or_assign(job.ref, job);
  refresh.insert(job.ref);
}

void Core::Put(const Attempt& attempt) {
  state.PutAttempt(attempt);
  changed_attempts.insert_or_assign(attempt.ref, attempt);
  attend.insert(attempt.ref);
  follow.try_emplace(attempt.ref);
}

void Core::Put(const Node& node) {
  state.PutNode(node);
  changed_nodes.insert_or_assign(node.name, node);
}

void Core::Put(const Reservation& reservation) {
  state.PutReservation(reservation);
  engine.SetReservation(reservation);
  if (reservation.victims.empty()) {
    reclaims_since.erase(reservation.row);
  } else {
    reclaims_since.try_emplace(reservation.row, now);
  }
  changed_reservations.insert_or_assign(reservation.row, reservation);
}

void Core::EraseReservation(const JobRef& row) {
  state.EraseReservation(row);
  engine.RemoveReservation(row);
  reclaims_since.erase(row);
  changed_reservations.insert_or_assign(row, std::nullopt);
}

void Core::ActAgain() {
  tick_wanted = true;
  for (const auto& [ref, attempt] : state.attempts()) attend.insert(ref);
}

const Job& Core::JobOf(const JobRef& job) const {
  const Job* found = state.FindJob(job);
  KEZEK_CHECK(found != nullptr, "a job that is not final is in memory: " + ToText(job));
  return *found;
}

std::string Core::UnixAccountOf(UserId user) const {
  const auto found = state.directory()->users.find(user);
  return found == state.directory()->users.end() ? std::string() : found->second.unix_account;
}

Followed Core::FollowedOf(const Attempt& attempt) {
  Followed job{attempt.ref,
               attempt.cluster_job_id,
               UnixAccountOf(JobOf(attempt.ref.job).user),
               attempt.state == AttemptState::kRunning,
               attempt.start_ms,
               {},
               attempt.planned_ms + clock_skew_ms,
               {}};
  if (attempt.start_ms == 0) job.planned = OnHosts(attempt.placement);
  std::string& tag = follow[attempt.ref].tag;
  if (tag.empty()) {
    tag = MakeTag(config.keyed_hash, state.installation(), attempt.epoch, attempt.ref,
                  job.unix_account);
  }
  job.tag = tag;
  return job;
}

const ClassRules& Core::ClassOf(const std::string& name) const {
  const auto found = config.classes.find(name);
  return found == config.classes.end() ? unknown_class : found->second;
}

std::string Core::PathOf(AccountId account) const {
  const auto index = state.tree().IndexOf(account);
  return index == quota::kNoAccount ? std::string() : state.tree().path(index);
}

Event ClusterNote(const Core& core, Reason reason) {
  Event event;
  event.time_ms = core.now;
  event.subject = Subject::kCluster;
  event.name = core.config.cluster_name;
  event.project = kRootAccount;
  event.reason = std::move(reason);
  event.actor = kActorKezek;
  return event;
}

Controller::Controller(const ControlConfig& config, const Snapshot& snapshot, TimeMs now)
    : core_(std::make_unique<Core>(config, snapshot, std::max(now, snapshot.last_time_ms))) {
  KEZEK_CHECK(config.keyed_hash != nullptr, "tags need a key");
  BeginBudgets(*core_, snapshot);
  BeginFollowing(*core_, snapshot);
  BeginPromises(*core_);
  BeginForeign(*core_, snapshot);
  SayWhatNoLongerFits(*core_);
  MakeView(*core_);
}

Controller::~Controller() = default;

void Controller::Offer(Input input) { inbox_.push_back(std::move(input)); }

Ready Controller::Step(TimeMs now) {
  KEZEK_CHECK(!waits_for_commit_, "the last step's changes are not committed yet");
  waits_for_commit_ = true;
  Core& core = *core_;
  core.now = std::max(core.now, now);
  core.ready = Ready{};
  std::vector<Input> inputs;
  inputs.swap(inbox_);
  EndForeign(core);
  EndBudgets(core);  // before anything comes back to a period that is over
  Settle(core);      // what a beginning left to do comes before any input
  for (const Input& input : inputs) {
    std::visit(Take{core}, input);
    Settle(core);  // what one input changes is complete before the next is looked at
  }
  TakeTimers(core);
  Settle(core);
  EndBudgets(core);  // of settings that have changed
  if (TickDue(core)) {
    Tick(core);
    Settle(core);
    KeepHistory(core);
  }
  FollowAll(core);
  WarnOfBudgets(core);
  MakeView(core);
  CollectChanges(core);
  core.ready.now_ms = core.now;
  Report(core);
  return std::move(core.ready);
}

void Controller::CommitDone() {
  KEZEK_CHECK(waits_for_commit_, "there was no step");
  waits_for_commit_ = false;
}

TimeMs Controller::NextWakeMs() const {
  const Core& core = *core_;
  if (!inbox_.empty() || core.tick == 0 || core.plan.more) return core.now;
  TimeMs wake =
      core.last_tick_ms + (core.tick_wanted ? core.config.gather_ms : core.config.heartbeat_ms);
  wake = std::min(wake, core.reconcile_at_ms);
  if (core.budget_end_ms) wake = std::min(wake, *core.budget_end_ms);
  if (const auto timer = core.timers.Next()) wake = std::min(wake, *timer);
  return wake;
}

const std::shared_ptr<const View>& Controller::view() const { return core_->view; }

const QueueState& Controller::state() const { return core_->state; }

}  // namespace kezek::control
