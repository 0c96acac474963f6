#include "scheduler/sim/memory_store.h"

#include <algorithm>
#include <iterator>

#include "kezek/check.h"
#include "kezek/intake.h"

namespace kezek::sim {
namespace {

// As a database would refuse it: a row twice in one commit.
template <class Rows, class KeyOf>
void CheckOnce(const Rows& rows, KeyOf key_of) {
  std::set<decltype(key_of(rows.front()))> keys;
  for (const auto& row : rows) {
    KEZEK_CHECK(keys.insert(key_of(row)).second, "a row is committed once");
  }
}

void CheckOnce(const Changes& changes) {
  CheckOnce(changes.jobs, [](const Job& job) { return job.ref; });
  CheckOnce(changes.attempts, [](const Attempt& attempt) { return attempt.ref; });
  CheckOnce(changes.accounts, [](const AccountVersion& row) {
    return std::pair(row.account.id, row.account.version);
  });
  CheckOnce(changes.users, [](const User& user) { return user.id; });
  CheckOnce(changes.tokens, [](const Token& token) { return token.id; });
  CheckOnce(changes.nodes, [](const Node& node) { return node.name; });
  CheckOnce(changes.reservations, [](const Reservation& promise) { return promise.row; });
  CheckOnce(changes.admin_reservations, [](const AdminReservation& one) { return one.name; });
  CheckOnce(changes.history.hours, [](const AccountHour& hour) {
    return MemoryStore::HourKey{hour.from_ms, hour.account, hour.gpu_type};
  });
}

}  // namespace

void MemoryStore::Seed(std::vector<Account> accounts, std::vector<User> users) {
  for (Account& account : accounts) Put(std::move(account));
  for (User& user : users) users_[user.id] = std::move(user);
}

Result<Snapshot> MemoryStore::Lead() {
  Snapshot snapshot;
  epoch_ = std::max(epoch_ + 1, now_);
  issued_epochs_.insert(epoch_);
  snapshot.epoch = epoch_;
  snapshot.issued_epochs = issued_epochs_;
  snapshot.accepted_epochs = accepted_epochs_;
  snapshot.installation = installation_;
  snapshot.stop = stop_;
  snapshot.history_until_ms = history_until_ms_;
  snapshot.last_time_ms = events_.empty() ? 0 : events_.back().time_ms;
  std::set<JobRef> waited_for;
  for (const auto& [ref, job] : jobs_) {
    if (job.state != JobState::kQueued) continue;
    for (const Dependency& dependency : job.spec->dependencies) waited_for.insert(dependency.on);
  }
  for (const auto& [ref, job] : jobs_) {
    if (!IsFinal(job.state) || waited_for.contains(ref)) snapshot.jobs.push_back(job);
  }
  for (const auto& [ref, attempt] : attempts_) {
    if (attempt.state != AttemptState::kEnded) snapshot.attempts.push_back(attempt);
  }
  for (const auto& [id, account] : accounts_) snapshot.accounts.push_back(account);
  std::ranges::copy_if(places_, std::back_inserter(snapshot.places),
                       [&](const AccountPlace& place) { return moved_.contains(place.account); });
  for (const auto& [id, user] : users_) snapshot.users.push_back(user);
  for (const auto& [id, token] : tokens_) snapshot.tokens.push_back(token);
  for (const auto& [name, node] : nodes_) snapshot.nodes.push_back(node);
  for (const auto& [row, promise] : reservations_) snapshot.reservations.push_back(promise);
  for (const auto& [name, one] : admin_reservations_) snapshot.admin_reservations.push_back(one);
  std::map<UsageOwner, std::map<TimeMs, MilliGpuMs>> settled;
  for (const LedgerEntry& entry : ledger_) {
    const auto attempt = attempts_.find(entry.attempt);
    const bool alive = attempt != attempts_.end() && attempt->second.state != AttemptState::kEnded;
    if (entry.book == Book::kUsage && alive) snapshot.usage.push_back(entry);
    if (entry.book == Book::kUsage && !alive) {
      settled[{entry.project, entry.user, entry.gpu_type, entry.settings_version}][entry.date_ms] +=
          entry.amount;
    }
    if (entry.book == Book::kBudget && alive) snapshot.holds.push_back(entry);
  }
  for (const auto& [whose, sums] : settled) {
    std::ranges::copy_if(sums, std::back_inserter(snapshot.settled_usage[whose]),
                         [](const auto& sum) { return sum.second != 0; });
  }
  const quota::Budgets budgets = Budgets();
  snapshot.budgets.assign(budgets.all().begin(), budgets.all().end());
  for (const auto& [id, correction] : corrections_) {
    snapshot.last_correction = id;
    if (correction.state == CorrectionState::kProposed) snapshot.corrections.push_back(correction);
  }
  snapshot.ended_runs = EndedRuns();
  snapshot.foreign_read = foreign_read_;
  for (const auto& [key, charge] : foreign_) {
    if (charge.end_ms >= foreign_read_.until_ms - kForeignLateMs) {
      snapshot.foreign[charge.run] = charge.end_ms;
    }
  }
  return snapshot;
}

std::vector<EndedRun> MemoryStore::EndedRuns() const {
  std::map<std::pair<TimeMs, AttemptRef>, EndedRun> runs;
  for (const auto& [ref, attempt] : attempts_) {
    if (attempt.state != AttemptState::kEnded || attempt.start_ms == 0) continue;
    const Job& job = jobs_.at(ref.job);
    const auto account = accounts_.find(job.spec->project);
    if (account == accounts_.end()) continue;
    if (account->second.settings.rule != ProjectRule::kShortest) continue;
    runs[{attempt.end_ms, ref}] = {.project = job.spec->project,
                                   .user = job.user,
                                   .name = job.spec->name,
                                   .shape = job.spec->shape,
                                   .start_ms = attempt.start_ms,
                                   .end_ms = attempt.end_ms,
                                   .typical = IsTypical(attempt.outcome)};
  }
  std::vector<EndedRun> ended;
  for (auto& [key, run] : runs) ended.push_back(std::move(run));
  return ended;
}

void MemoryStore::Put(Account account) {
  const auto before = accounts_.find(account.id);
  if (before != accounts_.end() && before->second.parent != account.parent) {
    moved_.insert(account.id);
  }
  places_.push_back({account.id, account.version, account.parent});
  accounts_[account.id] = std::move(account);
}

quota::Budgets MemoryStore::Budgets() const {
  quota::Budgets budgets;
  for (const LedgerEntry& entry : ledger_) {
    if (entry.book == Book::kBudget) budgets.Book(entry);
  }
  for (const auto& [budget, percent] : warned_) budgets.Warned({budget, percent});
  return budgets;
}

void MemoryStore::Append(std::vector<Event> events, Committed& committed) {
  for (Event& event : events) {
    event.seq = std::ssize(events_) + 1;
    committed.time_ms = std::max(committed.time_ms, event.time_ms);
    events_.push_back(event);
    committed.events.push_back(std::move(event));
  }
}

Result<void> MemoryStore::Commit(const Changes& changes) {
  if (changes.empty()) return {};
  CheckOnce(changes);
  if (watch_) watch_(*this, changes);
  for (const Job& job : changes.jobs) jobs_[job.ref] = job;
  for (const Attempt& attempt : changes.attempts) attempts_[attempt.ref] = attempt;
  for (const AccountVersion& row : changes.accounts) Put(row.account);
  for (const LedgerEntry& entry : changes.ledger) {  // what was warned of was another grant
    if (entry.book == Book::kBudget && entry.kind == EntryKind::kGrant && entry.amount != 0) {
      warned_.erase(entry.budget);
    }
  }
  for (const BudgetWarning& warning : changes.budget_warnings) {
    warned_[warning.budget] = warning.percent;
  }
  for (const Correction& correction : changes.corrections) corrections_[correction.id] = correction;
  for (const User& user : changes.users) users_[user.id] = user;
  for (const Token& token : changes.tokens) tokens_[token.id] = token;
  for (const Node& node : changes.nodes) nodes_[node.name] = node;
  for (const Reservation& promise : changes.reservations) reservations_[promise.row] = promise;
  for (const JobRef& row : changes.reservations_ended) reservations_.erase(row);
  for (const AdminReservation& one : changes.admin_reservations) {
    admin_reservations_[one.name] = one;
  }
  for (const std::string& name : changes.admin_reservations_ended) admin_reservations_.erase(name);
  for (LedgerEntry entry : changes.ledger) {
    entry.seq = std::ssize(ledger_) + 1;
    ledger_.push_back(std::move(entry));
  }
  for (const JobId& job : changes.final_jobs) {
    const auto payload = payloads_.find(job);
    if (payload != payloads_.end()) payload->second.environment.clear();
  }
  for (const AccountHour& hour : changes.history.hours) {
    hours_[{hour.from_ms, hour.account, hour.gpu_type}] += hour.figures;
  }
  history_until_ms_ = std::max(history_until_ms_, changes.history.until_ms);
  for (const ForeignCharge& charge : changes.foreign) {
    const bool fresh = foreign_.emplace(std::pair(charge.run, charge.gpu_type), charge).second;
    KEZEK_CHECK(fresh, "a run is charged once");
  }
  foreign_read_ = changes.foreign_read.value_or(foreign_read_);
  stop_ = changes.stop.value_or(stop_);
  accepted_epochs_.insert(changes.accepted_epochs.begin(), changes.accepted_epochs.end());
  Committed committed;
  Append(changes.events, committed);
  if (observer_ != nullptr) observer_->OnCommitted(committed);
  return {};
}

Result<std::vector<JobPayload>> MemoryStore::LoadPayloads(const std::vector<JobId>& jobs) {
  std::vector<JobPayload> result;
  for (const JobId& job : jobs) {
    const auto found = payloads_.find(job);
    if (found != payloads_.end()) result.push_back(found->second);
  }
  return result;
}

Result<std::vector<Job>> MemoryStore::LoadJobs(const std::vector<JobRef>& jobs) {
  std::vector<Job> result;
  for (const JobRef& job : jobs) {
    const auto found = jobs_.find(job);
    if (found != jobs_.end()) result.push_back(found->second);
  }
  return result;
}

void MemoryStore::Submit(std::vector<Submission> submissions, Done done) {
  for (const Submission& submission : submissions) {
    const auto known = keys_.find({submission.user, submission.idempotency_key});
    if (known == keys_.end() || known->second.second == submission.request_hash) continue;
    done(FieldProblem(
        Code::kAlreadyExists,
        {"idempotency_key", "IDEMPOTENCY_MISMATCH", "the key was used with other content", {}}));
    return;
  }
  Committed committed;
  committed.time_ms = now_;
  std::vector<Event> events;
  std::vector<Submitted> result;
  for (Submission& submission : submissions) {
    const auto known = keys_.find({submission.user, submission.idempotency_key});
    if (known != keys_.end()) {
      const JobId id = known->second.first;
      result.push_back({id, jobs_.at({id, kNoElement}).submitted_ms, true});
      continue;
    }
    Job job = JobOf(submission, JobId{++last_id_}, now_);
    for (Event& event : EventsOf(submission, job.ref.id, now_, 0)) {
      events.push_back(std::move(event));
    }
    keys_[{submission.user, submission.idempotency_key}] = {job.ref.id, submission.request_hash};
    payloads_[job.ref.id] = {job.ref.id, submission.script, submission.environment};
    jobs_[job.ref] = job;
    result.push_back({job.ref.id, now_, false});
    committed.submitted.push_back(std::move(job));
  }
  Append(std::move(events), committed);
  if (observer_ != nullptr && !committed.submitted.empty()) observer_->OnCommitted(committed);
  done(std::move(result));
}

}  // namespace kezek::sim
