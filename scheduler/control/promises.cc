// What is promised to jobs that wait, and what is done to attempts that are in its way. Everything
// decided here is committed with the plan that it is part of; the signal follows that commit.
#include <algorithm>
#include <set>
#include <string>
#include <utility>

#include "kezek/reason_text.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

constexpr const char* kDefaultSignal = "TERM";
// A job may move a little earlier every few seconds: less than that is stored, and not said.
constexpr DurationMs kSaidFrom = kMinuteMs;

// What the engine calls it, in words.
std::string Words(const std::string& cause) {
  if (cause == "guarantee") return "a job inside its guarantee goes first";
  if (cause == "node") return "a node of it was lost";
  if (cause == "extension") return "what runs there got more time";
  if (cause == "late") return "what was to have left its nodes is still there";
  if (cause == "foreign") return "jobs that are not Kezek's use its nodes";
  if (cause == "grace") return "what leaves its nodes is given its time";
  if (cause.starts_with("admin:")) {
    return "an administrator has reserved nodes for " + cause.substr(6);
  }
  return cause;
}

void SetCause(Reason& reason, const std::string& cause) {
  const bool of_admin = cause.starts_with("admin:");
  reason.fields["cause"] = of_admin ? "admin" : cause;
  if (of_admin) reason.fields["reservation"] = cause.substr(6);
  reason.fields["why"] = Words(cause);
}

std::string NodesOf(const Reservation& reservation) {
  std::string nodes;
  for (const NodeGrant& grant : reservation.placement) {
    nodes += (nodes.empty() ? "" : ",") + grant.node;
  }
  return nodes;
}

void SayOf(Core& core, const JobRef& row, Reason reason) {
  const Job* job = core.state.FindJob(row);
  if (job == nullptr || IsFinal(job->state)) return;
  core.Say(Note(*job, std::move(reason), kActorKezek, 0, core.now));
}

void SayEnded(Core& core, const Reservation& was, const Reason& why) {
  if (why.code == ReasonCode::kNone) return;
  ++core.ready.report.promises.ended;
  Reason reason{ReasonCode::kReservationEnded, {{"at_ms", std::to_string(was.from_ms)}}};
  const auto cause = why.fields.find("why");
  if (why.code == ReasonCode::kReservedAt && cause != why.fields.end()) {
    SetCause(reason, cause->second);
  } else {
    std::string words = Sentence(why);
    if (words.ends_with('.')) words.pop_back();
    reason.fields["cause"] = WireName(why.code);
    reason.fields["why"] = std::move(words);
  }
  SayOf(core, was.row, std::move(reason));
}

// Given, or moved: with all that its job's owner may want to know.
void SayWhere(Core& core, const Reservation& now, Reason reason, const Reservation* before) {
  reason.fields["at_ms"] = std::to_string(now.from_ms);
  reason.fields["nodes"] = NodesOf(now);
  if (before != nullptr && before->from_ms != now.from_ms) {
    reason.fields["was_ms"] = std::to_string(before->from_ms);
  }
  if (const auto why = reason.fields.find("why"); why != reason.fields.end()) {
    SetCause(reason, std::string(why->second));
  }
  SayOf(core, now.row, std::move(reason));
}

// Not told yet, so nothing is lost by letting them go on. Before a restart they may have been.
void LiftFor(Core& core, const Reservation& claim) {
  for (const AttemptRef& victim : claim.victims) {
    const Attempt* known = core.state.FindAttempt(victim);
    if (known == nullptr || known->ending != Ending::kPreempt) continue;
    const FollowUp& follow = core.follow[victim];
    const bool told = known->warned || follow.perhaps_warned || follow.warn_at_ms != 0 ||
                      follow.cancel_at_ms != 0;
    if (told || known->preempted_for != claim.row) continue;
    Attempt attempt = *known;
    attempt.ending = Ending::kNone;
    attempt.ending_since_ms = 0;
    attempt.preempted_for = {};
    attempt.ends_by_ms = 0;
    attempt.reason = {};
    core.Put(attempt);
    core.Say(Note(core.JobOf(victim.job), {ReasonCode::kPreemptionLifted, {}}, kActorKezek,
                  victim.number, core.now));
  }
}

void Drop(Core& core, const JobRef& row, const Reason& why) {
  const Reservation* found = core.state.FindReservation(row);
  if (found == nullptr) return;
  const Reservation was = *found;
  core.EraseReservation(row);
  SayEnded(core, was, why);
  LiftFor(core, was);
}

// A reclaim is carried out whole or not at all: with what verify left of it nobody may be ended for
// nothing, and nobody may be waited for who is not.
bool IsWhole(const Core& core, const Reservation& claim, const std::set<AttemptRef>& ended_now) {
  return std::all_of(claim.victims.begin(), claim.victims.end(), [&](const AttemptRef& victim) {
    const Attempt* attempt = core.state.FindAttempt(victim);
    return attempt == nullptr || attempt->ending != Ending::kNone || ended_now.contains(victim);
  });
}

