// Goal: OrderTree yields what the rules' words say, whatever waits, runs and has been used.
// Method: a naive twin that writes every account's whole order down anew before each pick, by the
// words alone (lists, no runs, no least figures), with usage as plain fractions: all dates lie at
// starts of half-life periods, so 128 bits hold every product. Candidates are taken, blocked and
// passed over at random; between walks jobs come and go, weights, guarantees and rules change.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "quota/order.h"
#include "tests/property/seeds.h"
#include "tests/unit/quota/trees.h"

namespace kezek::quota {
namespace {

using property::Dice;
using testing::At;
using testing::kType;

constexpr TimeMs kNow = 60 * kDayMs;  // half-life: a day

struct Element {
  const OrderJob* job = nullptr;
  std::int32_t nth = 0;
};

class Twin {
 public:
  Twin(const AccountTree& tree, const std::map<JobRef, OrderJob>& jobs,
       const std::vector<MilliGpus>& running, const std::vector<MilliGpus>& guarantees,
       std::map<AccountIndex, Int128> usage, std::map<std::pair<AccountId, UserId>, Int128> users)
      : tree_(tree),
        usage_(std::move(usage)),
        users_(std::move(users)),
        started_usage_(usage_),
        started_users_(users_) {
    for (AccountIndex i = 0; i < tree.size(); ++i) {
      const MilliGpus set = tree.share(i, kType).guarantee_milli;
      slack_.push_back((guarantees.empty() ? set : guarantees[At(i)]) - running[At(i)]);
    }
    for (const auto& [ref, job] : jobs) PlaceAll(tree.IndexOf(job.project), jobs);
    for (const auto& [ref, job] : jobs) {
      for (std::int32_t n = 0; n < job.count; ++n) left_.push_back({&job, n});
    }
  }

  // All that is left, in order: scavengers behind the others, without the first tier, and by what
  // has started alone.
  std::vector<Element> Order() {
    std::vector<Element> order = OrderOf(kRootIndex, false);
    if (order.empty() && !scavengers_) {
      scavengers_ = true;
      usage_ = started_usage_;
      users_ = started_users_;
    }
    const std::vector<Element> scavengers = OrderOf(kRootIndex, true);
    order.insert(order.end(), scavengers.begin(), scavengers.end());
    return order;
  }

  void Take(const Element& element, bool starts) {
    Give(*element.job, starts);
    Remove(element);
  }
  void Give(const OrderJob& job, bool starts) {
    const Int128 charge = static_cast<Int128>(job.expected_charge) << 40;
    users_[{job.project, job.user}] += charge;
    if (starts) started_users_[{job.project, job.user}] += charge;
    for (AccountIndex i = tree_.IndexOf(job.project); i != kNoAccount; i = tree_.parent(i)) {
      usage_[i] += charge;
      if (starts) started_usage_[i] += charge;
      if (starts && !job.scavenger) slack_[At(i)] -= job.counted_milli;
    }
  }
  void Remove(const Element& element) {
    std::erase_if(left_,
                  [&](const Element& e) { return e.job == element.job && e.nth == element.nth; });
  }
  void RemoveAllButScavengers() {
    std::erase_if(left_, [](const Element& e) { return !e.job->scavenger; });
  }
  void RemoveRest(const OrderJob* job) {
    std::erase_if(left_, [&](const Element& e) { return e.job == job; });
  }

 private:
  ProjectRule RuleOf(const OrderJob& job) const {
    return tree_.account(tree_.IndexOf(job.project)).settings.rule;
  }
  bool RuleBefore(const OrderJob& a, const OrderJob& b) const {
    if (RuleOf(a) == ProjectRule::kShortest) {
      if (a.aged != b.aged) return a.aged;
      if (!a.aged && a.predicted != b.predicted) return a.predicted < b.predicted;
    }
    return std::tuple(a.submitted_ms, a.ref) < std::tuple(b.submitted_ms, b.ref);
  }
  // A job's place in its class of its project, own priorities applied.
  void PlaceAll(AccountIndex project, const std::map<JobRef, OrderJob>& jobs) {
    std::map<std::pair<bool, std::int32_t>, std::vector<const OrderJob*>> classes;
    for (const auto& [ref, job] : jobs) {
      if (tree_.IndexOf(job.project) != project) continue;
      classes[{job.scavenger, job.class_rank}].push_back(&job);
    }
    for (auto& [job_class, list] : classes) {
      std::sort(list.begin(), list.end(),
                [this](const OrderJob* a, const OrderJob* b) { return RuleBefore(*a, *b); });
      // Swap neighbours among one user's places until its priorities fall.
      for (bool changed = true; changed;) {
        changed = false;
        for (std::size_t a = 0; a < list.size(); ++a) {
          for (std::size_t b = a + 1; b < list.size(); ++b) {
            if (list[a]->user != list[b]->user) continue;
            const bool wrong = list[a]->user_priority < list[b]->user_priority ||
                               (list[a]->user_priority == list[b]->user_priority &&
                                RuleBefore(*list[b], *list[a]));
            if (!wrong) continue;
            std::swap(list[a], list[b]);
            changed = true;
          }
        }
      }
      for (std::size_t i = 0; i < list.size(); ++i) place_[list[i]] = i;
    }
  }

