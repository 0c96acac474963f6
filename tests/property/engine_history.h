// Random histories of the engine's events, with attempts that come and go as a controller would
// report them.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "quota/account_tree.h"
#include "quota/budget.h"
#include "quota/charge.h"
#include "scheduler/engine/engine.h"
#include "tests/support/random_world.h"

namespace kezek::test {

// Whoever takes part: told of every event, in the same order.
struct EventSink {
  std::function<void(std::shared_ptr<const Directory>)> directory;
  std::function<void(const Node&)> node;
  std::function<void(const engine::Waiting&)> waiting;
  std::function<void(const JobRef&)> not_waiting;
  std::function<void(const engine::Holding&)> holding;
  std::function<void(const AttemptRef&)> not_holding;
  std::function<void(const engine::UsageBooking&)> book;
  std::function<void(const EndedRun&)> ended;
  std::function<void(const LedgerEntry&)> book_budget;
};

template <class T>
EventSink SinkOf(T& engine) {
  return {[&engine](std::shared_ptr<const Directory> d) { engine.SetDirectory(std::move(d)); },
          [&engine](const Node& node) { engine.SetNode(node); },
          [&engine](const engine::Waiting& job) { engine.SetWaiting(job); },
          [&engine](const JobRef& job) { engine.RemoveWaiting(job); },
          [&engine](const engine::Holding& attempt) { engine.SetHolding(attempt); },
          [&engine](const AttemptRef& attempt) { engine.RemoveHolding(attempt); },
          [&engine](const engine::UsageBooking& booking) { engine.Book(booking); },
          [&engine](const EndedRun& run) { engine.Ended(run); },
          [&engine](const LedgerEntry& entry) { engine.BookBudget(entry); }};
}

class EngineHistory {
 public:
  explicit EngineHistory(std::uint64_t seed);

  engine::EngineConfig config() const { return config_; }
  std::shared_ptr<const Directory> directory() const { return directory_; }
  TimeMs now_ms() const { return now_ms_; }
  const JobSpec& SpecOf(const JobRef& row) const { return *waiting_.at(row).spec; }
  // The first start of all plans that its budgets do not hold at its commit; empty: there is none.
  const std::string& overdrawn() const { return overdrawn_; }
  void Join(EventSink sink) { sinks_.push_back(std::move(sink)); }

  void Begin();  // nodes and the first jobs
  void Step();   // a few events; time goes on
  // The controller commits the plan, or a part of it: jobs become attempts.
  void Commit(const engine::Plan& plan);

 private:
  void Submit();
  void EndOne();
  void ChangeNode();
  void ForgetOne();
  void ChangeSettings();
  void BookBudgets(const std::vector<LedgerEntry>& entries);
  void HoldBudgets(const engine::Waiting& row, const engine::Start& start);
  void Settle(const AttemptRef& ref);
  void TellWaiting(const engine::Waiting& job);
  void TellHolding(const engine::Holding& attempt);

  RandomWorld random_;
  engine::EngineConfig config_;
  std::shared_ptr<const Directory> directory_;
  std::int32_t gpus_ = 0;
  std::map<std::string, Node> nodes_;
  std::map<JobRef, engine::Waiting> waiting_;
  std::map<AttemptRef, engine::Holding> holdings_;
  std::map<AttemptRef, std::string> names_;  // of their jobs
  // What an attempt holds of budgets, until it has ended.
  struct Held {
    Attempt attempt;
    quota::Payer payer;
    quota::Booked booked;
  };
  std::map<AttemptRef, Held> held_;
  quota::AccountTree tree_;
  quota::Budgets budgets_;
  std::string overdrawn_;
  std::vector<EventSink> sinks_;
  TimeMs now_ms_ = 1'790'000'000'000;
  std::int64_t next_job_ = 1;
};

// The whole plan as text: equal plans have equal texts, byte for byte.
std::string PlanText(const engine::Plan& plan);

}  // namespace kezek::test
