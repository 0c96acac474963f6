// What happens in the fake Slurm by itself as time passes, and what other hands do.
#include <algorithm>
#include <array>

#include "scheduler/sim/fake_slurm.h"

namespace kezek::sim {
namespace {

constexpr AttemptRef kNobodys{{JobId{9'999'999}, kNoElement}, 1};  // named like one of ours

}  // namespace

std::string FakeSlurm::AnyNode() {
  return std::next(nodes_.begin(), random_.Between(0, std::ssize(nodes_) - 1))->first;
}

void FakeSlurm::EachMinute() {
  next_minute_ += kMinuteMs;
  std::erase_if(down_nodes_, [&](const auto& item) { return item.second <= now_; });
  std::erase_if(strangers_, [&](const auto& item) { return item.second.first <= now_; });
  if (random_.Permille(faults_.books_away)) {
    const DurationMs most = random_.Permille(200) ? 5 * kHourMs : 30 * kMinuteMs;
    books_back_ = now_ + random_.Between(10 * kSecondMs, most);
    Note("slurmdbd away", "for " + std::to_string(books_back_ - now_) + " ms");
  }
  if (!Answers()) return;
  if (random_.Permille(faults_.strangers)) {
    const std::string node = AnyNode();
    const std::int32_t free = FreeGpus(node);
    if (free > 0 && !strangers_.contains(node)) {
      strangers_[node] = {now_ + random_.Between(kMinuteMs, 10 * kMinuteMs),
                          static_cast<std::int32_t>(random_.Between(1, free))};
    }
  }
  if (random_.Permille(faults_.node_fails)) FailNode();
  OtherHands();
  if (random_.Permille(faults_.restarts)) {
    GoDown(Loses::kNothing);
  } else if (random_.Permille(faults_.killed)) {
    GoDown(Loses::kLastSecond);
  } else if (random_.Permille(faults_.begun_cold)) {
    GoDown(Loses::kState);
  } else if (random_.Permille(faults_.wiped)) {
    GoDown(Loses::kFolder);
  }
}

void FakeSlurm::FailNode() {
  const std::string node = AnyNode();
  const bool requeues = random_.Permille(500);  // down by an admin's hand
  down_nodes_[node] = now_ + random_.Between(kMinuteMs, 8 * kMinuteMs);
  Note("nodes failed", node);
  for (auto& [serial, job] : jobs_) {
    const bool there = std::any_of(job.job.granted.begin(), job.job.granted.end(),
                                   [&](const NodeGrant& grant) { return grant.node == node; });
    if (!there || !job.process) continue;
    if (!job.known) {
      DieUnknown(job);
    } else if (job.job.state == ClusterJobState::kRunning && requeues) {
      Requeue(job, ClusterJobState::kNodeFailed);
    } else if (job.job.state == ClusterJobState::kRunning) {
      End(job, ClusterJobState::kNodeFailed);
    }
  }
}

void FakeSlurm::GoDown(Loses loses) {
  loses_ = loses;
  down_since_ = now_;
  down_until_ = now_ + random_.Between(500, 30 * kSecondMs);
  const std::array<const char*, 4> names{"restarted", "killed", "begun cold", "wiped"};
  Note(std::string("slurmctld ") + names[static_cast<std::size_t>(loses)],
       "and away for " + std::to_string(down_until_ - now_) + " ms");
}

void FakeSlurm::ComeUp() {
  // Without its state it does not begin before slurmdbd is there.
  const bool needs_books = loses_ == Loses::kState || loses_ == Loses::kFolder;
  if (needs_books && !BooksAnswer()) {
    down_until_ = books_back_ + kSecondMs;
    return;
  }
  down_until_ = 0;
  if (on_note_) on_note_("slurmctld is back");
  if (loses_ == Loses::kLastSecond) LoseLastSecond();
  if (needs_books) LoseState();
}

// It had not been written when slurmctld was killed. The accounting keeps its records, for good.
void FakeSlurm::LoseLastSecond() {
  ++states_lost_;
  const TimeMs written = down_since_ - random_.Between(0, 2 * kSecondMs);
  for (auto& [serial, job] : jobs_) {
    const bool lost = job.known && job.taken_ms > written && job.job.held && job.runs.empty();
    if (!lost) continue;
    next_id_ = std::min(next_id_, job.job.id);
    Wake(job, 0);
    Forget(job);
  }
}

// The accounting is told to close what it has open. What runs is ended when its nodes have
// registered, unless it ends by itself before.
void FakeSlurm::LoseState() {
  ++states_lost_;
  if (loses_ == Loses::kFolder) {
    mail_.clear();  // what slurmdbd had not heard of it never will
    next_id_ = 1;
  }
  mail_.push_back({now_ + random_.Between(0, 2 * kSecondMs), {}, {}, true});
  mail_.back().record.end_ms = Clock();
  for (const auto& [name, node] : nodes_) {
    registers_[name] = now_ + random_.Between(kSecondMs, 20 * kSecondMs);
  }
  strangers_.clear();
  for (auto& [serial, job] : jobs_) {
    if (!job.known) continue;
    const bool runs = job.job.state == ClusterJobState::kRunning;
    TimeMs dies = runs ? std::max(now_, OnOurs(job.job.start_ms) + job.run_ms) : now_;
    TimeMs told = now_;
    for (const NodeGrant& grant : job.job.granted) {
      told = std::max(told, registers_.at(grant.node));
    }
    dies = std::min(dies, told + random_.Between(200, 2 * kSecondMs));
    Forget(job);
    Wake(job, job.process ? std::max(dies, now_ + 1) : 0);
  }
}

void FakeSlurm::OtherHands() {
  const std::int32_t odds[] = {faults_.cancelled,      faults_.requeued_by_hand, faults_.held,
                               faults_.released,       faults_.limit_changed,    faults_.renamed,
                               faults_.comment_changed};
  std::int64_t what = -1;
  for (const std::int32_t odd : odds) {
    ++what;
    if (!random_.Permille(odd)) continue;
    std::vector<FakeJob*> alive;
    for (const auto& [id, serial] : by_id_) {
      FakeJob& job = jobs_.at(serial);
      if (job.job.state <= ClusterJobState::kRunning && !job.cancelled) alive.push_back(&job);
    }
    if (alive.empty()) return;
    const std::int64_t index = random_.Between(0, std::ssize(alive) - 1);
    Meddle(*alive[static_cast<std::size_t>(index)], what);
  }
}

void FakeSlurm::Meddle(FakeJob& job, std::int64_t what) {
  const bool pending = job.job.state == ClusterJobState::kPending;
  const std::array<const char*, 7> names{"cancelled",      "requeued by hand", "held",
                                         "released",       "limit changed",    "renamed",
                                         "comment changed"};
  Note(std::string("jobs ") + names[static_cast<std::size_t>(what)],
       ClusterName(job.submitted_for) + " as " + std::to_string(job.job.id));
  switch (what) {
    case 0:
      job.cancelled = job.cancelled_by_hand = true;
      return Wake(job, now_ + random_.Between(10, 2000));
    case 1:
      if (!pending) Requeue(job, ClusterJobState::kPending);
      return;
    case 2:
      if (!pending) return;
      job.job.held = true;
      job.held_by_admin = random_.Permille(500);
      job.job.state_reason = job.held_by_admin ? "JobHeldAdmin" : "JobHeldUser";
      return Wake(job, 0);
    case 3:
      if (!pending || !job.job.held) return;
      job.released_by_hand = true;
      return MayGoOn(job);
    case 4:
      SetLimit(job.job.id, (random_.Permille(500) ? 1 : 60) * kMinuteMs);
      return;
    case 5: {
      if (job.job.tag != job.tag) return;  // with both it is nobody's any more
      const std::int64_t other = random_.Between(0, 2);
      const auto any = std::next(by_id_.begin(), random_.Between(0, std::ssize(by_id_) - 1));
      job.job.attempt = other == 0   ? AttemptRef{}
                        : other == 1 ? kNobodys
                                     : jobs_.at(any->second).submitted_for;
      job.disguised = true;
      return;
    }
    default: {
      if (job.job.attempt != job.submitted_for) return;
      const auto any = std::next(by_id_.begin(), random_.Between(0, std::ssize(by_id_) - 1));
      job.job.tag = random_.Permille(500) ? "mine" : jobs_.at(any->second).tag;
      job.disguised = true;
    }
  }
}

// A record as it is from now on, with the state that the accounting has of it.
void FakeSlurm::Post(const FakeJob& job, ClusterJobState state) {
  ClusterJob record = job.job;
  record.state = state;
  record.held = false;
  record.restarts = 0;
  record.limit_ms = 0;
  record.asked.reset();
  if (!books_have_tags_) record.tag.clear();
  if (!books_have_codes_ && state == ClusterJobState::kFailed) record.exit_code = 1;
  const TimeMs before = mail_.empty() ? 0 : mail_.back().due;
  const DurationMs late = random_.Between(0, kSecondMs + 10 * faults_.books_lag);
  mail_.push_back({std::max(before, now_ + late), {job.serial, job.job.restarts}, record, false});
}

void FakeSlurm::DeliverMail() {
  while (BooksAnswer() && !mail_.empty() && mail_.front().due <= now_) {
    const Letter letter = std::move(mail_.front());
    mail_.pop_front();
    if (!letter.closes_all) {
      records_[letter.key] = letter.record;
      continue;
    }
    for (auto& [key, record] : records_) {
      const bool taken_back = record.state == ClusterJobState::kPending && record.end_ms != 0;
      if (HasEnded(record.state) || taken_back) continue;
      record.state = ClusterJobState::kCancelled;
      record.end_ms = std::max(letter.record.end_ms, record.start_ms);
      record.node_failed = true;  // by nobody
    }
  }
}

}  // namespace kezek::sim