  std::vector<Element> OrderOf(AccountIndex i, bool scavengers) const {
    return tree_.children(i).empty() ? OrderOfProject(i, scavengers) : OrderOfParent(i, scavengers);
  }

  std::vector<Element> OrderOfProject(AccountIndex i, bool scavengers) const {
    std::vector<Element> order;
    for (const Element& e : left_) {
      if (e.job->scavenger == scavengers && tree_.IndexOf(e.job->project) == i) order.push_back(e);
    }
    const bool fair = tree_.account(i).settings.rule == ProjectRule::kFair;
    std::map<std::pair<UserId, std::int32_t>, std::size_t> first;  // place of a user's first job
    for (const Element& e : order) {
      const std::size_t place = place_.at(e.job);
      const auto found = first.try_emplace({e.job->user, e.job->class_rank}, place).first;
      found->second = std::min(found->second, place);
    }
    const auto key = [&](const Element& e) {
      const auto user = users_.find({e.job->project, e.job->user});
      const Int128 used = !fair || user == users_.end() ? Int128{0} : user->second;
      const std::size_t tie = fair ? first.at({e.job->user, e.job->class_rank}) : 0;
      return std::tuple(e.job->class_rank, used, tie, place_.at(e.job), e.nth);
    };
    std::sort(order.begin(), order.end(),
              [&key](const Element& a, const Element& b) { return key(a) < key(b); });
    return order;
  }

  std::vector<Element> OrderOfParent(AccountIndex i, bool scavengers) const {
    std::map<AccountIndex, std::vector<Element>> orders;
    for (const AccountIndex child : tree_.children(i)) orders[child] = OrderOf(child, scavengers);
    std::vector<Element> order;
    while (true) {
      AccountIndex best = kNoAccount;
      std::size_t best_at = 0;
      bool best_inside = false;
      for (const auto& [child, list] : orders) {
        if (list.empty()) continue;
        std::size_t at = 0;
        while (at < list.size() && list[at].job->counted_milli > slack_[At(child)]) ++at;
        const bool inside = !scavengers && at < list.size();
        if (best != kNoAccount && best_inside && !inside) continue;
        if (best != kNoAccount && best_inside == inside && !UsedLess(child, best)) continue;
        best = child;
        best_at = inside ? at : 0;
        best_inside = inside;
      }
      if (best == kNoAccount) return order;
      std::vector<Element>& list = orders[best];
      order.push_back(list[best_at]);
      list.erase(list.begin() + static_cast<std::ptrdiff_t>(best_at));
    }
  }

  bool UsedLess(AccountIndex a, AccountIndex b) const {
    const auto used = [this](AccountIndex i) {
      const auto found = usage_.find(i);
      return found == usage_.end() ? Int128{0} : found->second;
    };
    const Int128 left = used(a) * tree_.share(b, kType).weight_milli;
    const Int128 right = used(b) * tree_.share(a, kType).weight_milli;
    return left != right ? left < right : tree_.id(a) < tree_.id(b);
  }

  const AccountTree& tree_;
  std::map<AccountIndex, Int128> usage_;  // times 2^40, as of kNow's period
  std::map<std::pair<AccountId, UserId>, Int128> users_;
  std::map<AccountIndex, Int128> started_usage_;  // without what is blocked
  std::map<std::pair<AccountId, UserId>, Int128> started_users_;
  bool scavengers_ = false;
  std::vector<MilliGpus> slack_;
  std::map<const OrderJob*, std::size_t> place_;
  std::vector<Element> left_;
};

// A random world, the same for both.
struct World {
  std::map<AccountId, Account> accounts;
  AccountTree tree;
  std::vector<AccountId> projects;
  std::map<JobRef, OrderJob> jobs;
  WaitingJobs waiting;
  std::vector<MilliGpus> running;
  UsageBook usage{kDayMs};
  std::map<AccountIndex, Int128> plain;
  std::map<std::pair<AccountId, UserId>, Int128> plain_users;

