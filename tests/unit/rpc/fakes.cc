#include "tests/unit/rpc/fakes.h"

#include <algorithm>
#include <utility>
#include <variant>

namespace kezek::rpc {

FakeStore::FakeStore() = default;
FakeStore::~FakeStore() = default;
FakeDesk::FakeDesk(FakeStore* store) : store_(store), view_(World().MakeView()) {}
FakeDesk::~FakeDesk() = default;

void FakeStore::Submit(std::vector<Submission> submissions, Done done) {
  committer_.Post([this, submissions = std::move(submissions), done = std::move(done)] {
    done(Take(submissions));
  });
}

void FakeStore::Read(std::function<void(Reader&)> work) {
  pool_.Post([this, work = std::move(work)] { work(*this); });
}

void FakeStore::Put(JobRecord record, const std::string& from, const std::string& to) {
  Committed committed;
  {
    const std::lock_guard lock(mutex_);
    committed.events.push_back(NewEvent(record, from, to));
    record.last_seq = committed.events.back().seq;
    records_[record.job.ref] = std::move(record);
  }
  if (observer_ != nullptr) observer_->OnCommitted(committed);
}

void FakeStore::Change(const JobRef& ref, const std::function<void(JobRecord&)>& change,
                       const std::string& from, const std::string& to) {
  auto record = GetJob(ref);
  change(*record);
  Put(std::move(*record), from, to);
}

void FakeStore::PutSilently(JobRecord record, const std::string& to) {
  const std::lock_guard lock(mutex_);
  NewEvent(record, "", to);
  records_[record.job.ref] = std::move(record);
}

std::size_t FakeStore::jobs() {
  const std::lock_guard lock(mutex_);
  return records_.size();
}

std::vector<std::string> FakeStore::TakeReads() {
  const std::lock_guard lock(mutex_);
  return std::exchange(reads_, {});
}

Submission FakeStore::last_submission() {
  const std::lock_guard lock(mutex_);
  return last_;
}

Result<std::vector<JobRecord>> FakeStore::ListJobs(const JobQuery& query) {
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

Result<JobRecord> FakeStore::GetJob(const JobRef& job) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("GetJob");
  const auto found = records_.find(job);
  if (found == records_.end()) return Error{Code::kNotFound, "no such job", {}};
  return found->second;
}

Result<std::string> FakeStore::GetScript(JobId job) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("GetScript");
  return scripts_.at(job);
}

Result<std::vector<Event>> FakeStore::Events(std::int64_t after, std::int32_t limit) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("Events");
  ++event_reads;
  std::vector<Event> some;
  for (const auto& event : events_) {
    if (event.seq > after && some.size() < static_cast<std::size_t>(limit)) some.push_back(event);
  }
  return some;
}

Result<std::vector<Event>> FakeStore::ListEvents(const EventQuery& query) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("ListEvents");
  events_asked = query;
  std::vector<Event> some = events_;
  if (!query.oldest_first) std::reverse(some.begin(), some.end());
  const auto has = [](const auto& all, const auto& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  std::erase_if(some, [&](const Event& event) {
    const bool behind = query.oldest_first ? event.seq <= query.after_seq
                                           : query.after_seq != 0 && event.seq >= query.after_seq;
    const bool other = !query.subjects.empty() && !query.subjects.contains(event.subject);
    return behind || other || (query.within && !has(*query.within, event.project));
  });
  if (some.size() > static_cast<std::size_t>(query.limit)) {
    some.resize(static_cast<std::size_t>(query.limit));
  }
  return some;
}

Result<std::vector<Event>> FakeStore::JobEvents(const std::vector<JobRef>& jobs) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("JobEvents");
  std::vector<Event> some;
  for (const auto& event : events_) {
    if (std::find(jobs.begin(), jobs.end(), event.job) != jobs.end()) some.push_back(event);
  }
  return some;
}

Result<std::int64_t> FakeStore::LastEventSeq() {
  const std::lock_guard lock(mutex_);
  return events_.empty() ? 0 : events_.back().seq;
}

Result<std::optional<KnownKey>> FakeStore::FindKey(UserId user, const std::string& key) {
  const std::lock_guard lock(mutex_);
  reads_.emplace_back("FindKey");
  const auto found = keys_.find({user, key});
  if (found == keys_.end()) return std::optional<KnownKey>();
  return std::optional<KnownKey>(found->second);
}

Result<std::vector<ChargeTotal>> FakeStore::ChargeTotals(const std::vector<AccountId>& projects) {
  const std::lock_guard lock(mutex_);
  totals_asked.insert(projects.begin(), projects.end());
  return std::vector<ChargeTotal>();
}

Result<std::vector<LedgerEntry>> FakeStore::Ledger(const JobRef&) {
  return {std::vector<LedgerEntry>()};
}

Result<std::vector<LedgerRow>> FakeStore::ListLedger(const LedgerQuery&) {
  return std::vector<LedgerRow>();
}

