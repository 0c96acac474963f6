// Goal: whom reclaim ends is what the rule says, and how far that is from the cheapest there is.
// Method: small random worlds, in which one job waits and up to ten run, on one to eight nodes. All
// sets of those that may be ended for it are tried, and placed by the naive placement: what the
// engine ends is allowed, none of it is superfluous, and none of it is normal where scavengers
// suffice. The rule itself is written down once more, list by list, and the engine's choice is the
// same; so it ends some wherever an allowed set makes room, but where each set that the rule comes
// to has a victim that could take it back. Printed: what the engine's sets lose, as a multiple of
// what the cheapest lose.

#include <gtest/gtest.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <tuple>
#include <vector>

#include "scheduler/engine/engine.h"
#include "tests/property/naive_reclaim.h"
#include "tests/property/seeds.h"

namespace kezek::engine {
namespace {

struct Tally {
  std::vector<double> ratios;
  std::int64_t cheapest = 0;  // how many are
  std::int64_t none = 0;      // jobs that no set makes room for
  std::int64_t gangs = 0;
  std::int64_t missed = 0;  // that one does, but not one that the rule comes to
};

// Lost by the chosen set, as a multiple: of others' GPU-time, or of scavengers' if that is none.
double RatioOf(const Cost& chosen, const Cost& cheapest) {
  const auto of = [](MilliGpuMs a, MilliGpuMs b) {
    return static_cast<double>(a) / static_cast<double>(b);
  };
  if (std::get<0>(cheapest) > 0) return of(std::get<0>(chosen), std::get<0>(cheapest));
  EXPECT_EQ(std::get<0>(chosen), 0) << "nobody needs to lose any but scavengers";
  return std::get<1>(cheapest) > 0 ? of(std::get<1>(chosen), std::get<1>(cheapest)) : 1;
}

std::string TextOf(const std::vector<AttemptRef>& set) {
  std::string text;
  for (const AttemptRef& ref : set) text += " " + ToText(ref.job);
  return text;
}

void CheckChoice(const SmallCase& world, const Reclaims& naive,
                 const std::vector<AttemptRef>& chosen) {
  const Attempts set(chosen.begin(), chosen.end());
  EXPECT_TRUE(world.Room(set).has_value()) << "no room";
  Attempts scavengers;
  for (const AttemptRef& ref : naive.all()) {
    if (naive.IsScavenger(ref)) scavengers.insert(ref);
  }
  const bool normal = std::get<0>(naive.CostOf(chosen)) > 0;
  EXPECT_FALSE(normal && world.Room(scavengers)) << "scavengers suffice";
  for (const AttemptRef& ref : chosen) {
    EXPECT_GT(std::count(naive.all().begin(), naive.all().end(), ref), 0)
        << ToText(ref.job) << " may not be ended";
    Attempts without = set;
    without.erase(ref);
    EXPECT_FALSE(world.Room(without)) << ToText(ref.job) << " is superfluous";
  }
}

void Try(std::uint64_t seed, Tally& tally) {
  SmallCase world(seed);
  const Plan plan = world.Decide();
  ASSERT_TRUE(plan.dropped.empty()) << plan.dropped.front().second;
  if (world.Room({})) {
    EXPECT_TRUE(plan.preempts.empty()) << "free GPUs suffice";
    return;
  }
  std::vector<AttemptRef> chosen;
  for (const Preempt& preempt : plan.preempts) chosen.push_back(preempt.victim);
  const Reclaims naive(world);
  const auto cheapest = naive.Cheapest();
  EXPECT_EQ(TextOf(chosen), TextOf(naive.Chosen()));
  if (chosen.empty() && cheapest) {  // the rule looks at one set of each domain
    ++tally.missed;
    return;
  }
  if (chosen.empty() || !cheapest) {
    ++tally.none;
    return;
  }
  CheckChoice(world, naive, chosen);
  const Cost cost = naive.CostOf(chosen);
  tally.ratios.push_back(RatioOf(cost, *cheapest));
  EXPECT_LE(std::get<0>(*cheapest), std::get<0>(cost));
  tally.cheapest += std::get<0>(cost) == std::get<0>(*cheapest) &&
                            std::get<1>(cost) == std::get<1>(*cheapest) &&
                            std::get<2>(cost) == std::get<2>(*cheapest)
                        ? 1
                        : 0;
  tally.gangs += world.job.spec->shape.nodes > 1 ? 1 : 0;
}

TEST(ReclaimBrute, VictimsAreThoseOfTheRuleAndNoneIsSuperfluous) {
  Tally tally;
  std::int64_t seeds = 0;
  property::ForEachSeed([&](std::uint64_t seed) {
    for (std::uint64_t i = 0; i < 10 && !testing::Test::HasFailure(); ++i) {
      SCOPED_TRACE("world " + std::to_string(i));
      Try(seed * 10 + i, tally);
    }
    ++seeds;
  });
  if (testing::Test::HasFailure() || tally.ratios.empty()) return;
  std::vector<double>& ratios = tally.ratios;
  std::sort(ratios.begin(), ratios.end());
  double sum = 0;
  for (const double ratio : ratios) sum += ratio;
  const double mean = sum / static_cast<double>(ratios.size());
  const double p99 = ratios[ratios.size() * 99 / 100];
  std::cout << ratios.size() << " choices (" << tally.gangs << " for gangs), " << tally.cheapest
            << " of them the cheapest there is, lose of it on average " << mean << ", at p99 "
            << p99 << ", at worst " << ratios.back() << "; " << tally.none
            << " jobs for which no set makes room, " << tally.missed
            << " for which one does that the rule does not come to\n";
  RecordProperty("choices", static_cast<int>(ratios.size()));
  RecordProperty("missed", static_cast<int>(tally.missed));
  RecordProperty("cheapest", static_cast<int>(tally.cheapest));
  RecordProperty("ratio_mean", std::to_string(mean));
  RecordProperty("ratio_p99", std::to_string(p99));
  RecordProperty("ratio_worst", std::to_string(ratios.back()));
  EXPECT_LE(tally.missed * 100, std::ssize(ratios) + 100);
  if (seeds < 20) return;
  EXPECT_GT(ratios.size(), static_cast<std::size_t>(seeds)) << "hardly anybody reclaims";
  EXPECT_GT(tally.gangs, seeds / 5);
  EXPECT_GT(tally.none, seeds / 5);
}

}  // namespace
}  // namespace kezek::engine
