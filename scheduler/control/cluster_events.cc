// What the cluster reports, by the rules of the hand-off.
#include <algorithm>
#include <cstdlib>
#include <limits>
#include <set>
#include <utility>

#include "kezek/check.h"
#include "scheduler/control/core.h"
#include "scheduler/control/host_parts.h"

namespace kezek::control {
namespace {

// Signs of life are stored this often even if nothing else changes.
constexpr DurationMs kSeenStoredEvery = 5 * kMinuteMs;

void Record(Core& core, Attempt attempt, std::int64_t id) {
  attempt.cluster_job_id = id;
  core.follow[attempt.ref].find_at_ms = 0;
  core.follow[attempt.ref].release_at_ms = 0;
  core.Put(attempt);
  core.follow_changed = true;
}

// A sign of life, stored now and then.
void Seen(Core& core, Attempt attempt) {
  TimeMs& stored = core.follow[attempt.ref].seen_stored_ms;
  const bool store = core.asked_ms - stored >= kSeenStoredEvery;
  if (store) stored = core.asked_ms;
  attempt.last_seen_ms = std::max(attempt.last_seen_ms, core.asked_ms);
  if (store) {
    core.Put(attempt);
  } else {
    core.PutQuietly(attempt);
  }
}

void OnPending(Core& core, Attempt attempt, const ClusterJob& job) {
  FollowUp& follow = core.follow[attempt.ref];
  const bool waits = !job.held || attempt.released || follow.release_sent_ms != 0;
  if (waits && job.state_reason != "None") follow.waits_for = job.state_reason;
  follow.waited_at_ms = core.now;
  if (!job.held && !attempt.released) {
    attempt.released = true;
    attempt.released_ms = core.now;
    core.Put(attempt);
  } else if (attempt.state == AttemptState::kRunning) {
    return;  // released, it would run twice
  } else if (job.held && attempt.released && attempt.ending == Ending::kNone) {
    // Taken as released, but held: an older report, or somebody's hand. Releasing twice is
    // harmless.
    if (core.now < follow.release_at_ms) return;
    follow.release_at_ms = core.now + core.config.retry_ms;
    if (core.MayAct()) core.Do(ReleaseAction{core.FollowedOf(attempt)});
  }
  core.attend.insert(attempt.ref);
}

// When the run ended that the cluster took back: by its own times as long as it shows them. Else
// now, if it was watched until now, for then every change is told at once; what was not watched
// ended when last seen.
TimeMs EndOfFirstRun(const Core& core, const Attempt& attempt, const ClusterJob& job) {
  if (job.run_end_ms != 0) return std::max(attempt.start_ms, job.run_end_ms);
  // An end to come is that of its limit, as of a run that goes on.
  const bool told = job.start_ms == attempt.start_ms && job.end_ms >= job.start_ms;
  if (told && job.end_ms <= core.ClusterNow()) return job.end_ms;
  const bool watched = attempt.last_seen_ms >= core.cluster_since_ms + core.clock_skew_ms;
  return std::max(attempt.start_ms, watched ? core.ClusterNow() : attempt.last_seen_ms);
}

// The cluster requeues what a node's failure ended, too.
Reason WhyRequeued(const Core& core, const Attempt& attempt, const ClusterJob& job) {
  for (const NodeGrant& grant : attempt.placement) {
    const auto node = core.state.nodes().find(grant.node);
    if (node == core.state.nodes().end() || node->second.health != NodeHealth::kDown) continue;
    return {ReasonCode::kNodeFailed, {{"nodes", grant.node}}};
  }
  return {job.node_failed ? ReasonCode::kNodeFailed : ReasonCode::kRequeuedByUser, {}};
}

// The cluster's own limit may be another than ours: it missed a change, or somebody made one there.
void NoteLimit(Core& core, const Attempt& attempt, const ClusterJob& job) {
  DurationMs& seen = core.follow[attempt.ref].limit_seen_ms;
  if (seen == job.limit_ms && job.limit_ms == attempt.limit_ms) return;
  seen = job.limit_ms;
  if (job.limit_ms != 0) core.attend.insert(attempt.ref);
}

// A controller that lost its state knows of its nodes only what they have told it since. One that
// it has no more in its configuration will not register, and runs nothing of its.
bool HaveRegistered(const Core& core, const Placement& placement) {
  return std::all_of(placement.begin(), placement.end(), [&](const NodeGrant& grant) {
    const auto found = core.state.nodes().find(grant.node);
    const bool listed = core.listed_nodes.contains(grant.node);
    if (found == core.state.nodes().end() || !listed) return core.nodes_seen;
    const NodeHealth health = found->second.health;
    return health == NodeHealth::kUp || health == NodeHealth::kDraining;
  });
}

// The books may call over what still runs on nodes that have not heard of it: a controller that
// lost its state closes them first, and ends what its nodes still have once they have registered,
// which takes them a moment.
bool MayRunOn(Core& core, const Attempt& attempt) {
  constexpr TimeMs kNever = std::numeric_limits<TimeMs>::max();
  FollowUp& follow = core.follow[attempt.ref];
  const bool registered = HaveRegistered(core, attempt.placement);
  if (!registered) {
    follow.lost_at_ms = kNever;  // it may be long until the next look
  } else if (follow.lost_at_ms == 0 || follow.lost_at_ms == kNever) {
    follow.lost_at_ms = core.now + 2 * core.config.retry_ms;
  }
  if (core.now >= follow.lost_at_ms) return false;
  follow.look_at_ms = registered ? follow.lost_at_ms : core.now + core.config.retry_ms;
  core.attend.insert(attempt.ref);
  return true;
}

// A controller that went back in time has it waiting again under its id. So it may run on where its
// nodes have not heard of that; and what is told may be older than the start.
bool WaitsAgain(Core& core, const Attempt& attempt, const ClusterJob& job) {
  const bool over = attempt.end_ms != 0 && attempt.ending != Ending::kNone;
  if (attempt.state != AttemptState::kRunning || over) return false;
  if (job.state != ClusterJobState::kPending || job.restarts > 0) return false;
  return !MayRunOn(core, attempt);
}

bool IsClosedByNobody(const ClusterJob& job) {
  return job.state == ClusterJobState::kCancelled && job.node_failed && job.restarts == 0;
}

// What began once more under its id without being requeued ends at once, as its script finds that
// it has begun: by the first start it is known then, which is kept until it has run for a while.
bool MayBeBarred(const Core& core, const Attempt& attempt, const ClusterJob& job) {
  constexpr DurationMs kUntilBarred = kMinuteMs;
  if (attempt.start_ms == 0 || job.start_ms <= attempt.start_ms) return false;
  return core.ClusterNow() < job.start_ms + kUntilBarred;
}

// The attempt is alive and the job is the one recorded for it.
void OnOwn(Core& core, ClusterJob job) {
  const AttemptRef ref = job.attempt;
  ToNodes(core.state.nodes(), core.JobOf(ref.job).spec->shape.gpu_type, &job.granted);
  Attempt attempt = *core.state.FindAttempt(ref);
  NoteLimit(core, attempt, job);
  if (WaitsAgain(core, attempt, job)) {
    if (attempt.end_ms == 0) attempt.end_ms = std::max(attempt.start_ms, attempt.last_seen_ms);
    core.Put(attempt);
    core.tick_wanted = true;  // it is in no limit any more
    return SetEnding(core, ref, Ending::kRequeue, {ReasonCode::kNodeFailed, {}});
  }
  if (job.restarts > 0) {
    // Requeued below us, by its owner or by the cluster: this run is over, a new attempt follows.
    if (attempt.start_ms == 0 && job.run_start_ms != 0) {  // begun and over while nobody looked
      ClusterJob run = job;
      run.start_ms = job.run_start_ms;
      StartAttempt(core, attempt, run);
      attempt = *core.state.FindAttempt(ref);
    }
    if (attempt.start_ms != 0 && attempt.end_ms == 0) {
      attempt.end_ms = EndOfFirstRun(core, attempt, job);
      core.Put(attempt);
      core.tick_wanted = true;  // it is in no limit any more
    }
    SetEnding(core, ref, Ending::kRequeue, WhyRequeued(core, attempt, job));
    if (!HasEnded(job.state)) return;
    attempt = *core.state.FindAttempt(ref);
  }
  if (job.state == ClusterJobState::kPending) return OnPending(core, attempt, job);
  if (IsClosedByNobody(job) && MayRunOn(core, attempt)) return;
  // Of one that was barred nobody saw the run before.
  const bool never_ran =
      HasEnded(job.state) && EndOf(attempt, job, core.clock_skew_ms).start_ms == 0;
  if (attempt.state == AttemptState::kStarting && !never_ran) {
    StartAttempt(core, attempt, job);
    attempt = *core.state.FindAttempt(ref);
  }
  if (HasEnded(job.state)) {
    EndAttempt(core, attempt, EndOf(attempt, job, core.clock_skew_ms));
    if (IsSpoilt(attempt)) HoldWithArray(core, ref, attempt.reason.fields.at("text"));
    if (attempt.reason.code == ReasonCode::kPlacementDiffers) {
      HoldForCluster(core, ref.job, ref.number,
                     "it ran with more than was planned: it was changed in the cluster");
    }
    return;
  }
  if (MayBeBarred(core, attempt, job)) return;
  if (job.state == ClusterJobState::kCompleting) {
    if (attempt.end_ms != 0) return;
    attempt.end_ms = std::max<TimeMs>({job.end_ms, attempt.start_ms, 1});
    core.Put(attempt);
    core.tick_wanted = true;  // it is in no limit any more
    return;
  }
  if (job.start_ms != 0 && job.start_ms != attempt.start_ms) {
    attempt.start_ms = job.start_ms;
    core.Put(attempt);
    core.follow_changed = true;
  }
  FollowPlacement(core, attempt, job);
  core.follow[ref].lost_at_ms = 0;
  Seen(core, *core.state.FindAttempt(ref));
}

void OnOurs(Core& core, const ClusterJob& job) {
  const Attempt* attempt = core.state.FindAttempt(job.attempt);
  if (attempt == nullptr) return CancelInCluster(core, job, "its attempt has ended");
  if (attempt->cluster_job_id == 0) {
    // Its answer is still to come, and tells more.
    if (job.held && core.follow[job.attempt].find_at_ms == 0) return;
    Record(core, *attempt, job.id);
    if (const auto other = MadeOtherwise(core, *attempt, job)) {
      SetSpoilt(core, job.attempt, *other);
    }
  } else if (attempt->cluster_job_id != job.id) {
    // Held, it has never run. What runs or may run was released by other hands.
    const std::string why = "another job is recorded for its attempt";
    if (job.held) return CancelInCluster(core, job, why);
    return ReportStray(core, job, why);
  }
  OnOwn(core, job);
}

void OnJob(Core& core, const ClusterJob& job) {
  if (IsOurs(core, job)) OnOurs(core, job);
}

void On(Core& core, const LaunchAccepted& event) {
  const Attempt* attempt = core.state.FindAttempt(event.attempt);
  if (attempt == nullptr) {
    const auto ended = core.ended.find(event.attempt);
    if (ended == core.ended.end()) return;  // the next listing shows it
    ClusterJob job;
    job.id = event.cluster_job_id;
    job.attempt = event.attempt;
    job.unix_account = ended->second.unix_account;
    CancelInCluster(core, job, "accepted after its attempt had ended");
    return;
  }
  if (attempt->cluster_job_id == 0) Record(core, *attempt, event.cluster_job_id);
  const std::int64_t recorded = core.state.FindAttempt(event.attempt)->cluster_job_id;
  if (recorded == event.cluster_job_id) {
    if (!event.spoilt.empty()) SetSpoilt(core, event.attempt, event.spoilt);
  } else {
    ClusterJob job;
    job.id = event.cluster_job_id;
    job.attempt = event.attempt;
    job.unix_account = core.UnixAccountOf(core.JobOf(event.attempt.job).user);
    CancelInCluster(core, job, "submitted twice; the other is recorded");
  }
}

void On(Core& core, const LaunchRefused& event) {
  const Attempt* attempt = core.state.FindAttempt(event.attempt);
  if (attempt == nullptr || attempt->cluster_job_id != 0) return;
  EndAttempt(core, *attempt, EndOfRefused(event.text));
  if (!event.for_good) return;
  HoldWithArray(core, event.attempt, event.text);
}

void On(Core& core, const LaunchUnknown& event) {
  const Attempt* attempt = core.state.FindAttempt(event.attempt);
  if (attempt == nullptr || attempt->cluster_job_id != 0) return;
  core.follow[event.attempt].find_at_ms = std::max(event.look_after_ms, core.now + 1);
  core.attend.insert(event.attempt);
}

void On(Core& core, const ReleaseDone& event) {
  const Attempt* known = core.state.FindAttempt(event.attempt);
  if (known == nullptr || known->cluster_job_id != event.cluster_job_id) return;
  if (event.accepted && !known->released) {
    Attempt attempt = *known;
    attempt.released = true;
    attempt.released_ms = core.now;
    core.Put(attempt);
  } else if (!event.accepted) {
    core.Log("release of " + ClusterName(event.attempt) + ": " + event.text);
    core.follow[event.attempt].look_at_ms = core.now;
    core.attend.insert(event.attempt);
  }
}

void On(Core& core, const SignalDone& event) {
  const Attempt* known = core.state.FindAttempt(event.attempt);
  if (known == nullptr || known->cluster_job_id != event.cluster_job_id) return;
  FollowUp& follow = core.follow[event.attempt];
  const Job& job = core.JobOf(event.attempt.job);
  if (follow.signals.erase(event.signal) != 0 && !event.settled) {
    core.Say(Note(job, {ReasonCode::kSignalUnsure, {{"signal", event.signal}}}, kActorKezek,
                  event.attempt.number, core.now));
  }
  OnWarned(core, *known, event);
  // The one before the limit is sent again until it is settled.
  const bool before_end = follow.signal_at_ms != 0 && event.signal == job.spec->signal.name;
  const Attempt& now = *core.state.FindAttempt(event.attempt);
  if (!before_end || !event.settled || now.signalled) return;
  Attempt attempt = now;
  attempt.signalled = true;
  core.Put(attempt);
}

// Said once of each limit, when it is refused again: what is just ending there refuses it, too, and
// shows that it ends before then. It is sent again all the same, for what stands in its way may
// pass.
void On(Core& core, const LimitRefused& event) {
  const Attempt* known = core.state.FindAttempt(event.attempt);
  if (known == nullptr || known->cluster_job_id != event.cluster_job_id) return;
  if (known->ending != Ending::kNone || known->end_ms != 0) return;
  if (event.limit_ms != known->limit_ms) return;
  if (++core.follow[event.attempt].limit_refused != 2) return;
  const std::string text = "the cluster does not take it over: " + event.text;
  core.Say(Note(core.JobOf(event.attempt.job),
                {ReasonCode::kWarning, {{"field", "time limit"}, {"text", text}}}, kActorKezek,
                event.attempt.number, core.now));
}

// Which of several is recorded: what runs or ran, before what waits; then the oldest.
bool Before(const ClusterJob& a, const ClusterJob& b) {
  const auto rank = [](const ClusterJob& job) {
    if (job.state == ClusterJobState::kRunning || job.state == ClusterJobState::kCompleting) {
      return 0;
    }
    if (!HasEnded(job.state)) return 1;
    return job.start_ms != 0 ? 0 : 2;
  };
  return std::pair(rank(a), a.id) < std::pair(rank(b), b.id);
}

void On(Core& core, const FoundByName& event) {
  const Attempt* known = core.state.FindAttempt(event.attempt);
  if (known == nullptr || known->cluster_job_id != 0) {
    for (const ClusterJob& job : event.jobs) OnJob(core, job);
    return;
  }
  std::vector<ClusterJob> ours;
  for (const ClusterJob& job : event.jobs) {
    if (job.attempt == event.attempt && IsOurs(core, job)) ours.push_back(job);
  }
  if (ours.empty()) {
    if (!event.complete) {
      core.follow[event.attempt].find_at_ms = core.now + core.config.retry_ms;
      core.attend.insert(event.attempt);
      return;
    }
    EndAttempt(core, *known, EndOfRefused("the request was lost on its way to the cluster"));
    return;
  }
  std::sort(ours.begin(), ours.end(), Before);
  for (const ClusterJob& job : ours) OnJob(core, job);
}

void On(Core& core, const Observed& event) { OnJob(core, event.job); }

// Given up only when its nodes have registered: a controller that lost its state knows nothing yet.
void On(Core& core, const Unknown& event) {
  const Attempt* attempt = core.state.FindAttempt(event.attempt);
  if (attempt == nullptr || attempt->cluster_job_id != event.cluster_job_id) return;
  if (!core.cluster_answers) {
    core.follow[event.attempt].look_at_ms = core.now + 2 * core.config.retry_ms;
    core.attend.insert(event.attempt);
    return;
  }
  const bool quiet =
      core.follow[event.attempt].lost_at_ms == 0 && HaveRegistered(core, attempt->placement);
  if (!quiet && MayRunOn(core, *attempt)) return;
  const Attempt lost = *attempt;
  EndAttempt(core, lost, EndOfLost(lost));
  if (IsSpoilt(lost)) HoldWithArray(core, lost.ref, lost.reason.fields.at("text"));
}

void On(Core& core, const NodesObserved& event) { OnNodes(core, event); }

// Charges go by the cluster's clock, all else by Kezek's.
void WarnOfSkew(Core& core, DurationMs skew_ms) {
  constexpr DurationMs kSkewMost = 2 * kSecondMs;
  if (skew_ms <= kSkewMost && skew_ms >= -kSkewMost) return;
  const DurationMs seconds = (std::abs(skew_ms) + kSecondMs / 2) / kSecondMs;
  const std::string text = "the cluster's clock is " + std::to_string(seconds) + " s " +
                           (skew_ms > 0 ? "ahead of" : "behind") + " Kezek's";
  if (!core.reported.insert(text).second) return;
  core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "clock"}, {"text", text}}}));
}

