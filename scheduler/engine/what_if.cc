#include "scheduler/engine/what_if.h"

#include <algorithm>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <utility>

#include "scheduler/engine/cover.h"
#include "scheduler/engine/passes.h"
#include "scheduler/engine/stops.h"

namespace kezek::engine {
namespace {

constexpr std::size_t kNextShown = 10;
constexpr std::int32_t kAsksMost = 200;  // an ask costs milliseconds on a large machine

// A plan and the world it was made for.
struct Trial {
  Trial(const Facts& facts, const NewSettings& settings, TimeMs now)
      : world(facts, settings.directory) {
    for (const LedgerEntry& entry : settings.grants) world.mutable_budgets().Book(entry);
    world.Refresh(now);
    plan = DecideAll(world, now);
    for (const Start& start : plan.starts) starts.insert(start.job);
    for (const auto& [account, covered] : CoveredBy(world, now)) {
      if (account.first != quota::kRootIndex) guaranteed.insert(covered.begin(), covered.end());
    }
    // Where no tick reclaims, who would.
    world.AskReclaim(kAsksMost);
    for (const Preempt& preempt : DecideAll(world, now).preempts) {
      preempted.insert(preempt.victim);
      reclaims.emplace(preempt.for_row, StartableRef(world.waiting().at(preempt.for_row), 0));
    }
  }
  World world;
  Plan plan;
  std::set<JobRef> starts;
  std::set<AttemptRef> guaranteed;
  std::set<AttemptRef> preempted;
  std::map<JobRef, JobRef> reclaims;  // by row
};

class Comparison {
 public:
  Comparison(const Facts& facts, const Trial& before, const Trial& after)
      : facts_(facts), before_(before), after_(after) {}

  WhatIf Result() && {
    Entitlements();
    for (const Start& start : after_.plan.starts) {
      if (!before_.starts.contains(start.job)) RowOf(start.row).starts.push_back(start.job);
    }
    for (const Start& start : before_.plan.starts) {
      if (!after_.starts.contains(start.job) && !IsNewlyStopped(start.row)) {
        RowOf(start.row).waits.push_back(start.job);
      }
    }
    for (const auto& [ref, job] : facts_.waiting) Waits(ref);
    Runs();
    Reclaims();
    WhatIf result;
    for (auto& [key, row] : rows_) {
      const WhatIfRow same{.account = row.account,
                           .gpu_type = row.gpu_type,
                           .entitled_before_milli = row.entitled_before_milli,
                           .entitled_after_milli = row.entitled_before_milli,
                           .running_milli = row.running_milli};
      if (row != same) result.rows.push_back(std::move(row));
    }
    for (const std::string& type : after_.world.AllTypes()) {
      result.next[type] = {NextOf(before_, type), NextOf(after_, type)};
    }
    for (const WhatIfRow& row : result.rows) {
      result.paths[row.account] =
          after_.world.tree().path(after_.world.tree().IndexOf(row.account));
    }
    return result;
  }

 private:
  WhatIfRow& Row(AccountId account, const std::string& type) {
    WhatIfRow& row = rows_[{account, type}];
    row.account = account;
    row.gpu_type = type;
    return row;
  }
  WhatIfRow& RowOf(const JobRef& row) {
    const JobSpec& spec = *facts_.waiting.at(row).spec;
    return Row(spec.project, spec.shape.gpu_type);
  }

  void Entitlements() {
    for (const auto& [key, standing] : before_.plan.standings) {
      Row(key.first, key.second).entitled_before_milli = standing.entitled_milli;
    }
    for (const auto& [key, standing] : after_.plan.standings) {
      WhatIfRow& row = Row(key.first, key.second);
      row.entitled_after_milli = standing.entitled_milli;
      row.running_milli = after_.world.running().Allocated(key.first, key.second);
    }
  }

  bool IsNewlyStopped(const JobRef& row) const {
    return IsStop(WaitOf(after_, row).reason) && !IsStop(WaitOf(before_, row).reason);
  }

