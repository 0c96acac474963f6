// Goal: however much work a lane is given, the pool has no more of it at a time than the lane's
// share, and no user's work waits behind all of another's.
// Method: a pool that only collects what it is to run; the test runs it.
#include "rpc/lane.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace kezek::rpc {
namespace {

class Pool final : public ReadStore {
 public:
  void Read(std::function<void(Reader&)> work) override { given.push_back(std::move(work)); }
  void RunOne() {
    const auto work = std::move(given.front());
    given.erase(given.begin());
    work(NoReader());
  }
  std::vector<std::function<void(Reader&)>> given;

 private:
  class Nothing final : public Reader {
   public:
    Result<std::vector<JobRecord>> ListJobs(const JobQuery&) override { return None(); }
    Result<JobRecord> GetJob(const JobRef&) override { return None(); }
    Result<std::string> GetScript(JobId) override { return None(); }
    Result<std::vector<Event>> Events(std::int64_t, std::int32_t) override { return None(); }
    Result<std::vector<Event>> ListEvents(const EventQuery&) override { return None(); }
    Result<std::vector<Event>> JobEvents(const std::vector<JobRef>&) override { return None(); }
    Result<std::int64_t> LastEventSeq() override { return None(); }
    Result<std::optional<KnownKey>> FindKey(UserId, const std::string&) override { return None(); }
    Result<std::vector<ChargeTotal>> ChargeTotals(const std::vector<AccountId>&) override {
      return None();
    }
    Result<std::vector<LedgerEntry>> Ledger(const JobRef&) override { return None(); }
    Result<std::vector<LedgerRow>> ListLedger(const LedgerQuery&) override { return None(); }
    Result<Correction> GetCorrection(std::int64_t) override { return None(); }
    Result<std::vector<Correction>> ListCorrections(const CorrectionQuery&) override {
      return None();
    }
    Result<std::map<BudgetRef, MilliGpuMs>> SpentSince(const std::vector<BudgetRef>&,
                                                       TimeMs) override {
      return None();
    }
    Result<std::vector<AccountVersion>> AccountHistory() override { return None(); }
    Result<std::vector<Event>> RoleChanges(TimeMs, TimeMs) override { return None(); }
    Result<ReportFigures> Report(const ReportQuery&) override { return None(); }
    Result<HistoryKept> Kept() override { return None(); }
    Result<std::vector<HistoryRow>> History(const HistoryQuery&) override { return None(); }
    Result<std::vector<OverrideCount>> Overrides(TimeMs, TimeMs) override { return None(); }

   private:
    static Error None() { return {Code::kNotFound, "none", {}}; }
  };
  static Reader& NoReader() {
    static Nothing nothing;
    return nothing;
  }
};

TEST(Lane, HasItsShareOfThePoolAndTheUsersTakeTurns) {
  Pool pool;
  const auto lane = std::make_shared<Lane>(&pool, 2);
  std::string order;
  const auto give = [&](std::int64_t user, char name) {
    lane->Work(UserId{user}, [&order, name](Reader&) { order += name; });
  };
  for (const char name : {'a', 'b', 'c', 'd', 'e'}) give(1, name);
  for (const char name : {'x', 'y'}) give(2, name);
  while (!pool.given.empty()) {
    EXPECT_LE(pool.given.size(), 2U);
    pool.RunOne();
  }
  EXPECT_EQ(order, "abcxdye");
  give(1, 'f');
  pool.RunOne();
  EXPECT_EQ(order.back(), 'f') << "its share is free again";
}

}  // namespace
}  // namespace kezek::rpc
