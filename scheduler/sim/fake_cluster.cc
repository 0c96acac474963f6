#include "scheduler/sim/fake_cluster.h"

#include <algorithm>

namespace kezek::sim {
namespace {

constexpr DurationMs kRequestTimeoutMs = 10 * kSecondMs;
constexpr DurationMs kMessageTimeoutMs = 10 * kSecondMs;
// Between two of these nobody can have lost its state and given the id to another job.
constexpr DurationMs kSurelyItsOwnMs = 2 * kSecondMs;

}  // namespace

FakeCluster::FakeCluster(std::vector<Node> nodes, std::uint64_t seed, TimeMs now)
    : slurm_(std::move(nodes), seed, now),
      random_(seed + 1),
      now_(now),
      next_minute_(now + kMinuteMs),
      next_poll_(now + kSecondMs) {}

void FakeCluster::SetFaults(const Faults& faults) {
  faults_ = faults;
  slurm_.SetFaults(faults);
}

void FakeCluster::Heal(TimeMs now) {
  faults_ = Faults{};
  slurm_.Heal(now);
  silent_until_ = std::min(silent_until_, now);
  keys_fail_until_ = std::min(keys_fail_until_, now);
  survey_lag_ms_ = 0;
}

void FakeCluster::SetSink(ClusterSink sink) {
  sink_ = std::move(sink);
  ++life_;
  answers_.clear();
  followed_.clear();
  looks_.clear();
  under_way_.clear();
  accepted_.clear();
  reported_nodes_.clear();
  up_ = follows_ = reconcile_ = false;
  surveyed_ms_ = 0;
}

void FakeCluster::Answer(DurationMs after, ClusterEvent event) {
  if (sink_) answers_.emplace(std::pair(now_ + after, ++sequence_), std::move(event));
}

void FakeCluster::Tell(ClusterEvent event) {
  const DurationMs late = survey_lag_ms_ == 0 ? 0 : random_.Between(0, survey_lag_ms_);
  surveyed_ms_ = std::max(surveyed_ms_, now_ + late);
  Answer(surveyed_ms_ - now_, std::move(event));
}

void FakeCluster::At(TimeMs time, Act act) {
  agenda_.emplace(std::pair(time, ++sequence_), std::move(act));
}

TimeMs FakeCluster::NextMs() const {
  TimeMs next = std::min({next_minute_, next_poll_, slurm_.NextMs()});
  if (!answers_.empty()) next = std::min(next, answers_.begin()->first.first);
  if (!agenda_.empty()) next = std::min(next, agenda_.begin()->first.first);
  return next;
}

void FakeCluster::Advance(TimeMs now) {
  while (NextMs() <= now) {
    now_ = std::max(now_, NextMs());
    slurm_.Advance(now_);
    while (!agenda_.empty() && agenda_.begin()->first.first <= now_) {
      const Act act = std::move(agenda_.begin()->second);
      agenda_.erase(agenda_.begin());
      act();
    }
    if (next_minute_ <= now_) EachMinute();
    if (next_poll_ <= now_) Poll();
    while (!answers_.empty() && answers_.begin()->first.first <= now_) {
      const ClusterEvent event = std::move(answers_.begin()->second);
      answers_.erase(answers_.begin());
      if (sink_) sink_(event);
    }
  }
  now_ = std::max(now_, now);
  slurm_.Advance(now_);
}

void FakeCluster::EachMinute() {
  next_minute_ += kMinuteMs;
  if (random_.Permille(faults_.silent)) {
    slurm_.Count("times silent");
    silent_until_ = now_ + random_.Between(kSecondMs, 2 * kMinuteMs);
  }
  if (random_.Permille(faults_.keys_fail)) {
    slurm_.Count("times keys failed");
    keys_fail_until_ = now_ + random_.Between(kSecondMs, 2 * kMinuteMs);
    keys_refused_ = random_.Permille(500);
  }
  survey_lag_ms_ = random_.Permille(faults_.answer_late) ? random_.Between(0, 9 * kSecondMs) : 0;
}

bool FakeCluster::Reaches() const {
  return slurm_.Answers() && now_ >= silent_until_ && now_ >= keys_fail_until_;
}

void FakeCluster::Submit(Launch launch) {
  const AttemptRef attempt = launch.attempt;
  const LaunchUnknown lost{attempt, now_ + kRequestTimeoutMs + kMessageTimeoutMs};
  if (now_ < keys_fail_until_ && keys_refused_) {
    return Answer(20, LaunchRefused{attempt, false, "Protocol authentication error"});
  }
  if (!slurm_.Answers() || now_ < keys_fail_until_) return Answer(random_.Between(20, 9000), lost);
  if (random_.Permille(faults_.refused_for_good)) {
    return Answer(20, LaunchRefused{attempt, true, "Invalid account"});
  }
  if (random_.Permille(faults_.refused)) {
    return Answer(20, LaunchRefused{attempt, false, "Resources temporarily unavailable"});
  }
  const auto deliver = [this, launch](DurationMs after) {
    At(now_ + after, [this, launch, state = slurm_.states_lost()] {
      if (slurm_.Answers() && slurm_.states_lost() == state) slurm_.Take(launch);
    });
  };
  if (random_.Permille(faults_.delivered_late)) {
    slurm_.Count("requests late");
    deliver(kRequestTimeoutMs + random_.Between(500, 5500));
    return Answer(kRequestTimeoutMs, lost);
  }
  if (random_.Permille(faults_.taken_twice)) {
    slurm_.Count("submitted twice");
    slurm_.Take(launch);
    slurm_.Take(launch);
    return Answer(kRequestTimeoutMs, lost);
  }
  const bool silent = now_ < silent_until_;
  if (random_.Permille(silent ? 500 : faults_.answer_lost_undone)) {
    return Answer(kRequestTimeoutMs, lost);
  }
  if (random_.Permille(faults_.delivered_again)) {
    slurm_.Count("requests again");
    deliver(random_.Between(200, 10'000));
  }
  const std::int64_t id = slurm_.Take(launch);
  if (id == 0) return Answer(20, LaunchRefused{attempt, false, "No more job ids"});
  if (silent || random_.Permille(faults_.answer_lost_done)) return Answer(kRequestTimeoutMs, lost);
  const bool late = random_.Permille(faults_.answer_late);
  if (late) slurm_.Count("answers late");
  const DurationMs after = random_.Between(2, late ? kRequestTimeoutMs - 1 : 50);
  accepted_[id] = {attempt, now_ + after};
  const bool spoilt = slurm_.Shown(id)->spoilt;
  Answer(after, LaunchAccepted{attempt, id, spoilt ? "Ignoring unknown field gres" : ""});
}

// Whether its id is another job's now, as far as slurmctld tells.
bool FakeCluster::IsAnothers(const Followed& job) const {
  const auto given = accepted_.find(job.cluster_job_id);
  if (given != accepted_.end() && given->second.first == job.attempt &&
      now_ - given->second.second < kSurelyItsOwnMs) {
    return false;
  }
  const FakeJob* shown = slurm_.Shown(job.cluster_job_id);
  if (shown == nullptr || shown->job.attempt == job.attempt) return false;
  const auto told = followed_.find(job.attempt);
  return !IsStill(told == followed_.end() ? job : told->second.job, shown->job);
}

void FakeCluster::Send(const std::string& kind, const Followed& job, Act act,
                       std::function<void(Fate)> done) {
  const std::string key = kind + " " + std::to_string(job.cluster_job_id);
  if (!under_way_.insert(key).second) return;  // it would only pile up
  const auto end = [this, key, life = life_, done = std::move(done)](DurationMs after, Fate fate) {
    At(now_ + after, [this, key, life, done, fate] {
      if (life != life_) return;  // who asked is gone
      under_way_.erase(key);
      done(fate);
    });
  };
  const bool reaches = Reaches();
  if (!reaches && now_ >= silent_until_) return end(random_.Between(2, 9000), Fate::kNotSent);
  if (reaches && IsAnothers(job)) {
    Look(job);
    return end(20, Fate::kNotSent);
  }
  // Given anew, the id might be another's when the request arrives.
  if (reaches && slurm_.Shown(job.cluster_job_id) == nullptr) {
    act();
    return end(20, Fate::kDone);
  }
  const auto deliver = [this, act](DurationMs after) {
    At(now_ + after, [this, act, state = slurm_.states_lost()] {
      if (slurm_.Answers() && slurm_.states_lost() == state) act();
    });
  };
  if (random_.Permille(faults_.delivered_late)) {
    slurm_.Count("requests late");
    deliver(kRequestTimeoutMs + random_.Between(500, 5500));
    return end(kRequestTimeoutMs, Fate::kLost);
  }
  const bool lost = !reaches || random_.Permille(faults_.release_lost);
  if (lost) slurm_.Count("answers lost");
  if (!lost || random_.Permille(500)) deliver(1);
  if (lost) return end(kRequestTimeoutMs, Fate::kLost);
  if (random_.Permille(faults_.delivered_again)) {
    slurm_.Count("requests again");
    deliver(random_.Between(200, 10'000));
  }
  const bool late = random_.Permille(faults_.answer_late);
  if (late) slurm_.Count("answers late");
  end(random_.Between(2, late ? kRequestTimeoutMs - 1 : 20), Fate::kDone);
}

void FakeCluster::Release(const AttemptRef& attempt, std::int64_t id,
                          const std::string& unix_account) {
  const auto accepted = std::make_shared<bool>(false);
  Send(
      "release", {attempt, id, unix_account, false, 0, ""},
      [this, id, unix_account, accepted] {
        *accepted = slurm_.Release(id, unix_account) || *accepted;
      },
      [this, attempt, id, accepted](Fate fate) {
        const bool done = fate == Fate::kDone && *accepted;
        Answer(0, ReleaseDone{attempt, id, done, done ? "" : "not released"});
      });
}

void FakeCluster::Cancel(const AttemptRef& attempt, std::int64_t id,
                         const std::string& unix_account) {
  const Followed job{attempt, id, unix_account, false, 0, ""};
  const FakeJob* shown = slurm_.Shown(id);
  if (shown != nullptr && on_ending_ && !IsAnothers(job)) on_ending_(*shown, "");
  Send(
      "cancel", job, [this, id, unix_account] { slurm_.Cancel(id, unix_account); },
      [this, job](Fate fate) {
        if (fate == Fate::kDone) Look(job);
      });
}

void FakeCluster::Signal(const AttemptRef& attempt, std::int64_t id,
                         const std::string& unix_account, const std::string& signal, bool) {
  const Followed job{attempt, id, unix_account, true, 0, ""};
  const FakeJob* shown = slurm_.Shown(id);
  if (shown != nullptr && on_ending_ && !IsAnothers(job)) on_ending_(*shown, signal);
  Send(
      "signal " + signal, job, [this, id, signal] { slurm_.Signal(id, signal); },
      [this, attempt, id, signal](Fate fate) {
        Answer(0, SignalDone{attempt, id, signal, fate == Fate::kDone});
      });
}

void FakeCluster::SetLimit(const Followed& job, DurationMs limit_ms) {
  if (random_.Permille(faults_.refused)) {
    return Answer(20, LimitRefused{job.attempt, job.cluster_job_id, limit_ms, "Access denied"});
  }
  Send(
      "limit " + std::to_string(limit_ms), job,
      [this, id = job.cluster_job_id, limit_ms] { slurm_.SetLimit(id, limit_ms); },
      [this, job](Fate fate) {
        if (fate == Fate::kDone) Look(job);
      });
}

void FakeCluster::Look(const Followed& job) {
  looks_.insert_or_assign(job.attempt, job);
  At(now_ + 20, [this] { LookDue(); });
}

void FakeCluster::Reconcile() {
  reconcile_ = true;
  At(now_ + 100, [this] { List(); });
}

void FakeCluster::Follow(std::vector<Followed> jobs) {
  std::map<AttemptRef, Watched> next;
  for (Followed& job : jobs) {
    const AttemptRef attempt = job.attempt;
    Watched& watched = next[attempt];
    const auto before = followed_.find(attempt);
    if (before != followed_.end() && before->second.job.cluster_job_id == job.cluster_job_id) {
      watched = std::move(before->second);
    }
    watched.job = std::move(job);
  }
  followed_ = std::move(next);
  follows_ = true;
}

}  // namespace kezek::sim