void Count(PromiseMeasure& measure, engine::ReservationNews news) {
  switch (news) {
    case engine::ReservationNews::kGiven:
      ++measure.given;
      return;
    case engine::ReservationNews::kEarlier:
      ++measure.earlier;
      return;
    case engine::ReservationNews::kLater:
      ++measure.later;
      return;
    case engine::ReservationNews::kEnded:
      return;
  }
}

void Carry(Core& core, const engine::ReservationChange& change) {
  const Reservation& next = change.reservation;
  if (change.news == engine::ReservationNews::kEnded) return Drop(core, next.row, change.reason);
  const Reservation* found = core.state.FindReservation(next.row);
  // By the one before an element of the array has just started.
  const auto& starts = core.plan.starts;
  const bool is_next = std::any_of(starts.begin(), starts.end(), [&](const engine::Start& start) {
    return start.row == next.row;
  });
  const std::optional<Reservation> before =
      found == nullptr || is_next ? std::nullopt : std::optional<Reservation>(*found);
  if (!before) core.reclaims_since.erase(next.row);
  core.Put(next);
  Count(core.ready.report.promises, change.news);
  const bool little = change.news == engine::ReservationNews::kEarlier && before &&
                      before->from_ms - next.from_ms < kSaidFrom;
  if (little) return;
  SayWhere(core, next, change.reason, before ? &*before : nullptr);
}

// Of an account of another institution nobody is told the name.
AccountId InstitutionOf(const Directory& directory, AccountId account) {
  while (account) {
    const auto found = directory.accounts.find(account);
    if (found == directory.accounts.end()) break;
    if (found->second.kind == "institution") return account;
    account = found->second.parent;
  }
  return {};
}

std::string ForWhom(const Core& core, AccountId victim, AccountId other) {
  const Directory& directory = *core.state.directory();
  const AccountId own = InstitutionOf(directory, victim);
  const bool same = victim == other || (own && own == InstitutionOf(directory, other));
  return same ? core.PathOf(other) : "another institution";
}

EndSignal SignalOf(const JobSpec& spec) {
  EndSignal signal = spec.signal;
  if (signal.name.empty()) signal = {.name = kDefaultSignal};
  return signal;
}

// What runs has its grace, but not beyond its limit.
TimeMs LastMoment(const Core& core, const Attempt& attempt, DurationMs grace_ms) {
  if (attempt.start_ms == 0 || attempt.end_ms != 0) return core.now;
  const TimeMs limit = attempt.start_ms - core.clock_skew_ms + attempt.limit_ms;
  return std::max(core.now, std::min(core.now + grace_ms, limit));
}

// What it is told, and how long it has.
void AddNotice(const Attempt& attempt, const JobSpec& spec, Reason& reason) {
  reason.fields["signal"] = SignalOf(spec).name;
  reason.fields["until_ms"] = std::to_string(attempt.ends_by_ms);
}

void Preempt1(Core& core, const engine::Preempt& preempt) {
  const Attempt* known = core.state.FindAttempt(preempt.victim);
  const Reservation* claim = core.state.FindReservation(preempt.for_row);
  if (known == nullptr || known->ending != Ending::kNone) return;
  if (claim == nullptr ||
      std::count(claim->victims.begin(), claim->victims.end(), preempt.victim) == 0) {
    // Decided for somebody who then got nodes otherwise: the next tick decides anew.
    core.Log(ClusterName(preempt.victim) + " was to be ended for a job that needs it no more");
    return;
  }
  const Job& job = core.JobOf(preempt.victim.job);
  Attempt attempt = *known;
  attempt.ending = Ending::kPreempt;
  attempt.ending_since_ms = core.now;
  attempt.preempted_for = preempt.for_row;
  attempt.ends_by_ms = LastMoment(core, attempt, GraceOf(core, *job.spec));
  Reason reason{ReasonCode::kPreempted, {}};
  if (const Job* other = core.state.FindJob(preempt.for_row)) {
    reason.fields["by"] = ForWhom(core, job.spec->project, other->spec->project);
  }
  if (attempt.ends_by_ms > core.now) AddNotice(attempt, *job.spec, reason);
  attempt.reason = reason;
  core.Put(attempt);
  core.Say(Note(job, std::move(reason), kActorKezek, preempt.victim.number, core.now));
}

// Who has to wait longer for a victim says so.
void Delay(Core& core, const Attempt& victim) {
  const Reservation* found = core.state.FindReservation(victim.preempted_for);
  if (found == nullptr || found->from_ms >= victim.ends_by_ms) return;
  if (std::count(found->victims.begin(), found->victims.end(), victim.ref) == 0) return;
  const Reservation before = *found;
  Reservation later = before;
  later.from_ms = victim.ends_by_ms;
  core.Put(later);
  ++core.ready.report.promises.later;
  SayWhere(core, later, {ReasonCode::kReservedAt, {{"why", "grace"}}}, &before);
}

}  // namespace

DurationMs GraceOf(const Core& core, const JobSpec& spec) {
  const DurationMs most = core.ClassOf(spec.job_class).grace_max_ms;
  return spec.grace_ms == 0 ? most : std::min(spec.grace_ms, most);
}

