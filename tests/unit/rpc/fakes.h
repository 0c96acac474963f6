// Fakes of the ports that rpc stands on: a store and a desk in memory, with threads of their own as
// in production. Not models: they keep what they are told, and refuse what a test tells them to.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
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
  FakeStore();
  ~FakeStore() override;
  void Observe(CommitObserver* observer) { observer_ = observer; }

  void Submit(std::vector<Submission> submissions, Done done) override;
  void Read(std::function<void(Reader&)> work) override;

  // Puts a row in, or replaces it, with an event of its change of state.
  void Put(JobRecord record, const std::string& from, const std::string& to);
  void Change(const JobRef& ref, const std::function<void(JobRecord&)>& change,
              const std::string& from, const std::string& to);
  // An event of the past that no observer is told of.
  void PutSilently(JobRecord record, const std::string& to);
  std::size_t jobs();
  // What was read since the last call, by the names of the reads.
  std::vector<std::string> TakeReads();
  Submission last_submission();
  // Where the next job's number comes from.
  std::int64_t next_id = 100;

  Result<std::vector<JobRecord>> ListJobs(const JobQuery& query) override;
  Result<JobRecord> GetJob(const JobRef& job) override;
  Result<std::string> GetScript(JobId job) override;
  Result<std::vector<Event>> Events(std::int64_t after, std::int32_t limit) override;
  Result<std::vector<Event>> ListEvents(const EventQuery& query) override;
  Result<std::vector<Event>> JobEvents(const std::vector<JobRef>& jobs) override;
  Result<std::int64_t> LastEventSeq() override;
  Result<std::optional<KnownKey>> FindKey(UserId user, const std::string& key) override;
  Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>& projects) override;
  Result<std::vector<LedgerEntry>> Ledger(const JobRef&) override;
  Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery&) override;
  Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>&,
                                                     TimeMs) override;
  Result<Correction> GetCorrection(std::int64_t) override;
  Result<std::vector<Correction>> ListCorrections(const CorrectionQuery& query) override;
  Result<std::vector<AccountVersion>> AccountHistory() override { return history; }
  Result<std::vector<Event>> RoleChanges(TimeMs, TimeMs) override { return role_changes; }
  Result<ReportFigures> Report(const ReportQuery& query) override;
  Result<HistoryKept> Kept() override { return kept; }
  Result<std::vector<HistoryRow>> History(const HistoryQuery& query) override;
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
  EventQuery events_asked;
  int listings = 0, event_reads = 0;

 private:
  Result<std::vector<Submitted>> Take(const std::vector<Submission>& submissions);

  Event NewEvent(const JobRecord& record, const std::string& from, const std::string& to);

  static bool Wanted(const JobQuery& query, const JobRecord& record);

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
  explicit FakeDesk(FakeStore* store);
  ~FakeDesk() override;

  Result<JobSpec> Admit(JobSpec spec) const override;
  Result<void> TakePlaces(UserId, const JobSpec&) override;
  void GiveBackPlaces(UserId, const JobSpec&) override;
  MilliGpus Counted(const JobSpec& spec) const override;
  // Charged by the second: what is shown of an attempt that runs is this answer.
  MilliGpuMs ChargeSoFar(const Attempt& attempt, TimeMs now_ms) const override;
  void Do(Command command, std::function<void(Result<CommandOutcome>)> done) override;
  std::shared_ptr<const View> view() const override;

  void Refuse(std::optional<Error> refusal);
  void SetPlaces(int places);
  int places() const;
  void SetView(std::shared_ptr<const View> view);
  // What a look ahead shows; none: nothing is known.
  void SetForesight(std::shared_ptr<const Foresight> foresight);
  // Happens once, between the next command's handing in and its being carried out.
  void Meanwhile(std::function<void()> what) { meanwhile_ = std::move(what); }
  std::vector<Command> commands() const;

 private:
  std::vector<std::int64_t> Put(const PutUsers& put);
  std::vector<std::int64_t> Put(const PutToken& put);
  void Cancel(const ChangeJobs& command);

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
