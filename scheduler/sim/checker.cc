#include "scheduler/sim/checker.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "kezek/names.h"
#include "scheduler/control/life.h"

namespace kezek::sim {
namespace {

// The picture of semantics, once more, as text.
using Step = std::pair<std::string_view, std::string_view>;
constexpr auto kLegal = std::to_array<Step>({
    {"queued", "starting"},
    {"queued", "cancelled"},
    {"starting", "running"},
    {"starting", "queued"},
    {"starting", "cancelled"},
    {"running", "queued"},
    {"running", "succeeded"},
    {"running", "failed"},
    {"running", "timed_out"},
    {"running", "cancelled"},
});
constexpr auto kLegalForArrays = std::to_array<Step>({
    {"queued", "succeeded"},
    {"queued", "failed"},
    {"queued", "cancelled"},
});

template <class Table>
bool Legal(const Table& table, const Event& event) {
  return std::any_of(table.begin(), table.end(), [&](const auto& row) {
    return row.first == event.from && row.second == event.to;
  });
}

std::string Text(const AttemptRef& attempt) { return ClusterName(attempt); }

}  // namespace

void Checker::CheckJob(const MemoryStore& store, const Job& job, const std::vector<Event>& events) {
  const auto before = store.jobs().find(job.ref);
  std::string state(before == store.jobs().end() ? "queued" : NameOf(before->second.state));
  for (const Event& event : events) {
    if (event.subject != Subject::kJob || event.job != job.ref || event.to.empty()) continue;
    if (event.from != state) {
      Breach(ToText(job.ref) + ": an event begins at " + event.from + ", the job is " + state);
    }
    if (IsArrayRow(job) ? !Legal(kLegalForArrays, event) : !Legal(kLegal, event)) {
      Breach(ToText(job.ref) + ": illegal change from " + event.from + " to " + event.to);
    }
    state = event.to;
  }
  if (state != NameOf(job.state)) {
    Breach(ToText(job.ref) + " became " + std::string(NameOf(job.state)) + " without an event");
  }
  if (before != store.jobs().end() && job.submitted_ms != before->second.submitted_ms) {
    Breach(ToText(job.ref) + " lost its place");
  }
}

void Checker::OnCommit(const MemoryStore& store, const Changes& changes) {
  for (const Job& job : changes.jobs) CheckJob(store, job, changes.events);
  for (const Attempt& attempt : changes.attempts) {
    const auto before = store.attempts().find(attempt.ref);
    if (before != store.attempts().end() && before->second.state == AttemptState::kEnded) {
      Breach(Text(attempt.ref) + " changed after its end");
    }
    if (before != store.attempts().end()) continue;
    for (auto it = store.attempts().lower_bound({attempt.ref.job, 0});
         it != store.attempts().end() && it->first.job == attempt.ref.job; ++it) {
      const bool ends_now =
          std::any_of(changes.attempts.begin(), changes.attempts.end(), [&](const Attempt& other) {
            return other.ref == it->first && other.state == AttemptState::kEnded;
          });
      if (it->second.state != AttemptState::kEnded && !ends_now) {
        Breach(Text(attempt.ref) + " is planned while " + Text(it->first) + " is alive");
      }
    }
  }
  CheckPromises(store, changes);
  CheckBudgets(changes.ledger);
  for (const LedgerEntry& entry : changes.ledger) {
    if (entry.book == Book::kBudget) continue;
    (entry.book == Book::kUsage ? usage_ : charged_)[entry.attempt] += entry.amount;
    if (entry.kind != EntryKind::kSettlement) continue;
    if (++settlements_[entry.attempt] > 1) Breach(Text(entry.attempt) + " is settled twice");
  }
}

void Checker::CheckPromises(const MemoryStore& store, const Changes& changes) {
  for (const Event& event : changes.events) {
    const bool about = event.subject == Subject::kJob && event.attempt != 0 && event.to.empty();
    if (about && event.reason.code == ReasonCode::kPreempted) {
      const AttemptRef ref{event.job, event.attempt};
      if (!preempted_.insert(ref).second) Breach(Text(ref) + " is preempted twice");
    }
    if (about && event.reason.code == ReasonCode::kPreemptionLifted) {
      preempted_.erase({event.job, event.attempt});
    }
  }
  for (const Attempt& attempt : changes.attempts) {
    if (attempt.ending != Ending::kPreempt || attempt.state == AttemptState::kEnded) continue;
    if (!preempted_.contains(attempt.ref)) Breach(Text(attempt.ref) + " is preempted unsaid");
    const auto before = store.attempts().find(attempt.ref);
    if (before != store.attempts().end() && before->second.ending == Ending::kPreempt) continue;
    const bool claimed = std::any_of(
        changes.reservations.begin(), changes.reservations.end(), [&](const Reservation& claim) {
          const auto& victims = claim.victims;
          return claim.row == attempt.preempted_for &&
                 std::find(victims.begin(), victims.end(), attempt.ref) != victims.end();
        });
    if (!claimed) Breach(Text(attempt.ref) + " is preempted for nobody");
  }
  std::map<JobRef, JobState> states;
  for (const Job& job : changes.jobs) states[job.ref] = job.state;
  std::map<JobRef, Reservation> promised = store.reservations();
  for (const Reservation& promise : changes.reservations) promised[promise.row] = promise;
  for (const JobRef& row : changes.reservations_ended) promised.erase(row);
  for (const auto& [row, promise] : promised) {
    const auto now = states.find(row);
    const auto stored = store.jobs().find(row);
    const bool waits = now != states.end() ? now->second == JobState::kQueued
                                           : stored != store.jobs().end() &&
                                                 stored->second.state == JobState::kQueued;
    if (!waits) Breach("job " + ToText(row) + " has a reservation and does not wait");
  }
}

void Checker::OnEnding(const MemoryStore& store, const FakeJob& told, const std::string& signal,
                       TimeMs now) {
  const auto found = store.attempts().find(told.submitted_for);
  const bool has_time =
      found != store.attempts().end() &&
      (found->second.ending == Ending::kPreempt ||
       (found->second.ending == Ending::kRequeue && found->second.ends_by_ms != 0));
  // Nobody else sends it in a simulation.
  if (signal == "TERM" && !has_time) Breach(Text(told.submitted_for) + " is told to go too early");
  if (!signal.empty() || !has_time || found->second.state != AttemptState::kRunning) return;
  const Attempt& attempt = found->second;
  const bool over = attempt.cluster_job_id != told.job.id || attempt.end_ms != 0;
  if (now < attempt.ends_by_ms && !over) {
    Breach(Text(attempt.ref) + " is cancelled before its time is over");
  }
}

// Both sides of every entry, added up anew.
void Checker::CheckBudgets(const std::vector<LedgerEntry>& entries) {
  for (const LedgerEntry& entry : entries) {
    if (entry.book != Book::kBudget) continue;
    auto& pots = pots_[entry.budget];
    pots[std::string(NameOf(entry.pot))] += entry.amount;
    pots[entry.contra] -= entry.amount;
    MilliGpuMs sum = 0;
    for (const auto& [pot, amount] : pots) {
      sum += amount;
      const bool outside = pot == "grants" || pot == "carried";
      if (amount < 0 && !outside) {
        Breach("budget " + entry.budget.name + ": " + pot + " is " + std::to_string(amount));
      }
    }
    if (sum != 0) Breach("budget " + entry.budget.name + " adds up to " + std::to_string(sum));
    if (entry.attempt.number == 0) continue;
    MilliGpuMs& spent = spent_[entry.attempt][entry.budget.account];
    if (entry.pot == Pot::kSpent) spent += entry.amount;
    if (entry.contra == "spent") spent -= entry.amount;
  }
}

void Checker::OnStart(const MemoryStore& store, const FakeSlurm& slurm, const FakeJob& starts) {
  const AttemptRef& ref = starts.submitted_for;
  for (const auto& [serial, other] : slurm.jobs()) {
    const bool beside = other.submitted_for.job == ref.job && serial != starts.serial;
    if (!beside || !other.process || other.disowned || starts.released_by_hand ||
        other.released_by_hand)
      continue;
    Breach(Text(ref) + " starts beside " + Text(other.submitted_for));
  }
  const auto attempt = store.attempts().find(ref);
  const bool known =
      attempt != store.attempts().end() && attempt->second.cluster_job_id == starts.job.id;
  if (!known && !starts.released_by_hand) {
    Breach(Text(ref) + " runs as " + std::to_string(starts.job.id) +
           ", which the database does not know");
  }
  const auto [ran, first] = ran_as_.emplace(ref, starts.serial);
  if (first || starts.released_by_hand) return;
  if (ran->second == starts.serial && starts.job.restarts > 0) return;  // by the cluster itself
  if (slurm.jobs().at(ran->second).released_by_hand) return;
  Breach(Text(ref) + " runs twice");
}

void Checker::CompareFold(const MemoryStore& store, const control::QueueState& state) {
  for (const auto& [ref, job] : store.jobs()) {
    if (IsFinal(job.state)) continue;
    const Job* known = state.FindJob(ref);
    const bool same = known != nullptr && known->state == job.state && known->hold == job.hold &&
                      known->pending == job.pending && known->attempts == job.attempts &&
                      known->failed_runs == job.failed_runs && *known->spec == *job.spec;
    // A submission that is committed may still be on its way to the controller.
    if (known == nullptr && job.attempts == 0 && job.state == JobState::kQueued) continue;
    if (!same) Breach("memory and store differ about job " + ToText(ref));
  }
  if (store.reservations() != state.reservations()) {
    Breach("memory and store differ about what is promised");
  }
  if (store.admin_reservations() != state.directory()->reservations) {
    Breach("memory and store differ about what admins have reserved");
  }
  for (const auto& [ref, stored] : store.attempts()) {
    const Attempt* known = state.FindAttempt(ref);
    if (stored.state == AttemptState::kEnded) {
      if (known != nullptr) Breach("memory keeps " + Text(ref) + ", which has ended");
      continue;
    }
    Attempt expected = stored;
    if (known != nullptr) expected.last_seen_ms = known->last_seen_ms;
    if (known == nullptr || *known != expected) {
      Breach("memory and store differ about " + Text(ref));
    }
  }
}

namespace {

// Of the attempt's run; null: the accounting has none.
const ClusterJob* RecordOf(const FakeSlurm& slurm, const FakeJob& job) {
  const auto record = slurm.records().find({job.serial, 0});
  return record == slurm.records().end() ? nullptr : &record->second;
}

// slurmctld has forgotten it before it ended, so nobody but its nodes knows how it did.
bool WasLost(const FakeSlurm& slurm, const FakeJob& job) {
  const ClusterJob* record = RecordOf(slurm, job);
  const bool open = record == nullptr || (!HasEnded(record->state) && record->end_ms == 0);
  return open || record->node_failed ||
         !(HasEnded(job.job.state) || job.job.restarts > 0 ||
           job.job.state == ClusterJobState::kCompleting);
}

}  // namespace

// Start and end of what ran to its end are the cluster's, to the second.
void Checker::CheckTimes(const Attempt& attempt, const FakeSlurm& slurm) {
  const FakeJob* job = slurm.Find(attempt.ref, attempt.cluster_job_id);
  if (job == nullptr) {
    if (attempt.start_ms != 0) Breach(Text(attempt.ref) + " is charged, and was not submitted");
    return;
  }
  if (job->forgotten) return;
  const ClusterJob* record = RecordOf(slurm, *job);
  if (attempt.start_ms == 0) {
    const bool recorded = record != nullptr && record->start_ms != 0;
    const bool fault = attempt.outcome == AttemptOutcome::kLaunchFailed;
    if (!job->runs.empty() && recorded && !fault)
      Breach(Text(attempt.ref) + " ran, and is not charged");
    return;
  }
  if (attempt.outcome == AttemptOutcome::kNodeFailed) return;  // at no cost
  const auto times = std::pair(attempt.start_ms, attempt.end_ms);
  const bool as_recorded =
      record != nullptr && std::pair(record->start_ms, record->end_ms) == times;
  if (as_recorded || (!job->runs.empty() && job->runs.front() == times)) return;
  const bool open = record == nullptr || record->end_ms == 0;
  if (open && !job->runs.empty() && job->runs.front().first == attempt.start_ms) return;
  Breach(Text(attempt.ref) + " ran from " + std::to_string(attempt.start_ms) + " to " +
         std::to_string(attempt.end_ms) + ", which is not what the cluster has");
}

// How it ended is what the cluster's books say, unless Kezek had a hand in it.
void Checker::CheckOutcome(const Attempt& attempt, const FakeSlurm& slurm) {
  if (attempt.epoch <= shared_epochs_) return;  // ended, maybe, by the history that was lost
  const FakeJob* job = slurm.Find(attempt.ref, attempt.cluster_job_id);
  if (job == nullptr || job->forgotten) return;
  const auto is = [&](AttemptOutcome outcome) { return attempt.outcome == outcome; };
  const bool by_somebody = attempt.ending == Ending::kCancel || job->cancelled_by_hand;
  if (is(AttemptOutcome::kCancelled) && !by_somebody) {
    return Breach(Text(attempt.ref) + " is cancelled by nobody");
  }
  if (job->job.restarts > 0 || job->runs.empty()) return;
  bool right = false;
  if (WasLost(slurm, *job)) {
    right = is(AttemptOutcome::kNodeFailed) || attempt.ending != Ending::kNone;
    right = right || (is(AttemptOutcome::kLaunchFailed) && attempt.start_ms == 0);
  }
  switch (job->job.state == ClusterJobState::kCompleting ? job->after_completing : job->job.state) {
    case ClusterJobState::kCompleted:
      right = right || is(AttemptOutcome::kSucceeded);
      break;
    case ClusterJobState::kFailed:
      // The accounting may not tell the code.
      right = right || (is(AttemptOutcome::kFailed) &&
                        (attempt.exit_code == job->exit_code || attempt.exit_code == 1));
      right = right || (attempt.ending == Ending::kPreempt && is(AttemptOutcome::kPreempted)) ||
              (attempt.ending == Ending::kRequeue && is(AttemptOutcome::kRequeued));
      break;
    case ClusterJobState::kTimedOut:
      right = right || is(AttemptOutcome::kTimedOut);
      break;
    case ClusterJobState::kNodeFailed:
      right = right || is(AttemptOutcome::kNodeFailed);
      break;
    case ClusterJobState::kCancelled:
      right = right || is(AttemptOutcome::kCancelled) ||
              (attempt.ending == Ending::kPreempt && is(AttemptOutcome::kPreempted)) ||
              (attempt.ending == Ending::kTimeLimit && is(AttemptOutcome::kTimedOut)) ||
              (attempt.ending == Ending::kRequeue && is(AttemptOutcome::kRequeued)) ||
              (attempt.ending == Ending::kLaunchTimeout && is(AttemptOutcome::kRequeued));
      break;
    case ClusterJobState::kPending:
    case ClusterJobState::kRunning:
    case ClusterJobState::kCompleting:
    case ClusterJobState::kPreempted:
      break;
  }
  // Cancelled by a person while its end was on the way.
  right = right || (attempt.ending == Ending::kCancel && is(AttemptOutcome::kCancelled));
  if (right) return;
  Breach(Text(attempt.ref) + " ended as " + std::string(NameOf(attempt.outcome)) +
         ", in the cluster's state " + std::to_string(static_cast<int>(job->job.state)));
}

void Checker::CheckMoney(const MemoryStore& store, const Attempt& attempt) {
  const AttemptRef& ref = attempt.ref;
  const auto settled = settlements_.find(ref);
  const bool ran = attempt.start_ms != 0 && attempt.outcome != AttemptOutcome::kLaunchFailed;
  if (ran && settled == settlements_.end()) Breach(Text(ref) + " ran and is not settled");
  const bool scavenger =
      attempt.as_scavenger || store.jobs().at(ref.job).spec->job_class == "scavenger";
  if (usage_[ref] != (scavenger ? 0 : charged_[ref])) {
    Breach(Text(ref) + " has usage " + std::to_string(usage_[ref]) + " and was charged " +
           std::to_string(charged_[ref]));
  }
  for (const auto& [account, spent] : spent_[ref]) {
    if (spent == charged_[ref]) continue;
    Breach(Text(ref) + " has spent " + std::to_string(spent) + " of a budget and was charged " +
           std::to_string(charged_[ref]));
  }
  // What is in a checkpoint is not lost with a node; what nobody saw fail is charged while it was
  // seen.
  const bool fault = attempt.outcome == AttemptOutcome::kNodeFailed &&
                     attempt.reason.code != ReasonCode::kLostByCluster &&
                     attempt.last_checkpoint_ms <= attempt.start_ms;
  if (fault && charged_[ref] != 0) {
    Breach(Text(ref) + " is charged " + std::to_string(charged_[ref]) +
           " for a fault of the machine");
  }
}

// One of its attempts came to its end.
void Checker::CheckSuccesses(const MemoryStore& store, const Job& job) {
  std::int64_t well = 0;
  for (auto it = store.attempts().lower_bound({job.ref, 0});
       it != store.attempts().end() && it->first.job == job.ref; ++it) {
    well += it->second.outcome == AttemptOutcome::kSucceeded ? 1 : 0;
  }
  if (well == (job.state == JobState::kSucceeded ? 1 : 0)) return;
  Breach("job " + ToText(job.ref) + " is " + std::string(NameOf(job.state)) + ", and " +
         std::to_string(well) + " of its attempts have succeeded");
}

void Checker::CheckStuck(const MemoryStore& store, const FakeSlurm& slurm, TimeMs since,
                         TimeMs now) {
  constexpr DurationMs kSlackMs = 3 * kMinuteMs;
  for (const auto& [ref, attempt] : store.attempts()) {
    if (attempt.state == AttemptState::kEnded || attempt.planned_ms > since) continue;
    const FakeJob* job = slurm.Find(ref, attempt.cluster_job_id);
    const bool runs = job != nullptr && attempt.state == AttemptState::kRunning &&
                      (job->process || now < slurm.OnOurs(job->job.end_ms) + kSlackMs);
    if (runs && now < slurm.OnOurs(attempt.start_ms) + attempt.limit_ms + kSlackMs) continue;
    Breach(Text(ref) + " is stuck: " + std::string(NameOf(attempt.state)) + ", as " +
           std::to_string(attempt.cluster_job_id));
  }
  for (const FakeJob* job : slurm.ShownAll()) {
    if (HasEnded(job->job.state) || job->taken_ms > since || job->disguised) continue;
    const auto attempt = store.attempts().find(job->submitted_for);
    const bool known = attempt != store.attempts().end() &&
                       attempt->second.state != AttemptState::kEnded &&
                       attempt->second.cluster_job_id == job->job.id;
    if (!known && !job->released_by_hand) {
      Breach("the cluster still has " + Text(job->submitted_for) + " as " +
             std::to_string(job->job.id));
    }
  }
}

void Checker::AtEnd(const MemoryStore& store, const FakeSlurm& slurm,
                    const std::set<JobId>& acknowledged) {
  for (const JobId& id : acknowledged) {
    const auto job = store.jobs().find({id, kNoElement});
    if (job == store.jobs().end()) Breach("job " + std::to_string(id.value) + " was lost");
  }
  for (const auto& [ref, job] : store.jobs()) {
    if (!IsFinal(job.state)) {
      Breach("job " + ToText(ref) + " has not finished: " + std::string(NameOf(job.state)));
    } else if (!IsArrayRow(job)) {
      CheckSuccesses(store, job);
    }
  }
  for (const auto& [ref, attempt] : store.attempts()) {
    if (attempt.state != AttemptState::kEnded) {
      Breach(Text(ref) + " has not ended");
      continue;
    }
    CheckMoney(store, attempt);
    const FakeJob* job = slurm.Find(ref, attempt.cluster_job_id);
    const bool ours = !IsClustersToSend(store.jobs().at(ref.job).spec->signal);
    const bool heard = job != nullptr && (job->signals != 0 || WasLost(slurm, *job));
    if (attempt.signalled && ours && !heard && attempt.epoch > shared_epochs_) {
      Breach(Text(ref) + " counts as signalled and was not");
    }
    CheckTimes(attempt, slurm);
    CheckOutcome(attempt, slurm);
  }
  for (const auto& [budget, pots] : pots_) {
    const auto held = pots.find("held");
    if (held != pots.end() && held->second != 0) Breach("budget " + budget.name + " still holds");
  }
  CheckStuck(store, slurm, INT64_MAX, 0);
}

}  // namespace kezek::sim
