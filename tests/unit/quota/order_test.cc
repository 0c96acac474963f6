// Goal: who is next, by the rules' words: tiers, usage per weight, classes, a project's rule,
// users' own priorities, scavengers, arrays. Method: two sectors and three projects; walks are
// written down as lists of job numbers.
#include "quota/order.h"

#include <gtest/gtest.h>

#include "tests/unit/quota/trees.h"

namespace kezek::quota::testing {
namespace {

constexpr TimeMs kNow = 100 * kDayMs;

class OrderTest : public ::testing::Test {
 protected:
  // kz ─ a (guarantee 8) ─ a1 (4: id 4), a2 (5)
  //    └ b ─ b1 (6)
  std::vector<Row> rows_ = {{.name = "kz", .guarantee = 16, .kind = "cluster"},
                            {.parent = 1, .name = "a", .guarantee = 8, .kind = "sector"},
                            {.parent = 1, .name = "b", .kind = "sector"},
                            {.parent = 2, .name = "a1", .guarantee = 4},
                            {.parent = 2, .name = "a2"},
                            {.parent = 3, .name = "b1"}};
  std::map<AccountId, Account> accounts_ = Accounts(rows_);
  AccountTree tree_;
  WaitingJobs waiting_;
  UsageBook usage_{7 * kDayMs};
  std::map<std::int64_t, std::int64_t> running_;  // GPUs by account id, ancestors included

