// The life of attempts after they have been planned: start, end, and what is due in between.
#include <algorithm>
#include <utility>

#include "kezek/check.h"
#include "scheduler/control/admission.h"
#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

constexpr std::size_t kEndedKept = 20'000;
// A limit that the cluster does not take is sent again at least this often.
constexpr DurationMs kLimitTriesMost = 5 * kMinuteMs;

std::string Shown(const Placement& placement, std::int64_t cpus, std::int64_t memory_mib) {
  std::string text;
  for (const NodeGrant& grant : placement) {
    text += (text.empty() ? "" : ",") + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text + " with " + std::to_string(cpus) + " CPUs, " + std::to_string(memory_mib) + " MiB";
}

bool SamePlaces(const Placement& a, const Placement& b) {
  return std::equal(
      a.begin(), a.end(), b.begin(), b.end(),
      [](const NodeGrant& x, const NodeGrant& y) { return x.node == y.node && x.gpus == y.gpus; });
}

// Whether more GPUs, CPUs or memory than planned, or other nodes: that another job was given, or is
// being given.
bool Exceeds(const ClusterJob& job, const Placement& planned, const Shape& shape) {
  const bool gpus =
      std::any_of(job.granted.begin(), job.granted.end(), [&](const NodeGrant& grant) {
        const auto plan = std::find_if(planned.begin(), planned.end(), [&](const NodeGrant& one) {
          return one.node == grant.node;
        });
        return plan == planned.end() || grant.gpus > plan->gpus;
      });
  if (gpus || shape.exclusive) return gpus;  // all of an exclusive job's nodes is its own
  const auto nodes = static_cast<std::int64_t>(planned.size());
  // The cluster gives whole cores, of one or two threads.
  const std::int64_t cpus = nodes * (shape.cpus_per_node + shape.cpus_per_node % 2);
  return job.cpus > cpus || job.memory_mib > nodes * shape.memory_mib_per_node;
}

Reason Differs(const Placement& planned, const Shape& shape, const ClusterJob& job) {
  const auto nodes = static_cast<std::int64_t>(planned.size());
  return {
      ReasonCode::kPlacementDiffers,
      {{"planned", Shown(planned, nodes * shape.cpus_per_node, nodes * shape.memory_mib_per_node)},
       {"granted", Shown(job.granted, job.cpus, job.memory_mib)}}};
}

// The ledger's entries that are due, into the draft and the engine.
void Book(Core& core, const Attempt& attempt, const Job& job, quota::Booked& booked) {
  for (const LedgerEntry& entry : quota::EntriesDue(attempt, PayerOf(core, job, attempt), booked,
                                                    core.now, core.config.charge)) {
    booked.Add(entry);
    if (entry.kind == EntryKind::kRefund && entry.book == Book::kCharge) {
      core.Say(Note(job,
                    {ReasonCode::kRefunded,
                     {{"amount", quota::GpuHoursText(-entry.amount)},
                      {"since_ms", entry.reason.fields.at("since_ms")}}},
                    kActorKezek, attempt.ref.number, core.now));
    }
    BookCompleted(core, entry);
  }
}

void TellEngine(Core& core, const Attempt& attempt, const Job& job) {
  core.engine.SetHolding({.attempt = attempt.ref,
                          .user = job.user,
                          .project = job.spec->project,
                          .job_class = job.spec->job_class,
                          .shape = job.spec->shape,
                          .placement = attempt.placement,
                          .counted_milli = attempt.counted_milli,
                          .start_ms = attempt.start_ms,
                          .limit_ms = attempt.limit_ms,
                          .grace_ms = GraceOf(core, *job.spec),
                          .checkpointed_ms = attempt.last_checkpoint_ms,
                          .ends_by_ms = EndsBy(attempt),
                          .as_scavenger = attempt.as_scavenger,
                          .reservation = job.spec->reservation,
                          // An end that is known while the row lives: the cluster still cleans up.
                          .counts = attempt.end_ms == 0});
}

EndedRun RunOf(const Attempt& attempt, const Job& job) {
  return {.project = job.spec->project,
          .user = job.user,
          .name = job.spec->name,
          .shape = job.spec->shape,
          .start_ms = attempt.start_ms,
          .end_ms = attempt.end_ms,
          .typical = IsTypical(attempt.outcome)};
}

// The next of several times, 0 standing for none.
class Earliest {
 public:
  void Add(TimeMs at) {
    if (at != 0 && (next_ == 0 || at < next_)) next_ = at;
  }
  TimeMs next() const { return next_; }

 private:
  TimeMs next_ = 0;
};

void AttendStarting(Core& core, const Attempt& attempt, FollowUp& follow, Earliest& next) {
  if (!attempt.released) {
    if (follow.release_sent_ms == 0) follow.release_sent_ms = core.now;
    if (core.now >= follow.release_at_ms) {
      core.Do(ReleaseAction{core.FollowedOf(attempt)});
      follow.release_at_ms = core.now + core.config.retry_ms;
      follow.look_at_ms = core.now + 2 * core.config.retry_ms;
    }
    next.Add(follow.release_at_ms);
  }
  // Silence proves nothing: the time runs only while the cluster answers. An admin of the cluster
  // may hold what is to be released.
  const TimeMs since = attempt.released ? attempt.released_ms : follow.release_sent_ms;
  const TimeMs due = std::max(since, core.cluster_since_ms) + core.config.launch_timeout_ms;
  if (core.now >= due && follow.waited_at_ms >= due) {
    Reason reason{ReasonCode::kLaunchTimedOut, {}};
    if (!follow.waits_for.empty()) reason.fields["text"] = follow.waits_for;
    SetEnding(core, attempt.ref, Ending::kLaunchTimeout, std::move(reason));
  } else if (!attempt.released) {
    return;
  } else if (core.now >= due) {
    // It may have started since the last report; what runs is not ended for being late.
    if (core.now >= follow.check_at_ms) {
      core.Do(LookAction{core.FollowedOf(attempt)});
      follow.check_at_ms = core.now + core.config.retry_ms;
    }
    next.Add(follow.check_at_ms);
  } else {
    next.Add(due);
  }
}

// Whether the cluster has shown this limit; it counts in whole minutes.
bool ShowsLimit(const FollowUp& follow, DurationMs limit_ms) {
  return follow.limit_seen_ms != 0 && WholeMinutes(follow.limit_seen_ms) == WholeMinutes(limit_ms);
}

void AttendRunning(Core& core, const Attempt& attempt, const Job& job, FollowUp& follow,
                   Earliest& next) {
  if (attempt.end_ms != 0) return;  // has ended, the cluster cleans up
  const TimeMs end = attempt.start_ms - core.clock_skew_ms + attempt.limit_ms;
  if (core.now >= end) {
    SetEnding(core, attempt.ref, Ending::kTimeLimit, {ReasonCode::kTimedOut, {}});
    return;
  }
  next.Add(end);
  const EndSignal& signal = job.spec->signal;
  if (!signal.name.empty() && signal.before_end_ms > 0 && !attempt.signalled) {
    // Until the cluster says that it was taken.
    TimeMs due = std::max<TimeMs>(end - signal.before_end_ms, follow.signal_at_ms);
    if (IsClustersToSend(signal)) {
      // It sends this one itself, by the limit it has: that may be ours by now.
      if (ShowsLimit(follow, attempt.limit_ms)) return;
      if (follow.limit_sent_ms != 0) {
        due = std::max<TimeMs>(due, follow.limit_sent_ms + core.config.retry_ms);
      }
    }
    if (core.now < due) return next.Add(due);
    core.Do(SignalAction{core.FollowedOf(attempt), signal.name, signal.batch_shell_only});
    follow.signal_at_ms = core.now + core.config.retry_ms;
    next.Add(follow.signal_at_ms);
  }
}

void AttendEnding(Core& core, const Attempt& attempt, FollowUp& follow, Earliest& next) {
  if (HasGrace(attempt) && AttendGrace(core, attempt.ref, follow)) {
    const Attempt& warned = *core.state.FindAttempt(attempt.ref);
    if (!warned.warned) next.Add(follow.warn_at_ms);
    return next.Add(warned.ends_by_ms);
  }
  if (core.now >= follow.cancel_at_ms) {
    core.Do(CancelAction{core.FollowedOf(attempt)});
    if (follow.cancel_at_ms != 0) core.Do(LookAction{core.FollowedOf(attempt)});
    follow.cancel_at_ms = core.now + core.config.retry_ms;
  }
  next.Add(follow.cancel_at_ms);
}

// The cluster ends a job at the limit it has, also while Kezek is away: it is to be ours, whether
// that was raised, shortened, or changed in the cluster by other hands. One that has no limit there
// is ended by Kezek alone.
void AttendLimit(Core& core, const Attempt& attempt, FollowUp& follow, Earliest& next) {
  const bool known = follow.limit_seen_ms != 0;
  if (!known || attempt.ending != Ending::kNone || attempt.end_ms != 0) return;
  const DurationMs limit = attempt.limit_ms;
  if (limit != follow.limit_tried_ms || ShowsLimit(follow, limit)) {
    follow.limit_tries = 0;
    follow.limit_at_ms = 0;
    follow.limit_refused = 0;
    follow.limit_tried_ms = limit;
  }
  if (ShowsLimit(follow, limit)) return;
  // What is past its limit already Kezek ends itself.
  if (attempt.start_ms != 0 && core.ClusterNow() >= attempt.start_ms + limit) return;
  if (core.now >= follow.limit_at_ms) {
    core.Do(LimitAction{core.FollowedOf(attempt), limit});
    if (++follow.limit_tries == 1) follow.limit_sent_ms = core.now;
    follow.limit_at_ms =
        core.now + Backoff(follow.limit_tries, {core.config.retry_ms, kLimitTriesMost});
  }
  next.Add(follow.limit_at_ms);
}

void AttendInCluster(Core& core, const Attempt& attempt, const Job& job, FollowUp& follow,
                     Earliest& next) {
  if (attempt.cluster_job_id == 0) {
    if (follow.find_at_ms != 0 && core.now >= follow.find_at_ms) {
      core.Do(FindAction{attempt.ref});
      follow.find_at_ms = core.now + 4 * core.config.retry_ms;  // should the answer be lost
    }
    next.Add(follow.find_at_ms);
    return;
  }
  const bool may_act = core.MayAct();
  if (may_act) AttendLimit(core, attempt, follow, next);
  if (may_act && attempt.ending != Ending::kNone) {
    AttendEnding(core, attempt, follow, next);
  } else if (may_act && attempt.state == AttemptState::kStarting) {
    AttendStarting(core, attempt, follow, next);
  } else if (may_act) {
    AttendRunning(core, attempt, job, follow, next);
  }
  if (follow.look_at_ms == 0) return;
  if (core.now >= follow.look_at_ms) {
    core.Do(LookAction{core.FollowedOf(attempt)});
    follow.look_at_ms = 0;
  }
  next.Add(follow.look_at_ms);
}

// Of an array, the last first start of its elements so far.
void NoteStartOfArray(Core& core, const Job& element) {
  if (element.ref.element == kNoElement) return;
  Job array = core.JobOf({element.ref.id, kNoElement});
  array.started_ms = std::max(array.started_ms, element.started_ms);
  core.Put(array);
}

}  // namespace