bool HasGrace(const Attempt& attempt) {
  return attempt.ending == Ending::kPreempt ||
         (attempt.ending == Ending::kRequeue && attempt.ends_by_ms != 0);
}

TimeMs EndsBy(const Attempt& attempt) {
  if (attempt.ending == Ending::kNone) return 0;
  return std::max<TimeMs>(1, HasGrace(attempt) ? attempt.ends_by_ms : attempt.ending_since_ms);
}

void PutBack(Core& core, const AttemptRef& ref, Reason reason, std::string_view actor) {
  const Attempt* known = core.state.FindAttempt(ref);
  if (known == nullptr || known->ending != Ending::kNone) return;
  const Job& job = core.JobOf(ref.job);
  Attempt attempt = *known;
  attempt.ending = Ending::kRequeue;
  attempt.ending_since_ms = core.now;
  attempt.ends_by_ms = LastMoment(core, attempt, GraceOf(core, *job.spec));
  attempt.reason = reason;
  core.Put(attempt);
  if (attempt.ends_by_ms > core.now) AddNotice(attempt, *job.spec, reason);
  core.Say(Note(job, std::move(reason), actor, ref.number, core.now));
}

void BeginPromises(Core& core) {
  for (const auto& [row, reservation] : core.state.reservations()) {
    core.engine.SetReservation(reservation);
    if (!reservation.victims.empty()) core.reclaims_since[row] = reservation.given_ms;
  }
  for (const auto& [ref, attempt] : core.state.attempts()) {
    if (attempt.ending == Ending::kPreempt) core.follow[ref].perhaps_warned = true;
  }
}

void KeepPromises(Core& core) {
  const engine::Plan& plan = core.plan;
  std::set<JobRef> dropped;
  for (const auto& [ref, rule] : plan.dropped) dropped.insert(ref);
  std::set<AttemptRef> ended_now;
  for (const engine::Preempt& preempt : plan.preempts) ended_now.insert(preempt.victim);
  for (const engine::ReservationChange& change : plan.reservations) {
    const JobRef& row = change.reservation.row;
    const bool ends = change.news == engine::ReservationNews::kEnded;
    if (!ends && !IsWhole(core, change.reservation, ended_now)) dropped.insert(row);
    if (!dropped.contains(row)) Carry(core, change);
  }
  for (const engine::Preempt& preempt : plan.preempts) {
    if (!dropped.contains(preempt.for_row)) Preempt1(core, preempt);
  }
}

void DropPromise(Core& core, const JobRef& row, const Reason& why) { Drop(core, row, why); }

void DropIfMore(Core& core, const Job& job) {
  const Reservation* promise = core.state.FindReservation(job.ref);
  if (promise == nullptr) return;
  const Shape& now = job.spec->shape;
  const Shape& then = promise->shape;
  const bool more = job.spec->time_limit_ms > promise->limit_ms || now.gpu_type != then.gpu_type ||
                    now.exclusive != then.exclusive || now.nodes > then.nodes ||
                    now.gpus_per_node > then.gpus_per_node ||
                    now.cpus_per_node > then.cpus_per_node ||
                    now.memory_mib_per_node > then.memory_mib_per_node;
  if (more) Drop(core, job.ref, {ReasonCode::kUpdated, {{"field", "it asks for more"}}});
}

bool AttendGrace(Core& core, const AttemptRef& ref, FollowUp& follow) {
  Attempt attempt = *core.state.FindAttempt(ref);
  // What does not run has nothing to save; what is being cancelled already has had its time.
  const bool runs = attempt.state == AttemptState::kRunning && attempt.end_ms == 0;
  if (!runs || follow.cancel_at_ms != 0) return false;
  const JobSpec& spec = *core.JobOf(ref.job).spec;
  if (!attempt.warned && follow.warn_at_ms == 0) {
    // Its time begins with the signal: after a crash, or while the cluster is silent, that is later
    // than it was decided.
    const TimeMs by = LastMoment(core, attempt, GraceOf(core, spec));
    if (by > attempt.ends_by_ms) {
      attempt.ends_by_ms = by;
      core.Put(attempt);
      Delay(core, attempt);
    }
  }
  if (core.now >= attempt.ends_by_ms) return false;
  if (attempt.warned || core.now < follow.warn_at_ms) return true;
  const EndSignal signal = SignalOf(spec);
  core.Do(SignalAction{core.FollowedOf(attempt), signal.name, signal.batch_shell_only});
  // Should the answer be lost: what the job was told once it is not to be told again at once.
  follow.warn_at_ms = core.now + 4 * core.config.retry_ms;
  return true;
}

void OnWarned(Core& core, const Attempt& known, const SignalDone& event) {
  FollowUp& follow = core.follow[known.ref];
  const bool waits = HasGrace(known) && !known.warned && follow.warn_at_ms != 0;
  if (!waits || event.signal != SignalOf(*core.JobOf(known.ref.job).spec).name) return;
  if (event.settled) {
    Attempt attempt = known;
    attempt.warned = true;
    core.Put(attempt);
  } else {
    follow.warn_at_ms = core.now + core.config.retry_ms;
    core.attend.insert(known.ref);
  }
}

}  // namespace kezek::control