  // A job, or what is pending of an array, in both plans.
  void Waits(const JobRef& ref) {
    const JobStanding then = WaitOf(after_, ref);
    const JobStanding now = WaitOf(before_, ref);
    for (const JobStanding* standing : {&then, &now}) {
      if (standing->reason.code == ReasonCode::kNotLookedAt) return Ranks(ref, now, then);
    }
    const bool stopped_now = IsStop(now.reason);
    const bool stopped_then = IsStop(then.reason);
    if (IsNewlyStopped(ref)) RowOf(ref).stopped.push_back(ref);
    const bool waits_then = then.reason.code != ReasonCode::kNone;
    if (stopped_now && !stopped_then && waits_then) RowOf(ref).freed.push_back(ref);
    if (!stopped_now && !stopped_then) Ranks(ref, now, then);
  }

  // Beyond the exact ranks is farther than any of them.
  void Ranks(const JobRef& ref, const JobStanding& now, const JobStanding& then) {
    if (then.reason.code == ReasonCode::kNone || now.reason.code == ReasonCode::kNone) return;
    const auto rank = [](const JobStanding& standing) {
      return standing.rank == 0 ? std::numeric_limits<std::int64_t>::max() : standing.rank;
    };
    if (rank(then) < rank(now)) ++RowOf(ref).nearer;
    if (rank(then) > rank(now)) ++RowOf(ref).farther;
  }

  void Runs() {
    for (const AttemptRef& ref : before_.guaranteed) {
      if (after_.guaranteed.contains(ref)) continue;
      const Holding& attempt = facts_.holdings.at(ref);
      if (!after_.world.ClassOf(attempt.job_class).preemptible) continue;
      WhatIfRow& row = Row(attempt.project, attempt.shape.gpu_type);
      row.unguaranteed.push_back(ref);
      if (attempt.start_ms == 0) continue;
      row.unguaranteed_ms +=
          attempt.counted_milli * std::max<DurationMs>(0, after_.world.now_ms() - attempt.start_ms);
    }
  }

  void Reclaims() {
    for (const AttemptRef& ref : after_.preempted) {
      if (before_.preempted.contains(ref)) continue;
      const Holding& victim = facts_.holdings.at(ref);
      Row(victim.project, victim.shape.gpu_type).preempted.push_back(ref);
    }
    for (const auto& [row, job] : after_.reclaims) {
      if (!before_.reclaims.contains(row)) RowOf(row).reclaims.push_back(job);
    }
  }

  // kNone: it does not wait.
  JobStanding WaitOf(const Trial& trial, const JobRef& row) const {
    const auto found = trial.plan.waiting.Find(row, *facts_.waiting.at(row).spec);
    return found.value_or(JobStanding{});
  }

  std::vector<WhatIf::Next> NextOf(const Trial& trial, const std::string& type) const {
    std::vector<WhatIf::Next> next;
    const auto add = [&](const JobRef& job, const JobRef& row) {
      const JobSpec& spec = *facts_.waiting.at(row).spec;
      if (spec.shape.gpu_type == type && next.size() < kNextShown) {
        next.push_back({job, spec.project});
      }
    };
    for (const Start& start : trial.plan.starts) add(start.job, start.row);
    for (const JobRef& ref : trial.plan.waiting.Ranked()) {
      if (!IsStop(WaitOf(trial, ref).reason)) add(ref, ref);
    }
    return next;
  }

  const Facts& facts_;
  const Trial& before_;
  const Trial& after_;
  std::map<std::pair<AccountId, std::string>, WhatIfRow> rows_;
};

}  // namespace

WhatIf TryOut(Facts facts, std::shared_ptr<const Directory> before, const NewSettings& after,
              TimeMs now) {
  facts.config.starts_max = std::numeric_limits<std::int32_t>::max();
  const Trial as_it_is(facts, {std::move(before), {}}, now);
  const Trial then(facts, after, now);
  WhatIf result = Comparison(facts, as_it_is, then).Result();
  result.now_ms = now;
  return result;
}

}  // namespace kezek::engine