void StartAttempt(Core& core, Attempt attempt, const ClusterJob& job) {
  Job row = core.JobOf(attempt.ref.job);
  const std::int32_t number = attempt.ref.number;
  attempt.state = AttemptState::kRunning;
  attempt.start_ms = job.start_ms != 0 ? job.start_ms : core.ClusterNow();
  attempt.released = true;
  attempt.last_seen_ms = core.asked_ms;
  const Shape& shape = row.spec->shape;
  const bool exceeds = Exceeds(job, attempt.placement, shape);
  const Reason differs = Differs(attempt.placement, shape, job);
  const bool elsewhere = !job.granted.empty() && !SamePlaces(attempt.placement, job.granted);
  if (exceeds || elsewhere) core.Say(Note(row, differs, kActorKezek, number, core.now));
  if (!job.granted.empty()) attempt.placement = job.granted;
  core.Put(attempt);
  LaunchSucceeded(core, attempt);
  std::string nodes;
  for (const NodeGrant& grant : attempt.placement) nodes += (nodes.empty() ? "" : ",") + grant.node;
  core.Say(Move(row, JobState::kRunning, {ReasonCode::kStarted, {{"nodes", nodes}}}, kActorKezek,
                number, core.now));
  if (row.launch_failures == number - 1) {  // no earlier attempt has run
    core.ready.report.first_runs.push_back({row.spec->job_class, core.now - row.submitted_ms});
  }
  row.launch_failures = 0;
  const bool first_start = row.started_ms == 0;
  if (first_start) row.started_ms = attempt.start_ms;
  core.Put(row);
  core.follow_changed = true;
  if (first_start) NoteStartOfArray(core, row);
  // Its owner may change what is held in the cluster: it is not to run with what was not decided.
  if (exceeds) SetEnding(core, attempt.ref, Ending::kRequeue, differs);
}

