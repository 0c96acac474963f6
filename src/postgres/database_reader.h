// Reader on one connection. Private to src/postgres; one thread at a time.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <pqxx/pqxx>
#include <string>
#include <utility>
#include <vector>

#include "kezek/store.h"
#include "postgres/connection.h"
#include "postgres/read_pool.h"

namespace kezek::postgres {

class DatabaseReader : public Reader {
 public:
  DatabaseReader(const ReadOptions& options, Clock& clock) : options_(options), clock_(clock) {}

  Result<std::vector<JobRecord>> ListJobs(const JobQuery& query) override;
  Result<JobRecord> GetJob(const JobRef& job) override;
  Result<std::string> GetScript(JobId job) override;
  Result<std::vector<Event>> Events(std::int64_t after_seq, std::int32_t limit) override;
  Result<std::vector<Event>> ListEvents(const EventQuery& query) override;
  Result<std::vector<Event>> JobEvents(const std::vector<JobRef>& jobs) override;
  Result<std::int64_t> LastEventSeq() override;
  Result<std::optional<KnownKey>> FindKey(UserId user, const std::string& key) override;
  Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>& projects) override;
  Result<std::vector<LedgerEntry>> Ledger(const JobRef& job) override;
  Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery& query) override;
  Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>& budgets,
                                                     TimeMs since_ms) override;
  Result<Correction> GetCorrection(std::int64_t id) override;
  Result<std::vector<Correction>> ListCorrections(const CorrectionQuery& query) override;
  Result<std::vector<AccountVersion>> AccountHistory() override;
  Result<std::vector<Event>> RoleChanges(TimeMs since_ms, TimeMs until_ms) override;
  Result<ReportFigures> Report(const ReportQuery& query) override;
  Result<HistoryKept> Kept() override;
  Result<std::vector<HistoryRow>> History(const HistoryQuery& query) override;
  Result<std::vector<OverrideCount>> Overrides(TimeMs since_ms, TimeMs until_ms) override;

 private:
  // Calls `read` in one read-only transaction, once more if the connection was lost.
  template <class T, class Read>
  Result<T> With(Read read) {
    std::optional<Result<T>> value;
    const Result<void> done =
        InTransaction([&](pqxx::transaction_base& work) { value.emplace(read(work)); });
    if (!done) return done.error();
    return std::move(*value);
  }
  Result<void> InTransaction(const std::function<void(pqxx::transaction_base&)>& read);
  void Open();

  ReadOptions options_;
  Clock& clock_;
  std::unique_ptr<pqxx::connection> connection_;
};

}  // namespace kezek::postgres