  explicit World(Dice& dice) {
    std::vector<testing::Row> rows{{.name = "kz", .guarantee = 64, .kind = "cluster"}};
    const std::int64_t count = dice.Roll(2, 9);
    for (std::int64_t id = 2; id <= count; ++id) {
      rows.push_back({.parent = dice.Roll(1, std::min<std::int64_t>(id - 1, 4)),
                      .name = "a" + std::to_string(id),
                      .guarantee = dice.Chance(60) ? dice.Roll(0, 12) : 0,
                      .weight = dice.Roll(1, 3),
                      .kind = "unit"});
    }
    accounts = testing::Accounts(rows);
    for (auto& [id, account] : accounts) {
      account.settings.rule = static_cast<ProjectRule>(dice.Roll(0, 2));
    }
    tree = AccountTree::Build(accounts).value();
    for (AccountIndex i = 0; i < tree.size(); ++i) {
      if (tree.children(i).empty()) projects.push_back(tree.id(i));
    }
    running.assign(At(tree.size()), 0);
    for (const AccountId project : projects) {
      if (dice.Chance(50)) Run(project, dice.Roll(0, 8) * 1000);
      for (std::int64_t n = dice.Roll(0, 3); n > 0; --n) Use(dice, project);
    }
    Change(dice, dice.Roll(0, 14));
  }