Result<std::map<BudgetRef, MilliGpuMs>> FakeStore::SpentSince(const std::vector<BudgetRef>&,
                                                              TimeMs) {
  return std::map<BudgetRef, MilliGpuMs>();
}

Result<Correction> FakeStore::GetCorrection(std::int64_t) {
  if (!corrections.empty()) return corrections.back();
  return Error{Code::kNotFound, "no such correction", {}};
}

Result<std::vector<Correction>> FakeStore::ListCorrections(const CorrectionQuery& query) {
  std::vector<Correction> found;
  for (auto at = corrections.rbegin(); at != corrections.rend(); ++at) {
    const bool wanted = query.decided || at->state == CorrectionState::kProposed;
    const bool later = query.before_id == 0 || at->id < query.before_id;
    const bool room = found.size() < static_cast<std::size_t>(query.limit);
    if (wanted && later && room) found.push_back(*at);
  }
  return found;
}

Result<ReportFigures> FakeStore::Report(const ReportQuery& query) {
  std::unique_lock lock(mutex_);
  reports_asked.push_back(query);
  lock.unlock();  // a test's may take its time
  return report ? report(query) : ReportFigures();
}

Result<std::vector<HistoryRow>> FakeStore::History(const HistoryQuery& query) {
  std::vector<HistoryRow> rows = hours;
  std::erase_if(rows, [&](const HistoryRow& row) {
    return std::find(query.accounts.begin(), query.accounts.end(), row.account) ==
               query.accounts.end() ||
           (!query.gpu_type.empty() && query.gpu_type != row.gpu_type);
  });
  return rows;
}

Result<std::vector<Submitted>> FakeStore::Take(const std::vector<Submission>& submissions) {
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

Event FakeStore::NewEvent(const JobRecord& record, const std::string& from, const std::string& to) {
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

bool FakeStore::Wanted(const JobQuery& query, const JobRecord& record) {
  const Job& job = record.job;
  const auto among = [](const auto& list, const auto& value) {
    return list.empty() || std::find(list.begin(), list.end(), value) != list.end();
  };
  const bool named = query.refs.empty() ||
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

Result<JobSpec> FakeDesk::Admit(JobSpec spec) const {
  const std::lock_guard lock(mutex_);
  if (refusal_) return *refusal_;
  if (spec.job_class.empty()) spec.job_class = "normal";
  if (spec.shape.gpu_type.empty()) spec.shape.gpu_type = "h200";
  if (spec.shape.cpus_per_node == 0) spec.shape.cpus_per_node = 2;
  if (spec.shape.memory_mib_per_node == 0) spec.shape.memory_mib_per_node = 1'000;
  if (spec.time_limit_ms == 0) spec.time_limit_ms = kHourMs;
  return spec;
}

Result<void> FakeDesk::TakePlaces(UserId, const JobSpec&) {
  const std::lock_guard lock(mutex_);
  if (places_ == 0) {
    return FieldProblem(Code::kResourceExhausted, {"project", "LIMIT_USER_JOBS", "full", {}});
  }
  --places_;
  return {};
}

void FakeDesk::GiveBackPlaces(UserId, const JobSpec&) {
  const std::lock_guard lock(mutex_);
  ++places_;
}

MilliGpus FakeDesk::Counted(const JobSpec& spec) const {
  return MilliGpus{1000} * spec.shape.nodes * spec.shape.gpus_per_node;
}

MilliGpuMs FakeDesk::ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const {
  return attempt.start_ms == 0 ? 0 : now_ms - attempt.start_ms;
}

void FakeDesk::Do(Command command, std::function<void(Result<CommandOutcome>)> done) {
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

std::shared_ptr<const View> FakeDesk::view() const {
  const std::lock_guard lock(mutex_);
  return view_;
}

void FakeDesk::Refuse(std::optional<Error> refusal) {
  const std::lock_guard lock(mutex_);
  refusal_ = std::move(refusal);
}

void FakeDesk::SetPlaces(int places) {
  const std::lock_guard lock(mutex_);
  places_ = places;
}

int FakeDesk::places() const {
  const std::lock_guard lock(mutex_);
  return places_;
}

void FakeDesk::SetView(std::shared_ptr<const View> view) {
  const std::lock_guard lock(mutex_);
  view_ = std::move(view);
}

void FakeDesk::SetForesight(std::shared_ptr<const Foresight> foresight) {
  const std::lock_guard lock(mutex_);
  foresight_ = std::move(foresight);
}

std::vector<Command> FakeDesk::commands() const {
  const std::lock_guard lock(mutex_);
  return commands_;
}

std::vector<std::int64_t> FakeDesk::Put(const PutUsers& put) {
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

std::vector<std::int64_t> FakeDesk::Put(const PutToken& put) {
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

void FakeDesk::Cancel(const ChangeJobs& command) {
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

}  // namespace kezek::rpc