void FollowPlacement(Core& core, Attempt attempt, const ClusterJob& job) {
  Placement left;
  for (const NodeGrant& grant : attempt.placement) {
    const bool has = std::any_of(job.granted.begin(), job.granted.end(),
                                 [&](const NodeGrant& one) { return one.node == grant.node; });
    if (has) left.push_back(grant);
  }
  if (left.empty() || left.size() == attempt.placement.size()) return;
  const Job& row = core.JobOf(attempt.ref.job);
  core.Say(Note(row, Differs(attempt.placement, row.spec->shape, job), kActorKezek,
                attempt.ref.number, core.now));
  attempt.placement = std::move(left);
  core.Put(attempt);
  core.tick_wanted = true;  // there is room
}

void EndAttempt(Core& core, Attempt attempt, const End& end) {
  const AttemptRef ref = attempt.ref;
  Job job = core.JobOf(ref.job);
  Close(attempt, end);
  core.Put(attempt);
  const BackoffRules rules{core.config.backoff_ms, core.config.backoff_max_ms};
  core.Say(AfterAttempt(job, attempt, rules, core.now));
  core.Put(job);
  if (attempt.outcome == AttemptOutcome::kPreempted) {
    const DurationMs unsaved =
        attempt.start_ms == 0 ? 0 : attempt.end_ms - quota::UnsavedSince(attempt);
    core.ready.report.preempted.push_back(
        {job.spec->job_class, attempt.counted_milli * std::max<DurationMs>(0, unsaved)});
  }
  core.ended[ref] = {core.UnixAccountOf(job.user), attempt.epoch};
  core.ended_order.push_back(ref);
  if (core.ended_order.size() > kEndedKept) {
    core.ended.erase(core.ended_order.front());
    core.ended_order.pop_front();
  }
  core.follow_changed = true;
  if (IsFinal(job.state)) AfterFinal(core, job);
  if (end.outcome == AttemptOutcome::kLaunchFailed) LaunchFailed(core, attempt);
  if (end.outcome != AttemptOutcome::kLaunchFailed || ref.job.element == kNoElement) return;
  // What is wrong with one element is likely wrong with the next: the pending ones wait as long.
  Job row = core.JobOf({ref.job.id, kNoElement});
  row.not_before_ms = std::max(row.not_before_ms, job.not_before_ms);
  core.Put(row);
}

