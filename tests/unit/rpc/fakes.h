// Fakes of the ports that rpc stands on: a store and a desk in memory, with threads of their own as
// in production. Not models: they keep what they are told, and refuse what a test tells them to.
#pragma once

#include <algorithm>
#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "kezek/desk.h"
#include "kezek/store.h"
#include "tests/unit/rpc/rpc_world.h"
#include "tests/unit/rpc/worker.h"

namespace kezek::rpc {

class FakeClock final : public Clock {
 public:
  TimeMs Now() override { return now_ms; }
  std::atomic<TimeMs> now_ms = 5'000'000;
};

// Store and reader. What is put in by a test is an event of its own.
class FakeStore final : public SubmitStore, public ReadStore, public Reader {
 public:
  void Observe(CommitObserver* observer) { observer_ = observer; }

  void Submit(std::vector<Submission> submissions, Done done) override {
    committer_.Post([this, submissions = std::move(submissions), done = std::move(done)] {
      done(Take(submissions));
    });
  }
  void Read(std::function<void(Reader&)> work) override {
    pool_.Post([this, work = std::move(work)] { work(*this); });
  }

  // Puts a row in, or replaces it, with an event of its change of state.
  void Put(JobRecord record, const std::string& from, const std::string& to) {
    Committed committed;
    {
      const std::lock_guard lock(mutex_);
      committed.events.push_back(NewEvent(record, from, to));
      record.last_seq = committed.events.back().seq;
      records_[record.job.ref] = std::move(record);
    }
    if (observer_ != nullptr) observer_->OnCommitted(committed);
  }
  void Change(const JobRef& ref, const std::function<void(JobRecord&)>& change,
              const std::string& from, const std::string& to) {
    auto record = GetJob(ref);
    change(*record);
    Put(std::move(*record), from, to);
  }
  // An event of the past that no observer is told of.
  void PutSilently(JobRecord record, const std::string& to) {
    const std::lock_guard lock(mutex_);
    NewEvent(record, "", to);
    records_[record.job.ref] = std::move(record);
  }
  std::size_t jobs() {
    const std::lock_guard lock(mutex_);
    return records_.size();
  }
  // What was read since the last call, by the names of the reads.
  std::vector<std::string> TakeReads() {
    const std::lock_guard lock(mutex_);
    return std::exchange(reads_, {});
  }
  Submission last_submission() {
    const std::lock_guard lock(mutex_);
    return last_;
  }
  // Where the next job's number comes from.
  std::int64_t next_id = 100;

