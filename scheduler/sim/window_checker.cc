#include "scheduler/sim/window_checker.h"

#include <algorithm>

#include "kezek/names.h"
#include "scheduler/control/tag.h"

namespace kezek::sim {
namespace {

constexpr DurationMs kCompareMs = 30 * kDayMs;  // so far ahead occurrences are counted
constexpr DurationMs kIdleMs = 2 * kMinuteMs;   // nodes may be empty for so long

// The occurrences that share a moment with [from, until), counted from the first one on.
std::vector<std::pair<TimeMs, TimeMs>> Between(const AdminReservation& one, TimeMs from,
                                               TimeMs until) {
  std::vector<std::pair<TimeMs, TimeMs>> found;
  for (TimeMs begin = one.start_ms; begin < until; begin += one.repeat_every_ms) {
    const bool again = begin > one.start_ms;
    if (again && one.repeat_until_ms != 0 && begin > one.repeat_until_ms) break;
    if (begin + one.duration_ms > from) found.emplace_back(begin, begin + one.duration_ms);
    if (one.repeat_every_ms == 0) break;
  }
  return found;
}

bool Meets(const AdminReservation& one, TimeMs from, TimeMs until) {
  return !Between(one, from, until).empty();
}

bool Has(const AdminReservation& one, const std::string& node) {
  return std::find(one.nodes.begin(), one.nodes.end(), node) != one.nodes.end();
}

bool HasAny(const AdminReservation& one, const Placement& placement) {
  return std::any_of(placement.begin(), placement.end(),
                     [&](const NodeGrant& grant) { return Has(one, grant.node); });
}

bool IsFor(const AdminReservation& one, const Job& job) {
  for (const UserId& user : one.users) {
    if (user == job.user) return true;
  }
  // The simulation's tree is of fixed places: the cluster, three sectors, two projects in each.
  const std::int64_t project = job.spec->project.value;
  for (const AccountId& account : one.accounts) {
    const std::int64_t sector = 2 + (project - 5) / 2;
    if (account.value == project || account.value == sector || account.value == 1) return true;
  }
  return false;
}

bool SameTimes(const AdminReservation& a, const AdminReservation& b) {
  return a.start_ms == b.start_ms && a.duration_ms == b.duration_ms &&
         a.repeat_every_ms == b.repeat_every_ms && a.repeat_until_ms == b.repeat_until_ms &&
         a.nodes == b.nodes;
}

bool IsAsAsked(const AdminReservation& asked, const AdminReservation& put) {
  AdminReservation as = asked;
  as.version = put.version;
  as.actor = put.actor;
  if (asked.node_count != 0) as.nodes = put.nodes;
  return as == put && put.version == asked.version + 1;
}

const Job* JobOf(const MemoryStore& store, const Changes& changes, const JobRef& ref) {
  for (const Job& job : changes.jobs) {
    if (job.ref == ref) return &job;
  }
  const auto found = store.jobs().find(ref);
  return found == store.jobs().end() ? nullptr : &found->second;
}

std::string Text(const AttemptRef& attempt) { return ClusterName(attempt); }

}  // namespace

DurationMs WindowChecker::Stays(DurationMs limit_ms) const {
  return (limit_ms + kMinuteMs - 1) / kMinuteMs * kMinuteMs + margin_ms_;
}

void WindowChecker::OnAsked(const CommandBody& body) {
  if (const auto* put = std::get_if<PutReservation>(&body)) puts_.push_back(*put);
  if (const auto* end = std::get_if<DeleteReservation>(&body)) deletes_.insert(end->name);
  const auto* changes = std::get_if<ChangeJobs>(&body);
  if (changes == nullptr) return;
  for (const JobChange& change : changes->changes) {
    const auto* update = std::get_if<UpdateJobs>(&change);
    if (update == nullptr || !update->allow_delay) continue;
    may_delay_.insert(update->jobs.begin(), update->jobs.end());
  }
}

void WindowChecker::OnDone(const MemoryStore& store, const CommandBody& body,
                           const CommandOutcome& outcome) {
  const auto* put = std::get_if<PutReservation>(&body);
  if (put == nullptr) return;
  const auto& name = put->reservation.name;
  const auto stored = store.admin_reservations().find(name);
  if (stored == store.admin_reservations().end()) {
    if (!deletes_.contains(name)) Breach("reservation " + name + " was made, and is not stored");
  } else if (stored->second.version == outcome.reservation.version &&
             stored->second != outcome.reservation) {
    Breach("reservation " + name + " is not stored as was answered");
  }
}

void WindowChecker::OnCommit(const MemoryStore& store, const Changes& changes, TimeMs now) {
  Windows after = store.admin_reservations();
  for (const std::string& name : changes.admin_reservations_ended) {
    if (!deletes_.contains(name)) Breach("reservation " + name + " ends, and nobody asked for it");
    after.erase(name);
    since_.erase(name);
    ++figures_.ended;
  }
  for (const AdminReservation& one : changes.admin_reservations) after[one.name] = one;
  for (const AdminReservation& one : changes.admin_reservations) {
    CheckPut(store, changes, after, one, now);
  }
  CheckAttempts(store, changes, after, now);
  for (const Reservation& promise : changes.reservations) {
    const TimeMs from = std::max(now, promise.from_ms);
    for (const auto& [name, one] : after) {
      if (!HasAny(one, promise.placement) || !Meets(one, from, from + Stays(promise.limit_ms))) {
        continue;
      }
      Breach("job " + ToText(promise.row) + " is promised nodes of reservation " + name);
    }
  }
}

void WindowChecker::CheckPut(const MemoryStore& store, const Changes& changes, const Windows& after,
                             const AdminReservation& one, TimeMs now) {
  ++figures_.put;
  const std::string what = "reservation " + one.name;
  const auto asked = std::find_if(puts_.begin(), puts_.end(), [&](const PutReservation& put) {
    return put.reservation.name == one.name && IsAsAsked(put.reservation, one);
  });
  if (asked == puts_.end()) return Breach(what + " becomes what nobody asked for");
  const PutReservation put = *asked;
  puts_.erase(asked);
  const auto before = store.admin_reservations().find(one.name);
  const bool known = before != store.admin_reservations().end();
  if (one.node_count != 0) {
    if (std::ssize(one.nodes) != one.node_count) Breach(what + " has not as many nodes as asked");
    const bool same = known && before->second.node_count == one.node_count;
    if (same && before->second.nodes != one.nodes) Breach(what + " changes its nodes unasked");
  }
  for (const auto& [name, other] : after) {
    if (name == one.name || std::none_of(one.nodes.begin(), one.nodes.end(),
                                         [&of = other](const auto& node) { return Has(of, node); }))
      continue;
    for (const auto& [begin, end] : Between(one, now, now + kCompareMs)) {
      if (!Meets(other, std::max(now, begin), end)) continue;
      Breach(what + " has nodes of " + name + " at the same time");
      break;
    }
  }
  if (!put.allow_running) CheckRunning(store, changes, one, now);
  if (!put.delay_jobs) CheckPromised(store, changes, one, now);
  Since& since = since_[one.name];
  since.put_ms = now;
  if (known && SameTimes(before->second, one)) {
    since.forced |= put.allow_running;
    return;
  }
  since.times_ms = now;
  since.forced = put.allow_running;
  figures_.over_running += put.allow_running ? 1 : 0;
}

// Nothing that is there may be there when it begins, by its limit.
void WindowChecker::CheckRunning(const MemoryStore& store, const Changes& changes,
                                 const AdminReservation& one, TimeMs now) {
  const auto all = Between(one, now, now + kCompareMs);
  if (all.empty()) return;
  const TimeMs begin = std::max(now, all.front().first);
  for (const auto& [ref, attempt] : store.attempts()) {
    if (attempt.state == AttemptState::kEnded || attempt.end_ms != 0) continue;
    const bool changes_now =
        std::any_of(changes.attempts.begin(), changes.attempts.end(),
                    [&of = ref](const Attempt& other) { return other.ref == of; });
    // What is being ended is gone before its limit.
    const bool goes = attempt.ending != Ending::kNone && attempt.ends_by_ms == 0;
    if (changes_now || goes || !HasAny(one, attempt.placement)) continue;
    if (store.jobs().at(ref.job).spec->reservation == one.name) continue;
    TimeMs end = (attempt.start_ms == 0 ? now : attempt.start_ms) + Stays(attempt.limit_ms);
    if (attempt.ends_by_ms != 0) end = std::min(end, attempt.ends_by_ms);
    if (end > begin) {
      Breach("reservation " + one.name + " is put over " + Text(ref) + ", unasked");
    }
  }
}

void WindowChecker::CheckPromised(const MemoryStore& store, const Changes& changes,
                                  const AdminReservation& one, TimeMs now) {
  for (const auto& [row, promise] : store.reservations()) {
    const bool ends =
        std::count(changes.reservations_ended.begin(), changes.reservations_ended.end(), row) > 0;
    const bool changed =
        std::any_of(changes.reservations.begin(), changes.reservations.end(),
                    [&of = row](const Reservation& other) { return other.row == of; });
    const TimeMs from = std::max(now, promise.from_ms);
    if (ends || changed || !HasAny(one, promise.placement) ||
        !Meets(one, from, from + Stays(promise.limit_ms)))
      continue;
    Breach("reservation " + one.name + " is put over what job " + ToText(row) + " is promised");
  }
}

void WindowChecker::CheckAttempts(const MemoryStore& store, const Changes& changes,
                                  const Windows& after, TimeMs now) {
  for (const Attempt& attempt : changes.attempts) {
    const Job* job = JobOf(store, changes, attempt.ref.job);
    if (job == nullptr || attempt.state == AttemptState::kEnded) continue;
    const auto before = store.attempts().find(attempt.ref);
    if (before == store.attempts().end()) {
      figures_.inside += job->spec->reservation.empty() ? 0 : 1;
      CheckStay(store, after, *job, attempt, now);
    } else if (attempt.limit_ms > before->second.limit_ms) {
      const JobRef row{attempt.ref.job.id, kNoElement};
      if (may_delay_.contains(attempt.ref.job) || may_delay_.contains(row)) {
        prolonged_.insert(attempt.ref);
      } else {
        CheckStay(store, after, *job, attempt, now);
      }
    }
  }
}

// From now on until it is gone by its limit.
void WindowChecker::CheckStay(const MemoryStore& store, const Windows& after, const Job& job,
                              const Attempt& attempt, TimeMs now) {
  const std::string& asks = job.spec->reservation;
  const bool runs = store.attempts().contains(attempt.ref);
  const TimeMs begin = attempt.start_ms == 0 ? now : attempt.start_ms;
  const TimeMs until = begin + Stays(attempt.limit_ms);
  for (const auto& [name, one] : after) {
    if (name == asks || !HasAny(one, attempt.placement) || !Meets(one, now, until)) continue;
    // What was put over it stays so.
    const auto since = since_.find(name);
    if (runs && Meets(one, now, begin) && since != since_.end() && since->second.forced) continue;
    Breach(Text(attempt.ref) + " may still be there when reservation " + name + " has its nodes");
  }
  if (asks.empty()) return;
  const auto found = after.find(asks);
  if (found == after.end()) {
    if (!runs) Breach(Text(attempt.ref) + " runs in reservation " + asks + ", which is not there");
    return;
  }
  const AdminReservation& one = found->second;
  if (!IsFor(one, job) && !runs) Breach(Text(attempt.ref) + " may not use reservation " + asks);
  const auto within = Between(one, now, until);
  const bool inside =
      within.size() == 1 && within.front().first <= now && until <= within.front().second;
  if (!inside) Breach(Text(attempt.ref) + " does not end inside reservation " + asks);
  for (const NodeGrant& grant : attempt.placement) {
    if (!Has(one, grant.node))
      Breach(Text(attempt.ref) + " is not on nodes of reservation " + asks);
  }
}

bool WindowChecker::BelongsThere(const MemoryStore& store, const FakeJob& job,
                                 const AdminReservation& one, TimeMs now) const {
  const auto parts = control::ParseTag(job.tag);
  if (!parts || parts->epoch <= shared_epochs_) return true;  // of a history that was lost
  // Other hands, and the cluster itself, ask nobody.
  if (job.released_by_hand || job.disowned || job.disguised || job.job.restarts > 0) return true;
  const auto attempt = store.attempts().find(job.submitted_for);
  const auto of = store.jobs().find(job.submitted_for.job);
  const auto since = since_.find(one.name);
  if (attempt == store.attempts().end() || of == store.jobs().end()) return true;
  if (job.runs.empty() || since == since_.end() || prolonged_.contains(attempt->first)) return true;
  // By its limit it is gone: that it really goes is looked at elsewhere.
  if (now >= job.runs.back().first + Stays(attempt->second.limit_ms)) return true;
  // It was being ended when the reservation was put: it counted as gone by then.
  const bool ended = attempt->second.ending != Ending::kNone;
  if (ended && attempt->second.ending_since_ms <= since->second.times_ms) return true;
  // It was over by then, and is only cleaned up after.
  const TimeMs end = attempt->second.end_ms;
  if (end != 0 && end <= since->second.times_ms) return true;
  const TimeMs planned = attempt->second.planned_ms;
  if (of->second.spec->reservation == one.name) {
    return planned < since->second.put_ms || IsFor(one, of->second);
  }
  return planned <= since->second.times_ms && since->second.forced;
}

void WindowChecker::OnTime(const MemoryStore& store, const FakeSlurm& slurm, TimeMs now) {
  for (const auto& [name, one] : store.admin_reservations()) {
    const auto running = Between(one, now, now + 1);
    if (running.empty()) continue;
    bool empty = true;
    for (const auto& [serial, job] : slurm.jobs()) {
      if (!job.process || !HasAny(one, job.job.granted)) continue;
      empty = false;
      if (BelongsThere(store, job, one, now)) continue;
      const Attempt& attempt = store.attempts().at(job.submitted_for);
      Breach(Text(job.submitted_for) + " runs on nodes of reservation " + name + ", planned at " +
             std::to_string(attempt.planned_ms) + ", with a limit of " +
             std::to_string(attempt.limit_ms) + ", " + std::string(NameOf(attempt.state)) +
             ", ending " + std::to_string(static_cast<int>(attempt.ending)) + " since " +
             std::to_string(attempt.ending_since_ms) + "; put at " +
             std::to_string(since_.at(name).times_ms));
    }
    if (begun_.emplace(name, running.front().first).second && empty) ++figures_.drained;
  }
}

bool WindowChecker::MayRunYet(const MemoryStore& store, const Job& job, TimeMs now) const {
  const auto found = store.admin_reservations().find(job.spec->reservation);
  if (found == store.admin_reservations().end()) return false;
  const AdminReservation& one = found->second;
  const DurationMs stays = Stays(job.spec->time_limit_ms) + late_ms_;
  if (!IsFor(one, job) || job.spec->shape.nodes > std::ssize(one.nodes)) return false;
  const auto ahead = Between(one, now, now + kCompareMs);
  return std::any_of(ahead.begin(), ahead.end(), [&](const auto& span) {
    return std::max(now, span.first) + stays <= span.second;
  });
}

// Enough of its nodes have nothing at all on them and are in service.
bool WindowChecker::HasRoom(const MemoryStore& store, const FakeSlurm& slurm, const View& view,
                            const AdminReservation& one, const JobSpec& spec) const {
  std::set<std::string> used;
  for (const auto& [ref, attempt] : store.attempts()) {
    if (attempt.state == AttemptState::kEnded) continue;
    for (const NodeGrant& grant : attempt.placement) used.insert(grant.node);
  }
  for (const auto& [serial, job] : slurm.jobs()) {
    if (!job.process) continue;
    for (const NodeGrant& grant : job.job.granted) used.insert(grant.node);
  }
  std::map<std::string, std::int32_t> in_leaf;
  std::int32_t most = 0;
  for (const auto& [name, node] : view.nodes) {
    const bool serves = node.health == NodeHealth::kUp && !node.drained_by_kezek &&
                        node.set_aside_until_ms == 0 && node.foreign_gpus == 0;
    if (!Has(one, name) || !serves || used.contains(name)) continue;
    most = std::max(most, ++in_leaf[spec.within == Domain::kLeaf ? node.leaf : ""]);
  }
  return most >= spec.shape.nodes;
}

// What is wrong with what a job is told; empty: nothing.
std::string WindowChecker::WrongReason(const MemoryStore& store, const FakeSlurm& slurm,
                                       const View& view, const Job& job, const Reason& reason,
                                       TimeMs now) const {
  const auto& all = store.admin_reservations();
  if (reason.code == ReasonCode::kReservedByAdmin) {
    const auto named = all.find(reason.fields.at("reservation"));
    const bool stands = named != all.end() && Meets(named->second, now, now + kCompareMs);
    return stands ? "" : "is barred by a reservation that is over";
  }
  const bool never = reason.code == ReasonCode::kNoSuchReservation ||
                     reason.code == ReasonCode::kReservationNotAllowed ||
                     reason.code == ReasonCode::kReservationTooShort;
  if (never)
    return MayRunYet(store, job, now) ? "is told that it can never run in its reservation" : "";
  if (reason.code != ReasonCode::kWaitsForReservation || !MayRunYet(store, job, now)) return {};
  const AdminReservation& one = all.at(job.spec->reservation);
  const auto running = Between(one, now, now + 1);
  const TimeMs until = now + Stays(job.spec->time_limit_ms) + late_ms_;
  if (running.empty() || until > running.front().second) return {};
  return HasRoom(store, slurm, view, one, *job.spec) ? "waits for empty nodes of its reservation"
                                                     : "";
}

void WindowChecker::OnView(const MemoryStore& store, const FakeSlurm& slurm, const View& view,
                           TimeMs now) {
  if (!view.stop_reason.empty() || !view.cluster_answers) return idle_since_.clear();
  std::map<JobRef, JobStanding> waiting;
  if (view.waiting != nullptr) waiting = view.waiting->All();
  view.stopped.ForEach([&](const JobRef& ref, const JobStanding& it) { waiting[ref] = it; });
  std::map<std::pair<JobRef, std::string>, TimeMs> wrong;
  for (const auto& [row, standing] : waiting) {
    const auto job = store.jobs().find(row);
    if (job == store.jobs().end()) continue;
    std::string what = WrongReason(store, slurm, view, job->second, standing.reason, now);
    if (what.empty()) continue;
    const auto before = idle_since_.find({row, what});
    const TimeMs since = before == idle_since_.end() ? now : before->second;
    if (now - since > kIdleMs) Breach("job " + ToText(row) + " " + what);
    wrong[{row, std::move(what)}] = since;
  }
  idle_since_ = std::move(wrong);
}

}  // namespace kezek::sim
