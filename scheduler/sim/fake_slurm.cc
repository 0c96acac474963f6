#include "scheduler/sim/fake_slurm.h"

#include <algorithm>
#include <charconv>

namespace kezek::sim {
namespace {

// Slurm does not start a requeued job for about two minutes.
constexpr DurationMs kRequeuedWaitMs = 2 * kMinuteMs;
constexpr DurationMs kStartRetryMs = kSecondMs;
constexpr DurationMs kLimitSlackMs = 30 * kSecondMs;
constexpr DurationMs kLeavesMs = 8 * kSecondMs;  // after SIGTERM
constexpr std::int32_t kTermExit = 143;

// The figure behind `name=` in a script, or `otherwise`.
std::int64_t Figure(const std::string& script, const std::string& name, std::int64_t otherwise) {
  const std::size_t at = script.find(name + "=");
  if (at == std::string::npos) return otherwise;
  const char* begin = script.data() + at + name.size() + 1;
  std::int64_t value = otherwise;
  std::from_chars(begin, script.data() + script.size(), value);
  return value;
}

std::string Text(const Placement& placement) {
  std::string text;
  for (const NodeGrant& grant : placement) {
    text += (text.empty() ? "" : ",") + grant.node + ":" + std::to_string(grant.gpus);
  }
  return text;
}

bool Holds(const FakeJob& job) {
  return job.job.state == ClusterJobState::kRunning ||
         job.job.state == ClusterJobState::kCompleting;
}

}  // namespace

FakeSlurm::FakeSlurm(std::vector<Node> nodes, std::uint64_t seed, TimeMs now)
    : random_(seed), now_(now), next_minute_(now + kMinuteMs) {
  for (Node& node : nodes) nodes_[node.name] = std::move(node);
  remembers_ms_ = random_.Between(5, 300) * kSecondMs;
  books_have_tags_ = random_.Permille(500);
  books_have_codes_ = random_.Permille(500);
}

void FakeSlurm::SetFaults(const Faults& faults) { faults_ = faults; }

void FakeSlurm::Heal(TimeMs now) {
  const std::int64_t ids = faults_.ids;
  faults_ = Faults{};
  faults_.ids = ids;
  books_back_ = std::min(books_back_, now);
  if (down_until_ != 0) down_until_ = std::min(down_until_, now + kSecondMs);
  for (auto& [node, until] : down_nodes_) until = std::min(until, now);
  for (auto& [node, stranger] : strangers_) stranger.first = std::min(stranger.first, now);
}

TimeMs FakeSlurm::NextMs() const {
  TimeMs next = next_minute_;
  if (!due_.empty()) next = std::min(next, due_.begin()->first);
  if (down_until_ != 0) next = std::min(next, down_until_);
  if (!mail_.empty()) next = std::min(next, std::max(mail_.front().due, books_back_));
  return next;
}

void FakeSlurm::Advance(TimeMs now) {
  now_ = std::max(now_, now);
  if (down_until_ != 0 && down_until_ <= now_) ComeUp();
  if (next_minute_ <= now_) EachMinute();
  DeliverMail();
  while (!due_.empty() && due_.begin()->first <= now_) {
    FakeJob& job = jobs_.at(due_.begin()->second);
    // What its nodes have to tell waits for it.
    if (job.known && !Answers()) {
      Wake(job, down_until_ + random_.Between(1, kSecondMs));
      continue;
    }
    Wake(job, 0);
    Happen(job);
  }
}

const FakeJob* FakeSlurm::Shown(std::int64_t id) const {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &jobs_.at(found->second);
}

FakeJob* FakeSlurm::Known(std::int64_t id) {
  const auto found = by_id_.find(id);
  return found == by_id_.end() ? nullptr : &jobs_.at(found->second);
}

std::vector<const FakeJob*> FakeSlurm::ShownAll() const {
  std::vector<const FakeJob*> all;
  for (const auto& [id, serial] : by_id_) all.push_back(&jobs_.at(serial));
  return all;
}

const FakeJob* FakeSlurm::Find(const AttemptRef& submitted_for, std::int64_t id) const {
  const FakeJob* found = nullptr;
  for (const auto& [serial, job] : jobs_) {
    if (job.submitted_for == submitted_for && job.job.id == id) found = &job;
  }
  return found;
}

std::vector<ClusterJob> FakeSlurm::Records(std::int64_t id) const {
  std::vector<ClusterJob> found;
  for (const auto& [key, record] : records_) {
    if (record.id == id) found.push_back(record);
  }
  return found;
}

std::vector<ClusterJob> FakeSlurm::RecordsOf(const AttemptRef& name) const {
  std::vector<ClusterJob> found;
  for (const auto& [key, record] : records_) {
    if (record.attempt == name) found.push_back(record);
  }
  return found;
}

std::vector<Node> FakeSlurm::Nodes() const {
  std::vector<Node> seen;
  for (const auto& [name, known] : nodes_) {
    Node node = known;
    node.leaf.clear();
    node.block.clear();
    node.health = IsUp(name) ? NodeHealth::kUp : NodeHealth::kUnknown;
    if (down_nodes_.contains(name)) {
      node.health = NodeHealth::kDown;
      node.health_reason = "Not responding";
    }
    const auto stranger = strangers_.find(name);
    node.foreign_gpus = stranger == strangers_.end() ? 0 : stranger->second.second;
    seen.push_back(std::move(node));
  }
  return seen;
}

bool FakeSlurm::IsUp(const std::string& node) const {
  const auto registers = registers_.find(node);
  return !down_nodes_.contains(node) &&
         (registers == registers_.end() || registers->second <= now_);
}

std::map<std::string, std::int32_t> FakeSlurm::InUse(bool known_only) const {
  std::map<std::string, std::int32_t> result;
  for (const auto& [serial, job] : jobs_) {
    if (!job.process || (known_only && !(job.known && Holds(job)))) continue;
    // Nobody counts with it: a stranger may begin on GPUs that are planned, too.
    const bool strange = job.disowned && (!job.known || job.disguised);
    if (!known_only && (job.released_by_hand || strange)) continue;
    for (const NodeGrant& grant : job.job.granted) result[grant.node] += grant.gpus;
  }
  return result;
}

std::int32_t FakeSlurm::FreeGpus(const std::string& name) const {
  const auto node = nodes_.find(name);
  if (node == nodes_.end()) return -1;
  const std::map<std::string, std::int32_t> in_use = InUse(true);
  const auto used = in_use.find(name);
  const auto stranger = strangers_.find(name);
  return node->second.gpus - (used == in_use.end() ? 0 : used->second) -
         (stranger == strangers_.end() ? 0 : stranger->second.second);
}

bool FakeSlurm::NodesUp(const FakeJob& job) const {
  return std::all_of(job.job.granted.begin(), job.job.granted.end(),
                     [&](const NodeGrant& grant) { return IsUp(grant.node); });
}

void FakeSlurm::Wake(FakeJob& job, TimeMs at) {
  if (job.event_ms != 0) due_.erase({job.event_ms, job.serial});
  job.event_ms = at;
  if (at != 0) due_.emplace(at, job.serial);
}

std::int64_t FakeSlurm::Take(const Launch& launch) {
  const auto next = [this] {
    return faults_.ids != 0 && next_id_ >= faults_.ids ? 1 : next_id_ + 1;
  };
  if (faults_.ids != 0 && by_id_.size() >= static_cast<std::size_t>(faults_.ids)) return 0;
  while (by_id_.contains(next_id_)) next_id_ = next();
  FakeJob job;
  job.serial = ++last_serial_;
  job.submitted_for = launch.attempt;
  job.tag = launch.tag;
  job.job.id = next_id_;
  job.job.attempt = launch.attempt;
  job.job.unix_account = launch.unix_account;
  job.job.tag = launch.tag;
  job.job.held = true;
  job.job.state_reason = "JobHeldUser";
  job.job.granted = launch.placement;
  job.nodes_text = Text(launch.placement);
  job.job.asked = launch.placement;
  if (random_.Permille(faults_.spoilt)) {
    Count("jobs spoilt");
    job.spoilt = true;
    const bool has_gpus = !launch.placement.empty() && launch.placement.front().gpus > 0;
    if (has_gpus && random_.Permille(500)) {
      for (NodeGrant& grant : *job.job.asked) grant.gpus = 0;
    } else {
      job.job.asked->clear();  // any nodes will do
    }
  }
  job.job.limit_ms = launch.limit_ms;
  job.taken_ms = now_;
  job.run_ms = Figure(launch.script, "ms", kSecondMs);
  job.exit_code = static_cast<std::int32_t>(Figure(launch.script, "exit", 0));
  job.never_starts = random_.Permille(faults_.never_starts);
  job.will_vanish = random_.Permille(faults_.forgotten);
  job.will_requeue = random_.Permille(faults_.requeued);
  by_id_[next_id_] = job.serial;
  next_id_ = next();
  Post(job, ClusterJobState::kPending);
  return (jobs_[job.serial] = std::move(job)).job.id;
}

bool FakeSlurm::Release(std::int64_t id, const std::string& unix_account) {
  FakeJob* job = Known(id);
  if (job == nullptr || job->job.unix_account != unix_account) return false;
  if (job->held_by_admin || HasEnded(job->job.state)) return false;
  if (!job->job.held) return true;
  MayGoOn(*job);
  const std::map<std::string, std::int32_t> in_use = InUse(false);
  for (const NodeGrant& grant : job->job.granted) {
    const auto used = in_use.find(grant.node);
    const std::int32_t taken = used == in_use.end() ? 0 : used->second;
    if (taken + grant.gpus <= nodes_.at(grant.node).gpus) continue;
    breaches_.push_back("GPUs given twice: " + ClusterName(job->submitted_for) + " released on " +
                        grant.node + " where " + std::to_string(taken) + " are in use");
  }
  return true;
}

void FakeSlurm::MayGoOn(FakeJob& job) {
  job.job.held = false;
  job.held_by_admin = false;
  job.job.state_reason = "None";
  job.eligible_ms = std::max(job.eligible_ms, now_);
  if (!job.cancelled) Wake(job, job.eligible_ms + random_.Between(20, 900));
}

bool FakeSlurm::Cancel(std::int64_t id, const std::string& unix_account) {
  FakeJob* job = Known(id);
  if (job == nullptr || job->job.unix_account != unix_account) return false;
  if (HasEnded(job->job.state) || job->job.state == ClusterJobState::kCompleting) return false;
  if (on_note_) on_note_("cancels " + ClusterName(job->submitted_for) + ", " + std::to_string(id));
  job->cancelled = true;
  Wake(*job, now_ + random_.Between(1, 50));
  return true;
}

// Of two jobs one saves what it has and goes.
bool FakeSlurm::Signal(std::int64_t id, const std::string& signal) {
  FakeJob* job = Known(id);
  if (job == nullptr) {  // it has ended, and that is an answer
    const auto gone = std::find_if(jobs_.rbegin(), jobs_.rend(),
                                   [&](const auto& entry) { return entry.second.job.id == id; });
    if (gone != jobs_.rend()) ++gone->second.signals;
    return false;
  }
  ++job->signals;
  const bool runs = job->job.state == ClusterJobState::kRunning;
  if (signal != "TERM" || !runs || job->cancelled || job->serial % 2 != 0) return runs;
  job->run_ms = std::min(job->run_ms, now_ - OnOurs(job->job.start_ms) + kLeavesMs);
  job->exit_code = kTermExit;
  SetEnd(*job);
  return true;
}

bool FakeSlurm::SetLimit(std::int64_t id, DurationMs limit_ms) {
  FakeJob* job = Known(id);
  if (job == nullptr || job->job.state > ClusterJobState::kRunning) return false;
  job->job.limit_ms = limit_ms;
  if (job->job.state == ClusterJobState::kRunning && !job->cancelled) SetEnd(*job);
  return true;
}

void FakeSlurm::Happen(FakeJob& job) {
  if (!job.known) return DieUnknown(job);
  switch (job.job.state) {
    case ClusterJobState::kPending:
      if (job.cancelled) {
        job.job.state = ClusterJobState::kCancelled;
        job.job.held = false;
        job.job.end_ms = Clock();
        Post(job, job.job.state);
        Wake(job, now_ + remembers_ms_);
      } else if (!job.job.held) {
        TryStart(job);
      }
      return;
    case ClusterJobState::kRunning:
      if (job.cancelled) return End(job, ClusterJobState::kCancelled);
      if (job.will_requeue) return Requeue(job, ClusterJobState::kPending);
      if (now_ - OnOurs(job.job.start_ms) >= job.run_ms) {
        job.job.exit_code = job.exit_code;
        return End(job,
                   job.exit_code == 0 ? ClusterJobState::kCompleted : ClusterJobState::kFailed);
      }
      return End(job, ClusterJobState::kTimedOut);
    case ClusterJobState::kCompleting:
      job.job.state = job.after_completing;
      job.process = false;
      return Wake(job, now_ + remembers_ms_);
    case ClusterJobState::kCompleted:
    case ClusterJobState::kFailed:
    case ClusterJobState::kCancelled:
    case ClusterJobState::kTimedOut:
    case ClusterJobState::kNodeFailed:
    case ClusterJobState::kPreempted:
      return Forget(job);
  }
}

void FakeSlurm::Forget(FakeJob& job) {
  job.known = false;
  by_id_.erase(job.job.id);
}

// What slurmctld has forgotten ends by itself, or when its nodes hear of that.
void FakeSlurm::DieUnknown(FakeJob& job) {
  job.process = false;
  if (job.runs.empty() || job.runs.back().second != 0) return;
  job.runs.back().second = std::max(job.runs.back().first, Clock());
}

void FakeSlurm::TryStart(FakeJob& job) {
  const bool room =
      std::all_of(job.job.granted.begin(), job.job.granted.end(),
                  [&](const NodeGrant& grant) { return FreeGpus(grant.node) >= grant.gpus; });
  if (now_ < job.eligible_ms || job.never_starts || !room || !NodesUp(job)) {
    job.job.state_reason = job.never_starts ? "Reservation" : "Resources";
    return Wake(job, std::max(now_ + kStartRetryMs, job.eligible_ms));
  }
  Start(job);
}

void FakeSlurm::Start(FakeJob& job) {
  if (job.spoilt && !job.released_by_hand && !job.disowned) {
    breaches_.push_back("released though it was not made as asked: " +
                        ClusterName(job.submitted_for) + " as " + std::to_string(job.job.id));
  }
  if (on_start_) on_start_(job);
  job.process = true;
  for (const auto& [node, used] : InUse(false)) {
    if (used <= nodes_.at(node).gpus) continue;
    breaches_.push_back("GPUs given twice: " + ClusterName(job.submitted_for) + " starts, and " +
                        std::to_string(used) + " are in use on " + node);
  }
  job.job.state = ClusterJobState::kRunning;
  job.job.state_reason = "None";
  job.job.start_ms = Clock();
  job.runs.emplace_back(job.job.start_ms, 0);
  SetEnd(job);
  Post(job, job.job.state);
  if (!job.will_vanish) return;
  Count("jobs forgotten");
  job.forgotten = true;  // its process is gone, too
  job.process = false;
  job.runs.back().second = job.job.start_ms;
  Wake(job, 0);
  Forget(job);
  std::erase_if(mail_, [&job](const Letter& one) { return one.key.first == job.serial; });
  std::erase_if(records_, [&job](const auto& one) { return one.first.first == job.serial; });
}

// Of a job that runs: by itself, or by its limit.
void FakeSlurm::SetEnd(FakeJob& job) {
  DurationMs lasts = std::min(job.run_ms, job.job.limit_ms + kLimitSlackMs);
  if (job.will_requeue) lasts /= 2;
  Wake(job, std::max(now_ + 1, OnOurs(job.job.start_ms) + lasts));
}

void FakeSlurm::End(FakeJob& job, ClusterJobState state) {
  job.job.state = ClusterJobState::kCompleting;
  job.after_completing = state;
  job.job.end_ms = std::max(job.job.start_ms, Clock());
  job.runs.back().second = job.job.end_ms;
  Post(job, state);
  Wake(job, now_ + random_.Between(10, 5000));
}

void FakeSlurm::Requeue(FakeJob& job, ClusterJobState record) {
  Count("jobs requeued");
  job.will_requeue = false;
  job.job.end_ms = std::max(job.job.start_ms, Clock());
  job.runs.back().second = job.job.end_ms;
  Post(job, record);
  job.job.state = ClusterJobState::kPending;
  job.job.restarts += 1;
  job.job.start_ms = 0;
  job.job.end_ms = 0;
  job.job.state_reason = "BeginTime";
  job.process = false;
  job.eligible_ms = now_ + kRequeuedWaitMs;
  Post(job, ClusterJobState::kPending);
  Wake(job, job.eligible_ms);
}

}  // namespace kezek::sim