  Result<std::vector<JobRecord>> ListJobs(const JobQuery& query) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("ListJobs");
    ++listings;
    std::vector<JobRecord> rows;
    for (const auto& [ref, record] : records_) {
      if (Wanted(query, record)) rows.push_back(record);
    }
    if (query.order == JobQuery::Order::kIdDescending) std::reverse(rows.begin(), rows.end());
    if (query.after) {
      const bool down = query.order == JobQuery::Order::kIdDescending;
      std::erase_if(rows, [&](const JobRecord& row) {
        return down ? row.job.ref >= *query.after : row.job.ref <= *query.after;
      });
    }
    if (rows.size() > static_cast<std::size_t>(query.limit)) {
      rows.resize(static_cast<std::size_t>(query.limit));
    }
    return rows;
  }
  Result<JobRecord> GetJob(const JobRef& job) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("GetJob");
    const auto found = records_.find(job);
    if (found == records_.end()) return Error{Code::kNotFound, "no such job", {}};
    return found->second;
  }
  Result<std::string> GetScript(JobId job) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("GetScript");
    return scripts_.at(job);
  }
  Result<std::vector<Event>> Events(std::int64_t after, std::int32_t limit) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("Events");
    ++event_reads;
    std::vector<Event> some;
    for (const auto& event : events_) {
      if (event.seq > after && some.size() < static_cast<std::size_t>(limit)) some.push_back(event);
    }
    return some;
  }
  Result<std::vector<Event>> JobEvents(const std::vector<JobRef>& jobs) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("JobEvents");
    std::vector<Event> some;
    for (const auto& event : events_) {
      if (std::find(jobs.begin(), jobs.end(), event.job) != jobs.end()) some.push_back(event);
    }
    return some;
  }
  Result<std::int64_t> LastEventSeq() override {
    const std::lock_guard lock(mutex_);
    return events_.empty() ? 0 : events_.back().seq;
  }
  Result<std::optional<KnownKey>> FindKey(UserId user, const std::string& key) override {
    const std::lock_guard lock(mutex_);
    reads_.emplace_back("FindKey");
    const auto found = keys_.find({user, key});
    if (found == keys_.end()) return std::optional<KnownKey>();
    return std::optional<KnownKey>(found->second);
  }
  Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>& projects) override {
    const std::lock_guard lock(mutex_);
    totals_asked.insert(projects.begin(), projects.end());
    return std::vector<ChargeTotal>();
  }
  Result<std::vector<LedgerEntry>> Ledger(const JobRef&) override {
    return {std::vector<LedgerEntry>()};
  }
  Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery&) override {
    return std::vector<LedgerRow>();
  }
  Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>&,
                                                     TimeMs) override {
    return std::map<BudgetRef, MilliGpuMs>();
  }
  Result<Correction> GetCorrection(std::int64_t) override {
    if (!corrections.empty()) return corrections.back();
    return Error{Code::kNotFound, "no such correction", {}};
  }
  Result<std::vector<Correction>> ListCorrections(const CorrectionQuery& query) override {
    std::vector<Correction> found;
    for (auto at = corrections.rbegin(); at != corrections.rend(); ++at) {
      const bool wanted = query.decided || at->state == CorrectionState::kProposed;
      const bool later = query.before_id == 0 || at->id < query.before_id;
      const bool room = found.size() < static_cast<std::size_t>(query.limit);
      if (wanted && later && room) found.push_back(*at);
    }
    return found;
  }
  Result<std::vector<AccountVersion>> AccountHistory() override { return history; }
  Result<std::vector<Event>> RoleChanges(TimeMs, TimeMs) override { return role_changes; }
  Result<ReportFigures> Report(const ReportQuery& query) override {
    std::unique_lock lock(mutex_);
    reports_asked.push_back(query);
    lock.unlock();  // a test's may take its time
    return report ? report(query) : ReportFigures();
  }
  Result<HistoryKept> Kept() override { return kept; }
  Result<std::vector<HistoryRow>> History(const HistoryQuery& query) override {
    std::vector<HistoryRow> rows = hours;
    std::erase_if(rows, [&](const HistoryRow& row) {
      return std::find(query.accounts.begin(), query.accounts.end(), row.account) ==
                 query.accounts.end() ||
             (!query.gpu_type.empty() && query.gpu_type != row.gpu_type);
    });
    return rows;
  }
  Result<std::vector<OverrideCount>> Overrides(TimeMs, TimeMs) override { return overrides; }
  std::set<AccountId> totals_asked;
  std::vector<ReportQuery> reports_asked;
  std::function<ReportFigures(const ReportQuery&)> report;  // none: nothing happened
  std::vector<HistoryRow> hours;
  HistoryKept kept{.until_ms = TimeMs{1} << 60};
  std::vector<OverrideCount> overrides;
  std::vector<AccountVersion> history;
  std::vector<Event> role_changes;
  std::vector<Correction> corrections;  // by id
  int listings = 0, event_reads = 0;

 private:
  Result<std::vector<Submitted>> Take(const std::vector<Submission>& submissions) {
    std::vector<Submitted> taken;
    Committed committed;
    {
      const std::lock_guard lock(mutex_);
      for (const auto& submission : submissions) {
        last_ = submission;
        const auto known = keys_.find({submission.user, submission.idempotency_key});
        if (known != keys_.end()) {
          if (known->second.request_hash != submission.request_hash) {
            return FieldProblem(Code::kAlreadyExists,
                                {"idempotency_key", "IDEMPOTENCY_MISMATCH", "other content", {}});
          }
          taken.push_back({known->second.id, 7'000, true});
          continue;
        }
        const JobId id{next_id++};
        keys_[{submission.user, submission.idempotency_key}] = {id, submission.request_hash};
        JobRecord& record = records_[{id, kNoElement}];
        record.job = {.ref = {id, kNoElement},
                      .user = submission.user,
                      .spec = submission.spec,
                      .hold = submission.hold,
                      .submitted_ms = 7'000,
                      .queued_since_ms = 7'000,
                      .reason = {ReasonCode::kSubmitted, {}}};
        if (submission.hold == Hold::kUser) record.job.hold_reason.code = ReasonCode::kHeldByUser;
        if (submission.spec->array) record.job.pending = submission.spec->array->indices;
        scripts_[id] = submission.script;
        committed.submitted.push_back(record.job);
        committed.events.push_back(NewEvent(record, "", "queued"));
        record.last_seq = committed.events.back().seq;
        taken.push_back({id, 7'000, false});
      }
    }
    if (observer_ != nullptr) observer_->OnCommitted(committed);
    return taken;
  }

  Event NewEvent(const JobRecord& record, const std::string& from, const std::string& to) {
    Event event{.seq = static_cast<std::int64_t>(events_.size()) + 1,
                .time_ms = 7'000,
                .job = record.job.ref,
                .project = record.job.spec->project,
                .user = record.job.user,
                .from = from,
                .to = to,
                .reason = record.job.reason,
                .actor = "kezek"};
    events_.push_back(event);
    return event;
  }

  static bool Wanted(const JobQuery& query, const JobRecord& record) {
    const Job& job = record.job;
    const auto among = [](const auto& list, const auto& value) {
      return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
    };
    const bool named =
        query.refs.empty() ||
        std::any_of(query.refs.begin(), query.refs.end(), [&](const JobRef& ref) {
          return ref == job.ref || (ref.element == kNoElement && ref.id == job.ref.id);
        });
    return named && (query.elements || job.ref.element == kNoElement) &&
           (query.states.empty() || query.states.contains(job.state)) &&
           among(query.users, job.user) && among(query.projects, job.spec->project) &&
           among(query.classes, job.spec->job_class) &&
           job.submitted_ms >= query.submitted_since_ms &&
           (query.submitted_until_ms == 0 || job.submitted_ms < query.submitted_until_ms);
  }

  std::mutex mutex_;
  std::vector<std::string> reads_;
  std::map<JobRef, JobRecord> records_;
  std::map<JobId, std::string> scripts_;
  std::map<std::pair<UserId, std::string>, KnownKey> keys_;
  std::vector<Event> events_;
  Submission last_;
  CommitObserver* observer_ = nullptr;
  Worker pool_;
  Worker committer_;
};

// Completes specs, counts whole GPUs, and keeps the commands it is given.
class FakeDesk final : public Desk {
 public:
  explicit FakeDesk(FakeStore* store) : store_(store), view_(World().MakeView()) {}

  Result<JobSpec> Admit(JobSpec spec) const override {
    const std::lock_guard lock(mutex_);
    if (refusal_) return *refusal_;
    if (spec.job_class.empty()) spec.job_class = "normal";
    if (spec.shape.gpu_type.empty()) spec.shape.gpu_type = "h200";
    if (spec.shape.cpus_per_node == 0) spec.shape.cpus_per_node = 2;
    if (spec.shape.memory_mib_per_node == 0) spec.shape.memory_mib_per_node = 1'000;
    if (spec.time_limit_ms == 0) spec.time_limit_ms = kHourMs;
    return spec;
  }
  Result<void> TakePlaces(UserId, const JobSpec&) override {
    const std::lock_guard lock(mutex_);
    if (places_ == 0) {
      return FieldProblem(Code::kResourceExhausted, {"project", "LIMIT_USER_JOBS", "full", {}});
    }
    --places_;
    return {};
  }
  void GiveBackPlaces(UserId, const JobSpec&) override {
    const std::lock_guard lock(mutex_);
    ++places_;
  }
  MilliGpus Counted(const JobSpec& spec) const override {
    return MilliGpus{1000} * spec.shape.nodes * spec.shape.gpus_per_node;
  }
  // Charged by the second: what is shown of an attempt that runs is this answer.
  MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const override {
    return attempt.start_ms == 0 ? 0 : now_ms - attempt.start_ms;
  }
  void Do(Command command, std::function<void(Result<CommandOutcome>)> done) override {
    worker_.Post([this, command = std::move(command), done = std::move(done)] {
      {
        const std::lock_guard lock(mutex_);
        if (refusal_) return done(*refusal_);
        if (std::holds_alternative<LookAhead>(command.body)) {
          CommandOutcome look;
          look.foresight = [foresight = foresight_] { return foresight; };
          return done(look);
        }
        commands_.push_back(command);
      }
      if (const auto meanwhile = std::exchange(meanwhile_, {})) meanwhile();
      CommandOutcome outcome;
      if (const auto* change = std::get_if<ChangeJobs>(&command.body)) Cancel(*change);
      if (const auto* put = std::get_if<PutUsers>(&command.body)) outcome.ids = Put(*put);
      if (const auto* put = std::get_if<PutToken>(&command.body)) outcome.ids = Put(*put);
      done(outcome);
    });
  }
  std::shared_ptr<const View> view() const override {
    const std::lock_guard lock(mutex_);
    return view_;
  }

  void Refuse(std::optional<Error> refusal) {
    const std::lock_guard lock(mutex_);
    refusal_ = std::move(refusal);
  }
  void SetPlaces(int places) {
    const std::lock_guard lock(mutex_);
    places_ = places;
  }
  int places() const {
    const std::lock_guard lock(mutex_);
    return places_;
  }
  void SetView(std::shared_ptr<const View> view) {
    const std::lock_guard lock(mutex_);
    view_ = std::move(view);
  }
  // What a look ahead shows; none: nothing is known.
  void SetForesight(std::shared_ptr<const Foresight> foresight) {
    const std::lock_guard lock(mutex_);
    foresight_ = std::move(foresight);
  }
  // Happens once, between the next command's handing in and its being carried out.
  void Meanwhile(std::function<void()> what) { meanwhile_ = std::move(what); }
  std::vector<Command> commands() const {
    const std::lock_guard lock(mutex_);
    return commands_;
  }

 private:
  std::vector<std::int64_t> Put(const PutUsers& put) {
    const std::lock_guard lock(mutex_);
    Directory directory = *view_->directory;
    std::vector<std::int64_t> ids;
    for (const UserChange& change : put.users) {
      const User before = change.id ? directory.users.at(change.id) : User{};
      User user = Changed(before, change);
      if (!user.id) user.id = UserId{directory.users.rbegin()->first.value + 1};
      directory.users[user.id] = user;
      directory.user_by_name[user.name] = user.id;
      ids.push_back(user.id.value);
    }
    View view = *view_;
    view.directory = std::make_shared<const Directory>(std::move(directory));
    view_ = std::make_shared<const View>(std::move(view));
    return ids;
  }
  std::vector<std::int64_t> Put(const PutToken& put) {
    const std::lock_guard lock(mutex_);
    Directory directory = *view_->directory;
    Token token = put.token;
    if (!token.id) token.id = TokenId{1'000 + static_cast<std::int64_t>(directory.tokens.size())};
    directory.tokens[token.hash] = token;
    View view = *view_;
    view.directory = std::make_shared<const Directory>(std::move(directory));
    view_ = std::make_shared<const View>(std::move(view));
    return {token.id.value};
  }
  void Cancel(const ChangeJobs& command) {
    for (const JobChange& change : command.changes) {
      const auto* cancel = std::get_if<CancelJobs>(&change);
      if (cancel == nullptr) continue;
      for (const auto& ref : cancel->jobs) {
        store_->Change(
            ref, [](JobRecord& record) { record.job.state = JobState::kCancelled; }, "queued",
            "cancelled");
      }
    }
  }

  FakeStore* store_;
  mutable std::mutex mutex_;
  std::shared_ptr<const View> view_;
  std::optional<Error> refusal_;
  int places_ = 1'000'000;  // in the queue
  std::vector<Command> commands_;
  std::shared_ptr<const Foresight> foresight_;
  std::function<void()> meanwhile_;
  Worker worker_;
};

}  // namespace kezek::rpc
