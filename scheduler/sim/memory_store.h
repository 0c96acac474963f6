// A store in memory, for the simulator: durable as long as the object lives, all or nothing,
// numbers without gaps. It outlives the controllers that crash, and does not look at their epochs.
// One thread; answers come before the calls return.
//
// Reads for people (Reader) are not offered: nobody reads in a simulation.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "kezek/store.h"
#include "quota/budget.h"

namespace kezek::sim {

class MemoryStore final : public StateStore, public SubmitStore {
 public:
  explicit MemoryStore(std::string installation) : installation_(std::move(installation)) {}

  // Told of every commit, with the rows as they were before.
  using Watch = std::function<void(const MemoryStore&, const Changes&)>;
  void SetWatch(Watch watch) { watch_ = std::move(watch); }
  // Told of everything committed. Null: nobody.
  void SetObserver(CommitObserver* observer) { observer_ = observer; }
  // The time that submissions are stamped with.
  void SetTime(TimeMs now) { now_ = now; }
  void Seed(std::vector<Account> accounts, std::vector<User> users);

  Result<Snapshot> Lead() override;
  Result<void> Commit(const Changes& changes) override;
  Result<std::vector<JobPayload>> LoadPayloads(const std::vector<JobId>& jobs) override;
  Result<std::vector<Job>> LoadJobs(const std::vector<JobRef>& jobs) override;
  void Submit(std::vector<Submission> submissions, Done done) override;

  const std::map<JobRef, Job>& jobs() const { return jobs_; }
  const std::map<AttemptRef, Attempt>& attempts() const { return attempts_; }
  const std::vector<Event>& events() const { return events_; }
  const std::vector<LedgerEntry>& ledger() const { return ledger_; }
  // Added up from the ledger.
  quota::Budgets Budgets() const;
  const std::map<JobRef, Reservation>& reservations() const { return reservations_; }
  const std::map<std::string, AdminReservation>& admin_reservations() const {
    return admin_reservations_;
  }
  const std::map<JobId, JobPayload>& payloads() const { return payloads_; }
  const auto& foreign() const { return foreign_; }
  // How accounts stood, by hour.
  using HourKey = std::tuple<TimeMs, AccountId, std::string>;
  const std::map<HourKey, AccountFigures>& hours() const { return hours_; }
  std::int64_t epoch() const { return epoch_; }
  const std::set<std::int64_t>& issued_epochs() const { return issued_epochs_; }
  const std::set<std::int64_t>& accepted_epochs() const { return accepted_epochs_; }
  const std::string& installation() const { return installation_; }

 private:
  void Append(std::vector<Event> events, Committed& committed);
  void Put(Account account);
  std::vector<EndedRun> EndedRuns() const;

  std::string installation_;
  std::string stop_;
  std::map<JobRef, Job> jobs_;
  std::map<AttemptRef, Attempt> attempts_;
  std::vector<Event> events_;
  std::vector<LedgerEntry> ledger_;
  std::map<HourKey, AccountFigures> hours_;
  TimeMs history_until_ms_ = 0;
  std::map<std::pair<ForeignKey, std::string>, ForeignCharge> foreign_;  // by run and GPU type
  ForeignRead foreign_read_;
  std::map<BudgetRef, std::int32_t> warned_;
  std::map<std::int64_t, Correction> corrections_;
  std::map<AccountId, Account> accounts_;
  std::vector<AccountPlace> places_;  // of every version
  std::set<AccountId> moved_;
  std::map<UserId, User> users_;
  std::map<TokenId, Token> tokens_;
  std::map<std::string, Node> nodes_;
  std::map<JobRef, Reservation> reservations_;
  std::map<std::string, AdminReservation> admin_reservations_;
  std::map<JobId, JobPayload> payloads_;
  std::map<std::pair<UserId, std::string>, std::pair<JobId, Sha256>> keys_;
  std::int64_t epoch_ = 0;
  std::set<std::int64_t> issued_epochs_;
  std::set<std::int64_t> accepted_epochs_;
  std::int64_t last_id_ = 0;
  TimeMs now_ = 0;
  Watch watch_;
  CommitObserver* observer_ = nullptr;
};

}  // namespace kezek::sim
