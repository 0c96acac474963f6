// Goal: elements of an array that say so start apart from each other where there is room, and wait
// for nothing. Method: plans of small machines.

#include <gtest/gtest.h>

#include "scheduler/engine/engine.h"
#include "tests/unit/engine/small_world.h"

namespace kezek::engine {
namespace {

// Two leaves of two nodes; three elements of four GPUs.
TEST(SpreadTest, ElementsSpreadOverLeavesAndNodes) {
  const auto starts = [](Spread spread, std::int32_t reservations) {
    EngineConfig config;
    config.reservations = reservations;
    Engine engine(config, TwoProjects().Make());
    for (const char* name : {"n1", "n2", "n3", "n4"}) {
      engine.SetNode(H200(name, name[1] < '3' ? "l1" : "l2"));
    }
    JobSpec spec = Gang(2, 1, 4);
    spec.array.emplace();
    spec.spread = spread;
    Waiting job = Queued(1, spec);
    job.elements = {0, 1, 2};
    engine.SetWaiting(job);
    return StartsText(engine.Decide(kNoon));
  };
  EXPECT_EQ(starts(Spread::kNone, 0), "1_0@n1 1_1@n1 1_2@n2") << "the fullest nodes first";
  EXPECT_EQ(starts(Spread::kLeaf, 0), "1_0@n1 1_1@n3 1_2@n1");
  EXPECT_EQ(starts(Spread::kNode, 0), "1_0@n1 1_1@n2 1_2@n3");
  EXPECT_EQ(starts(Spread::kBlock, 0), "1_0@n1 1_1@n1 1_2@n2") << "there is one block";
  EXPECT_EQ(starts(Spread::kLeaf, 8), "1_0@n1 1_1@n3 1_2@n1") << "where nodes may be promised, too";
}

TEST(SpreadTest, ElementsSpreadAwayFromWhatRunsAndOnlyWhereThereIsRoom) {
  Engine engine(EngineConfig{}, TwoProjects().Make());
  for (const char* name : {"n1", "n2", "n3"})
    engine.SetNode(H200(name, name[1] < '3' ? "l1" : "l2"));
  JobSpec spec = Gang(2, 1, 4);
  spec.array.emplace();
  spec.spread = Spread::kLeaf;
  Waiting job = Queued(1, spec);
  Waiting runs = job;
  runs.ref = {JobId{1}, 7};
  engine.SetHolding(HoldingOf({runs.ref, job.ref, {{"n1", 4, {}}}, 4000}, runs));
  job.elements = {0, 1, 2, 3};
  engine.SetWaiting(job);
  // l2 has none of them; then both have one, and n3 is the fuller node in the smaller leaf; then
  // there is room in l1 alone.
  EXPECT_EQ(StartsText(engine.Decide(kNoon)), "1_0@n3 1_1@n3 1_2@n1 1_3@n2");
}

}  // namespace
}  // namespace kezek::engine
