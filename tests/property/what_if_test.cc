// Goal: what is told of new settings is what the next tick does under them, and telling it leaves
// the engine as it was. Method: random histories by seed; at some steps random other settings are
// tried out, then told to a copy of the history's engine, whose plan must have the same starts,
// entitlements and first in line. KEZEK_SEEDS says how many seeds (200), KEZEK_SEED runs one.

#include "scheduler/engine/what_if.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <set>
#include <string>

#include "tests/property/engine_history.h"
#include "tests/property/seeds.h"

namespace kezek::test {
namespace {

constexpr int kSteps = 12;

std::set<JobRef> Starts(const engine::Plan& plan) {
  std::set<JobRef> starts;
  for (const engine::Start& start : plan.starts) starts.insert(start.job);
  return starts;
}

// What `what_if` tells of the way from one plan to another; empty: all of it is so.
std::string Wrong(const WhatIf& what_if, const engine::Plan& before, const engine::Plan& after) {
  const std::set<JobRef> now = Starts(before);
  const std::set<JobRef> then = Starts(after);
  std::set<std::pair<AccountId, std::string>> told;
  std::set<JobRef> starts;
  for (const WhatIfRow& row : what_if.rows) {
    told.insert({row.account, row.gpu_type});
    const auto standing = after.standings.find({row.account, row.gpu_type});
    const MilliGpus entitled =
        standing == after.standings.end() ? 0 : standing->second.entitled_milli;
    if (row.entitled_after_milli != entitled) return "entitlement";
    for (const JobRef& job : row.starts) {
      if (now.contains(job) || !then.contains(job)) return "starts " + ToText(job);
      starts.insert(job);
    }
    for (const JobRef& job : row.waits) {
      if (!now.contains(job) || then.contains(job)) return "waits " + ToText(job);
    }
  }
  for (const JobRef& job : then) {
    if (!now.contains(job) && !starts.contains(job)) return "nothing of " + ToText(job);
  }
  for (const auto& [key, standing] : after.standings) {
    const auto as_it_is = before.standings.find(key);
    const bool same = as_it_is != before.standings.end() &&
                      as_it_is->second.entitled_milli == standing.entitled_milli;
    if (!same && standing.entitled_milli != 0 && !told.contains(key)) return "a row is missing";
  }
  const auto waits = after.waiting.All();
  for (const auto& [type, queue] : what_if.next) {
    for (const WhatIf::Next& next : queue.after) {
      if (!then.contains(next.job) && !waits.contains(next.job)) return "next";
    }
  }
  return "";
}

TEST(WhatIfProperty, TellsWhatTheNextTickDoes) {
  std::size_t differences = 0;
  std::size_t seeds = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    EngineHistory history(seed);
    engine::EngineConfig config = history.config();
    config.starts_max = std::numeric_limits<std::int32_t>::max();
    engine::Engine engine(config, history.directory());
    engine::Engine other(config, history.directory());
    history.Join(SinkOf(engine));
    history.Join(SinkOf(other));
    history.Begin();
    RandomWorld random(seed + 1);
    for (int step = 0; step < kSteps; ++step) {
      const engine::Plan before = engine.Decide(history.now_ms());
      const auto changed = WithOwners(
          random.Changed(*history.directory(), static_cast<std::int32_t>(random.Int(8, 200))));
      const WhatIf what_if =
          engine::TryOut(engine.CopyFacts(), history.directory(), {changed, {}}, history.now_ms());
      EXPECT_EQ(PlanText(engine.Decide(history.now_ms())), PlanText(before));
      other.SetDirectory(changed);
      EXPECT_EQ(Wrong(what_if, before, other.Decide(history.now_ms())), "") << "step " << step;
      other.SetDirectory(history.directory());
      differences += what_if.rows.size();
      if (testing::Test::HasFailure()) return;
      history.Commit(before);
      history.Step();
    }
    ++seeds;
  });
  if (seeds < 20) return;
  EXPECT_GT(differences, seeds * 10) << "settings that hardly differ";
}

}  // namespace
}  // namespace kezek::test
