// How accounts stand, tick by tick: integrated, and committed once a minute and at every full hour.
// What a crash loses is what was not committed yet.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "scheduler/control/core.h"

namespace kezek::control {
namespace {

using quota::AccountIndex;

// By index: what runs on shared nodes, with what is below; and what is held by nobody.
struct Held {
  std::vector<MilliGpus> by_index;
  MilliGpus all_milli = 0;  // scavengers and what is not released yet included
};

Held HeldOf(const Core& core, const std::string& type) {
  const quota::AccountTree& tree = core.state.tree();
  Held held;
  held.by_index.assign(static_cast<std::size_t>(tree.size()), 0);
  for (const auto& [ref, holding] : core.engine.holdings()) {
    if (holding.shape.gpu_type != type || core.engine.IsApart(holding)) continue;
    held.all_milli += holding.counted_milli;
    const bool scavenges = holding.as_scavenger || core.ClassOf(holding.job_class).scavenger;
    if (!holding.counts || scavenges) continue;
    for (AccountIndex i = tree.IndexOf(holding.project); i != quota::kNoAccount;
         i = tree.parent(i)) {
      held.by_index[static_cast<std::size_t>(i)] += holding.counted_milli;
    }
  }
  return held;
}

// Worked out anew only when settings or the machine have changed.
const std::vector<MilliGpus>& DueOf(Core& core, const std::string& type, MilliGpus capacity) {
  Core::Due& due = core.due[type];
  if (due.directory != core.state.directory() || due.capacity_milli != capacity) {
    due = {core.state.directory(), capacity, quota::DueShares(core.state.tree(), type, capacity)};
  }
  return due.milli;
}

quota::PoolStanding PoolOf(Core& core, const std::string& type, MilliGpus capacity) {
  const quota::AccountTree& tree = core.state.tree();
  const auto size = static_cast<std::size_t>(tree.size());
  Held held = HeldOf(core, type);
  quota::PoolStanding pool;
  pool.gpu_type = type;
  pool.free_milli = std::max<MilliGpus>(0, capacity - held.all_milli);
  pool.away = !core.cluster_answers || !core.nodes_seen || !core.MayAct();
  pool.due = DueOf(core, type, capacity);
  pool.held = std::move(held.by_index);
  for (auto* figures : {&pool.entitled, &pool.guarantee, &pool.lent, &pool.apart, &pool.demanded,
                        &pool.by_limits, &pool.by_budgets}) {
    figures->assign(size, 0);
  }
  for (AccountIndex i = 0; i < tree.size(); ++i) {
    const auto at = static_cast<std::size_t>(i);
    const std::pair<AccountId, std::string> key{tree.id(i), type};
    if (const auto found = core.plan.standings.find(key); found != core.plan.standings.end()) {
      pool.entitled[at] = found->second.entitled_milli;
      pool.guarantee[at] = found->second.guarantee_now_milli;
      pool.lent[at] = found->second.lent_milli;
      pool.apart[at] = found->second.apart_milli;
      pool.demanded[at] = found->second.demand_milli;
    }
    if (const auto found = core.plan.stopped.find(key); found != core.plan.stopped.end()) {
      pool.by_limits[at] = found->second.by_limits;
      pool.by_budgets[at] = found->second.by_budgets;
    }
  }
  return pool;
}

std::vector<AccountHour> StandingNow(Core& core) {
  const quota::AccountTree& tree = core.state.tree();
  std::vector<AccountHour> rows;
  for (const auto& [type, capacity] : core.plan.capacity_milli) {
    const std::vector<AccountFigures> figures =
        quota::FiguresOf(tree, PoolOf(core, type, capacity));
    for (AccountIndex i = 0; i < tree.size(); ++i) {
      const AccountFigures& one = figures[static_cast<std::size_t>(i)];
      if (one == AccountFigures{}) continue;
      rows.push_back({tree.id(i), type, 0, one, {core.plan_version, core.plan_version}});
    }
  }
  return rows;
}

}  // namespace

void KeepHistory(Core& core) {
  core.history.Advance(core.now);
  core.history.Stand(StandingNow(core));
  const TimeMs until = core.history.until_ms();
  const bool hour_over = core.now / kHourMs != until / kHourMs;
  if (!hour_over && core.now - until < core.config.history_commit_ms) return;
  HistoryChange& change = core.ready.changes.history;
  change = core.history.Take();
  const TimeMs days_before = (core.now - core.config.history_hours_ms) / kDayMs * kDayMs;
  if (days_before > 0 && days_before != core.days_before_ms) {
    core.days_before_ms = days_before;
    change.to_days_before_ms = days_before;
  }
}

}  // namespace kezek::control
