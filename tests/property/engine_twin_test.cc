// Goal: the engine equals its simple model, and is deterministic. Method: random histories of
// events by seed; after each step engine and naive twin decide, and their plans must have the same
// text; verify must drop nothing; what is kept of totals is what a recount finds; each seed runs
// twice to the same trace, byte for byte. KEZEK_SEEDS says how many seeds (200), KEZEK_SEED runs
// one.

#include <gtest/gtest.h>

#include <string>

#include "scheduler/engine/engine.h"
#include "tests/property/engine_history.h"
#include "tests/property/naive_engine.h"
#include "tests/property/seeds.h"

namespace kezek::test {
namespace {

constexpr int kSteps = 25;

struct Outcome {
  std::string trace;
  std::string difference;  // empty: none
  std::size_t starts = 0;
  std::size_t scavenge = 0;    // starts that budgets make scavengers
  std::size_t by_budgets = 0;  // steps in which budgets stop some
  std::size_t apart = 0;       // ticks with something on dedicated nodes or lanes
};

Outcome RunSeed(std::uint64_t seed, bool with_twin) {
  EngineHistory history(seed);
  engine::Engine engine(history.config(), history.directory());
  NaiveEngine twin(history.config(), history.directory());
  history.Join(SinkOf(engine));
  history.Join(SinkOf(twin));
  history.Begin();
  Outcome outcome;
  for (int step = 0; step < kSteps; ++step) {
    const engine::Plan plan = engine.Decide(history.now_ms());
    const std::string text = PlanText(plan);
    outcome.trace += text;
    outcome.starts += plan.starts.size();
    for (const engine::Start& start : plan.starts) outcome.scavenge += start.scavenges ? 1U : 0U;
    for (const auto& [key, stopped] : plan.stopped) {
      outcome.by_budgets += stopped.by_budgets > 0 ? 1U : 0U;
    }
    const auto root = plan.standings.find({kRootAccount, "h200"});
    if (root != plan.standings.end() && root->second.apart_milli > 0) ++outcome.apart;
    const std::string expected = with_twin ? PlanText(twin.Decide(history.now_ms())) : text;
    if (text != expected || !plan.dropped.empty()) {
      outcome.difference = "step " + std::to_string(step) + "\n--- engine\n" + text +
                           "--- simple model\n" + expected;
      return outcome;
    }
    for (const std::string& wrong : engine.Audit(0, 1)) {
      if (!wrong.starts_with("the totals")) continue;  // nodes lose GPUs that are in use
      outcome.difference = "step " + std::to_string(step) + ": " + wrong;
      return outcome;
    }
    history.Commit(plan);
    if (!history.overdrawn().empty()) {
      outcome.difference = "no budget holds job " + history.overdrawn() + "\n" + text;
      return outcome;
    }
    history.Step();
  }
  return outcome;
}

TEST(EngineTwinTest, EngineEqualsItsSimpleModel) {
  std::size_t starts = 0;
  std::size_t scavenge = 0;
  std::size_t by_budgets = 0;
  std::size_t apart = 0;
  std::size_t seeds = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    const Outcome outcome = RunSeed(seed, true);
    starts += outcome.starts;
    scavenge += outcome.scavenge;
    by_budgets += outcome.by_budgets;
    apart += outcome.apart;
    ++seeds;
    EXPECT_EQ(outcome.difference, "");
    if (!outcome.difference.empty()) return;
    EXPECT_TRUE(RunSeed(seed, false).trace == outcome.trace) << "not deterministic";
  });
  if (seeds < 20) return;
  EXPECT_GT(apart, seeds * 4) << "histories in which hardly anything runs on dedicated nodes";
  EXPECT_GT(starts, seeds * 10) << "histories in which hardly anything starts";
  EXPECT_GT(scavenge, seeds / 4) << "budgets that hardly make a scavenger";
  EXPECT_GT(by_budgets, seeds) << "budgets that hardly stop anything";
}

// Goal: a block of places that is kept is what would be found anew. Usage hardly decays here, and
// nothing else but time may make a difference.
TEST(EngineTwinTest, PlacesThatAreKeptAreThoseFoundAnew) {
  std::int64_t kept = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    EngineHistory history(seed);
    engine::EngineConfig config = history.config();
    config.half_life_ms = 36'000 * kDayMs;
    config.places_keep_ms = 0;
    engine::Engine anew(config, history.directory());
    config.places_keep_ms = 100'000 * kDayMs;
    engine::Engine keeping(config, history.directory());
    history.Join(SinkOf(anew));
    history.Join(SinkOf(keeping));
    history.Begin();
    for (int step = 0; step < kSteps; ++step) {
      const engine::Plan plan = anew.Decide(history.now_ms());
      const engine::Plan same = keeping.Decide(history.now_ms());
      ASSERT_EQ(PlanText(plan), PlanText(same)) << "step " << step;
      EXPECT_EQ(same.waiting.size(), same.waiting.All().size());
      for (const auto& [ref, standing] : same.waiting.All()) {
        const auto found = same.waiting.Find(ref, history.SpecOf(ref));
        ASSERT_TRUE(found.has_value());
        EXPECT_EQ(found->reason, standing.reason);
      }
      history.Commit(plan);
      history.Step();
    }
    kept += keeping.places_kept();
  });
  EXPECT_GT(kept, 0) << "nothing was ever kept";
}

}  // namespace
}  // namespace kezek::test