void On(Core& core, const ClusterUp& event) {
  if (core.clock_skew_ms != event.clock_skew_ms) core.follow_changed = true;
  core.clock_skew_ms = event.clock_skew_ms;
  WarnOfSkew(core, event.clock_skew_ms);
  if (core.cluster_answers && core.cluster_version == event.version) return;
  if (!core.cluster_answers) {
    core.cluster_since_ms = core.now;
    core.reconcile_at_ms = core.now;
    core.nodes_seen = false;
    for (const auto& [ref, attempt] : core.state.attempts()) core.attend.insert(ref);
  }
  core.cluster_answers = true;
  core.cluster_version = event.version;
  core.directory_changed = true;
  core.tick_wanted = true;
}

void On(Core& core, const Oddity& event) {
  if (!core.reported.insert(event.text).second) return;
  core.Say(ClusterNote(core, {ReasonCode::kWarning, {{"field", "cluster"}, {"text", event.text}}}));
}

void On(Core& core, const ClusterSilent& event) {
  if (!core.cluster_answers && core.cluster_since_ms != 0) return;
  core.cluster_answers = false;
  core.cluster_since_ms = core.now;
  core.directory_changed = true;
  core.tick_wanted = true;
  core.Log("the cluster does not answer: " + event.text);
}

// What the listing does not show is asked for one by one: it may have ended.
void On(Core& core, const Listing& event) {
  std::set<AttemptRef> shown;
  std::vector<const ClusterJob*> ours;
  // What shows a restore comes first: nothing is done about the others before that is known.
  for (const ClusterJob& job : event.jobs) {
    shown.insert(job.attempt);
    if (IsOurs(core, job)) ours.push_back(&job);
  }
  if (!core.listed) core.ActAgain();
  core.listed = true;
  for (const ClusterJob* job : ours) OnOurs(core, *job);
  for (const auto& [ref, attempt] : core.state.attempts()) {
    if (attempt.cluster_job_id == 0 || shown.contains(ref)) continue;
    core.follow[ref].look_at_ms = core.now;
    core.attend.insert(ref);
  }
}

TimeMs WhenAsked(const Core& core, const ClusterEvent& event) {
  TimeMs asked = 0;
  if (const auto* observed = std::get_if<Observed>(&event)) asked = observed->asked_ms;
  if (const auto* listing = std::get_if<Listing>(&event)) asked = listing->asked_ms;
  return (asked == 0 ? core.now : std::min(asked, core.now)) + core.clock_skew_ms;
}

}  // namespace

void OnClusterEvent(Core& core, const ClusterEvent& event) {
  core.asked_ms = WhenAsked(core, event);
  std::visit([&core](const auto& what) { On(core, what); }, event);
}

}  // namespace kezek::control