  void ChangeQuota(Dice& dice) {
    for (auto& [id, account] : accounts) {
      Share& share = account.settings.shares[kType];
      if (dice.Chance(20)) share.weight_milli = dice.Roll(1, 3000);
      if (dice.Chance(20)) share.guarantee_milli = dice.Roll(0, 12) * 1000;
      if (dice.Chance(10)) account.settings.rule = static_cast<ProjectRule>(dice.Roll(0, 2));
    }
    tree = AccountTree::Build(accounts).value();
  }
  AccountId Project(Dice& dice) const {
    return projects[static_cast<std::size_t>(
        dice.Roll(0, static_cast<std::int64_t>(projects.size()) - 1))];
  }
  void Run(AccountId project, MilliGpus milli) {
    for (AccountIndex i = tree.IndexOf(project); i != kNoAccount; i = tree.parent(i)) {
      running[At(i)] += milli;
    }
  }
  void Use(Dice& dice, AccountId project) {
    const UserId user{dice.Roll(1, 3)};
    const std::int64_t age = dice.Roll(0, 4);
    const MilliGpuMs amount = dice.Roll(0, 4) * 16;
    usage.Book(tree, project, user, kNow - age * kDayMs, amount);
    const Int128 plain_amount = static_cast<Int128>(amount) << (40 - age);
    plain_users[{project, user}] += plain_amount;
    for (AccountIndex i = tree.IndexOf(project); i != kNoAccount; i = tree.parent(i)) {
      plain[i] += plain_amount;
    }
  }
  void Change(Dice& dice, std::int64_t count) {
    for (; count > 0; --count) {
      OrderJob job;
      job.ref = JobRef{JobId{dice.Roll(1, 20)}};
      job.project = Project(dice);
      job.user = UserId{dice.Roll(1, 3)};
      job.class_rank = static_cast<std::int32_t>(dice.Chance(70) ? 1 : dice.Roll(0, 2));
      job.scavenger = dice.Chance(15);
      job.counted_milli = dice.Roll(1, 6) * (dice.Chance(80) ? 1000 : 700);
      job.expected_charge = dice.Roll(0, 4) * 16;
      job.predicted = dice.Roll(1, 5);
      job.aged = dice.Chance(10);
      job.submitted_ms = dice.Roll(1, 10);
      job.user_priority = static_cast<std::int32_t>(dice.Chance(60) ? 0 : dice.Roll(-2, 2));
      job.count = static_cast<std::int32_t>(dice.Chance(80) ? 1 : dice.Roll(2, 4));
      if (dice.Chance(20)) {
        jobs.erase(job.ref);
        waiting.Remove(job.ref);
      } else {
        jobs[job.ref] = job;
        waiting.Set(job);
      }
    }
    waiting.Arrange(tree);
  }
};

// A project's own order is that of a walk in which it is alone, inside nobody's guarantee, and all
// of it is taken.
template <class Plain, class PlainUsers>
void OwnOrdersLikeTheTwin(const World& world, const OrderTree& walk, const Plain& plain,
                          const PlainUsers& plain_users) {
  const std::vector<MilliGpus> none(static_cast<std::size_t>(world.tree.size()), 0);
  for (const AccountId project : world.projects) {
    auto jobs = world.jobs;
    std::erase_if(jobs, [&](const auto& one) { return one.second.project != project; });
    Twin twin(world.tree, jobs, world.running, none, plain, plain_users);
    std::vector<std::string> expected;
    for (std::vector<Element> left = twin.Order(); !left.empty(); left = twin.Order()) {
      const OrderJob& job = *left.front().job;
      expected.push_back(ToText(job.ref));
      twin.Take(left.front(), false);
      twin.RemoveRest(&job);
    }
    std::vector<std::string> own;
    for (const auto& row : walk.OwnOrderOf(world.tree.IndexOf(project))->InOrder()) {
      own.push_back(ToText(row.ref));
    }
    EXPECT_EQ(own, expected) << "of project " << project.value;
  }
}

void OneWalk(Dice& dice, World& world) {
  std::vector<MilliGpus> guarantees;  // scaled at times
  for (AccountIndex i = 0; i < world.tree.size() && dice.Chance(i == 0 ? 40 : 100); ++i) {
    guarantees.push_back(world.tree.share(i, kType).guarantee_milli * dice.Roll(0, 10) / 10);
  }
  std::map<std::pair<AccountId, UserId>, MilliGpuMs> started;  // in other orders
  auto plain = world.plain;
  auto plain_users = world.plain_users;
  for (std::int64_t n = dice.Roll(0, 3); n > 0; --n) {
    const std::pair whose{world.Project(dice), UserId{dice.Roll(1, 3)}};
    const MilliGpuMs charge = dice.Roll(0, 4) * 16;
    started[whose] += charge;
    plain_users[whose] += static_cast<Int128>(charge) << 40;
    for (auto i = world.tree.IndexOf(whose.first); i != kNoAccount; i = world.tree.parent(i)) {
      plain[i] += static_cast<Int128>(charge) << 40;
    }
  }
  Twin twin(world.tree, world.jobs, world.running, guarantees, plain, plain_users);
  OrderTree walk({.tree = &world.tree,
                  .gpu_type = kType,
                  .waiting = &world.waiting,
                  .running_milli = world.running,
                  .guarantee_milli = guarantees,
                  .usage = &world.usage,
                  .now_ms = kNow,
                  .started = started});
  OwnOrdersLikeTheTwin(world, walk, plain, plain_users);
  while (true) {
    if (dice.Chance(3)) {
      walk.SkipToScavengers();
      twin.RemoveAllButScavengers();
    }
    const std::vector<Element> order = twin.Order();
    const std::optional<Candidate> next = walk.Next();
    ASSERT_EQ(next.has_value(), !order.empty());
    if (!next) return;
    const Element& expected = order.front();
    ASSERT_EQ(ToText(next->job->ref), ToText(expected.job->ref));
    ASSERT_EQ(next->nth, expected.nth);
    const std::int64_t answer = dice.Roll(0, 9);
    if (answer < 2) {
      walk.Take(true);
      twin.Take(expected, true);
    } else if (answer < 5) {  // its nodes make less of it than it waited with
      OrderJob placed = *expected.job;
      placed.counted_milli = dice.Roll(0, placed.counted_milli);
      placed.expected_charge = dice.Roll(0, placed.expected_charge);
      walk.Start({placed.counted_milli, placed.expected_charge});
      twin.Give(placed, true);
      twin.Remove(expected);
    } else if (answer < 8) {
      walk.Take(false);
      twin.Take(expected, false);
    } else {
      walk.PassOver();
      twin.Remove(expected);
    }
    if (dice.Chance(20)) {
      walk.DropRest();
      twin.RemoveRest(expected.job);
    }
  }
}

void WalksLikeTheTwin(std::uint64_t seed) {
  Dice dice(seed);
  World world(dice);
  for (std::int64_t i = 0; i < 4 && !::testing::Test::HasFailure(); ++i) {
    OneWalk(dice, world);
    if (dice.Chance(40)) world.ChangeQuota(dice);
    world.Change(dice, dice.Roll(0, 5));
  }
}

TEST(QuotaOrder, WalksLikeTheTwin) { property::ForEachSeed(WalksLikeTheTwin); }

}  // namespace
}  // namespace kezek::quota
