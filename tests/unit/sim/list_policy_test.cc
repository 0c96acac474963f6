// Goal: the baselines do what their names say. Method: traces of a few jobs whose starts can be
// worked out by hand; each case says why a job starts when it does.

#include "scheduler/sim/replay/list_policy.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

#include "scheduler/sim/replay/order.h"
#include "tests/unit/sim/replay_rows.h"

namespace kezek::replay {
namespace {

using Starts = std::vector<std::int64_t>;

TEST(ListPolicyTest, FifoLetsNothingPass) {
  // The second waits for the first, the third, which would fit, for the second.
  const JobList list = ListOf({{0, 10, 3}, {1, 10, 2}, {2, 5, 1}}, 1, 4);
  EXPECT_EQ(StartsBy("fifo", list), (Starts{0, 10, 10}));
}

TEST(ListPolicyTest, FifoStartsWholeGangsOnly) {
  // Nodes of 2; the gang of two whole nodes waits for the single GPU to end.
  const JobList list = ListOf({{0, 10, 1}, {1, 10, 4}, {2, 5, 1}}, 2, 2);
  EXPECT_EQ(StartsBy("fifo", list), (Starts{0, 10, 20}));
}

TEST(ListPolicyTest, EasyFillsInWhatEndsBeforeTheReservation) {
  const JobList list = ListOf({{0, 10, 3}, {1, 10, 2}, {2, 5, 1}}, 1, 4);
  EXPECT_EQ(StartsBy("easy", list), (Starts{0, 10, 2}));
}

TEST(ListPolicyTest, EasyFillsInBesideTheReservation) {
  // At 10 the second needs 2 of 4: what runs on may keep one.
  const JobList list = ListOf({{0, 10, 3}, {1, 10, 2}, {2, 100, 1}}, 1, 4);
  EXPECT_EQ(StartsBy("easy", list), (Starts{0, 10, 2}));
}

TEST(ListPolicyTest, EasyDelaysNoReservation) {
  // At 10 the second needs all 4: the third would still run.
  const JobList list = ListOf({{0, 10, 3}, {1, 10, 4}, {2, 20, 1}}, 1, 4);
  EXPECT_EQ(StartsBy("easy", list), (Starts{0, 10, 20}));
}

TEST(ListPolicyTest, EasyReservesNodesNotOnlyGpus) {
  // Two nodes of 2. At 10 there are 3 GPUs for the third, which needs 2 of one node: node 0. So the
  // fourth may run on beside it, on node 1, and the fifth must wait for node 0 to be left.
  const JobList list = ListOf({{0, 10, 2}, {0, 50, 1}, {1, 10, 2}, {2, 100, 1}, {3, 8, 2}}, 2, 2);
  EXPECT_EQ(StartsBy("easy", list), (Starts{0, 0, 10, 2, 20}));
}

TEST(ListPolicyTest, EasyGoesByLimitsAndStartsEarlierIfItCan) {
  // The first asks for 100 s and ends after 10: the second starts then; by its limit the third ends
  // before 100.
  const JobList list =
      ListOf({{0, 10, 3, "", "", 100}, {1, 10, 4, "", "", 10}, {2, 50, 1, "", "", 60}}, 1, 4,
             {.estimates = Estimates::kUser});
  EXPECT_EQ(StartsBy("easy", list), (Starts{0, 52, 2}));
}

TEST(ListPolicyTest, SmallestGpusTimesRunTimeIsFirst) {
  const JobList list = ListOf({{0, 10}, {1, 8}, {2, 3}, {3, 5}}, 1, 1);
  EXPECT_EQ(StartsBy("sjf-oracle", list), (Starts{0, 18, 10, 13}));
  // 2 GPUs for 3 s are more than 1 for 5; and nothing passes the first that is blocked.
  const JobList wide = ListOf({{0, 10, 3}, {1, 3, 2}, {2, 5, 1}, {3, 100, 1}}, 1, 4);
  EXPECT_EQ(StartsBy("sjf-oracle", wide), (Starts{0, 10, 2, 10}));
}

TEST(ListPolicyTest, PredictedSizesAreTheEstimates) {
  const JobList list = ListOf({{0, 10, 1, "", "", 10}, {1, 8, 1, "", "", 1}, {2, 3, 1, "", "", 9}},
                              1, 1, {.estimates = Estimates::kUser});
  EXPECT_EQ(StartsBy("sjf-predicted", list), (Starts{0, 10, 18}));
  EXPECT_EQ(StartsBy("sjf-oracle", list), (Starts{0, 13, 10}));
}

TEST(ListPolicyTest, QssfLearnsFromWhatEnded) {
  // ann's jobs take 50 s, bob's 5: known once one of each has ended, and used from then on.
  const JobList list = ListOf({{0, 50, 1, "g", "ann"},
                               {1, 5, 1, "g", "bob"},
                               {2, 50, 1, "g", "ann"},
                               {60, 50, 1, "g", "ann"},
                               {61, 5, 1, "g", "bob"}},
                              1, 1);
  EXPECT_EQ(StartsBy("qssf", list), (Starts{0, 50, 55, 110, 105}));
}

TEST(ListPolicyTest, FairShareStartsWhoHadLess) {
  const JobList list =
      ListOf({{0, 10, 1, "x"}, {1, 10, 1, "x"}, {2, 10, 1, "y"}, {3, 10, 1, "y"}}, 1, 1);
  EXPECT_EQ(StartsBy("fifo", list), (Starts{0, 10, 20, 30}));
  EXPECT_EQ(StartsBy("fair+easy", list), (Starts{0, 20, 10, 30})) << "a tie goes to the first";
}

TEST(ListPolicyTest, FairShareGoesByWeight) {
  // x has three times the weight: after one run of each it is still behind.
  const JobList list =
      ListOf({{0, 10, 1, "x"}, {0, 10, 1, "x"}, {0, 10, 1, "x"}, {0, 10, 1, "y"}, {0, 10, 1, "y"}},
             1, 1, {.group_nodes = {{"x", 3}, {"y", 1}}});
  EXPECT_EQ(StartsBy("fair+easy", list), (Starts{0, 20, 30, 10, 40}));
}

TEST(ListPolicyTest, GroupsKeptApartDoNotWaitForEachOther) {
  const std::vector<RowText> texts = {{0, 10, 1, "x"}, {1, 10, 1, "x"}, {2, 10, 1, "y"}};
  const JobList list = ListOf(texts, 2, 1, {.split = true});
  EXPECT_EQ(StartsBy("fifo", list), (Starts{0, 10, 2}));
  EXPECT_EQ(StartsBy("fair+easy", list), (Starts{0, 10, 2}));
  EXPECT_EQ(StartsBy("multifactor", list), (Starts{0, 10, 2}));
}

Starts Multifactor(const JobList& list, const MultifactorRules& rules) {
  return StartsOf(
      Replay(list, *MakeListPolicy(list, OrderByMultifactor(list, rules), WhenBlocked::kBackfill)));
}

TEST(ListPolicyTest, MultifactorWeighsAgeSizeAndShare) {
  const JobList list =
      ListOf({{0, 400, 2, "x", "ann"}, {1, 10, 1, "x", "bob"}, {2, 10, 2, "y", "eve"}}, 1, 2);
  const MultifactorRules age{.weight_fairshare = 0, .weight_age = 1, .weight_size = 0};
  EXPECT_EQ(Multifactor(list, age), (Starts{0, 400, 410}));
  const MultifactorRules size{.weight_fairshare = 0, .weight_age = 0, .weight_size = 1};
  EXPECT_EQ(Multifactor(list, size), (Starts{0, 410, 400}));
  const MultifactorRules share{.weight_fairshare = 1, .weight_age = 0, .weight_size = 0};
  EXPECT_EQ(Multifactor(list, share), (Starts{0, 410, 400})) << "y has had nothing";
}

TEST(ListPolicyTest, MultifactorRanksUsersBelowTheirGroup) {
  // x has had most, so both of its users come after y's; of them bob has had less.
  const JobList list = ListOf({{0, 400, 1, "x", "ann"},
                               {1, 10, 1, "x", "ann"},
                               {2, 10, 1, "x", "bob"},
                               {3, 10, 1, "y", "eve"}},
                              1, 1);
  const MultifactorRules share{.weight_fairshare = 1, .weight_age = 0, .weight_size = 0};
  EXPECT_EQ(Multifactor(list, share), (Starts{0, 420, 410, 400}));
}

}  // namespace
}  // namespace kezek::replay