  // One GPU for an hour.
  OrderJob Job(std::int64_t id, std::int64_t project, std::int64_t user = 1,
               std::int64_t gpus = 1) {
    return {.ref = JobRef{JobId{id}},
            .project = AccountId{project},
            .user = UserId{user},
            .counted_milli = gpus * 1000,
            .expected_charge = gpus * kGpuHour,
            .predicted = gpus * kGpuHour,
            .submitted_ms = id};
  }
  void Use(std::int64_t project, std::int64_t user, std::int64_t gpu_hours) {
    tree_ = AccountTree::Build(accounts_).value();
    usage_.Book(tree_, AccountId{project}, UserId{user}, kNow, gpu_hours * kGpuHour);
  }
  OrderTree Walk() {
    tree_ = AccountTree::Build(accounts_).value();
    waiting_.Arrange(tree_);
    OrderInput input{.tree = &tree_,
                     .gpu_type = kType,
                     .waiting = &waiting_,
                     .running_milli = std::vector<MilliGpus>(At(tree_.size()), 0),
                     .usage = &usage_,
                     .now_ms = kNow};
    for (const auto& [id, gpus] : running_) {
      input.running_milli[At(tree_.IndexOf(AccountId{id}))] = gpus * 1000;
    }
    return OrderTree{std::move(input)};
  }
  // Everything, each candidate answered by `answer`.
  template <class Answer>
  std::vector<std::int64_t> All(Answer answer) {
    OrderTree walk = Walk();
    std::vector<std::int64_t> order;
    while (const auto next = walk.Next()) {
      order.push_back(next->job->ref.id.value);
      answer(walk);
    }
    return order;
  }
  std::vector<std::int64_t> Started() {
    return All([](OrderTree& walk) { walk.Take(true); });
  }
  std::vector<std::int64_t> PassedOver() {
    return All([](OrderTree& walk) { walk.PassOver(); });
  }
};

using Ids = std::vector<std::int64_t>;

TEST_F(OrderTest, NobodyWaits) { EXPECT_EQ(Started(), Ids{}); }

TEST_F(OrderTest, InsideTheGuaranteeFirst) {
  Use(4, 1, 1000);  // a has used far more than b
  running_ = {{2, 6}, {4, 2}};
  waiting_.Set(Job(1, 4, 1, 4));  // a is at 6 of 8: 4 more do not fit, nor in a1's
  waiting_.Set(Job(2, 4));        // these two do…
  waiting_.Set(Job(3, 4));
  waiting_.Set(Job(4, 4));  // …and this one is for later
  waiting_.Set(Job(5, 6));
  // a's jobs inside its guarantee, in a's own order; then b, which has used less; then the rest.
  EXPECT_EQ(Started(), (Ids{2, 3, 5, 1, 4}));
}

TEST_F(OrderTest, OnlyStartsUseUpTheGuarantee) {
  Use(4, 1, 1000);
  running_ = {{2, 7}, {4, 3}};
  waiting_.Set(Job(1, 4));
  waiting_.Set(Job(2, 4));
  waiting_.Set(Job(3, 6));
  EXPECT_EQ(Started(), (Ids{1, 3, 2}));
  // Blocked jobs have got nothing, so the next one is still inside.
  EXPECT_EQ(All([](OrderTree& walk) { walk.Take(false); }), (Ids{1, 2, 3}));
}

TEST_F(OrderTest, LeastUsagePerWeightTiesById) {
  accounts_[AccountId{2}].settings.shares[kType].guarantee_milli = 0;
  accounts_[AccountId{4}].settings.shares[kType].guarantee_milli = 0;
  accounts_[AccountId{3}].settings.shares[kType].weight_milli = 2000;
  for (std::int64_t i = 1; i <= 3; ++i) waiting_.Set(Job(i, 4));
  for (std::int64_t i = 11; i <= 16; ++i) waiting_.Set(Job(i, 6));
  // b weighs two: after a tie by id, two of b's for each of a's.
  EXPECT_EQ(Started(), (Ids{1, 11, 12, 2, 13, 14, 3, 15, 16}));
  // What limits stop adds nothing: a stays first.
  EXPECT_EQ(PassedOver(), (Ids{1, 2, 3, 11, 12, 13, 14, 15, 16}));
  Use(4, 1, 1);
  EXPECT_EQ(Walk().Next()->job->ref.id.value, 11);
}

TEST_F(OrderTest, SplittingAnAccountGainsNothing) {
  waiting_.Set(Job(1, 4));
  waiting_.Set(Job(2, 5));
  waiting_.Set(Job(3, 6));
  waiting_.Set(Job(4, 6));
  accounts_[AccountId{2}].settings.shares[kType].guarantee_milli = 0;
  accounts_[AccountId{4}].settings.shares[kType].guarantee_milli = 0;
  EXPECT_EQ(Started(), (Ids{1, 3, 2, 4}));
}

TEST_F(OrderTest, ClassBeforeRuleButNeverBeyondTheProject) {
  OrderJob urgent = Job(3, 5);
  urgent.class_rank = -1;
  waiting_.Set(Job(1, 5));
  waiting_.Set(Job(2, 5, 2));
  waiting_.Set(urgent);
  waiting_.Set(Job(4, 4));
  running_ = {{2, 8}, {4, 4}};
  Use(5, 1, 10);
  EXPECT_EQ(Started(), (Ids{4, 3, 2, 1}));
}

TEST_F(OrderTest, FairFifoShortest) {
  Use(6, 1, 2);
  OrderJob longest = Job(1, 6, 1);
  longest.predicted = 9 * kGpuHour;
  waiting_.Set(longest);
  waiting_.Set(Job(2, 6, 2));
  waiting_.Set(Job(3, 6, 1));
  waiting_.Set(Job(4, 6, 2));
  EXPECT_EQ(Started(), (Ids{2, 4, 1, 3}));  // user 2 until both have used two hours
  accounts_[AccountId{6}].settings.rule = ProjectRule::kFifo;
  EXPECT_EQ(Started(), (Ids{1, 2, 3, 4}));
  accounts_[AccountId{6}].settings.rule = ProjectRule::kShortest;
  EXPECT_EQ(Started(), (Ids{2, 3, 4, 1}));
  longest.aged = true;
  waiting_.Set(longest);
  EXPECT_EQ(Started(), (Ids{1, 2, 3, 4}));
}

TEST_F(OrderTest, OwnPriorityMovesOwnJobsOnly) {
  accounts_[AccountId{6}].settings.rule = ProjectRule::kFifo;
  for (std::int64_t i = 1; i <= 5; ++i) waiting_.Set(Job(i, 6, i % 2 == 0 ? 2 : 1));
  OrderJob last = Job(5, 6, 1);
  last.user_priority = 100;
  waiting_.Set(last);
  EXPECT_EQ(Started(), (Ids{5, 2, 1, 4, 3}));
  OrderJob first = Job(1, 6, 1);
  first.user_priority = -1;
  waiting_.Set(first);
  EXPECT_EQ(Started(), (Ids{5, 2, 3, 4, 1}));
}

TEST_F(OrderTest, ScavengersComeLast) {
  OrderJob scavenger = Job(1, 4);
  scavenger.scavenger = true;
  waiting_.Set(scavenger);
  waiting_.Set(Job(2, 6));
  Use(6, 1, 1000);
  EXPECT_EQ(Started(), (Ids{2, 1}));
  OrderTree walk = Walk();
  ASSERT_TRUE(walk.Next());
  walk.Take(true);
  const auto next = walk.Next();
  EXPECT_FALSE(next->inside);
  walk.Take(true);
  EXPECT_EQ(walk.Slack(tree_.IndexOf(AccountId{4})), 4000) << "scavengers use up no guarantee";
}

TEST_F(OrderTest, ArraysElementByElement) {
  OrderJob array = Job(1, 6);
  array.count = 3;
  waiting_.Set(array);
  waiting_.Set(Job(2, 6, 2));
  OrderTree walk = Walk();
  EXPECT_EQ(walk.Next()->nth, 0);
  walk.Take(true);
  EXPECT_EQ(walk.Next()->job->ref.id.value, 2);
  walk.Take(true);
  EXPECT_EQ(walk.Next()->nth, 1);
  walk.Take(false);
  walk.DropRest();
  EXPECT_FALSE(walk.Next());
}

TEST_F(OrderTest, ClosedProjectsPlacesAndRest) {
  waiting_.Set(Job(1, 4));
  waiting_.Set(Job(2, 5));
  waiting_.Set(Job(3, 5, 2));
  waiting_.Set(Job(4, 6));
  Use(4, 1, 5);
  OrderTree walk = Walk();
  // a has a job inside its guarantee, so it is before b; a1 likewise before a2.
  EXPECT_EQ(walk.Places(), (std::vector<std::int64_t>{0, 1, 1, 2, 2, 1}));
  const auto rest = walk.Remaining(tree_.IndexOf(AccountId{5}));
  ASSERT_EQ(rest.size(), 2U);
  EXPECT_EQ(rest[0].job->ref.id.value, 2);
  walk.CloseProject(tree_.IndexOf(AccountId{4}));
  EXPECT_EQ(walk.Next()->job->ref.id.value, 2);
  walk.Take(true);
  walk.CloseProject(tree_.IndexOf(AccountId{5}));
  EXPECT_EQ(walk.Next()->job->ref.id.value, 4);
  walk.PassOver();
  EXPECT_FALSE(walk.Next());
}

TEST_F(OrderTest, RemovedJobsAreGone) {
  waiting_.Set(Job(1, 4));
  waiting_.Set(Job(2, 4));
  waiting_.Remove(JobRef{JobId{1}});
  waiting_.Remove(JobRef{JobId{77}});
  EXPECT_EQ(waiting_.size(), 1U);
  EXPECT_EQ(waiting_.Find(JobRef{JobId{1}}), nullptr);
  EXPECT_EQ(Started(), (Ids{2}));
}

}  // namespace
}  // namespace kezek::quota::testing