void SetEnding(Core& core, const AttemptRef& ref, Ending ending, Reason reason) {
  const Attempt* known = core.state.FindAttempt(ref);
  KEZEK_CHECK(known != nullptr, "an attempt that has ended cannot be ended");
  if (known->ending == Ending::kCancel || known->ending == ending) return;
  if (known->ending != Ending::kNone && ending != Ending::kCancel) return;
  Attempt attempt = *known;
  attempt.ending = ending;
  attempt.ending_since_ms = core.now;
  attempt.reason = std::move(reason);
  core.Put(attempt);
}

void Attend(Core& core, const AttemptRef& ref) {
  const Attempt* found = core.state.FindAttempt(ref);
  const auto changed = core.changed_attempts.find(ref);
  if (found == nullptr) {  // has ended
    if (changed == core.changed_attempts.end() || !core.follow.contains(ref)) return;
    const Job* job = core.state.FindJob(ref.job);
    const Job& row = job != nullptr ? *job : core.changed_jobs.at(ref.job);
    Book(core, changed->second, row, core.follow[ref].booked);
    core.follow.erase(ref);
    core.engine.RemoveHolding(ref);
    if (changed->second.start_ms != 0) core.engine.Ended(RunOf(changed->second, row));
    core.timers.Set(ref, 0);
    return;
  }
  const Attempt attempt = *found;
  const Job& job = core.JobOf(ref.job);
  FollowUp& follow = core.follow[ref];
  Book(core, attempt, job, follow.booked);
  TellEngine(core, attempt, job);
  Earliest next;
  if (const auto piece = quota::NextPieceAt(attempt, core.now, core.config.charge)) {
    next.Add(*piece);
  }
  // What is sent to a silent cluster only piles up; and what is due may long be over. Its return
  // attends all.
  if (core.cluster_answers) AttendInCluster(core, attempt, job, follow, next);
  core.timers.Set(ref, next.next());
}

}  // namespace kezek::control
